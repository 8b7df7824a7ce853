//! The steps of a run. What the n-th step does is decided by the seed and n, and by where the run is then: without one of
//! its steps a run is another run, and the others of its steps fall as they did.

use std::time::Duration;

use api::Log as _;

use super::dice::Dice;
use super::log::Fault;
use super::model::{Checked, ensure};
use super::world::World;
use crate::tests::database::Fault as DatabaseFault;

/// The first steps of a run only make tables and sinks.
pub const FIRST_STEPS: u64 = 5;

/// Does the `n`-th step, and compares.
pub fn step(world: &mut World, seed: u64, n: u64) -> Checked {
    let mut dice = Dice::of(seed, 2 + n);
    if world.engine.is_none() {
        world.open().map_err(|error| format!("it does not start: {error}"))?;
        world.settle()?;
    }
    if n < FIRST_STEPS {
        world.create_something(&mut dice, n)?;
        return world.settle();
    }
    match dice.below(100) {
        0..26 => world.produce(&mut dice),
        26..46 => world.work(&mut dice),
        46..62 => world.turn("a turn")?,
        62..68 => world.wait(&mut dice)?,
        68..78 => world.write(&mut dice)?,
        78..85 => world.define(&mut dice)?,
        85..92 => world.trouble(&mut dice),
        92..94 => world.checkpoint(&mut dice)?,
        94..96 => world.leave_and_return(&mut dice)?,
        _ => world.crash(&mut dice)?,
    }
    world.settle()
}

/// All that is in the topics is read in the end, and what there is outlives a stop or a crash.
pub fn finish(world: &mut World, seed: u64) -> Checked {
    if world.engine.is_none() {
        world.reopen()?;
    }
    world.calm_down();
    for _ in 0..400 {
        let names: Vec<String> = world.producers.keys().cloned().collect();
        if names.iter().all(|name| world.is_read(name)) && world.database_is_done() && world.sinks_are_even() {
            break;
        }
        for (at, _) in world.stage.works() {
            world.stage.step(at);
        }
        world.stage.pass(Duration::from_millis(50));
        world.turn("at the end")?;
    }
    let unread: Vec<&String> = world.producers.keys().filter(|name| !world.is_read(name)).collect();
    ensure(unread.is_empty(), || format!("{unread:?} are not read to their ends"))?;
    ensure(world.database_is_done(), || format!("the database lacks changes: {:?}", world.database.state()))?;
    ensure(world.sinks_are_even(), || "a sink lacks records that wait for it".to_string())?;
    match Dice::of(seed, 1).chance(50) {
        true => world.stop()?,
        false => world.die(),
    }
    world.reopen()?;
    world.die();
    Ok(())
}

impl World {
    /// Producers write.
    fn produce(&mut self, dice: &mut Dice) {
        let names: Vec<String> = self.producers.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = dice.pick(&names).clone();
        let producer = self.producers.get_mut(&name).unwrap();
        if producer.partitions < 3 && dice.chance(2) && producer.seen.is_empty() && !producer.kind.is_keyed() {
            producer.partitions += 1;
            self.log.grow(&name);
        }
        let count = 1 + dice.below(6);
        let records: Vec<_> = (0..count)
            .flat_map(|_| producer.kind.produce(&name, producer.partitions, &mut producer.seen, dice))
            .collect();
        self.note(format!("{} records for {name}", records.len()));
        self.log.append(&records).unwrap();
        self.counts.count("records produced");
    }

    /// One of the works beside the loop goes on.
    fn work(&mut self, dice: &mut Dice) {
        let works = self.stage.works();
        if works.is_empty() {
            return;
        }
        for _ in 0..=dice.below(3) {
            let (at, name) = dice.pick(&works).clone();
            self.note(format!("a step of {name}"));
            self.stage.step(at);
        }
    }

    /// The loop turns once.
    pub fn turn(&mut self, why: &str) -> Checked {
        self.note(why);
        self.drive(|engine, gathered| engine.turn(gathered, Duration::ZERO))?;
        self.settle()
    }

    /// Time passes, and the loop turns.
    fn wait(&mut self, dice: &mut Dice) -> Checked {
        let ms = [1, 11, 60, 450, 1100][dice.below(5)];
        self.stage.pass(Duration::from_millis(ms));
        self.turn(&format!("{ms} ms pass, and a turn"))
    }

    /// Something is about to fail.
    fn trouble(&mut self, dice: &mut Dice) {
        let what = match dice.below(10) {
            0 | 1 => {
                let times = 1 + dice.below(2);
                self.fail_commits(&vec![Fault::Abort; times]);
                "the next transactions are aborted"
            }
            2 => {
                self.fail_commits(&[Fault::Lost]);
                "the next transaction is lost"
            }
            3 => {
                self.fail_commits(&[Fault::Unanswered]);
                "the answer of the next transaction is lost"
            }
            4 => {
                self.fail_commits(&[Fault::Open { commits: dice.chance(50) }]);
                "the next transaction stays open"
            }
            5 => {
                let times = 1 + dice.below(3);
                self.log.behaviour(|behaviour| behaviour.reads_fail = times);
                "the next reads fail"
            }
            6 => {
                let topics: Vec<String> = self.model.sinks.values().map(|sink| sink.topic.clone()).collect();
                if topics.is_empty() {
                    return;
                }
                let topic = dice.pick(&topics).clone();
                self.log.behaviour(|behaviour| behaviour.refuse = Some(topic));
                "the next record of a sink is refused"
            }
            7 => {
                let all = [DatabaseFault::DieBefore, DatabaseFault::DieAfter];
                self.database.state().faults.push_back(*dice.pick(&all));
                "the next transaction of the database fails"
            }
            _ => {
                const POINTS: [&str; 14] = [
                    "epoch-process",
                    "epoch-staged",
                    "commit-after",
                    "checkpoint-blocks",
                    "checkpoint-flush",
                    "checkpoint-links",
                    "checkpoint-manifest",
                    "checkpoint-rename",
                    "checkpoint-made",
                    "catalog-before",
                    "catalog-after",
                    "epochs-trim",
                    "refresh",
                    "backlog-fill",
                ];
                let point = match self.sinks_are_even() {
                    true => *dice.pick(&POINTS),
                    false => "backlog-release",
                };
                self.faults.set(point, fault::Action::Error, 1);
                self.note(format!("{point} is to fail"));
                self.counts.count("failpoints set");
                return;
            }
        };
        self.note(what);
        self.counts.count(what);
    }

    fn fail_commits(&mut self, faults: &[Fault]) {
        let faults: Vec<_> = faults.iter().copied().map(Some).collect();
        self.log.behaviour(|behaviour| behaviour.commits.extend(faults));
    }

    /// Nothing is about to fail any more.
    pub fn calm_down(&mut self) {
        self.log.behaviour(|behaviour| {
            behaviour.commits.clear();
            behaviour.refuse = None;
            (behaviour.reads_fail, behaviour.topics_fail) = (0, 0);
        });
        self.database.state().faults.clear();
    }

    /// Whether anything is about to fail in a commit.
    pub fn expects_trouble(&self) -> bool {
        let state = self.log.lock();
        !state.behaviour.commits.is_empty() || state.behaviour.refuse.is_some()
    }
}
