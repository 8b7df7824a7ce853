//! AND and OR whose right side may fail: it is computed only where the left side leaves the answer open.
//!
//! In a batch of one row they go further and are symmetric: the row fails only if no side decides the answer. So a guard
//! (`y <> 0 AND x / y > 1`) works wherever rewriting has put it among the conditions.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{and_kleene, filter_record_batch, or_kleene};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::scalar;

/// `left AND right`, `left OR right`.
#[derive(Debug, Eq)]
struct Guarded {
    and: bool,
    left: Arc<dyn PhysicalExpr>,
    right: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.and == other.and && self.left.eq(&other.left) && self.right.eq(&other.right)
    }
}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.and.hash(state);
        self.left.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} {} {})", self.left, if self.and { "AND" } else { "OR" }, self.right)
    }
}

fn booleans(expr: &dyn PhysicalExpr, batch: &RecordBatch) -> DfResult<BooleanArray> {
    let array = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(array.as_boolean().clone())
}

impl Guarded {
    fn combine(&self, left: &BooleanArray, right: &BooleanArray) -> DfResult<ColumnarValue> {
        let both = if self.and { and_kleene(left, right)? } else { or_kleene(left, right)? };
        Ok(ColumnarValue::Array(Arc::new(both) as ArrayRef))
    }

    /// Whether a value of one side is the answer.
    fn decides(&self, side: &BooleanArray, row: usize) -> bool {
        side.is_valid(row) && side.value(row) != self.and
    }

    fn one_row(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let left = booleans(self.left.as_ref(), batch);
        if let Ok(left) = &left
            && self.decides(left, 0)
        {
            return Ok(ColumnarValue::Array(Arc::new(left.clone()) as ArrayRef));
        }
        let right = booleans(self.right.as_ref(), batch);
        match (left, right) {
            (Ok(left), Ok(right)) => self.combine(&left, &right),
            (Err(_), Ok(right)) if self.decides(&right, 0) => Ok(ColumnarValue::Array(Arc::new(right) as ArrayRef)),
            (Err(e), _) | (_, Err(e)) => Err(e),
        }
    }
}

impl PhysicalExpr for Guarded {
    fn data_type(&self, _: &Schema) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let rows = batch.num_rows();
        if rows == 1 {
            return self.one_row(batch);
        }
        let left = booleans(self.left.as_ref(), batch)?;
        let open: BooleanArray = (0..rows).map(|row| Some(!self.decides(&left, row))).collect();
        let count = open.true_count();
        if count == 0 {
            return Ok(ColumnarValue::Array(Arc::new(left) as ArrayRef));
        }
        if count == rows {
            return self.combine(&left, &booleans(self.right.as_ref(), batch)?);
        }
        let narrow = booleans(self.right.as_ref(), &filter_record_batch(batch, &open)?)?;
        let mut next = 0;
        let right: BooleanArray = (0..rows)
            .map(|row| {
                if !open.value(row) {
                    return None;
                }
                next += 1;
                narrow.is_valid(next - 1).then(|| narrow.value(next - 1))
            })
            .collect();
        self.combine(&left, &right)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        let [left, right] = <[_; 2]>::try_from(children).expect("two children");
        Ok(Arc::new(Self { and: self.and, left, right }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn downcast<T: Any>(expr: &Arc<dyn PhysicalExpr>) -> Option<&T> {
    (expr.as_ref() as &dyn Any).downcast_ref::<T>()
}

/// Whether some value may make an expression fail.
fn may_fail(expr: &Arc<dyn PhysicalExpr>) -> DfResult<bool> {
    let mut found = false;
    expr.apply(|node| {
        if let Some(call) = downcast::<ScalarFunctionExpr>(node) {
            found |= scalar::of(call.fun()).is_none_or(|ours| !ours.op.is_total());
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The same expression with its connectives guarded where a side may fail.
pub(crate) fn guard(expr: Arc<dyn PhysicalExpr>) -> DfResult<Arc<dyn PhysicalExpr>> {
    let guarded = expr.transform_up(|node| {
        let Some(binary) = downcast::<BinaryExpr>(&node) else { return Ok(Transformed::no(node)) };
        let and = match binary.op() {
            Operator::And => true,
            Operator::Or => false,
            _ => return Ok(Transformed::no(node)),
        };
        let (left, right) = (Arc::clone(binary.left()), Arc::clone(binary.right()));
        if !may_fail(&left)? && !may_fail(&right)? {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(Arc::new(Guarded { and, left, right }) as Arc<dyn PhysicalExpr>))
    })?;
    Ok(guarded.data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::Int32Array;
    use datafusion::common::{Column, DFSchema};
    use datafusion::execution::context::ExecutionProps;
    use datafusion::logical_expr::Expr;
    use datafusion::physical_expr::create_physical_expr;
    use zset::ColumnType as T;

    use super::*;
    use crate::expr::{Op, Typed, literal, operator, scalar::Scalar};

    /// `10 / x > 3 AND abs(x) <> 0`, as DataFusion computes it and as we do.
    fn both() -> [Arc<dyn PhysicalExpr>; 2] {
        let x = || Typed::new(Expr::Column(Column::new_unqualified("x")), T::Int);
        let number = |digits| literal::number(digits, false).unwrap();
        let quotient = Scalar::call(Op::Div, vec![number("10"), x()], T::Int);
        let left = operator::compare(Operator::Gt, quotient, number("3")).unwrap();
        let right = operator::compare(Operator::NotEq, Scalar::call(Op::Abs, vec![x()], T::Int), number("0")).unwrap();
        let expr = operator::raw(left.expr, Operator::And, right.expr);
        let schema = DFSchema::try_from(batch(&[]).schema()).unwrap();
        let plain = create_physical_expr(&expr, &schema, &ExecutionProps::new(), &Default::default()).unwrap();
        [Arc::clone(&plain), guard(plain).unwrap()]
    }

    fn batch(values: &[i32]) -> RecordBatch {
        let columns = zset::RowType(vec![zset::Column::new("x", T::Int, true)]);
        RecordBatch::try_new(columns.schema(), vec![Arc::new(Int32Array::from(values.to_vec()))]).unwrap()
    }

    #[test]
    fn a_condition_behind_the_failing_one_guards_it() {
        let [plain, guarded] = both();
        assert!(plain.evaluate(&batch(&[0])).is_err(), "DataFusion's AND fails where the left side does");
        let array = guarded.evaluate(&batch(&[0])).unwrap().into_array(1).unwrap();
        assert!(!array.as_boolean().value(0));
        let array = guarded.evaluate(&batch(&[2, 5])).unwrap().into_array(2).unwrap();
        assert!(array.as_boolean().value(0) && !array.as_boolean().value(1));
    }

    /// The right side is not asked about rows that the left side decides, in a batch of any size.
    #[test]
    fn the_right_side_sees_open_rows_only() {
        let x = || Typed::new(Expr::Column(Column::new_unqualified("x")), T::Int);
        let number = |digits| literal::number(digits, false).unwrap();
        let left = operator::compare(Operator::NotEq, x(), number("0")).unwrap();
        let quotient = Scalar::call(Op::Div, vec![number("10"), x()], T::Int);
        let right = operator::compare(Operator::Gt, quotient, number("3")).unwrap();
        let expr = operator::raw(left.expr, Operator::And, right.expr);
        let schema = DFSchema::try_from(batch(&[]).schema()).unwrap();
        let plain = create_physical_expr(&expr, &schema, &ExecutionProps::new(), &Default::default()).unwrap();
        let rows = batch(&[0, 1, 2, 5, 1, 1, 1]);
        assert!(plain.evaluate(&rows).is_err(), "DataFusion's AND computes the right side for all rows");
        let array = guard(plain).unwrap().evaluate(&rows).unwrap().into_array(7).unwrap();
        let values: Vec<bool> = array.as_boolean().iter().flatten().collect();
        assert_eq!(values, [false, true, true, false, true, true, true]);
    }
}
