#![allow(clippy::unwrap_used)]
use std::io::Write as _;
use std::sync::Arc;

use api::TopicPartition;
use arrow::array::{Int32Array, RecordBatch};
use bytes::Bytes;
use zset::{Column, ColumnType, RowType, TimestampMs};

use super::*;

const T: TableId = TableId(1);

fn record(offset: i64, value: Option<&'static str>) -> Record {
    let at = TopicPartition { topic: "t".into(), partition: Partition(2) };
    let headers = vec![("h".to_string(), None), ("i".to_string(), Some(Bytes::from_static(b"x")))];
    let (key, value) = (Some(Bytes::from_static(b"k")), value.map(Bytes::from));
    Record { at, offset: Offset(offset), timestamp: TimestampMs(7), key, value, headers }
}

fn range_of(records: &[Record]) -> InputRange {
    range::ranges(T, records, &[(Partition(2), Offset(0))].into()).remove(0)
}

fn open(dir: &tempfile::TempDir, generation: u64) -> Journal {
    Journal::new(dir.path().join("journal"), Generation(generation))
}

#[test]
fn records_are_read_back_as_they_were_and_only_those_that_were_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 1);
    let (other, mine) = ([record(0, Some("a")), record(3, None)], [record(0, Some("b")), record(3, None)]);
    // The epoch was cut anew after the first attempt at it.
    journal.note_records(Epoch(5), T, &other);
    journal.note_records(Epoch(5), T, &mine);
    let mut again = open(&dir, 2);
    assert_eq!(again.records(&range_of(&mine)).unwrap(), mine);
    assert_eq!(again.records(&range_of(&other)).unwrap(), other);
    assert!(
        again.records(&InputRange { hash: "other".into(), ..range_of(&mine) }).is_none(),
        "nobody has to believe it"
    );
    assert!(again.records(&range_of(&[record(0, Some("b"))])).is_none());
}

#[test]
fn changed_rows_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let columns = RowType(vec![Column::new("id", ColumnType::Int, true)]);
    let codec = RowCodec::new(columns.schema());
    let batch = RecordBatch::try_new(columns.schema(), vec![Arc::new(Int32Array::from(vec![Some(1), None]))]).unwrap();
    let delta = Delta::new(batch, vec![1, -2].into());
    open(&dir, 1).note_rows(Epoch(9), T, &delta, &codec);
    let found = open(&dir, 2).rows(T, Epoch(9), &codec);
    assert_eq!((found.len(), found[0].batch(), found[0].weights()), (1, delta.batch(), delta.weights()));
    assert!(open(&dir, 2).rows(T, Epoch(8), &codec).is_empty());
}

#[test]
fn a_torn_or_flipped_frame_is_none_and_those_before_it_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 1);
    let (first, second) = ([record(0, Some("a"))], [record(1, Some("b"))]);
    let mut later = range_of(&second);
    later.range.start = Offset(1);
    journal.note_records(Epoch(1), T, &first);
    journal.note_records(Epoch(2), T, &second);
    let path = journal.files().remove(0).1;
    let whole = fs::read(&path).unwrap();
    for cut in whole.len() / 2 + 1..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut torn = open(&dir, 2);
        assert!(torn.records(&range_of(&first)).is_some() && torn.records(&later).is_none(), "cut at {cut}");
    }
    for flip in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[flip] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let mut flipped = open(&dir, 2);
        let found = (flipped.records(&range_of(&first)), flipped.records(&later));
        assert!(found.0.is_none_or(|it| it == first) && found.1.is_none_or(|it| it == second), "flipped at {flip}");
    }
    fs::File::options().append(true).open(&path).unwrap().write_all(&[0xff; 40]).unwrap();
    open(&dir, 2).records(&range_of(&first));
}

#[test]
fn what_the_oldest_kept_checkpoint_has_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 1);
    for epoch in 1..=6 {
        journal.note_records(Epoch(epoch), T, &[record(epoch as i64, None)]);
        if epoch % 2 == 0 {
            journal.rotate();
        }
    }
    let firsts = |journal: &Journal| journal.files().iter().map(|(epoch, _)| epoch.0).collect::<Vec<_>>();
    journal.prune(Epoch(3));
    assert_eq!(firsts(&journal), [3, 5], "epoch 4 is still needed");
    journal.prune(Epoch(4));
    assert_eq!(firsts(&journal), [5]);
    journal.prune(Epoch(6));
    assert_eq!(firsts(&journal), [5], "the last one may be written to");
}

#[test]
fn what_could_not_be_written_is_written_again_from_the_next_checkpoint_on() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("journal");
    fs::write(&in_the_way, "").unwrap();
    let mut journal = open(&dir, 1);
    let records = [record(0, Some("a"))];
    journal.note_records(Epoch(1), T, &records);
    fs::remove_file(&in_the_way).unwrap();
    journal.note_records(Epoch(2), T, &records);
    assert!(journal.files().is_empty(), "what is missing is not followed by more");
    journal.rotate();
    journal.note_records(Epoch(3), T, &records);
    assert!(open(&dir, 2).records(&range_of(&records)).is_some());
}

#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 1);
    journal.note_records(Epoch(1), T, &[record(0, Some("a"))]);
    assert_eq!(fs::metadata(&journal.files()[0].1).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn it_is_full_with_what_no_checkpoint_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 1);
    let note = |journal: &mut Journal, epoch| journal.note_records(Epoch(epoch), T, &[record(epoch as i64, None)]);
    note(&mut journal, 1);
    let one = journal.bytes();
    journal.bytes_max = 2 * one;
    assert!(one > 0 && !journal.is_full());
    // A checkpoint of epoch 1 is begun, and fails.
    journal.rotate();
    note(&mut journal, 2);
    assert!(journal.is_full());
    // The next one, of epoch 2, is made while epoch 3 comes.
    journal.rotate();
    note(&mut journal, 3);
    journal.covered();
    assert!(!journal.is_full() && journal.bytes() == 3 * one);
    note(&mut journal, 4);
    assert!(journal.is_full());
    let mut again = open(&dir, 2);
    again.bytes_max = 2 * one;
    again.begin(Some(Epoch(2)));
    assert!(again.is_full() && again.bytes() == 4 * one);
    again.begin(Some(Epoch(3)));
    assert!(again.bytes() == 4 * one);
    again.prune(Epoch(2));
    assert_eq!(again.bytes(), 2 * one);
}

/// What could not be written counts until a checkpoint has it: that one is begun is not enough.
#[test]
fn what_could_not_be_written_counts_until_a_checkpoint_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("journal");
    fs::write(&in_the_way, "").unwrap();
    let mut journal = open(&dir, 1);
    let note = |journal: &mut Journal, epoch| journal.note_records(Epoch(epoch), T, &[record(epoch as i64, None)]);
    note(&mut journal, 1);
    let one = journal.missed();
    journal.bytes_max = 3 * one;
    assert!(one > 0 && journal.bytes() == 0 && !journal.is_full());
    // A checkpoint of epoch 1 is begun, and fails.
    journal.rotate();
    note(&mut journal, 2);
    assert!(!journal.is_full());
    fs::remove_file(&in_the_way).unwrap();
    // Another one, of epoch 2. From here on the journal is written.
    journal.rotate();
    note(&mut journal, 3);
    assert!(journal.is_full());
    assert_eq!((journal.bytes(), journal.missed(), journal.uncovered()), (one, 2 * one, 3 * one));
    journal.covered();
    assert_eq!((journal.missed(), journal.uncovered()), (0, one));
    // What is missed while one is made is in the next.
    journal.rotate();
    journal.miss(7);
    journal.covered();
    assert_eq!((journal.missed(), journal.uncovered()), (7, 7));
}

#[test]
fn all_of_it_counts_where_there_is_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir, 1).note_records(Epoch(1), T, &[record(0, None)]);
    let mut again = open(&dir, 2);
    again.begin(None);
    assert!(again.bytes() > 0);
    assert_eq!(again.uncovered(), again.bytes());
}

/// A record and its letter: the same table, partition, offset, key and value.
#[test]
fn records_of_another_topic_are_not_taken_for_these() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 1);
    let mine = [record(0, Some("a"))];
    let of = |topic: &str, time: i64| {
        let [mut other] = mine.clone();
        (other.at.topic, other.timestamp, other.headers) = (topic.into(), TimestampMs(time), Vec::new());
        [other]
    };
    for (topic, time) in [("t.dlq", 7), ("t", 8)] {
        journal.note_records(Epoch(1), T, &of(topic, time));
    }
    assert_eq!(open(&dir, 2).records(&range_of(&mine)), None);
    journal.note_records(Epoch(2), T, &mine);
    assert_eq!(open(&dir, 2).records(&range_of(&mine)).unwrap(), mine);
    assert_eq!(open(&dir, 2).records(&range_of(&of("t.dlq", 7))).unwrap(), of("t.dlq", 7));
}

/// A frame as it was written before it had the name of its topic.
#[test]
fn a_frame_without_its_topic_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let records = [record(0, Some("a"))];
    let whole = frame::of_range(T, &records);
    let (begin, topic) = (frame::HEAD + frame::BEGIN, 4 + records[0].at.topic.len());
    let mut old = [&whole[..begin], &whole[begin + topic..]].concat();
    old[frame::HEAD] = 1;
    open(&dir, 1).write(Epoch(1), old);
    assert_eq!(open(&dir, 2).records(&range_of(&records)).unwrap(), records);
}
