#![allow(clippy::unwrap_used)]

mod against_postgres;
mod plain;
mod world;
