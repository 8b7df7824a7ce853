//! A table of the catalog as DataFusion's planner sees it: a schema and nothing else. It states no constraints, no
//! statistics, and takes no filters.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::logical_expr::{LogicalPlan, TableScan, TableScanBuilder, TableSource};
use plan::{TableDef, TableId};
use zset::RowType;

use crate::error::{Result, from_datafusion};

/// A table.
pub(crate) struct CatalogTable {
    pub(crate) id: TableId,
    pub(crate) columns: RowType,
    /// Whether its rows only ever come.
    pub(crate) only_comes: bool,
    schema: SchemaRef,
}

impl TableSource for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// The scan of a table under a name.
pub(crate) fn scan(def: &TableDef, alias: &str) -> Result<LogicalPlan> {
    let source = CatalogTable {
        id: def.id,
        columns: def.columns.clone(),
        only_comes: def.only_passes_on(),
        schema: def.columns.schema(),
    };
    let scan = TableScanBuilder::new(TableReference::bare(alias), Arc::new(source)).build();
    Ok(LogicalPlan::TableScan(scan.map_err(from_datafusion)?))
}

/// The table of a scan.
pub(crate) fn of(scan: &TableScan) -> Option<&CatalogTable> {
    scan.source.downcast_ref::<CatalogTable>()
}
