//! CREATE TABLE t (columns) WITH (connector = ...): a source table, filled by a topic.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use dataflow::{Action, Planned, StatementError};
use datafusion::sql::sqlparser::ast::{ColumnDef, ColumnOption, Expr, PrimaryKeyConstraint, Spanned, TableConstraint};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, Envelope, Options, SourceDef, StartAt, TableDef, TableId, TableKind};
use zset::{Column, ColumnType, Epoch, RowType};

use super::cursor::{Cursor, identifier};
use super::{exists, options};
use crate::error::{Detail, Result, code, error, from_parser, syntax, unsupported};
use crate::{text, types};

/// The columns and the key, as declared.
#[derive(Default)]
struct Shape {
    columns: Vec<Column>,
    key: Vec<usize>,
    notices: Vec<String>,
}

/// Plans it; the cursor is behind TABLE.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    if cursor.peek_word().as_deref() == Some("AS") {
        return Err(unsupported("CREATE TABLE ... AS", "use CREATE STREAM TABLE v AS ...").at(cursor.span()));
    }
    if !matches!(cursor.parser.peek_token_ref().token, Token::LParen) {
        return Err(cursor.expected("the columns: CREATE TABLE t (a integer, ...) WITH (connector = ...)"));
    }
    let (columns, constraints) = cursor.parser.parse_columns().map_err(from_parser)?;
    let shape = shape(&columns, &constraints)?;
    refuse_clause(cursor)?;
    let options = options::with(cursor, options::source_options(), "a table")?;
    cursor.end()?;
    let source = source(&name, &shape, options)?;
    if let Some(there) = exists(cursor, catalog, &name, if_not_exists)? {
        return Ok(there);
    }
    let def = TableDef {
        id: TableId(catalog.next_id()),
        name,
        columns: RowType(shape.columns),
        key: shape.key,
        kind: TableKind::Source(source),
        sql: text::normalise(cursor.text())?,
        created: Epoch::default(),
    };
    Ok(Planned { action: Action::CreateTable(def), notices: shape.notices })
}

/// Clauses that PostgreSQL has between the columns and WITH.
fn refuse_clause(cursor: &mut Cursor) -> Result<()> {
    match cursor.peek_word().as_deref() {
        None | Some("WITH") => Ok(()),
        Some(word @ ("INHERITS" | "PARTITION" | "USING" | "TABLESPACE" | "ON" | "WITHOUT")) => {
            Err(unsupported(format!("CREATE TABLE ... {word}"), "a table has columns and WITH (connector = ...)")
                .at(cursor.span()))
        }
        Some(_) => Err(cursor.expected("WITH (connector = ...)")),
    }
}

fn shape(columns: &[ColumnDef], constraints: &[TableConstraint]) -> Result<Shape> {
    if columns.is_empty() {
        return Err(syntax("a table needs at least one column"));
    }
    let mut shape = Shape::default();
    for column in columns {
        add_column(&mut shape, column).at(column.name.span)?;
    }
    for constraint in constraints {
        match constraint {
            TableConstraint::PrimaryKey(key) => add_key(&mut shape, key)?,
            other => return Err(refused_constraint(constraint_name(other)).at(other.span())),
        }
    }
    for &at in &shape.key {
        let column = &mut shape.columns[at];
        if column.ty == ColumnType::Jsonb {
            return Err(error(
                code::INVALID_TABLE_DEFINITION,
                format!("column \"{}\" of type jsonb cannot be in the PRIMARY KEY", column.name),
            )
            .with_hint("two texts of one document would be two keys: use a text or uuid column"));
        }
        column.nullable = false;
    }
    Ok(shape)
}

fn constraint_name(constraint: &TableConstraint) -> &'static str {
    match constraint {
        TableConstraint::Unique(_) => "UNIQUE",
        TableConstraint::ForeignKey(_) => "FOREIGN KEY",
        TableConstraint::Check(_) => "CHECK",
        _ => "this table constraint",
    }
}

fn refused_constraint(name: &str) -> StatementError {
    unsupported(
        format!("{name} on a table"),
        "a table has PRIMARY KEY and NOT NULL; check further conditions in a stream table's WHERE",
    )
}

fn add_column(shape: &mut Shape, def: &ColumnDef) -> Result<()> {
    let name = identifier(&def.name);
    if shape.columns.iter().any(|column| column.name == name) {
        return Err(error(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
    }
    let named = types::named(&def.data_type)?;
    if named.bare_numeric {
        shape.notices.push(format!(
            "column \"{name}\": NUMERIC without precision is NUMERIC(38,10); a value that does not fit exactly is an error"
        ));
    }
    let mut column = Column::new(name.clone(), named.ty, true);
    let mut inline_key = false;
    for option in &def.options {
        match &option.option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::PrimaryKey(key) => {
                refuse_key_details(key)?;
                inline_key = true;
            }
            ColumnOption::Unique(_) => return Err(refused_constraint("UNIQUE")),
            ColumnOption::Check(_) => return Err(refused_constraint("CHECK")),
            ColumnOption::ForeignKey(_) => return Err(refused_constraint("REFERENCES")),
            ColumnOption::Default(_) => {
                return Err(unsupported(
                    "DEFAULT",
                    "a missing field is NULL: use COALESCE(column, value) in a stream table",
                ));
            }
            ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
                return Err(unsupported("GENERATED", "compute the column in a stream table"));
            }
            ColumnOption::Collation(_) => {
                return Err(unsupported("COLLATE", "text is compared by its bytes (collation C)"));
            }
            other => {
                return Err(unsupported(format!("the column option {other}"), "a column has NOT NULL and PRIMARY KEY"));
            }
        }
    }
    shape.columns.push(column);
    if inline_key {
        if !shape.key.is_empty() {
            return Err(several_keys());
        }
        shape.key.push(shape.columns.len() - 1);
    }
    Ok(())
}

fn several_keys() -> StatementError {
    error(code::INVALID_TABLE_DEFINITION, "multiple primary keys for one table are not allowed")
        .with_hint("a key of several columns is written PRIMARY KEY (a, b)")
}

fn refuse_key_details(key: &PrimaryKeyConstraint) -> Result<()> {
    if key.index_type.is_some() || !key.index_options.is_empty() || key.characteristics.is_some() {
        return Err(unsupported("PRIMARY KEY with index options or DEFERRABLE", "write PRIMARY KEY (a, b) alone"));
    }
    Ok(())
}

fn add_key(shape: &mut Shape, key: &PrimaryKeyConstraint) -> Result<()> {
    refuse_key_details(key)?;
    if !shape.key.is_empty() {
        return Err(several_keys());
    }
    for part in &key.columns {
        let Expr::Identifier(ident) = &part.column.expr else {
            return Err(syntax(format!("PRIMARY KEY needs column names, not {}", part.column)));
        };
        let name = identifier(ident);
        let at = shape.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            error(code::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist")).at(ident.span)
        })?;
        if shape.key.contains(&at) {
            return Err(error(
                code::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in primary key constraint"),
            )
            .at(ident.span));
        }
        shape.key.push(at);
    }
    Ok(())
}

fn source(name: &str, shape: &Shape, options: Options) -> Result<SourceDef> {
    let connector = connector(&options)?;
    let missing = || syntax(format!("table \"{name}\" needs a topic")).with_hint("say WITH (..., topic = 'name')");
    let topic = options::topic(&options, "topic")?.ok_or_else(missing)?;
    let dlq_topic = options::topic(&options, "dlq_topic")?.unwrap_or_else(|| format!("{name}.dlq"));
    if connector == "log" && options.get("brokers").is_some() {
        return Err(syntax("option \"brokers\" is of connector 'kafka', not of 'log'").with_hint("leave it out"));
    }
    format(&options)?;
    let envelope = match options::one_of(&options, "envelope", "append", &["append", "upsert", "debezium"])? {
        "upsert" => Envelope::Upsert,
        "debezium" => Envelope::Debezium,
        _ => Envelope::Append,
    };
    let identity = options::one_of(&options, "replica_identity", "default", &["default", "full"])?.to_string();
    debezium_only(&options, envelope)?;
    options::one_of(&options, "decimal_handling_mode", "precise", &["precise", "double", "string"])?;
    let precision = ["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"];
    options::one_of(&options, "time_precision_mode", "adaptive", &precision)?;
    options::one_of(&options, "binary_handling_mode", "bytes", &["bytes", "base64", "base64-url-safe", "hex"])?;
    if shape.key.is_empty() {
        refuse_keyless(envelope, &identity)?;
    }
    Ok(SourceDef {
        connector,
        topic,
        dlq_topic,
        envelope,
        start: start(&options)?,
        partitions: options::count(&options, "partitions", 10_000)?.unwrap_or(1),
        stored: true,
        options,
    })
}

fn connector(options: &Options) -> Result<String> {
    match options.get("connector") {
        Some(connector @ ("kafka" | "log")) => Ok(connector.to_string()),
        Some(connector @ ("file" | "postgres" | "http")) => Err(unsupported(
            format!("connector = '{connector}' for a table"),
            "read a topic: connector = 'kafka' or 'log' (the embedded log)",
        )),
        Some(other) => Err(options::invalid("connector", other).with_hint("the connectors are kafka, log")),
        None => Err(unsupported(
            "CREATE TABLE without a connector",
            "say WITH (connector = 'kafka' or 'log', topic = 'name', ...)",
        )),
    }
}

/// The one format; others are refused by name.
pub(super) fn format(options: &Options) -> Result<()> {
    match options.get("format") {
        None | Some("json") => Ok(()),
        Some(other @ ("avro" | "protobuf" | "csv")) => {
            Err(unsupported(format!("format = '{other}'"), "use format = 'json'"))
        }
        Some(other) => Err(options::invalid("format", other).with_hint("the formats are json")),
    }
}

fn debezium_only(options: &Options, envelope: Envelope) -> Result<()> {
    if options.get("replica_identity").is_some() && envelope != Envelope::Debezium {
        return Err(syntax("option \"replica_identity\" is of envelope = 'debezium'").with_hint("leave it out"));
    }
    Ok(())
}

fn refuse_keyless(envelope: Envelope, identity: &str) -> Result<()> {
    match envelope {
        Envelope::Append => Ok(()),
        Envelope::Upsert => Err(error(code::INVALID_TABLE_DEFINITION, "envelope = 'upsert' needs a PRIMARY KEY")
            .with_hint("add PRIMARY KEY (columns), or use envelope = 'append'")),
        Envelope::Debezium if identity == "full" => Ok(()),
        Envelope::Debezium => Err(error(
            code::INVALID_TABLE_DEFINITION,
            "envelope = 'debezium' without a PRIMARY KEY needs replica_identity = 'full'",
        )
        .with_hint(
            "add PRIMARY KEY (columns); or ALTER TABLE ... REPLICA IDENTITY FULL in the source database, so that events \
             carry the whole old row, and say replica_identity = 'full' here",
        )),
    }
}

fn start(options: &Options) -> Result<StartAt> {
    let value = match options.get("start") {
        None | Some("earliest") => return Ok(StartAt::Earliest),
        Some("latest") => return Ok(StartAt::Latest),
        Some(value) => value,
    };
    let time = DateTime::parse_from_rfc3339(value)
        .map(|t| t.timestamp_millis())
        .ok()
        .or_else(|| {
            let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
            let naive = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(value, form).ok());
            naive.map(|t| t.and_utc().timestamp_millis())
        })
        .or_else(|| {
            let date = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
            Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
        });
    time.map(StartAt::Time).ok_or_else(|| {
        options::invalid("start", value)
            .with_hint("it is earliest, latest, or an ISO time such as 2024-01-15T10:00:00Z (UTC without a zone)")
    })
}
