//! D13: how often RocksDB is called does not depend on the rows of an epoch.

use super::{Limited, bytes, numbered, stage};
use crate::Law;

/// While there is room an epoch is staged, read and committed without a call; blocks are written by checkpoints, and counted there.
#[test]
fn an_epoch_does_not_call_rocksdb() {
    let limited = Limited::new(1 << 30);
    let mut arrangement = limited.arrangement(Law::Add);
    stage(&mut arrangement, &numbered(0, 10_000, 1));
    arrangement.commit();
    let before = format!("{:?}", limited.store.stats());
    let mut at = 10_000;
    for rows in [10u64, 1_000, 50_000] {
        stage(&mut arrangement, &numbered(at, rows, 1));
        let keys: Vec<[u8; 8]> = (0..rows).map(|n| n.to_be_bytes()).collect();
        assert_eq!(arrangement.staged().probe(&bytes(&keys)).unwrap().weights.len() as u64, rows);
        arrangement.commit();
        at += rows;
        assert_eq!(format!("{:?}", limited.store.stats()), before, "calls for {rows} rows");
    }
}
