//! `millstream_progress`: how far each sink of each pipeline is in this schema.
//!
//! It moves in the transaction that writes the rows, first of all: whoever else writes for the same sink waits for it, and
//! then finds it moved.

use api::{Progress, TargetSpec};
use zset::{Epoch, Generation};

use crate::error::Failure;
use crate::session::{Parameters, Session};
use crate::settings::{Settings, quote};

/// The table's name in SQL.
fn table(settings: &Settings) -> String {
    format!("{}.millstream_progress", quote(&settings.schema))
}

/// Makes the table if it is missing.
pub(crate) fn prepare(session: &mut Session, settings: &Settings) -> Result<(), Failure> {
    let step = "make the table millstream_progress";
    let there = session.row(
        step,
        "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1::text AND c.relname = 'millstream_progress'",
        &[&settings.schema],
    )?;
    if there.is_some() {
        return Ok(());
    }
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} (pipeline text, sink text, incarnation text NOT NULL, generation bigint NOT NULL, \
         epoch bigint NOT NULL, PRIMARY KEY (pipeline, sink))",
        table(settings)
    );
    session.batch(step, &sql).map_err(Failure::of_making)
}

/// Reads how far the sink is.
pub(crate) fn read(session: &mut Session, settings: &Settings, spec: &TargetSpec) -> Result<Option<Progress>, Failure> {
    let parameters: Parameters<'_> = &[&spec.pipeline, &spec.sink.name];
    let row = session.row("read millstream_progress", &select(settings), parameters)?;
    Ok(row.map(|row| progress(&row)))
}

fn select(settings: &Settings) -> String {
    format!("SELECT incarnation, generation, epoch FROM {} WHERE pipeline = $1 AND sink = $2", table(settings))
}

fn progress(row: &tokio_postgres::Row) -> Progress {
    Progress {
        incarnation: row.get(0),
        generation: Generation(row.get::<_, i64>(1) as u64),
        epoch: Epoch(row.get::<_, i64>(2) as u64),
    }
}

/// Moves it, if it is where we left it.
pub(crate) fn advance(
    session: &mut Session,
    settings: &Settings,
    spec: &TargetSpec,
    before: Option<&Progress>,
    after: &Progress,
) -> Result<(), Failure> {
    let step = "move millstream_progress";
    let (pipeline, sink) = (&spec.pipeline, &spec.sink.name);
    let (generation, epoch) = (after.generation.0 as i64, after.epoch.0 as i64);
    let moved = match before {
        None => {
            let sql = format!(
                "INSERT INTO {} (pipeline, sink, incarnation, generation, epoch) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
                table(settings)
            );
            session.execute(step, &sql, &[pipeline, sink, &after.incarnation, &generation, &epoch])?
        }
        Some(before) => {
            let sql = format!(
                "UPDATE {} SET generation = $4, epoch = $5 WHERE pipeline = $1 AND sink = $2 AND incarnation = $3 \
                 AND epoch = $6 AND generation <= $4",
                table(settings)
            );
            let from = before.epoch.0 as i64;
            session.execute(step, &sql, &[pipeline, sink, &after.incarnation, &generation, &epoch, &from])?
        }
    };
    if moved == 1 {
        return Ok(());
    }
    let row = session.row(step, &select(settings), &[pipeline, sink])?;
    Err(why_not(row.map(|row| progress(&row)).as_ref(), spec, after))
}

/// Why it did not move.
fn why_not(there: Option<&Progress>, spec: &TargetSpec, after: &Progress) -> Failure {
    let (pipeline, sink) = (&spec.pipeline, &spec.sink.name);
    match there {
        Some(there) if there.incarnation != after.incarnation => Failure::refused(format!(
            "the progress of sink {sink} belongs to another pipeline \"{pipeline}\", of incarnation {}, and this one is {}",
            there.incarnation, after.incarnation
        )),
        Some(there) if there.generation > after.generation => Failure::refused(format!(
            "the progress of sink {sink} belongs to a later start (generation {}) of pipeline \"{pipeline}\", and this one is \
             generation {}",
            there.generation.0, after.generation.0
        )),
        Some(there) => Failure::retriable(format!(
            "the progress of sink {sink} has moved to epoch {} meanwhile; it is read again",
            there.epoch
        )),
        None => Failure::retriable(format!("the progress of sink {sink} has gone meanwhile; it is read again")),
    }
}
