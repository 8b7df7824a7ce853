//! DELETE FROM t [AS x] [WHERE condition].

use datafusion::sql::sqlparser::ast::{Delete as DeleteAst, FromTable};
use plan::Catalog;
use zset::Column;

use super::rows::{RowQuery, select};
use super::target::Target;
use super::{Change, Planned, Rows, Run, update};
use crate::error::{Result, unsupported};
use crate::expr::parameter::Parameters;

#[derive(Debug)]
struct Delete {
    query: RowQuery,
}

pub(super) fn plan<'a>(ast: &'a DeleteAst, catalog: &Catalog, parameters: &mut Parameters) -> Result<Planned<'a>> {
    if ast.using.is_some() {
        return Err(unsupported("DELETE ... USING", "say which rows by a subquery: WHERE id IN (SELECT ...)"));
    }
    if !ast.order_by.is_empty() || ast.limit.is_some() || ast.output.is_some() || !ast.tables.is_empty() {
        return Err(unsupported("this form of DELETE", "write DELETE FROM t WHERE ..."));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &ast.from;
    let [table] = from.as_slice() else {
        return Err(unsupported("DELETE from several tables", "write a DELETE for each"));
    };
    let target = update::table(table, catalog, "delete from")?;
    let query = select(vec![update::star(&target)], vec![table.clone()], ast.selection.clone())?;
    let columns: Vec<&Column> = target.def.columns.0.iter().collect();
    let query = RowQuery::new(&query, &columns, catalog, parameters)?;
    Ok((target.clone(), Box::new(Delete { query }), ast.returning.as_deref()))
}

impl Change for Delete {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        let (columns, rows) = self.query.run(run)?;
        Ok(Rows { gone: target.batch(columns, rows)?, come: target.nothing() })
    }

    fn tag(&self, rows: usize) -> String {
        format!("DELETE {rows}")
    }
}
