//! Which of the batches of a list merge, by their sizes.
//!
//! Where few batches are wanted (a probe asks every batch, and what cancels is there until it is merged) two neighbours merge when the
//! older is not at least twice as long as the newer. Elsewhere what counts is how often an entry is copied: batches of one level
//! (lengths within a power of [`FAN`]) wait until there are that many, and merge at once. An entry is merged log2(N) times in its
//! life, or a third of that.

use std::ops::Range;

/// So many batches of one level merge, where many may be.
pub(crate) const FAN: usize = 8;
/// No more than so many merge at once.
pub(crate) const INPUTS_MAX: usize = 16;

/// The newest merge that is due among batches of these lengths, neighbours all, oldest first.
pub(crate) fn due(lengths: &[usize], few: bool) -> Option<Range<usize>> {
    if few {
        let newer = (1..lengths.len()).rev().find(|&newer| lengths[newer - 1] < 2 * lengths[newer])?;
        return Some(newer - 1..newer + 1);
    }
    let mut end = lengths.len();
    while end >= FAN {
        let of = level(lengths[end - 1]);
        let run = lengths[..end].iter().rev().take_while(|&&length| level(length) <= of).count();
        if run >= FAN {
            let start = end - run;
            return Some(start..end.min(start + INPUTS_MAX));
        }
        end -= run;
    }
    None
}

/// Lengths of one level differ by less than [`FAN`] times.
fn level(length: usize) -> u32 {
    length.max(1).ilog2() / FAN.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_size_or_eight_of_a_level() {
        type Row = (&'static [usize], Option<(usize, usize)>, Option<(usize, usize)>);
        let table: [Row; 12] = [
            // Lengths; what merges if few are wanted, and if not.
            (&[], None, None),
            (&[9], None, None),
            (&[8, 4, 2, 1], None, None),
            (&[8, 4, 2, 2], Some((2, 4)), None),
            (&[7, 4, 1], Some((0, 2)), None),
            (&[1, 100], Some((0, 2)), None),
            (&[8; 7], Some((5, 7)), None),
            (&[8; 8], Some((6, 8)), Some((0, 8))),
            (&[900, 8, 8, 8, 8, 8, 8, 8, 63], Some((7, 9)), Some((1, 9))),
            (&[8, 8, 8, 8, 8, 8, 8, 8, 1], Some((6, 8)), Some((0, 8))),
            (&[1, 2, 1, 2, 1, 2, 1, 64, 3], Some((6, 8)), Some((0, 8))),
            (&[1; 20], Some((18, 20)), Some((0, 16))),
        ];
        for (lengths, few, others) in table {
            let found = [true, false].map(|few| due(lengths, few).map(|range| (range.start, range.end)));
            assert_eq!(found, [few, others], "{lengths:?}");
        }
    }

    /// Without fail: what is not due is short.
    #[test]
    fn what_is_left_is_few_batches() {
        let (mut lengths, mut copied) = (Vec::new(), 0);
        for _ in 0..10_000 {
            lengths.push(100usize);
            while let Some(range) = due(&lengths, false) {
                let sum: usize = lengths[range.clone()].iter().sum();
                copied += sum;
                lengths.splice(range, [sum]);
            }
            let levels = level(lengths.iter().sum()) as usize + 1;
            assert!(lengths.len() <= levels * (FAN - 1), "{lengths:?}");
        }
        assert!(copied <= 5 * 10_000 * 100, "{copied} copied");
    }
}
