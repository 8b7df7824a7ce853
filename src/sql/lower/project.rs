//! Projection: one column an expression.

use std::sync::Arc;

use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::logical_expr::{Expr, Projection};
use plan::{NodeId, NodeKind};
use zset::RowType;

use super::{Builder, row_type};
use crate::error::{Result, from_datafusion};
use crate::expr::eval::{Compiled, compile};

impl Builder {
    /// A projection; one that changes nothing but names is none.
    pub(super) fn projection(&mut self, projection: &Projection) -> Result<NodeId> {
        let input = self.node(&projection.input)?;
        let schema = projection.input.schema();
        let expressions = projection.expr.iter().map(|e| compile(e, schema)).collect::<Result<Vec<_>>>()?;
        let output = row_type(&projection.schema)?;
        let same = expressions.len() == schema.fields().len()
            && expressions.iter().enumerate().all(|(at, e)| e.column == Some(at))
            && self.graph.nodes[input.0 as usize].output.0.iter().zip(&output.0).all(|(a, b)| a.ty == b.ty);
        if same && !output.0.is_empty() {
            return Ok(input);
        }
        let expressions = expressions.into_iter().map(Arc::new).collect();
        Ok(self.add(NodeKind::Project { input, expressions }, output))
    }

    /// The first columns of a schema, as they are.
    pub(super) fn columns(&self, schema: &DFSchema, count: usize) -> Result<Vec<Arc<Compiled>>> {
        let column = |at: usize| {
            let (table, field) = schema.qualified_field(at);
            compile(&Expr::Column(DfColumn::new(table.cloned(), field.name())), schema).map(Arc::new)
        };
        (0..count).map(column).collect()
    }

    /// Some columns of a table.
    pub(super) fn pick(&mut self, input: NodeId, columns: &RowType, positions: &[usize]) -> Result<NodeId> {
        if positions.iter().copied().eq(0..columns.0.len()) {
            return Ok(input);
        }
        let schema = DFSchema::try_from(columns.schema()).map_err(from_datafusion)?;
        let all = self.columns(&schema, columns.0.len())?;
        let expressions = positions.iter().map(|&at| Arc::clone(&all[at])).collect();
        let output = RowType(positions.iter().map(|&at| columns.0[at].clone()).collect());
        Ok(self.add(NodeKind::Project { input, expressions }, output))
    }
}
