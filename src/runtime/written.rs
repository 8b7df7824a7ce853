//! No pipeline reads what it writes without having been told to: what it writes into a topic that one of its own tables reads comes
//! back as input, and may go round for ever. A pattern passes over the topics that the pipeline writes or ever wrote, and nobody
//! may begin to write into a topic that a table reads. A table that names the topic of an older sink may read it: it was told to.

use dataflow::StatementError;
use plan::{Catalog, SinkDef, SourceDef, TableDef};

use crate::{Engine, EngineError};

/// Why nobody else may write into a topic.
#[derive(Debug, PartialEq, Eq)]
enum Use<'a> {
    /// The epoch records are in it.
    Epochs,
    /// It has the rows of a table of our own.
    RowsOf(&'a str),
    /// A table reads it.
    ReadBy(&'a TableDef),
}

/// What a topic of the log is to the pipeline besides what it may write there. `of_log` says of a source whether it reads the log.
fn use_of<'a>(
    catalog: &'a Catalog,
    epoch_topic: &str,
    topic: &str,
    of_log: impl Fn(&SourceDef) -> bool,
) -> Option<Use<'a>> {
    if topic == epoch_topic {
        return Some(Use::Epochs);
    }
    catalog.tables().find_map(|table| {
        let source = table.source()?;
        match source.is_own() {
            true => (source.topic == topic).then_some(Use::RowsOf(&table.name)),
            false => (source.topics().any(|read| read == topic) && of_log(source)).then_some(Use::ReadBy(table)),
        }
    })
}

impl Engine {
    /// A sink is to write into its topic.
    pub(crate) fn refuse_sink_topic(&self, sink: &SinkDef) -> Result<(), EngineError> {
        let what = format!("sink \"{}\" cannot write to topic \"{}\"", sink.name, sink.topic);
        self.refuse_used(&what, &sink.topic, "give another by topic = '...'", "sink")
    }

    /// A new table is to write the topic of its rows, or that of its dead letters.
    pub(crate) fn refuse_table_topic(&self, def: &TableDef, source: &SourceDef) -> Result<(), EngineError> {
        let (topic, name) = (source.written_topic(), &def.name);
        if source.is_own() {
            let what = format!("topic \"{topic}\" cannot be the topic of table \"{name}\"");
            let hint = "give another by WITH (topic = '...'), or another name to the table";
            return self.refuse_used(&what, topic, hint, "table");
        }
        let what = format!("table \"{name}\" cannot write its dead letters to topic \"{topic}\"");
        let hint = "give another by dlq_topic = '...'";
        if source.topics().any(|read| read == topic) && self.reads_log(source) {
            return refuse(format!("{what}: it reads that topic itself"), hint.to_string());
        }
        self.refuse_used(&what, topic, hint, "table")
    }

    fn refuse_used(&self, what: &str, topic: &str, hint: &str, writer: &str) -> Result<(), EngineError> {
        let used = use_of(&self.catalog, &self.config.epoch_topic(), topic, |source| self.reads_log(source));
        match used {
            None => Ok(()),
            Some(Use::Epochs) => {
                refuse(format!("{what}: the pipeline itself writes its epoch records there"), hint.to_string())
            }
            Some(Use::RowsOf(table)) => refuse(format!("{what}: it is that of table \"{table}\""), hint.to_string()),
            Some(Use::ReadBy(table)) => {
                let (why, way) = match table.source().and_then(SourceDef::topic_pattern) {
                    Some(pattern) => (
                        format!("finds it by topic_pattern '{pattern}'"),
                        "made anew behind it its pattern passes over what the pipeline writes",
                    ),
                    None => ("reads it".to_string(), "made anew behind it, it may read it by its name"),
                };
                refuse(
                    format!("{what}: table \"{}\" {why}, and the pipeline would read what it writes", table.name),
                    format!("{hint}; or drop table \"{}\" and make it behind the {writer}: {way}", table.name),
                )
            }
        }
    }

    fn reads_log(&self, source: &SourceDef) -> bool {
        !matches!(self.parts.connectors.transport(source), Ok(Some(_)))
    }

    /// Whether the pipeline writes a topic, or ever did.
    pub(crate) fn is_written(&self, topic: &str) -> bool {
        let retired = |topic: &str| self.retired.keys().any(|(retired, _)| retired == topic);
        self.user_of_topic(topic).is_some() || self.catalog.was_written(topic) || retired(topic)
    }

    /// Who of this pipeline writes to a topic.
    pub(crate) fn user_of_topic(&self, topic: &str) -> Option<String> {
        if topic == self.config.epoch_topic() {
            return Some("the pipeline itself, its epoch records,".to_string());
        }
        let table = self.catalog.tables().find_map(|table| {
            let source = table.source().filter(|source| source.written_topic() == topic)?;
            let letters = if source.is_own() { "" } else { ", its dead letters," };
            Some(format!("table \"{}\"{letters}", table.name))
        });
        let sink = || {
            let mut sinks = self.catalog.sinks();
            sinks.find(|sink| sink.topic == topic).map(|sink| format!("sink \"{}\"", sink.name))
        };
        table.or_else(sink)
    }
}

fn refuse(message: String, hint: String) -> Result<(), EngineError> {
    let hint = Some(hint);
    Err(StatementError { sqlstate: "55000", message, hint, detail: None, position: None, about: None }.into())
}

#[cfg(test)]
mod tests {
    use plan::{Envelope, Options, OwnDef, StartAt, TableId, TableKind};
    use zset::{Epoch, RowType};

    use super::*;

    fn table(id: u32, connector: &str, topics: &[&str], own: Option<OwnDef>) -> TableDef {
        let mut source = SourceDef {
            connector: connector.into(),
            topic: String::new(),
            more_topics: Vec::new(),
            dlq_topic: format!("t{id}.dlq"),
            envelope: Envelope::Append,
            start: StartAt::Earliest,
            partitions: 1,
            stored: true,
            own,
            include: Vec::new(),
            options: Options::default(),
        };
        source.add_topics(&topics.iter().map(|topic| (*topic).to_string()).collect::<Vec<_>>());
        TableDef {
            id: TableId(id),
            name: format!("t{id}"),
            columns: RowType(Vec::new()),
            key: Vec::new(),
            kind: TableKind::Source(source),
            sql: String::new(),
            created: Epoch(0),
        }
    }

    #[test]
    fn what_a_topic_is_to_the_pipeline() {
        let mut catalog = Catalog::default();
        let read = table(1, "log", &["a", "b"], None);
        for table in [read.clone(), table(2, "file", &["f"], None), table(3, "own", &["p.t3"], Some(OwnDef::default()))]
        {
            catalog.add_table(table).expect("a new name");
        }
        for (topic, expected) in [
            ("p.epochs", Some(Use::Epochs)),
            ("a", Some(Use::ReadBy(&read))),
            ("b", Some(Use::ReadBy(&read))),
            ("f", None),
            ("p.t3", Some(Use::RowsOf("t3"))),
            ("t1.dlq", None),
            ("c", None),
        ] {
            assert_eq!(use_of(&catalog, "p.epochs", topic, |source| source.connector != "file"), expected, "{topic}");
        }
        assert!(!catalog.was_written("t1.dlq") && !catalog.was_written("p.t3"));
        for name in ["t1", "t2", "t3"] {
            catalog.drop_table(name, false).expect("it is there");
        }
        for (topic, written) in [("t1.dlq", true), ("t2.dlq", true), ("p.t3", true), ("t3.dlq", false), ("a", false)] {
            assert_eq!(catalog.was_written(topic), written, "{topic}");
        }
    }
}
