//! The simulation: short runs of the whole engine, hundreds in every test and thousands by hand, each decided by a seed, on one thread.
//!
//! The engine's clock, threads, disk and log are parameters: here time passes when a step says so, sources and checkpoints
//! go on when a step says so, the log is in memory and fails as the seed says, and the folder is real and damaged as a
//! crash may. A model follows the transactions of the log and must agree after every step: contents, errors, positions,
//! sinks read record by record, dead letters, the chain of epoch records.
//!
//! `SIMULATION_SEED=N` runs one seed, `SIMULATION_RUNS=N` so many from seed 0 on (or from `SIMULATION_FROM`), and
//! `SIMULATION_SECONDS=N` as many as there is time for. A run that fails is made as short as it can be, and printed.

mod conform;
mod crashes;
mod dice;
mod disk;
mod log;
mod log_reader;
mod log_writer;
mod model;
mod rows;
mod runs;
mod shapes;
mod sinks;
mod sources;
mod stage;
mod statements;
mod steps;
mod world;
