//! One stage's changes, in any order and not consolidated, made into the columns of a batch.

use zset::{RowBytes, key_hash, sorted_by_key};

use crate::columns::{Columns, ColumnsBuilder, MARKER};

/// The batch of a Z-set: equal (key, row) become one, zero vanishes.
pub(crate) fn added(keys: &RowBytes, rows: &RowBytes, weights: &[i64]) -> Columns {
    assert!(keys.len() == rows.len() && rows.len() == weights.len(), "a key and a weight for every row");
    let hashes = hashes(keys);
    let order = sorted_by_key(numbered(&hashes), |at| keys.row(at), |at| rows.row(at));
    let mut out = ColumnsBuilder::with_capacity(order.len(), keys.data_len() + rows.data_len());
    let same = |x: usize, y: usize| hashes[x] == hashes[y] && keys.row(x) == keys.row(y) && rows.row(x) == rows.row(y);
    for run in order.chunk_by(|&a, &b| same(a as usize, b as usize)) {
        let at = run[0] as usize;
        let mut sum: i128 = run.iter().map(|&at| i128::from(weights[at as usize])).sum();
        while sum != 0 {
            let part = sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            out.push(hashes[at], keys.row(at), rows.row(at), part);
            sum -= i128::from(part);
        }
    }
    out.finish()
}

/// The batch of `count` entries that are consolidated and in order: (hash, key, row, weight). Their keys and rows have so many bytes.
pub(crate) fn ordered<'a>(
    count: usize,
    bytes: usize,
    entries: impl Iterator<Item = (u64, &'a [u8], &'a [u8], i64)>,
) -> Columns {
    let mut out = ColumnsBuilder::with_capacity(count, bytes);
    let mut last = 0;
    for (hash, key, row, weight) in entries {
        assert!(weight != 0 && last <= hash, "consolidated entries in the order of a batch");
        out.push(hash, key, row, weight);
        last = hash;
    }
    out.finish()
}

/// The batch of the newest word on every key: the last of equal keys wins; not present is a delete marker.
pub(crate) fn replaced(keys: &RowBytes, values: &RowBytes, present: &[bool]) -> Columns {
    assert!(keys.len() == values.len() && values.len() == present.len(), "a key and a presence for every value");
    let hashes = hashes(keys);
    let order = sorted_by_key(numbered(&hashes), |at| keys.row(at), |_| &[]);
    let mut out = ColumnsBuilder::with_capacity(order.len(), keys.data_len() + values.data_len());
    let same = |x: usize, y: usize| hashes[x] == hashes[y] && keys.row(x) == keys.row(y);
    for run in order.chunk_by(|&a, &b| same(a as usize, b as usize)) {
        let at = run[run.len() - 1] as usize;
        match present[at] {
            true => out.push(hashes[at], keys.row(at), values.row(at), 1),
            false => out.push(hashes[at], keys.row(at), &[], MARKER),
        }
    }
    out.finish()
}

/// The same of `count` entries whose keys are each there once and in order: (hash, key, its row if it has one).
pub(crate) fn replaced_ordered<'a>(
    count: usize,
    bytes: usize,
    entries: impl Iterator<Item = (u64, &'a [u8], Option<&'a [u8]>)>,
) -> Columns {
    let mut out = ColumnsBuilder::with_capacity(count, bytes);
    let mut last = None;
    for (hash, key, row) in entries {
        assert!(last.is_none_or(|last| last < (hash, key)), "keys in the order of a batch");
        out.push(hash, key, row.unwrap_or_default(), if row.is_some() { 1 } else { MARKER });
        last = Some((hash, key));
    }
    out.finish()
}

fn hashes(keys: &RowBytes) -> Vec<u64> {
    keys.iter().map(key_hash).collect()
}

fn numbered(hashes: &[u64]) -> impl Iterator<Item = (u64, u32)> {
    assert!(u32::try_from(hashes.len()).is_ok(), "fewer than 2^32 changes in one stage");
    hashes.iter().copied().zip(0..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a batch has, in its order.
    fn entries(columns: &Columns) -> Vec<(u64, &[u8], &[u8], i64)> {
        (0..columns.len()).map(|at| (columns.hash(at), columns.key(at), columns.row(at), columns.weight(at))).collect()
    }

    #[test]
    fn what_is_sorted_already_makes_the_same_batch() {
        let numbers =
            |count: u32, of: u32| (0..count).map(move |at| (at * 7919 % of).to_be_bytes()).collect::<Vec<_>>();
        let (keys, rows) = (numbers(1000, 300), numbers(1000, 997));
        let [keys, rows] = [keys, rows].map(|all| all.iter().map(|bytes| bytes.as_slice()).collect::<RowBytes>());
        let weights: Vec<i64> = (0..1000).map(|at| [1, 2, -1][at % 3]).collect();
        let one = added(&keys, &rows, &weights);
        let other = ordered(one.len(), 8 * one.len(), entries(&one).into_iter());
        assert_eq!((one.len(), entries(&one)), (1000, entries(&other)));
        let present: Vec<bool> = (0..1000).map(|at| at % 5 != 0).collect();
        let one = replaced(&keys, &rows, &present);
        let given =
            entries(&one).into_iter().map(|(hash, key, row, weight)| (hash, key, (weight != MARKER).then_some(row)));
        assert_eq!((one.len(), entries(&one)), (300, entries(&replaced_ordered(one.len(), 0, given))));
    }

    #[test]
    #[should_panic(expected = "in the order of a batch")]
    fn what_is_not_sorted_is_no_batch() {
        ordered(2, 2, [(2, b"a".as_slice(), b"b".as_slice(), 1), (1, b"b", b"b", 1)].into_iter());
    }

    #[test]
    #[should_panic(expected = "in the order of a batch")]
    fn a_key_that_is_there_twice_is_not_replaced() {
        replaced_ordered(2, 2, [(1, b"a".as_slice(), None), (1, b"a", None)].into_iter());
    }
}
