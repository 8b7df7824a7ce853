//! GREATEST and LEAST: NULLs are left out; NULL only if all are. Of equal values the first is taken.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::interleave;

use super::number::canonical;

/// The greatest or least of each row.
pub(super) fn extreme(arrays: &[ArrayRef], greatest: bool) -> ArrayRef {
    let mut best = ArrayRef::clone(&arrays[0]);
    for next in &arrays[1..] {
        best = pair(&best, next, greatest);
    }
    best
}

fn pair(a: &ArrayRef, b: &ArrayRef, greatest: bool) -> ArrayRef {
    let keys = (canonical(a), canonical(b));
    let compare = make_comparator(&keys.0, &keys.1, Default::default()).expect("arrays of one ordered type");
    let wanted = if greatest { Ordering::Less } else { Ordering::Greater };
    let choice: Vec<(usize, usize)> = (0..a.len())
        .map(|row| {
            let second = a.is_null(row) || (b.is_valid(row) && compare(row, row) == wanted);
            (usize::from(second), row)
        })
        .collect();
    interleave(&[a.as_ref(), b.as_ref()], &choice).expect("arrays of one type")
}
