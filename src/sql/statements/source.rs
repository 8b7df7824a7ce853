//! What a table or source with a connector reads, from its options.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use dataflow::StatementError;
use plan::{Envelope, Options, SourceDef, StartAt, TopicPattern};

use super::columns::Shape;
use super::options;
use crate::error::{Detail, Result, code, error, syntax, unsupported};

/// The connectors, for messages.
const CONNECTORS: &str = "the connectors are kafka, log (the embedded log), file; without one it is a table of our own, \
                          filled by INSERT";

/// Whether what is declared of columns may be said of a table with a connector.
pub(super) fn refuse_own_clauses(shape: &Shape, what: &str) -> Result<()> {
    if shape.defaults.iter().any(Option::is_some) {
        return Err(unsupported(
            format!("DEFAULT in {what} with a connector"),
            "its rows are made elsewhere: a missing field is NULL; use COALESCE(column, value) in a stream table",
        ));
    }
    if !shape.sequences.is_empty() {
        return Err(unsupported(
            format!("SERIAL and IDENTITY in {what} with a connector"),
            "its rows are made elsewhere, with their numbers: give the column its type",
        ));
    }
    if let Some(unique) = shape.uniques.first() {
        return Err(unsupported(
            format!("UNIQUE in {what} with a connector"),
            "its rows are made elsewhere and are not refused; look for duplicates with a stream table: GROUP BY ... HAVING \
             count(*) > 1",
        )
        .at(unique.span));
    }
    match shape.checks.first() {
        None => Ok(()),
        Some(check) => Err(unsupported(
            format!("CHECK in {what} with a connector"),
            "its rows are made elsewhere and are not refused; state the condition in a stream table's WHERE",
        )
        .at(check.span)),
    }
}

/// The source of options. `stored`: CREATE TABLE; else CREATE SOURCE.
pub(super) fn source(name: &str, shape: &Shape, mut options: Options, stored: bool) -> Result<SourceDef> {
    let connector = connector(&options)?;
    of_connector(&connector, &options)?;
    let mut topics = topics(name, &connector, &options)?.into_iter();
    let dlq_topic = options::topic(&options, "dlq_topic")?.unwrap_or_else(|| format!("{name}.dlq"));
    format(&options)?;
    let envelope = match options::one_of(&options, "envelope", "append", &["append", "upsert", "debezium"])? {
        "upsert" => Envelope::Upsert,
        "debezium" => Envelope::Debezium,
        _ => Envelope::Append,
    };
    let identity = options::one_of(&options, "replica_identity", "default", &["default", "full"])?.to_string();
    debezium_only(&options, envelope)?;
    decoding(&options)?;
    if let Some(follow) = options::boolean(&options, "follow")? {
        options.0.insert("follow".to_string(), follow.to_string());
    }
    if !stored {
        not_stored(shape, envelope)?;
    }
    if shape.key.is_empty() {
        refuse_keyless(envelope, &identity, stored)?;
    }
    Ok(SourceDef {
        connector,
        topic: topics.next().unwrap_or_default(),
        more_topics: topics.collect(),
        dlq_topic,
        envelope,
        start: start(&options)?,
        partitions: options::count(&options, "partitions", 10_000)?.unwrap_or(1),
        stored,
        own: None,
        include: Vec::new(),
        options,
    })
}

fn connector(options: &Options) -> Result<String> {
    match options.get("connector") {
        Some(connector @ ("kafka" | "log" | "file")) => Ok(connector.to_string()),
        Some(connector @ ("postgres" | "http" | "s3")) => Err(unsupported(
            format!("connector = '{connector}' for a table"),
            "read a topic (connector = 'kafka' or 'log') or files (connector = 'file')",
        )),
        Some(other) => Err(options::invalid("connector", other).with_hint(CONNECTORS)),
        None => Err(syntax("a source needs a connector").with_hint(
            "say WITH (connector = 'kafka', 'log' or 'file', ...); to write rows by INSERT use CREATE TABLE",
        )),
    }
}

/// Options that only one connector has.
fn of_connector(connector: &str, options: &Options) -> Result<()> {
    let refuse = |name: &str, of: &str| {
        Err(syntax(format!("option \"{name}\" is of connector {of}, not of '{connector}'")).with_hint("leave it out"))
    };
    for name in options.0.keys() {
        match name.as_str() {
            "path" | "follow" if connector != "file" => return refuse(name, "'file'"),
            "brokers" if connector != "kafka" => return refuse(name, "'kafka'"),
            name if name.starts_with(options::KAFKA) && connector != "kafka" => return refuse(name, "'kafka'"),
            "topic" | "topic_pattern" | "partitions" if connector == "file" => {
                return refuse(name, "'kafka' and 'log'");
            }
            _ => {}
        }
    }
    Ok(())
}

/// The topics read, none if a pattern says which; of files, their path stands for them.
fn topics(name: &str, connector: &str, options: &Options) -> Result<Vec<String>> {
    if connector != "file" {
        return match options.get("topic_pattern") {
            Some(pattern) => pattern_alone(pattern, options).map(|()| Vec::new()),
            None => options::topics(options, "topic")?.ok_or_else(|| {
                syntax(format!("table \"{name}\" needs a topic"))
                    .with_hint("say WITH (..., topic = 'name'), or topic_pattern = 'a regular expression of names'")
            }),
        };
    }
    match options.get("path") {
        Some("") => Err(options::invalid("path", "").with_hint("it is a file or a pattern: 'data/*.json'")),
        Some(path) => Ok(vec![path.to_string()]),
        None => Err(syntax(format!("table \"{name}\" needs a path"))
            .with_hint("say WITH (connector = 'file', path = 'data/*.json')")),
    }
}

/// A pattern that can be used, and nothing beside it that names topics or makes one.
fn pattern_alone(pattern: &str, options: &Options) -> Result<()> {
    if let Some(other) = ["topic", "partitions"].into_iter().find(|other| options.get(other).is_some()) {
        return Err(syntax(format!("option \"{other}\" has no meaning with topic_pattern"))
            .with_hint("leave one of them out: topic names the topics, topic_pattern finds those that there are"));
    }
    TopicPattern::new(pattern).map(|_| ()).map_err(|why| {
        options::invalid("topic_pattern", pattern).with_hint(format!(
            "it is a regular expression that matches whole names, such as 'shop\\.public\\..*': {why}"
        ))
    })
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

/// How values are written, and what becomes of a record that cannot be decoded.
pub(super) fn decoding(options: &Options) -> Result<()> {
    options::one_of(options, "decimal_handling_mode", "precise", &["precise", "double", "string"])?;
    let precision = ["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"];
    options::one_of(options, "time_precision_mode", "adaptive", &precision)?;
    options::one_of(options, "binary_handling_mode", "bytes", &["bytes", "base64", "base64-url-safe", "hex"])?;
    let stops = options::one_of(options, "on_error", "dead_letter", &["dead_letter", "stop"])? == "stop";
    let ceiling = options::count(options, "max_dead_letters_per_minute", u32::MAX)?;
    if stops && ceiling.is_some() {
        return Err(syntax("option \"max_dead_letters_per_minute\" has no meaning with on_error = 'stop'")
            .with_hint("leave one of them out: a source with on_error = 'stop' makes no dead letters"));
    }
    Ok(())
}

fn debezium_only(options: &Options, envelope: Envelope) -> Result<()> {
    if options.get("replica_identity").is_some() && envelope != Envelope::Debezium {
        return Err(syntax("option \"replica_identity\" is of envelope = 'debezium'").with_hint("leave it out"));
    }
    Ok(())
}

/// What only rows that are kept can have.
fn not_stored(shape: &Shape, envelope: Envelope) -> Result<()> {
    if !shape.key.is_empty() {
        return Err(error(code::INVALID_TABLE_DEFINITION, "a source cannot have a PRIMARY KEY")
            .with_hint("it keeps no rows, so no row can replace another: use CREATE TABLE with the same options"));
    }
    if envelope == Envelope::Upsert {
        return Err(error(code::INVALID_TABLE_DEFINITION, "a source cannot have envelope = 'upsert'").with_hint(
            "what a record replaces is known only where rows are kept: use CREATE TABLE with the same options",
        ));
    }
    Ok(())
}

fn refuse_keyless(envelope: Envelope, identity: &str, stored: bool) -> Result<()> {
    match envelope {
        Envelope::Append => Ok(()),
        Envelope::Upsert => Err(error(code::INVALID_TABLE_DEFINITION, "envelope = 'upsert' needs a PRIMARY KEY")
            .with_hint("add PRIMARY KEY (columns), or use envelope = 'append'")),
        Envelope::Debezium if identity == "full" => Ok(()),
        Envelope::Debezium => {
            let first = if stored { "add PRIMARY KEY (columns); or " } else { "" };
            Err(error(
                code::INVALID_TABLE_DEFINITION,
                "envelope = 'debezium' without a PRIMARY KEY needs replica_identity = 'full'",
            )
            .with_hint(format!(
                "{first}ALTER TABLE ... REPLICA IDENTITY FULL in the source database, so that events carry the whole old \
                 row, and say replica_identity = 'full' here"
            )))
        }
    }
}

fn start(options: &Options) -> Result<StartAt> {
    let value = match options.get("start") {
        None | Some("earliest") => return Ok(StartAt::Earliest),
        Some("latest") => return Ok(StartAt::Latest),
        Some(value) => value,
    };
    time(value).map(StartAt::Time).ok_or_else(|| invalid_start(value))
}

/// Milliseconds since 1970.
pub(super) fn time(value: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(value)
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
        })
}

fn invalid_start(value: &str) -> StatementError {
    options::invalid("start", value)
        .with_hint("it is earliest, latest, or an ISO time such as 2024-01-15T10:00:00Z (UTC without a zone)")
}
