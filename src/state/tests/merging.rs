//! Merge work is bounded per commit, and the list stays short, however much state there is.

use rand::RngExt;

use super::{adding, bytes, numbered, random, scanned, stage};
use crate::spine::{FUEL_MIN, FUEL_PER_ENTRY, TAIL};

/// The bound that `spine` states.
fn bound(committed: usize, state: usize) -> u64 {
    let merges = (state + 2).ilog2() as usize;
    // A merge may take one entry more than its fuel.
    (TAIL + ((FUEL_PER_ENTRY * committed).max(FUEL_MIN) + 1) * merges) as u64
}

#[test]
fn merge_work_is_bounded_per_commit_at_a_million_rows() {
    let mut random = random("merge work");
    let mut arrangement = adding();
    let mut rows = 0u64;
    let mut worst = 0;
    while rows < 1_000_000 {
        let count = match random.random_range(0..100) {
            0 => random.random_range(10_000..100_000),
            1..5 => random.random_range(1_000..10_000),
            _ => random.random_range(1..300),
        };
        stage(&mut arrangement, &numbered(rows, count, 1));
        let before = arrangement.counters().rows_merged();
        arrangement.commit();
        rows += count;
        let merged = arrangement.counters().rows_merged() - before;
        assert!(merged <= bound(count as usize, rows as usize), "{merged} entries merged by a commit of {count}");
        let batches = arrangement.committed().batches();
        assert!(batches <= 2 * rows.ilog2() as usize + 2, "{batches} batches at {rows} rows");
        worst = worst.max(batches);
    }
    let (merged, small) = (arrangement.counters().rows_merged(), 200u64);
    for n in 0..small {
        stage(&mut arrangement, &numbered(rows + n, 1, 1));
        arrangement.commit();
    }
    let merged = arrangement.counters().rows_merged() - merged;
    println!("{rows} rows, at most {worst} batches; {} entries merged per commit of one row", merged / small);
    assert!(merged <= small * bound(1, 1_000_000));
    assert_eq!(
        arrangement.committed().scan(65_536).map(|chunk| chunk.unwrap().weights.len() as u64).sum::<u64>(),
        rows + small
    );
}

/// The whole cost of small epochs: a row is merged about log2(N) times in its life.
#[test]
fn merging_is_geometric() {
    let mut arrangement = adding();
    for n in 0..4000u64 {
        stage(&mut arrangement, &numbered(n * 50, 50, 1));
        arrangement.commit();
    }
    let per_row = arrangement.counters().rows_merged() as f64 / 200_000.0;
    println!("{per_row:.1} merges per row at 200,000 rows, {} batches", arrangement.committed().batches());
    assert!(per_row < 18.0, "{per_row} merges per row");
    assert!(arrangement.committed().batches() < 30);
}

#[test]
fn retracting_everything_empties_the_list() {
    let mut arrangement = adding();
    stage(&mut arrangement, &numbered(0, 20_000, 1));
    arrangement.commit();
    stage(&mut arrangement, &numbered(0, 20_000, -1));
    arrangement.commit();
    assert!(arrangement.committed().is_empty(), "{:?} entries", arrangement.committed().entries());
}

/// A reader's snapshot does not notice merges of the batches it reads.
#[test]
fn a_scan_outlives_merges_on_another_thread() {
    let mut arrangement = adding();
    stage(&mut arrangement, &numbered(0, 30_000, 1));
    arrangement.commit();
    let before = arrangement.committed();
    let reader = std::thread::spawn(move || scanned(&before, 1000).len());
    for n in 0..200 {
        stage(&mut arrangement, &numbered(n * 100, 100, -1));
        arrangement.commit();
    }
    assert_eq!(reader.join().unwrap(), 30_000);
    assert_eq!(scanned(&arrangement.committed(), 1000).len(), 10_000);
    let probed = arrangement.committed().probe(&bytes(&[5u64.to_be_bytes(), 25_000u64.to_be_bytes()])).unwrap();
    assert_eq!(probed.ends, [0, 1]);
}
