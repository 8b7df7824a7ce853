//! A chunk: a run of records of one partition as one value.
//!
//! ```text
//! version u8 | count u32 | latest i64 | records | xxh3-64 of all before, seeded with that of the key
//! record: time (difference to the one before, zigzag) | key | value | number of headers | (name, value)*
//! ```
//! Numbers in records are LEB128; a byte string is its length plus one, then its bytes; 0 is null. `latest` is the
//! latest time of any record of the partition up to the end of this chunk, so that it never falls from chunk to chunk
//! and a time can be searched for by halving. The checksum covers the key: a chunk in a wrong place is no chunk.

use api::{Headers, OutRecord};
use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const VERSION: u8 = 1;
const HEADER: usize = 13;
const CHECKSUM: usize = 8;

fn checksum(key: &[u8], content: &[u8]) -> u64 {
    xxh3_64_with_seed(content, xxh3_64(key))
}

fn put_number(buffer: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        buffer.push(n as u8 | 0x80);
        n >>= 7;
    }
    buffer.push(n as u8);
}

fn put_bytes(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => buffer.push(0),
        Some(bytes) => {
            put_number(buffer, bytes.len() as u64 + 1);
            buffer.extend_from_slice(bytes);
        }
    }
}

/// A chunk being filled.
pub(crate) struct ChunkBuilder {
    buffer: Vec<u8>,
    count: u32,
    latest: i64,
    time: i64,
}

impl ChunkBuilder {
    /// An empty one; `latest` is the latest time of all records before it in the partition.
    pub(crate) fn new(latest: i64) -> Self {
        let mut buffer = vec![0; HEADER];
        buffer[0] = VERSION;
        Self { buffer, count: 0, latest, time: 0 }
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &OutRecord) {
        let buffer = &mut self.buffer;
        let step = record.timestamp.0.wrapping_sub(self.time);
        put_number(buffer, ((step << 1) ^ (step >> 63)) as u64);
        put_bytes(buffer, record.key.as_deref());
        put_bytes(buffer, record.value.as_deref());
        put_number(buffer, record.headers.len() as u64);
        for (name, value) in &record.headers {
            put_bytes(buffer, Some(name.as_bytes()));
            put_bytes(buffer, value.as_deref());
        }
        self.time = record.timestamp.0;
        self.latest = self.latest.max(self.time);
        self.count += 1;
    }

    /// The number of records.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The latest time of the partition up to here.
    pub(crate) fn latest(&self) -> i64 {
        self.latest
    }

    /// The size so far.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The chunk, to be put under `key`.
    pub(crate) fn finish(mut self, key: &[u8]) -> Vec<u8> {
        self.buffer[1..5].copy_from_slice(&self.count.to_le_bytes());
        self.buffer[5..HEADER].copy_from_slice(&self.latest.to_le_bytes());
        let checksum = checksum(key, &self.buffer);
        self.buffer.extend_from_slice(&checksum.to_le_bytes());
        self.buffer
    }
}

/// A record of a chunk.
pub(crate) struct Stored {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

/// A chunk read record by record. Keys and values share the chunk's memory.
#[derive(Debug)]
pub(crate) struct Chunk {
    content: Bytes,
    at: usize,
    base: i64,
    count: u32,
    latest: i64,
    read: u32,
    time: i64,
}

impl Chunk {
    /// The chunk found under `key`, whose first record has offset `base`; or what is wrong with it.
    pub(crate) fn open(key: &[u8], base: i64, value: Bytes) -> Result<Self, String> {
        if value.len() < HEADER + CHECKSUM {
            return Err(format!("a chunk of {} bytes is cut short", value.len()));
        }
        let end = value.len() - CHECKSUM;
        let stored = u64::from_le_bytes(array(&value[end..]));
        let found = checksum(key, &value[..end]);
        if stored != found {
            return Err(format!("checksum {found:016x} instead of {stored:016x}"));
        }
        if value[0] != VERSION {
            return Err(format!("chunk version {} is not known here", value[0]));
        }
        let count = u32::from_le_bytes(array(&value[1..5]));
        let latest = i64::from_le_bytes(array(&value[5..HEADER]));
        Ok(Self { content: value.slice(..end), at: HEADER, base, count, latest, read: 0, time: 0 })
    }

    /// The first offset.
    pub(crate) fn base(&self) -> i64 {
        self.base
    }

    /// The offset behind the last.
    pub(crate) fn end(&self) -> i64 {
        self.base + i64::from(self.count)
    }

    /// The latest time of the partition up to the end of this chunk.
    pub(crate) fn latest(&self) -> i64 {
        self.latest
    }

    /// How many records are left.
    pub(crate) fn left(&self) -> usize {
        (self.count - self.read) as usize
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Option<Stored>, String> {
        if self.read == self.count {
            return Ok(None);
        }
        let offset = self.base + i64::from(self.read);
        let zigzag = self.number()?;
        self.time = self.time.wrapping_add((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        let (key, value) = (self.bytes()?, self.bytes()?);
        let mut headers = Headers::new();
        for _ in 0..self.number()? {
            let name = self.bytes()?.ok_or("a header without a name")?;
            let name = String::from_utf8(name.into()).map_err(|e| format!("a header's name: {e}"))?;
            headers.push((name, self.bytes()?));
        }
        self.read += 1;
        Ok(Some(Stored { offset, timestamp: self.time, key, value, headers }))
    }

    #[inline]
    fn number(&mut self) -> Result<u64, String> {
        // Most are of one byte.
        match self.content.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, String> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.content.get(self.at).ok_or("a chunk's records are cut short")?;
            self.at += 1;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err("a number of more than 64 bits".into())
    }

    fn bytes(&mut self) -> Result<Option<Bytes>, String> {
        let Some(len) = self.number()?.checked_sub(1) else { return Ok(None) };
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let end = end.filter(|end| *end <= self.content.len()).ok_or("a chunk's records are cut short")?;
        let bytes = self.content.slice(self.at..end);
        self.at = end;
        Ok(Some(bytes))
    }
}

/// A slice of known length as an array.
fn array<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(slice);
    array
}
