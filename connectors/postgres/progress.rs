//! `millstream_progress`: how far each sink of each pipeline is in this schema.
//!
//! It moves in the transaction that writes the rows, first of all: whoever else writes for the same sink waits for it, and
//! then finds it moved.

use api::{Progress, TargetSpec};
use postgres::{Client, Transaction};
use zset::{Epoch, Generation};

use crate::error::Failure;
use crate::settings::{Settings, quote};

/// The table's name in SQL.
fn table(settings: &Settings) -> String {
    format!("{}.millstream_progress", quote(&settings.schema))
}

/// Makes the table if it is missing.
pub(crate) fn prepare(client: &mut Client, settings: &Settings) -> Result<(), Failure> {
    let step = |error| Failure::of("make the table millstream_progress", error);
    let there = client
        .query_opt(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1::text AND c.relname = 'millstream_progress'",
            &[&settings.schema],
        )
        .map_err(step)?;
    if there.is_some() {
        return Ok(());
    }
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} (pipeline text, sink text, incarnation text NOT NULL, generation bigint NOT NULL, \
         epoch bigint NOT NULL, PRIMARY KEY (pipeline, sink))",
        table(settings)
    );
    client.batch_execute(&sql).map_err(|error| Failure::making("make the table millstream_progress", error))
}

/// Reads how far the sink is.
pub(crate) fn read(client: &mut Client, settings: &Settings, spec: &TargetSpec) -> Result<Option<Progress>, Failure> {
    let sql = select(settings);
    let row = client.query_opt(&sql, &[&spec.pipeline, &spec.sink.name]);
    let row = row.map_err(|error| Failure::of("read millstream_progress", error))?;
    Ok(row.map(|row| progress(&row)))
}

fn select(settings: &Settings) -> String {
    format!("SELECT incarnation, generation, epoch FROM {} WHERE pipeline = $1 AND sink = $2", table(settings))
}

fn progress(row: &postgres::Row) -> Progress {
    Progress {
        incarnation: row.get(0),
        generation: Generation(row.get::<_, i64>(1) as u64),
        epoch: Epoch(row.get::<_, i64>(2) as u64),
    }
}

/// Moves it, if it is where we left it.
pub(crate) fn advance(
    transaction: &mut Transaction<'_>,
    settings: &Settings,
    spec: &TargetSpec,
    before: Option<&Progress>,
    after: &Progress,
) -> Result<(), Failure> {
    let step = |error| Failure::of("move millstream_progress", error);
    let (pipeline, sink) = (&spec.pipeline, &spec.sink.name);
    let (generation, epoch) = (after.generation.0 as i64, after.epoch.0 as i64);
    let moved = match before {
        None => {
            let sql = format!(
                "INSERT INTO {} (pipeline, sink, incarnation, generation, epoch) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
                table(settings)
            );
            transaction.execute(&sql, &[pipeline, sink, &after.incarnation, &generation, &epoch]).map_err(step)?
        }
        Some(before) => {
            let sql = format!(
                "UPDATE {} SET generation = $4, epoch = $5 WHERE pipeline = $1 AND sink = $2 AND incarnation = $3 \
                 AND epoch = $6 AND generation <= $4",
                table(settings)
            );
            let from = before.epoch.0 as i64;
            transaction
                .execute(&sql, &[pipeline, sink, &after.incarnation, &generation, &epoch, &from])
                .map_err(step)?
        }
    };
    if moved == 1 {
        return Ok(());
    }
    let row = transaction.query_opt(&select(settings), &[pipeline, sink]).map_err(step)?;
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
