//! Conditions whose parts may fail, as one function over the columns they read: computed as the engine computes them, so
//! that AND and OR guard what stands beside them (`expr::logic`) and a row that fails is named.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use dataflow::Eval;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column as DfColumn, DFSchema, Result as DfResult};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility,
};

use super::limits::{Watch, carried};
use crate::error::into_datafusion;
use crate::expr::eval::{Compiled, compile};
use crate::expr::scalar;

/// A condition over its arguments.
#[derive(Debug)]
struct Guarded {
    compiled: Compiled,
    text: String,
    schema: SchemaRef,
    watch: Watch,
    signature: Signature,
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.schema == other.schema
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        &self.text
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        Ok(Arc::new(Field::new("condition", DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        self.watch.look()?;
        let rows = args.number_rows;
        let columns: Vec<ArrayRef> = args.args.iter().map(|arg| arg.to_array(rows)).collect::<DfResult<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok(ColumnarValue::Array(self.compiled.eval(&batch).map_err(into_datafusion)?))
    }
}

/// Whether some value may make an expression fail.
fn may_fail(expr: &Expr) -> DfResult<bool> {
    expr.exists(|node| {
        Ok(match node {
            Expr::ScalarFunction(call) => scalar::of(&call.func).is_none_or(|ours| !ours.op.is_total()),
            _ => false,
        })
    })
}

/// An expression with its connectives guarded where a side may fail.
pub(super) fn guarded(expr: Expr, schema: &DFSchema, watch: &Watch) -> DfResult<Transformed<Expr>> {
    expr.transform_down(|node| {
        let connective = matches!(&node, Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }));
        if !connective {
            return Ok(Transformed::no(node));
        }
        if !may_fail(&node)? {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
        }
        Ok(Transformed::new(function(node, schema, watch)?, true, TreeNodeRecursion::Jump))
    })
}

/// A condition as a function that also looks at the clock.
pub(super) fn function(condition: Expr, schema: &DFSchema, watch: &Watch) -> DfResult<Expr> {
    let mut columns: Vec<DfColumn> = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    let inner = condition.transform_down(|node| {
        let Expr::Column(column) = &node else { return Ok(Transformed::no(node)) };
        let at = match columns.iter().position(|known| known == column) {
            Some(at) => at,
            None => {
                let field = schema.field(schema.index_of_column(column)?);
                fields.push(field.as_ref().clone().with_name(format!("{}:{}", column.name, columns.len())));
                columns.push(column.clone());
                columns.len() - 1
            }
        };
        let name = fields[at].name().clone();
        Ok(Transformed::yes(Expr::Column(DfColumn::new_unqualified(name))))
    })?;
    let over = DFSchema::from_unqualified_fields(fields.clone().into(), Default::default())?;
    let compiled = compile(&inner.data, &over).map_err(carried)?;
    let text = compiled.to_string();
    let count = columns.len();
    let any = if count == 0 { TypeSignature::Nullary } else { TypeSignature::Any(count) };
    // volatile: without columns it must not be taken for a constant
    let signature = Signature::new(any, Volatility::Volatile);
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let guarded = Guarded { compiled, text, schema, watch: watch.clone(), signature };
    let arguments = columns.into_iter().map(Expr::Column).collect();
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(guarded)), arguments)))
}
