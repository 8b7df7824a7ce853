//! What the tests share: byte rows, and contents as they should be.
#![allow(clippy::unwrap_used)]

mod budget;
mod calls;
mod checkpoint;
mod damage;
mod files;
mod fuzz;
mod merging;
mod model_add;
mod model_replace;
mod overlay;
mod probing;
mod workers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fault::Failpoints;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use zset::{RowBytes, key_hash};

use crate::{Arrangement, ArrangementId, Budget, Law, Matches, Restored, Snapshot, Store};

pub(super) const ID: ArrangementId = ArrangementId { owner: 7, node: 3, slot: 1 };

/// Contents: (key, row) and weight.
pub(super) type Model = BTreeMap<(Vec<u8>, Vec<u8>), i64>;

/// A generator whose seed is printed; MILLSTREAM_SEED repeats a run.
pub(super) fn random(test: &str) -> ChaCha8Rng {
    let seed = match std::env::var("MILLSTREAM_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
    };
    println!("{test}: MILLSTREAM_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

pub(super) fn bytes<T: AsRef<[u8]>>(rows: &[T]) -> RowBytes {
    rows.iter().map(AsRef::as_ref).collect()
}

/// Stages (key, row, weight)s under the add law.
pub(super) fn stage<K: AsRef<[u8]>, R: AsRef<[u8]>>(to: &mut Arrangement, changes: &[(K, R, i64)]) {
    let keys: RowBytes = changes.iter().map(|change| change.0.as_ref()).collect();
    let rows: RowBytes = changes.iter().map(|change| change.1.as_ref()).collect();
    let weights: Vec<i64> = changes.iter().map(|change| change.2).collect();
    to.stage(&keys, &rows, &weights);
}

/// Stages (key, row or delete)s under the replace law.
pub(super) fn replace<K: AsRef<[u8]>, R: AsRef<[u8]>>(to: &mut Arrangement, changes: &[(K, Option<R>)]) {
    let keys: RowBytes = changes.iter().map(|change| change.0.as_ref()).collect();
    let rows: RowBytes = changes.iter().map(|change| change.1.as_ref().map_or(&[][..], AsRef::as_ref)).collect();
    let present: Vec<bool> = changes.iter().map(|change| change.1.is_some()).collect();
    to.stage_replace(&keys, &rows, &present);
}

/// The matches of every probed key.
pub(super) fn per_key(matches: &Matches) -> Vec<Vec<(Vec<u8>, i64)>> {
    (0..matches.ends.len())
        .map(|probe| matches.range(probe).map(|at| (matches.rows.row(at).to_vec(), matches.weights[at])).collect())
        .collect()
}

/// What a scan gives; checks the order and the length of the chunks.
pub(super) fn scanned(snapshot: &Snapshot, chunk: usize) -> Model {
    let mut all = Vec::new();
    let mut short = false;
    for entries in snapshot.scan(chunk) {
        let entries = entries.unwrap();
        assert!(!short, "only the last chunk is short");
        assert!(!entries.weights.is_empty() && entries.weights.len() <= chunk);
        short = entries.weights.len() < chunk && entries.keys.data_len() + entries.rows.data_len() < 4 << 20;
        for at in 0..entries.weights.len() {
            let (key, row) = (entries.keys.row(at).to_vec(), entries.rows.row(at).to_vec());
            all.push((key_hash(&key), key, row, entries.weights[at]));
        }
    }
    assert!(all.windows(2).all(|two| (two[0].0, &two[0].1, &two[0].2) < (two[1].0, &two[1].1, &two[1].2)));
    all.into_iter().map(|(_, key, row, weight)| ((key, row), weight)).collect()
}

/// `count` rows under `count` keys of 8 bytes, from `from` on.
pub(super) fn numbered(from: u64, count: u64, weight: i64) -> Vec<(Vec<u8>, Vec<u8>, i64)> {
    (from..from + count).map(|n| (n.to_be_bytes().to_vec(), format!("row number {n}").into_bytes(), weight)).collect()
}

/// A store that may have so much in memory.
pub(super) struct Limited {
    pub(super) dir: TempDir,
    pub(super) store: Arc<Store>,
}

impl Limited {
    pub(super) fn new(limit: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let (store, _) = open_limited(dir.path(), limit);
        Self { dir, store }
    }

    pub(super) fn arrangement(&self, law: Law) -> Arrangement {
        self.store.arrangement(ID, law)
    }
}

pub(super) fn open_limited(dir: &Path, limit: u64) -> (Arc<Store>, Option<Restored>) {
    Store::open_with(dir, Failpoints::default(), Arc::new(Budget::new(limit))).unwrap()
}

/// Stores in which everything is stored, what fits in little memory is not, and everything is in memory.
pub(super) fn budgets() -> [Limited; 3] {
    [0, 200 << 10, u64::MAX].map(Limited::new)
}

pub(super) fn adding() -> Arrangement {
    Arrangement::new(ID, Law::Add)
}

pub(super) fn replacing() -> Arrangement {
    Arrangement::new(ID, Law::Replace)
}
