//! A key in two partitions of a source is counted, and told once; one that stays in its own never is.

use dataflow::{Action, Contents, Moved, Planner as _, contents_id};
use plan::{Catalog, TableKind};
use sql::SqlPlanner;
use state::Arrangement;
use zset::Partition;

use super::world::{Between, Running, World, append, make_topic, put};
use crate::table::Table;

const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT) \
    WITH (connector = 'log', topic = 't', format = 'json', envelope = 'upsert');";

fn moves(running: &Running) -> Option<u64> {
    let text = running.handle.shared().metrics.text(running.handle.shared());
    let line = text.lines().find(|line| line.starts_with("millstream_source_key_moves_total{table=\"t\"}"))?;
    line.split(' ').next_back()?.parse().ok()
}

#[test]
fn a_key_in_two_partitions_is_counted() {
    for between in [Between::Nothing, Between::Stop, Between::Crash] {
        let world = World::new();
        make_topic(&world.log, "t", 3);
        let mut running = world.start();
        running.sql(T);
        for round in 0..3 {
            for partition in 0..3 {
                let keys = i64::from(partition) * 10..i64::from(partition) * 10 + 5;
                let records: Vec<_> = keys.map(|key| put(key, round, 0)).collect();
                append(&world.log, "t", partition, &records);
            }
            running.settle("t");
        }
        assert_eq!((running.rows("t").len(), moves(&running)), (15, None), "each is where it was");
        // Within an epoch and from one to another.
        append(&world.log, "t", 0, &[put(1, 9, 0), put(11, 9, 0)]);
        running.settle("t");
        assert_eq!(moves(&running), Some(1));
        append(&world.log, "t", 1, &[put(11, 10, 0), put(12, 10, 0)]);
        running.settle("t");
        assert_eq!(moves(&running), Some(2));
        running = world.again(running, between);
        // A counter begins anew with its process, and what a crash has replayed is counted in it.
        let before = moves(&running).unwrap_or(0);
        append(&world.log, "t", 2, &[put(20, 1, 0), put(21, 1, 0)]);
        running.settle("t");
        assert_eq!(moves(&running).unwrap_or(0), before);
        running.stop().unwrap();
    }
}

/// Partitions of a topic that is another are not those that were.
#[test]
fn keys_of_a_source_that_begins_anew_have_not_moved() {
    let world = World::new();
    make_topic(&world.log, "t", 2);
    let running = world.start();
    running.sql(T);
    append(&world.log, "t", 0, &[put(1, 1, 0)]);
    running.settle("t");
    running.sql("ALTER TABLE t RESTART FROM 'latest'");
    append(&world.log, "t", 1, &[put(1, 2, 0)]);
    running.settle("t");
    assert_eq!((running.rows("t").len(), moves(&running)), (1, None));
    running.stop().unwrap();
}

#[test]
fn the_first_is_told_with_what_to_do() {
    let text = T.replace("topic = 't'", "topic = 'a,b'");
    let Action::CreateTable(def) = SqlPlanner::new().plan(&text, &Catalog::default()).unwrap().action else {
        panic!("a table")
    };
    let TableKind::Source(source) = def.kind.clone() else { panic!("a source") };
    let arrangement = Arrangement::new(contents_id(def.id), Contents::law(&def));
    let contents = Contents::with_rows(&def, arrangement, 0);
    let mut table = Table::source(def, &source, contents).unwrap();
    let moved = Moved { times: 3, key: "(id=1)".into(), from: Partition(4), to: Partition::of(1, 2).unwrap() };
    let told = table.first_move(&moved).expect("it is told");
    for words in
        ["key (id=1)", "topic \"b\" partition 2", "topic \"a\" partition 4", "its producer", "RESTART FROM 'earliest'"]
    {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(table.first_move(&moved), None, "once");
}
