//! Transactions of several clients at the same time: against PostgreSQL step by step, under load, and through kills.

mod interleaved;
mod kills;
mod schedule;
mod transfers;
