//! What lies under which key in the directory. Big-endian numbers, so that the keys of a partition are in order of
//! offset.
//!
//! | key | value |
//! |---|---|
//! | `0 "format"` | the format's number, u32 |
//! | `1 topic` | id u32, partitions u32, kind u8 |
//! | `2 id partition` | [`Extent`]: low, high, latest, each i64 |
//! | `3 id partition offset` | a chunk of records, the first of which has this offset |

use api::TopicKind;

/// The format this binary reads and writes.
pub(crate) const FORMAT: u32 = 1;
/// The key of the format's number.
pub(crate) const FORMAT_KEY: &[u8] = b"\0format";

const TOPIC: u8 = 1;
const EXTENT: u8 = 2;
const CHUNK: u8 = 3;
/// The length of a chunk's key.
pub(crate) const CHUNK_KEY: usize = 17;

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first offset.
    pub low: i64,
    /// The offset behind the last.
    pub high: i64,
    /// The latest time of any record ever written to it.
    pub latest: i64,
}

impl Extent {
    /// A partition never written to.
    pub(crate) const EMPTY: Self = Self { low: 0, high: 0, latest: i64::MIN };
}

/// A topic as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicEntry {
    /// Its id: never used again.
    pub id: u32,
    /// The number of partitions.
    pub partitions: u32,
    /// What it is kept for.
    pub kind: TopicKind,
}

/// The prefix of all topics' keys.
pub(crate) const TOPIC_PREFIX: [u8; 1] = [TOPIC];

/// The key of a topic.
pub(crate) fn topic_key(topic: &str) -> Vec<u8> {
    [&TOPIC_PREFIX, topic.as_bytes()].concat()
}

/// A topic's value.
pub(crate) fn topic_value(entry: &TopicEntry) -> [u8; 9] {
    let mut value = [0; 9];
    value[..4].copy_from_slice(&entry.id.to_be_bytes());
    value[4..8].copy_from_slice(&entry.partitions.to_be_bytes());
    value[8] = match entry.kind {
        TopicKind::Epochs => 0,
        TopicKind::Compacted => 1,
        TopicKind::Plain => 2,
        TopicKind::OwnKeyed => 3,
        TopicKind::OwnKeyless => 4,
    };
    value
}

/// A topic read back; `None` if it is not one.
pub(crate) fn read_topic(key: &[u8], value: &[u8]) -> Option<(String, TopicEntry)> {
    let name = std::str::from_utf8(key.strip_prefix(&TOPIC_PREFIX)?).ok()?;
    let value: &[u8; 9] = value.try_into().ok()?;
    let kind = match value[8] {
        0 => TopicKind::Epochs,
        1 => TopicKind::Compacted,
        2 => TopicKind::Plain,
        3 => TopicKind::OwnKeyed,
        4 => TopicKind::OwnKeyless,
        _ => return None,
    };
    let id = u32::from_be_bytes(value[..4].try_into().ok()?);
    let partitions = u32::from_be_bytes(value[4..8].try_into().ok()?);
    Some((name.into(), TopicEntry { id, partitions, kind }))
}

/// The key of a partition's extent.
pub(crate) fn extent_key(id: u32, partition: u32) -> [u8; 9] {
    let mut key = [EXTENT; 9];
    key[1..5].copy_from_slice(&id.to_be_bytes());
    key[5..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// An extent's value.
pub(crate) fn extent_value(extent: &Extent) -> [u8; 24] {
    let mut value = [0; 24];
    value[..8].copy_from_slice(&extent.low.to_be_bytes());
    value[8..16].copy_from_slice(&extent.high.to_be_bytes());
    value[16..].copy_from_slice(&extent.latest.to_be_bytes());
    value
}

/// An extent read back; `None` if it is not one.
pub(crate) fn read_extent(value: &[u8]) -> Option<Extent> {
    let value: &[u8; 24] = value.try_into().ok()?;
    let low = i64::from_be_bytes(value[..8].try_into().ok()?);
    let high = i64::from_be_bytes(value[8..16].try_into().ok()?);
    let latest = i64::from_be_bytes(value[16..].try_into().ok()?);
    (0 <= low && low <= high).then_some(Extent { low, high, latest })
}

/// The key of the chunk that begins with an offset (never negative).
pub(crate) fn chunk_key(id: u32, partition: u32, offset: i64) -> [u8; CHUNK_KEY] {
    let mut key = [CHUNK; CHUNK_KEY];
    key[1..5].copy_from_slice(&id.to_be_bytes());
    key[5..9].copy_from_slice(&partition.to_be_bytes());
    key[9..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The first offset of a chunk by its key, if it is one of this partition.
pub(crate) fn chunk_base(key: &[u8], id: u32, partition: u32) -> Option<i64> {
    let key: &[u8; CHUNK_KEY] = key.try_into().ok()?;
    let base = i64::from_be_bytes(key[9..].try_into().ok()?);
    (*key == chunk_key(id, partition, base)).then_some(base)
}
