//! The end of a file: one behind the offset of its last line, found by reading it backwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const BLOCK: u64 = 64 << 10;

/// The end of the first `length` bytes of a file; 0: there is no line. `whole`: only lines with their line feed count.
pub(super) fn end(path: &Path, length: u64, whole: bool) -> io::Result<i64> {
    let mut bytes = Backwards { file: File::open(path)?, block: Vec::new(), start: 0 };
    let mut stop = match whole {
        true => bytes.line_feed_before(length)?.map_or(0, |at| at + 1),
        false => length,
    };
    while stop > 0 {
        let text_end = if bytes.get(stop - 1)? == b'\n' { stop - 1 } else { stop };
        let start = bytes.line_feed_before(text_end)?.map_or(0, |at| at + 1);
        let empty = start == text_end || (start + 1 == text_end && bytes.get(start)? == b'\r');
        if !empty {
            return Ok(start as i64 + 1);
        }
        stop = start;
    }
    Ok(0)
}

/// A file of which a block is at hand.
struct Backwards {
    file: File,
    block: Vec<u8>,
    start: u64,
}

impl Backwards {
    /// Has the byte at an offset at hand, as the last of its block.
    fn load(&mut self, at: u64) -> io::Result<()> {
        if (self.start..self.start + self.block.len() as u64).contains(&at) {
            return Ok(());
        }
        self.start = (at + 1).saturating_sub(BLOCK);
        self.block.resize((at + 1 - self.start) as usize, 0);
        self.file.read_exact_at(&mut self.block, self.start)
    }

    fn get(&mut self, at: u64) -> io::Result<u8> {
        self.load(at)?;
        Ok(self.block[(at - self.start) as usize])
    }

    fn line_feed_before(&mut self, mut end: u64) -> io::Result<Option<u64>> {
        while end > 0 {
            self.load(end - 1)?;
            let known = (end - self.start) as usize;
            if let Some(at) = self.block[..known].iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.start + at as u64));
            }
            end = self.start;
        }
        Ok(None)
    }
}
