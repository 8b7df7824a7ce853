//! Inner join: keys of equal types on both sides, and what else must hold of a pair.

use std::sync::Arc;

use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Join, LogicalPlan};
use plan::{NodeId, NodeKind};

use super::{Builder, refused, row_type};
use crate::error::Result;
use crate::expr::eval::compile;

impl Builder {
    /// A join. The types of each pair of keys are equal since the comparison was typed.
    pub(super) fn join(&mut self, join: &Join) -> Result<NodeId> {
        if join.join_type != JoinType::Inner || join.null_equality != NullEquality::NullEqualsNothing || join.null_aware
        {
            return Err(refused(&LogicalPlan::Join(join.clone())));
        }
        let left = self.node(&join.left)?;
        let right = self.node(&join.right)?;
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for (a, b) in &join.on {
            left_keys.push(Arc::new(compile(a, join.left.schema())?));
            right_keys.push(Arc::new(compile(b, join.right.schema())?));
        }
        let residual = join.filter.as_ref().map(|e| compile(e, &join.schema).map(Arc::new)).transpose()?;
        let kind = NodeKind::Join { left, right, left_keys, right_keys, residual };
        Ok(self.add(kind, row_type(&join.schema)?))
    }
}
