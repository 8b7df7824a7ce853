//! Sources of which only the user knows what is to be.

use super::*;

#[test]
fn other_sources_are_halted_and_all_else_goes_on() {
    let world = World::new();
    let running = filled(&world);
    running.sql(ROWS);
    running.feed("r", &[put(1, 1, 1), put(2, 2, 2)]);
    running.stop().unwrap();
    append(&world.log, "r", 0, &[put(3, 3, 3), put(4, 4, 4)]);
    world.log.trim(&at("r", 0), Offset(3)).unwrap();
    let mut running = world.start();
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        running = world.again(running, between);
        let why = halted(&running, "r").unwrap();
        assert!(why.contains("topic \"r\" partition 0") && why.contains("offsets 2 to 3"), "{why}");
        assert!(why.contains("RESTART FROM 'earliest'") && why.contains("ALTER TABLE r ACCEPT LOSS"), "{why}");
        assert_eq!(running.rows("n"), once([r#"{"n":2}"#]), "it keeps its rows");
    }
    running.feed("t", &[put(5, 5, 5)]);
    judge(&world, &running, &[(1, 1, 0), (2, 1, 0), (3, 3, 0), (5, 5, 5)]);
    running.sql("ALTER TABLE r ACCEPT LOSS");
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        running = world.again(running, between);
        assert_eq!(halted(&running, "r"), None);
        running.until_rows("n", &[r#"{"n":3}"#]);
    }
    assert!(
        running.refusal("ALTER TABLE r ACCEPT LOSS").to_string().contains("nothing of the topic of table r is lost")
    );
    running.sql("ALTER TABLE r RESTART FROM 'earliest'");
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        running = world.again(running, between);
        running.until_rows("n", &[r#"{"n":1}"#]);
        assert_eq!(running.rows("r"), once([row(4, 4, 4)]));
    }
    running.feed("r", &[put(5, 5, 5), put(6, 6, 6)]);
    running.sql("ALTER TABLE r RESTART FROM '0:5'");
    running.until_rows("r", &[&row(6, 6, 6)]);
    running.sql("ALTER TABLE r RESTART FROM latest");
    running.until_rows("r", &[]);
    running.feed("r", &[put(7, 7, 7)]);
    assert_eq!(running.rows("r"), once([row(7, 7, 7)]));
    let time = |text: &str| running.refusal(&format!("ALTER TABLE r RESTART FROM '{text}'")).to_string();
    assert!(time("0:99").contains("holds offsets 3 to 7"), "{}", time("0:99"));
    assert!(time("1:0").contains("no partition 1"), "{}", time("1:0"));
    running.sql("ALTER TABLE r RESTART FROM '2020-09-13T12:26:40Z'");
    running.until_rows("n", &[r#"{"n":4}"#]);
}

#[test]
fn a_topic_made_anew_is_for_the_user_to_judge() {
    for between in [Between::Nothing, Between::Stop] {
        for (statement, rows) in [
            ("ALTER TABLE t RESTART FROM 'earliest'", vec![(8, 8, 8), (9, 9, 9)]),
            ("ALTER TABLE t ACCEPT LOSS", vec![(1, 1, 0), (2, 1, 0), (3, 3, 0), (8, 8, 8), (9, 9, 9)]),
        ] {
            let world = World::new();
            make_topic(&world.log, "t2", 1);
            let mut running = filled(&world);
            append(&world.log, "t2", 0, &[put(8, 8, 8), put(9, 9, 9)]);
            match between {
                Between::Nothing => instead(&world, "t", "t2"),
                _ => {
                    running.stop().unwrap();
                    instead(&world, "t", "t2");
                    running = world.start();
                }
            }
            let why = running.why_halted("t");
            assert!(why.contains("deleted and made anew, or truncated") && why.contains("0 to 2"), "{why}");
            judge(&world, &running, &[(1, 1, 0), (2, 1, 0), (3, 3, 0)]);
            running.sql(statement);
            for between in [Between::Nothing, Between::Crash, Between::Stop] {
                running = world.again(running, between);
                running.until("it is read", || running.rows("t").len() == rows.len());
                judge(&world, &running, &rows);
            }
        }
    }
}

#[test]
fn a_topic_that_is_gone_halts_its_source_until_it_is_back() {
    let world = World::new();
    filled(&world).stop().unwrap();
    instead(&world, "t", "nowhere");
    let running = world.start();
    let why = halted(&running, "t").unwrap();
    assert!(why.contains("topic \"t\" partition 0 does not exist, and was read up to offset 4"), "{why}");
    let refused = running.refusal("ALTER TABLE t RESTART FROM 'earliest'").to_string();
    assert!(refused.contains("topic \"t\" does not exist"), "{refused}");
    running.sql("ALTER TABLE t RESUME");
    assert!(halted(&running, "t").is_some(), "it is gone still");
    world.log.faults.instead.lock().unwrap().clear();
    running.sql("ALTER TABLE t RESUME");
    assert_eq!(halted(&running, "t"), None, "it is back");
    running.feed("t", &[put(4, 4, 4)]);
    judge(&world, &running, &[(1, 1, 0), (2, 1, 0), (3, 3, 0), (4, 4, 4)]);
}

#[test]
fn a_record_that_is_another_means_another_topic() {
    let others: [fn(&mut api::Record); 4] = [
        |record| record.timestamp = TimestampMs(record.timestamp.0 + 1),
        |record| record.key = Some("{\"id\":9}".into()),
        |record| record.value = Some("{\"id\":9}".into()),
        |record| record.value = None,
    ];
    for other in others {
        let world = World::new();
        filled(&world).stop().unwrap();
        *world.log.faults.forge.lock().unwrap() = Some(Box::new(move |record: &mut api::Record| {
            if &*record.at.topic == "t" {
                other(record);
            }
        }));
        let running = world.start();
        let why = halted(&running, "t").unwrap();
        assert!(why.contains("was deleted and made anew: its record at offset 3 is not the one"), "{why}");
    }
}

/// A Debezium source that has read two rows, of a topic that keeps what is said, and is stopped.
fn read_of_debezium(keeping: Keeping) -> World {
    let world = World::new();
    make_topic(&world.log, "t", 1);
    keep(&world, "t", keeping);
    let running = world.start();
    running.sql(&T.replace("upsert", "debezium"));
    running.feed("t", &[created(1), created(2)]);
    running.stop().unwrap();
    world
}

/// A table of keys whose topic is compacted is not reconciled: an event may leave out values that did not change.
#[test]
fn a_debezium_source_that_may_have_missed_deletes_is_halted() {
    let world = read_of_debezium(COMPACTED);
    append(&world.log, "t", 0, &[gone(1), created(3)]);
    vanish(&world, "t", &[0, 2]);
    let running = world.start();
    let why = halted(&running, "t").unwrap();
    assert!(why.contains("may have lost deletes") && why.contains("delete.retention.ms"), "{why}");
    running.sql("ALTER TABLE t RESTART FROM 'earliest'");
    running.until_rows("t", &[&row(2, 1, 1), &row(3, 1, 1)]);
}

#[test]
fn a_source_without_rows_goes_on_behind_what_it_lost() {
    let world = World::new();
    make_topic(&world.log, "r", 1);
    let running = world.start();
    running.sql(&ROWS.replace("TABLE r", "SOURCE r"));
    running.feed("r", &[put(1, 1, 1)]);
    running.stop().unwrap();
    append(&world.log, "r", 0, &[put(2, 2, 2), put(3, 3, 3)]);
    world.log.trim(&at("r", 0), Offset(2)).unwrap();
    let running = world.start();
    assert!(halted(&running, "r").is_some());
    assert!(running.refusal("ALTER TABLE r RESTART FROM 'earliest'").to_string().contains("ACCEPT LOSS"));
    running.sql("ALTER TABLE r ACCEPT LOSS");
    running.until_rows("n", &[r#"{"n":2}"#]);
    running.sql("CREATE STREAM TABLE m AS SELECT count(*) AS m FROM r");
    assert_eq!(running.rows("m"), once([r#"{"m":1}"#]), "it starts behind the loss");
}

/// The topic has fewer partitions than it had: those that are gone are forgotten, and the process goes on.
#[test]
fn a_topic_made_anew_with_fewer_partitions_is_read_anew() {
    let world = World::new();
    make_topic(&world.log, "t", 2);
    make_topic(&world.log, "t2", 1);
    let running = world.start();
    running.sql(&format!("{T}{SUM}"));
    append(&world.log, "t", 1, &[put(2, 2, 2), put(3, 3, 3)]);
    running.feed("t", &[put(1, 1, 1)]);
    running.stop().unwrap();
    append(&world.log, "t2", 0, &[put(8, 8, 8)]);
    instead(&world, "t", "t2");
    let mut running = world.start();
    assert!(halted(&running, "t").is_some());
    running.sql("ALTER TABLE t RESTART FROM 'earliest'");
    for between in [Between::Nothing, Between::Crash, Between::Stop] {
        running = world.again(running, between);
        assert_eq!(halted(&running, "t"), None);
        judge(&world, &running, &[(8, 8, 8)]);
    }
    append(&world.log, "t2", 0, &[put(9, 9, 9)]);
    running.until("it is read on", || running.rows("t").len() == 2);
    judge(&world, &running, &[(8, 8, 8), (9, 9, 9)]);
}

/// What is accepted is known when reading begins: the reader does not find the same loss once more.
#[test]
fn deletes_that_were_missed_and_accepted_do_not_halt_again() {
    let world = read_of_debezium(Keeping { tombstones_ms: 10_000, ..COMPACTED });
    append(&world.log, "t", 0, &[created(3)]);
    world.ahead.fetch_add(3_600_000, Ordering::SeqCst);
    let running = world.start();
    assert!(halted(&running, "t").unwrap().contains("may have lost deletes"));
    running.sql("ALTER TABLE t ACCEPT LOSS");
    until("it is read on, or halted", || running.rows("t").len() == 3 || halted(&running, "t").is_some());
    assert_eq!(halted(&running, "t"), None);
    // Who dies right after it knows it too.
    running.crash();
    append(&world.log, "t", 0, &[created(4)]);
    let running = world.start();
    assert_eq!(halted(&running, "t"), None);
    until("it is read on, or halted", || running.rows("t").len() == 4 || halted(&running, "t").is_some());
    assert_eq!(halted(&running, "t"), None);
}
