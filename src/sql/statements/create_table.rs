//! CREATE TABLE t (columns) WITH (connector = ...): a table that a topic or files fill. Without a connector: a table of our
//! own, changed by SQL alone.

use dataflow::{Action, Planned};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, Envelope, OWN, Options, SourceDef, StartAt, TableDef, TableId, TableKind};
use zset::Epoch;

use super::columns::{Shape, shape};
use super::cursor::Cursor;
use super::{constraint, exists, include, options, source};
use crate::error::{Detail, Result, from_parser, syntax, unsupported};
use crate::text;

/// Plans it; the cursor is behind TABLE.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    if cursor.peek_word().as_deref() == Some("AS") {
        return Err(unsupported("CREATE TABLE ... AS", "use CREATE STREAM TABLE v AS ..., or CREATE TABLE and INSERT")
            .at(cursor.span()));
    }
    let mut shape = parenthesis(cursor, "the columns: CREATE TABLE t (a integer, ...)")?;
    let included = include::read(cursor)?;
    refuse_clause(cursor)?;
    let span = cursor.span();
    let options = options::with(cursor, options::source_options(), "a table")?;
    cursor.end()?;
    let source = if options.get("connector").is_some() {
        source::refuse_own_clauses(&shape, "a table")?;
        let mut source = source::source(&name, &shape, options, true)?;
        source.include = included.add(&mut shape, source.envelope)?;
        source
    } else {
        included.refuse("a table of our own")?;
        own(&name, &shape, options, catalog).at(span)?
    };
    finish(cursor, catalog, name, shape, source, if_not_exists)
}

/// The columns and the table's constraints.
pub(super) fn parenthesis(cursor: &mut Cursor, what: &str) -> Result<Shape> {
    if !matches!(cursor.parser.peek_token_ref().token, Token::LParen) {
        return Err(cursor.expected(what));
    }
    let (columns, constraints) = cursor.parser.parse_columns().map_err(from_parser)?;
    shape(&columns, &constraints)
}

/// The definition, unless the name is taken.
pub(super) fn finish(
    cursor: &Cursor,
    catalog: &Catalog,
    name: String,
    shape: Shape,
    source: SourceDef,
    if_not_exists: bool,
) -> Result<Planned> {
    let def = TableDef {
        id: TableId(catalog.next_id()),
        name,
        columns: shape.row_type(),
        key: shape.key,
        kind: TableKind::Source(source),
        sql: text::normalise(cursor.text())?,
        created: Epoch::default(),
    };
    if let Some(there) = exists(cursor, catalog, &def.name, Some(&def), if_not_exists)? {
        return Ok(there);
    }
    Ok(Planned { action: Action::CreateTable(def), notices: shape.notices })
}

/// Clauses that PostgreSQL has between the columns and WITH.
pub(super) fn refuse_clause(cursor: &mut Cursor) -> Result<()> {
    match cursor.peek_word().as_deref() {
        None | Some("WITH") => Ok(()),
        Some(word @ ("INHERITS" | "PARTITION" | "USING" | "TABLESPACE" | "ON" | "WITHOUT")) => Err(unsupported(
            format!("CREATE TABLE ... {word}"),
            "a table has columns, INCLUDE and WITH (option = value)",
        )
        .at(cursor.span())),
        Some(_) => Err(cursor.expected("WITH (connector = ...) or the end of the statement")),
    }
}

/// A table of our own. Its topic is ours: upsert of a keyed one, whole rows of a keyless one.
fn own(name: &str, shape: &Shape, mut options: Options, catalog: &Catalog) -> Result<SourceDef> {
    if let Some(other) = options.0.keys().find(|name| !options::own_options().contains(&name.as_str())) {
        return Err(syntax(format!("option \"{other}\" is of a table with a connector")).with_hint(format!(
            "say connector = 'kafka', 'log' or 'file' too; a table of our own, written by SQL, has the options {}",
            options::own_options().join(", ")
        )));
    }
    let topic = options::topic(&options, "topic")?.unwrap_or_default();
    let dlq_topic = options::topic(&options, "dlq_topic")?.unwrap_or_else(|| format!("{name}.dlq"));
    let partitions = options::count(&options, "partitions", 10_000)?.unwrap_or(1);
    let envelope = if shape.key.is_empty() { Envelope::Debezium } else { Envelope::Upsert };
    if envelope == Envelope::Debezium {
        options.0.insert("replica_identity".to_string(), "full".to_string());
    }
    Ok(SourceDef {
        connector: OWN.to_string(),
        topic,
        more_topics: Vec::new(),
        dlq_topic,
        envelope,
        start: StartAt::Earliest,
        partitions,
        stored: true,
        own: Some(constraint::own(name, shape, catalog)?),
        include: Vec::new(),
        options,
    })
}
