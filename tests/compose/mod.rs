//! What compose/ starts: its files fit together, and its shop works on the real services. The containers themselves are
//! not started here: that needs a registry.

mod files;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postgres::NoTls;
use serde_json::Value;

use crate::support::connect::{Worker, until};
use crate::support::database::Database;
use crate::support::process::Process;

/// The folder.
fn compose() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compose")
}

fn text(path: &str) -> String {
    let path = compose().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shop of compose/: its tables, its worker's settings, its connector, its pipeline. Only names and addresses are others.
#[test]
fn the_shop_works() {
    let brokers = std::env::var("MILLSTREAM_TEST_KAFKA")
        .expect("MILLSTREAM_TEST_KAFKA is not set: run this by tests/run, or tests/with-services COMMAND");
    let name = format!("shop{}", std::process::id());
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |file: &str, text: String| {
        let path = dir.path().join(file);
        fs::write(&path, text).expect("a file can be written");
        path.to_str().expect("a path").to_string()
    };
    let mut database = Database::create(&name);
    database.run(&text("postgres/shop.sql"));
    let settings = write("worker.properties", text("connect/worker.properties").replace("shop-connect", &name));
    let mut worker = Worker::start("shop", &brokers, Some(Path::new(&settings)));
    put_connector(&worker, &database, dir.path());

    let sql = text("shop.sql")
        .replace("'shop.", &format!("'{name}."))
        .replace("postgres://shop:shop@postgres:5432/shop", &database.url);
    let sql = write("shop.sql", sql);
    let data = dir.path().join("data").to_str().expect("a path").to_string();
    let mut arguments = vec!["run", "--data", &data, "--kafka", &brokers, "--pipeline", &name];
    arguments.extend(["--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", &sql]);
    let log = dir.path().join("stderr.log");
    let mut millstream = Process::start(&arguments, &log);
    let http = millstream.ready(Duration::from_secs(120)).unwrap_or_else(|| panic!("{:?}", fs::read_to_string(&log)));

    database.run(
        "UPDATE orders SET status = 'paid', amount = 1 WHERE id = 4; INSERT INTO customers VALUES (4, 'Di', NULL)",
    );
    // No key, and told exactly once: the worker's death doubles nothing.
    database.run("INSERT INTO clicks (page) VALUES ('/shop'), ('/help'); DELETE FROM clicks WHERE page = '/'");
    let mut reader = postgres::Client::connect(&database.url, NoTls).expect("PostgreSQL answers");
    let mut answers = |expected: &[&str]| {
        until("the answers are in PostgreSQL", || {
            let rows = reader.query("SELECT page || ' ' || clicks FROM answers.pages ORDER BY page", &[]);
            rows.is_ok_and(|rows| rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>() == expected)
        });
    };
    answers(&["/help 1", "/shop 2"]);
    worker.kill();
    database.run("INSERT INTO clicks (page) VALUES ('/shop'), ('/end')");
    worker.launch();
    answers(&["/end 1", "/help 1", "/shop 3"]);
    until("the answers are in Kafka", || {
        let url = format!("http://{http}/topics/{name}.revenue?from=0");
        let lines = ureq::get(&url).call().expect("it answers").body_mut().read_to_string().expect("a text");
        lines.contains(r#"{\"region\":\"north\",\"orders\":3,\"revenue\":\"112.50\"}"#)
    });
    // The marks of Connect's transactions, behind the last records, are nothing that it lags by.
    until("nothing is left to read", || {
        let mut answer = ureq::post(format!("http://{http}/sql")).send("SHOW SOURCES").expect("it answers");
        let text = answer.body_mut().read_to_string().expect("a text");
        let reply: Value = serde_json::from_str(&text).expect("JSON");
        reply["results"][0]["rows"].as_array().expect("rows").iter().all(|row| row[5] == "0")
    });
    assert_eq!(millstream.terminate(), Some(0), "it ends cleanly");
}

/// Gives Connect the connector by the script that does so in compose/.
fn put_connector(worker: &Worker, database: &Database, dir: &Path) {
    let mut config: Value = serde_json::from_str(&text("connect/shop.json")).expect("JSON");
    for name in ["topic.prefix", "slot.name", "publication.name", "database.dbname"] {
        config[name] = database.name.clone().into();
    }
    config["database.hostname"] = database.host.clone().into();
    config["database.port"] = database.port.to_string().into();
    config["database.user"] = "postgres".into();
    fs::write(dir.join("shop.json"), config.to_string()).expect("a file can be written");
    fs::copy(compose().join("connect/put-connector"), dir.join("put-connector")).expect("a file can be copied");
    let put = || Command::new("bash").arg(dir.join("put-connector")).arg(&worker.rest).output().expect("bash runs");
    let first = put();
    assert!(first.status.success(), "Connect takes the connector: {first:?}");
    worker.wait_for("shop", "RUNNING", 1);
    assert!(put().status.success(), "and takes it again");
    fs::write(dir.join("shop.json"), "{}").expect("a file can be written");
    let nonsense = put();
    assert!(!nonsense.status.success(), "nonsense is an error: {nonsense:?}");
    assert!(String::from_utf8_lossy(&nonsense.stderr).contains("refuses the connector"), "{nonsense:?}");
}
