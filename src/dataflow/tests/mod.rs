//! Exactness, measured: a naive interpreter of graphs over whole tables is the judge; flows must come to the same by deltas,
//! whatever the epochs, discarded steps and restarts.
#![allow(clippy::unwrap_used)]

mod build;
mod contents;
mod contents_hard;
mod contents_unique;
mod failures;
mod hard_aggregates;
mod hard_joins;
mod hard_sets;
mod harness;
mod law;
mod naive;
mod only_come;
mod tables;
