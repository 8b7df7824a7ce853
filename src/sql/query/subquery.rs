//! Subqueries in expressions: `(SELECT ...)`, EXISTS, IN, ANY, ALL, whatever they take from the queries around them.
//!
//! In a plan a subquery is a function. Its arguments are the value that is compared with its rows, if one is, and then what
//! its plan takes from outside: a column of the query around it is one of its arguments, and inside a placeholder
//! `o<frame>.<number>`. The function is run by `run::subplan`, once for every distinct row of arguments; so it answers what
//! PostgreSQL's subplans answer, in every shape, and fails only if it is asked. The last argument is a placeholder too, so
//! that no optimizer takes the call for a constant.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, not_impl_err};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Operator, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::sql::sqlparser::ast;
use zset::{Column, ColumnType};

use super::{Planner, Scope, series};
use crate::error::{Result, code, error, from_datafusion, syntax};
use crate::expr::host::Asked;
use crate::expr::{Typed, operator, parameter};

/// What a subquery is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Its one value; NULL without rows.
    Value,
    /// Whether it has rows.
    Exists,
    /// Whether a comparison with its values holds, for one or for all.
    Quantified { op: Operator, all: bool },
}

/// A subquery as a function.
#[derive(Debug)]
pub(crate) struct Subquery {
    /// Its number in the statement.
    pub(crate) frame: usize,
    pub(crate) kind: Kind,
    pub(crate) plan: LogicalPlan,
    pub(crate) output: ColumnType,
    /// How many arguments are its placeholders' values; they are behind the compared one.
    pub(crate) captured: usize,
    name: String,
    signature: Signature,
}

impl PartialEq for Subquery {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}

impl Eq for Subquery {}

impl Hash for Subquery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.frame.hash(state);
    }
}

impl ScalarUDFImpl for Subquery {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.output.arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        Ok(Arc::new(Column::new(self.name.clone(), self.output, true).field()))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        not_impl_err!("{} is run as a subplan", self.name)
    }
}

impl Subquery {
    /// The same subquery with another plan of the same columns.
    pub(crate) fn with_plan(&self, plan: LogicalPlan) -> Self {
        let (name, signature) = (self.name.clone(), self.signature.clone());
        Self { plan, name, signature, ..*self }
    }
}

/// The subquery of a function, if it is one.
pub(crate) fn of(function: &ScalarUDF) -> Option<&Subquery> {
    function.inner().downcast_ref::<Subquery>()
}

/// A query around a subquery: what of it may be named, and what has been.
#[derive(Debug)]
pub(super) struct Frame {
    number: usize,
    scope: Scope,
    captured: Vec<(Expr, ColumnType)>,
}

/// The name of the placeholder of what a frame captured.
pub(crate) fn captured_name(frame: usize, at: usize) -> String {
    format!("o{frame}.{at}")
}

/// The frame and the place of a captured value, by its placeholder's name.
pub(crate) fn captured_of(name: &str) -> Option<(usize, usize)> {
    let (frame, at) = name.strip_prefix('o')?.split_once('.')?;
    Some((frame.parse().ok()?, at.parse().ok()?))
}

/// The name of the argument that keeps a call from being a constant.
pub(crate) const CALLED: &str = "called";

impl Planner<'_> {
    /// A column of the queries around, taken through every frame between.
    pub(super) fn outer_column(&mut self, level: usize, table: Option<&str>, name: &str) -> Result<Option<Typed>> {
        let Some(frame) = level.checked_sub(1).and_then(|at| self.frames.get(at)) else { return Ok(None) };
        let found = match frame.scope.column(table, name) {
            Ok(typed) => typed,
            Err(e)
                if e.sqlstate == code::UNDEFINED_TABLE || (e.sqlstate == code::UNDEFINED_COLUMN && table.is_none()) =>
            {
                match self.outer_column(level - 1, table, name)? {
                    Some(typed) => typed,
                    None => return Ok(None),
                }
            }
            Err(e) => return Err(e),
        };
        let ty = found.ty.ok_or_else(|| error(code::INTERNAL, format!("the column {name} has no type")))?;
        let frame = &mut self.frames[level - 1];
        let at = frame.captured.iter().position(|(expr, _)| *expr == found.expr).unwrap_or_else(|| {
            frame.captured.push((found.expr, ty));
            frame.captured.len() - 1
        });
        Ok(Some(Typed::new(parameter::expr(&captured_name(frame.number, at), Some(ty)), ty)))
    }

    /// A subquery over a scope.
    pub(super) fn plan_subquery(&mut self, scope: &Scope, query: &ast::Query, asked: Asked) -> Result<Typed> {
        self.frame_count += 1;
        let number = self.frame_count;
        self.frames.push(Frame { number, scope: scope.clone(), captured: Vec::new() });
        let planned = self.query(query);
        let frame = self.frames.pop().ok_or_else(|| error(code::INTERNAL, "a subquery lost its frame"))?;
        let planned = planned?;
        let (mut plan, mut output) = (planned.plan, ColumnType::Boolean);
        let mut arguments = Vec::new();
        let kind = match asked {
            Asked::Exists => Kind::Exists,
            Asked::Value => {
                let [column] = planned.columns.as_slice() else {
                    return Err(syntax("subquery must return only one column"));
                };
                output = column.ty;
                Kind::Value
            }
            Asked::Quantified { left, op, all } => {
                let [column] = planned.columns.as_slice() else {
                    return Err(syntax("subquery has too many columns"));
                };
                let value = Typed::new(Expr::Column(column.column.clone()), column.ty);
                let symbol = if op == Operator::NotEq { "<>".to_string() } else { op.to_string() };
                let (left, value) = operator::comparands(left, value, &symbol)?;
                let projection = Projection::try_new(vec![value.alias("value")], Arc::new(plan));
                plan = LogicalPlan::Projection(projection.map_err(from_datafusion)?);
                arguments.push(left);
                Kind::Quantified { op, all }
            }
        };
        let captured = frame.captured.len();
        arguments.extend(frame.captured.into_iter().map(|(expr, _)| expr));
        arguments.extend(foreign(&plan, number)?);
        arguments.push(parameter::expr(CALLED, Some(ColumnType::Boolean)));
        let signature = Signature::new(TypeSignature::Any(arguments.len()), Volatility::Immutable);
        let name = format!("subquery_{number}");
        let function = Subquery { frame: number, kind, plan, output, captured, name, signature };
        let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), arguments);
        Ok(Typed::new(Expr::ScalarFunction(call), output))
    }
}

/// What a subquery's plan has captured by other frames (a WITH query from outside): its answer depends on these too.
fn foreign(plan: &LogicalPlan, own: usize) -> Result<Vec<Expr>> {
    let mut found: Vec<Expr> = Vec::new();
    let mut inside: Vec<usize> = vec![own];
    each_expression(plan, &mut |node| {
        match node {
            Expr::ScalarFunction(call) => inside.extend(of(&call.func).map(|subquery| subquery.frame)),
            Expr::Placeholder(Placeholder { id, .. }) if captured_of(id).is_some() && !found.contains(node) => {
                found.push(node.clone());
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    found.retain(|node| match node {
        Expr::Placeholder(Placeholder { id, .. }) => captured_of(id).is_some_and(|(frame, _)| !inside.contains(&frame)),
        _ => false,
    });
    Ok(found)
}

/// Visits every expression of a plan and all in it, those of its subqueries too.
pub(crate) fn each_expression(
    plan: &LogicalPlan,
    visit: &mut dyn FnMut(&Expr) -> DfResult<TreeNodeRecursion>,
) -> DfResult<()> {
    plan.apply(|node| {
        let mut inner: Vec<LogicalPlan> = Vec::new();
        let mut one = |expr: &Expr, inner: &mut Vec<LogicalPlan>| {
            expr.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && let Some(subquery) = of(&call.func)
                {
                    inner.push(subquery.plan.clone());
                }
                visit(part)
            })
        };
        node.apply_expressions(|expr| {
            one(expr, &mut inner)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if let LogicalPlan::TableScan(scan) = node
            && let Some(series) = series::of(scan)
        {
            for expr in series.arguments() {
                one(expr, &mut inner)?;
            }
        }
        for plan in &inner {
            each_expression(plan, visit)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
