//! What a pipeline is, as plain data: the catalog, the operator graph, the epoch record. No I/O, no DataFusion.

mod catalog;
mod format;
mod graph;
mod ids;
mod options;
mod own;
mod record;
mod secrets;
mod sink;
mod source;
mod table;
mod topics;

pub use catalog::{Catalog, CatalogError};
pub use format::known_version;
pub use graph::{AggregateCall, AggregateFunction, Graph, Node, NodeKind};
pub use ids::{NodeId, SequenceId, SinkId, TableId};
pub use options::Options;
pub use own::{Check, Identity, OwnDef, Sequence, Unique};
pub use record::{
    CatalogChange, EpochRecord, InputRange, LastRecord, Mended, MendedPosition, Mending, Outcome, RECORD_VERSION,
    RecordError, Release, SequenceMark, SinkFailure, SourceHalt, TableOutcome,
};
pub use secrets::{hide_in_option, is_password, replace_passwords, reveal_in_option, without_passwords};
pub use sink::{SinkConnector, SinkDef, SinkEnvelope};
pub use source::{Envelope, Include, OWN, SourceDef, StartAt};
pub use table::{StreamDef, TableDef, TableKind};
pub use topics::TopicPattern;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
