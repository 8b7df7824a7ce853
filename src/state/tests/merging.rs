//! Merge work is bounded per commit, and the list stays short, however much state there is.

use rand::RngExt;

use super::{adding, bytes, numbered, random, scanned, stage};
use crate::levels::INPUTS_MAX;
use crate::spine::{FUEL_MIN, FUEL_PER_ENTRY, TAIL};

/// The bound that `spine` states.
fn bound(committed: usize, state: usize) -> u64 {
    let merges = (state + 2).ilog2() as usize;
    // A merge may take more than its fuel, where entries are equal.
    (TAIL + ((FUEL_PER_ENTRY * committed).max(FUEL_MIN) + INPUTS_MAX) * merges) as u64
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

/// Entries that are merged and batches that there are, of many epochs of `rows`, each followed by a probe of `probes` of them.
fn used(epochs: u64, rows: u64, probes: u64) -> (f64, usize) {
    let mut arrangement = adding();
    let mut worst = 0;
    for n in 0..epochs {
        stage(&mut arrangement, &numbered(n * rows, rows, 1));
        arrangement.commit();
        let keys: Vec<[u8; 8]> = (n * rows..n * rows + probes).map(u64::to_be_bytes).collect();
        arrangement.committed().probe(&bytes(&keys)).unwrap();
        worst = worst.max(arrangement.committed().batches());
    }
    (arrangement.counters().rows_merged() as f64 / (epochs * rows) as f64, worst)
}

/// What is probed has few batches; what is only added to is copied seldom.
#[test]
fn merging_follows_the_use() {
    let (probed, alone) = (used(60, 1000, 200), used(60, 1000, 5));
    println!("merges per row and batches: {probed:?} probed, {alone:?} not");
    assert!(probed.0 > 3.5 && probed.1 <= 12, "{probed:?}");
    assert!(alone.0 < 1.5 && alone.1 > probed.1 && alone.1 <= 32, "{alone:?}");
}

/// Where rows come and go, what is gone does not stay.
#[test]
fn what_cancels_is_merged_early() {
    let mut arrangement = adding();
    let mut most = 0;
    for n in 0..100u64 {
        stage(&mut arrangement, &numbered(n * 1000, 1000, 1));
        arrangement.commit();
        stage(&mut arrangement, &numbered(n * 1000, 1000, -1));
        arrangement.commit();
        most = most.max(arrangement.committed().entries());
    }
    assert!(most <= 6000, "{most} entries of at most 1,000 rows");
}
