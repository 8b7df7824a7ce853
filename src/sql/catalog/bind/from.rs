//! FROM: the relations, and how they are joined. Each relation has a slot; a condition knows the slots it looks at.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as Ast, FunctionArg, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor,
    TableWithJoins,
};

use super::super::facts::relation_named;
use super::super::functions::Series;
use super::super::node::{
    Body, Comparison, Conjunct, Expr, From, JoinKind, Leaf, Node, Output, Query, SeriesCall, Source,
};
use super::super::ty::Ty;
use super::call::function_name;
use super::expr::chain;
use super::scope::{Relation, Scope};
use super::{Binder, Ctes};
use crate::error::{Result, code, error, unsupported};
use crate::expr::precedence::mended;
use crate::statements::identifier;

/// As many relations as a set of slots has bits.
const RELATIONS_MAX: usize = 64;

impl Binder<'_> {
    /// FROM, its relations put into the scope.
    pub(super) fn from(&self, tables: &[TableWithJoins], scope: &Scope, ctes: &Ctes) -> Result<Option<From>> {
        let mut from = None;
        for table in tables {
            let next = self.joined(table, scope, ctes)?;
            from = Some(match from {
                None => next,
                Some(left) => join(JoinKind::Inner, left, next, Vec::new()),
            });
        }
        Ok(from)
    }

    fn joined(&self, table: &TableWithJoins, scope: &Scope, ctes: &Ctes) -> Result<From> {
        let first = scope.relations.borrow().len();
        let mut left = self.factor(&table.relation, scope, ctes)?;
        for joined in &table.joins {
            let middle = scope.relations.borrow().len();
            let right = self.factor(&joined.relation, scope, ctes)?;
            let (kind, constraint) = operator(joined)?;
            let on = match constraint {
                JoinConstraint::On(ast) => self.conjuncts(ast, scope, ctes)?,
                JoinConstraint::Using(names) => {
                    names.iter().map(|name| self.using(name, first, middle, scope)).collect::<Result<_>>()?
                }
                JoinConstraint::None => Vec::new(),
                JoinConstraint::Natural => {
                    return Err(unsupported("NATURAL JOIN in a catalog query", "write JOIN ... USING (columns)"));
                }
            };
            left = join(kind, left, right, on);
        }
        Ok(left)
    }

    /// A column that both sides have; behind the join it is one.
    fn using(&self, name: &ObjectName, first: usize, middle: usize, scope: &Scope) -> Result<Conjunct> {
        let name = function_name(name)?;
        let mut relations = scope.relations.borrow_mut();
        let find = |range: std::ops::Range<usize>, relations: &[Relation]| {
            range.clone().find_map(|slot| {
                let at = relations[slot].columns.iter().position(|column| column.name == name)?;
                Some((slot, at, relations[slot].columns[at].ty))
            })
        };
        let end = relations.len();
        let (Some(left), Some(right)) = (find(first..middle, &relations), find(middle..end, &relations)) else {
            let message = format!("column \"{name}\" specified in USING clause does not exist on both sides");
            return Err(error(code::UNDEFINED_COLUMN, message));
        };
        relations[right.0].merged.push(right.1);
        let column = |(slot, at, ty)| Expr::new(Node::Column { up: 0, slot, at }, ty);
        let slots = (1 << left.0, 1 << right.0);
        let expr = self.compare(Comparison::Equal, column(left), column(right))?;
        Ok(Conjunct { expr, slots: slots.0 | slots.1, equality: Some(slots) })
    }

    /// A condition, taken apart at its ANDs.
    pub(super) fn conjuncts(&self, ast: &Ast, scope: &Scope, ctes: &Ctes) -> Result<Vec<Conjunct>> {
        if let Some(mended) = mended(ast) {
            return self.conjuncts(&mended, scope, ctes);
        }
        match ast {
            Ast::Nested(inner) => self.conjuncts(inner, scope, ctes),
            Ast::BinaryOp { op: op @ BinaryOperator::And, .. } => {
                let parts = chain(ast, op).into_iter().map(|part| self.conjuncts(part, scope, ctes));
                Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
            }
            Ast::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let (left, a) = scope.watch(|| self.expr(left, scope, ctes))?;
                let (right, b) = scope.watch(|| self.expr(right, scope, ctes))?;
                let expr = self.compare(Comparison::Equal, left, right)?;
                Ok(vec![Conjunct { expr, slots: a | b, equality: Some((a, b)) }])
            }
            other => {
                let (expr, slots) = scope.watch(|| self.expr(other, scope, ctes))?;
                Ok(vec![Conjunct { expr: self.coerce(expr, Ty::BOOL)?, slots, equality: None }])
            }
        }
    }

    fn factor(&self, factor: &TableFactor, scope: &Scope, ctes: &Ctes) -> Result<From> {
        match factor {
            TableFactor::Table { name, alias, args: None, with_ordinality: false, sample: None, .. } => {
                let alias = alias.as_ref();
                self.table(name, alias, scope, ctes)
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(name, &args.args, *with_ordinality, alias.as_ref(), scope, ctes)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                self.function(name, args, *with_ordinality, alias.as_ref(), scope, ctes)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, with_offset: false, .. } => {
                let bind = || {
                    let bound =
                        array_exprs.iter().map(|ast| self.series(Series::Unnest, vec![self.expr(ast, scope, ctes)?]));
                    bound.collect::<Result<Vec<_>>>()
                };
                let (calls, seen) = scope.watch(bind)?;
                self.series_leaf("unnest", calls, *with_ordinality, seen != 0, alias.as_ref(), scope)
            }
            TableFactor::Derived { subquery, alias, sample: None, .. } => {
                let (query, seen) = scope.watch(|| self.query(subquery, Some(scope), ctes))?;
                let columns = query.columns.clone();
                self.leaf(Source::Query(query), columns, "", None, seen != 0, alias.as_ref(), scope)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(table_with_joins, scope, ctes),
            other => {
                Err(unsupported(format!("FROM {other} in a catalog query"), "name relations, subqueries or functions"))
            }
        }
    }

    fn table(&self, name: &ObjectName, alias: Option<&TableAlias>, scope: &Scope, ctes: &Ctes) -> Result<From> {
        let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(identifier)).collect();
        let parts = parts.unwrap_or_default();
        if let [single] = parts.as_slice()
            && let Some(cte) = ctes.find(single)
        {
            let (mut query, seen) = scope.watch(|| self.query(&cte.ast, Some(scope), &cte.before))?;
            for (column, name) in query.columns.iter_mut().zip(&cte.columns) {
                column.name.clone_from(name);
            }
            let columns = query.columns.clone();
            return self.leaf(Source::Query(query), columns, single, None, seen != 0, alias, scope);
        }
        let (schema, last) = match parts.as_slice() {
            [name] => ("pg_catalog", name),
            [.., schema, name] => (schema.as_str(), name),
            [] => return Err(unsupported(format!("the relation {name}"), "give its name")),
        };
        let Some(relation) = relation_named(schema, last) else {
            return Err(self.no_relation(&parts, last));
        };
        let column = |column: &super::super::facts::Column| Output { name: column.name.to_string(), ty: column.ty };
        let columns = relation.columns.iter().map(column).collect();
        let meta = Some((relation.schema, relation.oid));
        self.leaf(Source::Relation(relation), columns, relation.name, meta, false, alias, scope)
    }

    /// Why a name is no relation of a catalog query.
    fn no_relation(&self, parts: &[String], last: &str) -> dataflow::StatementError {
        let name = parts.join(".");
        let user = parts.len() == 1 || parts.first().is_some_and(|schema| schema == super::super::world::PUBLIC);
        if user && self.world.catalog.name_taken(last) {
            return unsupported(
                format!("a query of both the catalog and \"{name}\""),
                "ask the catalog (pg_catalog, information_schema, and functions that tell of them) in a query of its own",
            );
        }
        error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
    }

    fn function(
        &self,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
        scope: &Scope,
        ctes: &Ctes,
    ) -> Result<From> {
        let name = function_name(name)?;
        let Some(series) = Series::named(&name) else {
            return self.single(&name, args, alias, scope, ctes);
        };
        let bind = || args.iter().map(|argument| self.argument(argument, scope, ctes)).collect::<Result<Vec<_>>>();
        let (arguments, seen) = scope.watch(bind)?;
        let calls = match series {
            Series::Unnest => {
                let each = arguments.into_iter().map(|argument| self.series(series, vec![argument]));
                each.collect::<Result<Vec<_>>>()?
            }
            _ => vec![self.series(series, arguments)?],
        };
        self.series_leaf(&name, calls, ordinality, seen != 0, alias, scope)
    }

    /// A function of one value: a relation of one row.
    fn single(
        &self,
        name: &str,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        scope: &Scope,
        ctes: &Ctes,
    ) -> Result<From> {
        self.queries.borrow_mut().push((Self::around(Some(scope)), false));
        let bound = scope.watch(|| {
            let inner = Scope::inside(Some(scope));
            let arguments = args.iter().map(|argument| self.argument(argument, &inner, ctes)).collect::<Result<_>>()?;
            self.named_call(name, arguments)
        });
        let correlated = self.queries.borrow_mut().pop().is_some_and(|query| query.1);
        let (call, seen) = bound?;
        let named = alias.map_or_else(|| name.to_string(), |alias| identifier(&alias.name));
        let columns = vec![Output { name: named, ty: call.ty }];
        let body = Body::Values(vec![vec![call]]);
        let id = self.number();
        let query =
            Query { id, correlated, columns: columns.clone(), body, order: Vec::new(), limit: None, offset: None };
        self.leaf(Source::Query(query), columns, name, None, seen != 0, alias, scope)
    }

    fn series_leaf(
        &self,
        name: &str,
        calls: Vec<SeriesCall>,
        ordinality: bool,
        lateral: bool,
        alias: Option<&TableAlias>,
        scope: &Scope,
    ) -> Result<From> {
        let mut columns = Vec::new();
        for call in &calls {
            let types: Vec<Ty> = call.arguments.iter().map(|argument| argument.ty).collect();
            for (name, ty) in call.series.columns(&types) {
                columns.push(Output { name: name.to_string(), ty });
            }
        }
        // a single column is called as the relation is
        if let ([column], Some(alias)) = (columns.as_mut_slice(), alias) {
            column.name = identifier(&alias.name);
        }
        if ordinality {
            columns.push(Output { name: "ordinality".to_string(), ty: Ty::INT8 });
        }
        self.leaf(Source::Series { calls, ordinality }, columns, name, None, lateral, alias, scope)
    }

    #[expect(clippy::too_many_arguments)]
    fn leaf(
        &self,
        source: Source,
        mut columns: Vec<Output>,
        name: &str,
        system: Option<(&'static str, i64)>,
        lateral: bool,
        alias: Option<&TableAlias>,
        scope: &Scope,
    ) -> Result<From> {
        if let Some(alias) = alias {
            if alias.columns.len() > columns.len() {
                let message = format!("table \"{}\" has {} columns available", alias.name, columns.len());
                return Err(error(code::INVALID_COLUMN_REFERENCE, message));
            }
            for (column, given) in columns.iter_mut().zip(&alias.columns) {
                column.name = identifier(&given.name);
            }
        }
        let mut relations = scope.relations.borrow_mut();
        if relations.len() == RELATIONS_MAX {
            return Err(unsupported(format!("a catalog query over more than {RELATIONS_MAX} relations"), "split it"));
        }
        relations.push(Relation {
            alias: alias.map_or_else(|| name.to_string(), |alias| identifier(&alias.name)),
            schema: system.filter(|_| alias.is_none()).map(|(schema, _)| schema),
            columns,
            merged: Vec::new(),
            oid: system.map(|(_, oid)| oid),
        });
        Ok(From::Leaf(Leaf { slot: relations.len() - 1, source, lateral }))
    }
}

fn join(kind: JoinKind, left: From, right: From, on: Vec<Conjunct>) -> From {
    From::Join { kind, left: Box::new(left), right: Box::new(right), on }
}

fn operator(joined: &Join) -> Result<(JoinKind, &JoinConstraint)> {
    Ok(match &joined.join_operator {
        JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => (JoinKind::Inner, on),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (JoinKind::Left, on),
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (JoinKind::Right, on),
        JoinOperator::FullOuter(on) => (JoinKind::Full, on),
        _ => {
            return Err(unsupported(format!("the join {joined} in a catalog query"), "use INNER, LEFT, RIGHT or FULL"));
        }
    })
}
