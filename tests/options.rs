//! Bad input to every option of a WITH clause gets an error that names it and says what to do. The lists of options are the
//! planner's own, so that a new one without a case here fails.

use std::collections::BTreeSet;

use dataflow::{Action, Planner};
use plan::Catalog;
use sql::SqlPlanner;

const SOURCES: &[(&str, &str)] = &[
    ("connector", "connector = 'nats', topic = 't'"),
    ("topic", "connector = 'log', topic = 'a b'"),
    ("path", "connector = 'file', path = ''"),
    ("follow", "connector = 'file', path = '/tmp/x', follow = 'perhaps'"),
    ("dlq_topic", "connector = 'log', topic = 't', dlq_topic = '/'"),
    ("brokers", "connector = 'log', topic = 't', brokers = 'localhost:9092'"),
    ("format", "connector = 'log', topic = 't', format = 'xml'"),
    ("envelope", "connector = 'log', topic = 't', envelope = 'maxwell'"),
    ("start", "connector = 'log', topic = 't', start = 'yesterday'"),
    ("partitions", "connector = 'log', topic = 't', partitions = 0"),
    ("replica_identity", "connector = 'log', topic = 't', envelope = 'debezium', replica_identity = 'some'"),
    ("decimal_handling_mode", "connector = 'log', topic = 't', envelope = 'debezium', decimal_handling_mode = 'exact'"),
    ("time_precision_mode", "connector = 'log', topic = 't', envelope = 'debezium', time_precision_mode = 'fine'"),
    ("binary_handling_mode", "connector = 'log', topic = 't', envelope = 'debezium', binary_handling_mode = 'octal'"),
    ("kafka.*", "connector = 'log', topic = 't', kafka.linger.ms = 5"),
];

const OWN: &[(&str, &str)] =
    &[("topic", "topic = 'a b'"), ("dlq_topic", "dlq_topic = 'a b'"), ("partitions", "partitions = 'many'")];

const SINKS: &[(&str, &str)] = &[
    ("connector", "connector = 'nats'"),
    ("topic", "connector = 'log', topic = 'a b'"),
    ("brokers", "connector = 'log', topic = 's', brokers = 'localhost:9092'"),
    ("format", "connector = 'log', topic = 's', format = 'xml'"),
    ("envelope", "connector = 'log', topic = 's', envelope = 'canal'"),
    ("key", "connector = 'log', topic = 's', key = 'nope'"),
    ("tombstones", "connector = 'log', topic = 's', envelope = 'debezium', tombstones = 'some'"),
    ("partitions", "connector = 'log', topic = 's', partitions = -1"),
    ("replication", "connector = 'log', topic = 's', replication = 0"),
    ("path", "connector = 'file', path = ''"),
    ("url", "connector = 'postgres', url = 'mysql://h/db', table = 't'"),
    ("table", "connector = 'postgres', url = 'postgres://u@h/db', table = ''"),
    ("password_file", "connector = 'log', topic = 's', password_file = '/p'"),
    (
        "password_env",
        "connector = 'postgres', url = 'postgres://u@h/db', table = 't', password_file = '/p', password_env = 'P'",
    ),
    ("outbox_rows_max", "connector = 'postgres', url = 'postgres://u@h/db', table = 't', outbox_rows_max = 0"),
];

/// Why a statement is refused: by the planner, or by the connector's own check of a sink.
fn refusal(statement: &str, catalog: &Catalog) -> String {
    match SqlPlanner::new().plan(statement, catalog) {
        Err(error) => {
            let text = error.to_string();
            assert!(error.hint.is_some() || text.contains(';'), "what to do instead? {statement}: {text}");
            text
        }
        Ok(planned) => panic!("{statement} is planned: {:?}", planned.action),
    }
}

fn covers(cases: &[(&str, &str)], options: &[&str]) {
    let covered: BTreeSet<&str> = cases.iter().map(|(option, _)| *option).collect();
    assert_eq!(covered, options.iter().copied().collect(), "every option has its bad value");
}

#[test]
fn bad_values_of_sources_are_refused() {
    covers(SOURCES, sql::source_options());
    for (option, with) in SOURCES {
        for create in ["CREATE TABLE t (id int PRIMARY KEY)", "CREATE SOURCE t (id int)"] {
            let text = refusal(&format!("{create} WITH ({with})"), &Catalog::default());
            let name = option.trim_end_matches(".*");
            assert!(text.contains(name), "{option} is not named: {text}");
        }
    }
}

#[test]
fn bad_values_of_our_own_tables_are_refused() {
    covers(OWN, sql::own_options());
    for (option, with) in OWN {
        let text = refusal(&format!("CREATE TABLE t (id int PRIMARY KEY) WITH ({with})"), &Catalog::default());
        assert!(text.contains(option), "{option} is not named: {text}");
    }
}

#[test]
fn bad_values_of_sinks_are_refused() {
    covers(SINKS, sql::sink_options());
    let mut catalog = Catalog::default();
    match SqlPlanner::new().plan("CREATE TABLE t (id int PRIMARY KEY)", &catalog).unwrap().action {
        Action::CreateTable(def) => catalog.add_table(def).unwrap(),
        other => panic!("{other:?}"),
    }
    for (option, with) in SINKS {
        let text = refusal(&format!("CREATE SINK s FROM t WITH ({with})"), &catalog);
        assert!(text.contains(option), "{option} is not named: {text}");
    }
}

#[test]
fn unknown_options_are_refused_with_the_list() {
    let text =
        refusal("CREATE TABLE t (id int) WITH (connector = 'log', topic = 't', replica = 'full')", &Catalog::default());
    assert!(text.contains("replica_identity"), "{text}");
}
