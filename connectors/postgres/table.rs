//! The target's table: made if it is missing; else it must hold what we write, and tell rows apart as we do.

use api::{Progress, TargetSpec};
use zset::RowType;

use crate::columns;
use crate::error::Failure;
use crate::session::Session;
use crate::settings::{Settings, quote};

/// The table as it is there.
#[derive(Debug)]
pub(crate) struct Table {
    oid: u32,
    there: Vec<There>,
    /// The types of the key's columns there, without their modifiers.
    pub key_types: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct There {
    name: String,
    oid: u32,
    modifier: i32,
    shown: String,
    plain: String,
    not_null: bool,
    /// An INSERT may leave it out.
    optional: bool,
    /// An INSERT must leave it out.
    generated: bool,
}

/// Makes the table if it is missing, and checks it. One that is missing where the sink had `filled` it is not made anew: only what
/// changes from now on would be in it.
pub(crate) fn prepare(
    session: &mut Session,
    settings: &Settings,
    spec: &TargetSpec,
    filled: Option<&Progress>,
) -> Result<Table, Failure> {
    let (columns, key, sink) = (&spec.columns, spec.sink.key.as_slice(), &spec.sink.name);
    let oid = match (find(session, settings)?, filled) {
        (Some(oid), _) => oid,
        (None, Some(filled)) => {
            return Err(Failure::refused(format!(
                "the table is gone, and the sink had filled it up to epoch {}: put it back as it was then, or DROP SINK {sink} and \
                 CREATE it again, which makes and fills it from the start",
                filled.epoch
            )));
        }
        (None, None) => {
            make(session, settings, columns, key)?;
            find(session, settings)?
                .ok_or_else(|| Failure::retriable("the table was dropped as soon as it was made"))?
        }
    };
    let there = columns_of(session, oid)?;
    let mut wrong = wrong_columns(&there, columns);
    if wrong.is_empty() {
        wrong.extend(wrong_key(session, oid, &there, columns, key)?);
    }
    if !wrong.is_empty() {
        return Err(Failure::refused(format!(
            "the table does not fit the sink: {}; change it, or name another table (one that is missing is made)",
            wrong.join(", ")
        )));
    }
    let plain = |at: &usize| there.iter().find(|column| column.name == columns.0[*at].name).map(|c| c.plain.clone());
    let key_types = key.iter().filter_map(plain).collect();
    Ok(Table { oid, there, key_types })
}

impl Table {
    /// The type of a column there, with its modifier and without; columns that we do not write are not asked for.
    pub fn types(&self, name: &str) -> (&str, &str) {
        let there = self.there.iter().find(|column| column.name == name);
        there.map_or(("text", "text"), |column| (&column.shown, &column.plain))
    }

    /// That nobody has altered it since it was looked at: else it is to be looked at again, and nothing that was written meanwhile
    /// may stay.
    pub fn is_as_it_was(&self, session: &mut Session) -> Result<(), Failure> {
        if columns_of(session, self.oid)? == self.there {
            return Ok(());
        }
        Err(Failure::retriable("the table was altered meanwhile; it is looked at again"))
    }
}

fn find(session: &mut Session, settings: &Settings) -> Result<Option<u32>, Failure> {
    let sql = "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1::text AND c.relname = $2::text";
    let row = session.row("look for the table", sql, &[&settings.schema, &settings.table])?;
    let Some(row) = row else { return Ok(None) };
    let kind: &str = row.get(1);
    if !["r", "p"].contains(&kind) {
        return Err(Failure::refused("it is there, but is no table; name another"));
    }
    Ok(Some(row.get(0)))
}

fn make(session: &mut Session, settings: &Settings, columns: &RowType, key: &[usize]) -> Result<(), Failure> {
    let step = "make the table";
    let version = session.row(step, "SELECT current_setting('server_version_num')::int", &[])?;
    let version: i32 = version.map_or(0, |row| row.get(0));
    let mut parts: Vec<String> = columns
        .0
        .iter()
        .map(|column| {
            let not_null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {}{not_null}", quote(&column.name), columns::declared(column.ty))
        })
        .collect();
    let names = key.iter().map(|&at| quote(&columns.0[at].name)).collect::<Vec<_>>().join(", ");
    // A key may have NULLs in it (GROUP BY a column that has), which a primary key does not take.
    let nulls = key.iter().any(|&at| columns.0[at].nullable) && version >= 150_000;
    parts.push(format!("{} ({names})", if nulls { "UNIQUE NULLS NOT DISTINCT" } else { "PRIMARY KEY" }));
    let sql = format!("CREATE TABLE IF NOT EXISTS {} ({})", settings.quoted(), parts.join(", "));
    session.batch(step, &sql).map_err(Failure::of_making)?;
    tracing::info!("made the table of a sink: {}", settings.name());
    Ok(())
}

fn columns_of(session: &mut Session, table: u32) -> Result<Vec<There>, Failure> {
    let sql = "SELECT attname::text, atttypid, atttypmod, format_type(atttypid, atttypmod), format_type(atttypid, NULL), \
        attnotnull, NOT attnotnull OR atthasdef OR attidentity <> '', attgenerated <> '' OR attidentity = 'a' \
        FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let rows = session.rows("look at the table's columns", sql, &[&table])?;
    let there = rows.iter().map(|row| There {
        name: row.get(0),
        oid: row.get(1),
        modifier: row.get(2),
        shown: row.get(3),
        plain: row.get(4),
        not_null: row.get(5),
        optional: row.get(6),
        generated: row.get(7),
    });
    Ok(there.collect())
}

fn wrong_columns(there: &[There], columns: &RowType) -> Vec<String> {
    let mut wrong = Vec::new();
    for column in &columns.0 {
        let name = quote(&column.name);
        match there.iter().find(|there| there.name == column.name) {
            None => wrong.push(format!("column {name} {} is missing", columns::declared(column.ty))),
            Some(there) if there.generated => wrong.push(format!("column {name} is generated there")),
            Some(there) if !columns::accepts(column.ty, there.oid, there.modifier) => {
                wrong.push(format!("column {name} is {} there, and must hold {}", there.shown, column.ty));
            }
            Some(_) => {}
        }
    }
    let others = there.iter().filter(|there| columns.position(&there.name).is_none());
    let needed = others.filter(|there| !there.optional);
    wrong.extend(
        needed.map(|there| format!("column {} is NOT NULL without a default, and not the sink's", quote(&there.name))),
    );
    wrong
}

/// What is wrong with the constraint that tells rows apart, if anything.
fn wrong_key(
    session: &mut Session,
    table: u32,
    there: &[There],
    columns: &RowType,
    key: &[usize],
) -> Result<Option<String>, Failure> {
    let sql = "SELECT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false), \
        ARRAY(SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) g \
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[g] ORDER BY 1) \
        FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid \
          AND i.indpred IS NULL AND i.indexprs IS NULL";
    let rows = session.rows("look at the table's keys", sql, &[&table])?;
    let mut names: Vec<&str> = key.iter().map(|&at| columns.0[at].name.as_str()).collect();
    names.sort_unstable();
    let indexes: Vec<bool> = rows
        .iter()
        .filter(|row| {
            let mut of_index: Vec<String> = row.get(1);
            of_index.sort_unstable();
            of_index == names
        })
        .map(|row| row.get(0))
        .collect();
    let list = names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    if indexes.is_empty() {
        return Ok(Some(format!("it has no primary key or unique constraint on exactly ({list}), not deferrable")));
    }
    // NULLs that are distinct would be inserted again and again.
    let nullable = |name: &&str| {
        let ours = columns.0.iter().any(|column| column.name == **name && column.nullable);
        ours && there.iter().any(|column| column.name == **name && !column.not_null)
    };
    match names.iter().find(|name| nullable(name)) {
        Some(name) if !indexes.contains(&true) => Ok(Some(format!(
            "column {} may be NULL, so the unique constraint on ({list}) must say NULLS NOT DISTINCT",
            quote(name)
        ))),
        _ => Ok(None),
    }
}
