//! The broker is away: the process waits as long as it takes, with the memory that it had, answers who reads, and goes on.

use std::time::{Duration, Instant};

use super::{budget, resident};
use crate::crash::wait_epochs;
use crate::kill::rig::{Rig, show, wait_until};

/// More than it had: buffers of clients that connect again, and what was on its way.
const MORE_BYTES_MAX: u64 = 96 << 20;

#[test]
fn the_broker_is_away_and_comes_back() {
    let outage = Duration::from_secs(budget("OUTAGE_SECONDS", 8));
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::kafka(dir.path(), 6, true);
    let mut serving = rig.serve("");
    rig.go_on(&serving);
    wait_epochs(&serving, 20);
    wait_until(&serving.http, "SHOW STREAM TABLES", |rows| rows.iter().any(|row| row[0] == "joined" && row[3] != "0"));
    let before = resident(&serving.process);
    rig.broker().unwrap().kill();
    let (begun, mut most, mut looked) = (Instant::now(), 0, 0);
    while begun.elapsed() < outage {
        let ended = serving.process.ended_by(Instant::now() + Duration::from_millis(200));
        assert_eq!(ended, None, "it waits:\n{}", rig.tail());
        most = most.max(resident(&serving.process));
        let health = ureq::get(format!("http://{}/healthz", serving.http)).call();
        assert!(health.is_ok(), "it is alive after {:?}: {health:?}\n{}", begun.elapsed(), rig.tail());
        looked += 1;
    }
    // The loop waits for its commit; readers do not.
    let (host, port) = serving.pg.rsplit_once(':').expect("host:port");
    let parameters = format!("host={host} port={port} user=reader dbname=millstream");
    let mut client = postgres::Client::connect(&parameters, postgres::NoTls).expect("it answers");
    let rows: i64 = client.query_one("SELECT count(*) FROM joined", &[]).expect("a query").get(0);
    assert!(rows > 0, "what was committed is read");
    rig.broker().unwrap().come_back();
    let back = Instant::now();
    wait_epochs(&serving, 5);
    println!(
        "away for {} s: {} MB before, at most {} MB ({looked} looks); epochs go on {} ms after it is back",
        outage.as_secs(),
        before >> 20,
        most >> 20,
        back.elapsed().as_millis()
    );
    assert!(most < before + MORE_BYTES_MAX, "memory is bounded: {before} before, {most} then");
    assert!(!show(&serving.http, "SHOW SOURCES").0.is_empty());
    rig.finish(serving);
}
