//! TRUNCATE [TABLE] t: all rows go.

use arrow::compute::concat_batches;
use datafusion::sql::sqlparser::ast::{CascadeOption, Truncate as Ast, TruncateIdentityOption};
use plan::Catalog;

use super::target::Target;
use super::{Change, Planned, Rows, Run, rows};
use crate::error::{Result, code, error, from_datafusion, unsupported};

#[derive(Debug)]
struct Truncate;

pub(super) fn plan(ast: &Ast, catalog: &Catalog) -> Result<Planned<'static>> {
    let [table] = ast.table_names.as_slice() else {
        return Err(unsupported("TRUNCATE of several tables", "write a TRUNCATE for each"));
    };
    if ast.identity == Some(TruncateIdentityOption::Restart) {
        return Err(unsupported("RESTART IDENTITY", "leave it out: there are no sequences"));
    }
    if ast.cascade == Some(CascadeOption::Cascade) {
        return Err(unsupported("TRUNCATE ... CASCADE", "leave it out: no table refers to another"));
    }
    if ast.partitions.is_some() || ast.if_exists || ast.on_cluster.is_some() {
        return Err(unsupported("this form of TRUNCATE", "write TRUNCATE TABLE t"));
    }
    let target = Target::new(&table.name, None, catalog, "truncate")?;
    Ok((target, Box::new(Truncate), None))
}

impl Change for Truncate {
    fn rows(&self, target: &Target, run: &Run<'_>) -> Result<Rows> {
        let stored = run
            .view
            .tables
            .get(&target.def.id)
            .ok_or_else(|| error(code::INTERNAL, format!("table \"{}\" is not in the view", target.def.name)))?;
        let mut parts = Vec::new();
        for delta in stored.read() {
            let delta = delta.map_err(|e| error("58000", format!("cannot read table \"{}\": {e}", target.def.name)))?;
            let part = rows::expanded(&delta)?;
            run.afford(&[&part])?;
            parts.push(part);
        }
        let gone = concat_batches(&target.def.columns.schema(), &parts).map_err(|e| from_datafusion(e.into()))?;
        Ok(Rows { gone, come: target.nothing() })
    }

    fn tag(&self, _: usize) -> String {
        "TRUNCATE TABLE".to_string()
    }
}
