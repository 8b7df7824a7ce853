//! The bytes of a frame: numbers little-endian; an optional text is its length + 1 and its bytes, 0 for none.

use api::{Headers, Record, TopicPartition};
use bytes::Bytes;
use plan::TableId;
use zset::{Delta, Epoch, Offset, Partition, RowCodec, TimestampMs};

/// Length and checksum.
pub(super) const HEAD: usize = 12;
/// As many bytes of a frame as its name has.
pub(super) const BEGIN: usize = 17;

/// As it was once, without its topic.
const RANGE: u8 = 1;
const ROWS: u8 = 2;
/// A range of records, which begins with the name of its topic: a source and the letters that it replays have the same table,
/// partitions and offsets.
const TOPIC_RANGE: u8 = 3;

/// What a frame is of.
pub(super) enum Frame {
    Range(TableId, Partition, Offset),
    Rows(TableId, Epoch),
}

/// How many bytes of a frame a record has, without its headers.
pub(super) fn size(record: &Record) -> usize {
    24 + record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}

/// The records of one partition, in order; there is one at least. The head is left empty.
pub(super) fn of_range(table: TableId, records: &[Record]) -> Vec<u8> {
    let last = &records[records.len() - 1];
    let topic = &last.at.topic;
    let mut out = Vec::with_capacity(HEAD + BEGIN + 4 + topic.len() + records.iter().map(size).sum::<usize>());
    out.resize(HEAD, 0);
    out.push(TOPIC_RANGE);
    out.extend_from_slice(&table.0.to_le_bytes());
    out.extend_from_slice(&last.at.partition.0.to_le_bytes());
    out.extend_from_slice(&(last.offset.0 + 1).to_le_bytes());
    put(&mut out, Some(topic.as_bytes()));
    for record in records {
        out.extend_from_slice(&record.offset.0.to_le_bytes());
        out.extend_from_slice(&record.timestamp.0.to_le_bytes());
        put(&mut out, record.key.as_deref());
        put(&mut out, record.value.as_deref());
        out.extend_from_slice(&(record.headers.len() as u32).to_le_bytes());
        for (name, value) in &record.headers {
            put(&mut out, Some(name.as_bytes()));
            put(&mut out, value.as_deref());
        }
    }
    out
}

/// The changed rows of a table.
pub(super) fn of_rows(table: TableId, epoch: Epoch, delta: &Delta, codec: &RowCodec) -> Vec<u8> {
    let rows = codec.encode_batch(delta.batch());
    let mut out = vec![0; HEAD];
    out.push(ROWS);
    out.extend_from_slice(&table.0.to_le_bytes());
    out.extend_from_slice(&epoch.0.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    for (row, weight) in rows.iter().zip(delta.weights().values()) {
        out.extend_from_slice(&weight.to_le_bytes());
        put(&mut out, Some(row));
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.extend_from_slice(&bytes.map_or(0, |bytes| bytes.len() as u32 + 1).to_le_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// What a frame that begins so is of.
pub(super) fn name(begin: &[u8]) -> Option<Frame> {
    let mut from = From(begin);
    match from.take(1)? {
        [RANGE | TOPIC_RANGE] => {
            Some(Frame::Range(TableId(from.u32()?), Partition(from.u32()? as i32), Offset(from.u64()? as i64)))
        }
        [ROWS] => Some(Frame::Rows(TableId(from.u32()?), Epoch(from.u64()?))),
        _ => None,
    }
}

/// The records of a range, if they are of the topic.
pub(super) fn range_in(payload: &[u8], at: &TopicPartition) -> Option<Vec<Record>> {
    let mut from = From(payload.get(BEGIN..)?);
    if payload[0] == TOPIC_RANGE && from.bytes()?? != at.topic.as_bytes() {
        return None;
    }
    let mut records = Vec::new();
    while !from.0.is_empty() {
        let (offset, timestamp) = (Offset(from.u64()? as i64), TimestampMs(from.u64()? as i64));
        let (key, value) = (from.bytes()?.map(Bytes::copy_from_slice), from.bytes()?.map(Bytes::copy_from_slice));
        let mut headers = Headers::new();
        for _ in 0..from.u32()? {
            let name = String::from_utf8(from.bytes()??.to_vec()).ok()?;
            headers.push((name, from.bytes()?.map(Bytes::copy_from_slice)));
        }
        records.push(Record { at: at.clone(), offset, timestamp, key, value, headers });
    }
    Some(records)
}

/// The rows of a change.
pub(super) fn rows_in(payload: &[u8], codec: &RowCodec) -> Option<Delta> {
    let mut from = From(payload.get(BEGIN..)?);
    let (mut rows, mut weights) = (Vec::new(), Vec::new());
    while !from.0.is_empty() {
        weights.push(from.u64()? as i64);
        rows.push(from.bytes()??);
    }
    Some(Delta::new(codec.decode_batch(rows), weights.into()))
}

/// What is left to be read.
struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.u32()? {
            0 => Some(None),
            length => Some(Some(self.take(length as usize - 1)?)),
        }
    }
}
