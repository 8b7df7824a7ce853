//! By any number of workers: the same rows, bytes, weights and orders.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use workers::Workers;

use crate::{Column, ColumnType, Delta, RowBytes, RowCodec, RowType, consolidate, sorted};

const ROWS: usize = 1500;

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut seed = seed;
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

/// Rows that are often equal, with weights that often cancel.
fn delta(seed: u64) -> (Delta, RowCodec) {
    let types = [ColumnType::Int, ColumnType::Text, ColumnType::Double];
    let types = RowType(types.map(|ty| Column::new("c", ty, true)).into());
    let mut next = random(seed);
    let some = |value: u64| Some(value).filter(|value| *value > 0);
    let ints: Int32Array = (0..ROWS).map(|_| some(next(9)).map(|value| value as i32)).collect();
    let texts: StringArray = (0..ROWS).map(|_| some(next(5)).map(|value| "long ".repeat(value as usize))).collect();
    let doubles: Float64Array = (0..ROWS).map(|_| some(next(4)).map(|value| value as f64 / -0.0)).collect();
    let weights: Int64Array = (0..ROWS).map(|_| next(5) as i64 - 2).collect::<Vec<_>>().into();
    let columns: Vec<ArrayRef> = vec![Arc::new(ints), Arc::new(texts), Arc::new(doubles)];
    (Delta::new(RecordBatch::try_new(types.schema(), columns).unwrap(), weights), RowCodec::new(types.schema()))
}

fn lines(rows: &RowBytes) -> Vec<Vec<u8>> {
    rows.iter().map(<[u8]>::to_vec).collect()
}

type Found = (Vec<Vec<Vec<u8>>>, Vec<Vec<u32>>, Vec<(RecordBatch, Int64Array)>);

/// Everything that is cut: encoding, sorting, summing, gathering, joining.
fn all_of(by: usize) -> Found {
    let workers = Workers::eager(by).unwrap();
    let found = workers.run(all);
    assert_eq!(workers.forks() > 5, by > 1);
    found
}

fn all() -> Found {
    let (delta, codec) = delta(3);
    let bytes = delta.bytes(&codec).clone();
    let order = sorted(&bytes);
    let gathered = bytes.gather(&order[..ROWS - 5]);
    let picked = delta.gather(order.clone(), vec![1; ROWS]);
    let parts: Vec<Delta> = (0..4).map(|at| picked.gather((at..at + 300).collect(), vec![2; 300])).collect();
    let sum = Delta::sum(delta.schema(), &parts);
    let once = consolidate(&delta, &codec);
    assert!(once.len() > 50 && once.len() < ROWS / 2, "{} rows are left", once.len());
    let deltas = [picked, sum, once];
    (
        [lines(&bytes), lines(&gathered)]
            .into_iter()
            .chain(deltas.iter().map(|delta| lines(delta.bytes(&codec))))
            .collect(),
        vec![order],
        deltas.iter().map(|delta| (delta.batch().clone(), delta.weights().clone())).collect(),
    )
}

#[test]
fn all_that_is_cut_comes_to_the_same() {
    let wanted = all_of(1);
    for by in [2, 4, 8] {
        assert_eq!(all_of(by), wanted, "by {by}");
    }
}

/// Parts with and without rows, and rows without bytes.
#[test]
fn parts_are_joined_in_their_order() {
    let parts = || -> Vec<RowBytes> {
        let of = |rows: &[&str]| rows.iter().map(|row| row.as_bytes()).collect();
        vec![of(&[]), of(&["a", "", "bc"]), of(&[]), of(&["", ""]), of(&["defg"])]
    };
    let wanted = ["a", "", "bc", "", "", "defg"].map(|row| row.as_bytes().to_vec());
    for by in [1, 2, 4] {
        let joined = Workers::eager(by).unwrap().run(|| RowBytes::joined(parts()));
        assert_eq!(lines(&joined), wanted, "by {by}");
    }
    assert!(RowBytes::joined(Vec::new()).is_empty());
}
