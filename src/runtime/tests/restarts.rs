//! Sequences that a TRUNCATE ... RESTART IDENTITY begins anew: what its transaction sees, and that no number is given twice
//! whoever writes meanwhile.

use std::sync::Arc;

use dataflow::{RowChanges, Sequences};
use plan::{Sequence, SequenceId, SequenceMark, TableDef};
use zset::Epoch;

use super::rows::{is_conflict, only, row_changes};
use super::transactions::together;
use super::world::{Between, Running, T, World};
use crate::Transaction;

/// A table of numbers, and its sequence.
struct Numbered {
    def: TableDef,
    of: Sequence,
    id: SequenceId,
    all: Arc<Sequences>,
}

impl Numbered {
    fn make(running: &Running) -> Self {
        running.sql(&format!("{T}CREATE TABLE n (id SERIAL, x INT); CREATE TABLE l (x TEXT, n INT)"));
        Self::of(running)
    }

    fn of(running: &Running) -> Self {
        let def = running.def("n");
        let of = def.sequence_of(0).unwrap().clone();
        let id = SequenceId { table: def.id, slot: of.slot };
        Self { id, of, all: Arc::clone(&running.handle.view().sequences), def }
    }

    fn mark(&self, last: i64, set: Option<bool>) -> SequenceMark {
        SequenceMark { sequence: self.id, last, set }
    }

    /// A sequence moves, and no row changes.
    fn moved(&self, mark: SequenceMark) -> RowChanges {
        RowChanges { sequences: vec![mark], ..row_changes(&self.def, &[], &[]) }
    }

    /// A row with the next number, taken by somebody who sees an epoch.
    fn insert(&self, from: &Sequences, seen: Epoch) -> (i64, RowChanges) {
        let number = from.take(self.id, &self.of, 1).unwrap()[0];
        let row = format!(r#"{{"id":{number},"x":0}}"#);
        let sequences = vec![self.mark(number, None)];
        (number, RowChanges { sequences, seen, ..row_changes(&self.def, &[], &[&row]) })
    }

    /// TRUNCATE ... RESTART IDENTITY, of these rows.
    fn restart(&self, rows: &[&str], seen: Epoch) -> RowChanges {
        let sequences = vec![self.mark(self.of.start, Some(false))];
        RowChanges { sequences, seen, restarts: true, ..row_changes(&self.def, rows, &[]) }
    }
}

/// What a transaction sees of its sequence, and what the others take meanwhile.
#[test]
fn a_sequence_that_is_restarted_is_so_for_the_transaction_alone() {
    let world = World::new();
    let mut running = world.start();
    let n = Numbered::make(&running);
    let (id, of, all) = (n.id, n.of.clone(), Arc::clone(&n.all));
    let mark = |last: i64, set: Option<bool>| n.mark(last, set);
    let moved = |mark: SequenceMark| n.moved(mark);
    assert_eq!(all.take(id, &of, 3).unwrap(), [1, 2, 3]);
    running.handle.write(moved(mark(3, None))).unwrap();
    let take = |transaction: &mut Transaction, running: &Running| {
        let value = transaction.view().sequences.take(id, &of, 1).unwrap()[0];
        transaction.write(&moved(mark(value, None)), &running.handle.view()).unwrap();
        value
    };
    let mut block = Transaction::new(running.handle.view());
    assert_eq!(take(&mut block, &running), 4);
    let before = block.mark();
    block.write(&n.restart(&[], Epoch(u64::MAX)), &running.handle.view()).unwrap();
    assert_eq!(take(&mut block, &running), 1);
    assert_eq!(all.take(id, &of, 1).unwrap(), [5], "for the others it goes on");
    // Back to a savepoint no number comes again, of a restart after it as it was before.
    let within = block.mark();
    assert_eq!(take(&mut block, &running), 2);
    block.write(&n.restart(&[], Epoch(u64::MAX)), &running.handle.view()).unwrap();
    assert_eq!(take(&mut block, &running), 1);
    block.back_to(&within);
    assert_eq!(take(&mut block, &running), 3);
    // Of what is done to sequences at once, what is its own stays with it.
    assert_eq!(block.keep_restarted(vec![mark(20, Some(true))]), []);
    assert_eq!(take(&mut block, &running), 21);
    let [changes] = <[RowChanges; 1]>::try_from(block.changes().unwrap()).unwrap();
    assert_eq!(changes.sequences, [mark(21, Some(true))]);
    block.back_to(&before);
    assert_eq!(block.keep_restarted(vec![mark(6, None)]), [mark(6, None)]);
    assert_eq!(take(&mut block, &running), 6, "the restart is undone");
    assert_eq!(block.changes().unwrap()[0].sequences, [mark(4, None), mark(6, None)]);
    running.handle.commit(vec![changes]).unwrap();
    assert_eq!(all.at(id, &of).last, 21);
    running = world.again(running, Between::Crash);
    assert_eq!(running.handle.view().sequences.take(id, &of, 1).unwrap(), [22]);
}

/// What others do between the begin of a transaction that restarts and its commit, and whether they come first.
#[test]
fn a_restart_is_a_conflict_if_others_wrote_the_table_meanwhile() {
    type Other = fn(&Running, &Numbered);
    let others: [(&str, Other, bool); 6] = [
        ("nothing", |_, _| {}, false),
        // Nobody has the numbers of a statement that failed.
        ("numbers that no row has", |_, n| assert_eq!(n.all.take(n.id, &n.of, 2).unwrap(), [2, 3]), false),
        (
            "a row that is locked",
            |running, n| {
                running.handle.write(row_changes(&n.def, &[ONE], &[ONE])).unwrap();
            },
            false,
        ),
        (
            "another table",
            |running, _| {
                running.insert("l", &[r#"{"x":"a","n":1}"#]);
            },
            false,
        ),
        (
            "a row",
            |running, n| {
                running.handle.write(n.insert(&n.all, Epoch(u64::MAX)).1).unwrap();
            },
            true,
        ),
        (
            "a number that no row has, as SELECT nextval takes it, also of the block itself",
            |running, n| {
                running.handle.write(n.moved(n.mark(2, None))).unwrap();
            },
            false,
        ),
    ];
    for (what, other, first) in others {
        for early in [false, true] {
            let world = World::new();
            let running = world.start();
            let n = Numbered::make(&running);
            let one = n.insert(&n.all, Epoch(u64::MAX)).1;
            running.handle.write(one).unwrap();
            let mut block = Transaction::new(running.handle.view());
            let restart = n.restart(&[ONE], block.view().epoch);
            if early {
                other(&running, &n);
                assert_eq!(block.write(&restart, &running.handle.view()).is_err(), first, "{what}");
                continue;
            }
            block.write(&restart, &running.handle.view()).unwrap();
            let (number, row) = n.insert(&block.view().sequences.clone(), block.view().epoch);
            assert_eq!(number, 1);
            block.write(&row, &running.handle.view()).unwrap();
            other(&running, &n);
            let answer = running.handle.commit(block.changes().unwrap());
            assert_eq!((is_conflict(&answer), answer.is_ok()), (first, !first), "{what}: {answer:?}");
            let next = if first { 3 } else { 2 };
            let running = world.again(running, Between::Crash);
            let n = Numbered::of(&running);
            assert_eq!(n.all.take(n.id, &n.of, 1).unwrap(), [next], "{what}");
        }
    }
}

const ONE: &str = r#"{"id":1,"x":0}"#;

/// They would be given again.
#[test]
fn numbers_that_were_taken_before_a_restart_are_not_written_after_it() {
    let world = World::new();
    let mut running = world.start();
    let n = Numbered::make(&running);
    let before = running.handle.view().epoch;
    let mut block = Transaction::new(running.handle.view());
    block.write(&n.insert(&n.all, before).1, &running.handle.view()).unwrap();
    let (number, late) = n.insert(&n.all, before);
    assert_eq!(number, 2);
    running.handle.write(n.restart(&[], before)).unwrap();
    assert!(is_conflict(&running.handle.write(late)), "a row");
    assert!(is_conflict(&running.handle.write(RowChanges { seen: before, ..n.moved(n.mark(3, None)) })), "a number");
    assert!(is_conflict(&running.handle.commit(block.changes().unwrap())), "of a block");
    let mut block = Transaction::new(running.handle.view());
    let (number, row) = n.insert(&n.all, block.view().epoch);
    block.write(&row, &running.handle.view()).unwrap();
    assert_eq!(number, 1, "who sees the restart gets its numbers");
    running.handle.commit(block.changes().unwrap()).unwrap();
    // Rows without numbers, and a sequence that is set, are nobody's concern.
    running.handle.write(RowChanges { seen: before, ..row_changes(&n.def, &[], &[r#"{"id":7,"x":0}"#]) }).unwrap();
    let now = running.handle.view().epoch;
    running.handle.write(n.moved(n.mark(9, Some(true)))).unwrap();
    running.handle.write(RowChanges { seen: now, ..n.moved(n.mark(4, None)) }).unwrap();
    running = world.again(running, Between::Crash);
    assert_eq!(running.rows("n"), only([(ONE, 1), (r#"{"id":7,"x":0}"#, 1)]));
    let n = Numbered::of(&running);
    assert_eq!(n.all.take(n.id, &n.of, 1).unwrap(), [10]);
}

#[test]
fn of_a_restart_and_a_row_that_share_an_epoch_the_first_is_written() {
    for restart_first in [true, false] {
        let world = World::new();
        let running = world.start();
        let n = Numbered::make(&running);
        let seen = running.handle.view().epoch;
        let mut both = vec![vec![n.insert(&n.all, seen).1], vec![n.restart(&[], seen)]];
        if restart_first {
            both.reverse();
        }
        let answers = together(&world, &running, both);
        assert!(answers[0].is_ok() && is_conflict(&answers[1]), "{answers:?}");
        let running = world.again(running, Between::Crash);
        let n = Numbered::of(&running);
        let next = if restart_first { 1 } else { 2 };
        assert_eq!(n.all.take(n.id, &n.of, 1).unwrap(), [next]);
        assert_eq!(running.rows("n").len(), usize::from(!restart_first));
    }
}
