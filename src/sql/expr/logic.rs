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
