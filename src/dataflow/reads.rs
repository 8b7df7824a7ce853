//! Which columns of its input tables a graph reads: those that projections right behind the inputs take.
//!
//! An expression is never asked what it reads: an error shows the row that it was given, whole. So an input that anything but a plain
//! choice of columns reads is read in all its columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{Graph, NodeKind, TableId};

use crate::{Eval, operators};

/// Of each input table, for each of its columns, whether it is read.
pub(crate) fn reads(graph: &Graph<Arc<dyn Eval>>) -> BTreeMap<TableId, Vec<bool>> {
    let mut all: BTreeMap<TableId, Vec<bool>> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let NodeKind::Input { table, .. } = &node.kind else { continue };
        let read = all.entry(*table).or_insert_with(|| vec![false; node.output.0.len()]);
        let readers = graph.nodes.iter().filter(|reader| operators::inputs(&reader.kind).contains(&at));
        // The last node is the result: whoever reads the table reads that.
        let last = (at + 1 == graph.nodes.len()).then_some(None);
        for columns in readers.map(|reader| chosen(&reader.kind)).chain(last) {
            match columns {
                Some(columns) => columns.into_iter().for_each(|column| read[column] = true),
                None => read.fill(true),
            }
        }
    }
    all
}

/// The columns that a node takes, if that is all it does.
fn chosen(kind: &NodeKind<Arc<dyn Eval>>) -> Option<Vec<usize>> {
    match kind {
        NodeKind::Project { expressions, .. } => expressions.iter().map(|expression| expression.column()).collect(),
        _ => None,
    }
}
