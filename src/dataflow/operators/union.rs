//! Union: UNION ALL. Linear and without state: weights add.

use arrow::datatypes::SchemaRef;
use zset::Delta;

use super::Operator;
use crate::FlowError;
use crate::rows::under;

pub(crate) struct Union {
    schema: SchemaRef,
}

impl Union {
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }
}

impl Operator for Union {
    fn name(&self) -> &'static str {
        "union"
    }

    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError> {
        let parts = inputs.iter().filter(|input| !input.is_empty());
        let parts = parts.map(|input| under(&self.schema, input)).collect::<Result<Vec<_>, _>>()?;
        Ok(Delta::sum(self.schema.clone(), &parts))
    }
}
