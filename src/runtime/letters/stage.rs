//! The records of a source, staged up to where its policy stops it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use api::Record;
use plan::{SourceHalt, TableId};

use super::policy::{Cut, Policy, cut};
use crate::EngineError;
use crate::dead_letter::{Cause, first_chars};
use crate::stage::Staged;
use crate::table::{Decoded, Table};

/// A reason that a halt quotes has no more characters than this.
const REASON_CHARS_MAX: usize = 500;

/// Decodes and stages records that are in order. Where the source must stop at a bad one, what is before is staged, and the
/// halt is in `staged`. Answers what was decoded of which records: of all of them the columns that are `read`, of fewer all columns.
pub(crate) fn stage<'a>(
    staged: &mut Staged,
    id: TableId,
    table: &mut Table,
    records: &'a [Record],
    mut read: Option<&[bool]>,
) -> Result<(Decoded, Cow<'a, [Record]>), EngineError> {
    let source = table.source_def().expect("records are for source tables");
    let policy = Policy::of(source);
    let room = policy.room(table.letters.minute, staged.timestamp).filter(|_| !staged.replays);
    let mut taken = Cow::Borrowed(records);
    let mut halt = None;
    let decoded = loop {
        let decoded = table.stage_records(&taken, read)?;
        let bad: Vec<usize> = decoded.dead.iter().map(|(place, _)| *place).collect();
        // A record that is not taken may have been what another one needed: it is looked at again.
        let Some(cut) = cut(&taken, &bad, room) else { break decoded };
        halt = Some(SourceHalt { table: id, reason: reason(table, policy, &taken, &cut, &decoded) });
        table.discard();
        taken = Cow::Owned(cut.taken(&taken));
        read = None;
    };
    staged.halts.extend(halt);
    let dead: BTreeSet<usize> = decoded.dead.iter().map(|(place, _)| *place).collect();
    if matters(table) {
        staged.seen.push((id, table.letters.see(&taken, &dead)));
    }
    Ok((decoded, taken))
}

/// Whether it matters for the rows of a table in which order its records are applied.
pub(super) fn matters(table: &Table) -> bool {
    !table.def.append_only() && !table.def.is_own()
}

fn reason(table: &Table, policy: Policy, records: &[Record], cut: &Cut, decoded: &Decoded) -> String {
    let name = &table.def.name;
    let record = &records[cut.at];
    let found = decoded.dead.iter().find(|(place, _)| *place == cut.at);
    let why = found.map_or_else(String::new, |(_, Cause { reason, .. })| first_chars(reason.clone(), REASON_CHARS_MAX));
    let at = format!("topic \"{}\" partition {} offset {}", record.at.topic, record.at.partition, record.offset);
    match policy {
        Policy::PerMinute(ceiling) => format!(
            "more than {ceiling} dead letters in a minute (max_dead_letters_per_minute): the next would be the record at \
             {at}: {why}. Look at them with SHOW DEAD LETTERS FROM {name}; then ALTER TABLE {name} RESUME makes up to \
             {ceiling} more, ALTER TABLE {name} SET (max_dead_letters_per_minute = N) another number, RESET any"
        ),
        Policy::Stop | Policy::Any => format!(
            "the record at {at} cannot be decoded, and on_error = 'stop': {why}. ALTER TABLE {name} SET (on_error = \
             'dead_letter') makes a dead letter of it and goes on; where an option of the table is wrong, ALTER TABLE {name} \
             SET mends that; ALTER TABLE {name} RESUME tries the record again"
        ),
    }
}
