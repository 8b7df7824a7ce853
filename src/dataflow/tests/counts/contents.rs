//! Contents of every kind, counted.

use dataflow::{Contents, contents_id, unique_id};
use plan::{OwnDef, TableDef, TableKind, Unique};
use state::Arrangement;
use testkit::allocations;
use zset::{Changes, Column, Delta, Op, RowType};

use super::rows::{batch, columns, delta, filled, touched};
use super::tables;

const ROWS: i64 = 20_000;

/// A kind of contents.
struct Kind {
    name: &'static str,
    is_source: bool,
    key: &'static [usize],
    /// The columns of a UNIQUE constraint.
    unique: &'static [usize],
}

const KINDS: [Kind; 6] = [
    Kind { name: "source with a key", is_source: true, key: &[0, 1], unique: &[] },
    Kind { name: "source with a key and a constraint", is_source: true, key: &[0, 1], unique: &[4, 0] },
    Kind { name: "source without a key", is_source: true, key: &[], unique: &[] },
    Kind { name: "stream table with a key", is_source: false, key: &[0, 1], unique: &[] },
    Kind { name: "stream table with a part of a key", is_source: false, key: &[0], unique: &[] },
    Kind { name: "stream table without a key", is_source: false, key: &[], unique: &[] },
];

impl Kind {
    fn def(&self) -> TableDef {
        let unique = Unique { name: "u".into(), columns: self.unique.to_vec(), nulls_not_distinct: false, slot: 0 };
        let uniques = if self.unique.is_empty() { vec![] } else { vec![unique] };
        let column = |(at, column): (usize, Column)| Column { nullable: !self.key.contains(&at), ..column };
        let columns = RowType(columns().0.into_iter().enumerate().map(column).collect());
        if !self.is_source {
            return tables::stream(columns, self.key);
        }
        let mut def = tables::source(columns, self.key);
        if let TableKind::Source(source) = &mut def.kind {
            source.own = (!uniques.is_empty()).then(|| OwnDef { uniques, next_slot: 1, ..OwnDef::default() });
        }
        def
    }

    fn contents(&self) -> Contents {
        let def = self.def();
        let contents = Contents::new(&def, Arrangement::new(contents_id(def.id), Contents::law(&def))).unwrap();
        let index = def.uniques().first().map(|unique| unique_id(def.id, unique));
        contents.with_indexes(&def, &mut |id, law| {
            assert_eq!(Some(id), index);
            Arrangement::new(id, law)
        })
    }

    /// Rows that go, and rows that come, in one epoch.
    fn apply(&self, contents: &mut Contents, epoch: &Epochs) {
        if self.is_source {
            let applied = contents.apply_changes(&epoch.changes(self.key.is_empty())).unwrap();
            assert_eq!((applied.missing_retractions, applied.delta.len()), (0, epoch.gone.len() + epoch.come.len()));
        } else {
            contents.apply_delta(&epoch.delta()).unwrap();
        }
        contents.commit();
    }
}

/// Rows by key and number.
struct Epochs {
    gone: Vec<(i64, i64)>,
    come: Vec<(i64, i64)>,
}

impl Epochs {
    fn changes(&self, keyless: bool) -> Changes {
        let (goes, comes) = if keyless { (Op::Retract, Op::Insert) } else { (Op::Delete, Op::Upsert) };
        let ops = [vec![goes; self.gone.len()], vec![comes; self.come.len()]].concat();
        let origin = (0..ops.len() as u32).collect();
        Changes { rows: batch(self.gone.iter().chain(&self.come).copied()), ops, origin, keep: Vec::new() }
    }

    fn delta(&self) -> Delta {
        let of = |rows: &[(i64, i64)], weight| delta(rows.iter().copied(), weight);
        Delta::sum(columns().schema(), &[of(&self.gone, -1), of(&self.come, 1)])
    }
}

fn read(contents: &Contents) -> u64 {
    let all = contents.index_arrangements().chain([contents.arrangement()]);
    all.map(|arrangement| arrangement.counters().rows_read()).sum()
}

/// What four epochs of 200 changes read.
fn reads(kind: &Kind, rows: i64) -> u64 {
    let mut contents = kind.contents();
    for part in filled(rows) {
        kind.apply(&mut contents, &Epochs { gone: vec![], come: part.map(|row| (row / 2, row)).collect() });
    }
    let before = read(&contents);
    for epoch in 0..4 {
        let (gone, come) = touched(rows, epoch);
        kind.apply(&mut contents, &Epochs { gone, come });
    }
    assert_eq!(contents.rows(), rows);
    read(&contents) - before
}

#[test]
fn what_is_read_depends_on_the_changes() {
    for kind in KINDS {
        let [few, many] = [1_000, 1_000_000].map(|rows| reads(&kind, rows));
        println!("{}: 800 changes read {few} rows at 10^3 rows, {many} at 10^6", kind.name);
        // Of 400 rows that go each has another one beside it, where they are found by a part of the key.
        assert!(few <= 2 * 800 && many <= 2 * 800, "{}: {few} and {many} rows read", kind.name);
        assert!(many >= 400, "{}: what goes is looked up", kind.name);
    }
}

#[test]
fn memory_is_not_asked_for_row_by_row() {
    for kind in KINDS {
        let mut contents = kind.contents();
        let rows =
            |first: i64, count: i64| (first..first + count).map(|row| (row * 7919 % ROWS / 2, row)).collect::<Vec<_>>();
        kind.apply(&mut contents, &Epochs { gone: vec![], come: rows(0, ROWS) });
        let epoch = Epochs { gone: rows(0, ROWS / 4), come: rows(ROWS, ROWS) };
        let given = epoch.gone.len() + epoch.come.len();
        let (changes, change) = (epoch.changes(kind.key.is_empty()), epoch.delta());
        let (_, asked) = allocations(|| {
            match kind.is_source {
                true => drop(contents.apply_changes(&changes).unwrap()),
                false => contents.apply_delta(&change).unwrap(),
            }
            contents.commit();
        });
        println!("{}: {asked} allocations for {given} changes", kind.name);
        assert!(asked < given as u64 / 20, "{}: {asked} allocations for {given} changes", kind.name);
        assert_eq!(contents.rows(), 2 * ROWS - ROWS / 4);
    }
}

/// Nothing that came of an epoch: nothing is read, staged or asked for but a few lists.
#[test]
fn no_changes_cost_nothing() {
    for kind in KINDS {
        let mut contents = kind.contents();
        kind.apply(&mut contents, &Epochs { gone: vec![], come: (0..ROWS).map(|row| (row / 2, row)).collect() });
        let nothing = Delta::empty(kind.def().columns.schema());
        let (before, batches) = (read(&contents), contents.snapshot().batches());
        let (_, asked) = allocations(|| {
            contents.apply_delta(&nothing).unwrap();
            contents.commit();
        });
        assert_eq!((read(&contents), contents.snapshot().batches(), contents.rows()), (before, batches, ROWS));
        assert!(asked <= 4, "{}: {asked} allocations for no change", kind.name);
    }
}
