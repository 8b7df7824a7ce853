//! Integration tests: the binary from outside, and the walls between the rooms.
#![allow(clippy::unwrap_used, missing_docs)]

mod cli;
mod compose;
mod debezium;
mod kill;
mod options;
mod oracle;
mod psql;
mod reference;
mod seen;
mod session;
mod slt;
mod support;
mod walls;
