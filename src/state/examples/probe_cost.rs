//! What a probe costs: a directory of the hash column, interpolation over it, a hash table beside it; and what staging
//! and merging cost per row. `ARCHITECTURE.md` has the figures that the block format was fixed by. All in CPU time.
//!
//! Run with `cargo run --release -p millstream-state --example probe_cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use state::search::Directory;
use state::{Arrangement, ArrangementId, Law};
use zset::{RowBytes, key_hash};

const PROBES: usize = 4_000_000;
const EPOCH: usize = 1000;
const ID: ArrangementId = ArrangementId { owner: 1, node: 0, slot: 0 };

/// The first index whose hash is not less than `hash`: computed by the column's density, corrected twice, then searched in
/// doubling steps.
fn interpolated(hashes: &[u64], hash: u64) -> usize {
    let len = hashes.len();
    let scale = |distance: u64| ((u128::from(distance) * len as u128) >> 64) as usize;
    let mut guess = scale(hash).min(len - 1);
    for _ in 0..2 {
        let off = scale(hash.abs_diff(hashes[guess]));
        if off <= 8 {
            break;
        }
        guess = if hashes[guess] < hash { (guess + off).min(len - 1) } else { guess.saturating_sub(off) };
    }
    let mut step = 1;
    if hashes[guess] < hash {
        let mut low = guess + 1;
        while low + step <= len && hashes[low + step - 1] < hash {
            low += step;
            step *= 2;
        }
        let high = (low + step - 1).min(len);
        return low + hashes[low..high].partition_point(|&at| at < hash);
    }
    let mut high = guess;
    while high >= step && hashes[high - step] >= hash {
        high -= step;
        step *= 2;
    }
    let low = if high >= step { high - step + 1 } else { 0 };
    low + hashes[low..high].partition_point(|&at| at < hash)
}

/// A hash table: places in the column by hash, open addressing, at most half full.
struct HashTable {
    places: Vec<u32>,
    shift: u32,
}

impl HashTable {
    const NONE: u32 = u32::MAX;

    fn new(hashes: &[u64]) -> Self {
        let bits = (2 * hashes.len().max(1)).next_power_of_two().ilog2();
        let mut index = Self { places: vec![Self::NONE; 1 << bits], shift: 64 - bits };
        for at in (0..hashes.len()).filter(|&at| at == 0 || hashes[at] != hashes[at - 1]) {
            let mut slot = (hashes[at] >> index.shift) as usize;
            while index.places[slot] != Self::NONE {
                slot = (slot + 1) & (index.places.len() - 1);
            }
            index.places[slot] = at as u32;
        }
        index
    }

    fn find(&self, hashes: &[u64], hash: u64) -> Option<usize> {
        let mut slot = (hash >> self.shift) as usize;
        loop {
            match self.places[slot] {
                Self::NONE => return None,
                at if hashes[at as usize] == hash => return Some(at as usize),
                _ => slot = (slot + 1) & (self.places.len() - 1),
            }
        }
    }
}

/// What this thread has spent on a CPU: other processes do not count.
fn spent() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's time");
    let ns = schedstat.split_whitespace().next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.expect("its first number is nanoseconds"))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = spent();
    let done = black_box(work());
    (done, spent() - started)
}

fn ns_per(duration: Duration, count: usize) -> f64 {
    duration.as_nanos() as f64 / count as f64
}

fn key(n: u64) -> [u8; 9] {
    let mut key = [1; 9];
    key[1..].copy_from_slice(&n.to_be_bytes());
    key
}

/// Rows of 60 bytes under keys of 9.
fn rows(numbers: impl Iterator<Item = u64>) -> (RowBytes, RowBytes) {
    let (mut keys, mut rows) = (RowBytes::default(), RowBytes::default());
    for n in numbers {
        keys.push(&key(n));
        let mut row = [7; 60];
        row[..8].copy_from_slice(&n.to_be_bytes());
        rows.push(&row);
    }
    (keys, rows)
}

/// The search alone, over one column, for hashes that are there and for hashes that are not.
fn columns(count: u64, random: &mut ChaCha8Rng) {
    let mut hashes: Vec<u64> = (0..count).map(|n| key_hash(&key(n))).collect();
    hashes.sort_unstable();
    let (table, building_table) = timed(|| HashTable::new(&hashes));
    let (directory, building_directory) = timed(|| {
        let mut directory = Directory::with_capacity(hashes.len());
        hashes.iter().zip(0..).for_each(|(&hash, at)| directory.push(hash, at));
        directory.finish(hashes.len() as u32);
        directory
    });
    println!(
        "{count:>8} hashes: directory {:.1} ns and {:.1} bytes per row, hash table {:.1} ns and {:.1} bytes per row",
        ns_per(building_directory, hashes.len()),
        directory.bytes() as f64 / count as f64,
        ns_per(building_table, hashes.len()),
        (table.places.len() * 4) as f64 / count as f64,
    );
    for (what, from) in [("present", 0), ("absent", count)] {
        let wanted: Vec<u64> = (0..PROBES).map(|_| key_hash(&key(from + random.random_range(0..count)))).collect();
        let count_found = |find: &dyn Fn(u64) -> bool| {
            let (found, spent) = timed(|| wanted.iter().filter(|&&hash| find(hash)).count());
            assert_eq!(found, if from == 0 { PROBES } else { 0 });
            ns_per(spent, PROBES)
        };
        println!(
            "{count:>8} hashes, {what:>7}: directory {:4.0} ns, interpolation {:4.0} ns, hash table {:4.0} ns, binary search {:4.0} ns",
            count_found(&|hash| directory.find(&hashes, hash).is_some()),
            count_found(&|hash| hashes.get(interpolated(&hashes, hash)) == Some(&hash)),
            count_found(&|hash| table.find(&hashes, hash).is_some()),
            count_found(&|hash| hashes.binary_search(&hash).is_ok()),
        );
    }
}

/// What arrangements of one size cost.
#[derive(Default)]
struct Cost {
    staging: Duration,
    committing: Duration,
    worst: Duration,
    merged: u64,
    batches: usize,
    present: Duration,
    absent: Duration,
    probes: usize,
    scanning: Duration,
}

/// Fills one arrangement in epochs of a thousand rows, probes it with a thousand keys at a time, scans it.
fn arrangement(count: u64, random: &mut ChaCha8Rng, cost: &mut Cost) {
    let mut arrangement = Arrangement::new(ID, Law::Add);
    let mut order: Vec<u64> = (0..count).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.random_range(0..=at));
    }
    for epoch in order.chunks(EPOCH) {
        let (keys, rows) = rows(epoch.iter().copied());
        let weights = vec![1; epoch.len()];
        cost.staging += timed(|| arrangement.stage(&keys, &rows, &weights)).1;
        let started = Instant::now();
        cost.committing += timed(|| arrangement.commit()).1;
        cost.worst = cost.worst.max(started.elapsed());
    }
    cost.merged += arrangement.counters().rows_merged();
    let snapshot = arrangement.committed();
    cost.batches = snapshot.batches();
    for _ in 0..count as usize / EPOCH {
        for (from, spent) in [(0, &mut cost.present), (count, &mut cost.absent)] {
            let keys: RowBytes = rows((0..EPOCH).map(|_| from + random.random_range(0..count))).0;
            *spent += timed(|| snapshot.probe(&keys).expect("weights are small")).1;
        }
        cost.probes += EPOCH;
    }
    let count_rows = || snapshot.scan(65_536).map(|chunk| chunk.expect("weights are small").weights.len()).sum();
    let (scanned, took): (usize, _) = timed(count_rows);
    assert_eq!(scanned as u64, count);
    cost.scanning += took;
}

fn arrangements(count: u64, rounds: usize, random: &mut ChaCha8Rng) {
    let mut cost = Cost::default();
    for _ in 0..rounds {
        arrangement(count, random, &mut cost);
    }
    let rows = count as usize * rounds;
    println!(
        "{count:>8} rows in epochs of {EPOCH}: stage {:.0} ns/row, commit {:.0} ns/row (worst {:.1} ms of wall time): \
         {:.1} merges per row at {:.0} ns",
        ns_per(cost.staging, rows),
        ns_per(cost.committing, rows),
        cost.worst.as_secs_f64() * 1000.0,
        cost.merged as f64 / rows as f64,
        ns_per(cost.committing, cost.merged as usize),
    );
    println!(
        "{count:>8} rows in {} batches: probe {:.0} ns/key present, {:.0} ns/key absent; scan {:.0} ns/row",
        cost.batches,
        ns_per(cost.present, cost.probes),
        ns_per(cost.absent, cost.probes),
        ns_per(cost.scanning, rows),
    );
}

fn main() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for count in [10_000, 1_000_000] {
        columns(count, &mut random);
    }
    arrangements(10_000, 100, &mut random);
    arrangements(1_000_000, 2, &mut random);
}
