//! VERIFY STREAM TABLE: exact contents give no row, and every corruption that is handed in is named.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use dataflow::{
    Action, Contents, LastChange, Limits, Planner, Queries, StatementError, TableFlow, TableRows, View, Work,
    contents_id,
};
use plan::{Catalog, TableDef, TableKind};
use sql::SqlPlanner;
use state::Arrangement;
use zset::Delta;

use super::world::{World, limits};

/// A line of the answer: difference, weight, row.
type Line = (String, Option<i64>, String);

/// One stream table of each kind of operator, as its operators fill it.
const STREAMS: &[(&str, &str)] = &[
    ("v_filter", "SELECT a, c, d FROM t WHERE b > 10 AND n <> 0"),
    ("v_sums", "SELECT f, count(*) AS n, sum(b) AS s, avg(n) AS m, sum(d) AS x, min(c) AS lo FROM t GROUP BY f"),
    ("v_floats", "SELECT a, sum(d) AS s, avg(d) AS m, max(d) AS x FROM t GROUP BY a"),
    ("v_inner", "SELECT t.a, t.c, u.y FROM t JOIN u ON t.a = u.a AND t.b <> u.b"),
    ("v_group", "SELECT DISTINCT grp, s FROM k"),
    ("v_counts", "SELECT grp, count(DISTINCT v) AS n, count(*) FILTER (WHERE s = 'a') AS a FROM k GROUP BY grp"),
    ("v_union", "SELECT a, c FROM t UNION ALL SELECT a, x FROM u"),
    ("v_all", "SELECT count(*) AS n, sum(v) AS s FROM k"),
    ("v_nothing", "SELECT a, c FROM e WHERE a > 0"),
    ("v_moments", "SELECT dt, ts, count(*) AS n FROM t WHERE dt > date '2000-01-01' GROUP BY dt, ts"),
];

/// A world with stream tables over its tables.
struct Streams {
    catalog: Catalog,
    tables: BTreeMap<plan::TableId, TableRows>,
    world: World,
    /// What the rows are read from.
    kept: Vec<Contents>,
}

impl Streams {
    fn new() -> Self {
        let world = World::new();
        let mut streams =
            Self { catalog: world.catalog.clone(), tables: (*world.view.tables).clone(), world, kept: Vec::new() };
        STREAMS.iter().for_each(|(name, query)| streams.add(name, query));
        streams
    }

    /// A stream table with the contents that its operators give.
    fn add(&mut self, name: &str, query: &str) {
        let statement = format!("CREATE STREAM TABLE {name} AS {query}");
        let planned = SqlPlanner::new().plan(&statement, &self.catalog).unwrap_or_else(|e| panic!("{statement}: {e}"));
        let Action::CreateStream { def, graph } = planned.action else { panic!("{statement}") };
        let mut flow = TableFlow::new(def.id, &graph, &mut Arrangement::new);
        let inputs = graph.tables().into_iter().map(|id| (id, self.rows(id))).collect();
        let delta = flow.step(&inputs).unwrap();
        self.catalog.add_table(def.clone()).unwrap();
        self.put(&def, &delta);
    }

    fn rows(&self, id: plan::TableId) -> Delta {
        let schema = self.catalog.table(id).unwrap().columns.schema();
        Delta::sum(schema, &self.tables[&id].read().map(Result::unwrap).collect::<Vec<_>>())
    }

    /// Makes these the contents of a table.
    fn put(&mut self, def: &TableDef, delta: &Delta) {
        let mut contents = Contents::new(def, Arrangement::new(contents_id(def.id), Contents::law(def))).unwrap();
        contents.apply_delta(delta).unwrap();
        contents.commit();
        let rows = TableRows {
            reader: contents.reader(),
            snapshot: contents.snapshot(),
            rows: contents.rows(),
            uniques: contents.uniques(),
            last: LastChange::default(),
            trouble: None,
        };
        self.tables.insert(def.id, rows);
        self.kept.push(contents);
    }

    /// Makes the weights of a table's rows others than they are.
    fn corrupt(&mut self, name: &str, weights: impl Fn(usize, i64) -> i64) {
        let def = self.catalog.table_named(name).unwrap().clone();
        let rows = self.rows(def.id);
        let weights: Int64Array = rows.weights().values().iter().enumerate().map(|(at, w)| weights(at, *w)).collect();
        self.put(&def, &Delta::new(rows.batch().clone(), weights));
    }

    fn view(&self) -> Arc<View> {
        let (catalog, tables) = (Arc::new(self.catalog.clone()), Arc::new(self.tables.clone()));
        Arc::new(View { catalog, tables, ..(*self.world.view).clone() })
    }

    fn verify(&self, what: &str) -> Result<Vec<Line>, StatementError> {
        self.verify_within(what, &limits())
    }

    fn verify_within(&self, what: &str, limits: &Limits) -> Result<Vec<Line>, StatementError> {
        let prepared = SqlPlanner::new().prepare(&format!("VERIFY {what}"), &self.catalog, &[])?;
        let Work::Read(read) = prepared.work else { panic!("VERIFY is a read") };
        let names: Vec<&str> = prepared.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["table", "difference", "weight", "row"]);
        let mut lines = Vec::new();
        for batch in read.run(&[], &self.view(), limits)? {
            let batch = batch?;
            let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_string();
            let weight = batch.column(2).as_primitive::<Int64Type>();
            for (row, weight) in weight.iter().enumerate() {
                let table = if what == "STREAM TABLES" { format!("{}: ", text(0, row)) } else { String::new() };
                lines.push((table + &text(1, row), weight, text(3, row)));
            }
        }
        Ok(lines)
    }
}

fn line(difference: &str, weight: i64, row: &str) -> Line {
    (difference.to_string(), Some(weight), row.to_string())
}

#[test]
fn exact_contents_give_no_row() {
    let streams = Streams::new();
    for (name, query) in STREAMS {
        let lines = streams.verify(&format!("STREAM TABLE {name}")).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert_eq!(lines, [], "{query}");
    }
    assert_eq!(streams.verify("STREAM TABLES").unwrap(), []);
    assert_eq!(streams.verify("MATERIALIZED VIEW keyed;").unwrap(), []);
}

#[test]
fn what_differs_is_named_with_its_weight() {
    for (name, query) in STREAMS.iter().filter(|(name, _)| *name != "v_nothing") {
        let mut streams = Streams::new();
        // a row that is lost, one that is there three times too often
        streams.corrupt(name, |at, weight| if at == 0 { 0 } else { weight });
        let missing = streams.verify(&format!("STREAM TABLE {name}")).unwrap();
        assert!(
            matches!(&missing[..], [(word, Some(1..), row)] if word == "missing" && row.starts_with('(')),
            "{query}: {missing:?}"
        );
        let mut streams = Streams::new();
        streams.corrupt(name, |at, weight| if at == 0 { weight + 3 } else { weight });
        let unexpected = streams.verify(&format!("STREAM TABLE {name}")).unwrap();
        assert_eq!(unexpected, [line("unexpected", 3, &missing[0].2)], "{query}");
        // the others are not touched by it
        let all = streams.verify("STREAM TABLES").unwrap();
        assert_eq!(all, [line(&format!("{name}: unexpected"), 3, &missing[0].2)]);
    }
}

#[test]
fn another_value_is_a_missing_and_an_unexpected_row() {
    let mut streams = Streams::new();
    let def = streams.catalog.table_named("v_all").unwrap().clone();
    streams.add("other", "SELECT count(*) + 1 AS n, sum(v) AS s FROM k");
    let other = streams.rows(streams.catalog.table_named("other").unwrap().id);
    streams.put(&def, &Delta::inserts(other.batch().clone()));
    let lines = streams.verify("STREAM TABLE v_all").unwrap();
    assert_eq!(lines, [line("missing", 1, "(n=10, s=57)"), line("unexpected", 1, "(n=11, s=57)")]);
}

#[test]
fn a_wrong_count_of_rows_is_seen() {
    let mut streams = Streams::new();
    let id = streams.catalog.table_named("v_group").unwrap().id;
    let rows = streams.tables.get_mut(&id).unwrap();
    rows.rows += 2;
    let text = format!("SHOW STREAM TABLES counts {} rows, there are {}", rows.rows, rows.rows - 2);
    assert_eq!(streams.verify("STREAM TABLE v_group").unwrap(), [line("count", 2, &text)]);
}

#[test]
fn many_differences_are_counted() {
    let mut streams = Streams::new();
    streams.add("pairs", "SELECT x.id AS a, y.id AS b, z.id AS c FROM k x, k y, k z");
    streams.corrupt("pairs", |at, weight| weight * i64::from(at % 4 != 0) + i64::from(at % 4 == 1));
    let lines = streams.verify("STREAM TABLE pairs").unwrap();
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[100], line("more", 400, "and 400 more: in all 250 different rows are missing, 250 unexpected"));
}

#[test]
fn it_keeps_to_its_bounds() {
    let mut streams = Streams::new();
    streams.add("pairs", "SELECT x.id AS a, y.id AS b, z.id AS c, w.id AS d FROM k x, k y, k z, k w");
    let within = |streams: &Streams, limits: Limits| streams.verify_within("STREAM TABLE pairs", &limits);
    // what is equal is not kept
    let little = || Limits { memory_bytes: 256 << 10, ..limits() };
    assert_eq!(within(&streams, little()).unwrap(), []);
    let cancelled = limits();
    cancelled.cancelled.store(true, Ordering::Relaxed);
    assert_eq!(within(&streams, cancelled).unwrap_err().sqlstate, "57014");
    let late = Limits { deadline: Some(Instant::now()), ..limits() };
    assert_eq!(within(&streams, late).unwrap_err().sqlstate, "57014");
    // what is not equal is
    streams.corrupt("pairs", |_, _| 0);
    assert_eq!(within(&streams, little()).unwrap_err().sqlstate, "53200");
    assert_eq!(within(&streams, limits()).unwrap().len(), 101);
}

#[test]
fn what_cannot_be_verified_says_why() {
    let mut streams = Streams::new();
    let source =
        "CREATE SOURCE passing (a INT) WITH (connector = 'log', topic = 'p', format = 'json', envelope = 'append')";
    let Action::CreateTable(def) = SqlPlanner::new().plan(source, &streams.catalog).unwrap().action else { panic!() };
    streams.catalog.add_table(def).unwrap();
    let statement = "CREATE STREAM TABLE over AS SELECT a FROM passing";
    let planned = SqlPlanner::new().plan(statement, &streams.catalog).unwrap();
    let Action::CreateStream { def, .. } = planned.action else { panic!() };
    streams.catalog.add_table(def.clone()).unwrap();
    streams.put(&def, &Delta::empty(def.columns.schema()));
    let id = streams.catalog.table_named("v_sums").unwrap().id;
    streams.tables.get_mut(&id).unwrap().trouble = Some("is in ERROR: division by zero".into());
    for (what, sqlstate, words) in [
        ("STREAM TABLE over", "0A000", "cannot verify stream table over: it reads passing, whose rows are not stored"),
        ("STREAM TABLE v_sums", "55000", "cannot verify stream table v_sums: it is in ERROR: division by zero"),
        ("STREAM TABLE k", "42809", "\"k\" is not a stream table"),
        ("STREAM TABLE nobody", "42P01", "relation \"nobody\" does not exist"),
        ("TABLE k", "42601", "syntax error at or near \"TABLE\""),
        ("STREAM TABLE keyed keyed", "42601", "expected the end"),
    ] {
        let error = streams.verify(what).unwrap_err();
        assert!(error.sqlstate == sqlstate && error.message.contains(words), "{what}: {error}");
    }
    // of all, the others are verified
    let lines = streams.verify("STREAM TABLES").unwrap();
    let tables: Vec<&str> = lines.iter().map(|(word, _, _)| word.as_str()).collect();
    assert_eq!(tables, ["v_sums: unverified", "over: unverified"]);
}

/// A stream table goes on seeing the columns that it was planned on; so does what verifies it.
#[test]
fn an_input_that_was_altered_is_read_as_it_was_planned() {
    let mut streams = Streams::new();
    streams.add("of_k", "SELECT a.s, a.v, b.id FROM k a JOIN k b ON a.grp = b.grp WHERE a.v IS NOT NULL");
    let k = streams.catalog.table_named("k").unwrap().clone();
    let rows = streams.rows(k.id);
    // k (id, grp, v, s) becomes k (grp2, s, id): v is gone, and was NULL before
    let mut altered = k.clone();
    altered.columns.0 = [1, 3, 0].iter().map(|&at: &usize| k.columns.0[at].clone()).collect();
    altered.columns.0[0].name = "grp2".into();
    let now = zset::Delta::inserts(
        arrow::array::RecordBatch::try_new(
            altered.columns.schema(),
            [1, 3, 0].iter().map(|&at: &usize| rows.batch().column(at).clone()).collect(),
        )
        .unwrap(),
    );
    for name in ["of_k", "v_group"] {
        let mut def = streams.catalog.table_named(name).unwrap().clone();
        let TableKind::Stream(stream) = &mut def.kind else { panic!("{name}") };
        stream.input_positions = vec![vec![Some(2), Some(0), None, Some(1)]];
        streams.catalog.replace_table(def);
    }
    streams.catalog.replace_table(altered.clone());
    streams.put(&altered, &now);
    assert_eq!(streams.verify("STREAM TABLE v_group").unwrap(), []);
    // v is NULL for all rows now: those that of_k has are none of the query's
    let lines = streams.verify("STREAM TABLE of_k").unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|(word, _, _)| word == "unexpected"), "{lines:?}");
}
