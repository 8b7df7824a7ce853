//! Several hosts in one url: those that take a connection and say nothing are passed over.

use std::net::TcpListener;

use api::{Target, TargetError};

use super::support::{World, apply, columns, open, there};
use crate::PostgresTarget;

/// A url with hosts before the one of the world's.
fn url(world: &World, before: &[String], query: &str) -> String {
    let (user, rest) = world.url.trim_start_matches("postgres://").split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let hosts: Vec<&str> = before.iter().map(String::as_str).chain([address]).collect();
    format!("postgres://{user}@{}/{database}?{query}", hosts.join(","))
}

/// A host that takes connections and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[test]
fn silent_hosts_are_passed_over() {
    let mut world = World::new();
    let (one, two, three) = (silent(), silent(), silent());
    let before = [one.1, two.1, "nowhere.invalid:1".to_string(), three.1];
    for (before, query) in [(&before[..1], ""), (&before[..], "connect_timeout=3")] {
        let mut spec = world.spec("t", &columns(), &[0]);
        spec.sink.options.0.insert("url".into(), url(&world, before, query));
        let (mut target, progress) = open(&spec);
        let epoch = progress.map(|progress| progress.epoch.0);
        apply(&mut target, vec![there(&[(1, "a")])], epoch, epoch.unwrap_or(0) + 1).unwrap();
    }
    assert_eq!(world.rows("SELECT id, name FROM t"), [["1", "a"]]);
}

#[test]
fn the_host_that_is_silent_is_named() {
    let world = World::new();
    let (_listener, address) = silent();
    let mut spec = world.spec("t", &columns(), &[0]);
    spec.sink.options.0.insert("url".into(), format!("postgres://u@{address}/d?connect_timeout=1"));
    let error = PostgresTarget::new(&spec).unwrap().open().unwrap_err();
    let TargetError::Retriable(why) = error else { panic!("{error:?}") };
    assert!(why.contains(&format!("connect to {address}: no answer within 1 s (connect_timeout")), "{why}");
}
