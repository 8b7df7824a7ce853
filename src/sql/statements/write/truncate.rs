//! TRUNCATE [TABLE] t: all rows go.

use arrow::compute::concat_batches;
use datafusion::sql::sqlparser::ast::{CascadeOption, Truncate as Ast, TruncateIdentityOption};
use plan::Catalog;

use super::target::Target;
use super::{Change, Planned, Rows, Run, rows, unreadable};
use crate::error::{Result, from_datafusion, unsupported};

#[derive(Debug)]
struct Truncate {
    /// Whether the sequences of the table begin anew.
    restart: bool,
}

pub(super) fn plan(ast: &Ast, catalog: &Catalog) -> Result<Planned> {
    let [table] = ast.table_names.as_slice() else {
        return Err(unsupported("TRUNCATE of several tables", "write a TRUNCATE for each"));
    };
    if ast.cascade == Some(CascadeOption::Cascade) {
        return Err(unsupported("TRUNCATE ... CASCADE", "leave it out: no table refers to another"));
    }
    if ast.partitions.is_some() || ast.if_exists || ast.on_cluster.is_some() {
        return Err(unsupported("this form of TRUNCATE", "write TRUNCATE TABLE t"));
    }
    let target = Target::new(&table.name, None, catalog, "truncate")?;
    Ok((target, Box::new(Truncate { restart: ast.identity == Some(TruncateIdentityOption::Restart) }), None))
}

impl Change for Truncate {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        if self.restart {
            target.def.sequences().iter().for_each(|sequence| run.numbers.restart(&target.def, sequence));
        }
        let mut parts = Vec::new();
        for delta in run.stored(target)?.read() {
            let delta = delta.map_err(|e| unreadable(&target.def.name, &e))?;
            let part = rows::expanded(&delta)?;
            run.afford(&[&part])?;
            parts.push(part);
        }
        let gone = concat_batches(&target.def.columns.schema(), &parts).map_err(|e| from_datafusion(e.into()))?;
        Ok(Rows::new(gone, target.nothing()))
    }

    fn tag(&self, _: usize) -> String {
        "TRUNCATE TABLE".to_string()
    }
}
