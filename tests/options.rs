//! Bad input to every option of a WITH clause gets an error that names it and says what to do. The lists of options are the
//! planner's own, so that a new one without a case here fails.

use std::collections::BTreeSet;

use dataflow::{Action, Planner};
use plan::Catalog;
use sql::SqlPlanner;

const SOURCES: &[(&str, &str)] = &[
    ("connector", "connector = 'nats', topic = 't'"),
    ("topic", "connector = 'log', topic = 'a b'"),
    ("topic_pattern", "connector = 'log', topic_pattern = 'a('"),
    ("path", "connector = 'file', path = ''"),
    ("follow", "connector = 'file', path = '/tmp/x', follow = 'perhaps'"),
    ("dlq_topic", "connector = 'log', topic = 't', dlq_topic = '/'"),
    ("brokers", "connector = 'log', topic = 't', brokers = 'localhost:9092'"),
    ("format", "connector = 'log', topic = 't', format = 'xml'"),
    ("envelope", "connector = 'log', topic = 't', envelope = 'maxwell'"),
    ("start", "connector = 'log', topic = 't', start = 'yesterday'"),
    ("partitions", "connector = 'log', topic = 't', partitions = 0"),
    ("on_error", "connector = 'log', topic = 't', on_error = 'skip'"),
    ("max_dead_letters_per_minute", "connector = 'log', topic = 't', max_dead_letters_per_minute = 0"),
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

const STREAMS: &[(&str, &str)] = &[
    ("refresh_mode", "refresh_mode = 'full'"),
    ("schedule", "schedule = '1s'"),
    ("diamond_consistency", "diamond_consistency = 'atomic'"),
    ("max_consecutive_errors", "max_consecutive_errors = -1"),
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
fn bad_values_of_stream_tables_are_refused() {
    covers(STREAMS, sql::stream_options());
    for (option, with) in STREAMS {
        let text = refusal(&format!("CREATE STREAM TABLE v WITH ({with}) AS SELECT 1 AS one"), &Catalog::default());
        assert!(text.contains(option), "{option} is not named: {text}");
    }
}

#[test]
fn unknown_options_are_refused_with_the_list() {
    let text =
        refusal("CREATE TABLE t (id int) WITH (connector = 'log', topic = 't', replica = 'full')", &Catalog::default());
    assert!(text.contains("replica_identity"), "{text}");
}

/// What ALTER TABLE can change of a table with a connector, and what it says of the rest.
#[test]
fn bad_values_in_alter_table_are_refused() {
    let mut catalog = Catalog::default();
    let planner = SqlPlanner::new();
    for create in [
        "CREATE TABLE t (id int PRIMARY KEY) WITH (connector = 'log', topic = 't', max_dead_letters_per_minute = 5)",
        "CREATE SOURCE s (id int) WITH (connector = 'log', topic = 't')",
        "CREATE TABLE own (id int PRIMARY KEY)",
        "CREATE STREAM TABLE v AS SELECT id FROM t",
    ] {
        match planner.plan(create, &catalog).unwrap().action {
            Action::CreateTable(def) | Action::CreateStream { def, .. } => catalog.add_table(def).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    for (statement, words) in [
        ("ALTER TABLE t SET (on_error = 'skip')", "dead_letter, stop"),
        ("ALTER TABLE t SET (max_dead_letters_per_minute = 'many')", "max_dead_letters_per_minute"),
        ("ALTER TABLE t SET (on_error = 'stop')", "no meaning with on_error = 'stop'"),
        ("ALTER TABLE t SET (decimal_handling_mode = 'exact')", "precise, double, string"),
        ("ALTER TABLE t SET (topic = 'u')", "unknown option \"topic\""),
        ("ALTER TABLE t RESET (envelope)", "the options of ALTER TABLE ... SET and RESET are on_error"),
        ("ALTER TABLE s SET (time_precision_mode = 'connect')", "a source"),
        ("ALTER TABLE own SET (on_error = 'stop')", "a table of our own"),
        ("ALTER TABLE v RESUME", "a stream table"),
        ("ALTER TABLE nope RESUME", "does not exist"),
        ("REPLAY DEAD LETTERS FROM s", "CREATE TABLE"),
        ("REPLAY DEAD LETTERS FROM own", "a table of our own"),
        ("SHOW DEAD LETTERS FROM v", "a stream table"),
        ("SHOW DEAD LETTERS FROM t LIMIT 0", "from 1 to 10000"),
        ("SHOW DEAD LETTERS", "expected FROM"),
    ] {
        match planner.plan(statement, &catalog) {
            Err(error) => assert!(error.to_string().contains(words), "{statement}: {error}"),
            Ok(planned) => panic!("{statement} is planned: {:?}", planned.action),
        }
    }
    for statement in [
        "ALTER TABLE t RESET (max_dead_letters_per_minute)",
        "ALTER TABLE IF EXISTS t SET (max_dead_letters_per_minute = 9, binary_handling_mode = 'hex')",
        "ALTER TABLE s SET (on_error = 'stop')",
        "ALTER TABLE s RESUME",
        "REPLAY DEAD LETTERS FROM t FORCE",
        "SHOW DEAD LETTERS FROM s LIMIT 5",
    ] {
        if let Err(error) = planner.plan(statement, &catalog) {
            panic!("{statement}: {error}");
        }
    }
}
