//! What is known of a result's rows: which columns name a row, and whether rows are ever retracted.

use plan::{Catalog, NodeKind};

use crate::lower::Lowered;

/// The derived key: columns whose values no two rows share. GROUP BY: the group's columns. DISTINCT: all columns. A join:
/// the keys of both sides. A filter keeps it; a projection keeps it if every column of it is there unchanged; UNION ALL
/// has none. A table has its own. A global aggregate has one row, which no column names: it counts as keyless, as do
/// fixed rows.
pub(crate) fn derive(graph: &Lowered, catalog: &Catalog) -> Vec<usize> {
    let mut keys: Vec<Vec<usize>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let of = |input: &plan::NodeId| keys[input.0 as usize].clone();
        let key = match &node.kind {
            NodeKind::Input { table, .. } => catalog.table(*table).map(|def| def.key.clone()).unwrap_or_default(),
            NodeKind::Filter { input, .. } => of(input),
            NodeKind::Project { input, expressions } => {
                let place = |column: &usize| expressions.iter().position(|e| e.column == Some(*column));
                of(input).iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default()
            }
            NodeKind::Join { left, right, .. } => {
                let (a, b) = (of(left), of(right));
                let width = graph.nodes[left.0 as usize].output.0.len();
                if a.is_empty() || b.is_empty() {
                    Vec::new()
                } else {
                    a.into_iter().chain(b.into_iter().map(|at| at + width)).collect()
                }
            }
            NodeKind::Aggregate { group, .. } => (0..group.len()).collect(),
            NodeKind::Distinct { .. } => (0..node.output.0.len()).collect(),
            NodeKind::Union { inputs } if inputs.len() == 1 => of(&inputs[0]),
            NodeKind::Union { .. } | NodeKind::Values { .. } => Vec::new(),
        };
        keys.push(key);
    }
    keys.pop().unwrap_or_default()
}

/// Whether no row is ever retracted: only filters, projections, joins and UNION ALL over tables of which that is known.
pub(crate) fn append_only(graph: &Lowered, catalog: &Catalog) -> bool {
    graph.nodes.iter().all(|node| match &node.kind {
        NodeKind::Input { table, .. } => catalog.table(*table).is_some_and(plan::TableDef::append_only),
        NodeKind::Filter { .. }
        | NodeKind::Project { .. }
        | NodeKind::Join { .. }
        | NodeKind::Union { .. }
        | NodeKind::Values { .. } => true,
        NodeKind::Aggregate { .. } | NodeKind::Distinct { .. } => false,
    })
}
