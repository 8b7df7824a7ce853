//! How a process ends in a run, and what it finds when it comes back: its folder and its log as they were, damaged, or of
//! an earlier moment. It goes on exactly, or it refuses to start; it is never wrong.

use plan::EpochRecord;

use super::dice::Dice;
use super::disk;
use super::model::{Checked, ensure};
use super::world::World;
use crate::EngineError;

impl World {
    /// A checkpoint is asked for.
    pub fn checkpoint(&mut self, _: &mut Dice) -> Checked {
        self.note("a checkpoint is asked for");
        self.drive(|engine, _| {
            // The loop does so before, for a commit that fails is fatal.
            engine.land()?;
            match engine.checkpoint_now() {
                // One that fails is not.
                Err(error) if error.to_string().contains("failpoint") => Ok(()),
                made => made.map(|_| ()),
            }
        })?;
        self.counts.count("checkpoints asked for");
        self.keep_copy();
        Ok(())
    }

    /// Keeps the folder as it is, to put it back later.
    fn keep_copy(&mut self) {
        let Some(epoch) = self.engine.as_ref().and_then(|engine| engine.store.checkpoints().pop()) else { return };
        let epoch = epoch.0;
        self.copied += 1;
        let target = self.dir.path().join(format!("copy{}", self.copied));
        disk::copy(&self.data(), &target);
        self.copies.push((epoch, target));
    }

    /// It stops as it is asked to.
    pub fn stop(&mut self) -> Checked {
        self.note("it stops");
        let starts = self.starts();
        self.drive(|engine, gathered| {
            let gathered = std::mem::take(gathered);
            engine.leave(gathered)
        })?;
        if self.starts() == starts {
            self.settle()?;
        }
        self.die();
        Ok(())
    }

    pub fn leave_and_return(&mut self, _: &mut Dice) -> Checked {
        self.stop()?;
        self.counts.count("stops");
        self.reopen()
    }

    /// It dies, and comes back to what a crash may have left.
    pub fn crash(&mut self, dice: &mut Dice) -> Checked {
        self.note("it dies");
        self.die();
        self.counts.count("crashes");
        // What was in doubt is decided by whoever opens the log next: it is, before anything else is lost.
        match dice.below(10) {
            0..3 => self.reopen(),
            3 => {
                disk::leave_unfinished(&self.data(), self.model.epoch());
                self.note("  an unfinished checkpoint is left");
                self.reopen()
            }
            4 | 5 => self.return_to_damage(dice),
            6 => self.return_to_an_older_folder(dice),
            7 => self.return_as_another_version(dice),
            8 => self.return_to_a_forged_topic(dice),
            _ => self.return_to_an_older_log(dice),
        }
    }

    /// The newest checkpoint is damaged: the one before is used, or, without one, it does not start.
    fn return_to_damage(&mut self, dice: &mut Dice) -> Checked {
        let before = self.dir.path().join("before");
        disk::copy(&self.data(), &before);
        let whole = self.whole.clone();
        let newest = disk::checkpoints(&self.data()).into_iter().rfind(|(epoch, _)| whole.contains(epoch));
        if let Some((epoch, newest)) = newest {
            let what = disk::damage(&newest, dice);
            self.note(format!("  of checkpoint {epoch} {what}"));
        }
        let result = match self.open() {
            Ok(()) => self.settle(),
            Err(error) => {
                let text = error.to_string();
                // The one before may be of a folder that was put back, and its records are gone since.
                let older = whole.len().checked_sub(2).map(|at| whole[at]);
                let useless = older.is_some_and(|epoch| epoch < self.gone_below) && text.contains("they were deleted");
                ensure(useless || whole.len() <= 1 && text.contains("no whole checkpoint"), || {
                    format!("it does not start: {text}")
                })?;
                self.counts.count("no whole checkpoint");
                self.die();
                disk::put_back(&self.data(), &before);
                self.reopen()
            }
        };
        std::fs::remove_dir_all(&before).unwrap();
        self.counts.count("damaged checkpoints");
        result
    }

    /// The folder is of an earlier moment: the records since then are replayed, or they are gone, and it says so.
    fn return_to_an_older_folder(&mut self, dice: &mut Dice) -> Checked {
        if self.copies.is_empty() {
            return self.reopen();
        }
        let kept = self.whole.clone();
        let (epoch, copy) = dice.pick(&self.copies).clone();
        let before = self.dir.path().join("before");
        disk::copy(&self.data(), &before);
        disk::put_back(&self.data(), &copy);
        self.note(format!("  the folder is as it was with checkpoint {epoch}"));
        self.counts.count("older folders");
        let result = match self.open() {
            Ok(()) => {
                self.gone_below = self.first_recorded()?;
                self.settle()
            }
            Err(error) => {
                let text = error.to_string();
                let gone = text.contains("they were deleted");
                ensure(gone && !kept.contains(&epoch), || format!("it does not start: {text}"))?;
                self.counts.count("older folders refused");
                self.die();
                disk::put_back(&self.data(), &before);
                self.reopen()
            }
        };
        std::fs::remove_dir_all(&before).unwrap();
        result
    }

    /// The first epoch whose record is still there.
    fn first_recorded(&self) -> Result<u64, String> {
        let state = self.log.lock();
        let part = state.topics.get("p.epochs").and_then(|topic| topic.parts.first());
        let first = part.and_then(|part| part.records.get(part.find(part.low)));
        let bytes = first.and_then(|record| record.value.as_ref()).ok_or("there is no epoch record")?;
        EpochRecord::decode(bytes).map(|record| record.epoch.0).map_err(|error| error.to_string())
    }

    /// The end of the log was not synced. If the folder is ahead of it, it does not start; else the model is where the log is.
    fn return_to_an_older_log(&mut self, dice: &mut Dice) -> Checked {
        self.log.lock().resolve();
        self.settle()?;
        let newest = self.whole.last().copied().unwrap_or(0);
        let lost = 1 + dice.below(4);
        let kept = self.model.followed.saturating_sub(lost).max(1);
        let (saved, model, history) = (self.log.save(), self.model.clone(), self.history.len());
        self.log.lose_behind(kept);
        let back = self.history[kept - 1].clone();
        self.note(format!("  the log ends behind epoch {}, the folder is at {newest}", back.epoch()));
        self.counts.count("older logs");
        let ahead = newest > back.epoch();
        let after = self.history.split_off(kept);
        let model_then = std::mem::replace(&mut self.model, back);
        match self.open() {
            Ok(()) => {
                ensure(!ahead, || "it starts on a folder that is ahead of its log".to_string())?;
                // Who was told of what is lost now, was lied to; producers know.
                self.forget_lost();
                self.settle()
            }
            Err(error) => {
                ensure(ahead && matches!(error, EngineError::Recovery(_)), || format!("it does not start: {error}"))?;
                self.counts.count("older logs refused");
                self.die();
                self.log.restore(saved);
                self.history.extend(after);
                self.model = model_then;
                assert_eq!((self.history.len(), self.model.epoch()), (history, model.epoch()));
                self.reopen()
            }
        }
    }

    /// A version comes that understands some SQL otherwise: it comes to the same, or does not start. Then the right one.
    fn return_as_another_version(&mut self, dice: &mut Dice) -> Checked {
        let misread = *dice.pick(&[
            ("max (", "min ("),
            ("a + b", "a - b"),
            ("> 1", "> 2"),
            ("a / b", "b / a"),
            ("sum (", "max ("),
        ]);
        self.note(format!("  a version comes that takes {} for {}", misread.1, misread.0));
        self.counts.count("other versions");
        self.misread = Some(misread);
        let result = match self.open() {
            // What it would make of new records is not asked.
            Ok(()) => self.settle(),
            Err(EngineError::Recovery(_)) => {
                self.counts.count("other versions refused");
                Ok(())
            }
            Err(error) => Err(format!("it does not start: {error}")),
        };
        self.die();
        self.misread = None;
        result?;
        self.reopen()
    }

    /// A record that was read has become another one: it is known by heart, or it does not start.
    fn return_to_a_forged_topic(&mut self, dice: &mut Dice) -> Checked {
        self.log.lock().resolve();
        self.settle()?;
        let names: Vec<String> = self.producers.keys().cloned().collect();
        let saved = self.log.save();
        let name = names.get(dice.below(names.len())).cloned().unwrap_or_default();
        if !self.log.forge(&name, dice) {
            return self.reopen();
        }
        self.note("  a record of a source is another one now");
        self.counts.count("forged records");
        let result = match self.open() {
            Ok(()) => self.settle(),
            Err(EngineError::Recovery(_)) => {
                self.counts.count("forged records refused");
                Ok(())
            }
            Err(error) => Err(format!("it does not start: {error}")),
        };
        self.die();
        // It may have said so in an epoch of its own: that is not followed.
        if self.log.transactions(self.model.followed).is_empty() && self.model.followed == saved.1.len() {
            self.log.restore(saved);
        }
        result?;
        self.reopen()
    }

    /// What was made behind the end of the log never was.
    fn forget_lost(&mut self) {
        let had = self.database.state().progress.as_ref().map_or(0, |progress| progress.epoch.0);
        self.database_is_ahead |= had > self.model.epoch();
        let state = self.log.lock();
        self.producers.retain(|name, _| state.topics.contains_key(name));
        for (name, producer) in &mut self.producers {
            producer.partitions = state.topics[name].parts.len();
        }
        drop(state);
        self.copies.clear();
    }
}
