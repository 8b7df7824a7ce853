//! Every type, in text and in binary, as parameter and as result, through tokio-postgres.

use postgres::types::{FromSql, IsNull, ToSql, Type};

use super::{connect, refusal, start};

/// A query that does not come to an end while a test runs.
pub const ENDLESS: &str = "WITH d (x) AS (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) \
    SELECT sum(a.x * e.x + i.x * m.x) FROM d a, d b, d c, d d, d e, d f, d g, d h, d i, d j, d k, d l, d m";

/// The types of a table that has them all, and values to be written as SQL text, with the text they come back as.
pub const COLUMNS: &[(&str, &[(&str, &str)])] = &[
    ("boolean", &[("t", "t"), ("false", "f")]),
    ("smallint", &[("-32768", "-32768"), ("32767", "32767")]),
    ("integer", &[("-2147483648", "-2147483648"), ("2147483647", "2147483647")]),
    ("bigint", &[("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")]),
    ("real", &[("3.4028235e38", "3.4028235e+38"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("0.1", "0.1")]),
    (
        "double precision",
        &[("1.7976931348623157e308", "1.7976931348623157e+308"), ("5e-324", "5e-324"), ("NaN", "NaN")],
    ),
    (
        "numeric(38,10)",
        &[
            ("-9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"),
            ("0", "0.0000000000"),
        ],
    ),
    ("numeric(5,2)", &[("999.99", "999.99"), ("-0.01", "-0.01")]),
    ("text", &[("", ""), ("naïve \u{1F98A} \\ ' \" \t\n", "naïve \u{1F98A} \\ ' \" \t\n")]),
    ("varchar(5)", &[("abcde", "abcde"), ("", "")]),
    ("bytea", &[("\\x", "\\x"), ("\\x00ff10", "\\x00ff10")]),
    ("date", &[("0001-01-01", "0001-01-01"), ("9999-12-31", "9999-12-31"), ("2024-02-29", "2024-02-29")]),
    ("time", &[("00:00:00", "00:00:00"), ("23:59:59.999999", "23:59:59.999999")]),
    (
        "timestamp",
        &[("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"), ("9999-12-31 00:00:00", "9999-12-31 00:00:00")],
    ),
    (
        "timestamptz",
        &[("2024-01-15 10:00:00+02", "2024-01-15 08:00:00+00"), ("1970-01-01 00:00:00Z", "1970-01-01 00:00:00+00")],
    ),
    ("uuid", &[("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("jsonb", &[("{\"b\":1,\"a\":[null,\"x\"]}", "{\"a\": [null, \"x\"], \"b\": 1}"), ("null", "null")]),
];

/// Bytes of the wire, of whatever type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wire(Vec<u8>);

impl<'a> FromSql<'a> for Wire {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Wire {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

/// What PostgreSQL says a query's columns are: oid and modifier are in the type and the text form.
fn texts(client: &mut postgres::Client, sql: &str) -> Vec<Option<String>> {
    let rows = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message| match message {
        postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
        _ => None,
    };
    let values: Vec<_> =
        rows.into_iter().filter(|m| matches!(m, postgres::SimpleQueryMessage::Row(_))).map(row).collect();
    values
}

/// What goes in as text comes out as text; what comes out in binary goes in in binary and is the same; and both are the very
/// bytes that PostgreSQL has.
#[test]
fn every_type_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut ours = connect(&running);
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES")
        .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
    let mut judge = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    judge.batch_execute("SET timezone = 'UTC'").unwrap();
    for (number, (ty, values)) in COLUMNS.iter().enumerate() {
        let create = format!("(id integer PRIMARY KEY, v {ty})");
        ours.batch_execute(&format!("CREATE TABLE t{number} {create}")).unwrap();
        judge.batch_execute(&format!("CREATE TEMPORARY TABLE t{number} {create}")).unwrap();
        for client in [&mut ours, &mut judge] {
            for (id, (value, _)) in values.iter().enumerate() {
                let literal = value.replace('\'', "''");
                let sql = format!("INSERT INTO t{number} VALUES ({id}, '{literal}')");
                client.batch_execute(&sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            }
            client.batch_execute(&format!("INSERT INTO t{number} VALUES (1000, NULL)")).unwrap();
        }
        let select = format!("SELECT v FROM t{number} ORDER BY id");
        let expected: Vec<_> =
            values.iter().map(|(_, text)| Some(text.to_string())).chain(std::iter::once(None)).collect();
        assert_eq!(texts(&mut ours, &select), expected, "{ty} as text");
        assert_eq!(texts(&mut judge, &select), expected, "{ty} as PostgreSQL's text");

        let binary = |client: &mut postgres::Client| -> (Type, Vec<Option<Wire>>) {
            let rows = client.query(&select, &[]).unwrap();
            (rows[0].columns()[0].type_().clone(), rows.iter().map(|row| row.get(0)).collect())
        };
        let (our_type, our_bytes) = binary(&mut ours);
        assert_eq!((our_type, our_bytes.clone()), binary(&mut judge), "{ty} in binary");

        let statement = ours.prepare(&format!("INSERT INTO t{number} VALUES ($1, $2)")).unwrap();
        let wire = postgres_type(ty);
        assert_eq!(statement.params(), [Type::INT4, wire], "{ty}");
        for (id, bytes) in our_bytes.iter().enumerate() {
            ours.execute(&statement, &[&(2000 + id as i32), bytes]).unwrap_or_else(|e| panic!("{ty} {bytes:?}: {e:?}"));
        }
        let again = texts(&mut ours, &format!("SELECT v FROM t{number} WHERE id >= 2000 ORDER BY id"));
        assert_eq!(again, expected, "{ty} in binary, and back as text");
    }
}

fn postgres_type(name: &str) -> Type {
    match name.split('(').next().unwrap() {
        "boolean" => Type::BOOL,
        "smallint" => Type::INT2,
        "integer" => Type::INT4,
        "bigint" => Type::INT8,
        "real" => Type::FLOAT4,
        "double precision" => Type::FLOAT8,
        "numeric" => Type::NUMERIC,
        "text" => Type::TEXT,
        // Its length is checked where it is written.
        "varchar" => Type::TEXT,
        "bytea" => Type::BYTEA,
        "date" => Type::DATE,
        "time" => Type::TIME,
        "timestamp" => Type::TIMESTAMP,
        "timestamptz" => Type::TIMESTAMPTZ,
        "uuid" => Type::UUID,
        "jsonb" => Type::JSONB,
        other => panic!("{other}"),
    }
}

/// Lengths and modifiers are those of PostgreSQL's RowDescription.
#[test]
fn columns_are_described_as_by_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let columns: Vec<String> = COLUMNS.iter().enumerate().map(|(at, (ty, _))| format!("c{at} {ty}")).collect();
    let create = format!("{}, ts timestamp(3), tz timestamptz(0)", columns.join(", "));
    connect(&running).batch_execute(&format!("CREATE TABLE described ({create})")).unwrap();
    let mut raw = super::raw::Raw::connect(&running);
    let described = raw.query("SELECT * FROM described").into_iter().find(|(kind, _)| *kind == 'T').unwrap().1;
    let expected: &[(i32, i16, i32)] = &[
        (16, 1, -1),
        (21, 2, -1),
        (23, 4, -1),
        (20, 8, -1),
        (700, 4, -1),
        (701, 8, -1),
        (1700, -1, (38 << 16 | 10) + 4),
        (1700, -1, (5 << 16 | 2) + 4),
        (25, -1, -1),
        (1043, -1, 9),
        (17, -1, -1),
        (1082, 4, -1),
        (1083, 8, -1),
        (1114, 8, -1),
        (1184, 8, -1),
        (2950, 16, -1),
        (3802, -1, -1),
        (1114, 8, 3),
        (1184, 8, 0),
    ];
    let mut rest = &described[2..];
    for (at, (oid, length, modifier)) in expected.iter().enumerate() {
        let name = rest.iter().position(|byte| *byte == 0).unwrap();
        rest = &rest[name + 1..];
        let field = (
            super::raw::number(&rest[6..]),
            i16::from_be_bytes(rest[10..12].try_into().unwrap()),
            super::raw::number(&rest[12..]),
        );
        assert_eq!(field, (*oid, *length, *modifier), "column {at}");
        rest = &rest[18..];
    }
    assert!(rest.is_empty());
}

/// A parameter's type is the client's, where it says one.
#[test]
fn types_are_given_or_inferred() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let mut client = connect(&running);
    client.batch_execute("CREATE TABLE t (a bigint, n numeric(10,2))").unwrap();
    let inferred = client.prepare("SELECT a FROM t WHERE a = $1 AND n > $2 AND $3::date IS NULL").unwrap();
    assert_eq!(inferred.params(), [Type::INT8, Type::NUMERIC, Type::DATE]);
    let given = client.prepare_typed("INSERT INTO t VALUES ($1, $2)", &[Type::INT4, Type::NUMERIC]).unwrap();
    assert_eq!(given.params(), [Type::INT4, Type::NUMERIC]);
    client.execute(&given, &[&7i32, &Wire(vec![0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88])]).unwrap();
    assert_eq!(texts(&mut client, "SELECT n FROM t WHERE a = 7"), [Some("12.50".to_string())]);
    let error = client.prepare("SELECT $1 + $2").err().map(|error| refusal(&error).0);
    assert!(matches!(error.as_deref(), None | Some("42725" | "42P18")), "{error:?}");
}
