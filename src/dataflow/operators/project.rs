//! Project: one column per expression. Linear and without state: a retraction computes the same values as the insert did,
//! because expressions are deterministic and floats are canonical everywhere.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use zset::{Delta, canonical};

use super::Operator;
use crate::rows::{batch, eval_all};
use crate::{Eval, FlowError};

pub(crate) struct Project {
    expressions: Vec<Arc<dyn Eval>>,
    schema: SchemaRef,
}

impl Project {
    pub fn new(expressions: &[Arc<dyn Eval>], schema: SchemaRef) -> Self {
        Self { expressions: expressions.to_vec(), schema }
    }
}

impl Operator for Project {
    fn name(&self) -> &'static str {
        "project"
    }

    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError> {
        let input = &inputs[0];
        let columns = eval_all(&self.expressions, input.batch())?.iter().map(canonical).collect();
        Ok(input.with_batch(batch(&self.schema, columns, input.len())?))
    }
}
