//! Keys that come from two partitions: counted, and told once a source and start, for nothing orders the records of two partitions.

use api::Record;
use dataflow::Moved;
use zset::Partition;

use crate::table::Table;

/// Where the records of each partition end.
pub(crate) fn partition_runs(records: &[Record]) -> Vec<(u32, Partition)> {
    let mut end = 0;
    let runs = records.chunk_by(|one, next| one.at.partition == next.at.partition);
    let run = runs.map(|run| {
        end += run.len() as u32;
        (end, run[0].at.partition)
    });
    run.collect()
}

impl Table {
    /// What a user is told of the first key that moved; `None`: he was told.
    pub fn first_move(&mut self, moved: &Moved) -> Option<String> {
        if std::mem::replace(&mut self.told_moves, true) {
            return None;
        }
        let (name, source) = (&self.def.name, self.def.source()?);
        let place = |at: Partition| format!("topic \"{}\" partition {at}", source.topic_of(at));
        Some(format!(
            "key {} of source {name} came from {}, and before from {}: nothing orders the records of two partitions, so that its row \
             may be an older one; have its producer put each key into one partition (a partitioner by key, and as many partitions as \
             there were), then ALTER TABLE {name} RESTART FROM 'earliest'; it is told once, and counted in \
             millstream_source_key_moves_total",
            moved.key,
            place(moved.to),
            place(moved.from),
        ))
    }
}
