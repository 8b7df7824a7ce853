//! The optimizer's rules, by name, each with the reason why it is safe for a plan that is kept up to date.
//!
//! Every rule must give an equal query (as a function of the whole input), must not count on statistics or on an order of
//! rows, and must not add state. The plan is of exact types when it gets here: no rule of DataFusion's analyzer runs.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimize_unions::OptimizeUnions;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Optimizer, OptimizerContext, OptimizerRule};

use crate::error::{Result, from_datafusion};

fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        // nested UNION ALL becomes one: weights are added either way
        Arc::new(OptimizeUnions::new()),
        // constants and boolean algebra; our functions are immutable, clocks are refused before
        Arc::new(SimplifyExpressions::new()),
        // a.x = b.y in a condition becomes a join key: the same pairs, found by a probe
        Arc::new(ExtractEquijoinPredicate::new()),
        // WHERE TRUE and WHERE FALSE
        Arc::new(EliminateFilter::new()),
        // FROM a, b, c in an order in which each step has a key: inner joins commute as Z-sets do
        Arc::new(EliminateCrossJoin::new()),
        // rows are left out before they become state; filters are linear
        Arc::new(PushDownFilter::new()),
        // columns are left out before they become state; projections are linear
        Arc::new(OptimizeProjections::new()),
    ]
}

/// The optimized plan. Without a start time, nothing that asks the clock could be folded.
pub(crate) fn optimize(plan: LogicalPlan) -> Result<LogicalPlan> {
    let context = OptimizerContext::new().without_query_execution_start_time().with_skip_failing_rules(false);
    Optimizer::with_rules(rules()).optimize(plan, &context, |_, _| {}).map_err(from_datafusion)
}
