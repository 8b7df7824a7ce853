//! The target's table: made if it is missing; else it must hold what we write, and tell rows apart as we do.

use postgres::Client;
use zset::RowType;

use crate::columns;
use crate::error::Failure;
use crate::settings::{Settings, quote};

/// The table as it is there.
#[derive(Debug)]
pub(crate) struct Table {
    /// The types of the key's columns there, without their modifiers.
    pub key_types: Vec<String>,
}

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

/// Makes the table if it is missing, and checks it.
pub(crate) fn prepare(
    client: &mut Client,
    settings: &Settings,
    columns: &RowType,
    key: &[usize],
) -> Result<Table, Failure> {
    let oid = match find(client, settings)? {
        Some(oid) => oid,
        None => {
            make(client, settings, columns, key)?;
            find(client, settings)?.ok_or_else(|| Failure::retriable("the table was dropped as soon as it was made"))?
        }
    };
    let there = columns_of(client, oid)?;
    let mut wrong = wrong_columns(&there, columns);
    if wrong.is_empty() {
        wrong.extend(wrong_key(client, oid, &there, columns, key)?);
    }
    if !wrong.is_empty() {
        return Err(Failure::refused(format!(
            "the table does not fit the sink: {}; change it, or name another table (one that is missing is made)",
            wrong.join(", ")
        )));
    }
    let plain = |at: &usize| there.iter().find(|column| column.name == columns.0[*at].name).map(|c| c.plain.clone());
    Ok(Table { key_types: key.iter().filter_map(plain).collect() })
}

fn find(client: &mut Client, settings: &Settings) -> Result<Option<u32>, Failure> {
    let sql = "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1::text AND c.relname = $2::text";
    let row = client
        .query_opt(sql, &[&settings.schema, &settings.table])
        .map_err(|error| Failure::of("look for the table", error))?;
    let Some(row) = row else { return Ok(None) };
    let kind: &str = row.get(1);
    if !["r", "p"].contains(&kind) {
        return Err(Failure::refused("it is there, but is no table; name another"));
    }
    Ok(Some(row.get(0)))
}

fn make(client: &mut Client, settings: &Settings, columns: &RowType, key: &[usize]) -> Result<(), Failure> {
    let step = |error| Failure::of("make the table", error);
    let version: i32 = client.query_one("SELECT current_setting('server_version_num')::int", &[]).map_err(step)?.get(0);
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
    client.batch_execute(&sql).map_err(|error| Failure::making("make the table", error))?;
    tracing::info!("made the table of a sink: {}", settings.name());
    Ok(())
}

fn columns_of(client: &mut Client, table: u32) -> Result<Vec<There>, Failure> {
    let sql = "SELECT attname::text, atttypid, atttypmod, format_type(atttypid, atttypmod), format_type(atttypid, NULL), \
        attnotnull, NOT attnotnull OR atthasdef OR attidentity <> '', attgenerated <> '' OR attidentity = 'a' \
        FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let rows = client.query(sql, &[&table]).map_err(|error| Failure::of("look at the table's columns", error))?;
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
    client: &mut Client,
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
    let rows = client.query(sql, &[&table]).map_err(|error| Failure::of("look at the table's keys", error))?;
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
