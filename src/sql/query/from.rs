//! FROM: tables, subqueries, WITH queries, and their joins.

use std::sync::Arc;

use datafusion::common::{Column as DfColumn, JoinType, TableReference};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Operator, SubqueryAlias};
use datafusion::sql::sqlparser::ast::{
    self, Ident, JoinConstraint, ObjectName, Spanned, TableAlias, TableFactor, TableWithJoins,
};
use zset::{ColumnType, RowType};

use super::scope::{Keyed, Scope, Visible};
use super::{Output, Planner, outer, source};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::expr::bind::{Binder, conjunction};
use crate::expr::host::Host;
use crate::expr::{Typed, operator};
use crate::statements::{identifier, object_name};

/// A part of FROM: its plan, and what may be named of it.
pub(crate) type Relation = (LogicalPlan, Scope);

impl Planner<'_> {
    /// The whole clause; without one, a single row without columns.
    pub(crate) fn from(&mut self, tables: &[TableWithJoins]) -> Result<Relation> {
        let mut all: Option<Relation> = None;
        for table in tables {
            let next = self.joined(table)?;
            all = Some(match all {
                None => next,
                Some(before) => cross(before, next)?,
            });
        }
        Ok(all.unwrap_or_else(|| {
            let schema = Arc::new(datafusion::common::DFSchema::empty());
            (LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema }), Scope::default())
        }))
    }

    fn joined(&mut self, table: &TableWithJoins) -> Result<Relation> {
        let mut left = self.factor(&table.relation)?;
        for join in &table.joins {
            if join.global {
                return Err(unsupported("GLOBAL JOIN", "write JOIN").at(join.span()));
            }
            let kind = outer::kind(&join.join_operator, self.is_client());
            let (kind, constraint) = kind.at(join.relation.span())?;
            let right = self.factor(&join.relation)?;
            left = self.join(left, right, constraint, kind).at(join.relation.span())?;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<Relation> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                if let Some(args) = args
                    && self.is_client()
                    && !*with_ordinality
                    && args.settings.is_none()
                    && object_name(name).is_ok_and(|name| name == "generate_series")
                {
                    return self.series(&args.args, alias.as_ref()).at(factor.span());
                }
                if args.is_some() || *with_ordinality {
                    return Err(
                        unsupported(format!("the function {name}(...) in FROM"), "name a table").at(factor.span())
                    );
                }
                if sample.is_some() {
                    return Err(unsupported("TABLESAMPLE", "use WHERE on a column").at(factor.span()));
                }
                if !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty()
                {
                    return Err(
                        unsupported(format!("the clause behind {name}"), "name the table alone").at(factor.span())
                    );
                }
                self.table(name, alias.as_ref()).at(factor.span())
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                if *lateral {
                    let hint = "join on the columns that the inner query takes from outside";
                    return Err(unsupported("LATERAL", hint).at(factor.span()));
                }
                if sample.is_some() {
                    return Err(unsupported("TABLESAMPLE", "use WHERE on a column").at(factor.span()));
                }
                let Some(alias) = alias else {
                    return Err(syntax("subquery in FROM must have an alias")
                        .with_hint("for example, FROM (SELECT ...) AS s")
                        .at(factor.span()));
                };
                let mut planned = self.query(subquery)?;
                rename(&mut planned.columns, alias)?;
                aliased(planned.plan, planned.columns, &identifier(&alias.name))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(table_with_joins),
            TableFactor::NestedJoin { .. } => {
                Err(unsupported("an alias of a join", "give its tables aliases").at(factor.span()))
            }
            other => {
                Err(unsupported(format!("{other} in FROM"), "name tables, or subqueries in parentheses")
                    .at(factor.span()))
            }
        }
    }

    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> Result<Relation> {
        let table = object_name(name)?;
        let shown = alias.map_or_else(|| table.clone(), |alias| identifier(&alias.name));
        if let Some(cte) = self.ctes.get(&table).filter(|_| name.0.len() == 1) {
            let mut planned = cte.clone();
            if let Some(alias) = alias {
                rename(&mut planned.columns, alias)?;
            }
            return aliased(planned.plan, planned.columns, &shown);
        }
        let def = self.catalog.table_named(&table).ok_or_else(|| self.missing(&table))?;
        if self.is_client() && !def.is_stored() {
            return Err(unsupported(
                format!("SELECT from \"{table}\", a source whose rows are not stored,"),
                "read a stream table over it, or make it with CREATE TABLE, which keeps the rows",
            ));
        }
        let plan = source::scan(def, &shown)?;
        let (plan, mut scope) = scanned(plan, &def.columns, &shown, alias)?;
        if def.source().is_some() && !def.key.is_empty() {
            scope.keyed.push(keyed(&scope, &def.key));
        }
        Ok((plan, scope))
    }

    fn missing(&self, name: &str) -> dataflow::StatementError {
        let hint = if self.catalog.sink_named(name).is_some() {
            "that is a sink, which is not read: name the table it publishes".to_string()
        } else {
            let names: Vec<&str> = self.catalog.tables().map(|table| table.name.as_str()).take(50).collect();
            if names.is_empty() {
                "there are no tables yet".into()
            } else {
                format!("the tables are {}", names.join(", "))
            }
        };
        error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")).with_hint(hint)
    }

    fn join(
        &mut self,
        left: Relation,
        right: Relation,
        constraint: &JoinConstraint,
        kind: JoinType,
    ) -> Result<Relation> {
        match constraint {
            JoinConstraint::On(condition) => {
                let ((left, left_scope), (right, right_scope)) = (left, right);
                let scope = left_scope.join(right_scope)?;
                let condition = Binder::new(&scope, "JOIN/ON", self).condition(condition)?;
                Ok((outer::join(left, right, Some(condition.expr), kind)?, scope))
            }
            JoinConstraint::Using(names) => {
                let mut using = Vec::with_capacity(names.len());
                for name in names {
                    match name.0.as_slice() {
                        [part] => using.push(identifier(part.as_ident().unwrap_or(&Ident::new("")))),
                        _ => return Err(syntax(format!("USING needs column names, not {name}"))),
                    }
                }
                using_join(left, right, &using, kind)
            }
            JoinConstraint::Natural => {
                let bare = |scope: &Scope, name: &str| scope.star.iter().any(|&at| scope.columns[at].name == name);
                let names: Vec<String> = left.1.star.iter().map(|&at| left.1.columns[at].name.clone()).collect();
                let common: Vec<String> = names.into_iter().filter(|name| bare(&right.1, name)).collect();
                using_join(left, right, &common, kind)
            }
            JoinConstraint::None => cross(left, right),
        }
    }
}

fn cross(left: Relation, right: Relation) -> Result<Relation> {
    let scope = left.1.join(right.1)?;
    Ok((outer::join(left.0, right.0, None, JoinType::Inner)?, scope))
}

/// USING (and NATURAL): equal columns, once in `*`, in front.
fn using_join(left: Relation, right: Relation, names: &[String], kind: JoinType) -> Result<Relation> {
    let mut conditions = Vec::with_capacity(names.len());
    let mut merged = Vec::with_capacity(names.len());
    for name in names {
        let side = |scope: &Scope, which: &str| {
            scope.find(None, name).map_err(|e| {
                if e.sqlstate == code::UNDEFINED_COLUMN {
                    error(
                        code::UNDEFINED_COLUMN,
                        format!("column \"{name}\" specified in USING clause does not exist in {which} table"),
                    )
                } else {
                    error(
                        code::AMBIGUOUS_COLUMN,
                        format!("common column name \"{name}\" appears more than once in {which} table"),
                    )
                }
            })
        };
        let (l, r) = (side(&left.1, "left")?, side(&right.1, "right")?);
        let (a, b) = (&left.1.columns[l], &right.1.columns[r]);
        if a.ty.arrow() != b.ty.arrow() {
            return Err(unsupported(
                format!("USING or NATURAL over \"{name}\" of types {} and {}", a.ty, b.ty),
                "say ON a.column = b.column, and name the one you want",
            ));
        }
        let typed = |v: &Visible| Typed::new(Expr::Column(v.column.clone()), v.ty);
        conditions.push(operator::compare(Operator::Eq, typed(a), typed(b))?.expr);
        merged.push((l, r));
    }
    let offset = left.1.columns.len();
    let scope = left.1.join(right.1)?;
    let plan = outer::join(left.0, right.0, conjunction(conditions), kind)?;
    let merged: Vec<(usize, usize)> = merged.into_iter().map(|(l, r)| (l, offset + r)).collect();
    outer::merge(plan, scope, &merged, kind)
}

/// A scan of columns, under a name.
pub(super) fn scanned(plan: LogicalPlan, of: &RowType, shown: &str, alias: Option<&TableAlias>) -> Result<Relation> {
    let mut columns: Vec<Output> = Vec::with_capacity(of.0.len());
    for column in &of.0 {
        let place = DfColumn::new(Some(TableReference::bare(shown)), &column.name);
        columns.push(Output { name: column.name.clone(), column: place, ty: column.ty });
    }
    if let Some(alias) = alias {
        rename(&mut columns, alias)?;
    }
    Ok((plan, scope(columns, shown)))
}

/// The key of a table, whose columns alone are in scope.
fn keyed(scope: &Scope, key: &[usize]) -> Keyed {
    let others = scope.columns.iter().filter(|visible| visible.ty != ColumnType::Jsonb);
    Keyed {
        key: key.iter().map(|&at| scope.columns[at].column.clone()).collect(),
        others: others.map(|visible| (visible.column.clone(), visible.ty)).collect(),
    }
}

fn scope(columns: Vec<Output>, table: &str) -> Scope {
    let columns: Vec<Visible> = columns
        .into_iter()
        .map(|c| Visible { table: table.to_string(), name: c.name, column: c.column, ty: c.ty, merged: false })
        .collect();
    let star = (0..columns.len()).collect();
    Scope { columns, star, tables: vec![table.to_string()], keyed: Vec::new() }
}

/// A subquery under a name.
fn aliased(plan: LogicalPlan, columns: Vec<Output>, name: &str) -> Result<Relation> {
    let table = TableReference::bare(name);
    let alias = SubqueryAlias::try_new(Arc::new(plan), table.clone()).map_err(from_datafusion)?;
    let columns = columns
        .into_iter()
        .map(|c| Output { column: DfColumn::new(Some(table.clone()), c.column.name), ..c })
        .collect();
    Ok((LogicalPlan::SubqueryAlias(alias), scope(columns, name)))
}

/// `AS name (a, b, ...)`: new names for the first columns.
pub(crate) fn rename(columns: &mut [Output], alias: &TableAlias) -> Result<()> {
    if alias.at.is_some() {
        return Err(unsupported("AT behind an alias", "leave it out"));
    }
    if alias.columns.len() > columns.len() {
        return Err(error(
            code::INVALID_COLUMN_REFERENCE,
            format!(
                "table \"{}\" has {} columns available but {} columns specified",
                identifier(&alias.name),
                columns.len(),
                alias.columns.len()
            ),
        )
        .at(alias.name.span));
    }
    for (column, name) in columns.iter_mut().zip(&alias.columns) {
        let ast::TableAliasColumnDef { name, data_type } = name;
        if data_type.is_some() {
            return Err(unsupported("a type in a column alias", "write the name alone").at(name.span));
        }
        column.name = identifier(name);
    }
    Ok(())
}
