//! Distinct: every row once. State: how many copies of each row there are; a row comes when its count leaves zero and
//! goes when it returns there.
//!
//! ```text
//! d(row) ──► count(row): old ──► old + d      0 -> n: +row      n -> 0: -row      else nothing
//! ```

use arrow::datatypes::SchemaRef;
use state::Arrangement;
use zset::{Delta, RowCodec};

use super::Operator;
use crate::FlowError;
use crate::rows::{empty_rows, net_rows, under};

pub(crate) struct Distinct {
    codec: RowCodec,
    counts: Arrangement,
}

impl Distinct {
    pub fn new(schema: SchemaRef, counts: Arrangement) -> Self {
        Self { codec: RowCodec::new(schema), counts }
    }
}

/// What a change of counts shows: for each change the weight with which its row comes or goes.
pub(crate) fn transitions(
    counts: &mut Arrangement,
    keys: &zset::RowBytes,
    changes: &[i64],
) -> Result<Vec<i64>, FlowError> {
    let old = counts.staged().probe(keys)?;
    let mut shown = Vec::with_capacity(changes.len());
    for (at, change) in changes.iter().enumerate() {
        let before: i64 = old.weights[old.range(at)].iter().sum();
        let after = before.checked_add(*change).filter(|after| *after >= 0 && before >= 0);
        let after = after.ok_or_else(|| {
            FlowError::invariant(format!("arrangement {}: a count of {before} changed by {change}", counts.id()))
        })?;
        shown.push(i64::from(after > 0) - i64::from(before > 0));
    }
    counts.stage(keys, &empty_rows(changes.len()), changes);
    Ok(shown)
}

impl Operator for Distinct {
    fn name(&self) -> &'static str {
        "distinct"
    }

    fn step(&mut self, inputs: &[Delta]) -> Result<Delta, FlowError> {
        let input = under(self.codec.schema(), &inputs[0])?;
        let rows = input.bytes(&self.codec);
        let changes = net_rows(input.weights().values(), rows)?;
        let (at, sums): (Vec<u32>, Vec<i64>) = changes.into_iter().unzip();
        let shown = transitions(&mut self.counts, &rows.gather(&at), &sums)?;
        let (at, shown) = at.into_iter().zip(shown).filter(|(_, weight)| *weight != 0).unzip();
        Ok(input.gather(at, shown))
    }

    fn arrangements(&self) -> Vec<&Arrangement> {
        vec![&self.counts]
    }

    fn commit(&mut self) {
        self.counts.commit();
    }

    fn discard(&mut self) {
        self.counts.discard();
    }
}
