//! Values: fixed rows, given once, in the first step after creation. That they were given is state: a restart does not
//! give them again.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use state::Arrangement;
use zset::{Delta, RowBytes, canonical};

use super::Operator;
use crate::rows::{batch, eval_all};
use crate::{Eval, FlowError};

pub(crate) struct Values {
    rows: Vec<Vec<Arc<dyn Eval>>>,
    schema: SchemaRef,
    /// One entry with an empty key when the rows were given.
    given: Arrangement,
    due: bool,
}

impl Values {
    pub fn new(rows: &[Vec<Arc<dyn Eval>>], schema: SchemaRef, given: Arrangement) -> Self {
        let due = given.committed().entries() == 0;
        Self { rows: rows.to_vec(), schema, given, due }
    }
}

impl Operator for Values {
    fn name(&self) -> &'static str {
        "values"
    }

    fn due(&self) -> bool {
        self.due
    }

    fn step(&mut self, _: &[Delta]) -> Result<Delta, FlowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let nothing = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)
            .map_err(|error| FlowError::invariant(format!("a row without columns: {error}")))?;
        let mut parts = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let columns = eval_all(row, &nothing)?.iter().map(canonical).collect();
            parts.push(Delta::inserts(batch(&self.schema, columns, 1)?));
        }
        let key: RowBytes = [[].as_slice()].into_iter().collect();
        self.given.stage_replace(&key, &key, &[true]);
        self.due = false;
        Ok(Delta::sum(Arc::clone(&self.schema), &parts))
    }

    fn arrangements(&self) -> Vec<&Arrangement> {
        vec![&self.given]
    }

    fn commit(&mut self) {
        self.given.commit();
    }

    fn discard(&mut self) {
        self.given.discard();
        self.due = self.given.committed().entries() == 0;
    }
}
