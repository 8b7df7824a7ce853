//! Integration tests: the binary from outside, and the walls between the rooms.
#![allow(clippy::unwrap_used, missing_docs)]

mod cli;
mod kill;
mod oracle;
mod support;
mod walls;
