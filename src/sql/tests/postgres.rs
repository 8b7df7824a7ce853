//! PostgreSQL is the judge: expressions over rows with edge values, evaluated here and there; values, types, column names
//! and SQLSTATEs must be the same. `tests/run` starts a PostgreSQL 15 and gives its URL.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use postgres::{Client, NoTls};
use support::{Refused, canonical_numeric, plan};
use zset::ColumnType;

const COLUMNS: &str = "id, si, i, b, n, m, r, d, t, c, f, dt, ts, tz, u, ba, tm";

/// The rows, in SQL that both understand.
const ROWS: &[&str] = &[
    "(1, 7::smallint, 42, 12345678901::bigint, 12.50::numeric(10,2), 3.1415926535::numeric(38,10), 1.5::real, \
      2.25::double precision, 'Hello World'::text, 'abc'::varchar(10), true, date '2024-02-29', \
      timestamp '2024-02-29 13:14:15.123456', timestamptz '2024-02-29 13:14:15.5+02', \
      uuid 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '\\x00ff10'::bytea, time '13:14:15.25')",
    "(2, NULL::smallint, NULL::int, \
      NULL::bigint, NULL::numeric(10,2), NULL::numeric(38,10), NULL::real, NULL::double precision, NULL::text, NULL::varchar(10), \
      NULL::boolean, NULL::date, NULL::timestamp, NULL::timestamptz, NULL::uuid, NULL::bytea, NULL::time)",
    "(3, 0::smallint, 0, 0::bigint, 0.00::numeric(10,2), 0::numeric(38,10), 0::real, 0::double precision, \
      ''::text, ''::varchar(10), false, date '1970-01-01', timestamp '1970-01-01 00:00:00', \
      timestamptz '1970-01-01 00:00:00Z', uuid '00000000-0000-0000-0000-000000000000', ''::bytea, time '00:00:00')",
    "(4, -7::smallint, -42, -12345678901::bigint, -12.50::numeric(10,2), -2.5::numeric(38,10), -1.5::real, \
      -2.5::double precision, '  spaced  '::text, 'ABC'::varchar(10), true, date '1969-12-31', \
      timestamp '1969-12-31 23:59:59.999999', timestamptz '1969-12-31 23:59:59.5Z', \
      uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'abc'::bytea, time '23:59:59.999999')",
    "(5, 32767::smallint, 2147483647, 9223372036854775807::bigint, 99999999.99::numeric(10,2), \
      9999999999999999999999999999.9999999999::numeric(38,10), 3.4e38::real, 1.7e308::double precision, \
      'größe ÄÖ 漢字'::text, 'a_b%c\\d'::varchar(10), false, date '9999-12-31', timestamp '9999-12-31 23:59:59.5', \
      timestamptz '9999-12-31 23:59:59Z', uuid '12345678-1234-1234-1234-123456789abc', '\\xdeadbeef'::bytea, \
      time '12:00:00.5')",
    "(6, (-32767 - 1)::smallint, -2147483647 - 1, -9223372036854775807 - 1, -99999999.99::numeric(10,2), \
      0.0000000001::numeric(38,10), 'NaN'::real, 'NaN'::double precision, '42'::text, '-7'::varchar(10), true, \
      date '0001-01-01', timestamp '0001-01-01 00:00:00', timestamptz '0001-01-01 00:00:00Z', NULL::uuid, NULL::bytea, NULL::time)",
    "(7, 1::smallint, 1, 1::bigint, 0.01::numeric(10,2), 1::numeric(38,10), '-0'::real, '-0'::double precision, \
      'a,b,,c'::text, 'true'::varchar(10), NULL::boolean, date '2023-01-01', timestamp '2023-01-01 00:00:00.5', \
      timestamptz '2023-01-01 00:00:00.000001Z', NULL::uuid, NULL::bytea, NULL::time)",
    "(8, 3::smallint, 3, 3::bigint, 0.33::numeric(10,2), 0.3333333333::numeric(38,10), 'Infinity'::real, \
      '-Infinity'::double precision, '1.5e3'::text, '2024-05-06'::varchar(10), false, date '2020-12-31', \
      timestamp '2020-12-31 12:30:00', timestamptz '2021-01-03 00:00:00Z', NULL::uuid, NULL::bytea, NULL::time)",
    "(9, 5::smallint, 2, 4::bigint, 2.50::numeric(10,2), 0.5::numeric(38,10), 0.1::real, 0.5::double precision, \
      'xyxyx'::text, 'yx'::varchar(10), true, date '2016-01-03', timestamp '2016-02-29 23:59:59.9', \
      timestamptz '2000-12-31 06:07:08.9Z', NULL::uuid, NULL::bytea, NULL::time)",
    "(10, 100::smallint, 100000, 1000000000000::bigint, 3.50::numeric(10,2), 123456789.123456789::numeric(38,10), \
      1e-30::real, 1e-300::double precision, 'İıſß'::text, '%'::varchar(10), true, date '2400-02-29', \
      timestamp '1900-02-28 01:02:03', timestamptz '1999-01-01 00:00:00Z', NULL::uuid, NULL::bytea, NULL::time)",
];

fn connect() -> Client {
    let url = std::env::var("MILLSTREAM_TEST_POSTGRES").expect(
        "MILLSTREAM_TEST_POSTGRES is not set: run tests/run, which starts a PostgreSQL 15, or set it to the URL of one, \
         as in postgres://postgres@127.0.0.1:5432/postgres",
    );
    let mut client = Client::connect(&url, NoTls).expect("connect to MILLSTREAM_TEST_POSTGRES");
    client.batch_execute("SET TimeZone = 'UTC'; SET extra_float_digits = 1").unwrap();
    client
}

fn from(rows: &[&str]) -> String {
    format!("FROM (VALUES {}) AS v({COLUMNS})", rows.join(", "))
}

/// A value of PostgreSQL's as the harness prints ours.
fn canonical(ty: ColumnType, text: &str) -> String {
    match ty {
        ColumnType::Numeric { .. } => canonical_numeric(text),
        ColumnType::Double => format!("{:?}", text.replace("Infinity", "inf").parse::<f64>().unwrap()),
        ColumnType::Real => format!("{:?}", text.replace("Infinity", "inf").parse::<f32>().unwrap()),
        ColumnType::Timestamp(_) | ColumnType::TimestampTz(_) => {
            let (text, bc) = match text.strip_suffix(" BC") {
                Some(text) => (text, " BC"),
                None => (text, ""),
            };
            format!("{}{bc}", padded(text.strip_suffix("+00").unwrap_or(text)))
        }
        ColumnType::Time => padded(text),
        _ => text.to_string(),
    }
}

/// Six digits behind the second.
fn padded(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<6}")
}

fn type_name(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "boolean",
        ColumnType::SmallInt => "smallint",
        ColumnType::Int => "integer",
        ColumnType::BigInt => "bigint",
        ColumnType::Real => "real",
        ColumnType::Double => "double precision",
        ColumnType::Numeric { .. } => "numeric",
        ColumnType::Text => "text",
        ColumnType::Varchar(_) => "character varying",
        ColumnType::Bytea => "bytea",
        ColumnType::Date => "date",
        ColumnType::Time => "time without time zone",
        ColumnType::Timestamp(_) => "timestamp without time zone",
        ColumnType::TimestampTz(_) => "timestamp with time zone",
        ColumnType::Uuid => "uuid",
        ColumnType::Jsonb => "jsonb",
    }
}

/// What PostgreSQL says: a value for each row, or its SQLSTATE.
fn theirs(client: &mut Client, expression: &str, rows: &[&str]) -> Result<(String, Vec<Option<String>>), String> {
    let sql = format!("SELECT ({expression})::text, pg_typeof({expression})::text {}", from(rows));
    let code = |e: postgres::Error| e.code().map_or_else(|| e.to_string(), |c| c.code().to_string());
    let rows = client.query(&sql, &[]).map_err(code)?;
    let ty = rows.first().map(|row| row.get::<_, String>(1)).unwrap_or_default();
    Ok((ty, rows.iter().map(|row| row.get::<_, Option<String>>(0)).collect()))
}

/// What the planner and its expressions say.
fn ours(expression: &str, rows: &[&str]) -> Result<(ColumnType, String, Vec<Option<String>>), Refused> {
    let query = plan(&format!("SELECT {expression} {}", from(rows)))?;
    let column = query.def.columns.0[0].clone();
    let values = query.rows()?.into_iter().map(|mut row| row.remove(0)).collect();
    Ok((column.ty, column.name, values))
}

/// Both answers over some rows; a text where they differ.
fn compare(client: &mut Client, expression: &str, rows: &[&str]) -> Result<(), String> {
    let here = ours(expression, rows);
    let there = theirs(client, expression, rows);
    match (here, there) {
        (Err(e), Err(code)) => {
            // which of the two it is depends on spellings of dates that are not read here
            let date = |code: &str| code == "22007" || code == "22008";
            let same = e.sqlstate() == code || (date(e.sqlstate()) && date(&code));
            if same { Ok(()) } else { Err(format!("SQLSTATE {} here ({e:?}), {code} there", e.sqlstate())) }
        }
        (Ok((ty, _, values)), Ok((their_type, their_values))) => {
            // varchar of no length is text here; a literal is unknown there until it is a column
            let text = ty == ColumnType::Text && ["character varying", "unknown"].contains(&their_type.as_str());
            if type_name(ty) != their_type && !text {
                return Err(format!("type {ty} here, {their_type} there"));
            }
            let theirs: Vec<Option<String>> =
                their_values.iter().map(|v| v.as_deref().map(|v| canonical(ty, v))).collect();
            if values == theirs { Ok(()) } else { Err(format!("{values:?} here, {theirs:?} there")) }
        }
        (Ok((_, _, values)), Err(code)) => Err(format!("{values:?} here, SQLSTATE {code} there")),
        // numeric has neither NaN nor infinity here: an error, not another answer
        (Err(Refused::Row(e)), Ok((ty, values)))
            if ty == "numeric"
                && e.sqlstate == "22003"
                && values.iter().flatten().any(|v| v == "NaN" || v.ends_with("Infinity")) =>
        {
            Ok(())
        }
        // a quotient of more than 38 digits behind the point: an error, not another answer
        (Err(Refused::Row(e)), Ok(_)) if e.message.contains("the quotient has more digits") => Ok(()),
        (Err(e), Ok((_, values))) => Err(format!("{e:?} here, {values:?} there")),
    }
}

/// Compares over all rows at once, and, where that fails, over each row alone.
fn check(client: &mut Client, expression: &str, failures: &mut Vec<String>) {
    if theirs(client, expression, ROWS).is_ok()
        && let Err(difference) = compare(client, expression, ROWS)
    {
        failures.push(format!("{expression}: {difference}"));
        return;
    }
    for row in ROWS {
        if let Err(difference) = compare(client, expression, &[row]) {
            failures.push(format!("{expression} over {}: {difference}", &row[..3]));
            return;
        }
    }
}

fn report(what: &str, count: usize, failures: &[String]) {
    println!("{what}: {count} expressions over {} rows", ROWS.len());
    let shown: Vec<String> = failures.iter().take(60).map(|f| f.chars().take(400).collect()).collect();
    assert!(failures.is_empty(), "{} of {count} differ from PostgreSQL:\n{}", failures.len(), shown.join("\n"));
}

#[test]
fn listed_expressions() {
    let mut client = connect();
    let mut failures = Vec::new();
    let list: Vec<&str> =
        include_str!("expressions.txt").lines().filter(|l| !l.is_empty() && !l.starts_with("--")).collect();
    for expression in &list {
        match ours(expression, ROWS) {
            Err(Refused::Statement(e)) if e.sqlstate == "0A000" => {
                if theirs(&mut client, expression, ROWS) != Err("0A000".into()) {
                    failures.push(format!("{expression}: {e}"));
                }
            }
            _ => check(&mut client, expression, &mut failures),
        }
    }
    assert!(list.len() > 300, "the list is there");
    report("listed", list.len(), &failures);
}

/// Every operator over every pair of columns: the same answer, the same error, or a refusal here (0A000).
#[test]
fn every_operator_over_every_pair_of_columns() {
    let mut client = connect();
    let (mut failures, mut count, mut refused) = (Vec::new(), 0, BTreeMap::<String, usize>::new());
    let columns =
        ["si", "i", "b", "n", "m", "r", "d", "t", "c", "f", "dt", "ts", "tz", "u", "tm", "'1'", "NULL", "1.5"];
    for op in ["+", "-", "*", "/", "%", "=", "<>", "<", ">=", "||", "IS DISTINCT FROM"] {
        for a in columns {
            for b in columns {
                // jsonb - text, in PostgreSQL
                if op == "-" && ["'1'", "NULL"].contains(&a) && ["t", "c"].contains(&b) {
                    continue;
                }
                let expression = format!("{a} {op} {b}");
                count += 1;
                match ours(&expression, ROWS) {
                    Err(Refused::Statement(e)) if e.sqlstate == "0A000" => {
                        *refused
                            .entry(e.message.split(" is not").next().unwrap_or_default().to_string())
                            .or_default() += 1;
                    }
                    _ => check(&mut client, &expression, &mut failures),
                }
            }
        }
    }
    println!("refused: {refused:#?}");
    report("operators", count, &failures);
}

#[test]
fn every_cast_between_columns_and_types() {
    let mut client = connect();
    let (mut failures, mut count) = (Vec::new(), 0);
    let columns = [
        "si",
        "i",
        "b",
        "n",
        "r",
        "d",
        "t",
        "c",
        "f",
        "dt",
        "ts",
        "tz",
        "u",
        "ba",
        "tm",
        "'1'",
        "' 1.50 '",
        "'t'",
        "'2024-02-30'",
        "'2024-02-28'",
        "'x'",
        "NULL",
    ];
    let types = [
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric(12,3)",
        "text",
        "varchar(3)",
        "date",
        "time",
        "timestamp",
        "timestamp(0)",
        "timestamptz",
        "timestamptz(3)",
        "uuid",
        "bytea",
    ];
    for column in columns {
        for ty in types {
            count += 1;
            check(&mut client, &format!("CAST({column} AS {ty})"), &mut failures);
        }
    }
    report("casts", count, &failures);
}

/// The case of every character that has one, in the database's C.UTF-8 as here. PostgreSQL's tables may be of an older
/// Unicode: what it leaves alone is not compared.
#[test]
fn upper_and_lower_of_every_character() {
    let mut client = connect();
    let sql = "SELECT c, chr(c), upper(chr(c)), lower(chr(c)) FROM generate_series(1, 70000) c \
               WHERE c NOT BETWEEN 55296 AND 57343 AND (upper(chr(c)) <> chr(c) OR lower(chr(c)) <> chr(c))";
    let rows = client.query(sql, &[]).unwrap();
    assert!(rows.len() > 2000, "the database knows cases beyond ASCII: its locale is C.UTF-8 or another of UTF-8");
    let mut failures = Vec::new();
    for chunk in rows.chunks(500) {
        let values: Vec<String> = chunk.iter().map(|row| format!("('{}')", row.get::<_, String>(1))).collect();
        let sql = format!("SELECT upper(c) AS u, lower(c) AS l FROM (VALUES {}) AS v(c)", values.join(", "));
        for (row, ours) in chunk.iter().zip(plan(&sql).unwrap().rows().unwrap()) {
            let theirs = vec![row.get::<_, Option<String>>(2), row.get::<_, Option<String>>(3)];
            if ours != theirs {
                failures.push(format!("U+{:04X}: {ours:?} here, {theirs:?} there", row.get::<_, i32>(0)));
            }
        }
    }
    report("characters", rows.len(), &failures);
}

/// The names of columns without AS.
#[test]
fn column_names() {
    let mut client = connect();
    let mut failures = Vec::new();
    let list: Vec<&str> =
        include_str!("expressions.txt").lines().filter(|l| !l.is_empty() && !l.starts_with("--")).collect();
    let mut count = 0;
    for expression in list {
        let Ok(prepared) = client.prepare(&format!("SELECT {expression} {}", from(ROWS))) else { continue };
        let Ok(query) = plan(&format!("SELECT {expression} {}", from(ROWS))) else { continue };
        count += 1;
        let (here, there) = (&query.def.columns.0[0].name, prepared.columns()[0].name());
        if here != there {
            failures.push(format!("{expression}: {here} here, {there} there"));
        }
    }
    assert!(count > 200);
    report("names", count, &failures);
}
