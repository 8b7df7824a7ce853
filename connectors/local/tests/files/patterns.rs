//! Which files a pattern names, and their numbers.

use std::fs;
use std::path::Path;

use api::{LogError, Transport};
use zset::{Offset, Partition, TimestampMs};

use super::{Folder, all, at, lines, now, only, shown};
use crate::FileTransport;

#[test]
fn patterns_find_files_and_each_has_its_number() {
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    for name in ["a.jsonl", "b.jsonl", "c.json", ".d.jsonl", "sub/e.jsonl"] {
        folder.write(name, format!("{name}\n"));
    }
    fs::create_dir(folder.path("folder.jsonl")).unwrap();
    std::os::unix::fs::symlink(folder.path("a.jsonl"), folder.path("link.jsonl")).unwrap();
    let found = |pattern: &str| {
        let transport = folder.follow(pattern);
        let mut reader = transport.reader(&Default::default()).unwrap();
        for partition in transport.partitions("t").unwrap().unwrap() {
            assert!(partition.0 >= 0);
            reader.assign(&at(partition), Offset(0)).unwrap();
        }
        let mut found: Vec<String> = shown(&now(&mut *reader)).into_iter().map(|(_, text)| text).collect();
        found.sort();
        found
    };
    assert_eq!(found("*.jsonl"), ["a.jsonl", "b.jsonl"], "a link is the file it leads to");
    assert_eq!(found("?.json*"), ["a.jsonl", "b.jsonl", "c.json"]);
    assert_eq!(found("**/*.jsonl"), ["a.jsonl", "b.jsonl", "sub/e.jsonl"]);
    assert_eq!(found(".d.jsonl"), [".d.jsonl"], "a dot is named");
    let number = only(&folder.follow("b.jsonl"));
    folder.write("aa.jsonl", "");
    assert_eq!(only(&folder.follow("[b].jsonl")), number, "the number is the path's alone");
}

#[test]
fn files_that_are_not_there_yet() {
    let folder = Folder::new();
    let none = |transport: FileTransport| transport.partitions("t").unwrap();
    assert_eq!(none(folder.follow("later.jsonl")), Some(Vec::new()), "it may come");
    assert_eq!(none(folder.follow("*/later.jsonl")), Some(Vec::new()));
    assert_eq!(none(folder.follow("nowhere/later.jsonl")), None);
    assert_eq!(none(folder.follow("nowhere/*.jsonl")), None);
    assert_eq!(none(folder.once("later.jsonl")), None, "nobody will look again");
    let transport = folder.follow("*.jsonl");
    assert_eq!(none(transport.clone()), Some(Vec::new()));
    folder.write("new.jsonl", "first\n");
    assert_eq!(all(&transport, 0), lines(&[(0, "first")]));
}

#[test]
fn what_is_no_pattern_is_refused() {
    let folder = Folder::new();
    let refused = |pattern: &str| crate::files::check(pattern).unwrap_err().to_string();
    assert!(refused(&folder.pattern("")).contains("it is a folder; name its files"));
    assert!(refused("a/***").contains("a/***"));
    let reader = folder.follow("*").reader(&[("fetch.max.bytes".to_string(), "1".to_string())].into());
    assert!(matches!(reader, Err(LogError::Unusable(why)) if why.contains("fetch.max.bytes")));
    let time = folder.follow("*").offset_at(&at(Partition(0)), TimestampMs(0));
    assert!(matches!(time, Err(LogError::Unusable(why)) if why.contains("'latest'")));
}

/// Two files of one number cannot be told apart. Such a pair is found among a few hundred thousand paths.
#[test]
fn two_files_of_one_number_are_refused() {
    let folder = Folder::new();
    let dir = folder.0.path().canonicalize().unwrap();
    let mut seen = std::collections::HashMap::new();
    let (a, b) = (0..)
        .find_map(|n: u64| {
            let path = dir.join(format!("{n}"));
            seen.insert(crate::files::number(&path), n).map(|other| (other, n))
        })
        .unwrap();
    folder.write(&a.to_string(), "a\n");
    let transport = folder.follow("*");
    assert!(transport.partitions("t").is_ok());
    folder.write(&b.to_string(), "b\n");
    let why = transport.partitions("t").unwrap_err().to_string();
    let named = |n: u64| Path::new(&dir).join(n.to_string()).display().to_string();
    assert!(why.contains(&named(a)) && why.contains(&named(b)), "{why}");
}
