//! The replace law against a map. Markers are what it is about: a delete hides a row of any older batch, and goes away
//! only with the oldest.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Model, budgets, bytes, per_key, random, replace, replacing, scanned};
use crate::{End, Law, Snapshot};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn changes(random: &mut ChaCha8Rng, keys: u16) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let count = match random.random_range(0..10) {
        0 => 0,
        1..7 => random.random_range(1..8),
        7..9 => random.random_range(8..400),
        _ => random.random_range(400..3000),
    };
    (0..count)
        .map(|_| {
            let key = random.random_range(0..keys).to_be_bytes().to_vec();
            let row = (random.random_range(0..3) > 0).then(|| random.random::<u32>().to_be_bytes().to_vec());
            (key, row)
        })
        .collect()
}

fn apply(model: &mut Rows, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, row) in changes {
        match row {
            Some(row) => model.insert(key.clone(), row.clone()),
            None => model.remove(key),
        };
    }
}

fn check(snapshot: &Snapshot, model: &Rows, random: &mut ChaCha8Rng, keys: u16) {
    let all: Model = model.iter().map(|(key, row)| ((key.clone(), row.clone()), 1)).collect();
    assert_eq!(scanned(snapshot, random.random_range(1..3000)), all);
    let keys: Vec<Vec<u8>> = (0..50).map(|_| random.random_range(0..keys).to_be_bytes().to_vec()).collect();
    let expected: Vec<Vec<_>> =
        keys.iter().map(|k| model.get(k).map(|row| (row.clone(), 1)).into_iter().collect()).collect();
    assert_eq!(per_key(&snapshot.probe(&bytes(&keys)).unwrap()), expected);
    assert_eq!(per_key(&snapshot.probe_end(&bytes(&keys), End::Last).unwrap()), expected);
}

#[test]
fn model() {
    let mut random = random("replace model");
    let budgets = budgets();
    for (limited, keys) in budgets.iter().flat_map(|limited| [1u16, 5, 300, 5000, 60000].map(|keys| (limited, keys))) {
        let (mut arrangement, mut committed, mut kept) = (limited.arrangement(Law::Replace), Rows::new(), Vec::new());
        for _ in 0..60 {
            let mut staged = committed.clone();
            for _ in 0..random.random_range(0..3) {
                let changes = changes(&mut random, keys);
                replace(&mut arrangement, &changes);
                apply(&mut staged, &changes);
            }
            check(&arrangement.staged(), &staged, &mut random, keys);
            if random.random_range(0..4) == 0 {
                arrangement.discard();
            } else {
                arrangement.commit();
                committed = staged;
            }
            check(&arrangement.committed(), &committed, &mut random, keys);
            if random.random_range(0..20) == 0 {
                kept.push((arrangement.committed(), committed.clone()));
            }
        }
        for (snapshot, model) in kept {
            check(&snapshot, &model, &mut random, keys);
        }
    }
}

/// A marker is dropped by a merge of two young batches only at the price of the deleted row coming back.
#[test]
fn a_delete_stays_deleted_through_merges() {
    let mut arrangement = replacing();
    let old: Vec<(Vec<u8>, Option<&str>)> = (0..5000u32).map(|n| (n.to_be_bytes().to_vec(), Some("old"))).collect();
    replace(&mut arrangement, &old);
    arrangement.commit();
    for n in 0..40u32 {
        replace(&mut arrangement, &[(n.to_be_bytes(), None::<&str>)]);
        arrangement.commit();
    }
    assert_eq!(arrangement.committed().batches(), 2, "forty small epochs share one tail");
    let deleted: Vec<[u8; 4]> = (0..40u32).map(u32::to_be_bytes).collect();
    assert!(arrangement.committed().probe(&bytes(&deleted)).unwrap().rows.is_empty());
    assert_eq!(scanned(&arrangement.committed(), 100).len(), 4960);
}

#[test]
fn of_equal_keys_the_later_wins() {
    let mut arrangement = replacing();
    replace(&mut arrangement, &[("a", Some("1")), ("b", Some("1")), ("a", None), ("b", Some("2")), ("a", Some("3"))]);
    replace(&mut arrangement, &[("b", None::<&str>)]);
    arrangement.commit();
    let found = per_key(&arrangement.committed().probe(&bytes(&["b", "a"])).unwrap());
    assert_eq!(found, [vec![], vec![(b"3".to_vec(), 1)]]);
}

#[test]
fn deletes_of_nothing_leave_nothing() {
    let mut arrangement = replacing();
    replace(&mut arrangement, &[("a", None::<&str>)]);
    arrangement.commit();
    assert!(arrangement.committed().is_empty());
    for half in [0..3000u32, 3000..6000] {
        let rows: Vec<_> = half.map(|n| (n.to_be_bytes(), Some("row"))).collect();
        replace(&mut arrangement, &rows);
        arrangement.commit();
    }
    let all: Vec<_> = (0..6000u32).map(|n| (n.to_be_bytes(), None::<&str>)).collect();
    replace(&mut arrangement, &all);
    arrangement.commit();
    assert_eq!(arrangement.committed().entries(), 0, "merging with the oldest drops the markers");
}
