//! Tables that do not fit are refused, saying what differs; and what may work later is told from what will not.

use api::{Target, TargetError};
use zset::{Column, ColumnType, RowType};

use super::support::{World, columns, open, refusal};
use crate::PostgresTarget;

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let mut world = World::new();
    for (definition, why) in [
        ("(id int PRIMARY KEY)", "column \"name\" text is missing"),
        ("(id int PRIMARY KEY, \"Name\" text)", "column \"name\" text is missing"),
        ("(id smallint PRIMARY KEY, name text)", "column \"id\" is smallint there, and must hold integer"),
        (
            "(id int PRIMARY KEY, name varchar(10))",
            "column \"name\" is character varying(10) there, and must hold text",
        ),
        ("(id int, name text)", "no primary key or unique constraint on exactly (\"id\")"),
        ("(id int, name text, PRIMARY KEY (id, name))", "on exactly (\"id\")"),
        ("(id int, name text, UNIQUE (id) DEFERRABLE)", "not deferrable"),
        ("(id int PRIMARY KEY, name text, more int NOT NULL)", "column \"more\" is NOT NULL without a default"),
        ("(id int PRIMARY KEY, name text GENERATED ALWAYS AS ('x') STORED)", "column \"name\" is generated there"),
        ("(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)", "column \"id\" is generated there"),
    ] {
        world.run(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t {definition}"));
        let refusal = refusal(&world.spec("t", &columns(), &[0]));
        assert!(refusal.contains(why), "{definition}: {refusal}");
    }
    world.run("DROP TABLE t; CREATE TABLE t (id int, name text); CREATE UNIQUE INDEX ON t (id) WHERE name <> ''");
    assert!(refusal(&world.spec("t", &columns(), &[0])).contains("no primary key or unique constraint"));
    world.run("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id, '' AS name");
    assert!(refusal(&world.spec("t", &columns(), &[0])).contains("is no table"));
    let mut elsewhere = world.spec("t", &columns(), &[0]);
    elsewhere.sink.options.0.insert("table".into(), "no_such_schema.t".into());
    assert!(refusal(&elsewhere).contains("no_such_schema"));
}

#[test]
fn nulls_in_a_key_must_not_be_distinct() {
    let mut world = World::new();
    let columns = RowType(vec![Column::new("k", ColumnType::Int, true), Column::new("v", ColumnType::Int, true)]);
    world.run("CREATE TABLE t (k int UNIQUE, v int)");
    let why = refusal(&world.spec("t", &columns, &[0]));
    assert!(why.contains("column \"k\" may be NULL") && why.contains("NULLS NOT DISTINCT"), "{why}");
    world.run("DROP TABLE t; CREATE TABLE t (k int UNIQUE NULLS NOT DISTINCT, v int)");
    open(&world.spec("t", &columns, &[0]));
    world.run("DROP TABLE t; CREATE TABLE t (k int PRIMARY KEY, v int)");
    open(&world.spec("t", &columns, &[0]));
}

#[test]
fn away_is_not_refused_and_no_password_is_shown() {
    let world = World::new();
    let with = |url: &str| {
        let mut spec = world.spec("t", &columns(), &[0]);
        spec.sink.options.0.insert("url".into(), url.into());
        PostgresTarget::new(&spec).and_then(|mut target| target.open()).unwrap_err()
    };
    // A port that nobody listens on: it was ours a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = with(&format!("postgres://u:geheim@127.0.0.1:{port}/d"));
    assert!(matches!(&away, TargetError::Retriable(why) if why.contains(&port.to_string())), "{away:?}");
    let (user, rest) = world.url.trim_start_matches("postgres://").split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let no_database = with(&format!("postgres://{user}:geheim@{address}/no_such_database"));
    assert!(matches!(&no_database, TargetError::Refused(why) if why.contains("3D000")), "{no_database:?}");
    let no_user = with(&format!("postgres://no_such_user:geheim@{address}/postgres"));
    assert!(matches!(&no_user, TargetError::Refused(why) if why.contains("28000")), "{no_user:?}");
    for error in [away, no_database, no_user] {
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
    }
}

#[test]
fn a_password_comes_from_a_file_or_the_environment_when_it_is_needed() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let mut spec = world.spec("t", &columns(), &[0]);
    spec.sink.options.0.insert("password_file".into(), file.display().to_string());
    assert!(refusal(&spec).contains("cannot read password_file"));
    std::fs::write(&file, "geheim\n").unwrap();
    open(&spec);
    spec.sink.options.0.remove("password_file");
    spec.sink.options.0.insert("password_env".into(), "MILLSTREAM_TEST_NO_SUCH_VARIABLE".into());
    assert!(refusal(&spec).contains("no variable MILLSTREAM_TEST_NO_SUCH_VARIABLE"));
}
