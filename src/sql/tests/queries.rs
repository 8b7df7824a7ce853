//! Clients' queries, judged by PostgreSQL: the same rows, types, names and SQLSTATEs, from snapshots in memory here and from
//! the same tables there. `queries/list.txt` has one query a line: `=` with its rows in any order, `>` in this order, `?`
//! answered there and refused here.

#![allow(clippy::unwrap_used)]

#[path = "queries/bounds.rs"]
mod bounds;
#[path = "queries/explain.rs"]
mod explain;
#[path = "queries/generated.rs"]
mod generated;
#[path = "queries/parameters.rs"]
mod parameters;
#[allow(dead_code)]
mod support;
#[path = "queries/verify.rs"]
mod verify;
#[path = "queries/world.rs"]
mod world;

use world::{Judge, World, difference};

const LIST: &str = include_str!("queries/list.txt");

#[test]
fn listed_queries() {
    let (world, mut judge) = (World::new(), Judge::new());
    let (mut count, mut failures) = (0, Vec::new());
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let (kind, query) = line.split_at(1);
        let query = query.trim();
        count += 1;
        let there = judge.ask(query);
        let here = world.ask(query);
        let wrong = match kind {
            "?" => match (&here, &there) {
                (Err(e), Ok(_)) if e.sqlstate == "0A000" => None,
                other => Some(format!("not refused: {other:?}")),
            },
            "=" | ">" => difference(&here, &there, kind == ">"),
            other => panic!("a line begins with {other}"),
        };
        failures.extend(wrong.map(|wrong| format!("{query}\n   {wrong}")));
    }
    println!("{count} queries");
    assert!(count > 300, "{count} queries");
    let shown: Vec<String> = failures.iter().take(80).map(|f| f.chars().take(700).collect()).collect();
    assert!(failures.is_empty(), "{} of {count} differ from PostgreSQL:\n{}", failures.len(), shown.join("\n"));
}
