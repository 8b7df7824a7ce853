//! EXPLAIN: of a query the plan that will be run, of CREATE STREAM TABLE its operators with their expressions, their keys and
//! what each keeps. One text column, a line a row.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use dataflow::{
    Action, Eval, Limits, Planner as _, Prepared, Read, ResultColumn, ResultType, Rows, StatementError, View, Work,
};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::Query as Ast;
use datafusion::sql::sqlparser::parser::Parser;
use plan::{AggregateCall, AggregateFunction, Catalog, Graph, Node, NodeKind, TableDef, TableKind};
use zset::{Column, ColumnType, RowType};

use super::{client, compile, optimize, subquery};
use crate::error::{Detail, Result, code, error, from_datafusion, from_parser, unsupported};
use crate::expr::parameter::Parameters;
use crate::statements::Cursor;
use crate::{SqlPlanner, text};

const COLUMN: &str = "QUERY PLAN";

/// Lines of text as an answer.
#[derive(Debug)]
struct Lines(Vec<String>);

impl Read for Lines {
    fn run(&self, _: &[Option<String>], _: &Arc<View>, _: &Limits) -> Result<Rows, StatementError> {
        let schema = RowType(vec![Column::new(COLUMN, ColumnType::Text, true)]).schema();
        let lines = Arc::new(StringArray::from(self.0.clone()));
        let batch = RecordBatch::try_new(schema, vec![lines])
            .map_err(|e| error(code::INTERNAL, format!("cannot show the plan: {e}")))?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

fn answer(parameters: Vec<ColumnType>, lines: Vec<String>) -> Prepared {
    let column = ResultColumn { name: COLUMN.to_string(), ty: ResultType::Column(ColumnType::Text) };
    Prepared { parameters, columns: vec![column], notices: vec![], work: Work::Read(Arc::new(Lines(lines))) }
}

/// EXPLAIN; the cursor is behind it.
pub(crate) fn prepare(cursor: &mut Cursor, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Prepared> {
    let span = cursor.span();
    let plainly = "write EXPLAIN and the query, without options";
    for option in ["ANALYZE", "VERBOSE"] {
        if cursor.eat(&[option]) {
            return Err(unsupported(format!("EXPLAIN {option}"), plainly).at(span));
        }
    }
    match cursor.peek_word().unwrap_or_default().as_str() {
        "SELECT" | "VALUES" | "WITH" => {
            let ast = *cursor.parser.parse_query().map_err(from_parser)?;
            cursor.end()?;
            of_query(&ast, catalog, types)
        }
        "CREATE" => of_create(&text::from_location(cursor.text(), span.start), catalog),
        // EXPLAIN (ANALYZE, ...) or a query in parentheses
        "" => match cursor.parser.parse_query() {
            Ok(ast) => {
                cursor.end()?;
                of_query(&ast, catalog, types)
            }
            Err(_) => Err(unsupported("EXPLAIN with options", plainly).at(span)),
        },
        word => {
            Err(unsupported(format!("EXPLAIN {word}"), "explain a query, or CREATE STREAM TABLE v AS ...").at(span))
        }
    }
}

/// EXPLAIN of a client's query.
pub(crate) fn of_query(ast: &Ast, catalog: &Catalog, types: &[Option<ColumnType>]) -> Result<Prepared> {
    let mut parameters = Parameters::new(types);
    let planned = client(ast, catalog, &mut parameters)?;
    let mut lines = Vec::new();
    show(&planned.plan, "", &mut lines)?;
    Ok(answer(parameters.types(), lines))
}

/// A plan, and below it the subqueries in its expressions.
fn show(plan: &LogicalPlan, indent: &str, lines: &mut Vec<String>) -> Result<()> {
    let plan = optimize::optimize(plan.clone())?;
    lines.extend(plan.display_indent().to_string().lines().map(|line| format!("{indent}{line}")));
    let mut inner: Vec<(usize, LogicalPlan)> = Vec::new();
    // only its own: those of a subquery are shown below that
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            use datafusion::common::tree_node::TreeNode;
            expr.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && let Some(found) = subquery::of(&call.func)
                    && !inner.iter().any(|(frame, _)| *frame == found.frame)
                {
                    inner.push((found.frame, found.plan.clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(from_datafusion)?;
    for (frame, plan) in inner {
        lines.push(format!("{indent}subquery_{frame}, run for every distinct row of its arguments:"));
        show(&plan, &format!("{indent}  "), lines)?;
    }
    Ok(())
}

/// EXPLAIN CREATE STREAM TABLE, or MATERIALIZED VIEW; `statement` is what is behind EXPLAIN.
pub(crate) fn of_create(statement: &str, catalog: &Catalog) -> Result<Prepared> {
    let refused = || unsupported("EXPLAIN of this statement", "explain a query, or CREATE STREAM TABLE v AS ...");
    let lines = match SqlPlanner::new().plan(statement, catalog)?.action {
        Action::CreateStream { def, graph } => operators(&def, &graph, catalog),
        Action::Exists { name } => {
            let def = catalog.table_named(&name).ok_or_else(refused)?;
            let TableKind::Stream(stream) = &def.kind else { return Err(refused()) };
            let ast = text::read_again(&stream.query, Parser::parse_query)?;
            operators(def, &compile(&ast, catalog)?.graph, catalog)
        }
        _ => return Err(refused()),
    };
    Ok(answer(vec![], lines))
}

type Operators = Graph<Arc<dyn Eval>>;

fn operators(def: &TableDef, graph: &Operators, catalog: &Catalog) -> Vec<String> {
    let key: Vec<&str> = def.key_columns().map(|column| column.name.as_str()).collect();
    let key = if key.is_empty() { "none: equal rows are counted".to_string() } else { key.join(", ") };
    let mut lines = vec![
        format!("stream table {}", def.name),
        format!("  key: {key}"),
        format!("  rows are retracted: {}", if def.append_only() { "never" } else { "yes" }),
        "  keeps: its rows".to_string(),
    ];
    let only_come = graph.only_come();
    for (at, node) in graph.nodes.iter().enumerate().rev() {
        let columns: Vec<String> = node.output.0.iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
        lines.push(format!("{at}: {} -> ({})", name(node, catalog), columns.join(", ")));
        lines.extend(details(node).into_iter().map(|line| format!("  {line}")));
        lines.push(format!("  keeps: {}", kept(node, &only_come)));
    }
    lines
}

fn name(node: &Node<Arc<dyn Eval>>, catalog: &Catalog) -> String {
    match &node.kind {
        NodeKind::Input { table, .. } => {
            let name = catalog.table(*table).map_or_else(|| table.to_string(), |def| def.name.clone());
            format!("input {name}")
        }
        NodeKind::Filter { input, .. } => format!("filter of {input}"),
        NodeKind::Project { input, .. } => format!("project of {input}"),
        NodeKind::Join { left, right, left_keys, .. } if left_keys.is_empty() => {
            format!("cross join of {left} and {right}")
        }
        NodeKind::Join { left, right, .. } => format!("join of {left} and {right}"),
        NodeKind::Aggregate { input, .. } => format!("aggregate of {input}"),
        NodeKind::Distinct { input } => format!("distinct of {input}"),
        NodeKind::Union { inputs } => {
            format!("union of {}", inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        NodeKind::Values { rows } => format!("values, {} rows", rows.len()),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn details(node: &Node<Arc<dyn Eval>>) -> Vec<String> {
    match &node.kind {
        NodeKind::Filter { predicate, .. } => vec![format!("condition: {predicate}")],
        NodeKind::Project { expressions, .. } => vec![format!("expressions: {}", list(expressions))],
        NodeKind::Join { left_keys, right_keys, residual, .. } => {
            let mut lines = vec![format!("keys: [{}] = [{}]", list(left_keys), list(right_keys))];
            lines.extend(residual.iter().map(|residual| format!("condition: {residual}")));
            lines
        }
        NodeKind::Aggregate { group, calls, .. } => {
            vec![format!("keys: [{}]", list(group)), format!("calls: {}", list(calls))]
        }
        _ => vec![],
    }
}

/// The state of a node, as its operator keeps it. `only_come`: of each node, whether no row of its output ever goes.
fn kept(node: &Node<Arc<dyn Eval>>, only_come: &[bool]) -> String {
    match &node.kind {
        NodeKind::Input { .. } => "nothing (the table has its rows)".into(),
        NodeKind::Filter { .. } | NodeKind::Project { .. } | NodeKind::Union { .. } => "nothing".into(),
        NodeKind::Join { left_keys, .. } if left_keys.is_empty() => "the rows of both sides".into(),
        NodeKind::Join { .. } => "the rows of both sides, by their keys".into(),
        NodeKind::Distinct { .. } => "every row with its count".into(),
        NodeKind::Values { .. } => "that its rows were given".into(),
        NodeKind::Aggregate { input, group, calls } => {
            let only_come = only_come[input.0 as usize];
            let mut state = if group.is_empty() {
                "one group: its row count, its sums, its result".to_string()
            } else {
                "by group: its row count, its sums, its result".to_string()
            };
            let mut values: Vec<String> =
                calls.iter().filter(|call| keeps_values(call, only_come)).map(values_of).collect();
            values.dedup();
            if !values.is_empty() {
                state += &format!("; the values of {}", values.join(", "));
            }
            state
        }
    }
}

/// Whether an aggregate must know every value: to take one back, or to tell what is new.
fn keeps_values(call: &AggregateCall<Arc<dyn Eval>>, only_come: bool) -> bool {
    match call.function {
        AggregateFunction::Min | AggregateFunction::Max => !only_come,
        _ => call.distinct,
    }
}

fn values_of(call: &AggregateCall<Arc<dyn Eval>>) -> String {
    let argument = call.argument.as_ref().map(ToString::to_string).unwrap_or_default();
    match &call.filter {
        Some(filter) => format!("{argument} where {filter}"),
        None => argument,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{apply, shop, stream};

    #[test]
    fn the_values_of_a_source_are_not_kept_for_min_and_max() {
        let mut all = shop();
        let source = "CREATE SOURCE bids (customer integer, price bigint) \
                      WITH (connector = 'log', topic = 't', envelope = 'append')";
        apply(&mut all, source);
        let kept = |table: &str, calls: &str| {
            let (def, graph) = stream(&all, &format!("SELECT {calls} FROM {table} GROUP BY customer")).unwrap();
            let lines = operators(&def, &graph, &all);
            lines.into_iter().find(|line| line.contains("its row count")).unwrap()
        };
        let group = "  keeps: by group: its row count, its sums, its result";
        assert_eq!(kept("bids", "max(price), min(price)"), group);
        assert_eq!(kept("bids", "max(price), count(DISTINCT price)"), format!("{group}; the values of price@1"));
        assert_eq!(kept("clicks", "max(url)"), format!("{group}; the values of url@1"));
    }
}
