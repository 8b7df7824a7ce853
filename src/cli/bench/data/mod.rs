//! The data of the bench, as JSON lines: auctions with their persons and bids, and a shop's orders and customers as Debezium writes
//! their changes. The same number of events gives the same bytes, those of the generator in Python that the peers are measured
//! with (`seed` 42 and 7).

mod changes;
mod nexmark;
mod python;

use crate::cli::Failure;

/// A topic of the data, which has its name from the source that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Topic {
    Person,
    Auction,
    Bid,
    Customers,
    Orders,
}

/// What Debezium writes of a row that was: all of it, or its key alone, and that only where the row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Identity {
    /// `before` is the whole row.
    Full,
    /// An update has no `before`, that of a delete has the key.
    Default,
}

/// Which data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    /// Of persons, auctions and bids together.
    pub events: u64,
    /// Of orders and customers together.
    pub changes: u64,
    pub identity: Identity,
}

/// Takes a record: its topic, the number of its key, its JSON.
pub(super) type Take<'a> = &'a mut dyn FnMut(Topic, i64, &str) -> Result<(), Failure>;

impl Topic {
    pub const ALL: [Self; 5] = [Self::Person, Self::Auction, Self::Bid, Self::Customers, Self::Orders];

    /// The name of its source.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Auction => "auction",
            Self::Bid => "bid",
            Self::Customers => "customers",
            Self::Orders => "orders",
        }
    }

    /// Whether its records are changes.
    pub fn changes(self) -> bool {
        matches!(self, Self::Customers | Self::Orders)
    }

    /// Where its JSON lines are in a folder of data.
    pub fn folder(self) -> String {
        let name = self.name();
        if self.changes() { format!("cdc/{name}") } else { name.to_string() }
    }

    /// The key of a record, as text.
    pub fn key(self, number: i64) -> String {
        if self.changes() { format!("{{\"id\":{number}}}") } else { number.to_string() }
    }
}

impl Data {
    /// Generates the records of the topics that are wanted, in the order of their events.
    pub fn generate(&self, wanted: &[Topic], take: Take) -> Result<(), Failure> {
        let take: Take = &mut |topic, key, line| match wanted.contains(&topic) {
            true => take(topic, key, line),
            false => Ok(()),
        };
        if wanted.iter().any(|topic| !topic.changes()) {
            nexmark::generate(self.events, take)?;
        }
        if wanted.iter().any(|topic| topic.changes()) {
            changes::generate(self.changes, self.identity, take)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use zset::Digest;

    use super::*;

    fn sums(data: &Data) -> BTreeMap<&'static str, (u64, String)> {
        let mut sums: BTreeMap<&'static str, (u64, Digest)> = BTreeMap::new();
        data.generate(&Topic::ALL, &mut |topic, _, line| {
            let sum = sums.entry(topic.name()).or_default();
            sum.0 += 1;
            // With its place: the order counts too.
            sum.1.add(format!("{} {line}", sum.0).as_bytes(), 1);
            Ok(())
        })
        .unwrap();
        sums.into_iter().map(|(name, (count, digest))| (name, (count, digest.to_string()))).collect()
    }

    const PYTHON: [(&str, (u64, &str)); 5] = [
        ("auction", (300, "f291e76e85cce58a5dec1858998b03ce")),
        ("bid", (4_600, "290c3a8c518961f2017f0384b87dcf64")),
        ("customers", (80, "f1a1b72bc25691818876047ab7664c65")),
        ("orders", (2_000, "4c024ce1a74c6f52e4c4b42bf56f0f11")),
        ("person", (100, "08ed9d7ab2d58dd4573473971967fde5")),
    ];

    /// The counts, and the sums of the xxh3_128 of all lines with their numbers, of what the generator in Python writes for 5,000
    /// events and 2,000 changes of orders.
    #[test]
    fn the_lines_are_those_of_the_generator_in_python() {
        let python: BTreeMap<&str, (u64, &str)> = PYTHON.into();
        let ours = sums(&Data { events: 5_000, changes: 2_080, identity: Identity::Full });
        let ours: BTreeMap<&str, (u64, &str)> =
            ours.iter().map(|(name, (count, sum))| (*name, (*count, sum.as_str()))).collect();
        assert_eq!(ours, python);
    }

    #[test]
    fn the_default_identity_leaves_the_old_row_out() {
        let mut before = BTreeMap::new();
        let data = Data { events: 0, changes: 2_080, identity: Identity::Default };
        data.generate(&[Topic::Orders], &mut |_, key, line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let op = line["op"].as_str().unwrap().to_string();
            match op.as_str() {
                "d" => assert_eq!(line["before"]["id"], key),
                _ => assert!(line["before"].is_null() && line["after"]["id"] == key),
            }
            assert!(line["before"]["amount"].is_null());
            *before.entry(op).or_insert(0) += 1;
            Ok(())
        })
        .unwrap();
        assert!(before["c"] == 1_006 && before["u"] == 792 && before["d"] == 202, "{before:?}");
    }
}
