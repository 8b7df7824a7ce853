//! A record as a backlog keeps it: with the time of its epoch, and with the hash that chooses its partition, for the topic may
//! have other partitions when it is written.

use bytes::Bytes;
use schemas::SinkRecord;
use xxhash_rust::xxh3::Xxh3;
use zset::TimestampMs;

/// Time, hash, and of the key and the value a byte that says whether there is one; then the key's length, the key, the value.
const HEAD: usize = 8 + 4 + 1 + 1 + 4;

/// A record that was kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub timestamp: TimestampMs,
    pub partition_hash: u32,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// The bytes of a record.
pub(crate) fn encode(record: &SinkRecord, timestamp: TimestampMs) -> Vec<u8> {
    let key = record.key.as_deref().unwrap_or_default();
    let value = record.value.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEAD + key.len() + value.len());
    bytes.extend_from_slice(&timestamp.0.to_be_bytes());
    bytes.extend_from_slice(&record.partition_hash.to_be_bytes());
    bytes.extend([u8::from(record.key.is_some()), u8::from(record.value.is_some())]);
    bytes.extend_from_slice(&(key.len() as u32).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    bytes
}

/// The record of bytes; `None`: they are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<Entry> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let timestamp = TimestampMs(i64::from_be_bytes(head[..8].try_into().ok()?));
    let partition_hash = u32::from_be_bytes(head[8..12].try_into().ok()?);
    let key_len = u32::from_be_bytes(head[14..].try_into().ok()?) as usize;
    let (key, value) = rest.split_at_checked(key_len)?;
    let part = |there: u8, bytes: &[u8]| (there == 1).then(|| Bytes::copy_from_slice(bytes));
    Some(Entry { timestamp, partition_hash, key: part(head[12], key), value: part(head[13], value) })
}

/// The hash of entries: of all but their values, which another version may write otherwise. Heads have the lengths of keys, so that no
/// two runs look the same.
pub(crate) fn hash<'a>(entries: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = Xxh3::new();
    for entry in entries {
        let key_len = decode(entry).and_then(|entry| entry.key).map_or(0, |key| key.len());
        hasher.update(&entry[..entry.len().min(HEAD + key_len)]);
    }
    format!("{:032x}", hasher.digest128())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let some = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        for (key, value) in [(some("k"), some("v")), (None, some("v")), (some("k"), None), (some(""), some(""))] {
            let record = SinkRecord { key: key.clone(), value: value.clone(), partition_hash: 7 };
            let bytes = encode(&record, TimestampMs(-5));
            let back = decode(&bytes).unwrap();
            let expected = Entry { timestamp: TimestampMs(-5), partition_hash: 7, key, value };
            assert_eq!(back, expected);
            assert_eq!(decode(&bytes[..HEAD - 1]), None);
        }
    }

    #[test]
    fn a_hash_is_of_keys_and_not_of_values() {
        let entry = |key: &str, value: &str| {
            let [key, value] = [key, value].map(|part| Some(Bytes::copy_from_slice(part.as_bytes())));
            encode(&SinkRecord { key, value, partition_hash: 7 }, TimestampMs(5))
        };
        let of = |entries: [Vec<u8>; 2]| hash(entries.iter().map(Vec::as_slice));
        assert_ne!(of([entry("ab", ""), entry("c", "")]), of([entry("a", ""), entry("bc", "")]));
        assert_ne!(of([entry("a", ""), entry("b", "")]), of([entry("b", ""), entry("a", "")]));
        assert_eq!(of([entry("a", "1"), entry("b", "2")]), of([entry("a", "one"), entry("b", "two")]));
    }
}
