//! Our own operators among DataFusion's: the leaves, a union that is read one input after another, and a watch that looks at
//! the clock between the batches of what multiplies rows, and counts what the operator above it keeps.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::combine_partial_final_agg::CombinePartialFinalAggregate;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, replace_children_if_necessary};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{Stream, StreamExt, stream};

use super::limits::Watch;

/// Batches, one after another.
pub(super) type Batches = Box<dyn Iterator<Item = DfResult<RecordBatch>> + Send>;

/// What begins to read.
type Open = Arc<dyn Fn() -> DfResult<Batches> + Send + Sync>;

fn properties(schema: &SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(schema)),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

fn adapted(
    schema: &SchemaRef,
    batches: impl Stream<Item = DfResult<RecordBatch>> + Send + 'static,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), batches))
}

/// Where rows come from.
pub(super) struct Leaf {
    source: String,
    /// How many rows there are, about.
    rows: usize,
    open: Open,
    properties: Arc<PlanProperties>,
}

impl Leaf {
    pub(super) fn new(schema: SchemaRef, source: String, rows: usize, open: Open) -> Self {
        Self { source, rows, open, properties: properties(&schema) }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl DisplayAs for Leaf {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read: {}", self.source)
    }
}

impl ExecutionPlan for Leaf {
    fn name(&self) -> &str {
        "Read"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        Ok(adapted(&self.schema(), stream::iter((self.open)()?)))
    }
}

/// UNION ALL: the rows of each input, in order.
#[derive(Debug)]
struct Concat {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Concat {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Concat")
    }
}

impl ExecutionPlan for Concat {
    fn name(&self) -> &str {
        "Concat"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, inputs: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { inputs, properties: Arc::clone(&self.properties) }))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let of = Arc::clone(&schema);
        let rows = stream::iter(self.inputs.clone())
            .map(move |input| match input.execute(0, Arc::clone(&context)) {
                Ok(rows) => rows.left_stream(),
                Err(e) => stream::iter([Err(e)]).right_stream(),
            })
            .flatten()
            .map(move |batch| {
                let batch: RecordBatch = batch?;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                Ok(RecordBatch::try_new_with_options(Arc::clone(&of), batch.columns().to_vec(), &options)?)
            });
        Ok(adapted(&schema, rows))
    }
}

/// Passes batches on while the statement may go on.
#[derive(Debug)]
struct Watched {
    input: Arc<dyn ExecutionPlan>,
    watch: Watch,
    /// Whether what passes is kept above.
    kept: bool,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Watched {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched")
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &str {
        "Watched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, inputs: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(inputs).expect("one child");
        Ok(watched(input, &self.watch, self.kept))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let memory = self.kept.then(|| MemoryConsumer::new("rows of a window").register(context.memory_pool()));
        let (watch, rows) = (self.watch.clone(), self.input.execute(partition, context)?);
        let schema = rows.schema();
        let rows = rows.map(move |batch| {
            watch.look()?;
            let batch: RecordBatch = batch?;
            if let Some(memory) = &memory {
                memory.try_grow(batch.get_array_memory_size())?;
            }
            Ok(batch)
        });
        Ok(adapted(&schema, rows))
    }
}

fn watched(input: Arc<dyn ExecutionPlan>, watch: &Watch, kept: bool) -> Arc<dyn ExecutionPlan> {
    let properties = Arc::clone(input.properties());
    Arc::new(Watched { input, watch: watch.clone(), kept, properties })
}

/// The rows that an operator reads, all together.
fn rows_below(plan: &Arc<dyn ExecutionPlan>) -> usize {
    match plan.downcast_ref::<Leaf>() {
        Some(leaf) => leaf.rows,
        None => plan.children().into_iter().map(rows_below).fold(0, usize::saturating_add),
    }
}

/// A join keeps the rows of its left side: that is the smaller one.
fn smaller_left(node: Arc<dyn ExecutionPlan>) -> DfResult<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && rows_below(join.left()) > rows_below(join.right())
    {
        return Ok(Transformed::yes(join.swap_inputs(PartitionMode::CollectLeft)?));
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && rows_below(join.left()) > rows_below(join.right())
    {
        return Ok(Transformed::yes(join.swap_inputs()?));
    }
    Ok(Transformed::no(node))
}

/// The plan as it is run: in one partition, aggregates in one step, watched.
pub(super) fn arranged(
    plan: Arc<dyn ExecutionPlan>,
    watch: &Watch,
    config: &ConfigOptions,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        if node.downcast_ref::<UnionExec>().is_none() {
            return Ok(Transformed::no(node));
        }
        let inputs = node.children().into_iter().cloned().collect();
        let concat = Concat { inputs, properties: properties(&node.schema()) };
        Ok(Transformed::yes(Arc::new(concat) as Arc<dyn ExecutionPlan>))
    })?;
    let plan = CombinePartialFinalAggregate::new().optimize(plan.data, config)?;
    let plan = plan.transform_up(smaller_left)?.data;
    let plan = plan.transform_up(|node| {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>()
            && *aggregate.mode() != AggregateMode::Single
        {
            return internal_err!("an aggregate in two steps");
        }
        Ok(match node.name() {
            "HashJoinExec" | "NestedLoopJoinExec" | "CrossJoinExec" => Transformed::yes(watched(node, watch, false)),
            "WindowAggExec" | "BoundedWindowAggExec" => {
                let inputs = node.children().into_iter().map(|input| watched(Arc::clone(input), watch, true)).collect();
                Transformed::yes(replace_children_if_necessary(node, inputs)?)
            }
            _ => Transformed::no(node),
        })
    })?;
    Ok(plan.data)
}
