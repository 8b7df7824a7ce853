//! State: arrangements (indexed Z-sets) in memory, and their durable form in RocksDB.
//!
//! An [`Arrangement`] is a list of immutable sorted batches under one of two merge [`Law`]s. An epoch's changes are
//! *staged* as batches that are not yet in the list; `commit` puts them there, `discard` drops them. A [`Snapshot`] is a
//! copy of the list: it costs nothing, never changes, and may be read from any thread. A [`Store`] writes the batches
//! of a snapshot as blocks, once each, and makes checkpoints; only a checkpoint is ever opened again. What does not fit into
//! the [`Budget`] is in blocks alone, and read from there.
//!
//! Reading order: `columns`, `batch`, `stage`, `merge`, `levels`, `spine`, `arrangement`; `search`, `snapshot`, `scan`; then `block`,
//! `budget`, `tier/`, `manifest`, `store/`.

mod arrangement;
mod batch;
mod block;
mod budget;
mod columns;
mod counters;
mod error;
mod ids;
mod levels;
mod manifest;
mod merge;
mod overlay;
mod scan;
pub mod search;
mod snapshot;
mod spine;
mod stage;
mod store;
mod tier;

pub use arrangement::Arrangement;
pub use budget::{Budget, Counted, Part, QueriesFull};
pub use counters::Counters;
pub use error::StateError;
pub use ids::{ArrangementId, Law};
pub use overlay::Overlay;
pub use scan::{Entries, Scan};
pub use snapshot::{End, Matches, Snapshot};
pub use store::{
    CheckpointContent, CheckpointFiles, CheckpointInput, CheckpointStats, Checkpoints, Restored, Store, StoreStats,
    list_checkpoints,
};

#[cfg(test)]
mod tests;
