//! The add law against a map: random stages, commits, discards, probes from all sides, scans, snapshots kept.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Model, adding, budgets, bytes, per_key, random, scanned, stage};
use crate::{End, Law, Snapshot};

/// Few keys with few rows each, so that everything cancels often.
fn changes(random: &mut ChaCha8Rng) -> Vec<(Vec<u8>, Vec<u8>, i64)> {
    let count = match random.random_range(0..10) {
        0 => 0,
        1..7 => random.random_range(1..8),
        7..9 => random.random_range(8..300),
        _ => random.random_range(300..2000),
    };
    (0..count)
        .map(|_| {
            let key = vec![b'k'; random.random_range(0..3)].into_iter().chain([random.random_range(0..40u8)]);
            let row = vec![random.random_range(0..6u8); random.random_range(0..4)];
            let key: Vec<u8> = key.collect();
            // A table without a key: the row is the key.
            let row = if random.random_range(0..4) == 0 { key.clone() } else { row };
            (key, row, random.random_range(-2..=2))
        })
        .collect()
}

fn apply(model: &mut Model, changes: &[(Vec<u8>, Vec<u8>, i64)]) {
    for (key, row, weight) in changes {
        *model.entry((key.clone(), row.clone())).or_default() += weight;
    }
    model.retain(|_, weight| *weight != 0);
}

fn rows_of(model: &Model, key: &[u8]) -> Vec<(Vec<u8>, i64)> {
    model.iter().filter(|((k, _), _)| k == key).map(|((_, row), weight)| (row.clone(), *weight)).collect()
}

fn check(snapshot: &Snapshot, model: &Model, random: &mut ChaCha8Rng) {
    assert_eq!(&scanned(snapshot, random.random_range(1..200)), model);
    assert!(snapshot.entries() >= model.len());
    let keys: Vec<Vec<u8>> = (0..30).map(|_| changes(random).first().map_or(vec![9, 9], |c| c.0.clone())).collect();
    let expected: Vec<_> = keys.iter().map(|key| rows_of(model, key)).collect();
    assert_eq!(per_key(&snapshot.probe(&bytes(&keys)).unwrap()), expected);
    let first: Vec<_> = expected.iter().map(|rows| rows.first().cloned().into_iter().collect::<Vec<_>>()).collect();
    assert_eq!(per_key(&snapshot.probe_end(&bytes(&keys), End::First).unwrap()), first);
    let last: Vec<_> = expected.iter().map(|rows| rows.last().cloned().into_iter().collect::<Vec<_>>()).collect();
    assert_eq!(per_key(&snapshot.probe_end(&bytes(&keys), End::Last).unwrap()), last);
}

#[test]
fn model() {
    let mut random = random("add model");
    for limited in budgets().iter().cycle().take(6) {
        let (mut arrangement, mut committed, mut kept) = (limited.arrangement(Law::Add), Model::new(), Vec::new());
        for _ in 0..60 {
            let mut staged = committed.clone();
            for _ in 0..random.random_range(0..3) {
                let changes = changes(&mut random);
                stage(&mut arrangement, &changes);
                apply(&mut staged, &changes);
            }
            check(&arrangement.staged(), &staged, &mut random);
            check(&arrangement.committed(), &committed, &mut random);
            if random.random_range(0..4) == 0 {
                arrangement.discard();
            } else {
                arrangement.commit();
                committed = staged;
            }
            check(&arrangement.staged(), &committed, &mut random);
            if random.random_range(0..20) == 0 {
                kept.push((arrangement.committed(), committed.clone()));
            }
        }
        for (snapshot, model) in kept {
            check(&snapshot, &model, &mut random);
        }
    }
}

#[test]
fn what_cancels_leaves_nothing() {
    let mut arrangement = adding();
    stage(&mut arrangement, &[("a", "x", 1), ("a", "x", -1), ("b", "y", 0)]);
    assert!(arrangement.staged().is_empty(), "an empty delta makes no batch");
    stage(&mut arrangement, &[("a", "x", 1)]);
    arrangement.commit();
    stage(&mut arrangement, &[("a", "x", -1)]);
    arrangement.commit();
    assert!(arrangement.committed().is_empty());
}
