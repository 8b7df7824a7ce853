//! Runs a graph by deltas beside the naive interpreter and compares after every epoch.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use plan::{Graph, NodeKind, TableId};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use state::{Arrangement, ArrangementId, Law};
use testkit::{Change, Generator, Model, Row};
use workers::Workers;
use zset::{ColumnType, Delta, RowCodec};

use super::build::{Expr, columns, compiled};
use super::naive::{self, Tables};
use crate::{FlowError, TableFlow};

/// A change of a table.
pub type TableChange = (u32, Row, i64);

/// The tables of a graph: number and column types.
pub type Types<'a> = &'a [(u32, &'a [ColumnType])];

/// A flow with empty state.
pub fn flow(graph: &Graph<Expr>) -> TableFlow {
    TableFlow::new(TableId(99), &compiled(graph), &mut Arrangement::new)
}

/// A flow as after a restart: new operators over what was committed.
pub fn restarted(graph: &Graph<Expr>, old: &TableFlow) -> TableFlow {
    let mut kept: BTreeMap<ArrangementId, Arrangement> =
        old.arrangements().into_iter().map(|arrangement| (arrangement.id(), copy(arrangement))).collect();
    TableFlow::new(TableId(99), &compiled(graph), &mut |id, law| {
        let arrangement = kept.remove(&id).unwrap();
        assert_eq!(arrangement.law(), law);
        arrangement
    })
}

/// The committed contents of an arrangement, in a new one.
pub fn copy(old: &Arrangement) -> Arrangement {
    let mut new = Arrangement::new(old.id(), old.law());
    for entries in old.committed().scan(7) {
        let entries = entries.unwrap();
        match old.law() {
            Law::Add => new.stage(&entries.keys, &entries.rows, &entries.weights),
            Law::Replace => new.stage_replace(&entries.keys, &entries.rows, &vec![true; entries.weights.len()]),
        }
    }
    new.commit();
    new
}

/// The deltas of an epoch's changes.
pub fn deltas(types: Types<'_>, changes: &[TableChange]) -> BTreeMap<TableId, Delta> {
    let mut deltas = BTreeMap::new();
    for (table, types) in types {
        let mine = changes.iter().filter(|(of, _, _)| of == table);
        let rows: Vec<(Row, i64)> = mine.map(|(_, row, weight)| (row.clone(), *weight)).collect();
        if !rows.is_empty() {
            deltas.insert(TableId(*table), testkit::delta(&columns(types), &rows));
        }
    }
    deltas
}

/// A flow beside the tables it reads and the sum of what it gave.
pub struct Beside<'a> {
    graph: &'a Graph<Expr>,
    types: Types<'a>,
    pub flow: TableFlow,
    pub tables: Tables,
    pub result: Model,
}

impl<'a> Beside<'a> {
    pub fn new(graph: &'a Graph<Expr>, types: Types<'a>) -> Self {
        Self { graph, types, flow: flow(graph), tables: Tables::new(), result: Model::new() }
    }

    /// Steps and commits an epoch, and compares. Returns what the flow gave.
    pub fn epoch(&mut self, changes: &[TableChange], context: &str) -> Delta {
        let delta = self.flow.step(&deltas(self.types, changes)).unwrap_or_else(|error| panic!("{context}: {error}"));
        self.flow.commit();
        self.take(changes, &delta);
        self.compare(context);
        delta
    }

    pub fn take(&mut self, changes: &[TableChange], delta: &Delta) {
        for (table, row, weight) in changes {
            self.tables.entry(TableId(*table)).or_default().add_row(row.clone(), *weight);
        }
        let mut once = Model::new();
        once.add(delta);
        assert!(once.len() == delta.len() || delta.only_inserts(), "the result is consolidated, or rows only come");
        self.result.add(delta);
    }

    pub fn compare(&self, context: &str) {
        let expected = naive::run(self.graph, &self.tables).unwrap();
        assert_eq!(self.result, expected, "{context}\ngot:\n{}expected:\n{expected}", self.result);
    }

    pub fn restart(&mut self) {
        self.flow = restarted(self.graph, &self.flow);
    }

    /// A step that comes to nothing.
    pub fn discarded(&mut self, changes: &[TableChange]) -> Result<Delta, FlowError> {
        let delta = self.flow.step(&deltas(self.types, changes));
        self.flow.discard();
        delta
    }
}

/// Two, four or eight, who share also the smallest work.
pub fn workers(seed: u64) -> &'static Workers {
    static ALL: OnceLock<[Workers; 3]> = OnceLock::new();
    &ALL.get_or_init(|| [2, 4, 8].map(|threads| Workers::eager(threads).unwrap()))[seed as usize % 3]
}

/// THE LAW: over random histories, in every kind of split, with steps discarded, epochs of several steps, restarts, and in
/// any order of rows, by any number of workers, the sum of the outputs is the query on the sum of the inputs.
pub fn law(name: &str, types: Types<'_>, graph: &Graph<Expr>, seeds: Range<u64>) {
    let mut epochs_seen = 0;
    for seed in seeds.clone() {
        let rng = &mut testkit::rng(seed);
        let mut history = history(types, rng, 40);
        history.retain(|(table, _, weight)| *weight > 0 || !only_comes(graph, *table));
        let number = [1, 3, 8, 40][seed as usize % 4];
        let split = testkit::random_split(rng, history.len(), number);
        epochs_seen += split.len();
        run_split(graph, types, &history, &split, rng, &format!("{name}, seed {seed}, split {split:?}"));
        if seed % 8 == 0 {
            let short = &history[..6];
            for split in testkit::every_split(short.len()) {
                run_split(graph, types, short, &split, rng, &format!("{name}, seed {seed}, short split {split:?}"));
            }
        }
    }
    println!("{name}: seeds {seeds:?}, {epochs_seen} epochs");
}

/// Whether the rows of a table of a graph only ever come.
fn only_comes(graph: &Graph<Expr>, of: u32) -> bool {
    graph
        .nodes
        .iter()
        .any(|node| matches!(node.kind, NodeKind::Input { table, only_comes } if only_comes && table == TableId(of)))
}

/// The histories of several tables, interleaved.
pub fn history(types: Types<'_>, rng: &mut ChaCha8Rng, changes: usize) -> Vec<TableChange> {
    let mut each: Vec<(u32, std::vec::IntoIter<Change>)> = Vec::new();
    for (table, types) in types {
        let mut generator = Generator::new(columns(types));
        generator.values = rng.random_range(2..5);
        each.push((*table, generator.history(rng, changes).into_iter()));
    }
    let mut all = Vec::new();
    while !each.is_empty() {
        let at = rng.random_range(0..each.len());
        match each[at].1.next() {
            Some((row, weight)) => all.push((each[at].0, row, weight)),
            None => drop(each.swap_remove(at)),
        }
    }
    all
}

fn run_split(
    graph: &Graph<Expr>,
    types: Types<'_>,
    history: &[TableChange],
    split: &[Range<usize>],
    rng: &mut ChaCha8Rng,
    context: &str,
) {
    use rand::seq::SliceRandom;
    let mut beside = Beside::new(graph, types);
    let mut twin = flow(graph);
    for range in split {
        let mut changes = history[range.clone()].to_vec();
        changes.shuffle(rng);
        if rng.random_bool(0.2) {
            let other = history[range.start..history.len().min(range.end + 3)].to_vec();
            beside.discarded(&other).unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        let delta = if rng.random_bool(0.2) && changes.len() > 1 {
            in_two_steps(&mut beside, types, &history[range.clone()], context)
        } else {
            let delta = beside.flow.step(&deltas(types, &changes)).unwrap_or_else(|error| panic!("{context}: {error}"));
            beside.take(&changes, &delta);
            Some(delta)
        };
        beside.flow.commit();
        beside.compare(context);
        changes.shuffle(rng);
        let inputs = deltas(types, &changes);
        let workers = if rng.random_bool(0.3) { workers(rng.random()).clone() } else { Workers::default() };
        let other = workers.run(|| {
            let other = twin.step(&inputs).unwrap();
            twin.commit();
            other
        });
        if let Some(delta) = delta {
            let codec = RowCodec::new(delta.schema());
            let [delta, other] = [delta, other].map(|delta| zset::consolidate(&delta, &codec));
            assert_eq!((delta.batch(), delta.weights()), (other.batch(), other.weights()), "{context}: order shows");
        }
        if rng.random_bool(0.2) {
            beside.restart();
        }
    }
}

/// One epoch as two steps, which see each other.
fn in_two_steps(beside: &mut Beside<'_>, types: Types<'_>, changes: &[TableChange], context: &str) -> Option<Delta> {
    let (first, second) = changes.split_at(changes.len() / 2);
    for part in [first, second] {
        let delta = beside.flow.step(&deltas(types, part)).unwrap_or_else(|error| panic!("{context}: {error}"));
        beside.take(part, &delta);
        beside.compare(context);
    }
    None
}

/// A script of changes, cycle by cycle: as written, all at once, one by one, and each cycle in reverse order; compared with
/// the naive interpreter after every epoch. Returns the final result.
pub fn script(name: &str, types: Types<'_>, graph: &Graph<Expr>, cycles: &[Vec<TableChange>]) -> Model {
    let run = |how: &str, epochs: &[Vec<TableChange>]| {
        let mut beside = Beside::new(graph, types);
        for (at, changes) in epochs.iter().enumerate() {
            beside.epoch(changes, &format!("{name}, {how}, epoch {at}"));
        }
        let idle = beside.epoch(&[], name);
        assert!(idle.is_empty(), "{name}, {how}: no change, no output");
        beside.result
    };
    let written = run("as written", cycles);
    assert_eq!(written, run("all at once", &[cycles.concat()]));
    assert_eq!(written, run("one by one", &cycles.concat().into_iter().map(|change| vec![change]).collect::<Vec<_>>()));
    let reversed = |cycle: &Vec<TableChange>| cycle.iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(written, run("reversed", &cycles.iter().map(reversed).collect::<Vec<_>>()));
    written
}

/// The expected result, written down.
pub fn expect(result: &Model, rows: &[(Row, i64)]) {
    let expected: Model = rows.iter().cloned().collect();
    assert_eq!(*result, expected, "got:\n{result}expected:\n{expected}");
}
