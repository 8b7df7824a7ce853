//! GROUP BY: group keys, then aggregates.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use plan::{AggregateCall, NodeId, NodeKind};

use super::{Builder, refused, row_type};
use crate::aggregates;
use crate::error::Result;
use crate::expr::eval::{Compiled, compile};

fn call(expr: &Expr, schema: &DFSchema) -> Result<Option<AggregateCall<Arc<Compiled>>>> {
    let mut plain = expr;
    while let Expr::Alias(alias) = plain {
        plain = &alias.expr;
    }
    let Expr::AggregateFunction(function) = plain else { return Ok(None) };
    let Some(ours) = aggregates::of(&function.func) else { return Ok(None) };
    let aggregates::Function::Known(known) = ours.function else { return Ok(None) };
    let params = &function.params;
    if params.args.len() > 1 || !params.order_by.is_empty() || params.null_treatment.is_some() {
        return Ok(None);
    }
    Ok(Some(AggregateCall {
        function: known,
        argument: params.args.first().map(|e| compile(e, schema).map(Arc::new)).transpose()?,
        argument_type: ours.argument,
        output_type: ours.output,
        filter: params.filter.as_ref().map(|e| compile(e, schema).map(Arc::new)).transpose()?,
        distinct: params.distinct,
    }))
}

impl Builder {
    /// An aggregate.
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<NodeId> {
        let input = self.node(&aggregate.input)?;
        let schema = aggregate.input.schema();
        let group =
            aggregate.group_expr.iter().map(|e| compile(e, schema).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            let call = call(expr, schema)?.ok_or_else(|| refused(&LogicalPlan::Aggregate(aggregate.clone())))?;
            calls.push(call);
        }
        Ok(self.add(NodeKind::Aggregate { input, group, calls }, row_type(&aggregate.schema)?))
    }
}
