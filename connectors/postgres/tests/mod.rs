//! Against a real PostgreSQL, which MILLSTREAM_TEST_POSTGRES names.
#![allow(clippy::unwrap_used)]

mod hosts;
mod in_doubt;
mod owners;
mod refused;
mod resync;
mod rows;
mod support;
mod types;
