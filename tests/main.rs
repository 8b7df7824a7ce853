//! Integration tests: the binary from outside, and the walls between the rooms.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod bench;
mod cli;
mod compose;
mod crash;
mod debezium;
mod faults;
mod kill;
mod options;
mod oracle;
mod psql;
mod reference;
mod seen;
mod session;
mod slt;
mod support;
mod tls;
mod topics;
mod transactions;
mod walls;
