//! SELECT: items, WHERE, GROUP BY, HAVING, DISTINCT.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr as Ast, GroupByExpr, NamedWindowDefinition, ObjectName, OrderByExpr, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Spanned, Value, WildcardAdditionalOptions,
};

use super::order::{Key, OrderKey, Rows};
use super::scope::Scope;
use super::set_operation::Body;
use super::{Planner, group, windows};
use crate::error::{Detail, Result, code, error, from_datafusion, syntax, unsupported};
use crate::expr::bind::Binder;
use crate::expr::host::Host;
use crate::expr::{Typed, cast, names};
use crate::statements::{identifier, object_name};

/// An item of the SELECT list: its expression, if it was written as one, typed, and its name.
pub(super) struct Item<'a> {
    ast: Option<&'a Ast>,
    pub(super) typed: Typed,
    pub(super) name: String,
}

impl Planner<'_> {
    /// A SELECT, in an order.
    pub(crate) fn select(&mut self, select: &Select, order: &[&OrderByExpr]) -> Result<Body> {
        refuse_clauses(select, self.is_client()).at(select.select_token.0.span)?;
        let windows = select.named_window.as_slice();
        let (mut plan, scope) = self.from(&select.from)?;
        if let Some(condition) = &select.selection {
            let condition = Binder::new(&scope, "WHERE", self).condition(condition)?;
            plan = filter(plan, condition.expr)?;
        }
        let items = self.items(&select.projection, &scope, windows)?;
        let rows = self.rows_of(select, &items, &scope)?;
        let mut order = self.order(order, &items, &scope, windows)?;
        if matches!(rows, Rows::Once) && order.iter().any(|key| matches!(key.key, Key::Beside(_))) {
            return Err(error(
                code::INVALID_COLUMN_REFERENCE,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            ));
        }
        let keys = self.group_by(&select.group_by, &items, &scope)?;
        let having = match &select.having {
            None => None,
            Some(ast) => Some(self.grouped(&scope, "HAVING", None).condition(ast)?),
        };
        let mut rows = rows;
        let mut list: Vec<(Typed, String)> = items.into_iter().map(|item| (item.typed, item.name)).collect();
        let width = list.len();
        // what is beside the items goes through the groups and the windows with them
        let mut beside: Vec<&mut Typed> = beside(&mut order, &mut rows);
        list.extend(beside.iter().map(|typed| ((**typed).clone(), String::new())));
        let aggregates =
            list.iter().map(|(typed, _)| typed).chain(&having).any(|typed| group::has_aggregate(&typed.expr));
        let (mut plan, mut list) = if aggregates || having.is_some() || !keys.is_empty() {
            let mut keys = keys;
            if self.is_client() {
                let expressions = list.iter().map(|(typed, _)| typed).chain(&having);
                keys.extend(group::determined(&scope, &keys, expressions)?);
            }
            group::group(plan, &scope, keys, list, having, self.is_client())?
        } else {
            (plan, list)
        };
        if self.is_client() {
            let mut expressions: Vec<Expr> = list.iter().map(|(typed, _)| typed.expr.clone()).collect();
            plan = windows::computed(plan, &mut expressions)?;
            for ((typed, _), expr) in list.iter_mut().zip(expressions) {
                typed.expr = expr;
            }
        }
        for (place, (typed, _)) in beside.iter_mut().zip(list.drain(width..)) {
            **place = typed;
        }
        Ok(Body::Select { input: plan, items: list, rows, order })
    }

    /// How often equal rows count.
    fn rows_of(&mut self, select: &Select, items: &[Item], scope: &Scope) -> Result<Rows> {
        match &select.distinct {
            None | Some(Distinct::All) => Ok(Rows::All),
            Some(Distinct::Distinct) => Ok(Rows::Once),
            Some(Distinct::On(keys)) if self.is_client() => {
                let mut all = Vec::with_capacity(keys.len());
                for ast in keys {
                    let key = self.key(ast, items, scope, &select.named_window, "DISTINCT ON").at(ast.span())?;
                    all.push(key);
                }
                Ok(Rows::FirstOf(all))
            }
            Some(Distinct::On(_)) => {
                let hint = "use GROUP BY with min or max, joined with the table for the other columns";
                Err(unsupported("DISTINCT ON", hint).at(select.select_token.0.span))
            }
        }
    }

    /// A binder of expressions over groups.
    fn grouped<'s>(
        &'s mut self,
        scope: &'s Scope,
        clause: &'static str,
        windows: Option<&'s [NamedWindowDefinition]>,
    ) -> Binder<'s> {
        Binder { scope, clause, aggregates: true, windows, host: self }
    }

    fn items<'a>(
        &mut self,
        projection: &'a [SelectItem],
        scope: &Scope,
        windows: &[NamedWindowDefinition],
    ) -> Result<Vec<Item<'a>>> {
        let mut items = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(ast) => {
                    let typed = self.grouped(scope, "SELECT", Some(windows)).bind(ast)?;
                    items.push(Item { ast: Some(ast), typed, name: names::column_name(ast) });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let typed = self.grouped(scope, "SELECT", Some(windows)).bind(expr)?;
                    items.push(Item { ast: Some(expr), typed, name: identifier(alias) });
                }
                SelectItem::Wildcard(options) => {
                    refuse_star_options(options).at(item.span())?;
                    if scope.tables.is_empty() {
                        return Err(syntax("SELECT * with no tables specified is not valid").at(item.span()));
                    }
                    items.extend(scope.star.iter().map(|&at| column(scope, at)));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    refuse_star_options(options).at(item.span())?;
                    items.extend(qualified_star(name, scope).at(item.span())?);
                }
                other => {
                    return Err(unsupported(format!("the item {other}"), "write expression AS name").at(item.span()));
                }
            }
        }
        Ok(items)
    }

    /// GROUP BY: columns before output names, output names before nothing, numbers by position, as PostgreSQL has it.
    fn group_by(&mut self, group_by: &GroupByExpr, items: &[Item], scope: &Scope) -> Result<Vec<Typed>> {
        let list = match group_by {
            GroupByExpr::Expressions(list, modifiers) if modifiers.is_empty() => list,
            GroupByExpr::Expressions(..) => {
                return Err(unsupported("WITH ROLLUP, CUBE or TOTALS", "write a GROUP BY for each, with UNION ALL"));
            }
            GroupByExpr::All(_) => return Err(unsupported("GROUP BY ALL", "list the columns")),
        };
        let mut keys: Vec<Typed> = Vec::with_capacity(list.len());
        for ast in list {
            let key = self.group_key(ast, items, scope).at(ast.span())?;
            if group::has_aggregate(&key.expr) {
                return Err(error(code::GROUPING, "aggregate functions are not allowed in GROUP BY")
                    .with_hint("aggregate in a subquery in FROM first")
                    .at(ast.span()));
            }
            let key = if key.ty.is_none() { cast::of_unknown(key, zset::ColumnType::Text)? } else { key };
            refuse_jsonb(key.ty, "GROUP BY").at(ast.span())?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn group_key(&mut self, ast: &Ast, items: &[Item], scope: &Scope) -> Result<Typed> {
        if let Ast::Value(value) = ast
            && !matches!(value.value, Value::Placeholder(_))
        {
            let Value::Number(digits, _) = &value.value else {
                return Err(syntax("non-integer constant in GROUP BY").with_hint("name a column or its position"));
            };
            let position = digits.parse::<usize>().map_err(|_| syntax("non-integer constant in GROUP BY"))?;
            let item = position.checked_sub(1).and_then(|at| items.get(at)).ok_or_else(|| {
                error(code::INVALID_COLUMN_REFERENCE, format!("GROUP BY position {position} is not in select list"))
            })?;
            return Ok(item.typed.clone());
        }
        if let Ast::Identifier(ident) = ast {
            let name = identifier(ident);
            if !scope.has(&name) {
                let mut named = items.iter().filter(|item| item.name == name);
                let first = named.next();
                if let (Some(first), Some(_)) = (first, named.find(|i| first.is_some_and(|f| f.typed != i.typed))) {
                    return Err(error(code::AMBIGUOUS_COLUMN, format!("GROUP BY \"{name}\" is ambiguous")).with_hint(
                        format!(
                            "several items have this name; the first is {}",
                            first.ast.map(ToString::to_string).unwrap_or_default()
                        ),
                    ));
                }
                if let Some(item) = first {
                    return Ok(item.typed.clone());
                }
            }
        }
        self.grouped(scope, "GROUP BY", None).bind(ast)
    }
}

/// The expressions of keys that are no items.
fn beside<'k>(order: &'k mut [OrderKey], rows: &'k mut Rows) -> Vec<&'k mut Typed> {
    let mut all: Vec<&mut Key> = order.iter_mut().map(|key| &mut key.key).collect();
    if let Rows::FirstOf(keys) = rows {
        all.extend(keys.iter_mut());
    }
    all.into_iter()
        .filter_map(|key| match key {
            Key::Beside(typed) => Some(typed),
            Key::Item(_) => None,
        })
        .collect()
}

fn column(scope: &Scope, at: usize) -> Item<'static> {
    let visible = &scope.columns[at];
    let typed = Typed::new(Expr::Column(visible.column.clone()), visible.ty);
    Item { ast: None, typed, name: visible.name.clone() }
}

fn qualified_star(name: &ObjectName, scope: &Scope) -> Result<Vec<Item<'static>>> {
    let table = object_name(name)?;
    if !scope.tables.contains(&table) {
        return Err(error(code::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\"")));
    }
    Ok((0..scope.columns.len()).filter(|&at| scope.columns[at].table == table).map(|at| column(scope, at)).collect())
}

fn refuse_star_options(options: &WildcardAdditionalOptions) -> Result<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    if opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_except.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some()
    {
        return Err(unsupported("* with EXCLUDE, EXCEPT, REPLACE, RENAME or ILIKE", "list the columns"));
    }
    Ok(())
}

/// jsonb is kept as a text, of which one document has many: it is no key.
pub(crate) fn refuse_jsonb(ty: Option<zset::ColumnType>, clause: &str) -> Result<()> {
    if ty != Some(zset::ColumnType::Jsonb) {
        return Ok(());
    }
    Err(unsupported(
        format!("{clause} over jsonb"),
        "one document has many texts here: use x::text if the texts are what you mean, or columns for its fields",
    ))
}

/// A filter.
pub(crate) fn filter(plan: LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan)).map_err(from_datafusion)?))
}

/// Every clause of a SELECT that is not planned.
fn refuse_clauses(select: &Select, client: bool) -> Result<()> {
    let plainly = "write SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ...";
    if (!select.named_window.is_empty() && !client) || select.qualify.is_some() {
        return Err(unsupported("WINDOW and QUALIFY", "use GROUP BY, or join the table with its own aggregate"));
    }
    if select.into.is_some() {
        return Err(unsupported("SELECT INTO", "use CREATE STREAM TABLE v AS SELECT ..."));
    }
    let others = [
        (!select.optimizer_hints.is_empty(), "optimizer hints"),
        (select.select_modifiers.is_some(), "modifiers of SELECT"),
        (select.top.is_some() || select.top_before_distinct, "TOP"),
        (select.exclude.is_some(), "EXCLUDE"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (select.value_table_mode.is_some(), "SELECT AS VALUE"),
        (!matches!(select.flavor, datafusion::sql::sqlparser::ast::SelectFlavor::Standard), "FROM before SELECT"),
    ];
    match others.iter().find(|(there, _)| *there) {
        Some((_, name)) => Err(unsupported(*name, plainly)),
        None if select.projection.is_empty() => {
            Err(syntax("SELECT without columns").with_hint("write the columns you want behind SELECT"))
        }
        None => Ok(()),
    }
}
