//! ALTER TABLE ... RESTART FROM and ACCEPT LOSS: what they say, and of what they can be said.

use dataflow::{Action, Mend, ReadFrom};
use plan::{Catalog, Mending, StartAt};
use zset::{Offset, Partition};

use crate::testing::{apply, catalog, plan, refused};

fn world() -> Catalog {
    let mut all = catalog(&[
        "CREATE TABLE fed (id int) WITH (connector = 'log', topic = 't')",
        "CREATE TABLE own (id int)",
        "CREATE SOURCE passed (id int) WITH (connector = 'log', topic = 't')",
    ]);
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT id FROM fed");
    all
}

fn mend(sql: &str) -> Mend {
    match plan(&world(), sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::Mend(mend) => mend,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn where_reading_goes_on() {
    let from = |text: &str| {
        let mend = mend(&format!("ALTER TABLE fed RESTART FROM {text}"));
        assert_eq!(mend.way, Mending::Restarted);
        mend.from.unwrap()
    };
    assert_eq!(from("'earliest'"), ReadFrom::Start(StartAt::Earliest));
    assert_eq!(from("LATEST"), ReadFrom::Start(StartAt::Latest));
    assert_eq!(from("'2024-01-15T10:00:00Z'"), ReadFrom::Start(StartAt::Time(1_705_312_800_000)));
    assert_eq!(from("'2024-01-15 10:00:00'"), ReadFrom::Start(StartAt::Time(1_705_312_800_000)));
    let offsets = [(Partition(0), Offset(12)), (Partition(11), Offset(7))];
    assert_eq!(from("'0:12, 11:7';"), ReadFrom::Offsets(offsets.into()));
    let accepted = mend("alter table if exists public.fed accept loss");
    assert_eq!((accepted.way, accepted.from), (Mending::LossAccepted, None));
    let accepted = mend("ALTER TABLE passed ACCEPT LOSS FROM 'latest'");
    assert_eq!((accepted.way, accepted.from), (Mending::LossAccepted, Some(ReadFrom::Start(StartAt::Latest))));
    assert!(matches!(plan(&world(), "ALTER TABLE IF EXISTS x ACCEPT LOSS").unwrap().action, Action::Nothing));
}

#[test]
fn what_they_are_not_for() {
    refused(
        &world(),
        &[
            ("ALTER TABLE x ACCEPT LOSS", "42P01", "SHOW SOURCES"),
            ("ALTER TABLE own ACCEPT LOSS", "0A000", "with a connector"),
            ("ALTER TABLE v RESTART FROM 'earliest'", "0A000", "a stream table"),
            ("ALTER TABLE passed RESTART FROM 'earliest'", "0A000", "ACCEPT LOSS"),
            ("ALTER TABLE fed RESTART", "42601", "FROM"),
            ("ALTER TABLE fed RESTART FROM 'soon'", "42601", "'0:1200,1:1180'"),
            ("ALTER TABLE fed RESTART FROM '0:1,0:2'", "42601", "'earliest'"),
            ("ALTER TABLE fed RESTART FROM '0:-1'", "42601", "'earliest'"),
            ("ALTER TABLE fed RESTART FROM 12", "42601", "'earliest'"),
            ("ALTER TABLE fed ACCEPT LOSS now", "42601", "FROM"),
            ("ALTER TABLE fed ACCEPT LOSS FROM 'latest' too", "42601", "end of the statement"),
        ],
    );
}

#[test]
fn what_cannot_take_rows_back_is_not_restarted() {
    let mut all = world();
    apply(&mut all, "CREATE STREAM TABLE w AS SELECT id FROM v WHERE id > 0");
    apply(&mut all, "CREATE SINK changes FROM w WITH (connector = 'log', topic = 'changes', envelope = 'debezium')");
    assert!(plan(&all, "ALTER TABLE fed RESTART FROM 'latest'").is_ok());
    apply(&mut all, "CREATE SINK rows FROM w WITH (connector = 'log', topic = 'rows', envelope = 'append')");
    refused(&all, &[("ALTER TABLE fed RESTART FROM 'latest'", "55000", "sink \"rows\"")]);
    assert!(plan(&all, "ALTER TABLE fed ACCEPT LOSS FROM 'latest'").is_ok());
}

#[test]
fn what_names_no_topics_is_refused() {
    let create = |options: &str| format!("CREATE TABLE t (id int) WITH (connector = 'log', {options})");
    let cases = [
        ("topic = 'a,a'", "22023", "twice"),
        ("topic = 'a,'", "22023", "1 to 249"),
        ("topic = 'a', topic_pattern = 'a.*'", "42601", "leave one of them out"),
        ("partitions = 3, topic_pattern = 'a.*'", "42601", "\"partitions\""),
        ("topic_pattern = 'a('", "22023", "whole names"),
        ("dlq_topic = 'a,b', topic = 'a'", "22023", "dlq_topic"),
        ("start = 'latest'", "42601", "topic_pattern"),
    ];
    let cases: Vec<(String, &str, &str)> = cases.map(|(options, code, words)| (create(options), code, words)).into();
    let cases: Vec<(&str, &str, &str)> = cases.iter().map(|(sql, code, words)| (sql.as_str(), *code, *words)).collect();
    refused(&world(), &cases);
    refused(
        &world(),
        &[
            (
                "CREATE TABLE t (id int) WITH (connector = 'file', topic_pattern = 'a', path = '/x')",
                "42601",
                "'kafka' and 'log'",
            ),
            ("CREATE TABLE t (id int) WITH (topic_pattern = 'a')", "42601", "topic_pattern"),
        ],
    );
}

#[test]
fn offsets_of_several_topics_name_them() {
    let mut world = world();
    let action = plan(&world, "CREATE TABLE two (id int) WITH (connector = 'log', topic = 'a, b.c')").unwrap().action;
    let Action::CreateTable(def) = action else { panic!("{action:?}") };
    let source = def.source().unwrap();
    assert_eq!(source.topics().collect::<Vec<_>>(), ["a", "b.c"]);
    world.add_table(def).unwrap();
    let action = plan(&world, "ALTER TABLE two RESTART FROM 'b.c:1:7,a:0:5,b.c:0:6'").unwrap().action;
    let Action::Mend(mend) = action else { panic!("{action:?}") };
    let at = |place, number| Partition::of(place, number).unwrap();
    let expected = [(at(0, 0), Offset(5)), (at(1, 0), Offset(6)), (at(1, 1), Offset(7))];
    assert_eq!(mend.from, Some(ReadFrom::Offsets(expected.into())));
    refused(
        &world,
        &[
            ("ALTER TABLE two RESTART FROM '0:5'", "22023", "of which?"),
            ("ALTER TABLE two RESTART FROM 'c:0:5'", "22023", "does not read topic"),
            ("ALTER TABLE two RESTART FROM 'a:0:5,a:0:6'", "42601", "a:0:1200"),
            ("ALTER TABLE fed RESTART FROM 'a:0:5'", "22023", "does not read topic"),
        ],
    );
}
