//! A running Millstream in which everything happens that can be seen: records, dead letters, retractions of nothing, tables
//! in ERROR, sinks of both kinds, queries of a client.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postgres::{Client, NoTls};
use serde_json::json;

use crate::support::database::Database;
use crate::support::process::{Process, address_in};

const SQL: &str = "
CREATE TABLE orders (id INT PRIMARY KEY, amount BIGINT NOT NULL, divisor INT)
  WITH (connector = 'log', topic = 'orders', format = 'json', envelope = 'upsert', partitions = 2);
CREATE TABLE clicks (page TEXT)
  WITH (connector = 'log', topic = 'clicks', format = 'json', envelope = 'debezium', replica_identity = 'full', partitions = 1);
CREATE STREAM TABLE totals AS SELECT count(*) AS orders, sum(amount) AS total FROM orders;
CREATE STREAM TABLE ratios AS SELECT id, amount / divisor AS ratio FROM orders;
CREATE STREAM TABLE pages AS SELECT page, count(*) AS clicks FROM clicks GROUP BY page;
CREATE SINK pages_out FROM pages WITH (connector = 'log', topic = 'pages', format = 'json', envelope = 'upsert');
CREATE SINK orders_table FROM orders WITH (connector = 'postgres', url = '@', table = 'orders');
";

/// See the module.
pub struct Pipeline {
    // In the order in which it ends.
    _process: Process,
    pub http: String,
    client: Mutex<Client>,
    _database: Database,
}

impl Pipeline {
    /// Starts it in a folder, checkpointing often.
    pub fn start(dir: &Path) -> Self {
        let database = Database::create(&format!("seen{}", std::process::id()));
        let sql = dir.join("pipeline.sql");
        std::fs::write(&sql, SQL.replace('@', &database.url)).expect("the SQL file can be written");
        let (data, sql) = (dir.join("data"), sql.to_str().expect("a path").to_string());
        let data = data.to_str().expect("a path");
        let log = dir.join("stderr.log");
        let mut arguments = vec!["run", "--data", data, "--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        arguments.extend(["--checkpoint-interval", "200ms", &sql]);
        let process = Process::start(&arguments, &log);
        let ready = process.ready_line(Duration::from_secs(120));
        let ready = ready.unwrap_or_else(|| panic!("it ended: {:?}", std::fs::read_to_string(&log)));
        let client = Client::connect(&format!("postgres://me@{}/it", address_in(&ready, "pg")), NoTls);
        let client = Mutex::new(client.expect("it takes clients"));
        Self { _process: process, http: address_in(&ready, "http"), client, _database: database }
    }

    /// A little of everything.
    pub fn work(&self, round: u64) {
        let order =
            |id: u64, divisor: u64| json!({ "key": { "id": id }, "value": { "amount": round, "divisor": divisor } });
        // Every other round, a division by zero.
        self.write(
            "orders",
            &[order(round % 10, 1), order(11, round % 2), json!({ "key": { "id": 12 }, "value": "no row" })],
        );
        let click = |op: &str, before: Option<&str>, after: Option<&str>| {
            let row = |page: Option<&str>| page.map(|page| json!({ "page": page }));
            json!({ "value": { "op": op, "before": row(before), "after": row(after) } })
        };
        self.write("clicks", &[click("c", None, Some("/")), click("d", Some("/never"), None)]);
        self.ask("SELECT * FROM totals").expect("a query");
        self.ask("SELECT 1 / 0").expect_err("a query that fails");
    }

    fn ask(&self, query: &str) -> Result<(), postgres::Error> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.simple_query(query).map(drop)
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        let mut answer = ureq::get(format!("http://{}/metrics", self.http)).call().expect("it answers");
        answer.body_mut().read_to_string().expect("a text")
    }

    fn write(&self, topic: &str, lines: &[serde_json::Value]) {
        let body: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let sent = ureq::post(format!("http://{}/topics/{topic}", self.http)).send(body.join("\n"));
        sent.unwrap_or_else(|error| panic!("{topic}: {error}"));
    }
}
