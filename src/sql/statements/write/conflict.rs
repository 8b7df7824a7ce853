//! ON CONFLICT: a row whose key is taken is left out, or changes the row that has the key.
//!
//! The rows that are there are looked up once; the conditions and the new values are computed for all rows that meet one;
//! then the rows are walked in their order, each on what those before it left. That nobody else takes a key before these
//! rows are written is seen by the engine's loop, by the names of the arbiters: then the statement is evaluated again.

mod there;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use dataflow::Eval;
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    ConflictTarget, DoUpdate as DoUpdateAst, OnConflict as Ast, OnConflictAction, OnInsert, Spanned,
};
use plan::Unique;
use zset::{RowCodec, RowType};

use super::super::assign::assign;
use super::super::cursor::{identifier, object_name};
use super::super::value;
use super::insert::is_default;
use super::target::Target;
use super::{Rows, Run, update};
use crate::error::{Detail, Result, code, error, from_datafusion, from_row, syntax, unsupported};
use crate::expr::eval::compile;
use crate::expr::operator;
use crate::expr::parameter::Parameters;
use there::{Keys, There};

/// A unique constraint that is asked whether a row is in conflict.
#[derive(Debug)]
struct Arbiter {
    name: String,
    /// Its columns.
    columns: Vec<usize>,
    codec: RowCodec,
    /// `None`: it is the primary key.
    unique: Option<Unique>,
}

/// What a column is set to.
#[derive(Debug)]
enum To {
    Default,
    /// Over the row that is there and the one that was to come.
    Value(Expr),
}

#[derive(Debug)]
struct DoUpdate {
    condition: Option<Expr>,
    set: Vec<(usize, To)>,
    /// The columns of the table, then those of EXCLUDED.
    schema: DFSchema,
}

/// See the module.
#[derive(Debug)]
pub(super) struct OnConflict {
    arbiters: Vec<Arbiter>,
    /// Else nothing is done.
    update: Option<DoUpdate>,
}

impl OnConflict {
    pub(super) fn new(on: &OnInsert, target: &Target, parameters: &mut Parameters) -> Result<Self> {
        let OnInsert::OnConflict(Ast { conflict_target, action }) = on else {
            return Err(unsupported("ON DUPLICATE KEY UPDATE", "write ON CONFLICT (column) DO UPDATE SET ..."));
        };
        let mut arbiters = arbiters(conflict_target.as_ref(), target)?;
        let update = match action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(_) if conflict_target.is_none() => {
                return Err(syntax("ON CONFLICT DO UPDATE requires inference specification or constraint name")
                    .with_hint("For example, ON CONFLICT (column_name)."));
            }
            OnConflictAction::DoUpdate(ast) => {
                // those of the same columns are taken by the same rows
                arbiters.truncate(1);
                Some(DoUpdate::new(ast, target, parameters)?)
            }
        };
        Ok(Self { arbiters, update })
    }

    /// What becomes of the rows that were to come.
    pub(super) fn rows(&self, target: &Target, proposed: RecordBatch, run: &Run<'_>) -> Result<Rows> {
        target.constraints.judge(&proposed)?;
        let keys: Vec<Keys> = self.arbiters.iter().map(|arbiter| arbiter.keys(&proposed)).collect();
        let mut there = There::new(target, &self.arbiters, &proposed, run)?;
        let met = there.met(&keys);
        let Some(update) = &self.update else {
            let kept = there.walk_inserts(&keys, proposed.num_rows());
            let come = take_record_batch(&proposed, &UInt32Array::from(kept)).map_err(|e| from_datafusion(e.into()))?;
            return Ok(Rows { arbiters: self.names(), ..Rows::new(target.nothing(), come) });
        };
        let fits = update.fits(&proposed, &there.rows, &met, run)?;
        let met: Vec<(u32, u32)> = std::iter::zip(met, fits).filter(|(_, fits)| *fits).map(|(met, _)| met).collect();
        let updated = update.updated(target, &proposed, &there.rows, &met, run)?;
        run.afford(&[&proposed, &updated, &there.rows])?;
        let (old, new) = (&keys[0], self.arbiters[0].keys(&updated));
        if update.set.iter().any(|(at, _)| self.arbiters[0].columns.contains(at)) {
            there.look(target, (0, &self.arbiters[0]), &updated, run)?;
        }
        let walked = there.walk(target, &self.arbiters[0], (old, &new), &met, &updated)?;
        let both = concat_batches(&target.def.columns.schema(), [&proposed, &updated])
            .map_err(|e| from_datafusion(e.into()))?;
        let of = |batch: &RecordBatch, places: Vec<u32>| {
            take_record_batch(batch, &UInt32Array::from(places)).map_err(|e| from_datafusion(e.into()))
        };
        Ok(Rows { arbiters: self.names(), ..Rows::new(of(&there.rows, walked.gone)?, of(&both, walked.come)?) })
    }

    fn names(&self) -> Vec<String> {
        self.arbiters.iter().map(|arbiter| arbiter.name.clone()).collect()
    }
}

/// The constraints that fit the target of the clause; without one, all.
fn arbiters(of: Option<&ConflictTarget>, target: &Target) -> Result<Vec<Arbiter>> {
    let def = &target.def;
    let arbiter = |name: String, columns: &[usize], unique| {
        let types = RowType(columns.iter().map(|&at| def.columns.0[at].clone()).collect());
        Arbiter { name, columns: columns.to_vec(), codec: RowCodec::new(types.schema()), unique }
    };
    let mut all = Vec::new();
    if !def.key.is_empty() {
        all.push(arbiter(format!("{}_pkey", def.name), &def.key, None));
    }
    for unique in def.uniques() {
        all.push(arbiter(unique.name.clone(), &unique.columns, Some(unique.clone())));
    }
    match of {
        None => {}
        Some(ConflictTarget::Columns(names)) => {
            let mut wanted = HashSet::new();
            for name in names {
                let column = identifier(name);
                let missing =
                    || error(code::UNDEFINED_COLUMN, format!("column \"{column}\" does not exist")).at(name.span);
                wanted.insert(def.columns.position(&column).ok_or_else(missing)?);
            }
            all.retain(|arbiter| arbiter.columns.iter().copied().collect::<HashSet<_>>() == wanted);
            if all.is_empty() {
                return Err(error(
                    code::INVALID_COLUMN_REFERENCE,
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification",
                ));
            }
        }
        Some(ConflictTarget::OnConstraint(name)) => {
            let wanted = object_name(name)?;
            all.retain(|arbiter| arbiter.name == wanted);
            if all.is_empty() && def.own().is_some_and(|own| own.checks.iter().any(|check| check.name == wanted)) {
                return Err(error(code::WRONG_OBJECT_TYPE, "constraint in ON CONFLICT clause has no associated index"));
            }
            if all.is_empty() {
                return Err(error(
                    code::UNDEFINED_OBJECT,
                    format!("constraint \"{wanted}\" for table \"{}\" does not exist", def.name),
                )
                .at(name.span()));
            }
        }
    }
    Ok(all)
}

impl DoUpdate {
    fn new(ast: &DoUpdateAst, target: &Target, parameters: &mut Parameters) -> Result<Self> {
        let (own, own_schema) = value::table_scope(&target.def.columns, &target.name)?;
        let (excluded, excluded_schema) = value::table_scope(&target.def.columns, "excluded")?;
        let scope = own.join(excluded)?;
        let schema = own_schema.join(&excluded_schema).map_err(from_datafusion)?;
        let refuse = |ast: &datafusion::sql::sqlparser::ast::Expr| {
            if value::has_subquery(ast) {
                let hint = "take the value from EXCLUDED: INSERT ... SELECT can compute it by any query";
                return Err(unsupported("a subquery in ON CONFLICT DO UPDATE", hint).at(ast.span()));
            }
            Ok(())
        };
        let mut set = Vec::with_capacity(ast.assignments.len());
        for (at, value) in update::assignments(&ast.assignments, target)? {
            if is_default(&value) {
                set.push((at, To::Default));
                continue;
            }
            target.refuse_set(at).at(value.span())?;
            refuse(&value)?;
            let typed = value::bound(&value, &scope, "UPDATE", Some(parameters))?;
            let typed = assign(typed, &target.def.columns.0[at], "expression").at(value.span())?;
            parameters.learn_expression(&typed.expr)?;
            set.push((at, To::Value(typed.expr)));
        }
        let mut condition = None;
        if let Some(ast) = &ast.selection {
            refuse(ast)?;
            let typed = value::bound(ast, &scope, "WHERE", Some(parameters))?;
            let typed = operator::condition(typed, "WHERE").at(ast.span())?;
            parameters.learn_expression(&typed.expr)?;
            condition = Some(typed.expr);
        }
        Ok(Self { condition, set, schema })
    }

    /// The rows that meet, side by side.
    fn pairs(&self, proposed: &RecordBatch, there: &RecordBatch, met: &[(u32, u32)]) -> Result<RecordBatch> {
        let (ours, theirs): (Vec<u32>, Vec<u32>) = met.iter().copied().unzip();
        let (ours, theirs) = (UInt32Array::from(ours), UInt32Array::from(theirs));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (batch, places) in [(there, &theirs), (proposed, &ours)] {
            for column in batch.columns() {
                columns.push(take(column, places, None).map_err(|e| from_datafusion(e.into()))?);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(met.len()));
        RecordBatch::try_new_with_options(Arc::clone(self.schema.inner()), columns, &options)
            .map_err(|e| from_datafusion(e.into()))
    }

    /// Which of those that meet are to be updated.
    fn fits(
        &self,
        proposed: &RecordBatch,
        there: &RecordBatch,
        met: &[(u32, u32)],
        run: &Run<'_>,
    ) -> Result<Vec<bool>> {
        let Some(condition) = &self.condition else { return Ok(vec![true; met.len()]) };
        let pairs = self.pairs(proposed, there, met)?;
        let condition = compile(&value::filled(condition, &run.values)?, &self.schema)?;
        let fits = condition.eval(&pairs).map_err(from_row)?;
        let fits: &BooleanArray = fits.as_boolean();
        Ok((0..met.len()).map(|row| fits.is_valid(row) && fits.value(row)).collect())
    }

    /// The rows as they become.
    fn updated(
        &self,
        target: &Target,
        proposed: &RecordBatch,
        there: &RecordBatch,
        met: &[(u32, u32)],
        run: &Run<'_>,
    ) -> Result<RecordBatch> {
        let pairs = self.pairs(proposed, there, met)?;
        let mut columns = pairs.columns()[..target.def.columns.0.len()].to_vec();
        for (at, to) in &self.set {
            columns[*at] = match to {
                To::Default => target.default(*at, met.len(), run)?,
                To::Value(expr) => {
                    compile(&value::filled(expr, &run.values)?, &self.schema)?.eval(&pairs).map_err(from_row)?
                }
            };
        }
        target.batch(columns, met.len())
    }
}
