//! psql, not at a terminal: statements, errors, its own commands.

use std::io::Write;
use std::process::{Command, Stdio};

use super::start;
use crate::cli::support::Running;

/// Output and what was said, of a script that psql reads.
pub fn psql(running: &Running, script: &str) -> (String, String) {
    psql_with(running, script, &[])
}

pub fn psql_with(running: &Running, script: &str, environment: &[(&str, &str)]) -> (String, String) {
    let (host, port) = running.pg.rsplit_once(':').unwrap();
    let mut child = Command::new("psql")
        .args(["-X", "-A", "-t", "-h", host, "-p", port, "-U", "ann", "-d", "shop", "-f", "-"])
        .env_remove("PGPASSWORD")
        .env("PGCLIENTENCODING", "UTF8")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn statements_and_their_tags() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (out, said) = psql(
        &running,
        "CREATE TABLE t (id integer PRIMARY KEY, a text);
         INSERT INTO t VALUES (1, 'é'), (2, NULL);
         CREATE STREAM TABLE v AS SELECT count(*) AS n, count(a) AS a FROM t;
         SELECT * FROM v;
         UPDATE t SET a = 'b' WHERE id = 2;
         SELECT * FROM v;
         DELETE FROM t WHERE id = 1 RETURNING id, a;
         SELECT 1 \\; SELECT 'two' AS x, NULL;
         SHOW server_version;
         SET application_name = 'me'; SHOW application_name;
         -- nothing but a comment
         ;
         DROP STREAM TABLE v; DROP TABLE t;",
    );
    assert_eq!(said, "");
    let version = format!("15.0 (millstream {})", env!("CARGO_PKG_VERSION"));
    let expected = format!(
        "CREATE TABLE\nINSERT 0 2\nCREATE STREAM TABLE\n2|1\nUPDATE 1\n2|2\n1|é\nDELETE 1\n1\ntwo|\n{version}\nSET\nme\nDROP \
         STREAM TABLE\nDROP TABLE\n"
    );
    assert_eq!(out, expected);
}

#[test]
fn errors_show_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (out, said) = psql(&running, "SELECT 'é',\n  nix\nFROM (VALUES (1)) AS t (a);\nSELECT 2;");
    assert_eq!(out, "2\n", "the next statement runs");
    assert!(said.contains("ERROR:  column \"nix\" does not exist\nLINE 2:   nix\n          ^"), "{said}");
    let (out, said) = psql(&running, "\\set VERBOSITY verbose\nSELECT 1 \\; SELECT x FROM nowhere \\; SELECT 3;");
    assert_eq!(out, "1\n", "the first error of a query string ends it");
    assert!(said.contains("ERROR:  42P01: ") && said.contains("LINE 1: SELECT 1 ; SELECT x FROM nowhere"), "{said}");
    let caret = said.lines().find(|line| line.trim() == "^").unwrap().len();
    let line = said.lines().find(|line| line.starts_with("LINE 1:")).unwrap();
    assert_eq!(&line[caret - 1..caret + 6], "nowhere", "{said}");
    let (_, said) = psql(&running, "SELECT 'open;");
    assert!(said.contains("ERROR:  ") && !said.contains("server closed"), "{said}");
}

#[test]
fn blocks_begin_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (out, said) = psql(
        &running,
        "\\set VERBOSITY verbose\nCREATE TABLE t (a integer);\n\\set AUTOCOMMIT off\nINSERT INTO t VALUES (1);\nROLLBACK;
         INSERT INTO t VALUES (2);\nBEGIN;\nCOMMIT;\n\\set AUTOCOMMIT on\nROLLBACK;
         \\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT nix;\nINSERT INTO t VALUES (3);\nCREATE TABLE u (a integer);\nCOMMIT;
         SELECT sum(a) FROM t;",
    );
    let tags =
        "CREATE TABLE\nINSERT 0 1\nROLLBACK\nINSERT 0 1\nBEGIN\nCOMMIT\nROLLBACK\nBEGIN\nINSERT 0 1\nCOMMIT\n5\n";
    assert_eq!(out, tags, "{said}");
    assert_eq!(said.matches("WARNING:  25001: there is already a transaction in progress").count(), 1, "{said}");
    assert_eq!(said.matches("WARNING:  25P01: there is no transaction in progress").count(), 1, "{said}");
    assert!(said.contains("ERROR:  25001: CREATE TABLE cannot run inside a transaction block"), "{said}");
}

#[test]
fn its_own_commands() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (out, said) = psql(
        &running,
        "CREATE TABLE t (id integer PRIMARY KEY, a varchar(5) NOT NULL DEFAULT 'x', b numeric(10,2));
         CREATE STREAM TABLE v AS SELECT a, count(*) AS n FROM t GROUP BY a;
         \\d\n\\dt\n\\d t\n\\d v\n\\dn\n\\l\n\\conninfo\n\\du\n\\df\n\\dT\n\\di\n\\dm\n\\d+ t\n",
    );
    assert_eq!(said, "", "{out}");
    assert!(out.contains("t|table|") && out.contains("public|v|"), "{out}");
    assert!(out.contains("a|character varying(5)||not null|'x'"), "{out}");
    assert!(out.contains("b|numeric(10,2)|||"), "{out}");
    assert!(out.contains("public|t_pkey|index|"), "{out}");
}

#[test]
fn notices_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (_, said) =
        psql(&running, "CREATE TABLE t (a numeric);\nSET TimeZone = 'Europe/Berlin';\nSET datestyle = 'German';");
    assert!(said.contains("NOTICE:  ") && said.contains("NUMERIC"), "{said}");
    assert!(said.contains("WARNING:  times are shown in UTC"), "{said}");
    assert!(said.contains("ERROR:  invalid value for parameter \"DateStyle\": \"German\""), "{said}");
}

#[test]
fn prepared_by_sql() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (out, said) = psql(
        &running,
        "CREATE TABLE t (id integer PRIMARY KEY, a text);
         PREPARE put (integer, text) AS INSERT INTO t VALUES ($1, $2) RETURNING id;
         EXECUTE put (1, 'one'); EXECUTE put (2, NULL);
         PREPARE get AS SELECT a FROM t WHERE id = $1;
         EXECUTE get (1);
         DEALLOCATE get;
         EXECUTE get (1);
         EXECUTE put (3);
         PREPARE put AS SELECT 1;
         DISCARD ALL;
         EXECUTE put (3, 'x');",
    );
    assert_eq!(
        out, "CREATE TABLE\nPREPARE\n1\nINSERT 0 1\n2\nINSERT 0 1\nPREPARE\none\nDEALLOCATE\nDISCARD ALL\n",
        "{said}"
    );
    assert_eq!(said.matches("prepared statement \"get\" does not exist").count(), 1, "{said}");
    assert!(said.contains("wrong number of parameters for prepared statement \"put\""), "{said}");
    assert!(said.contains("DETAIL:  Expected 2 parameters but got 1."), "{said}");
    assert!(said.contains("prepared statement \"put\" already exists"), "{said}");
    assert!(said.contains("prepared statement \"put\" does not exist"), "{said}");
}
