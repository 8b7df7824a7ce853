//! Records: as they were written, in order, of any size.

use bytes::Bytes;
use zset::TimestampMs;

use super::support::{
    Subject, as_read, by_partition, expected, noise, read, read_from_start, reader, start_time, text, values,
};
use crate::{CommitError, Headers, OutRecord};

/// Keys, values, headers and times are what they were: null is not empty, header names may repeat, any byte is allowed.
pub fn records_come_back_byte_for_byte(subject: &Subject<'_>) {
    let log = subject.log();
    let to = subject.single(&*log, "bytes");
    let every_byte: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let none: Option<Bytes> = None;
    let empty = Some(Bytes::new());
    let headers: Headers = vec![
        ("twice".into(), Some(Bytes::from_static(b"2"))),
        ("null".into(), None),
        ("twice".into(), Some(Bytes::from_static(b"1"))),
        ("empty".into(), Some(Bytes::new())),
        ("ünïcode".into(), Some(every_byte.clone())),
        ("twice".into(), None),
    ];
    let base = start_time();
    let mut records = Vec::new();
    for key in [&none, &empty, &Some(every_byte.clone())] {
        for value in [&none, &empty, &Some(every_byte.clone())] {
            for headers in [Vec::new(), headers.clone()] {
                // Times need not rise.
                let timestamp = TimestampMs(base + [7, 3, 5][records.len() % 3]);
                let (key, value) = (key.clone(), value.clone());
                records.push(OutRecord { to: to.clone(), timestamp, key, value, headers });
            }
        }
    }
    let offsets = log.writer().expect("a writer").commit_all(&records).expect("a commit");
    let appended = log.append(&records).expect("an append");
    let written = records.iter().zip(offsets).chain(records.iter().zip(appended));
    let want: Vec<_> = written.map(|(record, offset)| as_read(record, offset)).collect();
    assert_eq!(read_from_start(&*log, &to, want.len()), want);
}

/// Records interleaved over partitions keep their order in each, over several commits.
pub fn order_holds_within_each_partition(subject: &Subject<'_>) {
    let log = subject.log();
    let partitions = subject.topic(&*log, "order", 4);
    let mut writer = log.writer().expect("a writer");
    let (mut records, mut offsets) = (Vec::new(), Vec::new());
    for commit in 0..5 {
        // Each commit visits the partitions in another order; the last one stays empty.
        let batch: Vec<_> =
            (0..50).map(|i| text(&partitions[(i * 7 + commit) % 3], &format!("{commit}.{i}"))).collect();
        offsets.extend(writer.commit_all(&batch).expect("a commit"));
        records.extend(batch);
    }
    let want = expected(&records, &offsets);
    for records in want.values() {
        assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "the offsets of a partition rise");
    }
    let from: Vec<_> = partitions.iter().map(|at| (at, log.bounds(at).expect("bounds").low)).collect();
    assert_eq!(by_partition(read(reader(&*log, &from).as_mut(), records.len())), want);
}

/// 20,000 records over two topics in one transaction: all there, in order, at the offsets that were returned.
pub fn a_large_commit_is_whole(subject: &Subject<'_>) {
    let log = subject.log();
    let mut partitions = subject.topic(&*log, "large-a", 3);
    partitions.extend(subject.topic(&*log, "large-b", 1));
    let records: Vec<_> = (0..20_000)
        .map(|i| {
            let to = &partitions[i % partitions.len()];
            let mut record = text(to, &format!("record {i}"));
            record.value = Some(noise(i as u64, 20 + i % 200));
            record.timestamp = TimestampMs(record.timestamp.0 / 1000 * 1000 + (i as i64 % 1000));
            record
        })
        .collect();
    let offsets = log.writer().expect("a writer").commit_all(&records).expect("a commit");
    let want = expected(&records, &offsets);
    let from: Vec<_> = partitions.iter().map(|at| (at, log.bounds(at).expect("bounds").low)).collect();
    let got = by_partition(read(reader(&*log, &from).as_mut(), records.len()));
    for at in &partitions {
        assert!(got.get(at) == want.get(at), "partition {at:?} is not what was written");
    }
}

/// A record just below Kafka's default limit of a megabyte comes back, and many of them in one commit.
pub fn a_large_record_comes_back(subject: &Subject<'_>) {
    let log = subject.log();
    let to = subject.single(&*log, "large-record");
    let large = |seed| OutRecord { value: Some(noise(seed, 900_000)), ..text(&to, "large") };
    let records = [large(1), text(&to, "small"), large(2), large(3), text(&to, "last")];
    let offsets = log.writer().expect("a writer").commit_all(&records).expect("a commit");
    let got = read_from_start(&*log, &to, records.len());
    let want: Vec<_> = records.iter().zip(offsets).map(|(record, offset)| as_read(record, offset)).collect();
    assert!(got == want, "large records changed on the way");
}

/// A record above any sensible limit is whole, or refused by its index with nothing of the transaction written; never
/// cut, never without an answer.
pub fn a_huge_record_comes_back_or_is_refused(subject: &Subject<'_>) {
    let log = subject.log();
    let to = subject.single(&*log, "huge-record");
    let huge = OutRecord { value: Some(noise(9, 20 << 20)), ..text(&to, "huge") };
    let records = [text(&to, "before"), huge, text(&to, "after")];
    let mut writer = log.writer().expect("a writer");
    match writer.commit_all(&records) {
        Ok(offsets) => {
            let want: Vec<_> = records.iter().zip(offsets).map(|(record, offset)| as_read(record, offset)).collect();
            assert!(read_from_start(&*log, &to, 3) == want, "a huge record changed on the way");
        }
        Err(CommitError::Refused { index, topic, reason }) => {
            assert_eq!((index, topic.as_str()), (1, &*to.topic), "which record was refused ({reason})");
            writer.commit_all(&[text(&to, "next")]).expect("the writer goes on after a refusal");
            assert_eq!(values(&read_from_start(&*log, &to, 1)), ["next"]);
        }
        Err(other) => panic!("a huge record: {other:?}"),
    }
}
