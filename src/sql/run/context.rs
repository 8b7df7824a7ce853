//! One run of a statement: the view it reads, its bounds, the values that its subqueries take from outside, and the way from a
//! logical plan to operators at work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow::{Limits, StatementError, View};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use plan::TableId;

use super::bound::Cells;
use super::limits::{Watch, from_execution};
use super::memory::Pool;
use super::table::Kept;
use super::{physical, settle, stream};
use crate::error::{Result, code};

/// See the module.
#[derive(Clone)]
pub(super) struct Context(Arc<Inner>);

struct Inner {
    view: Arc<View>,
    watch: Watch,
    cells: Cells,
    state: SessionState,
    task: Arc<TaskContext>,
    memory: Arc<Pool>,
    /// The tables that subqueries read again and again.
    kept: Mutex<HashMap<TableId, Arc<Kept>>>,
}

impl Context {
    pub(super) fn new(view: &Arc<View>, limits: &Limits) -> Result<Self> {
        let mut config = SessionConfig::new().with_target_partitions(1).with_create_default_catalog_and_schema(false);
        let options = config.options_mut();
        // nothing is written to disk, so nothing needs room for that
        options.execution.sort_spill_reservation_bytes = 0;
        // it compares metadata, which carries our types, and not what is computed
        options.execution.skip_physical_aggregate_schema_check = true;
        options.execution.collect_statistics = false;
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        let memory = Arc::new(Pool::new(limits.memory_bytes, view));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&memory) as Arc<dyn MemoryPool>)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(from_execution)?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_analyzer_rules(vec![])
            .with_optimizer_rules(vec![])
            .with_physical_optimizer_rules(vec![])
            .build();
        let task = state.task_ctx();
        let (view, watch, cells) = (Arc::clone(view), Watch::new(limits), Cells::default());
        Ok(Self(Arc::new(Inner { view, watch, cells, state, task, memory, kept: Mutex::default() })))
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    pub(super) fn view(&self) -> &View {
        &self.0.view
    }

    pub(super) fn cells(&self) -> &Cells {
        &self.0.cells
    }

    pub(super) fn task(&self) -> &Arc<TaskContext> {
        &self.0.task
    }

    pub(super) fn memory(&self) -> &Arc<dyn MemoryPool> {
        self.0.task.memory_pool()
    }

    /// The error of this run, whose execution failed.
    pub(super) fn failed(&self, e: DataFusionError) -> StatementError {
        let error = from_execution(e);
        match self.0.memory.refusal() {
            Some(refusal) if error.sqlstate == code::OUT_OF_MEMORY => refusal,
            _ => error,
        }
    }

    /// The rows of a table, read once for all subqueries; `None`: the view has no such table.
    pub(super) fn kept(&self, table: TableId) -> Option<Arc<Kept>> {
        let rows = self.0.view.tables.get(&table)?;
        let mut all = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(table).or_insert_with(|| Arc::new(Kept::new(rows.clone(), self.memory())));
        Some(Arc::clone(kept))
    }

    /// The operators of an optimized plan. `again`: it is run more than once.
    pub(super) fn operators(&self, plan: LogicalPlan, again: bool) -> DfResult<Arc<dyn ExecutionPlan>> {
        let plan = settle::settled(plan, self, again)?;
        let planner = DefaultPhysicalPlanner::default();
        let operators = stream::block_on(planner.create_physical_plan(&plan, &self.0.state))?;
        physical::arranged(operators, self.watch(), self.0.state.config_options())
    }

    /// The rows of an optimized plan.
    pub(super) fn started(&self, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        let operators = self.operators(plan, false).map_err(|e| self.failed(e))?;
        operators.execute(0, Arc::clone(self.task())).map_err(|e| self.failed(e))
    }
}
