//! When each partition was last known to be read to its end. A tombstone that came later than that can be read for
//! `delete.retention.ms` at least: whoever was away for longer may have missed that a key is gone.
//!
//! Kept in `DATA/ends.json`, beside the checkpoints: an idle topic makes no epoch. It is a time that a position had at least;
//! without it nothing is known, which costs a look at the whole topic, and never exactness.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use plan::TableId;
use zset::{Offset, Partition, TimestampMs};

use crate::engine::Position;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    path: PathBuf,
    times: BTreeMap<(TableId, Partition), TimestampMs>,
    /// Ends that readers have met, not yet in the tables.
    met: BTreeMap<(TableId, Partition), (Offset, TimestampMs)>,
    changed: bool,
    /// There are partitions that were never saved.
    new: bool,
}

impl Ends {
    /// What a folder knows of it.
    pub fn load(path: PathBuf) -> Self {
        let times: Vec<(TableId, Partition, TimestampMs)> =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let times = times.into_iter().map(|(table, partition, time)| ((table, partition), time)).collect();
        Self { path, times, ..Self::default() }
    }

    /// When a partition was last known to be read to its end.
    pub fn of(&self, table: TableId, partition: Partition) -> Option<TimestampMs> {
        self.times.get(&(table, partition)).copied()
    }

    /// A reader has all that a partition had at a time.
    pub fn meet(&mut self, table: TableId, partition: Partition, end: Offset, time: TimestampMs) {
        self.met.insert((table, partition), (end, time));
    }

    /// A partition of which nothing is read yet: at a time there was no row of it that could have gone.
    pub fn begin(&mut self, table: TableId, partition: Partition, time: TimestampMs) {
        self.times.insert((table, partition), time);
        (self.changed, self.new) = (true, true);
    }

    /// All partitions of a table are known to be read as they were at a time.
    pub fn all(&mut self, table: TableId, partitions: impl Iterator<Item = Partition>, time: TimestampMs) {
        self.forget(table);
        self.times.extend(partitions.map(|partition| ((table, partition), time)));
        self.changed = true;
    }

    /// Nothing is known of a table any more.
    pub fn forget(&mut self, table: TableId) {
        self.times.retain(|(of, _), _| *of != table);
        self.met.retain(|(of, _), _| *of != table);
    }

    /// Takes over the ends that are in the tables by now.
    pub fn settle(&mut self, positions: &BTreeMap<(TableId, Partition), Position>) {
        let Self { times, met, changed, .. } = self;
        met.retain(|key, (end, time)| {
            let there = positions.get(key).is_some_and(|position| position.next >= *end);
            if there {
                times.insert(*key, *time);
                *changed = true;
            }
            !there
        });
    }

    /// Writes partitions down that are new, before anything of them is committed: who dies then finds that nothing was missed.
    pub fn save_new(&mut self) {
        if self.new {
            self.save();
        }
    }

    /// Writes it down, whole or not at all.
    pub fn save(&mut self) {
        self.new = false;
        if !std::mem::take(&mut self.changed) {
            return;
        }
        if let Err(error) = self.try_save() {
            tracing::warn!(
                "cannot write {}: {error}; the next start may read compacted topics whole",
                self.path.display()
            );
        }
    }

    fn try_save(&self) -> io::Result<()> {
        let times: Vec<_> = self.times.iter().map(|((table, partition), time)| (table, partition, time)).collect();
        let temp = self.path.with_extension("json.tmp");
        File::create(&temp)?.write_all(&serde_json::to_vec(&times)?)?;
        fs::rename(&temp, &self.path)
    }
}
