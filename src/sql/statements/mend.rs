//! ALTER TABLE t RESTART FROM ... | ACCEPT LOSS [FROM ...], of tables with a connector: where reading goes on when the topic is not
//! what was read of it.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::{Action, Mend, Planned, ReadFrom, StatementError};
use datafusion::sql::sqlparser::tokenizer::Token;
use plan::{Catalog, Mending, SinkEnvelope, StartAt, TableDef, TableKind};
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
    let span = cursor.span();
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
    if way == Mending::Restarted {
        refuse_sinks(def, catalog)?;
    }
    let from = from.map(|from| from.of(def)).transpose().at(span)?;
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

/// A table that is restarted gives its rows back, which a sink that only appends cannot write.
fn refuse_sinks(def: &TableDef, catalog: &Catalog) -> Result<()> {
    let mut reached = BTreeSet::from([def.id]);
    for table in catalog.tables() {
        if let TableKind::Stream(stream) = &table.kind
            && stream.inputs.iter().any(|input| reached.contains(input))
        {
            reached.insert(table.id);
        }
    }
    let mut appends = catalog.sinks().filter(|sink| sink.envelope == SinkEnvelope::Append);
    match appends.find(|sink| reached.contains(&sink.input)) {
        None => Ok(()),
        Some(sink) => Err(error(
            "55000",
            format!("\"{}\" cannot be restarted: sink \"{}\" has its rows, and can only append", def.name, sink.name),
        )
        .with_hint(
            "ACCEPT LOSS keeps the rows that are there; or DROP the sink and CREATE it again behind this, with another topic, or with \
             envelope = 'debezium', which can take rows back",
        )),
    }
}

/// Where to read from, as written.
enum Place {
    Start(StartAt),
    Offsets(Offsets),
}

/// By topic, if it is named, and partition.
type Offsets = BTreeMap<(Option<String>, i32), Offset>;

impl Place {
    /// The same of a table's own partitions.
    fn of(self, def: &TableDef) -> Result<ReadFrom> {
        let offsets = match self {
            Self::Start(start) => return Ok(ReadFrom::Start(start)),
            Self::Offsets(offsets) => offsets,
        };
        let topics: Vec<&str> = def.source().map(|source| source.topics().collect()).unwrap_or_default();
        let mut found = BTreeMap::new();
        for ((topic, number), offset) in offsets {
            let place = match &topic {
                None if topics.len() == 1 => Some(0),
                None => {
                    let message = format!("table \"{}\" reads several topics: partition {number} of which?", def.name);
                    return Err(error(code::INVALID_PARAMETER, message)
                        .with_hint("say the topic too: 'topic:partition:offset,topic:partition:offset'"));
                }
                Some(topic) => topics.iter().position(|there| there == topic),
            };
            let partition = place.and_then(|place| Partition::of(place, number)).ok_or_else(|| {
                let topic = topic.as_deref().unwrap_or_default();
                error(code::INVALID_PARAMETER, format!("table \"{}\" does not read topic \"{topic}\"", def.name))
                    .with_hint("SHOW SOURCES lists the topics and partitions")
            })?;
            if found.insert(partition, offset).is_some() {
                return Err(error(code::INVALID_PARAMETER, format!("there are two offsets for partition {number}"))
                    .with_hint("give one for every partition"));
            }
        }
        Ok(ReadFrom::Offsets(found))
    }
}

/// 'earliest', 'latest', a time, or offsets: '0:12,1:7', of several topics 'a:0:12,b:0:7'.
fn place(cursor: &mut Cursor) -> Result<Place> {
    let span = cursor.span();
    let token = cursor.parser.next_token().token;
    let text = match token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        token => return Err(invalid(&token.to_string()).at(span)),
    };
    let from = match text.as_str() {
        "earliest" => Some(Place::Start(StartAt::Earliest)),
        "latest" => Some(Place::Start(StartAt::Latest)),
        // A time has colons too.
        text => source::time(text)
            .map(|time| Place::Start(StartAt::Time(time)))
            .or_else(|| offsets(text).map(Place::Offsets)),
    };
    from.ok_or_else(|| invalid(&text).at(span))
}

/// `partition:offset` or `topic:partition:offset`, with commas between.
fn offsets(text: &str) -> Option<Offsets> {
    let mut offsets = Offsets::new();
    for one in text.split(',') {
        let (rest, offset) = one.trim().rsplit_once(':')?;
        let (topic, partition) = rest.rsplit_once(':').map_or((None, rest), |(topic, rest)| (Some(topic), rest));
        let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
        let at = (topic.map(str::to_string), partition);
        if partition < 0 || offset < 0 || offsets.insert(at, Offset(offset)).is_some() {
            return None;
        }
    }
    Some(offsets)
}

fn invalid(text: &str) -> StatementError {
    syntax(format!("syntax error at or near \"{text}\": expected where to read from")).with_hint(
        "it is 'earliest', 'latest', an ISO time such as '2024-01-15T10:00:00Z' (UTC without a zone), or an offset for every \
         partition: '0:1200,1:1180', of several topics 'a:0:1200,b:0:1180'",
    )
}
