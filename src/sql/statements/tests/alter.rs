//! ALTER TABLE: what it makes of a table, and what stands in its way.

use arrow::array::AsArray;
use dataflow::{Action, Alter, ColumnChange};
use plan::Catalog;

use crate::testing::{apply, catalog, plan, refused};

fn world() -> Catalog {
    let mut all = catalog(&[
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5 CHECK (a > 0), b text, c numeric(6,2), d date)",
        "CREATE TABLE sunk (id int PRIMARY KEY, a int)",
        "CREATE TABLE fed (id int) WITH (connector = 'log', topic = 't')",
    ]);
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT b, count(*) FROM t GROUP BY b");
    apply(&mut all, "CREATE SINK s FROM sunk WITH (connector = 'postgres', url = 'postgres://h/d', table = 'x')");
    all
}

fn alter(all: &Catalog, sql: &str) -> Alter {
    match plan(all, sql).unwrap_or_else(|e| panic!("{sql}: {e}")).action {
        Action::Alter(alter) => alter,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn add_column() {
    let all = world();
    let added = alter(&all, "ALTER TABLE t ADD COLUMN e smallint DEFAULT 3 NOT NULL CHECK (e < 10)");
    let ColumnChange::Add { column, default, value } = &added.change else { panic!("{added:?}") };
    assert_eq!((column.name.as_str(), column.nullable, default.as_deref()), ("e", false, Some("3")));
    assert_eq!(value.as_primitive::<arrow::datatypes::Int16Type>().value(0), 3);
    let own = added.def.source().unwrap().own.as_ref().unwrap();
    assert_eq!((own.defaults.len(), own.checks.last().unwrap().name.as_str()), (6, "t_e_check"));
    assert_eq!(added.def.columns.0.len(), 6);
    let added = alter(&all, "ALTER TABLE t ADD f text");
    let ColumnChange::Add { value, .. } = &added.change else { panic!("{added:?}") };
    assert!(arrow::array::Array::is_null(value, 0));
    let planned = plan(&all, "ALTER TABLE t ADD COLUMN IF NOT EXISTS a text").unwrap();
    assert!(matches!(planned.action, Action::Nothing) && planned.notices[0].contains("already exists"));
}

#[test]
fn drop_column_moves_the_key_and_the_defaults() {
    let all = catalog(&["CREATE TABLE t (a int DEFAULT 1, b int DEFAULT 2, id int PRIMARY KEY)"]);
    let dropped = alter(&all, "ALTER TABLE t DROP COLUMN a");
    assert!(matches!(dropped.change, ColumnChange::Drop { at: 0 }));
    assert_eq!(dropped.def.key, [1]);
    let own = dropped.def.source().unwrap().own.as_ref().unwrap();
    assert_eq!(own.defaults, [Some("2".to_string()), None]);
    let planned = plan(&all, "ALTER TABLE t DROP COLUMN IF EXISTS nothing").unwrap();
    assert!(matches!(planned.action, Action::Nothing) && planned.notices[0].contains("nothing"));
}

#[test]
fn rename_column_renames_it_in_checks() {
    let all = world();
    let renamed = alter(&all, "ALTER TABLE t RENAME COLUMN a TO \"A b\"");
    assert!(matches!(&renamed.change, ColumnChange::Rename { at: 1, name } if name == "A b"));
    let own = renamed.def.source().unwrap().own.clone().unwrap();
    assert_eq!(own.checks[0].condition, "\"A b\" > 0");
    assert_eq!(renamed.def.columns.0[1].name, "A b");
}

#[test]
fn what_a_query_does_not_read_may_go() {
    let all = world();
    assert!(matches!(alter(&all, "ALTER TABLE t DROP c").change, ColumnChange::Drop { at: 3 }));
    alter(&all, "ALTER TABLE t RENAME d TO e");
    let mut all = catalog(&["CREATE TABLE t (a int, b int, c int)"]);
    apply(&mut all, "CREATE STREAM TABLE v AS SELECT a FROM (SELECT a, b FROM t WHERE c > 0) s");
    alter(&all, "ALTER TABLE t DROP b");
    refused(&all, &[("ALTER TABLE t DROP c", "2BP01", "stream table v"), ("ALTER TABLE t DROP a", "2BP01", "v")]);
}

/// A `SELECT *` reads the columns that there were when it was planned, and not those that came later.
#[test]
fn readers_see_the_columns_they_were_made_on() {
    let mut all = catalog(&["CREATE TABLE t (a int, b int)"]);
    apply(&mut all, "CREATE STREAM TABLE w AS SELECT * FROM t");
    all.replace_table(alter(&all, "ALTER TABLE t ADD COLUMN later int").def);
    alter(&all, "ALTER TABLE t DROP later");
    alter(&all, "ALTER TABLE t RENAME later TO last");
    refused(&all, &[("ALTER TABLE t DROP b", "2BP01", "stream table w")]);
}

#[test]
fn refusals() {
    let mut all = world();
    apply(&mut all, "CREATE STREAM TABLE w AS SELECT * FROM sunk");
    refused(
        &all,
        &[
            ("ALTER TABLE nothing ADD x int", "42P01", "nothing"),
            ("ALTER TABLE fed ADD x int", "0A000", "CREATE it with"),
            ("ALTER TABLE v ADD x int", "0A000", "stream table"),
            ("ALTER TABLE t ADD a int", "42701", "\"a\""),
            ("ALTER TABLE t ADD x int PRIMARY KEY", "0A000", "PRIMARY KEY"),
            ("ALTER TABLE t ADD x serial", "0A000", "SERIAL"),
            ("ALTER TABLE t ADD UNIQUE (nope)", "42703", "nope"),
            ("ALTER TABLE t DROP CONSTRAINT nope", "42704", "nope"),
            ("ALTER TABLE t DROP CONSTRAINT t_pkey", "0A000", "PRIMARY KEY"),
            ("ALTER TABLE t ADD x timestamptz DEFAULT now()", "0A000", "fixed value"),
            ("ALTER TABLE t ADD x uuid DEFAULT gen_random_uuid()", "0A000", "fixed value"),
            ("ALTER TABLE t ADD x int DEFAULT -1 CHECK (x > 0)", "23514", "t_x_check"),
            ("ALTER TABLE t ADD x int CHECK (x > a)", "0A000", "other columns"),
            ("ALTER TABLE t ADD x int DEFAULT 'y'", "22P02", "integer"),
            ("ALTER TABLE sunk ADD x int", "2BP01", "sink s"),
            ("ALTER TABLE t DROP nothing", "42703", "nothing"),
            ("ALTER TABLE t DROP id", "2BP01", "PRIMARY KEY"),
            ("ALTER TABLE t DROP a", "2BP01", "t_a_check"),
            ("ALTER TABLE t DROP b", "2BP01", "stream table v reads"),
            ("ALTER TABLE t DROP c CASCADE", "0A000", "CASCADE"),
            ("ALTER TABLE sunk DROP a", "2BP01", "stream table w, sink s read"),
            ("ALTER TABLE sunk RENAME a TO z", "2BP01", "stream table w"),
            ("ALTER TABLE t RENAME nothing TO z", "42703", "nothing"),
            ("ALTER TABLE t RENAME a TO b", "42701", "\"b\""),
            ("ALTER TABLE t RENAME b TO z", "2BP01", "stream table v"),
            ("ALTER TABLE t RENAME TO u", "0A000", "RENAME TO"),
            ("ALTER TABLE t ALTER COLUMN c TYPE int", "0A000", "ALTER COLUMN"),
            ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)", "0A000", "UNIQUE"),
            ("ALTER TABLE t ADD x int, ADD y int", "0A000", "several"),
            ("ALTER TABLE t ADD x int garbage garbage", "42601", "garbage"),
        ],
    );
}
