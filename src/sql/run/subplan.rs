//! Subqueries of expressions at work: the plan is run once for every distinct row of what it takes from outside, and its
//! answer kept.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, FieldRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use zset::{Column, ColumnType};

use super::context::Context;
use super::limits::carried;
use super::{settle, stream};
use crate::error::{code, error};
use crate::query::subquery::{Kind, Subquery};

/// A subquery's plan, and what it answered.
struct Subplan {
    name: String,
    frame: usize,
    kind: Kind,
    output: ColumnType,
    captured: usize,
    operators: Arc<dyn ExecutionPlan>,
    context: Context,
    answers: Mutex<Answers>,
    memory: MemoryReservation,
    signature: Signature,
}

/// Answers by the bytes of what was taken from outside.
#[derive(Default)]
struct Answers {
    known: HashMap<Box<[u8]>, Arc<Answer>>,
}

/// What a subquery answers.
enum Answer {
    Value(ArrayRef),
    Exists(bool),
    Values(Values),
}

/// The values of a subquery, in order, each once.
#[derive(Default)]
struct Values {
    sorted: Vec<Box<[u8]>>,
    null: bool,
}

impl std::fmt::Debug for Subplan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Subplan {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}

impl Eq for Subplan {}

impl Hash for Subplan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.frame.hash(state);
    }
}

/// The call of a subquery as a function that can be called.
pub(super) fn callable(subquery: &Subquery, arguments: Vec<Expr>, context: &Context) -> DfResult<Expr> {
    let compared = usize::from(matches!(subquery.kind, Kind::Quantified { .. }));
    let again = arguments.len() > compared + 1;
    let plan = settle::optimized(subquery.plan.clone()).map_err(carried)?;
    let operators = context.operators(plan, again)?;
    let memory = MemoryConsumer::new("answers of a subquery").register(context.memory());
    let subplan = Subplan {
        name: format!("subquery_{}", subquery.frame),
        frame: subquery.frame,
        kind: subquery.kind,
        output: subquery.output,
        captured: subquery.captured,
        operators,
        context: context.clone(),
        answers: Mutex::default(),
        memory,
        signature: Signature::any(arguments.len(), Volatility::Volatile),
    };
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(subplan)), arguments)))
}

impl ScalarUDFImpl for Subplan {
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

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        if rows == 0 {
            return Ok(ColumnarValue::Array(new_null_array(&self.output.arrow(), 0)));
        }
        let arrays: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<DfResult<_>>()?;
        let compared = usize::from(matches!(self.kind, Kind::Quantified { .. }));
        let outside = &arrays[compared..arrays.len() - 1];
        let (answers, places) = self.answers(outside, rows)?;
        Ok(ColumnarValue::Array(match self.kind {
            Kind::Value => {
                let values: Vec<&dyn Array> = answers
                    .iter()
                    .map(|answer| match answer.as_ref() {
                        Answer::Value(value) => Ok(value.as_ref()),
                        _ => internal_err!("a subquery of another kind"),
                    })
                    .collect::<DfResult<_>>()?;
                interleave(&values, &places.iter().map(|at| (*at, 0)).collect::<Vec<_>>())?
            }
            Kind::Exists => {
                let exists = |at: &usize| matches!(answers[*at].as_ref(), Answer::Exists(true));
                Arc::new(places.iter().map(|at| Some(exists(at))).collect::<BooleanArray>())
            }
            Kind::Quantified { op, all } => {
                let converter = RowConverter::new(vec![SortField::new(arrays[0].data_type().clone())])?;
                let bytes = converter.convert_columns(&arrays[..1])?;
                let holds = places.iter().enumerate().map(|(row, at)| match answers[*at].as_ref() {
                    Answer::Values(values) => values.holds(
                        (!arrays[0].is_null(row)).then(|| bytes.row(row)).as_ref().map(AsRef::as_ref),
                        op,
                        all,
                    ),
                    _ => None,
                });
                Arc::new(holds.collect::<BooleanArray>())
            }
        }))
    }
}

impl Subplan {
    /// The answers that some rows need, and which each row needs.
    fn answers(&self, outside: &[ArrayRef], rows: usize) -> DfResult<(Vec<Arc<Answer>>, Vec<usize>)> {
        if outside.is_empty() {
            return Ok((vec![self.answer(&[], &[], 0)?], vec![0; rows]));
        }
        let fields = outside.iter().map(|array| SortField::new(array.data_type().clone())).collect();
        let bytes = RowConverter::new(fields)?.convert_columns(outside)?;
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        let (mut answers, mut places) = (Vec::new(), Vec::with_capacity(rows));
        for row in 0..rows {
            let key = bytes.row(row).data();
            let at = match known.get(key) {
                Some(at) => *at,
                None => {
                    answers.push(self.answer(key, outside, row)?);
                    known.insert(key, answers.len() - 1);
                    answers.len() - 1
                }
            };
            places.push(at);
        }
        Ok((answers, places))
    }

    fn answer(&self, key: &[u8], outside: &[ArrayRef], row: usize) -> DfResult<Arc<Answer>> {
        let known = |answers: &Answers| answers.known.get(key).cloned();
        if let Some(answer) = known(&self.answers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(answer);
        }
        self.context.watch().look()?;
        for (at, array) in outside.iter().take(self.captured).enumerate() {
            self.context.cells().set(self.frame, at, ScalarValue::try_from_array(array, row)?);
        }
        let operators = reset_plan_states(Arc::clone(&self.operators))?;
        let rows = operators.execute(0, Arc::clone(self.context.task()))?;
        let answer = Arc::new(match self.kind {
            Kind::Value => Answer::Value(self.value(rows)?),
            Kind::Exists => Answer::Exists(exists(rows)?),
            Kind::Quantified { .. } => Answer::Values(self.values(rows)?),
        });
        self.memory.try_grow(key.len() + answer.bytes() + 64)?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.known.insert(key.into(), Arc::clone(&answer));
        Ok(answer)
    }

    fn value(&self, mut rows: SendableRecordBatchStream) -> DfResult<ArrayRef> {
        let mut found: Option<ArrayRef> = None;
        while let Some(batch) = stream::block_on(rows.next()) {
            let batch = batch?;
            if batch.num_rows() + usize::from(found.is_some()) > 1 {
                return Err(carried(error(
                    code::CARDINALITY_VIOLATION,
                    "more than one row returned by a subquery used as an expression",
                )));
            }
            if batch.num_rows() == 1 {
                found = Some(Arc::clone(batch.column(0)));
            }
        }
        Ok(found.unwrap_or_else(|| new_null_array(&self.output.arrow(), 1)))
    }

    fn values(&self, mut rows: SendableRecordBatchStream) -> DfResult<Values> {
        let mut values = Values::default();
        let mut converter: Option<RowConverter> = None;
        while let Some(batch) = stream::block_on(rows.next()) {
            let column = Arc::clone(batch?.column(0));
            let converter = match &mut converter {
                Some(converter) => converter,
                none => none.insert(RowConverter::new(vec![SortField::new(column.data_type().clone())])?),
            };
            let bytes = converter.convert_columns(&[Arc::clone(&column)])?;
            self.memory.try_grow(bytes.size())?;
            for row in 0..column.len() {
                if column.is_null(row) {
                    values.null = true;
                } else {
                    values.sorted.push(bytes.row(row).data().into());
                }
            }
        }
        values.sorted.sort_unstable();
        values.sorted.dedup();
        Ok(values)
    }
}

fn exists(mut rows: SendableRecordBatchStream) -> DfResult<bool> {
    while let Some(batch) = stream::block_on(rows.next()) {
        if batch?.num_rows() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Value(value) => value.get_array_memory_size(),
            Self::Exists(_) => 1,
            // counted as they came
            Self::Values(_) => 0,
        }
    }
}

impl Values {
    /// `x op ANY (values)`, `x op ALL (values)`, with PostgreSQL's three values. The bytes have the values' order.
    fn holds(&self, x: Option<&[u8]>, op: Operator, all: bool) -> Option<bool> {
        if self.sorted.is_empty() && !self.null {
            return Some(all);
        }
        let x = x?;
        // what decides: for ANY a value that it holds for, for ALL one that it does not hold for
        let decided = if all { self.any(x, negated(op)) } else { self.any(x, op) };
        match (decided, self.null) {
            (true, _) => Some(!all),
            (false, true) => None,
            (false, false) => Some(all),
        }
    }

    fn any(&self, x: &[u8], op: Operator) -> bool {
        let (Some(least), Some(greatest)) = (self.sorted.first(), self.sorted.last()) else { return false };
        match op {
            Operator::Eq => self.sorted.binary_search_by(|value| value.as_ref().cmp(x)).is_ok(),
            Operator::NotEq => self.sorted.len() > 1 || least.as_ref() != x,
            Operator::Lt => x < greatest.as_ref(),
            Operator::LtEq => x <= greatest.as_ref(),
            Operator::Gt => x > least.as_ref(),
            _ => x >= least.as_ref(),
        }
    }
}

fn negated(op: Operator) -> Operator {
    match op {
        Operator::Eq => Operator::NotEq,
        Operator::NotEq => Operator::Eq,
        Operator::Lt => Operator::GtEq,
        Operator::LtEq => Operator::Gt,
        Operator::Gt => Operator::LtEq,
        _ => Operator::Lt,
    }
}
