//! The optimizer's rules, by name, each with the reason why it is safe for a plan that is kept up to date.
//!
//! Every rule must give an equal query (as a function of the whole input), must not count on statistics or on an order of
//! rows, and must not add state. The plan is of exact types when it gets here: no rule of DataFusion's analyzer runs.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
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

/// Conditions to where their columns are. Joins have no keys yet: so that a condition is moved, but never copied to the
/// other side of an equality, where it could fail on a row that has no partner.
fn conditions() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        // nested UNION ALL becomes one: weights are added either way
        Arc::new(OptimizeUnions::new()),
        // constants and boolean algebra; our functions are immutable, clocks are refused before
        Arc::new(SimplifyExpressions::new()),
        // WHERE TRUE and WHERE FALSE
        Arc::new(EliminateFilter::new()),
        // rows are left out before they become state; filters are linear
        Arc::new(PushDownFilter::new()),
    ]
}

fn run(rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>, plan: LogicalPlan) -> Result<LogicalPlan> {
    // without a start time, nothing that asks the clock could be folded
    let context = OptimizerContext::new().without_query_execution_start_time().with_skip_failing_rules(false);
    Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {}).map_err(from_datafusion)
}

/// Whether a join has no key.
fn has_cross_join(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Join(join) if join.on.is_empty()))).map_err(from_datafusion)
}

/// The optimized plan.
pub(crate) fn optimize(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = run(conditions(), plan)?;
    // a.x = b.y in a condition becomes a join key: the same pairs, found by a probe
    let mut plan = run(vec![Arc::new(ExtractEquijoinPredicate::new())], plan)?;
    if has_cross_join(&plan)? {
        // FROM a, b, c in an order in which each step has a key: inner joins commute as Z-sets do
        plan = run(vec![Arc::new(EliminateCrossJoin::new())], plan)?;
    }
    // columns are left out before they become state; projections are linear
    run(vec![Arc::new(OptimizeProjections::new())], plan)
}
