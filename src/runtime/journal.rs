//! The journal: what was read of the topics since the oldest kept checkpoint, beside it in the data folder, so that a replay does not
//! depend on topics that are compacted, expire or are deleted meanwhile.
//!
//! ```text
//! DATA/journal/EPOCH-GENERATION   frames of the epochs from that one on; a new file begins with every checkpoint
//! frame: length u32, xxh3 of what follows u64, then a range of records or the changed rows of a reconciled table
//! ```
//! Nobody has to believe it: what it gives is compared with the count and hash in the epoch record, or with the digest. It is
//! written before the epoch is committed and not synced: it survives the process, and the machine as far as that wrote it out.
//! What is in no checkpoint yet is bounded: the loop reads no further while it [is full](Journal::is_full). What could not be written (a
//! full disk) counts too, until a checkpoint has it: it is nowhere but in topics that lose it.

mod frame;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::{Record, TopicPartition};
use plan::{InputRange, TableId};
use xxhash_rust::xxh3::xxh3_64;
use zset::{Delta, Epoch, Generation, Offset, Partition, RowCodec};

use crate::range;
use frame::Frame;

/// See the module.
pub(crate) struct Journal {
    dir: PathBuf,
    generation: Generation,
    /// What is written to.
    file: Option<File>,
    /// Where what there was at the start lies, once that was asked for.
    index: Option<Index>,
    /// It could not be written: it is tried again in the next file.
    broken: bool,
    /// Bytes of all its files.
    bytes: u64,
    /// What no checkpoint has.
    uncovered: Uncovered,
    /// Of this, what came since a checkpoint was last begun, which does not have it.
    rotated: Uncovered,
    /// It is full with so many bytes that no checkpoint has.
    pub bytes_max: u64,
}

/// Bytes of what was read and no checkpoint has.
#[derive(Debug, Clone, Copy, Default)]
struct Uncovered {
    written: u64,
    missed: u64,
}

/// See [`Journal::bytes_max`].
const BYTES_MAX: u64 = 8 << 30;

/// A frame in a file.
type Place = (Arc<Path>, u64, u32);

#[derive(Default)]
struct Index {
    /// By table, partition and the offset where the range ends.
    ranges: BTreeMap<(TableId, Partition, Offset), Vec<Place>>,
    rows: BTreeMap<(TableId, Epoch), Vec<Place>>,
}

impl Journal {
    /// In a folder; nothing is read or made yet.
    pub fn new(dir: PathBuf, generation: Generation) -> Self {
        Self {
            dir,
            generation,
            file: None,
            index: None,
            broken: false,
            bytes: 0,
            uncovered: Uncovered::default(),
            rotated: Uncovered::default(),
            bytes_max: BYTES_MAX,
        }
    }

    /// Takes stock of what is there, where the newest checkpoint is of an epoch, or there is none.
    pub fn begin(&mut self, checkpoint: Option<Epoch>) {
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let sizes: Vec<(Epoch, u64)> = self.files().iter().map(|(first, path)| (*first, size(path))).collect();
        self.bytes = sizes.iter().map(|(_, size)| size).sum();
        let behind = sizes.iter().filter(|(first, _)| checkpoint.is_none_or(|checkpoint| *first > checkpoint));
        self.uncovered = Uncovered { written: behind.map(|(_, size)| size).sum(), missed: 0 };
    }

    /// How large it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of what is in no checkpoint and could not be written.
    pub fn missed(&self) -> u64 {
        self.uncovered.missed
    }

    /// Bytes of what is in no checkpoint.
    pub fn uncovered(&self) -> u64 {
        let Uncovered { written, missed } = self.uncovered;
        written.saturating_add(missed)
    }

    /// Whether no more is to be read before there is a checkpoint.
    pub fn is_full(&self) -> bool {
        self.uncovered() >= self.bytes_max
    }

    /// So many bytes of what was read are not in it, and in no checkpoint.
    pub fn miss(&mut self, bytes: u64) {
        self.uncovered.missed += bytes;
        self.rotated.missed += bytes;
    }

    /// How many bytes records would take in it, about.
    pub fn size(records: &[Record]) -> u64 {
        records.iter().map(frame::size).sum::<usize>() as u64
    }

    /// Whether records of such a range were written; they may be others.
    pub fn may_have(&mut self, of: &InputRange) -> bool {
        self.index().ranges.contains_key(&(of.table, of.partition, of.range.end))
    }

    /// Notes records of an epoch that is to be committed, in the order of partition and offset.
    pub fn note_records(&mut self, epoch: Epoch, table: TableId, records: &[Record]) {
        for run in records.chunk_by(|a, b| a.at.partition == b.at.partition) {
            self.write(epoch, frame::of_range(table, run));
        }
    }

    /// Notes the rows that an epoch changes that is to be committed.
    pub fn note_rows(&mut self, epoch: Epoch, table: TableId, delta: &Delta, codec: &RowCodec) {
        self.write(epoch, frame::of_rows(table, epoch, delta, codec));
    }

    /// A checkpoint is being made: what comes from now on is in another file.
    pub fn rotate(&mut self) {
        self.file = None;
        self.broken = false;
        self.rotated = Uncovered::default();
    }

    /// The checkpoint is made.
    pub fn covered(&mut self) {
        self.uncovered = self.rotated;
    }

    /// Deletes what replay from the checkpoint of an epoch does not need.
    pub fn prune(&mut self, kept: Epoch) {
        let files = self.files();
        let behind = files.iter().zip(files.iter().skip(1)).filter(|(_, next)| next.0.0 <= kept.0 + 1);
        for (file, _) in behind {
            let size = fs::metadata(&file.1).map_or(0, |found| found.len());
            match fs::remove_file(&file.1) {
                Ok(()) => self.bytes = self.bytes.saturating_sub(size),
                Err(error) => tracing::warn!("cannot delete {}: {error}", file.1.display()),
            }
        }
    }

    /// The records of a range as they were.
    pub fn records(&mut self, of: &InputRange) -> Option<Vec<Record>> {
        let places = self.index().ranges.get(&(of.table, of.partition, of.range.end)).cloned()?;
        let at = TopicPartition { topic: of.topic.as_str().into(), partition: of.partition };
        let starts = [(of.partition, of.range.start)].into();
        places.iter().find_map(|place| {
            let records = frame::range_in(&read(place)?, &at)?;
            let found = range::ranges(of.table, &records, &starts);
            let is_it = |it: &InputRange| it.count == of.count && it.hash == of.hash && it.last == of.last;
            found.first().is_some_and(is_it).then_some(records)
        })
    }

    /// The rows that an epoch changed in a table, as often as they were noted.
    pub fn rows(&mut self, table: TableId, epoch: Epoch, codec: &RowCodec) -> Vec<Delta> {
        let places = self.index().rows.get(&(table, epoch)).cloned().unwrap_or_default();
        places.iter().filter_map(|place| frame::rows_in(&read(place)?, codec)).collect()
    }

    /// It is not asked for anything soon: there is a place in memory for every frame.
    pub fn forget_places(&mut self) {
        self.index = None;
    }

    /// Appends a frame, whose head is yet to be written.
    fn write(&mut self, epoch: Epoch, mut frame: Vec<u8>) {
        let bytes = frame.len() as u64;
        if self.broken {
            return self.miss(bytes);
        }
        if let Err(error) = self.try_write(epoch, &mut frame) {
            self.broken = true;
            self.miss(bytes);
            tracing::error!(
                "cannot write the journal in {}: {error}; until the next checkpoint a replay depends on what the topics still have, and \
                 at {} bytes that no checkpoint has the sources wait for one; is the disk full?",
                self.dir.display(),
                self.bytes_max
            );
        }
    }

    fn try_write(&mut self, epoch: Epoch, frame: &mut [u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                fs::create_dir_all(&self.dir)?;
                let path = self.dir.join(format!("{:020}-{:010}", epoch.0, self.generation.0));
                self.file.insert(File::options().create(true).append(true).mode(0o600).open(path)?)
            }
        };
        let (head, payload) = frame.split_at_mut(frame::HEAD);
        let length = u32::try_from(payload.len()).map_err(|_| io::Error::other("a range of more than 4 GiB"))?;
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&xxh3_64(payload).to_le_bytes());
        let before = file.metadata()?.len();
        file.write_all(frame).inspect_err(|_| {
            // Behind half a frame nothing would be found.
            let _ = file.set_len(before);
        })?;
        let written = frame.len() as u64;
        self.bytes += written;
        self.uncovered.written += written;
        self.rotated.written += written;
        Ok(())
    }

    /// The files, by their first epoch.
    fn files(&self) -> Vec<(Epoch, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let of = |path: PathBuf| Some((Epoch(path.file_name()?.to_str()?.get(..20)?.parse().ok()?), path));
        let mut files: Vec<_> = entries.filter_map(|entry| of(entry.ok()?.path())).collect();
        files.sort();
        files
    }

    fn index(&mut self) -> &Index {
        if self.index.is_none() {
            let mut index = Index::default();
            for (_, path) in self.files() {
                // A torn end is that of an epoch that was never committed, or is missed by whoever asks for it.
                let _ = index.add(&path);
            }
            self.index = Some(index);
        }
        self.index.get_or_insert_default()
    }
}

impl Index {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let path: Arc<Path> = path.into();
        let mut at = 0;
        loop {
            let mut head = [0; frame::HEAD];
            file.read_exact(&mut head)?;
            let length = u32::from_le_bytes(head[..4].try_into().map_err(io::Error::other)?);
            let mut begin = vec![0; frame::BEGIN.min(length as usize)];
            file.read_exact(&mut begin)?;
            let place = (Arc::clone(&path), at, length);
            match frame::name(&begin) {
                Some(Frame::Range(table, partition, end)) => {
                    self.ranges.entry((table, partition, end)).or_default().push(place);
                }
                Some(Frame::Rows(table, epoch)) => self.rows.entry((table, epoch)).or_default().push(place),
                None => return Ok(()),
            }
            at = file.seek(SeekFrom::Start(at + frame::HEAD as u64 + u64::from(length)))?;
        }
    }
}

/// What a frame holds, if it is whole.
fn read((path, at, length): &Place) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(*at)).ok()?;
    let mut head = [0; frame::HEAD];
    file.read_exact(&mut head).ok()?;
    let mut payload = vec![0; *length as usize];
    file.read_exact(&mut payload).ok()?;
    let sum = u64::from_le_bytes(head[4..].try_into().ok()?);
    (xxh3_64(&payload) == sum).then_some(payload)
}

#[cfg(test)]
mod tests;
