//! What an arrangement is called and which law its batches merge by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An arrangement's name: whose it is, of which node, and which of that node's. Given once, never used again for
/// anything else: blocks on disk are keyed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArrangementId {
    /// The table it belongs to.
    pub owner: u32,
    /// The node of that table's graph.
    pub node: u32,
    /// Which of the node's arrangements.
    pub slot: u32,
}

impl fmt::Display for ArrangementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.owner, self.node, self.slot)
    }
}

/// How equal entries of two batches become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// Weights of equal (key, row) are summed; zero vanishes.
    Add,
    /// The newer row of a key wins; a delete is a marker that only the oldest batch may drop.
    Replace,
}
