//! DROP TABLE | SOURCE | STREAM TABLE | MATERIALIZED VIEW | SINK [IF EXISTS] name [CASCADE | RESTRICT].

use dataflow::{Action, Planned};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, TableKind};

use super::cursor::Cursor;
use super::planned;
use crate::error::{Detail, Result, code, error, unsupported};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Source,
    Stream,
    Sink,
}

impl Kind {
    fn article(self) -> &'static str {
        match self {
            Self::Table => "a table",
            Self::Source => "a source",
            Self::Stream => "a stream table",
            Self::Sink => "a sink",
        }
    }

    fn statement(self) -> &'static str {
        match self {
            Self::Table => "DROP TABLE",
            Self::Source => "DROP SOURCE",
            Self::Stream => "DROP STREAM TABLE",
            Self::Sink => "DROP SINK",
        }
    }
}

/// Plans it; the cursor is behind DROP.
pub(crate) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Planned> {
    let span = cursor.span();
    let kind = if cursor.eat(&["STREAM", "TABLE"]) || cursor.eat(&["MATERIALIZED", "VIEW"]) {
        Kind::Stream
    } else if cursor.eat(&["TABLE"]) {
        Kind::Table
    } else if cursor.eat(&["SOURCE"]) {
        Kind::Source
    } else if cursor.eat(&["SINK"]) {
        Kind::Sink
    } else {
        let what = cursor.peek_word().unwrap_or_default();
        let hint = "the statements are DROP TABLE, DROP SOURCE, DROP STREAM TABLE (or MATERIALIZED VIEW) and DROP SINK";
        return Err(unsupported(format!("DROP {what}"), hint).at(span));
    };
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let span = cursor.span();
    let name = cursor.name()?;
    if cursor.parser.peek_token_ref().token == Token::Comma {
        return Err(unsupported("DROP of several names", "write a DROP for each").at(cursor.span()));
    }
    let cascade = cursor.eat(&["CASCADE"]);
    if !cascade {
        cursor.eat(&["RESTRICT"]);
    }
    cursor.end()?;
    let is = catalog
        .table_named(&name)
        .map(|table| match &table.kind {
            TableKind::Source(source) if source.stored => Kind::Table,
            TableKind::Source(_) => Kind::Source,
            TableKind::Stream(_) => Kind::Stream,
        })
        .or_else(|| catalog.sink_named(&name).map(|_| Kind::Sink));
    match is {
        None if if_exists => Ok(Planned {
            action: Action::Nothing,
            notices: vec![format!("relation \"{name}\" does not exist, skipping")],
        }),
        None => Err(error(code::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
            .with_hint("SHOW TABLES and SHOW SINKS list what there is")
            .at(span)),
        Some(is) if is != kind => Err(error(code::WRONG_OBJECT_TYPE, format!("\"{name}\" is not {}", kind.article()))
            .with_hint(format!("it is {}: use {}", is.article(), is.statement()))
            .at(span)),
        Some(_) => Ok(planned(Action::Drop { sink: kind == Kind::Sink, name, cascade })),
    }
}
