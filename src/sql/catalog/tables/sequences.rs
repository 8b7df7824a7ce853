//! The sequences of SERIAL and IDENTITY columns, and that they are their columns'.

use plan::Sequence;

use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{PUBLIC, USER, World, sequence_oid, table_oid};
use super::Filler;

/// The oid of pg_class.
const PG_CLASS: i64 = 1259;

pub(super) fn pg_sequence(out: &mut Filler, world: &World) {
    for (table, sequence) in world.sequences() {
        let ty = Ty::of_column(table.columns.0[sequence.column].ty).0;
        let Sequence { start, increment, min, max, .. } = *sequence;
        out.add([
            ("seqrelid", sequence_oid(table, sequence).into()),
            ("seqtypid", i64::from(ty.0).into()),
            ("seqstart", start.into()),
            ("seqincrement", increment.into()),
            ("seqmax", max.into()),
            ("seqmin", min.into()),
            ("seqcache", 1.into()),
            ("seqcycle", false.into()),
        ]);
    }
}

pub(super) fn pg_sequences(out: &mut Filler, world: &World) {
    for (table, sequence) in world.sequences() {
        let ty = Ty::of_column(table.columns.0[sequence.column].ty).0;
        let Sequence { start, increment, min, max, .. } = *sequence;
        let at = world.sequence_at(table, sequence);
        out.add([
            ("schemaname", PUBLIC.into()),
            ("sequencename", sequence.name.as_str().into()),
            ("sequenceowner", USER.into()),
            ("data_type", i64::from(ty.0).into()),
            ("start_value", start.into()),
            ("min_value", min.into()),
            ("max_value", max.into()),
            ("increment_by", increment.into()),
            ("cycle", false.into()),
            ("cache_size", 1.into()),
            ("last_value", at.filter(|at| at.given).map(|at| at.last).into()),
        ]);
    }
}

/// That a sequence goes with its column: `a` of a SERIAL, `i` of an identity.
pub(super) fn pg_depend(out: &mut Filler, world: &World) {
    for (table, sequence) in world.sequences() {
        out.add([
            ("classid", Value::Int(PG_CLASS)),
            ("objid", sequence_oid(table, sequence).into()),
            ("refclassid", Value::Int(PG_CLASS)),
            ("refobjid", table_oid(table.id).into()),
            ("refobjsubid", (sequence.column as i64 + 1).into()),
            ("deptype", if sequence.identity.is_some() { "i" } else { "a" }.into()),
        ]);
    }
}
