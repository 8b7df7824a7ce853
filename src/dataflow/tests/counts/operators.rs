//! Every operator, counted.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::TableFlow;
use plan::{NodeKind, TableId};
use testkit::allocations;
use zset::Delta;

use super::cases::{Kind, MOST, Nodes, ONE, TWO, cases, col, evaluated_over_nothing, even};
use super::rows::{columns, delta, filled, row_type, touched};

const ROWS: i64 = 20_000;

fn step(flow: &mut TableFlow, changes: &BTreeMap<TableId, Delta>) -> Delta {
    let delta = flow.step(changes).unwrap();
    flow.commit();
    delta
}

fn both(changes: impl Fn() -> Delta) -> BTreeMap<TableId, Delta> {
    BTreeMap::from([(TableId(1), changes()), (TableId(2), changes())])
}

/// What was read of each arrangement of each node.
fn read(flow: &TableFlow) -> BTreeMap<usize, Vec<u64>> {
    let of = |operator: dataflow::OperatorInfo<'_>| {
        let read = operator.arrangements.iter().map(|arrangement| arrangement.counters().rows_read());
        (operator.node.0 as usize, read.collect())
    };
    flow.operators().into_iter().map(of).collect()
}

/// What four epochs read of each arrangement, when tables 1 and 2 have so many rows.
fn reads(nodes: Nodes, rows: i64) -> BTreeMap<usize, Vec<u64>> {
    let mut flow = nodes.flow();
    for part in filled(rows) {
        step(&mut flow, &both(|| delta(part.clone().map(|row| (row / 2, row)), 1)));
    }
    let before = read(&flow);
    for epoch in 0..4 {
        let (gone, come) = touched(rows, epoch);
        let parts = [delta(gone.into_iter(), -1), delta(come.into_iter(), 1)];
        step(&mut flow, &both(|| Delta::sum(columns().schema(), &parts)));
    }
    let since = |(node, read): (usize, Vec<u64>)| (node, read.iter().zip(&before[&node]).map(|(a, b)| a - b).collect());
    read(&flow).into_iter().map(since).collect()
}

/// Operators at work over the same tables.
#[test]
fn what_is_read_of_state_depends_on_the_changes_and_their_matches() {
    for rows in cases().into_iter().map(|case| case.rows).filter(|rows| *rows > 0).collect::<BTreeSet<_>>() {
        let all = || {
            let mut nodes = Nodes::new();
            let counted = cases().into_iter().filter(|case| case.rows == rows);
            let of = counted.map(|case| (case.add(&mut nodes), case.name)).collect::<Vec<_>>();
            (nodes, of)
        };
        let [few, many] = [1_000, rows].map(|rows| reads(all().0, rows));
        let (nodes, of) = all();
        // Both tables have 1,600 changes in all, of 400 keys each, of which each has two rows.
        let most = 2 * 1_600;
        for (at, name) in of {
            let of_nodes = |read: &BTreeMap<usize, Vec<u64>>| at.clone().flat_map(|node| read[&node].clone()).collect();
            let [few, many]: [Vec<u64>; 2] = [&few, &many].map(of_nodes);
            println!("{name}: 1,600 changes read {few:?} of its state at 10^3 rows, {many:?} at {rows}");
            assert!(few.iter().chain(&many).all(|read| *read <= most), "{name}: {few:?} and {many:?} rows read");
            let asks = |kind: &Kind| {
                matches!(kind, NodeKind::Join { .. } | NodeKind::Aggregate { .. } | NodeKind::Distinct { .. })
            };
            assert_eq!(nodes.kinds(at).any(asks), many.iter().any(|read| *read > 0), "{name}: {many:?} rows read");
        }
    }
    assert!(cases().iter().any(|case| case.rows == MOST));
}

/// As many new rows as were there, and a quarter of those goes.
fn full_epoch(salt: i64) -> Delta {
    let come = delta((0..ROWS).map(|at| (at * 7919 % ROWS / 2, at * 31 + salt)), 1);
    let gone = delta((0..ROWS / 4).map(|at| (at * 7919 % ROWS / 2, at * 31)), -1);
    Delta::sum(columns().schema(), &[come, gone])
}

/// What an epoch asks for is columns and buffers: less than once in eight rows.
#[test]
fn memory_is_not_asked_for_row_by_row() {
    // What many aggregates of a node ask for is what each of them asks for.
    for case in cases().into_iter().filter(|case| !case.name.contains("aggregates")) {
        let mut nodes = Nodes::new();
        case.add(&mut nodes);
        let mut flow = nodes.flow();
        step(&mut flow, &both(|| delta((0..ROWS).map(|at| (at * 7919 % ROWS / 2, at * 31)), 1)));
        let changes = BTreeMap::from([(TableId(1), full_epoch(1)), (TableId(2), full_epoch(2))]);
        let (result, asked) = allocations(|| step(&mut flow, &changes));
        let given: usize = changes.values().map(Delta::len).sum();
        println!("{}: {asked} allocations for {given} rows in, {} out", case.name, result.len());
        // No group is new, and none is gone.
        assert_eq!(result.is_empty(), case.name == "aggregate without calls", "{}: what came of it", case.name);
        assert!(asked < given as u64 / 8, "{}: {asked} allocations for {given} rows", case.name);
    }
}

/// How often each node was touched.
fn steps(flow: &TableFlow) -> Vec<u64> {
    flow.operators().iter().map(|operator| operator.steps).collect()
}

/// Changes of another table touch nothing, and ask for no more than lists of the graph's length.
#[test]
fn an_idle_operator_costs_nothing() {
    let mut nodes = Nodes::new();
    for case in cases() {
        case.add(&mut nodes);
    }
    let len = nodes.len();
    let mut flow = nodes.flow();
    step(&mut flow, &both(|| delta((0..ROWS / 10).map(|at| (at, at * 2)), 1)));
    assert!(steps(&flow).iter().all(|steps| *steps == 1), "the first epoch touches all");
    let changes = BTreeMap::from([(TableId(3), full_epoch(3))]);
    let before = read(&flow);
    let (result, asked) = allocations(|| step(&mut flow, &changes));
    assert!(result.is_empty() && steps(&flow).iter().all(|steps| *steps == 1));
    assert_eq!(read(&flow), before);
    assert!(asked <= len as u64 / 10 + 20, "{asked} allocations of {len} nodes in an epoch that does not concern them");
}

/// Where one input of two changes, nothing is evaluated over the other one; and what reads the other one alone is not touched.
#[test]
fn nothing_is_evaluated_over_an_empty_delta() {
    for case in cases() {
        let mut nodes = Nodes::new();
        let at = case.add(&mut nodes);
        let reads_two = nodes.kinds(at).any(|kind| match kind {
            NodeKind::Join { left, right, .. } => [left, right].contains(&&TWO),
            NodeKind::Union { inputs } => inputs.contains(&TWO),
            _ => false,
        });
        let mut flow = nodes.flow();
        step(&mut flow, &both(|| delta((0..100).map(|at| (at, at * 2)), 1)));
        let before = evaluated_over_nothing();
        for (table, touched) in [(2, reads_two), (1, true)] {
            let first = steps(&flow);
            // Rows that match nothing, too.
            for keys in [0..50, 1_000..1_050] {
                let changes = delta(keys.map(|at| (at, at * 2)), 1);
                step(&mut flow, &BTreeMap::from([(TableId(table), changes)]));
            }
            assert_eq!(steps(&flow) != first, touched, "{}: changes of table {table}", case.name);
        }
        assert_eq!(evaluated_over_nothing(), before, "{}: expressions over no rows", case.name);
    }
}

/// What is behind an operator that gives nothing is idle as well.
#[test]
fn what_is_behind_an_empty_result_is_not_touched() {
    let mut nodes = Nodes::new();
    let input = nodes.add(NodeKind::Filter { input: ONE, predicate: even(1) }, columns());
    nodes.add(NodeKind::Project { input, expressions: vec![col(0)] }, row_type([zset::ColumnType::BigInt]));
    nodes.add(NodeKind::Distinct { input }, columns());
    nodes.aggregate(input, vec![0], vec![]);
    nodes.join((input, TWO), &[0], None);
    nodes.add(NodeKind::Union { inputs: vec![input, TWO] }, columns());
    let mut flow = nodes.flow();
    step(&mut flow, &both(|| delta((0..100).map(|at| (at, at * 2)), 1)));
    let odd = delta((0..100).map(|at| (at, at * 2 + 1)), 1);
    assert!(step(&mut flow, &BTreeMap::from([(TableId(1), odd)])).is_empty());
    assert_eq!(steps(&flow), [2, 1, 1, 1, 1, 1]);
}

/// What SHOW JOBS shows of the first population.
#[test]
fn a_watched_step_tells_of_every_operator() {
    let mut nodes = Nodes::new();
    nodes.join((ONE, TWO), &[0], None);
    let mut told = Vec::new();
    nodes.flow().step_watched(&BTreeMap::new(), &mut |done, total| told.push((done, total))).unwrap();
    assert_eq!(told, [(1, 3), (2, 3), (3, 3)]);
}
