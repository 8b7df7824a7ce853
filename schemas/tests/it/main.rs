//! Tests of the schemas crate from outside: real Debezium events, the rules of the interface, round trips.

mod bad_input;
mod bad_records;
mod debezium;
mod drift;
mod envelopes;
mod fuzz;
mod include;
mod model;
mod modes;
mod narrow;
mod round_trip;
mod samples;
mod samples_types;
mod sinks;
mod sliced;
