//! Row 11: a change of the catalog is an epoch of its own, and is there whole or not at all.

use super::{End, chain, finish_in, live, replaying, show_hits, wait_epochs};
use crate::kill::rig::show;

/// Each start goes on with the file where the one before died.
#[test]
fn row_11_dying_while_tables_and_sinks_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let lives = [
        ("catalog-before=kill@1", End::Kill),
        ("catalog-after=kill@2", End::Kill),
        ("catalog-before=kill@4", End::Kill),
        ("catalog-after=kill@2", End::Kill),
        ("catalog-before=error@2", End::Error),
        ("populate=kill@1", End::Kill),
        ("catalog-after=kill@2", End::Kill),
    ];
    chain(&mut replaying(dir.path(), false), &lives);
}

/// Under load, in a pipeline with rows: a table and a sink come and go.
#[test]
fn row_11_dying_in_a_statement_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = replaying(dir.path(), false);
    let statements = [
        (
            "catalog-before",
            "CREATE STREAM TABLE extra AS SELECT region, max(amount) AS most FROM joined GROUP BY region",
        ),
        (
            "catalog-after",
            "CREATE STREAM TABLE extra AS SELECT region, max(amount) AS most FROM joined GROUP BY region",
        ),
        (
            "catalog-after",
            "CREATE SINK extra_out FROM extra WITH (connector = 'log', topic = 'extra', envelope = 'upsert')",
        ),
        (
            "populate",
            "CREATE SINK extra_twice FROM extra WITH (connector = 'log', topic = 'twice', envelope = 'upsert')",
        ),
        ("catalog-before", "DROP STREAM TABLE extra CASCADE"),
        ("catalog-after", "DROP STREAM TABLE extra CASCADE"),
    ];
    live(&mut rig, "epoch-staged=kill@20", End::Kill);
    for (name, statement) in statements {
        let mut serving = rig.serve(&format!("{name}=kill"));
        rig.go_on(&serving);
        wait_epochs(&serving, 2);
        let answer = ureq::post(format!("http://{}/sql", serving.http)).send(statement);
        assert!(answer.is_err(), "it died before it answered: {statement}");
        let ended = serving.process.ended_by(std::time::Instant::now() + crate::kill::rig::PATIENCE);
        assert!(ended.is_some(), "{name} is reached by: {statement}");
        rig.pause();
        let there = statement.starts_with("CREATE STREAM") && name == "catalog-after";
        let serving = rig.serve("");
        let (rows, text) = show(&serving.http, "SHOW STREAM TABLES");
        let extra = rows.iter().any(|row| row[0] == "extra");
        let was = statement.starts_with("CREATE SINK") || (statement.starts_with("DROP") && name == "catalog-before");
        assert_eq!(extra, there || was, "{name}, {statement}: {text}");
        rig.go_on(&serving);
        wait_epochs(&serving, 2);
        rig.pause();
        rig.stop(serving);
    }
    let serving = rig.serve("");
    finish_in(&mut rig, serving);
    show_hits(&rig, &["catalog-before=kill", "catalog-after=kill", "populate=kill"]);
}
