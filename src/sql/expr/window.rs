//! Window functions: `f(x) OVER (PARTITION BY ... ORDER BY ... frame)`, those that PostgreSQL answers with whole rows as the
//! frame's ends (ROWS, GROUPS, and RANGE to UNBOUNDED and CURRENT ROW).

use std::sync::Arc;

use datafusion::functions_window::{cume_dist, lead_lag, nth_value, ntile, rank, row_number};
use datafusion::logical_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr, WindowFrame, WindowFrameBound as Bound, WindowFrameUnits as Units, WindowFunctionDefinition, WindowUDF,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, FunctionArguments, NamedWindowExpr, WindowType};
use zset::ColumnType as T;

use super::bind::Binder;
use super::{Typed, call, cast, function, literal, operator};
use crate::aggregates::{self, Function};
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::statements::identifier;

/// A window, bound.
struct Window {
    partition: Vec<Expr>,
    order: Vec<Sort>,
    frame: WindowFrame,
    /// Whether rows leave the frame while it moves on.
    slides: bool,
}

/// What is called over a window.
struct Called {
    function: WindowFunctionDefinition,
    arguments: Vec<Expr>,
    ty: zset::ColumnType,
    /// The Arrow type it gives, where that is not its type's.
    cast: bool,
}

impl Binder<'_> {
    /// A call with OVER.
    pub(super) fn window(&mut self, name: &str, call: &ast::Function, over: &WindowType) -> Result<Typed> {
        let Some(windows) = self.windows else {
            let clause = self.clause;
            return Err(error(code::WINDOWING, format!("window functions are not allowed in {clause}"))
                .with_hint("compute it in a subquery in FROM first"));
        };
        if call.null_treatment.is_some() || !call.within_group.is_empty() || call.uses_odbc_syntax {
            return Err(unsupported(format!("{call}"), "call the function plainly: name(arguments) OVER (...)"));
        }
        let FunctionArguments::List(list) = &call.args else {
            return Err(syntax(format!("{name} needs parentheses: {name}() OVER (...)")));
        };
        if list.duplicate_treatment.is_some() {
            return Err(unsupported("DISTINCT in a window function", "count distinct values in a subquery in FROM"));
        }
        let spec = specification(over, windows)?;
        let aggregates = self.aggregates;
        let mut inner = self.within("a window", aggregates);
        let window = inner.specified(&spec)?;
        inner.clause = "the arguments of a window function";
        let filter = match &call.filter {
            None => None,
            Some(_) if !inner.is_aggregate(name) => {
                return Err(unsupported("FILTER for a window function that is no aggregate", "use CASE WHEN"));
            }
            Some(ast) => Some(Box::new(inner.within("FILTER", aggregates).condition(ast)?.expr)),
        };
        let called = inner.called(name, list, &window)?;
        let params = WindowFunctionParams {
            args: called.arguments,
            partition_by: window.partition,
            order_by: window.order,
            window_frame: window.frame,
            filter,
            null_treatment: None,
            distinct: false,
        };
        let mut expr = Expr::WindowFunction(Box::new(WindowFunction { fun: called.function, params }));
        if called.cast {
            expr = datafusion::logical_expr::cast(expr, called.ty.arrow());
        }
        Ok(Typed::new(expr, called.ty))
    }

    fn specified(&mut self, spec: &ast::WindowSpec) -> Result<Window> {
        let mut partition = Vec::with_capacity(spec.partition_by.len());
        for ast in &spec.partition_by {
            let typed = self.bind(ast)?;
            let typed = if typed.ty.is_none() { cast::of_unknown(typed, T::Text)? } else { typed };
            crate::query::refuse_jsonb(typed.ty, "PARTITION BY")?;
            partition.push(operator::canonical(typed)?.expr);
        }
        let order = spec.order_by.iter().map(|key| self.sort_key(key)).collect::<Result<Vec<_>>>()?;
        let (frame, slides) = frame(spec.window_frame.as_ref(), !order.is_empty())?;
        Ok(Window { partition, order, frame, slides })
    }

    /// An item of ORDER BY inside an expression, with PostgreSQL's place for NULLs: last, going down first.
    pub(super) fn sort_key(&mut self, key: &ast::OrderByExpr) -> Result<Sort> {
        if key.with_fill.is_some() {
            return Err(unsupported("WITH FILL", "leave it out"));
        }
        let typed = self.bind(&key.expr)?;
        let typed = if typed.ty.is_none() { cast::of_unknown(typed, T::Text)? } else { typed };
        crate::query::refuse_jsonb(typed.ty, "ORDER BY")?;
        let asc = key.options.asc.unwrap_or(true);
        let nulls_first = key.options.nulls_first.unwrap_or(!asc);
        Ok(Sort::new(operator::canonical(typed)?.expr, asc, nulls_first))
    }

    fn called(&mut self, name: &str, list: &ast::FunctionArgumentList, window: &Window) -> Result<Called> {
        if self.is_aggregate(name) {
            let resolved = self.resolved(name, list, false)?;
            refuse_sliding(name, &resolved.function, window.slides)?;
            let function = WindowFunctionDefinition::AggregateUDF(resolved.function);
            return Ok(Called { function, arguments: resolved.arguments, ty: resolved.output, cast: false });
        }
        if !list.clauses.is_empty() {
            return Err(call::not_aggregate(name));
        }
        let arguments = list.args.iter().map(|one| self.argument(name, one)).collect::<Result<Vec<_>>>()?;
        let count = arguments.len();
        let of = |function: Arc<WindowUDF>, arguments, ty, cast| {
            Ok(Called { function: WindowFunctionDefinition::WindowUDF(function), arguments, ty, cast })
        };
        match (name, count) {
            ("row_number", 0) => of(row_number::row_number_udwf(), vec![], T::BigInt, true),
            ("rank", 0) => of(rank::rank_udwf(), vec![], T::BigInt, true),
            ("dense_rank", 0) => of(rank::dense_rank_udwf(), vec![], T::BigInt, true),
            ("percent_rank", 0) => of(rank::percent_rank_udwf(), vec![], T::Double, false),
            ("cume_dist", 0) => of(cume_dist::cume_dist_udwf(), vec![], T::Double, false),
            ("ntile", 1) => {
                let n = literal_integer(name, &arguments[0])?;
                if n <= 0 {
                    return Err(error("22014", "argument of ntile must be greater than zero"));
                }
                of(ntile::ntile_udwf(), vec![Expr::Literal(ScalarValue::Int64(Some(n)), None)], T::Int, true)
            }
            ("lag" | "lead", 1..=3) => {
                let function = if name == "lag" { lead_lag::lag_udwf() } else { lead_lag::lead_udwf() };
                let (arguments, ty) = offset_arguments(name, arguments)?;
                of(function, arguments, ty, false)
            }
            ("first_value" | "last_value", 1) => {
                let typed = typed(arguments.into_iter().next())?;
                let last = name == "last_value";
                let function = if last { nth_value::last_value_udwf() } else { nth_value::first_value_udwf() };
                of(function, vec![typed.0], typed.1, false)
            }
            ("nth_value", 2) => {
                let n = literal_integer(name, &arguments[1])?;
                if n <= 0 {
                    return Err(error("22016", "argument of nth_value must be greater than zero"));
                }
                let typed = typed(arguments.into_iter().next())?;
                let n = Expr::Literal(ScalarValue::Int64(Some(n)), None);
                of(nth_value::nth_value_udwf(), vec![typed.0, n], typed.1, false)
            }
            _ => Err(unknown(name, &arguments)),
        }
    }
}

/// The functions that need a window.
pub(super) fn is_window_function(name: &str) -> bool {
    matches!(
        name,
        "row_number"
            | "rank"
            | "dense_rank"
            | "percent_rank"
            | "cume_dist"
            | "ntile"
            | "lag"
            | "lead"
            | "first_value"
            | "last_value"
            | "nth_value"
    )
}

fn unknown(name: &str, arguments: &[Typed]) -> dataflow::StatementError {
    if !is_window_function(name) && function::call(name, arguments.to_vec()).is_ok() {
        return error(
            code::WRONG_OBJECT_TYPE,
            format!("OVER specified, but {name} is not a window function nor an aggregate function"),
        )
        .with_hint("leave OVER out");
    }
    let types: Vec<&str> = arguments.iter().map(Typed::type_name).collect();
    error(code::UNDEFINED_FUNCTION, format!("window function {name}({}) does not exist", types.join(", "))).with_hint(
        "the window functions are row_number, rank, dense_rank, percent_rank, cume_dist, ntile, lag, lead, first_value, \
         last_value, nth_value, and the aggregates",
    )
}

fn typed(argument: Option<Typed>) -> Result<(Expr, zset::ColumnType)> {
    let typed = argument.ok_or_else(|| syntax("a window function needs its argument"))?;
    let typed = if typed.ty.is_none() { cast::of_unknown(typed, T::Text)? } else { typed };
    let ty = typed.ty.unwrap_or(T::Text);
    Ok((typed.expr, ty))
}

/// `lag(x [, offset [, default]])`: the offset and the default are literals.
fn offset_arguments(name: &str, mut arguments: Vec<Typed>) -> Result<(Vec<Expr>, zset::ColumnType)> {
    let default = (arguments.len() == 3).then(|| arguments.remove(2));
    let offset = (arguments.len() == 2).then(|| arguments.remove(1));
    let (mut value, mut ty) = typed(arguments.pop())?;
    let offset = match offset {
        None => 1,
        Some(typed) => literal_integer(name, &typed)?,
    };
    let mut list = vec![Expr::Literal(ScalarValue::Int64(Some(offset)), None)];
    if let Some(default) = default {
        let common = cast::common_of(&[Some(ty), default.ty], name)?;
        let wrong = |t: &Typed| format!("{name} cannot be {}", t.type_name());
        let default = cast::implicit(default, common, wrong)?;
        if literal::value_of(&default.expr).is_none() {
            return Err(unsupported(
                format!("a default of {name} that is not a literal"),
                format!("use coalesce({name}(x) OVER (...), y)"),
            ));
        }
        value = cast::implicit(Typed::new(value, ty), common, wrong)?.expr;
        ty = common;
        list.push(default.expr);
    }
    list.insert(0, value);
    Ok((list, ty))
}

fn literal_integer(name: &str, typed: &Typed) -> Result<i64> {
    literal::integer_of(typed).ok_or_else(|| {
        unsupported(format!("an argument of {name} that is not a whole number"), "write it as a literal, as in 2")
    })
}

/// Rows that leave a frame must be able to leave the aggregate.
fn refuse_sliding(name: &str, function: &datafusion::logical_expr::AggregateUDF, slides: bool) -> Result<()> {
    let stays = aggregates::of(function).is_some_and(|ours| matches!(ours.function, Function::StringAgg(_)));
    if slides && stays {
        return Err(unsupported(
            format!("{name} over a frame that does not begin with UNBOUNDED PRECEDING"),
            "begin the frame with UNBOUNDED PRECEDING",
        ));
    }
    Ok(())
}

/// The specification of a window: its own, one by name, or one that adds to one by name.
fn specification(over: &WindowType, windows: &[ast::NamedWindowDefinition]) -> Result<ast::WindowSpec> {
    match over {
        WindowType::NamedWindow(name) => named(name, windows, 0),
        WindowType::WindowSpec(spec) => merged(spec, windows, 0),
    }
}

fn named(name: &ast::Ident, windows: &[ast::NamedWindowDefinition], depth: usize) -> Result<ast::WindowSpec> {
    let wanted = identifier(name);
    let missing = || error(code::UNDEFINED_OBJECT, format!("window \"{wanted}\" does not exist")).at(name.span);
    let found = windows.iter().find(|window| identifier(&window.0) == wanted).ok_or_else(missing)?;
    if depth > windows.len() {
        return Err(missing());
    }
    match &found.1 {
        NamedWindowExpr::NamedWindow(other) => named(other, windows, depth + 1),
        NamedWindowExpr::WindowSpec(spec) => merged(spec, windows, depth + 1),
    }
}

fn merged(spec: &ast::WindowSpec, windows: &[ast::NamedWindowDefinition], depth: usize) -> Result<ast::WindowSpec> {
    let Some(base) = &spec.window_name else { return Ok(spec.clone()) };
    let name = identifier(base);
    let mut base = named(base, windows, depth)?;
    let refused = |what: &str| Err(error(code::WINDOWING, format!("cannot {what} window \"{name}\"")));
    if !spec.partition_by.is_empty() {
        return refused("override PARTITION BY clause of");
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return refused("override ORDER BY clause of");
    }
    if base.window_frame.is_some() {
        return refused("copy, because it has a frame clause,");
    }
    if !spec.order_by.is_empty() {
        base.order_by.clone_from(&spec.order_by);
    }
    base.window_frame.clone_from(&spec.window_frame);
    base.window_name = None;
    Ok(base)
}

/// Where an end of a frame is, counted from the current row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Offset(i64),
    Last,
}

/// The frame, and whether rows leave it while it moves on.
fn frame(given: Option<&ast::WindowFrame>, ordered: bool) -> Result<(WindowFrame, bool)> {
    let Some(given) = given else {
        let units = if ordered { Units::Range } else { Units::Rows };
        let end = if ordered { End::Offset(0) } else { End::Last };
        return Ok((WindowFrame::new_bounds(units, bound(End::First), bound(end)), false));
    };
    let start = end_of(&given.start_bound)?;
    let end = given.end_bound.as_ref().map_or(Ok(End::Offset(0)), end_of)?;
    let windowing = |message: &str| Err(error(code::WINDOWING, message));
    match (start, end) {
        (End::Last, _) => return windowing("frame start cannot be UNBOUNDED FOLLOWING"),
        (_, End::First) => return windowing("frame end cannot be UNBOUNDED PRECEDING"),
        (End::Offset(a), End::Offset(b)) if a > b => {
            return Err(unsupported("a frame that ends before it starts", "give its ends in their order"));
        }
        _ => {}
    }
    let distance = |end: End| matches!(end, End::Offset(n) if n != 0);
    let units = match given.units {
        ast::WindowFrameUnits::Rows => Units::Rows,
        ast::WindowFrameUnits::Groups if !ordered => {
            return windowing("GROUPS mode requires an ORDER BY clause");
        }
        ast::WindowFrameUnits::Groups => Units::Groups,
        ast::WindowFrameUnits::Range if distance(start) || distance(end) => {
            return Err(unsupported("RANGE with a distance", "use ROWS or GROUPS"));
        }
        // all rows are peers
        ast::WindowFrameUnits::Range if !ordered => {
            return Ok((WindowFrame::new_bounds(Units::Rows, bound(End::First), bound(End::Last)), false));
        }
        ast::WindowFrameUnits::Range => Units::Range,
    };
    Ok((WindowFrame::new_bounds(units, bound(start), bound(end)), start != End::First))
}

fn end_of(bound: &ast::WindowFrameBound) -> Result<End> {
    let offset = |ast: &ast::Expr| {
        let ast::Expr::Value(value) = ast else { return Err(offset_refused(ast)) };
        let ast::Value::Number(digits, _) = &value.value else { return Err(offset_refused(ast)) };
        digits.parse::<i64>().map_err(|_| offset_refused(ast))
    };
    Ok(match bound {
        ast::WindowFrameBound::CurrentRow => End::Offset(0),
        ast::WindowFrameBound::Preceding(None) => End::First,
        ast::WindowFrameBound::Following(None) => End::Last,
        ast::WindowFrameBound::Preceding(Some(n)) => End::Offset(-offset(n)?),
        ast::WindowFrameBound::Following(Some(n)) => End::Offset(offset(n)?),
    })
}

fn offset_refused(ast: &ast::Expr) -> dataflow::StatementError {
    unsupported(format!("the frame distance {ast}"), "write a whole number")
}

fn bound(end: End) -> Bound {
    let distance = |n: i64| ScalarValue::UInt64(Some(n.unsigned_abs()));
    match end {
        End::First => Bound::Preceding(ScalarValue::UInt64(None)),
        End::Last => Bound::Following(ScalarValue::UInt64(None)),
        End::Offset(0) => Bound::CurrentRow,
        End::Offset(n) if n < 0 => Bound::Preceding(distance(n)),
        End::Offset(n) => Bound::Following(distance(n)),
    }
}
