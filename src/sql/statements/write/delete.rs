//! DELETE FROM t [AS x] [USING other, ...] [WHERE condition].

use datafusion::sql::sqlparser::ast::{Delete as DeleteAst, FromTable, With};
use plan::Catalog;

use super::joined::{JoinQuery, Others};
use super::target::Target;
use super::{Change, Planned, Returning, Rows, Run, update};
use crate::error::{Result, unsupported};
use crate::expr::parameter::Parameters;

#[derive(Debug)]
struct Delete {
    query: JoinQuery,
}

pub(super) fn plan(
    ast: &DeleteAst,
    with: Option<&With>,
    catalog: &Catalog,
    parameters: &mut Parameters,
) -> Result<Planned> {
    if !ast.order_by.is_empty() || ast.limit.is_some() || ast.output.is_some() || !ast.tables.is_empty() {
        return Err(unsupported("this form of DELETE", "write DELETE FROM t WHERE ..."));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &ast.from;
    let [table] = from.as_slice() else {
        return Err(unsupported("DELETE from several tables", "write a DELETE for each"));
    };
    let target = update::table(table, catalog, "delete from")?;
    let others = Others::new(ast.using.as_deref().unwrap_or_default(), with, catalog, parameters)?;
    let returning = Returning::new(ast.returning.as_deref(), &target, &others.scope, parameters)?;
    let query = others.query(
        (table, &target),
        vec![update::star(&target)],
        target.def.columns.0.clone(),
        ast.selection.as_ref(),
        returning.as_ref(),
        (catalog, parameters),
    )?;
    Ok((target, Box::new(Delete { query }), returning))
}

impl Change for Delete {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        let (columns, beside, rows) = self.query.run(target, run)?;
        Ok(Rows { beside, ..Rows::new(target.batch(columns, rows)?, target.nothing()) })
    }

    fn tag(&self, rows: usize) -> String {
        format!("DELETE {rows}")
    }
}
