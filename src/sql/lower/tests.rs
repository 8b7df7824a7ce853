//! Plans as golden text: `plans.txt` has a query, a line of dashes, and its graph. `MILLSTREAM_BLESS=1` writes it anew.
#![allow(clippy::unwrap_used)]

use crate::testing::{apply, shop, stream};

const PLANS: &str = include_str!("plans.txt");

#[test]
fn plans_are_as_written() {
    let mut all = shop();
    apply(
        &mut all,
        "CREATE STREAM TABLE totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer",
    );
    let mut written = String::new();
    let mut count = 0;
    for block in PLANS.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let query = block.split("\n---").next().unwrap().trim();
        let (_, graph) = stream(&all, query).unwrap_or_else(|e| panic!("{query}: {e}"));
        written += &format!("{query}\n---\n{}\n\n", graph.to_string().trim());
        count += 1;
    }
    if std::env::var("MILLSTREAM_BLESS").is_ok() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/lower/plans.txt"), &written).unwrap();
    }
    assert!(count >= 25, "{count} plans");
    for (now, then) in written.split("\n\n").zip(PLANS.split("\n\n")) {
        assert_eq!(now.trim(), then.trim());
    }
}
