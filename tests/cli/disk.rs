//! `millstream checkpoint` and `millstream epochs`: what is on disk is shown and checked, and what is damaged is named.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Running, outcome, output};

const SQL: &str = "CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (connector = 'log', topic = 't', format = 'json', envelope = 'upsert');
    CREATE STREAM TABLE v AS SELECT n, count(*) AS c FROM t GROUP BY n;";

/// A folder that was worked in three times, with rows each time: so it has three checkpoints.
fn worked_in(dir: &Path) -> PathBuf {
    for start in 0..3 {
        let running = Running::start_with(dir, SQL, &["--checkpoints-kept", "10"]);
        let line = |id: u64| {
            let id = start * 50 + id;
            format!("{{\"key\":\"{{\\\"id\\\":{id}}}\",\"value\":\"{{\\\"id\\\":{id},\\\"n\\\":{start}}}\"}}\n")
        };
        let (status, answer) = running.post("/topics/t", &(0..50).map(line).collect::<String>());
        assert_eq!(status, 200, "{answer}");
        running.wait_rows("v", start + 1);
        running.stop();
    }
    dir.join("data")
}

fn run(args: &[&str], data: &Path) -> (i32, String, String) {
    let mut all = args.to_vec();
    all.extend(["--data", data.to_str().unwrap()]);
    outcome(&output(&all))
}

fn checkpoints(data: &Path) -> Vec<u64> {
    let (code, text, said) = run(&["checkpoint", "list", "--json"], data);
    assert_eq!(code, 0, "{said}");
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["epoch"].as_u64().unwrap()).collect()
}

fn state(data: &Path, epoch: u64, file: impl Fn(&str) -> bool) -> PathBuf {
    let folder = data.join("state/checkpoints").join(epoch.to_string());
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.into_iter().find(|path| file(path.file_name().unwrap().to_str().unwrap())).unwrap()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    // Tables are hard links: only this checkpoint's is to be another.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn checkpoints_are_listed_checked_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let data = worked_in(dir.path());
    let epochs = checkpoints(&data);
    assert!(epochs.len() >= 4 && epochs[0] == 0, "genesis, and each end: {epochs:?}");
    let (code, text, said) = run(&["checkpoint", "list"], &data);
    assert_eq!((code, text.lines().count()), (0, epochs.len()), "{said}");
    assert!(text.lines().all(|line| line.ends_with("  format 3.4  whole") && line.contains(" bytes  ")), "{text}");
    let (code, text, said) = run(&["checkpoint", "verify"], &data);
    assert_eq!((code, text.lines().filter(|line| line.ends_with("whole")).count()), (0, epochs.len()), "{said}");

    let (code, text, said) = run(&["checkpoint", "prune", "--keep", "3"], &data);
    assert_eq!(code, 0, "{said}");
    let (removed, kept) = epochs.split_at(epochs.len() - 3);
    for (verb, of) in [("removed", removed), ("kept", kept)] {
        for epoch in of {
            assert!(text.contains(&format!("{verb} epoch {epoch} ")), "{text}");
        }
    }
    assert_eq!(checkpoints(&data), kept);
    // a pruned folder starts
    let running = Running::start(dir.path(), SQL);
    assert!(running.epoch >= *kept.last().unwrap());
    running.stop();
}

#[test]
fn damage_is_found_wherever_it_is_and_the_last_whole_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let data = worked_in(dir.path());
    let epochs = checkpoints(&data);
    let [.., first, second, third] = epochs[..] else { panic!("{epochs:?}") };
    let verified = |damaged: &[u64], words: &str| {
        let (code, text, said) = run(&["checkpoint", "verify"], &data);
        assert_eq!(code, i32::from(!damaged.is_empty()), "{said}");
        for epoch in &epochs {
            let line = text.lines().find(|line| line.starts_with(&format!("epoch {epoch} "))).unwrap();
            assert_eq!(line.contains("DAMAGED"), damaged.contains(epoch), "{line}");
        }
        assert!(said.contains(words), "{said}");
    };
    verified(&[], "");
    // the newest: a table, whose size is as it was; only its blocks say so
    flip(&state(&data, third, |name| name.ends_with(".sst")));
    let (code, text, _) = run(&["checkpoint", "list"], &data);
    assert!(code == 0 && text.lines().all(|line| line.ends_with("whole")), "listing reads no blocks: {text}");
    verified(&[third], &format!("1 of {} checkpoints cannot be used: {third}: ", epochs.len()));
    // the one before: a small file of RocksDB's; the one before that: its manifest
    flip(&state(&data, second, |name| name.starts_with("OPTIONS")));
    flip(&state(&data, first, |name| name == "manifest.json"));
    verified(&[first, second, third], "3 of");
    let (code, text, _) = run(&["checkpoint", "list"], &data);
    assert!(code == 0 && text.contains(&format!("epoch {first}  ")) && text.contains("DAMAGED: manifest"), "{text}");
    fs::remove_file(state(&data, epochs[0], |name| name == "CURRENT")).unwrap();
    let (_, text, _) = run(&["checkpoint", "list"], &data);
    assert!(text.contains("DAMAGED: file") && text.contains("it is missing"), "{text}");

    // damaged ones go, whole ones stay; without a whole one nothing goes
    let whole: Vec<u64> = epochs.iter().copied().filter(|e| ![first, second, third, epochs[0]].contains(e)).collect();
    let (code, _, said) = run(&["checkpoint", "prune", "--keep", "1"], &data);
    if whole.is_empty() {
        assert!(code == 1 && said.contains("nothing is removed") && said.contains("is whole"), "{said}");
        assert_eq!(checkpoints(&data), epochs);
    } else {
        assert_eq!((code, checkpoints(&data)), (0, vec![*whole.last().unwrap()]), "{said}");
        flip(&state(&data, *whole.last().unwrap(), |name| name == "manifest.json"));
        let (code, _, said) = run(&["checkpoint", "prune"], &data);
        assert!(code == 1 && said.contains("nothing is removed: none of the 1 checkpoints is whole"), "{said}");
        assert_eq!(checkpoints(&data), [*whole.last().unwrap()]);
    }
}

#[test]
fn a_folder_that_is_worked_in_is_only_listed() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), SQL);
    let data = dir.path().join("data");
    assert_eq!(checkpoints(&data)[0], 0);
    for args in [&["checkpoint", "verify"][..], &["checkpoint", "prune"], &["epochs"]] {
        let (code, text, said) = run(args, &data);
        assert_eq!((code, text.as_str()), (3, ""), "{args:?}: {said}");
        assert!(said.contains("another millstream process works in it"), "{said}");
        assert_eq!(args == ["epochs"], said.contains("millstream topic read millstream.epochs"), "{said}");
    }
    running.stop();
    for args in [&["checkpoint", "list"][..], &["checkpoint", "verify"], &["checkpoint", "prune"], &["epochs"]] {
        let missing = dir.path().join("nowhere");
        let (code, text, said) = run(args, &missing);
        assert_eq!((code, text.as_str()), (1, ""), "{args:?}: {said}");
        assert!(said.contains("there is no data folder in") && !missing.exists(), "{said}");
        let (code, _, said) = outcome(&output(args));
        assert!(code == 2 && said.contains("--data"), "{said}");
    }
}

#[test]
fn epochs_are_shown_and_their_chain_checked() {
    let dir = tempfile::tempdir().unwrap();
    let data = worked_in(dir.path());
    let (code, text, said) = run(&["epochs"], &data);
    assert_eq!(code, 0, "{said}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(said.contains(&format!("{} epoch records, a whole chain", lines.len())), "{said}");
    assert!(lines[0].starts_with("epoch ") && lines[0].contains("Z  generation 1"), "{}", lines[0]);
    assert!(text.contains("CREATE STREAM TABLE v AS") && text.contains("| read t[0] 0.."), "{text}");
    let last = lines.len() - 1;
    let (code, text, said) = run(&["epochs", "--from", &last.to_string(), "--json"], &data);
    assert_eq!((code, text.lines().count()), (0, 1), "{said}");
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["record"]["epoch"].as_u64(), Some(last as u64));
    assert_eq!(line["troubles"], Value::Array(vec![]));
    assert!(line["hash"].as_str().unwrap().len() == 32 && line["offset"].as_u64() == Some(last as u64), "{text}");

    // a record that nobody of ours wrote
    let other = tempfile::tempdir().unwrap();
    let running = Running::start(other.path(), "");
    running.stop();
    let (code, _, said) = run(&["epochs", "--pipeline", "another"], &data);
    assert!(code == 1 && said.contains("there is no epoch topic \"another.epochs\""), "{said}");
    fs::rename(data.join("log"), dir.path().join("log.ours")).unwrap();
    let (code, _, said) = run(&["epochs"], &data);
    assert!(code == 1 && said.contains("there is no embedded log") && said.contains("--kafka"), "{said}");
    // the log of another folder: its records are a chain, but not that of these checkpoints
    fs::rename(other.path().join("data/log"), data.join("log")).unwrap();
    let (code, text, said) = run(&["epochs"], &data);
    assert!(code == 1 && text.contains("BROKEN: the checkpoint of this epoch was made after record"), "{text}{said}");
}
