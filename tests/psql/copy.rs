//! COPY as clients meet it: every type in every format, byte by byte what PostgreSQL writes, and read back; the messages around
//! it; what ends it; blocks.

use std::io::{Read, Write};
use std::path::Path;

use super::raw::{self, Raw, field, text};
use super::shell::psql;
use super::types::COLUMNS;
use super::{connect, refusal, start};

/// As many ways to write the same rows.
const FORMS: &[&str] = &[
    "",
    "(FORMAT csv)",
    "(HEADER)",
    "(FORMAT csv, HEADER, FORCE_QUOTE *)",
    "(FORMAT csv, DELIMITER 'a', QUOTE '''', ESCAPE '\\', NULL 'nil')",
    "(DELIMITER '|', NULL 'NaN')",
    "CSV HEADER FORCE QUOTE v",
    "DELIMITER AS ';' NULL AS ''",
];

fn judge() -> postgres::Client {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES")
        .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
    let mut judge = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    judge.batch_execute("SET timezone = 'UTC'").unwrap();
    judge
}

fn out(client: &mut postgres::Client, sql: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = client.copy_out(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    reader.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    bytes
}

fn put(client: &mut postgres::Client, sql: &str, bytes: &[u8]) -> Result<u64, postgres::Error> {
    let mut writer = client.copy_in(sql)?;
    writer.write_all(bytes).unwrap();
    writer.finish()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is written is what PostgreSQL writes, and what it writes is read.
#[test]
fn every_type_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (mut ours, mut judge) = (connect(&running), judge());
    let specials = [("text", &[("\\N", ""), ("\\.", ""), ("a\\tb;c|d,e\"f'g\r\nh", ""), ("nil", ""), (" x ", "")][..])];
    for (number, (ty, values)) in COLUMNS.iter().chain(&specials).enumerate() {
        let create = format!("(id integer PRIMARY KEY, v {ty})");
        ours.batch_execute(&format!("CREATE TABLE t{number} {create}; CREATE TABLE back{number} {create}")).unwrap();
        let temporary = "CREATE TEMPORARY TABLE";
        judge.batch_execute(&format!("{temporary} t{number} {create}; {temporary} back{number} {create}")).unwrap();
        for client in [&mut ours, &mut judge] {
            for (id, (value, _)) in values.iter().enumerate() {
                let literal = value.replace('\'', "''");
                client.batch_execute(&format!("INSERT INTO t{number} VALUES ({id}, '{literal}')")).unwrap();
            }
            client.batch_execute(&format!("INSERT INTO t{number} VALUES (1000, NULL)")).unwrap();
        }
        for form in FORMS {
            let sql = format!("COPY (SELECT id, v FROM t{number} ORDER BY id) TO STDOUT {form}");
            let (mine, theirs) = (out(&mut ours, &sql), out(&mut judge, &sql));
            assert_eq!(shown(&mine), shown(&theirs), "{ty}: {sql}");
            // back, there and here: what stands for NULL may be a value's text
            let form = form.replace("FORCE QUOTE v", "").replace(", FORCE_QUOTE *", "");
            let back = format!("COPY back{number} FROM STDIN {form}");
            let plain = format!("COPY (SELECT * FROM back{number} ORDER BY id) TO STDOUT");
            let [mine, theirs] = [&mut ours, &mut judge].map(|client| {
                assert_eq!(put(client, &back, &theirs).unwrap() as usize, values.len() + 1, "{ty} {form}");
                let plain = out(client, &plain);
                client.batch_execute(&format!("TRUNCATE back{number}")).unwrap();
                plain
            });
            assert_eq!(shown(&mine), shown(&theirs), "{ty} {form}");
        }
    }
}

/// Tables, some columns, queries, stream tables, the catalog; a lone `\.` in CSV.
#[test]
fn what_can_be_copied_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client
        .batch_execute(
            "CREATE TABLE t (a integer PRIMARY KEY, \"B c\" text); CREATE STREAM TABLE v AS SELECT count(*) AS n FROM t; \
             INSERT INTO t VALUES (1, '\\.'), (2, NULL)",
        )
        .unwrap();
    for (sql, expected) in [
        ("COPY v TO STDOUT", "2\n"),
        ("COPY public.t (\"B c\", a) TO STDOUT (HEADER)", "B c\ta\n\\\\.\t1\n\\N\t2\n"),
        ("COPY (SELECT \"B c\" FROM t WHERE a = 1) TO STDOUT (FORMAT csv)", "\"\\.\"\n"),
        ("COPY (SELECT a, \"B c\" FROM t WHERE a = 1) TO STDOUT (FORMAT csv)", "1,\\.\n"),
        ("COPY (WITH w AS (SELECT 1 AS x) SELECT x FROM w) TO STDOUT", "1\n"),
        ("COPY (SELECT relname FROM pg_class WHERE relname = 't') TO STDOUT", "t\n"),
        ("COPY (SELECT a FROM t WHERE false) TO STDOUT", ""),
    ] {
        assert_eq!(shown(&out(&mut client, sql)), expected, "{sql}");
    }
    let error = client.copy_out("COPY t TO '/tmp/x'").map(|_| ()).unwrap_err();
    assert_eq!(refusal(&error).0, "0A000");
    let mut reader = client.copy_out("COPY (SELECT 1 / (a - 2) FROM t) TO STDOUT").unwrap();
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    drop(reader);
    client.batch_execute("SELECT 1").unwrap();
}

/// The messages of both protocols; the tag.
#[test]
fn the_messages_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (a integer PRIMARY KEY, b text)");
    raw.send('Q', &text("COPY t FROM STDIN; SELECT count(*) FROM t"));
    assert_eq!(raw.receive().unwrap(), ('G', vec![0, 0, 2, 0, 0, 0, 0]));
    for piece in ["1\tx", "\n2\t", "y\n", ""] {
        raw.send('d', piece.as_bytes());
    }
    raw.send('c', &[]);
    let answers = raw.until('Z');
    assert_eq!(answers.iter().map(|(kind, _)| *kind).collect::<String>(), "CTDCZ");
    assert_eq!(answers[0].1, text("COPY 2"));
    let answers = raw.query("COPY (SELECT a, b FROM t ORDER BY a) TO STDOUT");
    assert_eq!(answers.iter().map(|(kind, _)| *kind).collect::<String>(), "HddcCZ");
    assert_eq!(answers[0].1, [0, 0, 2, 0, 0, 0, 0]);
    assert_eq!((&answers[1].1[..], &answers[4].1), (&b"1\tx\n"[..], &text("COPY 2")));
    // the extended one: Sync and Flush within it are nothing
    raw.send('P', &raw::parse("", "COPY t FROM STDIN (FORMAT csv)"));
    raw.send('B', &raw::bind("", "", &[], 0));
    raw.send('D', &[b"P".to_vec(), text("")].concat());
    raw.send('E', &raw::execute("", 1));
    raw.send('S', &[]);
    let begun: String = raw.until('G').iter().map(|(kind, _)| *kind).collect();
    assert_eq!(begun, "12nG");
    raw.send('d', b"3,z\n");
    raw.send('H', &[]);
    raw.send('c', &[]);
    raw.send('S', &[]);
    assert_eq!(raw.kinds(), "CZ");
    raw.send('P', &raw::parse("", "COPY (SELECT a FROM t ORDER BY a) TO STDOUT"));
    raw.send('B', &raw::bind("", "", &[], 0));
    raw.send('E', &raw::execute("", 1));
    raw.send('E', &raw::execute("", 1));
    raw.send('S', &[]);
    let answers = raw.until('Z');
    assert_eq!(answers.iter().map(|(kind, _)| *kind).collect::<String>(), "12HdddcCEZ");
    assert_eq!(field(&answers[8].1, b'C').unwrap(), "55000");
}

/// Whatever ends it, nothing of it is there, and the session goes on.
#[test]
fn what_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut raw = Raw::connect(&running);
    raw.query("CREATE TABLE t (a integer PRIMARY KEY, b text)");
    let begin = |raw: &mut Raw| {
        raw.send('Q', &text("COPY t FROM STDIN"));
        assert_eq!(raw.receive().unwrap().0, 'G');
        raw.send('d', b"1\tx\n");
    };
    let refused = |raw: &mut Raw, sqlstate: &str, told: &str| {
        let answers = raw.until('Z');
        assert_eq!(answers.iter().map(|(kind, _)| *kind).collect::<String>(), "EZ");
        assert_eq!(field(&answers[0].1, b'C').unwrap(), sqlstate);
        let message = field(&answers[0].1, b'M').unwrap();
        assert!(message.contains(told), "{message}");
        assert_eq!(raw.query("SELECT * FROM t").len(), 3, "nothing is there");
        field(&answers[0].1, b'W')
    };
    begin(&mut raw);
    raw.send('f', &text("had enough"));
    refused(&mut raw, "57014", "COPY from stdin failed: had enough");
    begin(&mut raw);
    raw.send('Q', &text("SELECT 1"));
    refused(&mut raw, "08P01", "unexpected message type 0x51 during COPY from stdin");
    // what comes behind an error is passed over
    begin(&mut raw);
    raw.send('d', b"1\tx\n2\n");
    raw.send('d', "3\tx\n".repeat(100_000).as_bytes());
    raw.send('c', &[]);
    let context = refused(&mut raw, "22P04", "missing data for column \"b\"");
    assert_eq!(context.as_deref(), Some("COPY t, line 3: \"2\""));
    begin(&mut raw);
    raw.send('d', b"1\tagain\n");
    raw.send('c', &[]);
    refused(&mut raw, "23505", "t_pkey");
    raw.query("SET statement_timeout = 2000");
    begin(&mut raw);
    refused(&mut raw, "57014", "statement timeout");
    raw.query("RESET statement_timeout; SET default_transaction_read_only = on");
    raw.send('Q', &text("COPY t FROM STDIN"));
    refused(&mut raw, "25006", "COPY FROM");
    raw.query("SET default_transaction_read_only = off");
    // cancel
    begin(&mut raw);
    let (number, secret) = raw.key;
    let mut other = Raw::dial(&running);
    let code = 80_877_102u32.to_be_bytes();
    other.write(&[&16u32.to_be_bytes()[..], &code, &number.to_be_bytes(), &secret.to_be_bytes()].concat());
    refused(&mut raw, "57014", "user request");
    // a client that goes
    begin(&mut raw);
    drop(raw);
    let mut raw = Raw::connect(&running);
    assert_eq!(raw.query("SELECT * FROM t").len(), 3);
    // in the extended protocol there is silence up to Sync
    raw.run("COPY t FROM STDIN");
    raw.send('S', &[]);
    raw.until('G');
    raw.send('d', b"nonsense\n");
    raw.send('c', &[]);
    raw.send('S', &[]);
    assert_eq!(raw.kinds(), "EZ");
}

#[test]
fn in_a_block_it_is_a_write_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (mut client, mut other) = (connect(&running), connect(&running));
    client.batch_execute("CREATE TABLE t (a integer PRIMARY KEY)").unwrap();
    let count = |client: &mut postgres::Client| shown(&out(client, "COPY (SELECT count(*) FROM t) TO STDOUT"));
    client.batch_execute("BEGIN").unwrap();
    put(&mut client, "COPY t FROM STDIN", b"1\n2\n").unwrap();
    client.batch_execute("SAVEPOINT s").unwrap();
    put(&mut client, "COPY t FROM STDIN", b"3\n").unwrap();
    assert_eq!((count(&mut client).as_str(), count(&mut other).as_str()), ("3\n", "0\n"));
    assert_eq!(refusal(&put(&mut client, "COPY t FROM STDIN", b"1\n").unwrap_err()).0, "23505");
    client.batch_execute("ROLLBACK TO s; COMMIT").unwrap();
    assert_eq!(count(&mut other), "2\n");
    client.batch_execute("BEGIN").unwrap();
    put(&mut client, "COPY t FROM STDIN", b"9\n").unwrap();
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(count(&mut other), "2\n");
}

/// A serial column that is not given gets its numbers, and a catalog that changes meanwhile does not matter.
#[test]
fn a_table_that_changes_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let (mut client, mut other) = (connect(&running), connect(&running));
    client.batch_execute("CREATE TABLE t (id serial PRIMARY KEY, v text DEFAULT 'd')").unwrap();
    put(&mut client, "COPY t (v) FROM STDIN", b"x\ny\n").unwrap();
    let mut writer = client.copy_in("COPY t (v) FROM STDIN").unwrap();
    writer.write_all(b"z\n").unwrap();
    writer.flush().unwrap();
    other.batch_execute("CREATE TABLE another (a integer)").unwrap();
    writer.finish().unwrap();
    other.batch_execute("INSERT INTO t DEFAULT VALUES").unwrap();
    assert_eq!(shown(&out(&mut other, "COPY (SELECT * FROM t ORDER BY id) TO STDOUT")), "1\tx\n2\ty\n3\tz\n4\td\n");
    let mut writer = client.copy_in("COPY t FROM STDIN").unwrap();
    writer.write_all(b"9\tz\n").unwrap();
    writer.flush().unwrap();
    other.batch_execute("ALTER TABLE t ADD COLUMN w integer").unwrap();
    assert_eq!(refusal(&writer.finish().unwrap_err()).0, "40001");
    assert_eq!(put(&mut client, "COPY t FROM STDIN", b"9\tz\t1\n").unwrap(), 1);
}

/// More than fits into a message, both ways.
#[test]
fn a_hundred_thousand_rows() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (a integer PRIMARY KEY, b text)").unwrap();
    let rows: String = (0..100_000).map(|at| format!("{at}\trow number {at}\n")).collect();
    assert_eq!(put(&mut client, "COPY t FROM STDIN", rows.as_bytes()).unwrap(), 100_000);
    let back = out(&mut client, "COPY (SELECT * FROM t ORDER BY a) TO STDOUT");
    assert!(back == rows.as_bytes(), "what comes out is what went in");
}

#[test]
fn psql_copies_files_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let input = "id,name\n1,\"a, b\"\n2,\n";
    std::fs::write(Path::new(&file("in.csv")), input).unwrap();
    let script = format!(
        "CREATE TABLE t (id integer PRIMARY KEY, name text);
         \\copy t FROM '{}' CSV HEADER
         \\copy (SELECT * FROM t ORDER BY id) TO '{}' (FORMAT csv, HEADER true)
         COPY t FROM STDIN;
3\tline\\ntwo
\\.
         COPY (SELECT * FROM t WHERE id > 1 ORDER BY id) TO STDOUT;
         \\copy t FROM '{}' CSV
         SELECT count(*) FROM t;",
        file("in.csv"),
        file("out.csv"),
        file("in.csv"),
    );
    let (out, said) = psql(&running, &script);
    assert_eq!(out, "CREATE TABLE\nCOPY 2\nCOPY 2\nCOPY 1\n2\t\\N\n3\tline\\ntwo\n3\n", "{said}");
    assert_eq!(std::fs::read_to_string(file("out.csv")).unwrap(), input);
    assert!(said.contains("ERROR:  invalid input syntax for type integer: \"id\""), "{said}");
    assert!(said.contains("CONTEXT:  COPY t, line 1, column id: \"id\""), "{said}");
}
