//! Speed is structural, and counted: how many rows of state an epoch reads, how often it asks for memory, and what it does not touch
//! at all; of every operator and of every kind of contents.
#![allow(clippy::unwrap_used)]

mod cases;
mod contents;
mod operators;
mod rows;
#[path = "../tables.rs"]
mod tables;

#[global_allocator]
static ALLOCATOR: testkit::Counting = testkit::Counting;
