//! Commits on their way: the next epoch is processed meanwhile, and nobody sees anything of an epoch before it is committed.

use zset::Epoch;

use super::commits::SINKS;
use super::faulty_log::Fault;
use super::wait::until;
use super::world::{Between, Running, T, World, append, put, read};
use crate::{EngineError, Phase};

/// A world whose epochs are full with one record.
fn full_with_one() -> World {
    let mut world = World::new();
    world.config.epoch_rows_max = 1;
    world
}

/// A process whose first epoch of a source is on its way, and whose second one, which is full, is processed.
fn one_ahead_of_the_other(world: &World, between: impl FnOnce(&World)) -> (Running, Epoch) {
    let running = world.start();
    running.sql(&format!("{T}{SINKS}"));
    let (shown, _) = running.handle.shared().epoch();
    world.log.faults.gate.shut();
    append(&world.log, "t", 0, &[put(1, 1, 10)]);
    world.log.faults.gate.wait_held();
    between(world);
    let staged = || world.faults.hits()["epoch-staged"];
    let before = staged();
    append(&world.log, "t", 0, &[put(2, 2, 20)]);
    until("the second epoch is processed while the first is being committed", || staged() > before);
    (running, shown)
}

#[test]
fn an_epoch_is_processed_while_another_commits_and_nobody_sees_either() {
    let world = full_with_one();
    let (running, shown) = one_ahead_of_the_other(&world, |_| ());
    assert_eq!(running.handle.shared().epoch().0, shown);
    assert!(running.rows("t").is_empty() && running.rows("x").is_empty(), "readers are at the last committed epoch");
    assert!(read(&world.log, "out", 0).is_empty());
    assert_eq!(running.handle.shared().tables()["t"].rows, 0);
    assert_eq!(running.handle.shared().sources().into_values().next().unwrap().position.0, 0);
    world.log.faults.gate.open();
    running.settle("t");
    let running = world.again(running, Between::Crash);
    assert_eq!((running.rows("t").len(), running.rows("x").len()), (2, 2));
    assert_eq!(running.handle.shared().epoch().0, Epoch(shown.0 + 2));
    assert_eq!(read(&world.log, "out", 0).len(), 4, "each row once, of two sinks");
    running.verify();
}

/// What comes behind what was refused waits too, though the topic would take it.
#[test]
fn a_refusal_on_the_way_is_known_to_the_epoch_behind_it() {
    let world = full_with_one();
    let refuse = |world: &World| {
        let first = |record: &api::OutRecord| record.value.as_deref().is_some_and(|v| v.ends_with(b"\"refused\":10}"));
        *world.log.faults.refuse.lock().unwrap() = Some(Box::new(first));
    };
    let (running, _) = one_ahead_of_the_other(&world, refuse);
    world.log.faults.gate.open();
    running.settle("t");
    assert!(running.show("SINKS")["y_out"][2].contains("not wanted"));
    let of_y = || {
        let values = read(&world.log, "out", 0).into_iter().filter_map(|record| record.value);
        values.filter(|value| value.windows(9).any(|w| w == b"\"refused\"")).collect::<Vec<_>>()
    };
    assert_eq!((of_y().len(), read(&world.log, "out", 0).len()), (0, 2), "those of the other sink are there");
    let running = world.again(running, Between::Crash);
    *world.log.faults.refuse.lock().unwrap() = None;
    running.until("what was refused is written", || of_y().len() >= 2);
    assert!(of_y()[0].ends_with(b"10}") && of_y()[1].ends_with(b"20}"), "each once, in their order");
}

#[test]
fn what_is_behind_a_commit_in_doubt_never_was() {
    for fault in [Fault::DieBefore, Fault::DieAfter, Fault::Later] {
        let world = full_with_one();
        let behind = |world: &World| world.log.faults.commits.lock().unwrap().push_back(fault);
        let (running, shown) = one_ahead_of_the_other(&world, behind);
        world.log.faults.gate.open();
        let (_, end) = running.end();
        assert!(matches!(end, Err(EngineError::InDoubt(_))), "{end:?}");
        let running = world.start();
        running.settle("t");
        assert_eq!(running.rows("x").len(), 2);
        assert_eq!(running.handle.shared().epoch().0.0 - shown.0, if fault == Fault::DieBefore { 1 } else { 2 });
        assert_eq!(read(&world.log, "out", 0).len(), 4, "{fault:?}: neither lost nor doubled");
    }
}

#[test]
fn asked_to_stop_while_a_commit_does_not_come_through_nothing_of_it_is_stored() {
    let world = full_with_one();
    let away = |world: &World| *world.log.faults.away.lock().unwrap() = true;
    let (running, shown) = one_ahead_of_the_other(&world, away);
    running.handle.shared().ask_to_stop();
    world.log.faults.gate.open();
    running.stop().unwrap();
    *world.log.faults.away.lock().unwrap() = false;
    let running = world.start();
    running.settle("t");
    assert_eq!(running.rows("x").len(), 2);
    assert!(running.handle.shared().epoch().0 > shown);
    assert_eq!(read(&world.log, "out", 0).len(), 4);
    running.verify();
}

#[test]
fn a_commit_whose_thread_panics_ends_the_process() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    world.log.faults.commits.lock().unwrap().push_back(Fault::Panic);
    append(&world.log, "t", 0, &[put(1, 1, 10)]);
    let (phase, end) = running.end();
    assert!(matches!(phase, Phase::Failed(_)), "{phase:?}");
    assert!(end.unwrap_err().to_string().contains("panicked"));
    let running = world.start();
    running.settle("t");
    assert_eq!(running.rows("t").len(), 1);
}

/// So that it is as large as the load makes it, and no reader waits for a commit.
#[test]
fn an_epoch_that_is_not_full_grows_while_another_commits() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    let (shown, _) = running.handle.shared().epoch();
    world.log.faults.gate.shut();
    append(&world.log, "t", 0, &[put(1, 1, 10)]);
    world.log.faults.gate.wait_held();
    for id in 2..=20 {
        append(&world.log, "t", 0, &[put(id, 1, 10)]);
    }
    let received = || running.handle.shared().metrics.counts()["records_in"];
    until("they are read meanwhile", || received() == 20);
    world.log.faults.gate.open();
    running.settle("t");
    assert_eq!(running.rows("t").len(), 20);
    assert_eq!(running.handle.shared().epoch().0, Epoch(shown.0 + 2));
}
