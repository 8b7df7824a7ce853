//! ALTER TABLE t RESTART FROM ... | ACCEPT LOSS [FROM ...], of tables with a connector: where reading goes on when the topic is not
//! what was read of it.

use std::collections::BTreeMap;

use dataflow::{Action, Mend, Planned, ReadFrom, StatementError};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, Mending, StartAt, TableDef, TableKind};
use zset::{Offset, Partition};

use super::cursor::Cursor;
use super::{planned, source};
use crate::error::{Detail, Result, code, error, syntax, unsupported};
use crate::text;

/// Plans it if it is one of these; the cursor is behind ALTER.
pub(super) fn plan(cursor: &mut Cursor, catalog: &Catalog) -> Result<Option<Planned>> {
    let Some(mut at) = behind_name(cursor)? else { return Ok(None) };
    let way = if at.cursor.eat(&["RESTART"]) {
        Mending::Restarted
    } else if at.cursor.eat(&["ACCEPT", "LOSS"]) {
        Mending::LossAccepted
    } else {
        return Ok(None);
    };
    let cursor = &mut at.cursor;
    let from = match way {
        Mending::LossAccepted if cursor.at_end() => None,
        _ => {
            cursor.expect("FROM")?;
            Some(place(cursor)?)
        }
    };
    cursor.end()?;
    let Some(def) = catalog.table_named(&at.name) else {
        if at.if_exists {
            let notices = vec![format!("relation \"{}\" does not exist, skipping", at.name)];
            return Ok(Some(Planned { action: Action::Nothing, notices }));
        }
        return Err(error(code::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", at.name))
            .with_hint("SHOW SOURCES lists what is read from a topic"));
    };
    refuse(def, way)?;
    let sql = text::normalise(cursor.text())?;
    Ok(Some(planned(Action::Mend(Mend { table: def.id, sql, way, from }))))
}

/// A statement that begins as these do.
pub(super) struct Named<'a> {
    pub cursor: Cursor<'a>,
    pub name: String,
    pub if_exists: bool,
}

/// A cursor of its own behind ALTER TABLE [IF EXISTS] name; `None` if the statement does not begin so.
pub(super) fn behind_name<'a>(cursor: &Cursor<'a>) -> Result<Option<Named<'a>>> {
    let mut cursor = Cursor::new(cursor.text())?;
    if !cursor.eat(&["ALTER", "TABLE"]) {
        return Ok(None);
    }
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    // Whatever is wrong with the name is said by whoever plans the other forms.
    Ok(cursor.name().ok().map(|name| Named { cursor, name, if_exists }))
}

/// What has no topic of others has nothing to be mended.
fn refuse(def: &TableDef, way: Mending) -> Result<()> {
    let what = match &def.kind {
        TableKind::Source(source) if source.is_own() => "a table of our own",
        TableKind::Stream(_) => "a stream table",
        TableKind::Source(source) if !source.stored && way == Mending::Restarted => {
            return Err(unsupported(
                format!("RESTART FROM of \"{}\", a source,", def.name),
                "it keeps no rows that could be taken back from the stream tables over it: ACCEPT LOSS lets it go on; or DROP \
                 it with them and CREATE them anew",
            ));
        }
        TableKind::Source(_) => return Ok(()),
    };
    let words = if way == Mending::Restarted { "RESTART FROM" } else { "ACCEPT LOSS" };
    Err(unsupported(
        format!("{words} of \"{}\", {what},", def.name),
        "it is for tables with a connector: SHOW SOURCES lists them",
    ))
}

/// 'earliest', 'latest', a time, or offsets: '0:12,1:7'.
fn place(cursor: &mut Cursor) -> Result<ReadFrom> {
    let span = cursor.span();
    let token = cursor.parser.next_token().token;
    let text = match token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        token => return Err(invalid(&token.to_string()).at(span)),
    };
    let from = match text.as_str() {
        "earliest" => Some(ReadFrom::Start(StartAt::Earliest)),
        "latest" => Some(ReadFrom::Start(StartAt::Latest)),
        text => offsets(text)
            .map(ReadFrom::Offsets)
            .or_else(|| source::time(text).map(|time| ReadFrom::Start(StartAt::Time(time)))),
    };
    from.ok_or_else(|| invalid(&text).at(span))
}

/// `partition:offset`, with commas between.
fn offsets(text: &str) -> Option<BTreeMap<Partition, Offset>> {
    let mut offsets = BTreeMap::new();
    for pair in text.split(',') {
        let (partition, offset) = pair.trim().split_once(':')?;
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        if partition < 0 || offset < 0 || offsets.insert(Partition(partition), Offset(offset)).is_some() {
            return None;
        }
    }
    Some(offsets)
}

fn invalid(text: &str) -> StatementError {
    syntax(format!("syntax error at or near \"{text}\": expected where to read from")).with_hint(
        "it is 'earliest', 'latest', an ISO time such as '2024-01-15T10:00:00Z' (UTC without a zone), or an offset for every \
         partition: '0:1200,1:1180'",
    )
}
