//! VALUES: fixed rows.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::Values;
use plan::{NodeId, NodeKind};

use super::{Builder, row_type};
use crate::error::Result;
use crate::expr::eval::compile;

impl Builder {
    /// Rows of expressions without columns.
    pub(super) fn values(&mut self, values: &Values) -> Result<NodeId> {
        let nothing = DFSchema::empty();
        let mut rows = Vec::with_capacity(values.values.len());
        for row in &values.values {
            rows.push(row.iter().map(|e| compile(e, &nothing).map(Arc::new)).collect::<Result<Vec<_>>>()?);
        }
        Ok(self.add(NodeKind::Values { rows }, row_type(&values.schema)?))
    }
}
