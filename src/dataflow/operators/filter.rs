//! Filter: the rows for which the predicate is true, not false and not NULL. Linear and without state.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use zset::Delta;

use super::Operator;
use crate::rows::{eval, under, where_true};
use crate::{Eval, FlowError};

pub(crate) struct Filter {
    predicate: Arc<dyn Eval>,
    schema: SchemaRef,
}

impl Filter {
    pub fn new(predicate: &Arc<dyn Eval>, schema: SchemaRef) -> Self {
        Self { predicate: Arc::clone(predicate), schema }
    }
}

impl Operator for Filter {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError> {
        let input = &inputs[0];
        let chosen = where_true(&eval(&self.predicate, input.batch())?)?;
        if chosen.len() == input.len() {
            return under(&self.schema, input);
        }
        let weights = chosen.iter().map(|&at| input.weights().value(at as usize)).collect();
        under(&self.schema, &input.gather(chosen, weights))
    }
}
