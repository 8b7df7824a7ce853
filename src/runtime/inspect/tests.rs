//! What is shown of epoch records, and what of a broken chain is seen.

#![allow(clippy::unwrap_used)]

use super::{Links, Names, describe};

const RECORDS: &str = include_str!("../../plan/samples/records-2.jsonl");

fn troubles(lines: &[&str]) -> Vec<(usize, String)> {
    let mut links = Links::default();
    let looked = lines.iter().enumerate().map(|(at, line)| (at, links.next(line.as_bytes()).troubles.join("; ")));
    looked.filter(|(_, troubles)| !troubles.is_empty()).collect()
}

#[test]
fn a_whole_chain_has_no_troubles_wherever_it_begins() {
    let lines: Vec<&str> = RECORDS.lines().collect();
    assert_eq!(troubles(&lines), []);
    assert_eq!(troubles(&lines[7..]), []);
}

#[test]
fn what_is_missing_foreign_changed_or_unreadable_is_seen() {
    let lines: Vec<&str> = RECORDS.lines().collect();
    let missing: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != 5).map(|(_, line)| *line).collect();
    let found = troubles(&missing);
    assert!(found.len() == 1 && found[0].0 == 5, "{found:?}");
    assert!(
        found[0].1.contains("it is epoch 6, epoch 5 was to come") && found[0].1.contains("names record"),
        "{found:?}"
    );
    let (mut changed, text) = (lines.clone(), lines[10].replacen("\"count\":", "\"count\": ", 1));
    changed[10] = &text;
    let found = troubles(&changed);
    assert!(found.len() == 1 && found[0].0 == 11, "a blank is another record: {found:?}");
    let (mut broken, text) = (lines.clone(), &lines[9][..40]);
    broken[9] = text;
    let found = troubles(&broken);
    assert!(
        found.len() == 2 && found[0].0 == 9 && found[1].0 == 10 && found[0].1.contains("cannot read epoch record"),
        "{found:?}"
    );
    let text = lines[3].replacen("\"incarnation\":\"", "\"incarnation\":\"x", 1);
    let foreign = [lines[2], &text];
    assert!(troubles(&foreign)[0].1.contains("it is of incarnation x"), "{:?}", troubles(&foreign));
}

#[test]
fn a_record_is_one_line_that_says_all() {
    let (mut links, mut names) = (Links::default(), Names::default());
    let lines: Vec<String> = RECORDS
        .lines()
        .map(|line| {
            let record = links.next(line.as_bytes()).record.unwrap();
            names.learn(&record);
            describe(&record, &names)
        })
        .collect();
    assert!(lines[1].contains("CREATE TABLE orders"), "{}", lines[1]);
    assert!(
        lines[10].starts_with("generation 1 | read orders[0] 0..1 (1), orders[1] 0..2 (2, 1 dead)"),
        "{}",
        lines[10]
    );
    assert!(lines[16].ends_with("DROP gone"), "{}", lines[16]);
    assert!(lines[20].contains("bad ERROR: division by zero"), "{}", lines[20]);
    assert!(lines.iter().all(|line| line.lines().count() == 1));
}
