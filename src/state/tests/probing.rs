//! What probes read, counted, and weights at the end of 64 bits.

use rand::RngExt;

use super::{adding, bytes, numbered, per_key, random, stage};
use crate::{End, StateError};

/// An arrangement of `rows` rows under as many keys, made by commits of many sizes.
fn filled(rows: u64) -> crate::Arrangement {
    let mut arrangement = adding();
    let (mut at, mut size) = (0, 1);
    while at < rows {
        let count = size.min(rows - at);
        stage(&mut arrangement, &numbered(at, count, 1));
        arrangement.commit();
        at += count;
        size = size * 7 % 9973;
    }
    arrangement
}

/// D13: rows read are at most a constant times the matches, however much state there is.
#[test]
fn rows_read_do_not_depend_on_the_state() {
    let mut random = random("rows read");
    for rows in [1_000u64, 1_000_000] {
        let arrangement = filled(rows);
        let snapshot = arrangement.committed();
        let present: Vec<[u8; 8]> = (0..500).map(|_| random.random_range(0..rows).to_be_bytes()).collect();
        let before = arrangement.counters().rows_read();
        assert_eq!(snapshot.probe(&bytes(&present)).unwrap().weights.len(), 500);
        assert_eq!(arrangement.counters().rows_read() - before, 500, "at {rows} rows");
        let absent: Vec<[u8; 8]> = (0..500).map(|n| (rows + n).to_be_bytes()).collect();
        assert!(snapshot.probe(&bytes(&absent)).unwrap().weights.is_empty());
        assert_eq!(arrangement.counters().rows_read() - before, 500, "an absent key reads nothing");
    }
}

/// A key of 200,000 rows: its ends are found without reading them.
#[test]
fn probe_end_reads_one_end() {
    let mut arrangement = adding();
    let row = |n: u32| n.to_be_bytes().to_vec();
    for part in 0..20u32 {
        let changes: Vec<_> = (0..10_000u32).map(|n| ("key", row(n * 20 + part), 1)).collect();
        stage(&mut arrangement, &changes);
        arrangement.commit();
    }
    // The first row, the first rows of other batches, and the last are retracted.
    stage(&mut arrangement, &[("key", row(0), -1), ("key", row(1), -1), ("key", row(199_999), -1)]);
    arrangement.commit();
    let snapshot = arrangement.committed();
    let keys = bytes(&["none", "key", "key"]);
    let before = arrangement.counters().rows_read();
    let first = per_key(&snapshot.probe_end(&keys, End::First).unwrap());
    assert_eq!(first, [vec![], vec![(row(2), 1)], vec![(row(2), 1)]]);
    let last = per_key(&snapshot.probe_end(&keys, End::Last).unwrap());
    assert_eq!(last[1..], [vec![(row(199_998), 1)], vec![(row(199_998), 1)]]);
    let read = arrangement.counters().rows_read() - before;
    assert!(read <= 2 * (5 + 3), "read {read} entries");
}

/// Keys whose 64-bit hashes are equal are still different keys.
#[test]
fn keys_with_one_hash_are_told_apart() {
    let mut out = crate::columns::ColumnsBuilder::with_capacity(6, 100);
    for (hash, key, row) in [(4, "z", "1"), (5, "a", "2"), (5, "b", "3"), (5, "b", "4"), (5, "d", "5"), (6, "b", "6")] {
        out.push(hash, key.as_bytes(), row.as_bytes(), 1);
    }
    let batch = out.finish();
    assert_eq!((batch.find(3), batch.find(5), batch.find(7)), (None, Some(1), None));
    let found = ["", "a", "b", "c", "d", "e"].map(|key| batch.entries_of(key.as_bytes(), 1));
    assert_eq!(found, [1..1, 1..2, 2..4, 4..4, 4..5, 5..5]);
}

#[test]
fn a_weight_of_more_than_64_bits_is_an_error_and_is_not_lost() {
    let mut arrangement = adding();
    stage(&mut arrangement, &[("a", "x", i64::MAX), ("a", "y", i64::MIN), ("b", "z", 1)]);
    arrangement.commit();
    for _ in 0..3 {
        stage(&mut arrangement, &[("a", "x", 2), ("a", "y", -2)]);
        arrangement.commit();
    }
    // Twice as much in one stage.
    stage(&mut arrangement, &[("a", "x", i64::MAX), ("a", "x", i64::MAX)]);
    arrangement.commit();
    let snapshot = arrangement.committed();
    assert!(matches!(snapshot.probe(&bytes(&["a"])), Err(StateError::WeightOverflow(id)) if id == arrangement.id()));
    assert!(snapshot.scan(10).any(|chunk| chunk.is_err()));
    assert_eq!(snapshot.probe(&bytes(&["b"])).unwrap().weights, [1], "other keys are not touched");
    stage(&mut arrangement, &[("a", "x", -i64::MAX), ("a", "x", -i64::MAX), ("a", "x", -6), ("a", "y", 6)]);
    arrangement.commit();
    let found = per_key(&arrangement.committed().probe(&bytes(&["a"])).unwrap());
    assert_eq!(found, [vec![(b"x".to_vec(), i64::MAX), (b"y".to_vec(), i64::MIN)]]);
    assert_eq!(arrangement.committed().scan(10).next().unwrap().unwrap().weights.len(), 3);
}
