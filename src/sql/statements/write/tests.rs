#![allow(clippy::unwrap_used)]

mod against_postgres;
mod author;
mod constraints;
mod copy;
mod joined;
mod lock;
mod plain;
mod world;
