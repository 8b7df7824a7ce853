//! ALTER TABLE ... RESTART FROM and ACCEPT LOSS, carried out.

use api::LogError;
use dataflow::{Contents, Mend, ReadFrom, StatementError, contents_id};
use plan::{Mended, MendedPosition, Mending, StartAt, TableId};
use zset::{Offset, Partition, TimestampMs};

use super::apply::Change;
use super::{Kind, Loss, Verdict};
use crate::engine::Position;
use crate::feed::Feed;
use crate::verify::kind;
use crate::{Engine, EngineError};

impl Engine {
    /// Carries it out; what it answers is said to the user.
    pub(crate) fn mend(&mut self, mend: &Mend) -> Result<Vec<String>, EngineError> {
        let id = mend.table;
        let def = self.tables[&id].def.clone();
        let Some(source) = def.source() else { return Ok(Vec::new()) };
        let feed = Feed::of(&self.parts, source).map_err(EngineError::of_statement)?;
        let partitions = feed.partitions().map_err(EngineError::of_statement)?;
        if partitions.is_empty() {
            let verb = if feed.topics().count() > 1 { "do" } else { "does" };
            let message = format!("{} {verb} not exist in {}", feed.words(), feed.transport.name());
            return refuse("42704", message, "make the topic first, or bring it back");
        }
        let absent = self.absent(id, (&feed, &partitions), (mend.way, mend.from.as_ref()))?;
        let earliest = mend.from == Some(ReadFrom::Start(StartAt::Earliest));
        if mend.way == Mending::Restarted && earliest && kind(&def) == Kind::Upsert {
            // The rows that stay the same need not go and come again.
            return match self.reconcile_by(id, mend.way, &mend.sql)? {
                Ok(()) => Ok(absent.notices),
                Err(why) => {
                    self.resume_reading(id)?;
                    refuse(
                        "55000",
                        format!("cannot read the topic of {}: {why}", def.name),
                        "try again when it can be read",
                    )
                }
            };
        }
        let mut positions = match &mend.from {
            Some(from) => self.starts_at(&feed, &partitions, from)?,
            None => self.accepted(id, &def.name, &feed, &partitions)?,
        };
        if mend.way != Mending::Restarted {
            positions = self.no_less(id, positions)?;
        }
        positions.extend(absent.positions);
        positions.sort_by_key(|position| position.partition);
        self.sources.remove(&id);
        let mut change = Change::default();
        if mend.way == Mending::Restarted {
            let nothing = self.store.arrangement(contents_id(id), Contents::law(&def));
            change.contents = Some(Contents::with_rows(&def, nothing, 0));
        }
        let mended = Mended { table: id, way: mend.way, reason: mend.sql.clone(), positions };
        let now = self.clock();
        self.commit_mended(mended, change, now)?;
        Ok(absent.notices)
    }

    /// A statement that failed changes nothing.
    fn resume_reading(&mut self, id: TableId) -> Result<(), EngineError> {
        if self.lost.contains_key(&id) || self.halts.contains_key(&id) {
            return Ok(());
        }
        self.start_source(id)
    }

    /// Where every partition begins.
    fn starts_at(
        &self,
        feed: &Feed,
        partitions: &[Partition],
        from: &ReadFrom,
    ) -> Result<Vec<MendedPosition>, EngineError> {
        if let ReadFrom::Offsets(offsets) = from {
            if let Some(partition) = offsets.keys().find(|partition| !partitions.contains(partition)) {
                let message = format!("topic \"{}\" has no partition {partition}", feed.at(*partition).topic);
                return refuse("22023", message, "SHOW SOURCES lists the partitions");
            }
            if let Some(partition) = partitions.iter().find(|partition| !offsets.contains_key(partition)) {
                let message = format!("there is no offset for {}", feed.transport.place(&feed.at(*partition)));
                return refuse("22023", message, "give one for every partition: '0:1200,1:1180'");
            }
        }
        let place = |partition: Partition| -> Result<MendedPosition, EngineError> {
            let at = feed.at(partition);
            let bounds = feed.transport.bounds(&at).map_err(EngineError::of_statement)?;
            let start = match from {
                ReadFrom::Start(StartAt::Earliest) => bounds.low,
                ReadFrom::Start(StartAt::Latest) => bounds.high,
                ReadFrom::Start(StartAt::Time(time)) => {
                    feed.transport.offset_at(&at, TimestampMs(*time)).map_err(EngineError::of_statement)?
                }
                ReadFrom::Offsets(offsets) => offsets[&partition],
            };
            if start < bounds.low || start > bounds.high {
                let (low, high) = (bounds.low, bounds.high);
                let message = format!("{} has no offset {start}", feed.transport.place(&at));
                return refuse("22023", message, &format!("it holds offsets {low} to {high}"));
            }
            Ok(Position::at(start).mended(partition))
        };
        partitions.iter().map(|partition| place(*partition)).collect()
    }

    /// Where the topic is still what was read, reading goes on there; elsewhere from the first record that it has.
    fn accepted(
        &self,
        id: TableId,
        name: &str,
        feed: &Feed,
        partitions: &[Partition],
    ) -> Result<Vec<MendedPosition>, EngineError> {
        let found = self.check_partitions(id)?;
        let whole = found.values().all(Option::is_none);
        if whole && !self.lost.contains_key(&id) && !self.halts.contains_key(&id) {
            let message = format!("nothing of the topic of table {name} is lost");
            return refuse(
                "55000",
                message,
                "to drop its rows and read it anew: ALTER TABLE ... RESTART FROM 'earliest'",
            );
        }
        let place = |partition: Partition| -> Result<MendedPosition, LogError> {
            let position = self.positions.get(&(id, partition));
            let lost = found.get(&partition).cloned().flatten().map(|lost| lost.verdict);
            match (position, lost) {
                (Some(position), None | Some(Verdict::Reconcile(Loss::Deletes) | Verdict::Halt(Loss::Deletes))) => {
                    Ok(MendedPosition { absent: false, ..position.mended(partition) })
                }
                _ => Ok(Position::at(low(feed, partition)?).mended(partition)),
            }
        };
        let positions = partitions.iter().map(|partition| place(*partition));
        positions.collect::<Result<_, _>>().map_err(EngineError::of_statement)
    }
}

fn low(feed: &Feed, partition: Partition) -> Result<Offset, LogError> {
    Ok(feed.transport.bounds(&feed.at(partition))?.low)
}

pub(super) fn refuse<T>(sqlstate: &'static str, message: String, hint: &str) -> Result<T, EngineError> {
    let hint = Some(hint.to_string());
    Err(StatementError { sqlstate, message, hint, detail: None, position: None, about: None }.into())
}
