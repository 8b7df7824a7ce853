//! Statements: each is an epoch, replayed like any other; one that fails leaves nothing and stops nobody.

use std::sync::Arc;

use api::LogError;
use plan::TableId;

use super::rows::once;
use super::world::{Between, T, World, put};
use crate::run::Event;
use crate::source::Trouble;
use crate::{EngineError, Phase};

#[test]
fn a_name_made_again_is_another_table() {
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        let world = World::new();
        let mut running = world.start();
        running.sql(T);
        running.sql("CREATE STREAM TABLE v AS SELECT sum(a) AS x FROM t");
        running.feed("t", &[put(1, 3, 4)]);
        running.sql("DROP TABLE t CASCADE");
        running = world.again(running, Between::Nothing);
        running.sql(&T.replace("a INT, b INT", "b INT"));
        running.sql("CREATE STREAM TABLE v AS SELECT sum(b) AS y FROM t");
        running = world.again(running, between);
        running.settle("t");
        assert_eq!(running.rows("t"), once([r#"{"id":1,"b":4}"#]));
        assert_eq!(running.rows("v"), once([r#"{"y":4}"#]));
        running.sql("CREATE STREAM TABLE w AS SELECT y FROM v");
        assert_eq!(running.show("TABLES").len(), 3);
    }
}

#[test]
fn a_drop_with_cascade_is_replayed() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.sql(
        "CREATE STREAM TABLE v AS SELECT id, a FROM t; CREATE STREAM TABLE w AS SELECT count(*) AS n FROM v;
         CREATE STREAM TABLE other AS SELECT count(*) AS n FROM t;
         CREATE SINK s FROM v WITH (connector = 'log', topic = 's', format = 'json', envelope = 'upsert')",
    );
    assert_eq!(running.refusal("DROP STREAM TABLE v").sqlstate(), "2BP01");
    running.feed("t", &[put(1, 1, 1)]);
    running.sql("DROP STREAM TABLE v CASCADE");
    running.feed("t", &[put(2, 1, 1)]);
    let running = world.again(running, Between::Crash);
    assert_eq!(running.show("TABLES").into_keys().collect::<Vec<_>>(), ["other", "t"]);
    assert!(running.show("SINKS").is_empty());
    assert_eq!(running.rows("other"), once([r#"{"n":2}"#]));
}

#[test]
fn a_table_made_over_data_starts_complete_also_in_replay() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 1), put(2, 2, 2)]);
    running.sql("CREATE STREAM TABLE v AS SELECT sum(a) AS a FROM t");
    running.feed("t", &[put(3, 3, 3)]);
    let running = world.again(running, Between::Crash);
    assert_eq!(running.rows("v"), once([r#"{"a":6}"#]));
}

#[test]
fn a_statement_that_the_log_refuses_stops_nobody() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.sql("CREATE STREAM TABLE v AS SELECT id, a FROM t");
    let sink = "CREATE SINK s FROM v WITH (connector = 'log', topic = 'secret', format = 'json', envelope = 'upsert')";
    *world.log.faults.forbidden.lock().unwrap() = Some("secret");
    for text in [&T.replace("TABLE t", "TABLE u").replace("'t'", "'secret'"), sink] {
        let error = running.refusal(text);
        assert!(matches!(&error, EngineError::Statement(_)) && error.to_string().contains("no right"), "{error}");
    }
    running.feed("t", &[put(1, 1, 1)]);
    assert_eq!(running.rows("v").len(), 1);
    assert_eq!(running.show("TABLES").len(), 2);
    running.stop().unwrap();
}

#[test]
fn what_a_dropped_table_could_not_read_is_nobodys_trouble() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.sql("DROP TABLE t");
    let trouble = Trouble::Log(LogError::NoTopic("t".into()));
    running.handle.events.send(Event::SourceFailed { table: TableId(1), trouble, ended: Arc::default() }).unwrap();
    running
        .handle
        .events
        .send(Event::Records {
            table: TableId(1),
            records: Vec::new(),
            held: Arc::new(state::Budget::default()).count(state::Part::Input, 0),
            ended: Arc::default(),
        })
        .unwrap();
    assert!(running.show("TABLES").is_empty());
    assert_eq!(running.handle.shared().phase(), Phase::Serving);
}

#[test]
fn files_only_build_up() {
    let world = World::new();
    let mut engine = world.open().unwrap();
    engine.apply_file(T).unwrap();
    let notices = engine.apply_file(T).unwrap().remove(0).notices;
    assert!(notices[0].contains("already exists"), "{notices:?}");
    for text in ["DROP TABLE t", "SHOW TABLES", &T.replace("b INT", "b BIGINT")] {
        assert_eq!(engine.apply_file(text).expect_err(text).exit_code(), 2);
    }
}
