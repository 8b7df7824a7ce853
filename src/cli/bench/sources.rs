//! The statements of a run: a source for each topic that the query names, the query as a stream table, and its sink.

use plan::Catalog;
use sql::SqlPlanner;

use super::data::{Data, Identity, Topic};
use crate::cli::{Failure, check};

/// The stream table of the query.
pub(super) const RESULT: &str = "result";

/// What the sources of a run read and where, and where its sink writes.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The `connector` of both.
    pub connector: &'static str,
    pub data: Data,
    /// The topics of the sources begin with it: `bench.`, so that they are read again, or a name of this run.
    pub prefix: String,
    /// The topic of the sink; `None`: it counts, and writes nowhere.
    pub sink: Option<String>,
}

impl Places {
    /// The topic that a source reads. Its name tells what is in it.
    pub fn topic(&self, topic: Topic) -> String {
        let Data { events, changes, identity } = self.data;
        let (prefix, name) = (&self.prefix, topic.name());
        match (topic.changes(), identity) {
            (false, _) => format!("{prefix}.{name}.{events}"),
            (true, Identity::Full) => format!("{prefix}.{name}.{changes}.full"),
            (true, Identity::Default) => format!("{prefix}.{name}.{changes}.default"),
        }
    }
}

/// The statements of a query, and the topics that they read.
#[derive(Debug)]
pub(super) struct Script {
    pub statements: Vec<String>,
    pub topics: Vec<Topic>,
    /// Whether the result tells of each row when its event was.
    pub has_time: bool,
}

/// Plans a query over all sources, and takes those that it reads.
pub(super) fn script(query: &str, places: &Places) -> Result<Script, Failure> {
    let (planner, mut catalog) = (SqlPlanner::new(), Catalog::default());
    for statement in statements(query, &Topic::ALL, places) {
        check::plan(&statement, &planner, &mut catalog).map_err(|error| {
            let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            let message = format!("{} (SQLSTATE {}){hint}", error.message, error.sqlstate);
            Failure::usage(format!("the query cannot be a stream table: {message}"))
        })?;
    }
    let reads = |topic: &Topic| {
        let source = catalog.table_named(topic.name()).map(|table| table.id);
        source.is_some_and(|source| catalog.readers(source).next().is_some())
    };
    let topics: Vec<Topic> = Topic::ALL.into_iter().filter(reads).collect();
    if topics.is_empty() {
        let known = Topic::ALL.map(Topic::name).join(", ");
        return Err(Failure::usage(format!("the query reads no source; there are {known}")));
    }
    let has_time = catalog.table_named(RESULT).is_some_and(|table| table.columns.position("dateTime").is_some());
    Ok(Script { statements: statements(query, &topics, places), topics, has_time })
}

/// All statements, one after another, as a client would send them at once.
fn statements(query: &str, topics: &[Topic], places: &Places) -> Vec<String> {
    let mut statements: Vec<String> = topics.iter().map(|topic| source(*topic, places)).collect();
    let query = query.trim().trim_end_matches(';');
    statements.push(format!("CREATE STREAM TABLE {RESULT} AS\n{query}\n"));
    statements.push(match &places.sink {
        None => format!("CREATE SINK counted FROM {RESULT} WITH (connector = 'blackhole')"),
        Some(topic) => {
            format!("CREATE SINK written FROM {RESULT} WITH (connector = '{}', topic = '{topic}')", places.connector)
        }
    });
    statements
}

/// Rows whose changes have no old row must be kept, so that what they retract is known: a table. Others are a source.
fn source(topic: Topic, places: &Places) -> String {
    let name = topic.name();
    let (columns, key) = columns(topic);
    let reads = format!("connector = '{}', topic = '{}', format = 'json'", places.connector, places.topic(topic));
    match (topic.changes(), places.data.identity) {
        (false, _) => format!("CREATE SOURCE {name} ({columns})\nWITH ({reads}, envelope = 'append')"),
        (true, Identity::Full) => {
            format!(
                "CREATE SOURCE {name} ({columns})\nWITH ({reads}, envelope = 'debezium', replica_identity = 'full')"
            )
        }
        (true, Identity::Default) => {
            format!("CREATE TABLE {name} ({columns}, PRIMARY KEY ({key}))\nWITH ({reads}, envelope = 'debezium')")
        }
    }
}

/// The columns of a topic's records, and the key among them.
fn columns(topic: Topic) -> (&'static str, &'static str) {
    let columns = match topic {
        Topic::Person => {
            r#"id bigint, name text, "emailAddress" text, "creditCard" text, city text, state text, "dateTime" bigint, extra text"#
        }
        Topic::Auction => {
            r#"id bigint, "itemName" text, description text, "initialBid" bigint, reserve bigint, "dateTime" bigint, expires bigint, seller bigint, category bigint, extra text"#
        }
        Topic::Bid => {
            r#"auction bigint, bidder bigint, price bigint, channel text, url text, "dateTime" bigint, extra text"#
        }
        Topic::Customers => "id bigint, name text, region text",
        Topic::Orders => "id bigint, customer_id bigint, amount bigint, status text",
    };
    (columns, "id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let data = Data { events: 50, changes: 26, identity: Identity::Full };
        Places { connector: "log", data, prefix: "bench".to_string(), sink: None }
    }

    #[test]
    fn a_source_is_made_for_what_a_query_reads() {
        for (query, topics) in [
            ("SELECT auction FROM bid -- of a person", vec![Topic::Bid]),
            ("SELECT count(*) FROM BID b JOIN auction ON b.auction = auction.id;", vec![Topic::Auction, Topic::Bid]),
            ("SELECT id FROM orders UNION ALL SELECT id FROM customers", vec![Topic::Customers, Topic::Orders]),
        ] {
            let script = script(query, &places()).unwrap_or_else(|failure| panic!("{query}: {}", failure.message));
            assert_eq!(script.topics, topics, "{query}");
            assert_eq!(script.statements.len(), topics.len() + 2, "{query}");
        }
    }

    #[test]
    fn what_is_no_query_over_the_data_is_refused() {
        for (query, says) in
            [("SELECT 1 AS one", "reads no source"), ("SELECT x FROM bid", "column \"x\" does not exist")]
        {
            let refused = script(query, &places()).expect_err(query);
            assert!(refused.code == 2 && refused.message.contains(says), "{query}: {}", refused.message);
        }
    }
}
