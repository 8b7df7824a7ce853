//! Reading the simulated log: committed records only, in pieces of any size, from any partition first.

use std::time::{Duration, Instant};

use api::{LogError, Reader, Record, TopicPartition};
use zset::Offset;

use super::log::{SimLog, State};

pub struct SimReader {
    log: SimLog,
    cursors: Vec<(TopicPartition, i64)>,
}

impl SimReader {
    pub fn new(log: SimLog) -> Self {
        Self { log, cursors: Vec::new() }
    }

    fn gather(cursors: &mut [(TopicPartition, i64)], state: &mut State, max: usize) -> Result<Vec<Record>, LogError> {
        for (at, next) in cursors.iter() {
            state.part(at)?.check(at, *next)?;
        }
        let (mut max, mut first) = (max, 0);
        if let Some(dice) = &mut state.behaviour.dice {
            max = max.min(1 + dice.below(8));
            first = dice.below(cursors.len());
        }
        let mut records = Vec::new();
        let count = cursors.len();
        for step in 0..count {
            let (at, next) = &mut cursors[(first + step) % count];
            let part = state.part(at)?;
            let from = part.find(*next);
            let readable = part.records[from..].iter().take_while(|record| record.offset.0 < part.high());
            records.extend(readable.take(max - records.len()).cloned());
            if let Some(last) = records.last().filter(|last| last.at == *at) {
                *next = last.offset.0 + 1;
            }
            // Behind the last record there may be a control record, which is passed without being seen.
            if part.find(*next) == part.find(part.high()) && records.len() < max {
                *next = part.high();
            }
        }
        Ok(records)
    }
}

impl Reader for SimReader {
    fn assign(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.log.lock().part(at)?.check(at, offset.0)?;
        self.unassign(at)?;
        self.cursors.push((at.clone(), offset.0));
        Ok(())
    }

    fn unassign(&mut self, at: &TopicPartition) -> Result<(), LogError> {
        self.cursors.retain(|(assigned, _)| assigned != at);
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + wait;
        let inner = std::sync::Arc::clone(&self.log.0);
        let mut state = inner.state.lock().unwrap();
        loop {
            if state.behaviour.reads_fail > 0 {
                state.behaviour.reads_fail -= 1;
                return Err(LogError::Retriable("no answer just now".to_string()));
            }
            let records = Self::gather(&mut self.cursors, &mut state, max)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !records.is_empty() || state.behaviour.dice.is_some() || left.is_zero() {
                return Ok(records);
            }
            state = inner.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn at_end(&mut self, at: &TopicPartition) -> Result<bool, LogError> {
        let state = self.log.lock();
        let cursor = self.cursors.iter().find(|(assigned, _)| assigned == at);
        let (_, next) = cursor.ok_or_else(|| LogError::Unusable(format!("{at:?} is not assigned")))?;
        let part = state.part(at)?;
        part.check(at, *next)?;
        Ok(part.find(*next) == part.find(part.high()))
    }
}
