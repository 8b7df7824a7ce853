//! Writing to the simulated log: a transaction happens, or what the behaviour says happens instead.

use api::{CommitError, LogError, OutRecord, Record, TopicPartition, Writer};
use zset::Offset;

use super::log::{Fault, InDoubt, SimLog, State, as_read};

pub struct SimWriter {
    log: SimLog,
    generation: u64,
    /// Why nothing can be written any more.
    broken: Option<&'static str>,
}

/// The offsets that records would get, one behind the other.
struct Places(std::collections::BTreeMap<TopicPartition, i64>);

impl Places {
    fn place(&mut self, state: &State, records: &[OutRecord], placed: &mut Vec<Record>) -> Result<(), CommitError> {
        for record in records {
            let refused = |reason: String| {
                let topic = record.to.topic.to_string();
                CommitError::Refused { index: placed.len(), topic, reason }
            };
            let part = state.part(&record.to).map_err(|error: LogError| refused(error.to_string()))?;
            if state.behaviour.refuse.as_deref() == Some(&*record.to.topic) {
                return Err(refused("it is not wanted".to_string()));
            }
            let next = self.0.entry(record.to.clone()).or_insert(part.next);
            placed.push(as_read(record, Offset(*next)));
            *next += 1;
        }
        Ok(())
    }
}

impl SimWriter {
    pub fn new(log: SimLog, generation: u64) -> Self {
        Self { log, generation, broken: None }
    }

    /// What follows is asked for; of an attempt that fails with offsets that nothing will have.
    fn placed(
        state: &State,
        first: &[OutRecord],
        rest: &mut dyn FnMut(&[Offset]) -> Vec<OutRecord>,
    ) -> Result<Vec<Record>, CommitError> {
        let (mut places, mut placed) = (Places(Default::default()), Vec::new());
        places.place(state, first, &mut placed)?;
        let offsets: Vec<Offset> = placed.iter().map(|record| record.offset).collect();
        let follows = rest(&offsets);
        places.place(state, &follows, &mut placed)?;
        Ok(placed)
    }
}

impl Writer for SimWriter {
    fn commit(
        &mut self,
        first: &[OutRecord],
        rest: &mut dyn FnMut(&[Offset]) -> Vec<OutRecord>,
    ) -> Result<Vec<Offset>, CommitError> {
        let mut state = self.log.lock();
        if self.generation != state.generation {
            return Err(CommitError::Fenced("a newer writer".to_string()));
        }
        if let Some(why) = self.broken {
            return Err(CommitError::InDoubt(why.to_string()));
        }
        let fault = state.behaviour.commits.pop_front().flatten();
        let placed = Self::placed(&state, first, rest);
        if matches!(placed, Err(CommitError::Refused { .. })) {
            state.behaviour.refuse = None;
        }
        let records = placed?;
        let offsets = records.iter().map(|record| record.offset).collect();
        match fault {
            Some(Fault::Abort) => {
                if state.behaviour.gaps {
                    // The records were there, and are marked as if they were not.
                    records.iter().for_each(|record| state.part_mut(&record.at).next = record.offset.0 + 1);
                    state.leave_gaps(&records);
                }
                return Err(CommitError::Aborted("as the dice fell".to_string()));
            }
            Some(Fault::Lost) => self.broken = Some("it was lost"),
            Some(Fault::Open { commits }) => {
                self.broken = Some("it is open");
                state.push(&records);
                for record in &records {
                    let part = state.part_mut(&record.at);
                    part.hidden.get_or_insert(record.offset.0);
                }
                state.in_doubt = Some(InDoubt { records, commits });
            }
            None | Some(Fault::Unanswered) => {
                state.push(&records);
                if state.behaviour.gaps {
                    state.leave_gaps(&records);
                }
                state.note(records);
                if fault.is_some() {
                    self.broken = Some("its answer was lost");
                }
            }
        }
        self.log.0.changed.notify_all();
        match self.broken {
            Some(why) => Err(CommitError::InDoubt(why.to_string())),
            None => Ok(offsets),
        }
    }
}
