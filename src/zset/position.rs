//! Where in a log: partitions, offsets and half-open ranges of them.
//!
//! What is read as one may be several topics: a partition is then the place of its topic among them and its number there, in one
//! number. Of the first topic that is the partition's own; those of the others are negative, which no partition of a topic is.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A partition's number. Ordered by topic and number; shown as the number in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Partition(pub i32);

/// So many bits of a partition of a topic that is not the first are its number there.
const NUMBER_BITS: u32 = 16;

impl Partition {
    /// No partition is before this one.
    pub const FIRST: Self = Self(0);
    /// No partition is behind this one.
    pub const LAST: Self = Self(-1);
    /// So many topics can be read as one.
    pub const TOPICS_MAX: usize = 1 << (31 - NUMBER_BITS);

    /// The partition with a number in the topic at a place; `None` if there is no such place, or the number is too large for any but
    /// the first.
    pub fn of(place: usize, number: i32) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        let place = u32::try_from(place).ok().filter(|place| (*place as usize) < Self::TOPICS_MAX)?;
        match place {
            0 => Some(Self(number as i32)),
            _ if number >> NUMBER_BITS != 0 => None,
            _ => Some(Self(((1 << 31) | (place << NUMBER_BITS) | number) as i32)),
        }
    }

    /// The place of its topic among those that are read as one.
    pub fn place(self) -> usize {
        if self.0 < 0 { (((self.0 as u32) << 1) >> (NUMBER_BITS + 1)) as usize } else { 0 }
    }

    /// Its number in its topic.
    pub fn number(self) -> i32 {
        if self.0 < 0 { self.0 & ((1 << NUMBER_BITS) - 1) } else { self.0 }
    }
}

impl Ord for Partition {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 as u32).cmp(&(other.0 as u32))
    }
}

impl PartialOrd for Partition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An offset within a partition. Offsets have gaps (control records, compaction): a range is never a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Offset(pub i64);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open range of offsets: `start` is in it, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The first offset.
    pub start: Offset,
    /// The offset after the last.
    pub end: Offset,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_the_place_of_its_topic_and_its_number_there() {
        let last = Partition::TOPICS_MAX - 1;
        let mut all = Vec::new();
        for place in [0, 1, 2, last] {
            for number in [0, 1, 65_535] {
                let partition = Partition::of(place, number).expect("there is such a partition");
                assert_eq!((partition.place(), partition.number()), (place, number));
                assert_eq!(partition.to_string(), number.to_string(), "what is shown is the number in the topic");
                all.push(partition);
            }
        }
        assert!(all.is_sorted_by(|one, next| one < next), "in the order of topics and numbers: {all:?}");
        assert_eq!((all[0], all[all.len() - 1]), (Partition::FIRST, Partition::LAST));
    }

    #[test]
    fn those_of_the_first_topic_are_its_own() {
        for number in [0, 7, 65_536, i32::MAX] {
            assert_eq!(Partition::of(0, number), Some(Partition(number)));
            assert_eq!((Partition(number).place(), Partition(number).number()), (0, number));
        }
        assert_eq!(Partition::of(1, 65_536), None, "of another topic there is no room for it");
        assert_eq!((Partition::of(0, -1), Partition::of(1, -1)), (None, None));
        assert_eq!(Partition::of(Partition::TOPICS_MAX, 0), None);
    }
}
