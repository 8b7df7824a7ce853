//! SHOW DEAD LETTERS and REPLAY DEAD LETTERS: what was mended is applied once, what was not is a letter again, nothing old goes over
//! anything newer, and all of it is the same after a crash.

use std::collections::BTreeMap;

use api::Transport as _;

use super::rows::once;
use super::world::{Between, Running, World, append, read, upserted};
use crate::Reply;

/// Numbers are decoded, texts of numbers are dead letters until it is mended.
const N: &str = "CREATE TABLE t (id INT PRIMARY KEY, n NUMERIC(12,2)) WITH (connector = 'log', topic = 't', \
                 format = 'json', envelope = 'upsert', decimal_handling_mode = 'precise')";
const MEND: &str = "ALTER TABLE t SET (decimal_handling_mode = 'string')";

fn row(id: i64, n: &str) -> (String, Option<String>) {
    (id.to_string(), Some(format!("{{\"n\":{n}}}")))
}

fn shown(running: &Running) -> Vec<BTreeMap<&'static str, Option<String>>> {
    let Reply { columns, rows, .. } = running.sql("SHOW DEAD LETTERS FROM t").remove(0);
    rows.into_iter().map(|row| columns.iter().copied().zip(row).collect()).collect()
}

/// The offsets in the source of the letters that are shown, and their status.
fn offsets(running: &Running) -> Vec<(String, String)> {
    let text = |row: &BTreeMap<&str, Option<String>>, name| row[name].clone().unwrap_or_default();
    shown(running).iter().map(|row| (text(row, "source_offset"), text(row, "status"))).collect()
}

fn statuses(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(offset, status)| (offset.to_string(), status.to_string())).collect()
}

/// How many were replayed, failed, skipped, truncated; whether there are more.
#[track_caller]
fn replay(running: &Running, words: &str) -> [String; 5] {
    let reply = running.sql(&format!("REPLAY DEAD LETTERS FROM t{words}")).remove(0);
    assert_eq!(reply.columns, ["replayed", "failed", "skipped", "truncated", "more"]);
    let row: Vec<String> = reply.rows[0].iter().map(|cell| cell.clone().unwrap()).collect();
    row.try_into().unwrap()
}

fn counts(replayed: u64, failed: u64, skipped: u64, truncated: u64) -> [String; 5] {
    let [a, b, c, d] = [replayed, failed, skipped, truncated].map(|count| count.to_string());
    [a, b, c, d, "false".to_string()]
}

#[test]
fn dead_letters_are_shown_the_newest_first() {
    let world = World::new();
    let running = world.start();
    running.sql(N);
    assert_eq!(shown(&running).len(), 0, "there is not even a topic");
    running.feed("t", &[row(1, "\"1.5\""), row(2, "2")]);
    running.feed("t", &[("\u{0}".to_string(), Some("{".to_string())), row(3, "[]")]);
    let letters = shown(&running);
    let some = |text: &str| Some(text.to_string());
    assert_eq!(
        letters[2],
        [
            ("partition", some("0")),
            ("offset", some("0")),
            ("source_topic", some("t")),
            ("source_partition", some("0")),
            ("source_offset", some("0")),
            ("timestamp", some("2020-09-13T12:26:40.000000Z")),
            ("column", some("n")),
            (
                "reason",
                some(
                    "column \"n\" is numeric(12,2): \"1.5\" is not base64, as decimal_handling_mode 'precise' writes a \
                     decimal; if it is written as text or as a number, say 'string' or 'double'",
                ),
            ),
            ("key", some("1")),
            ("value", some("{\"n\":\"1.5\"}")),
            ("status", some("waiting")),
        ]
        .into()
    );
    assert_eq!(letters[1]["key"], some("\\x00"));
    assert_eq!(letters[1]["column"], None);
    assert_eq!(letters[0]["value"], some("{\"n\":[]}"));
    assert_eq!(running.sql("SHOW DEAD LETTERS FROM t LIMIT 1").remove(0).rows.len(), 1);
}

#[test]
fn what_was_mended_is_replayed_once_and_the_same_after_a_crash() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(N);
        running.sql("CREATE STREAM TABLE v AS SELECT count(*) AS c, sum(n) AS s FROM t");
        running.sql("CREATE SINK s FROM t WITH (connector = 'log', topic = 's', envelope = 'upsert')");
        running.feed("t", &[row(1, "1"), row(2, "\"2.50\""), row(3, "{"), row(4, "\"4\"")]);
        assert_eq!(replay(&running, ""), counts(0, 3, 0, 0), "nothing was mended");
        assert_eq!(offsets(&running).len(), 6, "they are letters again");
        running.sql(MEND);
        running = world.again(running, between);
        assert_eq!(replay(&running, ""), counts(2, 1, 0, 0));
        for _ in 0..2 {
            assert_eq!(running.rows("v"), [(r#"{"c":3,"s":"7.50"}"#.to_string(), 1)].into(), "{between:?}");
            let expected = [r#"{"id":1,"n":"1.00"}"#, r#"{"id":2,"n":"2.50"}"#, r#"{"id":4,"n":"4.00"}"#];
            assert_eq!(upserted(&world.log, "s"), expected);
            assert_eq!(read(&world.log, "s", 0).len(), 3, "each is published once");
            running = world.again(running, between);
            let waiting = offsets(&running).into_iter().filter(|(_, status)| status == "waiting");
            assert_eq!(waiting.collect::<Vec<_>>(), statuses(&[("2", "waiting")]));
        }
        assert_eq!(replay(&running, ""), counts(0, 1, 0, 0), "what was replayed is not replayed again");
        assert_eq!(running.show("SOURCES")["t"][6], "3", "of the source's records");
        running.stop().unwrap();
    }
}

#[test]
fn a_letter_does_not_go_over_a_newer_row() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        let mut running = world.start();
        running.sql(N);
        let letters = [row(1, "\"10\""), row(2, "\"20\""), row(3, "\"30\""), row(4, "\"40\""), row(4, "\"41\"")];
        running.feed("t", &letters);
        // 1 has a newer row, 2 was deleted since, 3 has not changed, and of 4 the second letter is the newer one.
        running.feed("t", &[row(1, "11"), row(2, "21"), ("2".to_string(), None)]);
        running = world.again(running, between);
        running.sql(MEND);
        assert_eq!(replay(&running, ""), counts(3, 0, 2, 0));
        running = world.again(running, between);
        let rows = [r#"{"id":1,"n":"11.00"}"#, r#"{"id":3,"n":"30.00"}"#, r#"{"id":4,"n":"41.00"}"#];
        assert_eq!(running.rows("t"), once(rows));
        assert_eq!(replay(&running, ""), counts(0, 0, 0, 0));
    }
}

#[test]
fn force_replays_also_what_is_older() {
    let world = World::new();
    let running = world.start();
    running.sql(N);
    running.feed("t", &[row(1, "\"10\""), row(1, "11")]);
    running.sql(MEND);
    assert_eq!(replay(&running, " FORCE"), counts(1, 0, 0, 0));
    assert_eq!(running.rows("t"), [(r#"{"id":1,"n":"10.00"}"#.to_string(), 1)].into());
}

/// Without a record key nobody knows what a letter is older than; without a key of the table it does not matter.
#[test]
fn letters_without_a_record_key() {
    let without = |n: &str| format!("{{\"id\":1,\"n\":{n}}}");
    let feed = |world: &World, running: &Running, value: String| {
        let mut record = super::world::record("t", 0, "", Some(&value));
        record.key = None;
        api::Log::append(&world.log, &[record]).unwrap();
        running.settle("t");
    };
    for (key, careful) in [(" PRIMARY KEY", counts(0, 2, 0, 0)), ("", counts(2, 0, 0, 0))] {
        let world = World::new();
        let running = world.start();
        running.sql(&N.replace(" PRIMARY KEY", key).replace("'upsert'", "'append'"));
        feed(&world, &running, without("\"10\""));
        feed(&world, &running, without("\"11\""));
        running.sql(MEND);
        let reply = running.sql("REPLAY DEAD LETTERS FROM t").remove(0);
        let row: Vec<String> = reply.rows[0].iter().flatten().cloned().collect();
        assert_eq!(row, careful, "{:?}", reply.notices);
        if !key.is_empty() {
            assert!(reply.notices[0].contains("REPLAY DEAD LETTERS FROM t FORCE"), "{:?}", reply.notices);
            assert_eq!(offsets(&running)[0].1, "waiting");
            assert_eq!(replay(&running, " FORCE"), counts(2, 0, 0, 0));
            assert_eq!(running.rows("t"), [(r#"{"id":1,"n":"11.00"}"#.to_string(), 1)].into());
        }
    }
}

#[test]
fn a_letter_that_was_cut_is_refused() {
    let world = World::new();
    let running = world.start();
    running.sql(N);
    running.feed("t", &[("1".to_string(), Some(format!("{{\"n\":\"1\",\"other\":\"{}\"}}", "x".repeat(2_000_000))))]);
    running.sql(MEND);
    assert_eq!(replay(&running, ""), counts(0, 0, 0, 1));
    assert_eq!(replay(&running, ""), counts(0, 0, 0, 0), "and counted once");
    assert_eq!(offsets(&running), statuses(&[("0", "truncated")]), "it stays to be seen");
    assert_eq!(running.rows("t").len(), 0);
}

/// The table of that name that was dropped read the topic itself.
#[test]
fn letters_of_a_table_that_was_dropped_are_not_replayed() {
    let world = World::new();
    let running = world.start();
    running.sql(N);
    running.feed("t", &[row(1, "\"10\"")]);
    running.sql("DROP TABLE t");
    running.sql(&N.replace("'precise'", "'string'"));
    running.settle("t");
    running.feed("t", &[row(1, "11")]);
    assert_eq!(replay(&running, " FORCE"), counts(0, 0, 0, 0));
    assert_eq!((offsets(&running).len(), read(&world.log, "t.dlq", 0).len()), (0, 1));
    assert_eq!(running.rows("t"), [(r#"{"id":1,"n":"11.00"}"#.to_string(), 1)].into());
}

#[test]
fn many_letters_are_replayed_in_several_goes() {
    let mut world = World::new();
    world.config.epoch_rows_max = 4;
    super::world::make_topic(&world.log, "t.dlq", 2);
    let running = world.start();
    running.sql(N);
    running.feed("t", &(0..10).map(|id| row(id, "\"1\"")).collect::<Vec<_>>());
    running.sql(MEND);
    let mut all = 0;
    for go in 0.. {
        let [replayed, .., more] = replay(&running, "");
        let replayed: usize = replayed.parse().unwrap();
        assert!(replayed <= 4, "{replayed}");
        all += replayed;
        if more == "false" {
            assert!(go >= 2);
            break;
        }
    }
    assert_eq!((all, running.rows("t").len()), (10, 10));
}

/// Those of others are passed over, however many they are.
#[test]
fn letters_of_others_are_not_in_the_way() {
    let mut world = World::new();
    world.config.epoch_rows_max = 4;
    let mut running = world.start();
    running.sql(&N.replace("'upsert'", "'upsert', dlq_topic = 'bad'"));
    running.sql(&N.replace("TABLE t", "TABLE u").replace("'t'", "'u', dlq_topic = 'bad'"));
    append(&world.log, "u", 0, &(0..10).map(|id| row(id, "\"7\"")).collect::<Vec<_>>());
    running.settle("u");
    running.feed("t", &[row(1, "\"1\"")]);
    running.sql(MEND);
    let goes: Vec<_> = (0..3).map(|_| replay(&running, "")).collect();
    let more = |replayed: &str, more: &str| [replayed, "0", "0", "0", more].map(str::to_string);
    assert_eq!(goes, [more("0", "true"), more("0", "true"), more("1", "false")]);
    running = world.again(running, Between::Crash);
    assert_eq!(running.rows("t").len(), 1);
}

/// Letters are inputs as any: what is replayed after a crash must be what it was.
#[test]
fn letters_that_are_not_what_they_were_stop_recovery() {
    let world = World::new();
    let running = world.start();
    running.sql(N);
    running.feed("t", &[row(1, "\"10\"")]);
    running.sql(MEND);
    assert_eq!(replay(&running, ""), counts(1, 0, 0, 0));
    running.crash();
    *world.log.faults.forge.lock().unwrap() = Some(Box::new(|record| {
        if &*record.at.topic == "t.dlq" {
            record.value = Some("{\"n\":\"99\"}".into());
        }
    }));
    let why = world.refusal();
    assert!(why.contains("topic \"t.dlq\" partition 0 offsets 0 to 1 is not what it was"), "{why}");
    *world.log.faults.forge.lock().unwrap() = None;
    let running = world.start();
    assert_eq!(running.rows("t"), [(r#"{"id":1,"n":"10.00"}"#.to_string(), 1)].into());
}

#[test]
fn a_version_that_decodes_letters_otherwise_stops_at_them() {
    let mut world = World::new();
    let running = world.start();
    running.sql(N);
    running.feed("t", &[row(1, "\"10\"")]);
    running.sql(MEND);
    assert_eq!(replay(&running, ""), counts(1, 0, 0, 0));
    running.crash();
    world.update("decimal_handling_mode = 'string'", "decimal_handling_mode = 'precise'");
    let why = world.refusal();
    assert!(why.contains("made other dead letters of those that it replays than the first time"), "{why}");
}

/// A letter whose row a stream table cannot compute is that table's trouble, as it would have been when it came.
#[test]
fn a_replayed_row_that_a_query_fails_on_is_that_tables_error() {
    let world = World::new();
    let mut running = world.start();
    running.sql(N);
    running.sql("CREATE STREAM TABLE v AS SELECT id, 1 / n AS q FROM t");
    running.feed("t", &[row(1, "\"0\""), row(2, "2")]);
    running.sql(MEND);
    assert_eq!(replay(&running, ""), counts(1, 0, 0, 0));
    running = world.again(running, Between::Crash);
    assert!(running.error_of("v").unwrap().contains("division by zero"));
    assert_eq!(running.rows("t").len(), 2);
    running.feed("t", &[row(1, "1")]);
    assert_eq!((running.error_of("v"), running.rows("v").len()), (None, 2));
}

/// Letters of several tables in one topic.
#[test]
fn a_topic_of_letters_may_be_shared() {
    let world = World::new();
    let running = world.start();
    running.sql(&N.replace("'upsert'", "'upsert', dlq_topic = 'bad'"));
    running.sql(&N.replace("TABLE t", "TABLE u").replace("'t'", "'u', dlq_topic = 'bad'"));
    append(&world.log, "u", 0, &[row(7, "\"7\"")]);
    running.settle("u");
    running.feed("t", &[row(1, "\"1\"")]);
    running.sql(MEND);
    assert_eq!((offsets(&running).len(), world.log.inner.partitions("bad").unwrap().unwrap().len()), (1, 1));
    assert_eq!(replay(&running, ""), counts(1, 0, 0, 0));
    assert_eq!((running.rows("t").len(), running.rows("u").len()), (1, 0));
    running.sql(&MEND.replace(" t ", " u "));
    running.sql("REPLAY DEAD LETTERS FROM u");
    assert_eq!(running.rows("u").len(), 1);
}

/// A table that is read anew has other rows, and makes its letters anew; one that goes on behind a loss has missed what came.
#[test]
fn letters_of_before_a_mended_source() {
    let (upsert, append) = (N.to_string(), N.replace("'upsert'", "'append'").replace(" PRIMARY KEY", ""));
    for (table, mend, letters, careful, id) in [
        (&upsert, "RESTART FROM 'earliest'", 1, counts(0, 1, 0, 0), "1"),
        (&upsert, "RESTART FROM 'latest'", 0, counts(0, 0, 0, 0), ""),
        (&upsert, "ACCEPT LOSS FROM 'latest'", 1, counts(0, 1, 0, 0), "1"),
        (&append, "RESTART FROM 'earliest'", 1, counts(1, 0, 0, 0), "null"),
        (&append, "RESTART FROM 'latest'", 0, counts(0, 0, 0, 0), ""),
        (&append, "ACCEPT LOSS FROM 'latest'", 1, counts(1, 0, 0, 0), "null"),
    ] {
        for between in [Between::Nothing, Between::Stop, Between::Crash] {
            let world = World::new();
            let mut running = world.start();
            running.sql(table);
            running.feed("t", &[row(1, "\"10\"")]);
            running.sql(&format!("ALTER TABLE t {mend}"));
            running.settle("t");
            running.sql(MEND);
            running = world.again(running, between);
            assert_eq!(offsets(&running).len(), letters, "{table} {mend}");
            assert_eq!(replay(&running, ""), careful, "{table} {mend}");
            running.sql("REPLAY DEAD LETTERS FROM t FORCE");
            let row = (!id.is_empty()).then(|| (format!(r#"{{"id":{id},"n":"10.00"}}"#), 1));
            assert_eq!(running.rows("t"), row.into_iter().collect(), "{table} {mend}");
        }
    }
}
