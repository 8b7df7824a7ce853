//! The listed queries. Each is a text of SQL as a user would write it, and there is nothing else about them.

use super::data::Identity;

/// Name, SQL, and which old rows its changes have.
const LISTED: [(&str, &str, Identity); 8] = [
    ("q0", include_str!("queries/q0.sql"), Identity::Full),
    ("q1", include_str!("queries/q1.sql"), Identity::Full),
    ("q3", include_str!("queries/q3.sql"), Identity::Full),
    ("q4", include_str!("queries/q4.sql"), Identity::Full),
    ("q5s", include_str!("queries/q5s.sql"), Identity::Full),
    ("q7", include_str!("queries/q7.sql"), Identity::Full),
    ("cdc", include_str!("queries/cdc.sql"), Identity::Full),
    ("cdc-default", include_str!("queries/cdc.sql"), Identity::Default),
];

/// A listed query by its name: its SQL, and which old rows its changes have.
pub(super) fn listed(name: &str) -> Option<(&'static str, Identity)> {
    LISTED.iter().find(|(listed, ..)| *listed == name).map(|(_, sql, identity)| (*sql, *identity))
}

/// The names, for messages.
pub(super) fn names() -> String {
    LISTED.map(|(name, ..)| name).join(", ")
}
