//! COPY FROM: what PostgreSQL makes of the same bytes, with the line and column where it refuses them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use dataflow::{LastChange, RowChanges, View, Work};

use super::against_postgres::{connect, drop_schema};
use super::world::{World, limits};

const TABLES: &[&str] = &[
    "CREATE TABLE t (a int PRIMARY KEY, b text, c numeric(6,2) DEFAULT 1.5 CHECK (c < 900), d varchar(5), e boolean)",
    "CREATE TABLE one (x text)",
    "CREATE TABLE two (x text, y text)",
    "CREATE TABLE every (i smallint, j int, k bigint, r real, d double precision, n numeric(12,3), b boolean, t text, \
     v varchar(7), y bytea, dt date, ti time, ts timestamp, tz timestamptz, u uuid, js jsonb)",
];

/// A table, what is behind its name, and the bytes.
type Case = (&'static str, &'static str, &'static [u8]);

const CASES: &[Case] = &[
    ("t", "FROM STDIN", b"1\tx\t2.5\tabc\tt\n2\t\\N\t\\N\t\\N\t\\N\n"),
    ("t", "FROM STDIN", b""),
    ("t", "FROM STDIN", b"\\.\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n\\.\nwhat is here is nothing\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n\\."),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\r\n2\ty\t3\te\tt\r\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\r2\ty\t3\te\tt\r"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\r\n2\ty\t3\te\tt\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n2\ty\t3\te\tt\r\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\r2\ty\t3\te\tt\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\r\n\\.\r\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\r\n\\.\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n\\.\r\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n\\.x\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\tmore\n"),
    ("t", "FROM STDIN", b"one\tx\t2\td\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\none\tx\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\tx\tmuch\td\tf\n"),
    ("t", "FROM STDIN", b"1\tx\t99999\td\tf\n"),
    ("t", "FROM STDIN", b"1\tx\t2\ttoolong\tf\n"),
    ("t", "FROM STDIN", b"1\tx\t2\tlong     \tf\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tperhaps\n"),
    ("t", "FROM STDIN", b"99999999999\tx\t2\td\tf\n"),
    ("t", "FROM STDIN", b"\\N\tx\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n2\tx\t950\td\tf\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n2\ty\t950\td\tf\nthree\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n\n"),
    ("t", "FROM STDIN", b"1\t\xff\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\tx\t2\td\tf\n2\ta\xc3\x28b\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\ta\0b\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\t\\377\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\t\\000\t2\td\tf\n"),
    ("t", "FROM STDIN", b"1\t\\303\\244\t2\td\tf\n"),
    ("t", "(a) FROM STDIN", b"1\n2\n3\n"),
    ("t", "(e, a) FROM STDIN", b"t\t1\nf\t2\n"),
    ("t", "(a, a) FROM STDIN", b"1\t2\n"),
    ("t", "(nothing) FROM STDIN", b"1\n"),
    ("t", "(b) FROM STDIN", b"x\n"),
    ("t", "(a, b) FROM STDIN WHERE a > 1 AND b <> 'no'", b"1\tx\n2\ty\n3\tno\n4\t\\N\n"),
    ("one", "FROM STDIN", b"a\\tb\\nc\\\\d\\x41\\x4g\\101\\8\\q\\b\\f\\r\\v\n"),
    ("one", "FROM STDIN", b"ends in a backslash\\"),
    ("one", "FROM STDIN", b"a\\\nb\n"),
    ("one", "FROM STDIN", b"\n\n"),
    ("one", "FROM STDIN", b"\\\\.\n"),
    ("one", "FROM STDIN", b"before\\.\nafter\n"),
    ("one", "FROM STDIN", b"\\N\n\\\\N\nx\\N\n"),
    ("one", "FROM STDIN (NULL '')", b"\nx\n\\N\n"),
    ("one", "FROM STDIN (DELIMITER 'a')", b"x\n"),
    ("one", "FROM STDIN (DELIMITER '||')", b"x\n"),
    ("one", "FROM STDIN (DELIMITER E'\\n')", b"x\n"),
    ("one", "FROM STDIN (NULL E'a\\nb')", b"x\n"),
    ("one", "FROM STDIN (QUOTE 'x')", b"x\n"),
    ("one", "FROM STDIN (ESCAPE 'x')", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, QUOTE ',')", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, QUOTE '')", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, NULL ',')", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, NULL '\"')", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, FORCE_QUOTE (x))", b"x\n"),
    ("one", "FROM STDIN (FORCE_NULL (x))", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, FORCE_NULL (y))", b"x\n"),
    ("two", "(y) FROM STDIN (FORMAT csv, FORCE_NULL (x))", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, FORCE_NULL *)", b"x\n"),
    ("one", "FROM STDIN (FORMAT json)", b"x\n"),
    ("one", "FROM STDIN (FORMAT csv, FORMAT csv)", b"x\n"),
    ("one", "FROM STDIN (HEADER maybe)", b"x\n"),
    ("one", "FROM STDIN (NOTHING 1)", b"x\n"),
    ("one", "FROM STDIN (DELIMITER)", b"x\n"),
    ("two", "FROM STDIN (DELIMITER '|', NULL 'nil')", b"a|nil\nb\\|c|nil2\n"),
    ("two", "FROM STDIN USING DELIMITERS ';'", b"a;b\n"),
    ("two", "FROM STDIN WITH DELIMITER AS ';' NULL AS 'n'", b"a;n\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\n\"a,b\",\"c\"\"d\"\n,\"\"\nx\"y\"z,\"two\nlines\"\n"),
    ("two", "FROM STDIN CSV HEADER", b"anything,at all\na,b\n"),
    ("two", "FROM STDIN (FORMAT csv, HEADER false)", b"x,y\n"),
    ("two", "FROM STDIN (FORMAT csv, HEADER match)", b"x,y\na,b\n"),
    ("two", "FROM STDIN (FORMAT csv, HEADER match)", b"x,z\na,b\n"),
    ("two", "FROM STDIN (FORMAT csv, HEADER match)", b"x\na,b\n"),
    ("two", "FROM STDIN (FORMAT csv, HEADER match)", b"x,\na,b\n"),
    ("two", "FROM STDIN (HEADER match)", b"x\ty\na\tb\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,\"open\nb,c\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\nc,d,e\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\n\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\n\\.\nc,d\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"\\.x,b\nc,\\.\n"),
    ("one", "FROM STDIN (FORMAT csv)", b"\"\\.\"\nx\\.\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\r\n\"c\r\nd\",e\r\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\r\nc,d\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\nc,d\r\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,\"x\ny\nz\"\nb\n"),
    ("two", "FROM STDIN (FORMAT csv)", b"a,b\nc,\"x\ny\nz\"\nb\n"),
    ("t", "FROM STDIN", b"one\tx\t2\td\tf\n2\ty\t3\te\tt\r\n"),
    ("t", "FROM STDIN", b"one\tx\t2\td\tf\n2\t\xff\t3\te\tt\n"),
    ("t", "FROM STDIN", b"one\tx\t2\td\tf\n2\ty\t3\te\tt\tmore\n"),
    ("two", "FROM STDIN (FORMAT csv, QUOTE '''', ESCAPE '\\')", b"'a\\'b',c\n'\\\\',d\n'x\\y',e\n"),
    ("two", "FROM STDIN (FORMAT csv, NULL 'null')", b"null,\"null\"\n,x\n"),
    ("two", "FROM STDIN (FORMAT csv, FORCE_NULL (x), FORCE_NOT_NULL (y))", b"\"\",\n,\"\"\n"),
    ("two", "FROM STDIN CSV FORCE NOT NULL x, y", b",\n"),
    ("two", "FROM STDIN (FORMAT csv, ENCODING 'UTF8')", "ä,ö\n".as_bytes()),
    (
        "every",
        "FROM STDIN",
        b"1\t2\t3\t1.5\t-2.25\t12.3456\tyes\tx\ty\t\\\\x00ff\t2024-02-29\t10:11:12.5\t2024-01-15 10:00:00\t\
      2024-01-15 10:00:00+02\tA0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\t{\"b\": 1, \"a\": [1, 2]}\n",
    ),
    ("every", "(i, ts) FROM STDIN (FORMAT csv)", b"1,2024-13-01\n"),
    ("every", "(y) FROM STDIN", b"\\\\x0\n"),
    ("every", "(u) FROM STDIN", b"not a uuid\n"),
    ("every", "(js) FROM STDIN", b"{\n"),
    ("every", "(i) FROM STDIN", b"32768\n"),
    ("every", "(r) FROM STDIN", b"1e50\n"),
    ("every", "(r, d) FROM STDIN", b"NaN\t-Infinity\n"),
    (
        "every",
        "(t) FROM STDIN",
        "größe größe größe größe größe größe größe größe größe größe größe größe größe größe größe größe größe\tx\n"
            .as_bytes(),
    ),
];

/// The tag's number, or the SQLSTATE with the message, and the context.
type Outcome = Result<u64, (String, String, Option<String>)>;

fn theirs(client: &mut postgres::Client, sql: &str, bytes: &[u8]) -> Outcome {
    let told = |e: postgres::Error| {
        let e = e.as_db_error().unwrap_or_else(|| panic!("{sql}: {e}"));
        (e.code().code().to_string(), e.message().to_string(), e.where_().map(str::to_string))
    };
    let mut writer = client.copy_in(sql).map_err(told)?;
    if writer.write_all(bytes).and_then(|()| writer.flush()).is_err() {
        return writer.finish().map_err(told);
    }
    writer.finish().map_err(told)
}

fn ours(world: &mut World, sql: &str, bytes: &[u8], piece: usize) -> Outcome {
    let told =
        |e: dataflow::StatementError| (e.sqlstate.to_string(), e.message, e.about.and_then(|about| about.context));
    world.copy_in(sql, bytes.chunks(piece)).map_err(told)
}

fn another(path: &str) -> postgres::Client {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES").unwrap();
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    client.batch_execute(&format!("SET TimeZone = 'UTC'; SET search_path = {path}")).unwrap();
    client
}

/// What is read does not depend on the pieces that it comes in.
#[test]
fn copy_from_is_as_in_postgresql() {
    let mut client = connect(1_000_000);
    TABLES.iter().for_each(|table| client.batch_execute(table).unwrap());
    let path: String = client.query_one("SHOW search_path", &[]).unwrap().get(0);
    let mut wrong = Vec::new();
    for (table, behind, bytes) in CASES {
        let sql = format!("COPY {table} {behind}");
        // the driver is out of step behind a COPY that was refused
        let mut copying = another(&path);
        client.batch_execute(&format!("TRUNCATE {table}")).unwrap();
        let wanted = theirs(&mut copying, &sql, bytes);
        let rows: Vec<Vec<Option<String>>> = client
            .simple_query(&format!("SELECT * FROM {table}"))
            .unwrap()
            .iter()
            .filter_map(|message| match message {
                postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).map(str::to_string)).collect())
                }
                _ => None,
            })
            .collect();
        for piece in [usize::MAX, 1, 3] {
            let mut world = World::of(TABLES);
            let found = ours(&mut world, &sql, bytes, piece);
            if !is_same(&found, &wanted) {
                wrong.push(format!("{sql} {:?} in {piece}\n   wanted {wanted:?}\n   got    {found:?}", shown(bytes)));
                continue;
            }
            let mut rows = rows.clone();
            rows.sort();
            let found = world.rows(table);
            if found != rows {
                wrong.push(format!("{sql} {:?} in {piece}\n   wanted {rows:?}\n   got    {found:?}", shown(bytes)));
            }
        }
    }
    drop_schema(&mut client, 1_000_000);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where our own message says more than theirs, it does so behind theirs; theirs has a context of its JSON parser besides.
fn is_same(found: &Outcome, wanted: &Outcome) -> bool {
    match (found, wanted) {
        (Err(found), Err(wanted)) => {
            let (mine, theirs) = (found.2.as_deref().unwrap_or(""), wanted.2.as_deref().unwrap_or(""));
            found.0 == wanted.0
                && found.1.starts_with(&wanted.1)
                && (mine == theirs || (theirs.starts_with("JSON data") && theirs.ends_with(mine)))
        }
        (found, wanted) => found == wanted,
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn copy_refusals() {
    let world = World::of(TABLES);
    for (sql, sqlstate, told) in [
        ("COPY t FROM '/etc/passwd'", "0A000", "file of the server"),
        ("COPY t TO '/tmp/x'", "0A000", "file of the server"),
        ("COPY t FROM PROGRAM 'id'", "0A000", "PROGRAM"),
        ("COPY t TO PROGRAM 'id'", "0A000", "PROGRAM"),
        ("COPY BINARY t FROM STDIN", "0A000", "binary"),
        ("COPY t FROM STDIN (FORMAT binary)", "0A000", "binary"),
        ("COPY t TO STDOUT WITH BINARY", "0A000", "binary"),
        ("COPY t FROM STDIN (FREEZE)", "0A000", "FREEZE"),
        ("COPY t FROM STDIN (ENCODING 'LATIN1')", "0A000", "LATIN1"),
        ("COPY t FROM STDIN WHERE a IN (SELECT 1)", "0A000", "subquery"),
        ("COPY nothing FROM STDIN", "42P01", "nothing"),
        ("COPY nothing TO STDOUT", "42P01", "nothing"),
        ("COPY t (nothing) TO STDOUT", "42703", "\"nothing\" of relation \"t\""),
        ("COPY t (a, a) TO STDOUT", "42701", "\"a\""),
        ("COPY (SELECT $1::int) TO STDOUT", "42P02", "$1"),
        ("COPY (SELECT 1) FROM STDIN", "42601", "TO"),
        ("COPY t TO STDOUT (HEADER match)", "0A000", "match"),
        ("COPY t TO STDOUT (FORMAT csv, FORCE_NULL (a))", "0A000", "COPY FROM"),
        ("COPY t FROM STDIN garbage", "42601", "garbage"),
    ] {
        let e = world.prepare(sql).unwrap_err();
        let text = format!("{} {}", e.message, e.hint.clone().unwrap_or_default());
        assert!(e.sqlstate == sqlstate && text.contains(told), "{sql}: {e:?}");
    }
}

/// What was read stays within the limit, whether it is rows, or a line without an end.
#[test]
fn copy_is_bounded() {
    let mut world = World::of(TABLES);
    let rows = |n: usize| (0..n).map(|at| format!("{at}\tsome text\t1\td\tt\n")).collect::<String>();
    for bytes in [rows(30_000), "x".repeat(300_000)] {
        let bound = dataflow::Limits { memory_bytes: 200_000, ..limits() };
        let e = world.copy_within("COPY t FROM STDIN", bytes.as_bytes().chunks(1000), &bound).unwrap_err();
        assert_eq!(e.sqlstate, "53200");
        assert!(e.hint.unwrap_or_default().contains("split"));
    }
    assert_eq!(world.copy_in("COPY t FROM STDIN", rows(3000).as_bytes().chunks(1000)).unwrap(), 3000);
    assert_eq!(world.rows("t").len(), 3000);
}

/// Its numbers are given again after a restart, and nobody can take others for rows that are read.
#[test]
fn rows_are_not_copied_behind_a_restart_of_their_numbers() {
    let world = World::of(&["CREATE TABLE n (id serial, x int)"]);
    let view = world.view();
    let Work::CopyIn(copy) = world.prepare("COPY n (x) FROM STDIN").unwrap().work else { panic!() };
    let Work::Write(truncate) = world.prepare("TRUNCATE n RESTART IDENTITY").unwrap().work else { panic!() };
    let mut reader = copy.reader(&view, &limits()).unwrap();
    reader.push(b"1\n2\n").unwrap();
    let write = reader.finish().unwrap();
    let restart = truncate.evaluate(&[], &view, &limits()).unwrap().changes;
    let on = |last: LastChange| {
        let mut tables = BTreeMap::clone(&view.tables);
        tables.values_mut().for_each(|table| table.last = last);
        write.evaluate(&[], &Arc::new(View { tables: Arc::new(tables), ..View::clone(&view) }), &limits())
    };
    let next = view.epoch.next();
    let others = RowChanges { restarts: false, ..restart.clone() };
    let written = on(LastChange::default().with(&others, true, next)).unwrap().changes;
    assert_eq!((written.seen, written.restarts, written.sequences.len()), (view.epoch, false, 1));
    let refused = on(LastChange::default().with(&restart, true, next)).unwrap_err();
    assert!(refused.sqlstate == "40001" && refused.message.contains("restarted"), "{refused:?}");
}
