//! LIMIT, OFFSET and FETCH: numbers that are known when the query is run.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, Limit, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, LimitClause, Value};
use zset::ColumnType;

use super::{Planned, Planner, Scope, series};
use crate::error::{Detail, Result, code, error, unsupported};
use crate::expr::bind::Binder;
use crate::expr::cast;

impl Planner<'_> {
    /// The rows that the clauses leave.
    pub(super) fn limited(&mut self, planned: Planned, query: &ast::Query) -> Result<Planned> {
        let (mut fetch, mut skip) = (None, None);
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                if !limit_by.is_empty() {
                    return Err(unsupported(
                        "LIMIT ... BY",
                        "use DISTINCT ON, or row_number() OVER (PARTITION BY ...)",
                    ));
                }
                if let Some(ast) = limit {
                    fetch = self.rows(ast, "LIMIT")?;
                }
                if let Some(offset) = offset {
                    skip = self.rows(&offset.value, "OFFSET")?;
                }
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(unsupported("LIMIT offset, count", "write LIMIT count OFFSET offset"));
            }
        }
        if let Some(clause) = &query.fetch {
            if clause.with_ties || clause.percent {
                return Err(unsupported("FETCH ... WITH TIES and PERCENT", "filter by rank() OVER (ORDER BY ...)"));
            }
            let one = ast::Expr::Value(Value::Number("1".into(), false).into());
            fetch = self.rows(clause.quantity.as_ref().unwrap_or(&one), "FETCH FIRST")?;
        }
        if fetch.is_none() && skip.is_none() {
            return Ok(planned);
        }
        let (fetch, skip) = (fetch.map(Box::new), skip.map(Box::new));
        let plan = LogicalPlan::Limit(Limit { skip, fetch, input: Arc::new(planned.plan) });
        Ok(Planned { plan, columns: planned.columns })
    }

    /// A number of rows; `None` where it is the literal NULL: no limit.
    fn rows(&mut self, ast: &ast::Expr, clause: &'static str) -> Result<Option<Expr>> {
        if let ast::Expr::Value(value) = ast
            && value.value == Value::Null
        {
            return Ok(None);
        }
        let nothing = Scope::default();
        let typed = Binder::new(&nothing, clause, self).bind(ast).map_err(|e| {
            if e.sqlstate != code::UNDEFINED_COLUMN && e.sqlstate != code::UNDEFINED_TABLE {
                return e;
            }
            error(code::INVALID_COLUMN_REFERENCE, format!("argument of {clause} must not contain variables"))
                .with_hint("give it a number, or a parameter")
        })?;
        let message =
            |t: &crate::expr::Typed| format!("argument of {clause} must be type bigint, not type {}", t.type_name());
        // fractions are rounded, as an assignment to bigint would
        let expr = match typed.ty {
            Some(ty) if cast::number_rank(ty).is_some() => cast::convert(typed, ColumnType::BigInt)?.expr,
            _ => cast::implicit(typed, ColumnType::BigInt, message)?.expr,
        };
        if !series::is_constant(&expr) {
            return Err(unsupported(format!("{clause} of columns or subqueries"), "give it constants or parameters"));
        }
        Ok(Some(expr))
    }
}
