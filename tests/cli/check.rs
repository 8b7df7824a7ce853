//! `millstream check`: what is good, what is not and where, and that nothing is touched.

use std::fs;

use super::support::{millstream, outcome, output};

#[test]
fn good_files_are_0() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("good.sql");
    fs::write(&file, format!("{}CREATE TABLE n (x numeric) WITH (connector = 'log', topic = 'n');", super::run::SQL))
        .unwrap();
    let output = millstream(&["check", file.to_str().unwrap()]).current_dir(dir.path()).output().unwrap();
    let (code, text, said) = outcome(&output);
    assert_eq!((code, said.as_str()), (0, ""), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["ok CREATE TABLE t", "ok CREATE STREAM TABLE v", "ok CREATE SINK s", "ok CREATE TABLE n"]);
    assert!(lines[4].contains("NOTICE") && lines[4].contains("NUMERIC(38,10)"), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is touched");
}

#[test]
fn every_error_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.sql");
    let sql = "-- a table\nCREATE TABLE t (a integer) WITH (connector = 'log', topic = 't');\n\
               CREATE STREAM TABLE v AS\n  SELECT nothing FROM t;\nCREATE STREAM TABLE w AS SELECT a FROM t;\nSHOW TABLES;\n";
    fs::write(&file, sql).unwrap();
    let (code, text, said) = outcome(&output(&["check", file.to_str().unwrap()]));
    assert_eq!(code, 2);
    assert_eq!(text, "ok CREATE TABLE t\nok CREATE STREAM TABLE w\n");
    let name = file.display();
    assert!(said.contains(&format!("{name}:4: ")) && said.contains("42703"), "{said}");
    assert!(said.contains(&format!("{name}:6: ")) && said.contains("only CREATE and SET"), "{said}");
    assert!(said.contains("2 statements are wrong"), "{said}");
}

#[test]
fn the_options_of_sinks_are_checked_and_no_password_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sinks.sql");
    let table = "CREATE TABLE t (id INT PRIMARY KEY) WITH (connector = 'log', topic = 't', envelope = 'upsert');\n";
    let to_postgres = |options: &str| format!("connector = 'postgres', {options}");
    for (options, why) in [
        (to_postgres("url = 'postgres://u:geheim@h/d?sslmode=always', table = 't'"), "sslmode=always"),
        (to_postgres("url = 'postgres://u:geheim@h:x/d', table = 't'"), "cannot be understood"),
        (to_postgres("url = 'postgres://u:geheim@h/d', table = 'a.b.c'"), "no name of a table"),
        (to_postgres("url = 'postgres://u:geheim@h/d', table = 't', password_env = 'P'"), "leave one out"),
        ("connector = 'file', path = '/tmp/'".to_string(), "is a folder"),
    ] {
        fs::write(&file, format!("{table}CREATE SINK s FROM t WITH ({options});")).unwrap();
        let (code, text, said) = outcome(&output(&["check", file.to_str().unwrap()]));
        assert_eq!((code, text.as_str()), (2, "ok CREATE TABLE t\n"), "{said}");
        assert!(said.contains(&format!("{}:2: ", file.display())) && said.contains(why), "{said}");
        assert!(!said.contains("geheim"), "{said}");
    }
}
