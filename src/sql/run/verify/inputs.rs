//! The tables that a stream table reads, as its query was planned on them.

use std::sync::Arc;

use datafusion::common::Column as DfColumn;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, TableScan};
use plan::{Catalog, StreamDef, TableDef};

use super::NOT_NOW;
use crate::error::{Detail, Result, code, error, from_datafusion};
use crate::expr::literal;
use crate::query::source;
use crate::run::limits::carried;

/// What is not stored cannot be read again at one epoch.
pub(super) fn refuse_those_not_stored(def: &TableDef, query: &StreamDef, catalog: &Catalog) -> Result<()> {
    let inputs = query.inputs.iter().filter_map(|id| catalog.table(*id));
    let Some(input) = inputs.into_iter().find(|input| !input.is_stored()) else { return Ok(()) };
    Err(error(
        code::NOT_SUPPORTED,
        format!("cannot verify stream table {}: it reads {}, whose rows are not stored", def.name, input.name),
    )
    .with_hint("CREATE SOURCE keeps no rows to compute from again; a CREATE TABLE over the same topic does"))
}

/// The plan with every table that was altered since read as it is now: a projection gives it the columns of then, in which one
/// that is gone is NULL.
pub(super) fn as_they_are(plan: LogicalPlan, query: &StreamDef, catalog: &Catalog) -> Result<LogicalPlan> {
    let changed = plan.transform_up(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        match now(scan, query, catalog).map_err(carried)? {
            Some(changed) => Ok(Transformed::yes(changed)),
            None => Ok(Transformed::no(node)),
        }
    });
    changed.map(|changed| changed.data).map_err(from_datafusion)
}

fn now(scan: &TableScan, query: &StreamDef, catalog: &Catalog) -> Result<Option<LogicalPlan>> {
    let Some(planned) = source::of(scan) else { return Ok(None) };
    let gone = || error(NOT_NOW, format!("table {} is not there any more", scan.table_name));
    let def = catalog.table(planned.id).ok_or_else(gone)?;
    if def.columns == planned.columns {
        return Ok(None);
    }
    let at = query.inputs.iter().position(|id| *id == planned.id);
    let positions = at.and_then(|at| query.input_positions.get(at)).cloned();
    let positions = positions.unwrap_or_else(|| (0..planned.columns.0.len()).map(Some).collect());
    let mut columns = Vec::with_capacity(planned.columns.0.len());
    for (column, position) in planned.columns.0.iter().zip(&positions) {
        let value = match position.and_then(|at| def.columns.0.get(at)) {
            Some(now) => Expr::Column(DfColumn::new(Some(scan.table_name.clone()), now.name.clone())),
            None => literal::null(column.ty)?.expr,
        };
        columns.push(value.alias_qualified(Some(scan.table_name.clone()), column.name.clone()));
    }
    let read = source::scan(def, scan.table_name.table())?;
    let projection = Projection::try_new(columns, Arc::new(read)).map_err(from_datafusion)?;
    Ok(Some(LogicalPlan::Projection(projection)))
}
