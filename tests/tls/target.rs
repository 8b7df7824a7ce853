//! A sink to a PostgreSQL that takes encrypted connections alone.

use super::{World, psql, url_of, wait_answer};
use crate::cli::support::Running;

#[test]
fn a_target_that_wants_encryption() {
    let mut world = World::new();
    let port = std::fs::read_to_string(world.start("postgres").join("port")).unwrap().trim().to_string();
    let (ca, stranger) = (world.pem("ca.pem"), world.pem("stranger.pem"));
    let running = Running::start(
        world.dir.path(),
        "CREATE TABLE t (a INT PRIMARY KEY); CREATE STREAM TABLE v AS SELECT a, count(*) AS n FROM t GROUP BY a;",
    );
    let create = |name: &str, host: &str, query: &str| {
        let url = format!("postgres://postgres@{host}:{port}/postgres?{query}");
        let sink = format!("CREATE SINK {name} FROM v WITH (connector = 'postgres', url = '{url}', table = '{name}')");
        running.post("/sql", &sink)
    };
    for (query, host, says) in [
        (format!("sslmode=verify-full&sslrootcert={stranger}"), "localhost", "UnknownIssuer"),
        (format!("sslmode=verify-ca&sslrootcert={stranger}"), "localhost", "UnknownIssuer"),
        (format!("sslmode=verify-full&sslrootcert={ca}"), "127.0.0.1", "not valid for"),
        ("sslmode=verify-full&sslrootcert=/nowhere.pem".to_string(), "localhost", "/nowhere.pem"),
        ("sslmode=disable".to_string(), "localhost", "no encryption"),
    ] {
        let (_, answer) = create("refused", host, &query);
        let text = answer.to_string();
        assert!(text.contains(says), "{query}: {text}");
        if text.contains("results") {
            running.sql("DROP SINK refused");
        }
    }
    assert_eq!(psql(&url_of(&running), "INSERT INTO t SELECT 1").1, "INSERT 0 1\n");
    for (at, (query, host)) in [
        (format!("sslmode=verify-full&sslrootcert={ca}"), "localhost"),
        (format!("sslmode=verify-ca&sslrootcert={ca}"), "127.0.0.1"),
        ("sslmode=require".to_string(), "127.0.0.1"),
        (String::new(), "localhost"),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("s{at}");
        let (status, answer) = create(&name, host, query);
        assert_eq!(status, 200, "{query}: {answer}");
        let url = format!("postgres://postgres@localhost:{port}/postgres?sslmode=require");
        wait_answer(&url, &format!("SELECT a, n FROM {name}"), "1|1\n", || format!("{:?}", running.sql("SHOW SINKS")));
    }
    running.stop();
}
