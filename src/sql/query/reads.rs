//! Which columns of a table a query reads: those that are left when it is planned, whatever else its text names.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Query as Ast;
use plan::{Catalog, TableId};

use super::{Planner, optimize, source};
use crate::error::{Result, from_datafusion};

/// The places of the columns of `table` that a stream table's query reads.
pub(crate) fn columns_read(ast: &Ast, catalog: &Catalog, table: TableId) -> Result<BTreeSet<usize>> {
    let plan = optimize::optimize(Planner::new(catalog, None).query(ast)?.plan)?;
    let mut read = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(of) = source::of(scan).filter(|of| of.id == table)
        {
            match &scan.projection {
                Some(places) => read.extend(places.iter().copied()),
                None => read.extend(0..of.columns.0.len()),
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    Ok(read)
}
