//! CREATE SINK s FROM v WITH (connector = ...): what a table's changes are published to.

use dataflow::{Action, Planned, StatementError};
use plan::{Catalog, Options, SinkConnector, SinkDef, SinkEnvelope, SinkId, TableDef, TableKind};
use zset::Epoch;

use super::cursor::Cursor;
use super::{exists, options, planned, source};
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::text;

/// Plans it; the cursor is behind SINK.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    if cursor.peek_word().as_deref() == Some("AS") {
        return Err(unsupported("CREATE SINK ... AS", "make a stream table of the query, and the sink FROM it")
            .at(cursor.span()));
    }
    cursor.expect("FROM")?;
    let span = cursor.span();
    let input = cursor.name()?;
    let options = options::with(cursor, options::sink_options(), "a sink")?;
    cursor.end()?;
    if let Some(there) = exists(cursor, catalog, &name, None, if_not_exists)? {
        return Ok(there);
    }
    let table = catalog.table_named(&input).ok_or_else(|| missing(catalog, &input)).at(span)?;
    if matches!(&table.kind, TableKind::Source(source) if !source.stored) {
        return Err(unsupported(
            format!("a sink from the source {input}"),
            "a source keeps no rows that the sink could begin with: make a stream table over it, and the sink from that",
        )
        .at(span));
    }
    let mut def = sink(&name, table, options)?;
    def.id = SinkId(catalog.next_id());
    def.sql = text::normalise(cursor.text())?;
    Ok(planned(Action::CreateSink(def)))
}

fn missing(catalog: &Catalog, name: &str) -> StatementError {
    let hint = match catalog.sink_named(name) {
        Some(_) => "that is a sink: name a table or stream table",
        None => "SHOW TABLES lists what there is",
    };
    error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")).with_hint(hint)
}

/// The connectors, for messages.
const CONNECTORS: &str = "the connectors of sinks are kafka, log, postgres, file, stdout, blackhole";

fn connector(options: &Options) -> Result<SinkConnector> {
    match options.get("connector") {
        Some("kafka" | "log") => Ok(SinkConnector::Log),
        Some("postgres") => Ok(SinkConnector::Postgres),
        Some("file") => Ok(SinkConnector::File),
        Some("stdout") => Ok(SinkConnector::Stdout),
        Some("blackhole") => Ok(SinkConnector::Blackhole),
        Some(other @ ("http" | "s3" | "mysql" | "jdbc")) => {
            Err(unsupported(format!("connector = '{other}' for a sink"), CONNECTORS))
        }
        Some(other) => Err(options::invalid("connector", other).with_hint(CONNECTORS)),
        None => {
            Err(syntax("a sink needs a connector").with_hint(format!("say WITH (connector = ..., ...); {CONNECTORS}")))
        }
    }
}

/// Options that only some connectors have.
fn of_connector(connector: SinkConnector, options: &Options) -> Result<()> {
    use SinkConnector as C;
    let of: [(&[&str], &[C], &str); 5] = [
        (&["topic", "partitions", "replication"], &[C::Log], "'kafka' and 'log'"),
        (&["brokers"], &[C::Log], "'kafka'"),
        (&["path"], &[C::File], "'file'"),
        (&["url", "table", "password_file", "password_env"], &[C::Postgres], "'postgres'"),
        (&["outbox_rows_max"], &[C::Log, C::Postgres], "'kafka', 'log' and 'postgres'"),
    ];
    for (names, connectors, shown) in of {
        if let Some(name) = names.iter().find(|name| options.get(name).is_some() && !connectors.contains(&connector)) {
            let given = options.get("connector").unwrap_or_default();
            return Err(syntax(format!("option \"{name}\" is of connector {shown}, not of '{given}'"))
                .with_hint("leave it out"));
        }
    }
    Ok(())
}

/// What a sink into a database needs.
fn postgres(table: &TableDef, options: &Options) -> Result<()> {
    if table.key.is_empty() {
        return Err(error(
            code::INVALID_TABLE_DEFINITION,
            format!("connector = 'postgres' needs a key, and \"{}\" has none", table.name),
        )
        .with_hint(ADD_A_KEY));
    }
    let needed = |name: &str, example: &str| match options.get(name) {
        Some(value) if !value.trim().is_empty() => Ok(value.to_string()),
        _ => Err(syntax(format!("connector = 'postgres' needs the option \"{name}\"")).with_hint(example.to_string())),
    };
    let url = needed("url", "say url = 'postgres://user@host:5432/database'")?;
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        // not the value: it may hold a password
        return Err(error(code::INVALID_PARAMETER, "invalid value for option \"url\"")
            .with_hint("it is 'postgres://user@host:5432/database'"));
    }
    needed("table", "say table = 'schema.table'")?;
    if options.get("password_file").is_some() && options.get("password_env").is_some() {
        return Err(syntax("options \"password_file\" and \"password_env\" exclude each other")
            .with_hint("leave one of them out"));
    }
    if options.get("format").is_some() {
        return Err(syntax("option \"format\" is not of connector 'postgres'")
            .with_hint("leave it out: the columns are written as columns"));
    }
    match options.get("envelope") {
        None | Some("upsert") => Ok(()),
        Some(other) => {
            Err(options::invalid("envelope", other).with_hint("into a table rows are upserted: leave it out"))
        }
    }
}

fn sink(name: &str, table: &TableDef, options: Options) -> Result<SinkDef> {
    let connector = connector(&options)?;
    of_connector(connector, &options)?;
    if connector == SinkConnector::Postgres {
        postgres(table, &options)?;
    }
    if connector == SinkConnector::File && options.get("path").is_none_or(str::is_empty) {
        return Err(
            syntax(format!("sink \"{name}\" needs a path")).with_hint("say WITH (..., path = 'out/orders.jsonl')")
        );
    }
    options::count(&options, "outbox_rows_max", u32::MAX)?;
    let topic = topic(name, connector, &options)?;
    source::format(&options)?;
    let envelope = envelope(table, &options)?;
    let key = key(table, envelope, &options)?;
    let tombstones = options::boolean(&options, "tombstones")?;
    if tombstones.is_some() && envelope != SinkEnvelope::Debezium {
        return Err(syntax("option \"tombstones\" is of envelope = 'debezium'")
            .with_hint("an upsert sink's deletes are tombstones; an append sink has no deletes"));
    }
    Ok(SinkDef {
        id: SinkId(0),
        name: name.to_string(),
        input: table.id,
        connector,
        topic,
        partitions: options::count(&options, "partitions", 10_000)?.unwrap_or(1),
        replication: options::count(&options, "replication", 100)?.map(|n| n as u16),
        envelope,
        key,
        tombstones: tombstones.unwrap_or(true),
        options,
        sql: String::new(),
        created: Epoch::default(),
    })
}

fn topic(name: &str, connector: SinkConnector, options: &Options) -> Result<String> {
    if connector == SinkConnector::Log {
        if options.get("connector") == Some("log") && options.get("brokers").is_some() {
            return Err(syntax("option \"brokers\" is of connector 'kafka', not of 'log'").with_hint("leave it out"));
        }
        let missing = || syntax(format!("sink \"{name}\" needs a topic")).with_hint("say WITH (..., topic = 'name')");
        return options::topic(options, "topic")?.ok_or_else(missing);
    }
    Ok(String::new())
}

const ADD_A_KEY: &str = "add GROUP BY or SELECT DISTINCT to its query, or project all columns of its inputs' keys (a table's \
                         PRIMARY KEY, a GROUP BY's columns)";

/// The envelope: as given, else upsert for keyed tables, append for keyless append-only ones, debezium for the rest.
fn envelope(table: &TableDef, options: &Options) -> Result<SinkEnvelope> {
    let default = match (table.key.is_empty(), table.append_only()) {
        (false, _) => "upsert",
        (true, true) => "append",
        (true, false) => "debezium",
    };
    match options::one_of(options, "envelope", default, &["upsert", "debezium", "append"])? {
        "upsert" if table.key.is_empty() => Err(error(
            code::INVALID_TABLE_DEFINITION,
            format!("envelope = 'upsert' needs a key, and \"{}\" has none", table.name),
        )
        .with_hint(format!("{ADD_A_KEY}; or use envelope = 'debezium'"))),
        "append" if !table.append_only() => Err(error(
            code::INVALID_TABLE_DEFINITION,
            format!(
                "envelope = 'append' needs a table whose rows are never retracted, and \"{}\" is not proved so",
                table.name
            ),
        )
        .with_hint(
            "only filters, projections, joins and UNION ALL over append-only tables without a key are; use envelope = \
             'debezium', or 'upsert' with a key",
        )),
        "upsert" => Ok(SinkEnvelope::Upsert),
        "append" => Ok(SinkEnvelope::Append),
        _ => Ok(SinkEnvelope::Debezium),
    }
}

/// The record key: the table's key, or the one given, which must contain it: else two rows would share a record key.
/// An append sink of a keyless table may name any columns: its records replace nothing.
fn key(table: &TableDef, envelope: SinkEnvelope, options: &Options) -> Result<Vec<usize>> {
    let Some(given) = options.get("key") else { return Ok(table.key.clone()) };
    let mut key = Vec::new();
    for name in given.split(',').map(str::trim) {
        let at = table.columns.position(name).ok_or_else(|| {
            error(
                code::UNDEFINED_COLUMN,
                format!("column \"{name}\" of option \"key\" does not exist in \"{}\"", table.name),
            )
            .with_hint("names are separated by commas and match exactly")
        })?;
        if key.contains(&at) {
            return Err(error(code::DUPLICATE_COLUMN, format!("column \"{name}\" appears twice in option \"key\"")));
        }
        key.push(at);
    }
    let derived: Vec<&str> = table.key_columns().map(|column| column.name.as_str()).collect();
    if table.key.is_empty() && envelope != SinkEnvelope::Append {
        return Err(error(
            code::INVALID_TABLE_DEFINITION,
            format!("key = '{given}': \"{}\" has no key, so these columns may not name one row", table.name),
        )
        .with_hint("leave the option out, or add GROUP BY or SELECT DISTINCT to its query"));
    }
    if !table.key.iter().all(|at| key.contains(at)) {
        return Err(error(
            code::INVALID_TABLE_DEFINITION,
            format!("key = '{given}' does not contain the key of \"{}\": ({})", table.name, derived.join(", ")),
        )
        .with_hint("two rows could share a record key: name at least these columns"));
    }
    Ok(key)
}
