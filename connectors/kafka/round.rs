//! What is known of the records that are sent together.
//!
//! Delivery reports carry the record's place and the number of the round, so that a late report of a round that was given up is not taken
//! for one of the next.

use rdkafka::error::RDKafkaErrorCode as Code;
use zset::Offset;

/// A record that was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its place among the records.
    pub(crate) index: usize,
    /// Why.
    pub(crate) code: Code,
}

/// What is known of the records of a round.
#[derive(Default)]
pub(crate) struct Round {
    number: u32,
    /// The offsets of those that were written.
    pub(crate) offsets: Vec<Option<Offset>>,
    pub(crate) failures: Vec<Failure>,
    /// Sent, and not heard of.
    pub(crate) open: usize,
}

impl Round {
    /// The round after this one: nothing that was sent before is heard of then.
    pub(crate) fn next(&self, records: usize) -> Self {
        Self { number: self.number.wrapping_add(1), offsets: vec![None; records], failures: Vec::new(), open: 0 }
    }

    /// What a record's report is to carry, by its place.
    pub(crate) fn mark(&self, index: usize) -> usize {
        (self.number as usize) << 32 | index
    }

    /// A delivery report.
    pub(crate) fn hear(&mut self, number: usize, outcome: Result<i64, Code>) {
        let (round, index) = ((number >> 32) as u32, number & 0xffff_ffff);
        if self.number != round {
            return;
        }
        self.open -= 1;
        match outcome {
            Ok(offset) => self.offsets[index] = Some(Offset(offset)),
            Err(code) => self.failures.push(Failure { index, code }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_report_is_not_taken_for_one_of_this_round() {
        let given_up = Round::default().next(2);
        let mut round = given_up.next(2);
        round.open = 2;
        round.hear(given_up.mark(0), Ok(7));
        assert_eq!((round.open, round.offsets[0]), (2, None));
        round.hear(round.mark(1), Err(Code::PurgeQueue));
        assert_eq!(round.failures, [Failure { index: 1, code: Code::PurgeQueue }]);
        assert_eq!(round.open, 1);
    }
}
