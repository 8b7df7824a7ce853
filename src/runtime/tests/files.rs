//! A sink's file: each committed epoch once, in order, whatever dies; and a file that cannot be written is its own trouble.

use std::fs;
use std::path::Path;

use super::world::{Between, Running, T, World, gone, put};

fn create(path: &Path) -> String {
    format!("CREATE SINK s FROM t WITH (connector = 'file', path = '{}');", path.display())
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_string).collect()
}

fn status(running: &Running) -> String {
    running.show("SINKS")["s"][2].clone()
}

#[test]
fn every_change_is_a_line_once_whatever_dies() {
    let world = World::new();
    let path = world.dir.path().join("out.jsonl");
    let mut running = world.start();
    running.sql(T);
    running.feed("t", &[put(1, 1, 0)]);
    running.sql(&create(&path));
    let mut expected = vec![r#"{"key":{"id":1},"value":{"id":1,"a":1,"b":0}}"#.to_string()];
    for (id, between) in (2..).zip([Between::Crash, Between::Crash, Between::Stop, Between::Crash, Between::Nothing]) {
        running.feed("t", &[put(id, 7, 0)]);
        expected.push(format!(r#"{{"key":{{"id":{id}}},"value":{{"id":{id},"a":7,"b":0}}}}"#));
        running = world.again(running, between);
        assert_eq!(lines(&path), expected, "{between:?}");
    }
    running.feed("t", &[gone(1)]);
    assert_eq!(lines(&path).last().unwrap(), r#"{"key":{"id":1},"value":null}"#);
    assert_eq!(status(&running), "ACTIVE");
}

#[test]
fn what_a_crash_kept_out_of_the_file_is_written_by_the_next_start() {
    let world = World::new();
    let path = world.dir.path().join("out.jsonl");
    let progress = world.dir.path().join("out.jsonl.progress");
    let running = world.start();
    running.sql(&format!("{T}{}", create(&path)));
    running.feed("t", &[put(1, 1, 0)]);
    running.handle.checkpoint().unwrap();
    let before = (fs::read(&path).unwrap(), fs::read(&progress).unwrap());
    running.feed("t", &[put(2, 2, 0)]);
    running.feed("t", &[put(3, 3, 0)]);
    running.crash();
    let after = fs::read(&path).unwrap();
    // As if it had died before it wrote both, the first of them half.
    fs::write(&path, &after[..before.0.len() + 5]).unwrap();
    fs::write(&progress, before.1).unwrap();
    let running = world.start();
    assert_eq!(fs::read(&path).unwrap(), after);
    assert_eq!(status(&running), "ACTIVE");
}

#[test]
fn a_file_that_was_put_back_or_cannot_be_written_is_an_error_of_the_sink() {
    let world = World::new();
    let path = world.dir.path().join("out.jsonl");
    let progress = world.dir.path().join("out.jsonl.progress");
    let running = world.start();
    running.sql(&format!("{T}{}", create(&path)));
    running.feed("t", &[put(1, 1, 0)]);
    let old = fs::read(&progress).unwrap();
    running.feed("t", &[put(2, 2, 0)]);
    running.stop().unwrap();
    fs::write(&progress, old).unwrap();
    let running = world.start();
    assert!(status(&running).contains("it was put back or made anew"), "{}", status(&running));
    running.feed("t", &[put(3, 3, 0)]);
    let running = world.again(running, Between::Stop);
    assert!(status(&running).starts_with("ERROR"));
    assert_eq!(running.rows("t").len(), 3, "the tables know nothing of it");
    assert!(
        running
            .refusal("CREATE SINK x FROM t WITH (connector = 'file', path = '/no/such/folder/f')")
            .to_string()
            .contains("cannot open")
    );
    running.sql(&format!("DROP SINK s; {}", create(&world.dir.path().join("other.jsonl"))));
    assert_eq!(lines(&world.dir.path().join("other.jsonl")).len(), 3);
    fs::write(world.dir.path().join("other.jsonl.progress"), "{}").unwrap();
    running.feed("t", &[put(4, 4, 0)]);
    assert!(status(&running).starts_with("ERROR"), "somebody else has it: {}", status(&running));
}

#[test]
fn a_file_of_an_earlier_sink_is_not_filled_again() {
    let world = World::new();
    let path = world.dir.path().join("out.jsonl");
    let running = world.start();
    running.sql(&format!("{T}{}", create(&path)));
    running.feed("t", &[put(1, 1, 0)]);
    let before = lines(&path);
    running.sql("DROP SINK s");
    let error = running.refusal(&create(&path));
    assert!(error.to_string().contains("earlier sink"), "{error}");
    assert_eq!(lines(&path), before);
    running.sql(&create(&world.dir.path().join("other.jsonl")));
}

#[test]
fn what_a_file_and_a_blackhole_get_is_counted() {
    let world = World::new();
    let running = world.start();
    running.sql(T);
    running.sql(&create(&world.dir.path().join("out.jsonl")));
    running.sql("CREATE SINK h FROM t WITH (connector = 'blackhole')");
    running.feed("t", &[put(1, 1, 0), put(2, 2, 0)]);
    running.feed("t", &[put(1, 9, 0), gone(2)]);
    let text = running.handle.shared().metrics.text(running.handle.shared());
    let count = |sink: &str| {
        let name = format!("millstream_sink_records_total{{sink=\"{sink}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_string)
    };
    assert_eq!(count("s").as_deref(), Some("4"), "a line for each key and epoch");
    assert_eq!(count("h").as_deref(), Some("5"), "an update is a row that goes and one that comes");
}
