//! CREATE STREAM TABLE v AS q (and CREATE MATERIALIZED VIEW): a query, kept up to date.

use dataflow::{Action, Planned};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, StreamDef, TableDef, TableId, TableKind};
use zset::Epoch;

use super::cursor::Cursor;
use super::exists;
use super::options;
use crate::error::{Detail, Result, from_parser, syntax, unsupported};
use crate::{query, text};

/// So many failures in a row are the most that can be asked for.
const ERRORS_MAX: u32 = 1_000_000;

/// The options of CREATE STREAM TABLE. Of `refresh_mode` there is one value yet, of `schedule` and `diamond_consistency` none.
pub fn stream_options() -> &'static [&'static str] {
    &["refresh_mode", "schedule", "diamond_consistency", "max_consecutive_errors"]
}

/// Plans it; the cursor is behind TABLE or VIEW.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    if matches!(cursor.parser.peek_token_ref().token, Token::LParen) {
        let hint = "name the columns in the query: SELECT a AS x, ...";
        return Err(unsupported("a column list behind the name", hint).at(cursor.span()));
    }
    let options = options::with(cursor, stream_options(), "a stream table")?;
    check_options(&options)?;
    cursor.expect("AS")?;
    let span = cursor.span();
    let definition = text::from_location(cursor.text(), span.start);
    let ast = cursor.parser.parse_query().map_err(from_parser)?;
    if cursor.eat(&["WITH", "DATA"]) || cursor.eat(&["WITH", "NO", "DATA"]) {
        return Err(unsupported("WITH [NO] DATA", "leave it out: a stream table is filled when it is created").at(span));
    }
    cursor.end()?;
    let compiled = query::compile(&ast, catalog)?;
    if let Some(there) = exists(cursor, catalog, &name, None, if_not_exists)? {
        return Ok(there);
    }
    let inputs = compiled.graph.tables();
    let input_columns = inputs.iter().filter_map(|id| catalog.table(*id)).map(|table| table.columns.clone()).collect();
    let stream = StreamDef {
        query: definition,
        inputs,
        input_columns,
        input_positions: Vec::new(),
        fingerprint: compiled.graph.fingerprint(),
        append_only: compiled.append_only,
        max_consecutive_errors: errors_max(&options)?,
    };
    let def = TableDef {
        id: TableId(catalog.next_id()),
        name,
        columns: compiled.columns,
        key: compiled.key,
        kind: TableKind::Stream(stream),
        sql: text::normalise(cursor.text())?,
        created: Epoch::default(),
    };
    Ok(Planned { action: Action::CreateStream { def, graph: compiled.graph }, notices: compiled.notices })
}

/// After how many failures in a row it is suspended; 0: never.
fn errors_max(options: &plan::Options) -> Result<u32> {
    let Some(value) = options.get("max_consecutive_errors") else { return Ok(0) };
    match value.parse::<u32>() {
        Ok(n) if n <= ERRORS_MAX => Ok(n),
        _ => Err(options::invalid("max_consecutive_errors", value)
            .with_hint(format!("it is a whole number from 0, which is never, to {ERRORS_MAX}"))),
    }
}

fn check_options(options: &plan::Options) -> Result<()> {
    if options.get("schedule").is_some() {
        let hint = "leave it out: without a schedule it takes part in every epoch";
        return Err(unsupported("option \"schedule\" of a stream table", hint));
    }
    if options.get("diamond_consistency").is_some() {
        let hint = "leave it out: tables without a schedule are always at one frontier";
        return Err(unsupported("option \"diamond_consistency\"", hint));
    }
    match options.get("refresh_mode").map(str::to_lowercase).as_deref() {
        None | Some("immediate") => Ok(()),
        Some(mode @ ("differential" | "full" | "auto")) => Err(unsupported(
            format!("refresh_mode = '{mode}'"),
            "leave it out, or say 'immediate': the table takes part in every epoch",
        )),
        Some(other) => {
            Err(syntax(format!("invalid value for option \"refresh_mode\": '{other}'"))
                .with_hint("the value is immediate"))
        }
    }
}
