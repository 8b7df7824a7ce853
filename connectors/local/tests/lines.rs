//! The file of a sink: each epoch is in it once, whole, or not at all; and nobody else's file is touched.

use std::fs;
use std::path::Path;

use api::{Lines, Progress, TargetError, TargetSpec};
use plan::{Options, SinkConnector, SinkDef, SinkEnvelope, SinkId, TableId};
use zset::{Epoch, Generation, RowType};

use crate::LinesFile;

fn spec(path: &Path, sink: &str, incarnation: &str) -> TargetSpec {
    TargetSpec {
        pipeline: "p".into(),
        incarnation: incarnation.into(),
        sink: SinkDef {
            id: SinkId(1),
            name: sink.into(),
            input: TableId(1),
            connector: SinkConnector::File,
            topic: String::new(),
            partitions: 1,
            replication: None,
            envelope: SinkEnvelope::Upsert,
            key: vec![0],
            tombstones: true,
            options: Options([("path".to_string(), path.display().to_string())].into()),
            sql: String::new(),
            created: Epoch(1),
        },
        columns: RowType(Vec::new()),
    }
}

fn progress(epoch: u64) -> Progress {
    Progress { incarnation: "i".into(), generation: Generation(2), epoch: Epoch(epoch) }
}

fn opened(path: &Path) -> (LinesFile, Option<Progress>) {
    let mut lines = LinesFile::new(&spec(path, "s", "i")).unwrap();
    let progress = lines.open().unwrap();
    (lines, progress)
}

fn refusal(mut lines: LinesFile) -> String {
    match lines.open() {
        Err(TargetError::Refused(why)) => why,
        other => panic!("it is not refused: {other:?}"),
    }
}

#[test]
fn epochs_are_appended_and_an_unfinished_one_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let (mut lines, none) = opened(&path);
    assert_eq!(none, None);
    lines.append(b"a\n", &progress(3)).unwrap();
    lines.append(b"b\nc\n", &progress(5)).unwrap();
    drop(lines);
    // A crash in the middle of epoch 6.
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"d\nhal");
    fs::write(&path, bytes).unwrap();
    let (mut lines, there) = opened(&path);
    assert_eq!(there, Some(progress(5)));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
    lines.append(b"d\ne\n", &progress(6)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\nd\ne\n");
}

#[test]
fn a_crash_in_the_first_epoch_leaves_a_file_that_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    drop(opened(&path));
    fs::write(&path, "hal").unwrap();
    let (_, there) = opened(&path);
    assert_eq!(there, None);
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn what_is_not_ours_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    fs::write(&path, "precious\n").unwrap();
    assert!(refusal(LinesFile::new(&spec(&path, "s", "i")).unwrap()).contains("not this sink's"));
    fs::remove_file(&path).unwrap();
    let (mut lines, _) = opened(&path);
    lines.append(b"a\n", &progress(3)).unwrap();
    for (sink, incarnation) in [("s", "other"), ("other", "i")] {
        let why = refusal(LinesFile::new(&spec(&path, sink, incarnation)).unwrap());
        assert!(why.contains("belongs to sink s of pipeline \"p\", incarnation i"), "{why}");
    }
    fs::write(&path, "").unwrap();
    let why = refusal(LinesFile::new(&spec(&path, "s", "i")).unwrap());
    assert!(why.contains("has 0 bytes, and had 2 after epoch 3"), "{why}");
    fs::remove_file(&path).unwrap();
    assert!(refusal(LinesFile::new(&spec(&path, "s", "i")).unwrap()).contains("cannot open"), "not made anew");
}

#[test]
fn a_process_that_was_replaced_writes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    let (mut zombie, _) = opened(&path);
    zombie.append(b"a\n", &progress(3)).unwrap();
    let (mut later, _) = opened(&path);
    later.append(b"b\n", &progress(4)).unwrap();
    assert!(matches!(zombie.append(b"b\n", &progress(4)), Err(TargetError::Refused(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
}

#[test]
fn a_path_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (path, why) in [("", "needs a path"), ("/tmp/", "is a folder"), ("s3://b/k", "is a url")] {
        let error = LinesFile::new(&spec(Path::new(path), "s", "i")).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(why)), "{path}: {error:?}");
    }
    assert!(refusal(LinesFile::new(&spec(&dir.path().join("no/such"), "s", "i")).unwrap()).contains("cannot open"));
}

/// Written on at the old place, a file that was cut would have a hole, and one that was renamed would get the lines of another.
#[test]
fn a_file_that_is_cut_or_renamed_while_it_is_open_is_refused() {
    type Spoil = fn(&Path);
    let spoils: [Spoil; 3] = [
        |path| fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap(),
        |path| fs::rename(path, path.with_extension("1")).unwrap(),
        |path| {
            fs::rename(path, path.with_extension("1")).unwrap();
            fs::write(path, "a\n").unwrap();
        },
    ];
    for (case, spoil) in spoils.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let (mut lines, _) = opened(&path);
        lines.append(b"a\n", &progress(3)).unwrap();
        spoil(&path);
        let refused = lines.append(b"b\n", &progress(4));
        assert!(
            matches!(&refused, Err(TargetError::Refused(why)) if why.contains("put it back")),
            "{case}: {refused:?}"
        );
    }
}
