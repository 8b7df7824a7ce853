//! What a pipeline is, as plain data: the catalog, the operator graph, the epoch record. No I/O, no DataFusion.

mod catalog;
mod format;
mod graph;
mod ids;
mod options;
mod own;
mod record;
mod secrets;

pub use catalog::{
    Catalog, CatalogError, Envelope, Include, OWN, SinkConnector, SinkDef, SinkEnvelope, SourceDef, StartAt, StreamDef,
    TableDef, TableKind,
};
pub use format::known_version;
pub use graph::{AggregateCall, AggregateFunction, Graph, Node, NodeKind};
pub use ids::{NodeId, SequenceId, SinkId, TableId};
pub use options::Options;
pub use own::{Check, Identity, OwnDef, Sequence, Unique};
pub use record::{
    CatalogChange, EpochRecord, InputRange, LastRecord, Mended, MendedPosition, Mending, Outcome, RECORD_VERSION,
    RecordError, SequenceMark, SinkFailure, SourceHalt, TableOutcome,
};
pub use secrets::{replace_passwords, without_passwords};

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
