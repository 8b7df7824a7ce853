//! Files as a topic.

mod patterns;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::{LogError, Reader, Record, TopicPartition, Transport};
use tempfile::TempDir;
use zset::{Offset, Partition, TimestampMs};

use crate::FileTransport;
use crate::files::LINE_BYTES_MAX;

const PATIENCE: Duration = Duration::from_secs(60);

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn pattern(&self, pattern: &str) -> String {
        self.path(pattern).display().to_string()
    }

    fn follow(&self, pattern: &str) -> FileTransport {
        FileTransport::of(&self.pattern(pattern), true, false)
    }

    fn once(&self, pattern: &str) -> FileTransport {
        FileTransport::of(&self.pattern(pattern), false, false)
    }
}

fn at(partition: Partition) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

fn only(transport: &FileTransport) -> TopicPartition {
    let partitions = transport.partitions("t").unwrap().unwrap();
    assert_eq!(partitions.len(), 1, "{partitions:?}");
    at(partitions[0])
}

fn reader(transport: &FileTransport, from: i64) -> (Box<dyn Reader>, TopicPartition) {
    let mut reader = transport.reader(&Default::default()).unwrap();
    let at = only(transport);
    reader.assign(&at, Offset(from)).unwrap();
    (reader, at)
}

/// What is there to be read now.
fn now(reader: &mut dyn Reader) -> Vec<Record> {
    let mut all = Vec::new();
    loop {
        let more = reader.poll(1000, Duration::ZERO).unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn shown(records: &[Record]) -> Vec<(i64, String)> {
    let text = |record: &Record| String::from_utf8_lossy(record.value.as_deref().unwrap()).into_owned();
    records.iter().map(|record| (record.offset.0, text(record))).collect()
}

fn lines(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(at, text)| (*at, text.to_string())).collect()
}

/// All lines from an offset on, by a reader of its own.
fn all(transport: &FileTransport, from: i64) -> Vec<(i64, String)> {
    shown(&now(&mut *reader(transport, from).0))
}

#[test]
fn lines_are_records_at_the_bytes_they_begin_at() {
    let folder = Folder::new();
    folder.write("a", "one\r\n\n\r\ntwo\nthree\r\r\n \nlast");
    let follow = folder.follow("a");
    let expected = [(0, "one"), (8, "two"), (12, "three\r"), (20, " ")];
    assert_eq!(all(&follow, 0), lines(&expected));
    let bounds = follow.bounds(&only(&follow)).unwrap();
    assert_eq!((bounds.low, bounds.high), (Offset(0), Offset(21)), "the last line has no line feed yet");

    let once = folder.once("a");
    assert_eq!(all(&once, 0), lines(&[&expected[..], &[(22, "last")]].concat()));
    assert_eq!(once.bounds(&only(&once)).unwrap().high, Offset(23), "there will be no more: it is a line");
}

/// Reading goes on at the first line that begins at or behind an offset, as behind a record that was read.
#[test]
fn reading_begins_at_the_next_line() {
    let folder = Folder::new();
    folder.write("a", "one\n\ntwo\nthree\n");
    let transport = folder.follow("a");
    let expected = lines(&[(0, "one"), (5, "two"), (9, "three")]);
    for (from, first) in [(0, 0), (1, 1), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (9, 2), (10, 3)] {
        assert_eq!(all(&transport, from), expected[first..], "from {from}");
    }
}

#[test]
fn bytes_that_are_no_text_come_as_they_are() {
    let folder = Folder::new();
    folder.write("a", b"\xef\xbb\xbf{}\n\xff\xfe\0x\n");
    let (mut reader, _) = reader(&folder.follow("a"), 0);
    let records = now(&mut *reader);
    let values: Vec<&[u8]> = records.iter().map(|record| record.value.as_deref().unwrap()).collect();
    assert_eq!(values, [&b"{}"[..], b"\xff\xfe\0x"], "without the byte order mark");
    assert_eq!(records[0].timestamp, TimestampMs(-1), "no time, and always the same");
    assert!(records[0].key.is_none() && records[0].headers.is_empty());
}

#[test]
fn a_followed_file_is_read_as_it_grows() {
    let folder = Folder::new();
    folder.write("a", "one\ntw");
    let transport = folder.follow("a");
    let (mut reader, at) = reader(&transport, 0);
    assert_eq!(shown(&now(&mut *reader)), lines(&[(0, "one")]));
    assert!(reader.at_end(&at).unwrap(), "half a line is nothing yet");
    folder.append("a", "o");
    assert_eq!(now(&mut *reader), []);
    folder.append("a", "\nthree\n");
    assert!(!reader.at_end(&at).unwrap());
    assert_eq!(shown(&now(&mut *reader)), lines(&[(4, "two"), (8, "three")]));
    assert!(reader.at_end(&at).unwrap());
    assert_eq!(transport.bounds(&at).unwrap().high, Offset(9));
}

#[test]
fn a_reader_that_waits_wakes_when_a_line_comes() {
    let folder = Folder::new();
    folder.write("a", "");
    let (mut reader, _) = reader(&folder.follow("a"), 0);
    let waiting = std::thread::spawn(move || reader.poll(10, PATIENCE).unwrap());
    let begin = Instant::now();
    folder.append("a", "new\n");
    assert_eq!(shown(&waiting.join().unwrap()), lines(&[(0, "new")]));
    assert!(begin.elapsed() < PATIENCE / 2, "the reader slept through it");
}

#[test]
fn a_file_that_is_not_followed_ends_where_it_ended_first() {
    let folder = Folder::new();
    folder.write("a", "one\ntwo");
    let transport = folder.once("*");
    let (mut reader, at) = reader(&transport, 0);
    assert_eq!(shown(&now(&mut *reader)), lines(&[(0, "one"), (4, "two")]));
    folder.append("a", " more\nthree\n");
    folder.write("b", "other\n");
    assert_eq!(now(&mut *reader), []);
    assert!(reader.at_end(&at).unwrap());
    assert_eq!(transport.partitions("t").unwrap().unwrap().len(), 1);
    assert_eq!(transport.bounds(&at).unwrap().high, Offset(5));
}

fn refusal(polled: Result<Vec<Record>, LogError>) -> String {
    polled.expect_err("it goes on").to_string()
}

#[test]
fn a_file_that_got_shorter_is_an_error() {
    let folder = Folder::new();
    folder.write("a", "one\ntwo\n");
    let transport = folder.follow("a");
    let (mut reader, at) = reader(&transport, 0);
    assert_eq!(now(&mut *reader).len(), 2);
    folder.write("a", "one\n");
    let why = refusal(reader.poll(10, Duration::ZERO));
    assert!(why.contains(&folder.pattern("a")) && why.contains("offset 5") && why.contains("0 to 4"), "{why}");
    let mut again = transport.reader(&Default::default()).unwrap();
    assert!(matches!(again.assign(&at, Offset(5)), Err(LogError::OutOfRange { .. })));
}

/// What was not delivered may still change: a writer may take back half a line.
#[test]
fn half_a_line_may_be_written_anew() {
    let folder = Folder::new();
    folder.write("a", "one\nthree");
    let (mut reader, _) = reader(&folder.follow("a"), 0);
    assert_eq!(now(&mut *reader).len(), 1);
    folder.write("a", "one\n");
    assert_eq!(now(&mut *reader), []);
    folder.append("a", "two\n");
    assert_eq!(shown(&now(&mut *reader)), lines(&[(4, "two")]));
}

#[test]
fn a_file_written_anew_is_an_error_even_if_it_is_longer() {
    let folder = Folder::new();
    folder.write("a", "one\ntwo\n");
    let (mut reader, _) = reader(&folder.follow("a"), 0);
    assert_eq!(now(&mut *reader).len(), 2);
    folder.write("a", "one\ntwx\nthree\n");
    let why = refusal(reader.poll(10, Duration::ZERO));
    assert!(why.contains(&folder.pattern("a")) && why.contains("the line at offset 4"), "{why}");
}

#[test]
fn a_file_that_is_gone_ends_and_may_come_back() {
    let folder = Folder::new();
    folder.write("a", "one\n");
    let transport = folder.follow("a");
    let (mut reader, at) = reader(&transport, 0);
    assert_eq!(now(&mut *reader).len(), 1);
    fs::rename(folder.path("a"), folder.path("b")).unwrap();
    assert_eq!(now(&mut *reader), []);
    assert_eq!(transport.partitions("t").unwrap(), Some(Vec::new()));
    assert!(transport.bounds(&at).unwrap_err().to_string().contains("it is gone"));
    fs::rename(folder.path("b"), folder.path("a")).unwrap();
    folder.append("a", "two\n");
    assert_eq!(shown(&now(&mut *reader)), lines(&[(4, "two")]));
}

/// A line over the limit comes cut off, marked so that it is no JSON, and what follows it comes whole.
#[test]
fn a_line_that_is_too_long_is_cut_off() {
    let folder = Folder::new();
    let document = format!("{{}}{}", " ".repeat(LINE_BYTES_MAX + (3 << 20)));
    folder.write("a", format!("one\n{document}\ntwo\n"));
    let transport = folder.follow("a");
    let (mut reader, at) = reader(&transport, 0);
    let records = now(&mut *reader);
    assert_eq!(records.iter().map(|record| record.offset.0).collect::<Vec<_>>(), [0, 4, document.len() as i64 + 5]);
    let value = records[1].value.as_deref().unwrap();
    assert!(value.len() < LINE_BYTES_MAX + 100 && value.starts_with(b"{}  "), "{} bytes", value.len());
    assert!(serde_json::from_slice::<serde_json::Value>(value).is_err(), "what is left is not taken for the whole");
    assert_eq!(transport.bounds(&at).unwrap().high.0, document.len() as i64 + 6);
    assert_eq!(all(&transport, 5).len(), 1);
}

/// Lines that lie across the blocks that are read at once.
#[test]
fn lines_across_blocks_are_whole() {
    let folder = Folder::new();
    let line = |n: usize| format!("{n}-{}", "x".repeat(n * 7919 % 300_000));
    let mut file = File::create(folder.path("a")).unwrap();
    for n in 0..200 {
        writeln!(file, "{}", line(n)).unwrap();
    }
    let transport = folder.follow("a");
    let (mut reader, at) = reader(&transport, 0);
    let (mut read, mut end) = (Vec::new(), 0);
    while !reader.at_end(&at).unwrap() {
        let records = reader.poll(7, Duration::ZERO).unwrap();
        assert!((1..=7).contains(&records.len()));
        for record in records {
            assert_eq!(record.offset.0, end);
            end += record.value.as_ref().unwrap().len() as i64 + 1;
            read.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
    }
    assert_eq!(read, (0..200).map(line).collect::<Vec<_>>());
}

#[test]
fn many_files_are_read_by_one_reader_and_none_is_starved() {
    let folder = Folder::new();
    folder.write("long", "x\n".repeat(10_000));
    for n in 0..300 {
        folder.write(&format!("{n}"), format!("{n}\n"));
    }
    let transport = folder.follow("*");
    let mut reader = transport.reader(&Default::default()).unwrap();
    let partitions = transport.partitions("t").unwrap().unwrap();
    assert_eq!(partitions.len(), 301);
    partitions.iter().for_each(|partition| reader.assign(&at(*partition), Offset(0)).unwrap());
    let mut short = 0;
    for poll in 0..400 {
        let records = reader.poll(100, Duration::ZERO).unwrap();
        short += records.iter().filter(|record| record.value.as_deref() != Some(b"x")).count();
        if short == 300 {
            return assert!(poll < 301);
        }
    }
    panic!("{short} of 300");
}

/// Under an envelope with keys a line may hold both; any other line is the value.
#[test]
fn lines_with_keys_are_taken_apart() {
    let folder = Folder::new();
    let taken_apart = [
        (r#"{"key":{"id": 1},"value":{"v":"é"}}"#, Some(r#"{"id": 1}"#), Some(r#"{"v":"é"}"#)),
        (r#"{"value":null,"key":"k\n"}"#, Some("k\n"), None),
        (r#"{"partition":0,"offset":7,"key":null,"value":"text","headers":{},"timestamp":5}"#, None, Some("text")),
        (r#"{"key":1,"value":2,"other":3}"#, None, Some(r#"{"key":1,"value":2,"other":3}"#)),
        (r#"{"id":1,"value":2}"#, None, Some(r#"{"id":1,"value":2}"#)),
        ("broken", None, Some("broken")),
    ];
    folder.write("a", taken_apart.iter().map(|(line, ..)| format!("{line}\n")).collect::<String>());
    let keyed = FileTransport::of(&folder.pattern("a"), true, true);
    let records = now(&mut *reader(&keyed, 0).0);
    for (record, (line, key, value)) in records.iter().zip(&taken_apart) {
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (key.map(str::as_bytes), value.map(str::as_bytes)),
            "{line}"
        );
    }
    assert_eq!(records[2].timestamp, TimestampMs(5));
    let whole = now(&mut *reader(&folder.follow("a"), 0).0);
    assert!(
        whole.iter().zip(&taken_apart).all(|(record, (line, ..))| record.value.as_deref() == Some(line.as_bytes()))
    );
}
