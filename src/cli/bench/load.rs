//! The data are brought to where they are read before anything is measured: into topics of a log, into memory, or into files.
//!
//! A log is filled by a process of its own, so that neither the time nor the memory of that counts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use api::{Log, OutRecord, TopicKind, TopicPartition, TopicSpec};
use zset::{Partition, TimestampMs};

use super::data::{Data, Topic};
use super::sources::Places;
use crate::cli::Failure;
use crate::cli::process::now;

/// So many records of a topic are written at once.
const BATCH: usize = 16 * 1024;
/// The files of a topic, as the peers read them.
const PARTS: usize = 2;

/// Runs this command again, with `--load`, in a process of its own, and waits for it.
pub(super) fn in_another_process(folder: &Path) -> Result<(), Failure> {
    let doing = "cannot start the process that writes the data";
    let program = std::env::current_exe().map_err(|error| Failure::while_doing(doing, error))?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).arg("--load").arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(|error| Failure::while_doing(doing, error))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::other("the process that writes the data has failed; its message is above")),
    }
}

/// Fills the topics of a log. One that has all its records already is left as it is.
pub(super) fn fill(log: &dyn Log, data: &Data, topics: &[Topic], places: &Places) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for topic in topics {
        if is_missing(log, data, *topic, places)? {
            missing.push(*topic);
        }
    }
    let mut batches: BTreeMap<Topic, Vec<OutRecord>> = BTreeMap::new();
    let time = now();
    data.generate(&missing, &mut |topic, key, line| {
        let batch = batches.entry(topic).or_default();
        batch.push(record(&places.topic(topic), topic.key(key), line, time));
        if batch.len() == BATCH {
            log.append(&std::mem::take(batch))?;
        }
        Ok(())
    })?;
    for batch in batches.into_values() {
        log.append(&batch)?;
    }
    Ok(())
}

/// Makes the topics, which are filled later.
pub(super) fn make(log: &dyn Log, topics: &[Topic], places: &Places) -> Result<(), Failure> {
    for topic in topics {
        let name = places.topic(*topic);
        log.make_topic(&TopicSpec { topic: name, partitions: 1, replication: None, kind: TopicKind::Plain })?;
    }
    Ok(())
}

/// Makes the topic, and says whether it has yet to be filled.
fn is_missing(log: &dyn Log, data: &Data, topic: Topic, places: &Places) -> Result<bool, Failure> {
    make(log, &[topic], places)?;
    let name = places.topic(topic);
    let bounds = log.bounds(&TopicPartition { topic: name.as_str().into(), partition: Partition(0) })?;
    if bounds.high == bounds.low && bounds.low.0 == 0 {
        return Ok(true);
    }
    let mut count = 0;
    data.generate(&[topic], &mut |_, _, _| {
        count += 1;
        Ok(())
    })?;
    match (bounds.low.0, bounds.high.0) {
        (0, high) if high == count => Ok(false),
        (low, high) => Err(Failure::other(format!(
            "topic {name} has the offsets {low} to {high}, not 0 to {count}: writing it was interrupted, or it has lost \
             records since; delete it and run this again"
        ))),
    }
}

/// The topics in memory.
pub(super) fn in_memory(
    data: &Data,
    topics: &[Topic],
    places: &Places,
) -> Result<BTreeMap<String, Vec<OutRecord>>, Failure> {
    let mut records: BTreeMap<String, Vec<OutRecord>> = BTreeMap::new();
    let time = now();
    data.generate(topics, &mut |topic, key, line| {
        let name = places.topic(topic);
        let record = record(&name, topic.key(key), line, time);
        records.entry(name).or_default().push(record);
        Ok(())
    })?;
    Ok(records)
}

/// The topics as files of JSON lines: those of changes by key, others in turn.
pub(super) fn into_files(data: &Data, topics: &[Topic], folder: &Path) -> Result<(), Failure> {
    let cannot = |path: &Path| {
        let path = path.display().to_string();
        move |error| Failure::while_doing(&format!("cannot write {path}"), error)
    };
    let mut files = BTreeMap::new();
    for topic in topics {
        let folder = folder.join(topic.folder());
        fs::create_dir_all(&folder).map_err(cannot(&folder))?;
        for part in 0..PARTS {
            let path = folder.join(format!("part-{part}.jsonl"));
            let file = File::create(&path).map_err(cannot(&path))?;
            files.insert((*topic, part), BufWriter::with_capacity(1 << 20, file));
        }
    }
    let mut turns: BTreeMap<Topic, usize> = BTreeMap::new();
    data.generate(topics, &mut |topic, key, line| {
        let turn = turns.entry(topic).or_default();
        let part = if topic.changes() { key as usize } else { *turn } % PARTS;
        *turn += 1;
        let file = files.get_mut(&(topic, part)).expect("each topic has its files");
        writeln!(file, "{line}").map_err(cannot(folder))
    })?;
    files.into_values().try_for_each(|mut file| file.flush().map_err(cannot(folder)))
}

/// A record of a topic of one partition.
pub(super) fn record(topic: &str, key: String, line: &str, timestamp: TimestampMs) -> OutRecord {
    OutRecord {
        to: TopicPartition { topic: topic.into(), partition: Partition(0) },
        timestamp,
        key: Some(key.into()),
        value: Some(line.to_string().into()),
        headers: Vec::new(),
    }
}
