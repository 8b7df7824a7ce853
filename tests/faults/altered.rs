//! A sink's table is altered under us: its sink says how, writes nothing that the table would change, and has everything when the
//! table is as it was, or the sink was made anew. The others go on.

use std::collections::BTreeMap;

use postgres::Client;

use super::{Pipe, delivered, post, sql, stands, until};
use crate::support::database::Database;

const TABLES: [&str; 6] = ["whole", "dropped_column", "retyped", "demanding", "dropped", "renamed"];

type Rows = BTreeMap<i32, String>;

fn rows_in(client: &mut Client, table: &str) -> Rows {
    let rows = client.query(&format!("SELECT id, amount::text FROM {table}"), &[]).expect("a query");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn create(url: &str, table: &str) -> String {
    format!("CREATE SINK s_{table} FROM items WITH (connector = 'postgres', url = '{url}', table = '{table}');\n")
}

fn write(http: &str, expected: &mut Rows, rows: &[(i32, &str)]) {
    let record = |(id, amount): &(i32, &str)| {
        expected.insert(*id, amount.to_string());
        (format!("{{\"id\":{id}}}"), Some(format!("{{\"id\":{id},\"amount\":{amount}}}")))
    };
    let records: Vec<_> = rows.iter().map(record).collect();
    assert!(post(http, "items", &records), "the topic takes them");
}

#[test]
fn tables_of_sinks_are_altered() {
    let mut database = Database::create(&format!("altered{}", std::process::id()));
    let dir = tempfile::tempdir().unwrap();
    let mut text = "CREATE TABLE items (id INT PRIMARY KEY, amount NUMERIC(10, 2))
      WITH (connector = 'log', topic = 'items', format = 'json', envelope = 'upsert', partitions = 2);\n"
        .to_string();
    TABLES.iter().for_each(|table| text.push_str(&create(&database.url, table)));
    let pipe = Pipe::new(dir.path(), &dir.path().join("data"), &text, &[]);
    let mut serving = pipe.start();
    let http = serving.http.clone();
    let mut expected = Rows::new();
    write(&http, &mut expected, &[(1, "1.00"), (2, "2.00"), (3, "3.00")]);
    for table in TABLES {
        delivered(&http, &format!("s_{table}"));
    }
    for table in TABLES {
        until("it has the rows", || rows_in(&mut database.client, table) == expected);
    }
    database.run(
        "ALTER TABLE dropped_column DROP COLUMN amount; ALTER TABLE retyped ALTER COLUMN amount TYPE int; \
         ALTER TABLE demanding ADD COLUMN more int NOT NULL DEFAULT 0; ALTER TABLE demanding ALTER COLUMN more DROP DEFAULT; \
         DROP TABLE dropped; ALTER TABLE renamed RENAME TO away",
    );
    write(&http, &mut expected, &[(2, "2.50"), (4, "4.75")]);
    until("who is not concerned goes on", || rows_in(&mut database.client, "whole") == expected);
    stands(&http, "s_dropped_column", "ERROR", "column \"amount\"");
    stands(&http, "s_retyped", "ERROR", "column \"amount\" is integer there, and must hold numeric(10,2)");
    stands(&http, "s_demanding", "ERROR", "\"more\"");
    stands(&http, "s_dropped", "ERROR", "the table is gone, and the sink had filled it up to epoch");
    stands(&http, "s_renamed", "ERROR", "the table is gone, and the sink had filled it up to epoch");
    let kept: i32 = database.client.query_one("SELECT max(amount) FROM retyped", &[]).expect("a query").get(0);
    assert_eq!(kept, 3, "nothing was rounded into it");
    write(&http, &mut expected, &[(1, "1.25"), (5, "5.50")]);
    until("who is not concerned goes on", || rows_in(&mut database.client, "whole") == expected);
    // What was killed in between comes to the same.
    serving.process.kill();
    let mut serving = pipe.start();
    let http = serving.http.clone();
    stands(&http, "s_dropped", "ERROR", "the table is gone");

    database.run(
        "ALTER TABLE retyped ALTER COLUMN amount TYPE numeric(10, 2); ALTER TABLE demanding DROP COLUMN more; \
         ALTER TABLE away RENAME TO renamed; DROP TABLE dropped_column",
    );
    for table in ["dropped", "dropped_column"] {
        sql(&http, &format!("DROP SINK s_{table}"));
        sql(&http, &create(&database.url, table));
    }
    write(&http, &mut expected, &[(6, "6.25")]);
    for table in TABLES {
        delivered(&http, &format!("s_{table}"));
        until("it has the rows", || rows_in(&mut database.client, table) == expected);
    }
    assert_eq!(serving.process.terminate(), Some(0), "{}", pipe.said());
}
