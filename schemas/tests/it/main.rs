//! Tests of the schemas crate from outside: real Debezium events, the rules of the interface, round trips.

mod debezium;
mod envelopes;
mod include;
mod model;
mod modes;
mod round_trip;
mod samples;
mod samples_types;
mod sinks;
