//! Chunks: any change of any byte is found.

use api::OutRecord;
use bytes::Bytes;
use zset::TimestampMs;

use super::{at, noise, record};
use crate::chunk::{Chunk, ChunkBuilder};
use crate::keys::chunk_key;

fn sample() -> Vec<OutRecord> {
    let to = at("t", 0);
    let headers = vec![("h".to_string(), None), ("h".to_string(), Some(Bytes::from_static(b"v")))];
    vec![
        record(&to, "key", noise(1, 200)),
        OutRecord { key: None, value: None, headers, ..record(&to, "", Bytes::new()) },
        OutRecord { timestamp: TimestampMs(i64::MIN), ..record(&to, "", Bytes::new()) },
        OutRecord { timestamp: TimestampMs(i64::MAX), ..record(&to, "", noise(2, 127)) },
        OutRecord { timestamp: TimestampMs(-1), ..record(&to, "", noise(3, 128)) },
    ]
}

fn chunk(key: &[u8]) -> Vec<u8> {
    let mut builder = ChunkBuilder::new(0);
    sample().iter().for_each(|record| builder.push(record));
    builder.finish(key)
}

#[test]
fn a_chunk_comes_back() {
    let key = chunk_key(1, 2, 40);
    let mut chunk = Chunk::open(&key, 40, chunk(&key).into()).unwrap();
    assert_eq!((chunk.base(), chunk.end(), chunk.latest()), (40, 45, i64::MAX));
    for (i, record) in sample().into_iter().enumerate() {
        let stored = chunk.next().unwrap().unwrap();
        assert_eq!((stored.offset, stored.timestamp), (40 + i as i64, record.timestamp.0));
        assert_eq!((stored.key, stored.value, stored.headers), (record.key, record.value, record.headers));
    }
    assert!(chunk.next().unwrap().is_none());
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let key = chunk_key(1, 2, 40);
    let good = chunk(&key);
    for i in 0..good.len() {
        assert!(Chunk::open(&key, 40, good[..i].to_vec().into()).is_err(), "cut at {i}");
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[i] ^= 1 << bit;
            assert!(Chunk::open(&key, 40, bad.into()).is_err(), "byte {i} bit {bit}");
        }
    }
    let elsewhere = chunk_key(1, 2, 41);
    assert!(Chunk::open(&elsewhere, 41, good.into()).is_err(), "a chunk under another key");
}
