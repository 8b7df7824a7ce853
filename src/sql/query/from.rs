//! FROM: tables, subqueries, WITH queries, and their joins.

use std::sync::Arc;

use datafusion::common::{Column as DfColumn, JoinConstraint as Constraint, JoinType, NullEquality, TableReference};
use datafusion::logical_expr::{EmptyRelation, Expr, Join, LogicalPlan, Operator, SubqueryAlias};
use datafusion::sql::sqlparser::ast::{
    self, Ident, JoinConstraint, JoinOperator, ObjectName, Spanned, TableAlias, TableFactor, TableWithJoins,
};
use plan::TableKind;

use super::scope::{Scope, Visible};
use super::{Ctes, Output, Planner, source};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::expr::bind::{Binder, conjunction};
use crate::expr::{Typed, operator};
use crate::statements::{identifier, object_name};

/// A part of FROM: its plan, and what may be named of it.
pub(crate) type Relation = (LogicalPlan, Scope);

impl Planner<'_> {
    /// The whole clause; without one, a single row without columns.
    pub(crate) fn from(&mut self, tables: &[TableWithJoins], ctes: &Ctes) -> Result<Relation> {
        let mut all: Option<Relation> = None;
        for table in tables {
            let next = self.joined(table, ctes)?;
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

    fn joined(&mut self, table: &TableWithJoins, ctes: &Ctes) -> Result<Relation> {
        let mut left = self.factor(&table.relation, ctes)?;
        for join in &table.joins {
            if join.global {
                return Err(unsupported("GLOBAL JOIN", "write JOIN").at(join.span()));
            }
            let constraint = inner(&join.join_operator).at(join.relation.span())?;
            let right = self.factor(&join.relation, ctes)?;
            left = self.join(left, right, constraint).at(join.relation.span())?;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &TableFactor, ctes: &Ctes) -> Result<Relation> {
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
                self.table(name, alias.as_ref(), ctes).at(factor.span())
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
                let mut planned = self.query(subquery, ctes)?;
                rename(&mut planned.columns, alias)?;
                aliased(planned.plan, planned.columns, &identifier(&alias.name))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(table_with_joins, ctes),
            TableFactor::NestedJoin { .. } => {
                Err(unsupported("an alias of a join", "give its tables aliases").at(factor.span()))
            }
            other => {
                Err(unsupported(format!("{other} in FROM"), "name tables, or subqueries in parentheses")
                    .at(factor.span()))
            }
        }
    }

    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>, ctes: &Ctes) -> Result<Relation> {
        let table = object_name(name)?;
        let shown = alias.map_or_else(|| table.clone(), |alias| identifier(&alias.name));
        if let Some(cte) = ctes.get(&table).filter(|_| name.0.len() == 1) {
            let mut planned = cte.clone();
            if let Some(alias) = alias {
                rename(&mut planned.columns, alias)?;
            }
            return aliased(planned.plan, planned.columns, &shown);
        }
        let def = self.catalog.table_named(&table).ok_or_else(|| self.missing(&table))?;
        if matches!(&def.kind, TableKind::Source(source) if source.topic.is_empty()) {
            return Err(error(code::WRONG_OBJECT_TYPE, format!("\"{table}\" has no topic to read")));
        }
        let plan = source::scan(def, &shown)?;
        let mut columns: Vec<Output> = Vec::with_capacity(def.columns.0.len());
        for column in &def.columns.0 {
            let of = DfColumn::new(Some(TableReference::bare(shown.as_str())), &column.name);
            columns.push(Output { name: column.name.clone(), column: of, ty: column.ty });
        }
        if let Some(alias) = alias {
            rename(&mut columns, alias)?;
        }
        Ok((plan, scope(columns, &shown)))
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

    fn join(&mut self, left: Relation, right: Relation, constraint: &JoinConstraint) -> Result<Relation> {
        match constraint {
            JoinConstraint::On(condition) => {
                let ((left, left_scope), (right, right_scope)) = (left, right);
                let scope = left_scope.join(right_scope)?;
                let mut binder =
                    Binder { scope: &scope, clause: "JOIN/ON", aggregates: false, notices: &mut self.notices };
                let condition = binder.condition(condition)?;
                Ok((inner_join(left, right, Some(condition.expr))?, scope))
            }
            JoinConstraint::Using(names) => {
                let mut using = Vec::with_capacity(names.len());
                for name in names {
                    match name.0.as_slice() {
                        [part] => using.push(identifier(part.as_ident().unwrap_or(&Ident::new("")))),
                        _ => return Err(syntax(format!("USING needs column names, not {name}"))),
                    }
                }
                using_join(left, right, &using)
            }
            JoinConstraint::Natural => {
                let bare = |scope: &Scope, name: &str| scope.star.iter().any(|&at| scope.columns[at].name == name);
                let names: Vec<String> = left.1.star.iter().map(|&at| left.1.columns[at].name.clone()).collect();
                let common: Vec<String> = names.into_iter().filter(|name| bare(&right.1, name)).collect();
                using_join(left, right, &common)
            }
            JoinConstraint::None => cross(left, right),
        }
    }
}

/// The constraint of an inner join; other joins are refused.
fn inner(operator: &JoinOperator) -> Result<&JoinConstraint> {
    let outer = |name: &str| {
        Err(unsupported(
            format!("{name} JOIN"),
            "use INNER JOIN; for rows without a partner, UNION ALL them from a table that has them",
        ))
    };
    match operator {
        JoinOperator::Join(JoinConstraint::None) | JoinOperator::Inner(JoinConstraint::None) => {
            Err(syntax("JOIN needs a condition").with_hint("say ON ..., USING (...), or CROSS JOIN"))
        }
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => Ok(constraint),
        JoinOperator::CrossJoin(constraint @ JoinConstraint::None) => Ok(constraint),
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => outer("LEFT OUTER"),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => outer("RIGHT OUTER"),
        JoinOperator::FullOuter(_) => outer("FULL OUTER"),
        other => Err(unsupported(format!("the join {other:?}"), "use JOIN ... ON, USING, NATURAL JOIN or CROSS JOIN")),
    }
}

fn inner_join(left: LogicalPlan, right: LogicalPlan, filter: Option<Expr>) -> Result<LogicalPlan> {
    let (left, right) = (Arc::new(left), Arc::new(right));
    let nulls = NullEquality::NullEqualsNothing;
    let join = Join::try_new(left, right, vec![], filter, JoinType::Inner, Constraint::On, nulls, false);
    Ok(LogicalPlan::Join(join.map_err(from_datafusion)?))
}

fn cross(left: Relation, right: Relation) -> Result<Relation> {
    let scope = left.1.join(right.1)?;
    Ok((inner_join(left.0, right.0, None)?, scope))
}

/// USING (and NATURAL): equal columns, once in `*`, in front; the bare name is the left one.
fn using_join(left: Relation, right: Relation, names: &[String]) -> Result<Relation> {
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
    let mut scope = left.1.join(right.1)?;
    for (_, r) in &merged {
        scope.columns[offset + r].merged = true;
    }
    let rest = scope.star.iter().copied().filter(|at| !merged.iter().any(|(l, r)| at == l || *at == offset + r));
    scope.star = merged.iter().map(|(l, _)| *l).chain(rest).collect();
    Ok((inner_join(left.0, right.0, conjunction(conditions))?, scope))
}

fn scope(columns: Vec<Output>, table: &str) -> Scope {
    let columns: Vec<Visible> = columns
        .into_iter()
        .map(|c| Visible { table: table.to_string(), name: c.name, column: c.column, ty: c.ty, merged: false })
        .collect();
    let star = (0..columns.len()).collect();
    Scope { columns, star, tables: vec![table.to_string()] }
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
