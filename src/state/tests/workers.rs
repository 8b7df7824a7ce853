//! By any number of workers: the same batches after every commit, the same matches, the same counts.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use workers::Workers;

use super::{Model, adding, bytes, per_key, scanned, stage};
use crate::End;

/// The rows, and their weights, of every probed key.
type Found = Vec<Vec<(Vec<u8>, i64)>>;

/// The lengths of the batches after every commit, what probes found, all rows at the end, and the entries that were read and merged.
type Story = (Vec<Vec<usize>>, Vec<Found>, Model, (u64, u64));

fn story() -> Story {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut arrangement = adding();
    let (mut lengths, mut found) = (Vec::new(), Vec::new());
    for commit in 0..60 {
        let count = if commit % 5 == 0 { 400 } else { random.random_range(1..90) };
        let mut change = || {
            let (key, row) = (random.random_range(0..300u16), random.random_range(0..4u8));
            (key.to_be_bytes(), [row], random.random_range(-1..3))
        };
        let changes: Vec<_> = (0..count).map(|_| change()).collect();
        stage(&mut arrangement, &changes);
        arrangement.commit();
        let snapshot = arrangement.committed();
        lengths.push(snapshot.list().iter().map(|batch| batch.len()).collect());
        let keys: Vec<_> = (0..50).map(|_| random.random_range(0..400u16).to_be_bytes()).collect();
        found.push(per_key(&snapshot.probe(&bytes(&keys)).unwrap()));
        found.push(per_key(&snapshot.probe_end(&bytes(&keys), End::Last).unwrap()));
        assert!(snapshot.probe(&bytes::<&[u8]>(&[])).unwrap().ends.is_empty());
    }
    let counts = (arrangement.counters().rows_read(), arrangement.counters().rows_merged());
    (lengths, found, scanned(&arrangement.committed(), 1000), counts)
}

#[test]
fn an_arrangement_comes_to_the_same() {
    let wanted = story();
    assert!(wanted.2.len() > 500 && wanted.0.iter().any(|batches| batches.len() > 3));
    for by in [2, 4, 8] {
        let workers = Workers::eager(by).unwrap();
        let found = workers.run(story);
        assert!(workers.forks() > 100, "work was cut {} times", workers.forks());
        assert_eq!(found, wanted, "by {by}");
    }
}
