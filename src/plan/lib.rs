//! What a pipeline is, as plain data: the catalog, the operator graph, the epoch record. No I/O, no DataFusion.

mod catalog;
mod graph;
mod ids;
mod options;
mod record;
mod secrets;

pub use catalog::{
    Catalog, CatalogError, Check, Envelope, Include, OWN, OwnDef, SinkConnector, SinkDef, SinkEnvelope, SourceDef,
    StartAt, StreamDef, TableDef, TableKind,
};
pub use graph::{AggregateCall, AggregateFunction, Graph, Node, NodeKind};
pub use ids::{NodeId, SinkId, TableId};
pub use options::Options;
pub use record::{
    CatalogChange, EpochRecord, InputRange, LastRecord, Outcome, RECORD_VERSION, RecordError, SinkFailure, TableOutcome,
};
pub use secrets::without_passwords;

#[cfg(test)]
mod tests;
