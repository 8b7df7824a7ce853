//! A place in one file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use api::{LogError, Record, TopicPartition};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;
use zset::Offset;

use super::cut::{Cutter, Line};
use super::{Shared, failed, line};

/// What is read of a file at once.
const BLOCK: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Cursor {
    pub at: TopicPartition,
    path: PathBuf,
    cutter: Cutter,
    /// The next offset, as a position is kept: one behind the last line delivered.
    pub next: i64,
    /// Open while there is something to read.
    file: Option<File>,
    /// The last line delivered.
    last: Option<Line>,
    /// Where it stands and the hash of its text, to know the file again when it is opened again.
    mark: Option<(u64, usize, u128)>,
}

impl Cursor {
    /// At the first line that begins at or behind an offset.
    pub fn new(at: &TopicPartition, path: PathBuf, offset: Offset) -> Self {
        let cutter = Cutter::new(offset.0.max(0) as u64);
        Self { at: at.clone(), path, cutter, next: offset.0, file: None, last: None, mark: None }
    }

    /// Hands out lines until it is told to stop, or nothing is left for now.
    pub fn read(&mut self, shared: &Shared, into: &mut dyn FnMut(Record) -> bool) -> Result<(), LogError> {
        loop {
            while let Some(line) = self.cutter.next() {
                if !self.hand_out(line, shared.keyed, into) {
                    return Ok(());
                }
            }
            // A file that is gone was read as far as it was; it may come back.
            let Some(length) = shared.length(&self.path)? else {
                self.rest();
                return Ok(());
            };
            if length < self.cutter.read_to() {
                self.shorter(length)?;
                continue;
            }
            if length == self.cutter.read_to() {
                if !shared.follow
                    && let Some(line) = self.cutter.last()
                {
                    self.hand_out(line, shared.keyed, into);
                }
                self.rest();
                return Ok(());
            }
            if self.file.is_some() {
                self.fetch(length).map_err(|error| failed("read", &self.path, &error))?;
            } else {
                self.open()?;
            }
        }
    }

    fn hand_out(&mut self, line: Line, keyed: bool, into: &mut dyn FnMut(Record) -> bool) -> bool {
        self.next = line.start as i64 + 1;
        self.last = Some(line.clone());
        into(line::record(&self.at, line, keyed))
    }

    fn open(&mut self) -> Result<(), LogError> {
        match File::open(&self.path) {
            Ok(file) => self.file = Some(file),
            // Gone just now, which is seen when its length is asked for again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("open", &self.path, &error)),
        }
        self.same()
    }

    /// Reads the next block.
    fn fetch(&mut self, length: u64) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let from = self.cutter.read_to();
        let mut block = vec![0; (length - from).min(BLOCK) as usize];
        let read = file.read_at(&mut block, from)?;
        block.truncate(read);
        self.cutter.push(Bytes::from(block));
        Ok(())
    }

    /// Nothing is left for now: the file is closed, so that many files can be followed.
    fn rest(&mut self) {
        self.file = None;
        if let Some(line) = self.last.take() {
            self.mark = Some((line.start, line.text.len(), xxh3_128(&line.text)));
        }
    }

    /// The file got shorter: only what was not delivered may be gone.
    fn shorter(&mut self, length: u64) -> Result<(), LogError> {
        if (length as i64) < self.next {
            return Err(LogError::OutOfRange {
                topic: self.path.display().to_string(),
                partition: self.at.partition,
                offset: Offset(self.next),
                low: Offset(0),
                high: Offset(length as i64),
            });
        }
        self.rest();
        self.cutter = Cutter::new(self.next as u64);
        Ok(())
    }

    /// The last line delivered must still be there: else another file has its name.
    fn same(&self) -> Result<(), LogError> {
        let (Some((start, length, hash)), Some(file)) = (self.mark, &self.file) else { return Ok(()) };
        let mut text = vec![0; length];
        let read = file.read_exact_at(&mut text, start);
        if read.is_ok() && xxh3_128(&text) == hash {
            return Ok(());
        }
        Err(LogError::Unusable(format!(
            "the file {} was written anew: the line at offset {start} is not the one that was read; put it back as it was, \
             and give new lines a new file",
            self.path.display()
        )))
    }
}
