//! What a real cluster does to topics: compaction and deletion of what was not read yet, topics deleted and made anew, partitions added.
//! Judged by what the topics say in the end: the rows of the tables, and the sinks record by record.

pub mod rig;
pub mod wire;

use rig::{PATIENCE, Rig, Rows, Running, TINY, until};

const SQL: &str = "
CREATE TABLE t (id INT PRIMARY KEY, v INT)
  WITH (connector = 'kafka', topic = '@t', format = 'json', envelope = 'upsert');
CREATE STREAM TABLE s AS SELECT v, count(*) AS n FROM t GROUP BY v;
CREATE SINK each FROM t WITH (connector = 'kafka', topic = '@each', format = 'json', envelope = 'debezium');
CREATE SINK counts FROM s WITH (connector = 'kafka', topic = '@counts', format = 'json', envelope = 'upsert');
";
const APPEND: &str = "
CREATE TABLE t (id INT, v INT) WITH (connector = 'kafka', topic = '@t', format = 'json');
CREATE STREAM TABLE s AS SELECT v, count(*) AS n FROM t GROUP BY v;
CREATE SINK counts FROM s WITH (connector = 'kafka', topic = '@counts', format = 'json', envelope = 'upsert');
";

/// How many rows there are of each value.
fn counted(rows: &Rows) -> Rows {
    let mut counts = Rows::new();
    rows.values().for_each(|v| *counts.entry(*v).or_default() += 1);
    counts
}

/// The table is so, and the stream table and both sinks with it.
fn judge(rig: &Rig, running: &mut Running, expected: &Rows) {
    running.wait_for(expected, "the table is what its topic says");
    let counts = counted(expected);
    assert_eq!(running.pairs("SELECT v, n FROM s").into_iter().collect::<Rows>(), counts, "the stream table");
    sinks_show(rig, "counts", expected);
}

/// Both sinks show it, record by record: a transaction that was answered may be seen a moment later.
fn sinks_show(rig: &Rig, topic: &str, expected: &Rows) {
    let (mut shown, counts) = ((Rows::new(), Rows::new()), counted(expected));
    let deadline = std::time::Instant::now() + PATIENCE;
    while shown != (expected.clone(), counts.clone()) {
        assert!(std::time::Instant::now() < deadline, "the sinks show {expected:?} and {counts:?}: {shown:?}");
        shown = (rig.events("each"), rig.counts(topic));
    }
}

/// Writes what makes segments end, until a partition has nothing of some offsets any more.
fn compact(rig: &Rig, partition: i32, gone: &[i64]) {
    let mut tick = 0;
    until("it is compacted", || {
        rig.write("t", partition, &[(-1 - i64::from(partition), Some(tick))]);
        tick += 1;
        std::thread::sleep(std::time::Duration::from_millis(60));
        let left = rig.read("t", partition);
        left.iter().all(|record| !gone.contains(&record.offset.0))
    });
}

/// What an upsert topic says now.
fn said(rig: &Rig, partitions: i32) -> Rows {
    let mut rows = Rows::new();
    for record in (0..partitions).flat_map(|partition| rig.read("t", partition)) {
        let id = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
        let key = id(&record.key.expect("a key"))["id"].as_i64().expect("an id");
        match record.value {
            Some(value) => rows.insert(key, id(&value)["v"].as_i64().expect("a value")),
            None => rows.remove(&key),
        };
    }
    rows
}

/// Killed before any checkpoint; while it is away keys and their tombstones vanish, also of what replay needs. The start after that
/// is killed in the middle of the reconciliation, twice.
#[test]
fn keys_and_tombstones_vanish_while_it_is_away() {
    let mut rig = Rig::new("away", SQL);
    rig.make("t", 2, TINY);
    let mut running = rig.start();
    rig.write("t", 0, &[(1, Some(1)), (2, Some(1)), (3, Some(1))]);
    rig.write("t", 1, &[(4, Some(2)), (5, Some(2))]);
    running.wait_for(&[(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)].into(), "what is there at first");
    running.kill();
    // 1 and 4 are deleted, 2 is another; of that and of the deletes nothing is left but the new row of 2.
    rig.write("t", 0, &[(1, None), (2, Some(7))]);
    rig.write("t", 1, &[(4, None)]);
    compact(&rig, 0, &[0, 1, 3]);
    compact(&rig, 1, &[0, 2]);
    for failpoint in ["reconcile-staged=kill", "reconcile-committed=kill"] {
        assert!(rig.try_start(failpoint).is_none(), "{failpoint}");
        let (name, _) = failpoint.split_once('=').expect("name=action");
        let hit = format!("millstream failpoint {name} hit 1: kill");
        assert!(rig.said().contains(&hit), "{}", rig.said());
        println!("{hit}");
    }
    let mut running = rig.start();
    let expected = said(&rig, 2);
    assert!(!expected.contains_key(&1) && !expected.contains_key(&4) && expected[&2] == 7 && expected[&3] == 1);
    judge(&rig, &mut running, &expected);
    assert!(rig.said().contains("replayed from the journal") && rig.said().contains("the topic is read whole"));
    rig.write("t", 0, &[(3, None), (6, Some(9))]);
    judge(&rig, &mut running, &said(&rig, 2));
    running.stop();
}

/// Read on while the log cleaner is at work below, with kills: the range that replay needs is compacted, time and again.
#[test]
fn compaction_goes_on_while_it_runs() {
    let mut rig = Rig::new("while", SQL);
    rig.make("t", 1, TINY);
    for round in 0..4 {
        let mut running = rig.start();
        for v in 0..10 {
            rig.write("t", 0, &[(v % 4, Some(10 * round + v)), (4 + v % 3, if v % 2 == 0 { Some(v) } else { None })]);
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        judge(&rig, &mut running, &said(&rig, 1));
        running.kill();
    }
}

#[test]
fn records_that_every_one_counted_of_are_deleted_before_they_are_read() {
    let mut rig = Rig::new("append", APPEND);
    rig.make("t", 1, &[("cleanup.policy", "delete")]);
    let mut running = rig.start();
    rig.write("t", 0, &[(1, Some(1)), (2, Some(1))]);
    running.wait_for(&[(1, 1), (2, 1)].into(), "what is there at first");
    running.kill();
    rig.write("t", 0, &[(3, Some(3)), (4, Some(4))]);
    let at = api::TopicPartition { topic: rig.topic("t").into(), partition: zset::Partition(0) };
    rig.log.trim(&at, zset::Offset(3)).expect("records can be deleted");
    // Also of what replay needs: the journal has it.
    let mut running = rig.start();
    let why = running.halted().expect("it is halted");
    assert!(why.contains(&rig.topic("t")) && why.contains("offsets 2 to 3") && why.contains("ACCEPT LOSS"), "{why}");
    running.wait_for(&[(1, 1), (2, 1)].into(), "it keeps its rows");
    assert_eq!(rig.counts("counts"), [(1, 2)].into());
    running.sql("ALTER TABLE t ACCEPT LOSS");
    running.wait_for(&[(1, 1), (2, 1), (4, 4)].into(), "it goes on behind the loss");
    running.kill();
    let mut running = rig.start();
    running.sql("ALTER TABLE t RESTART FROM 'earliest'");
    running.wait_for(&[(4, 4)].into(), "it is read anew");
    until("the sink follows", || rig.counts("counts") == [(4, 1)].into());
    running.stop();
}

#[test]
fn a_topic_is_deleted_and_made_anew() {
    let mut rig = Rig::new("anew", SQL);
    rig.make("t", 2, &[]);
    let mut running = rig.start();
    let first: Rows = [(1, 1), (2, 1), (3, 3)].into();
    rig.write("t", 0, &[(1, Some(1)), (2, Some(2)), (2, Some(1))]);
    rig.write("t", 1, &[(3, Some(3))]);
    judge(&rig, &mut running, &first);
    rig.delete("t");
    until("it is halted while it runs", || running.halted().is_some());
    judge(&rig, &mut running, &first);
    running.kill();
    rig.make("t", 2, &[]);
    rig.write("t", 1, &[(3, Some(5)), (8, Some(8))]);
    // The topic of the epochs that a replay needs is gone.
    let mut running = rig.start();
    let why = running.halted().expect("it is halted at a start");
    assert!(why.contains("was deleted and made anew, or truncated"), "{why}");
    judge(&rig, &mut running, &first);
    running.sql("ALTER TABLE t ACCEPT LOSS");
    judge(&rig, &mut running, &[(1, 1), (2, 1), (3, 5), (8, 8)].into());
    running.sql("ALTER TABLE t RESTART FROM 'earliest'");
    judge(&rig, &mut running, &[(3, 5), (8, 8)].into());
    running.kill();
    judge(&rig, &mut rig.start(), &[(3, 5), (8, 8)].into());
}

#[test]
fn partitions_are_added_under_load() {
    let mut rig = Rig::new("grow", SQL);
    rig.make("t", 1, &[]);
    let mut running = rig.start();
    let mut expected = Rows::new();
    for round in 0..3 {
        let partitions = 1 + 2 * round;
        if round > 0 {
            rig.grow("t", partitions);
        }
        for n in 0..40 {
            let partition = n % partitions;
            let id = i64::from(1000 * partition + n);
            rig.write("t", partition, &[(id, Some(i64::from(n % 5)))]);
            expected.insert(id, i64::from(n % 5));
        }
        if round == 1 {
            running.kill();
            running = rig.start();
        }
        judge(&rig, &mut running, &expected);
    }
    assert_eq!(running.sources().len(), 5);
    running.stop();
}

const PATTERN: &str = "
CREATE TABLE t (id INT PRIMARY KEY, v INT) INCLUDE TOPIC AS topic INCLUDE PARTITION AS part
  WITH (connector = 'kafka', topic_pattern = '@in\\..*', format = 'json', envelope = 'upsert', dlq_topic = '@in.dead');
CREATE STREAM TABLE s AS SELECT v, count(*) AS n FROM t GROUP BY v;
CREATE SINK each FROM t WITH (connector = 'kafka', topic = '@each', format = 'json', envelope = 'debezium');
CREATE SINK counts FROM s WITH (connector = 'kafka', topic = '@in.counts', format = 'json', envelope = 'upsert');
";

/// Topics that a pattern matches, one of them made while it runs, over a kill, dead letters and a topic that is deleted. The
/// pipeline's own topics match too.
#[test]
fn topics_of_a_pattern_are_found() {
    let mut rig = Rig::new("pattern", PATTERN);
    rig.make("in.b", 2, &[]);
    rig.make("in.a", 1, &[]);
    rig.make("out.a", 1, &[]);
    let mut running = rig.start();
    rig.write("in.a", 0, &[(1, Some(1))]);
    rig.write("in.b", 1, &[(2, Some(1))]);
    rig.write("out.a", 0, &[(9, Some(9))]);
    let mut expected: Rows = [(1, 1), (2, 1)].into();
    running.wait_for(&expected, "the topics that there were");
    rig.make("in.0", 2, &[]);
    rig.write("in.0", 1, &[(3, Some(2)), (4, Some(2))]);
    expected.extend([(3, 2), (4, 2)]);
    running.wait_for(&expected, "the topic that came");
    running.kill();
    rig.write("in.0", 1, &[(4, None), (5, Some(2))]);
    expected.remove(&4);
    expected.insert(5, 2);
    let mut running = rig.start();
    judge_pattern(&rig, &mut running, &expected);
    let topic = running.text("SELECT topic || ' ' || part FROM t WHERE id = 5");
    assert_eq!(topic, [format!("{} 1", rig.topic("in.0"))]);
    // A partition without records is found again by the reader.
    until("all partitions are there", || running.sources().len() == 5);
    let shown: Vec<(String, String)> =
        running.sources().into_iter().map(|row| (row[1].clone(), row[2].clone())).collect();
    let place = |topic: &str, partition: &str| (rig.topic(topic), partition.to_string());
    let places = [("in.a", "0"), ("in.b", "0"), ("in.b", "1"), ("in.0", "0"), ("in.0", "1")];
    assert_eq!(shown, places.map(|(topic, partition)| place(topic, partition)), "each at its place");
    running.stop();
    rig.delete("in.b");
    let mut running = rig.start();
    let why = running.halted().expect("a topic is gone");
    assert!(
        why.contains(&format!("topic \"{}\" partition 1", rig.topic("in.b")))
            || why.contains(&format!("topic \"{}\" partition 0", rig.topic("in.b"))),
        "{why}"
    );
    running.sql("ALTER TABLE t ACCEPT LOSS");
    rig.write("in.a", 0, &[(6, Some(6))]);
    expected.insert(6, 6);
    judge_pattern(&rig, &mut running, &expected);
    running.kill();
    let mut running = rig.start();
    judge_pattern(&rig, &mut running, &expected);
    assert_eq!(running.halted(), None, "that it is gone was accepted");
    rig.make("in.b", 2, &[]);
    until("it is back, as another", || running.halted().is_some_and(|why| why.contains(&rig.topic("in.b"))));
    running.sql("ALTER TABLE t ACCEPT LOSS");
    rig.write("in.b", 0, &[(7, Some(7))]);
    expected.insert(7, 7);
    judge_pattern(&rig, &mut running, &expected);
    running.stop();
}

fn judge_pattern(rig: &Rig, running: &mut Running, expected: &Rows) {
    running.wait_for(expected, "the table is what its topics say");
    assert_eq!(
        running.pairs("SELECT v, n FROM s").into_iter().collect::<Rows>(),
        counted(expected),
        "the stream table"
    );
    sinks_show(rig, "in.counts", expected);
}
