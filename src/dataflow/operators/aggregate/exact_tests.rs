//! The exact sum against Shewchuk's correctly rounded one, and against integers.
#![allow(clippy::unwrap_used)]

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::*;

/// Shewchuk's sum with the last rounding corrected, as Python's `math.fsum` has it.
fn fsum(values: &[f64]) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for &value in values {
        let mut x = value;
        let mut kept = Vec::new();
        for &partial in &partials {
            let (great, small) = if x.abs() < partial.abs() { (partial, x) } else { (x, partial) };
            let high = great + small;
            let low = small - (high - great);
            if low != 0.0 {
                kept.push(low);
            }
            x = high;
        }
        kept.push(x);
        partials = kept;
    }
    let Some(mut high) = partials.pop() else { return 0.0 };
    while let Some(partial) = partials.pop() {
        let x = high;
        high = x + partial;
        let low = partial - (high - x);
        if low != 0.0 {
            let same_sign = partials.last().is_some_and(|next| (low < 0.0) == (*next < 0.0));
            if same_sign && (high + 2.0 * low) - high == 2.0 * low {
                high += 2.0 * low;
            }
            break;
        }
    }
    high + 0.0
}

fn random(rng: &mut impl Rng, spread: u64) -> f64 {
    let exponent = 1023 - spread / 2 + rng.random_range(0..spread);
    let bits = (rng.random::<u64>() >> 12) | exponent << 52 | u64::from(rng.random_bool(0.5)) << 63;
    f64::from_bits(bits)
}

#[test]
fn sums_are_exact_in_any_order_and_without_a_trace_of_what_left() {
    for seed in 0..3000u64 {
        let rng = &mut testkit::rng(seed);
        let spread = [4, 60, 200, 1800][seed as usize % 4];
        let count = rng.random_range(0..40);
        let mut values: Vec<f64> = (0..count).map(|_| random(rng, spread)).collect();
        let noise: Vec<f64> = (0..count).map(|_| random(rng, 1800)).collect();
        let mut sum = Exact::default();
        noise.iter().for_each(|value| sum.add(*value, 3));
        values.iter().for_each(|value| sum.add(*value, 1));
        noise.iter().for_each(|value| sum.add(*value, -3));
        assert_eq!(sum.to_f64(), Some(fsum(&values)), "seed {seed}");
        let mut bytes = Vec::new();
        sum.store(&mut bytes);
        values.shuffle(rng);
        let mut again = Exact::load(&mut Reader(&bytes)).unwrap();
        values.iter().for_each(|value| again.add(*value, -1));
        assert!(again.is_zero(), "seed {seed}");
        let mut shuffled = Exact::default();
        values.iter().for_each(|value| shuffled.add(*value, 1));
        let mut other = Vec::new();
        shuffled.store(&mut other);
        assert_eq!(bytes, other, "seed {seed}: equal sums have equal bytes");
    }
}

#[test]
fn sums_of_integers_are_rounded_as_integers_are() {
    for seed in 0..3000u64 {
        let rng = &mut testkit::rng(seed);
        let (mut sum, mut exact) = (Exact::default(), 0i128);
        for _ in 0..rng.random_range(1..12) {
            let value = rng.random_range(-(1i64 << 53)..1 << 53) >> rng.random_range(0..53);
            let weight: i64 = rng.random_range(-(1i64 << 62)..1 << 62) >> rng.random_range(0..62);
            sum.add(value as f64, weight);
            exact += i128::from(value) * i128::from(weight);
        }
        assert_eq!(sum.to_f64(), Some(exact as f64), "seed {seed}");
        assert_eq!(sum.to_f32(), Some(exact as f32), "seed {seed}");
    }
}

#[test]
fn the_edges_of_double_and_real() {
    let sum = |values: &[(f64, i64)]| {
        let mut sum = Exact::default();
        values.iter().for_each(|(value, weight)| sum.add(*value, *weight));
        sum
    };
    let least = f64::from_bits(1);
    assert_eq!(sum(&[(f64::MAX, 2)]).to_f64(), None);
    assert_eq!(sum(&[(f64::MAX, i64::MAX), (f64::MAX, 1 - i64::MAX)]).to_f64(), Some(f64::MAX));
    assert_eq!(sum(&[(f64::MAX, i64::MIN)]).to_f64(), None);
    assert_eq!(sum(&[(f64::MAX, 1), (least, 1)]).to_f64(), Some(f64::MAX));
    assert_eq!(sum(&[(least, 3), (-least, 1)]).to_f64(), Some(2.0 * least));
    assert_eq!(sum(&[(-least, 1)]).to_f64(), Some(-least));
    assert_eq!(sum(&[(f64::MIN_POSITIVE, 1), (least, -1)]).to_f64(), Some(f64::from_bits((1 << 52) - 1)));
    assert_eq!(sum(&[(1.0, 1), (f64::EPSILON / 2.0, 1)]).to_f64(), Some(1.0), "a tie goes to even");
    assert_eq!(sum(&[(1.0, 1), (f64::EPSILON / 2.0, 1), (least, 1)]).to_f64(), Some(1.0 + f64::EPSILON));
    // Rounded twice, by way of a double, this would be a tie and go down.
    let half = f64::from(f32::EPSILON) / 2.0;
    assert_eq!(sum(&[(1.0, 1), (half, 1), (least, 1)]).to_f32(), Some(1.0 + f32::EPSILON));
    assert_eq!(sum(&[(f64::from(f32::MAX), 2)]).to_f32(), None);
    assert_eq!(sum(&[(f64::from(f32::from_bits(1)), 1)]).to_f32(), Some(f32::from_bits(1)));
    assert_eq!(sum(&[(least, 1)]).to_f32(), Some(0.0));
    assert_eq!(sum(&[]).to_f64(), Some(0.0));
    // Where the highest bit is the last of a limb, the sign needs another.
    for exponent in -1000..1000 {
        let (great, small) = (2f64.powi(exponent), 2f64.powi((exponent - 200).max(-1074)));
        for great in [great, -great] {
            assert_eq!(sum(&[(great, 1), (-small, 1), (small, 1)]).to_f64(), Some(great), "2^{exponent}");
            assert_eq!(sum(&[(great, 1), (small, 1), (great, 1)]).to_f64(), Some(2.0 * great), "2^{exponent}");
        }
    }
    assert_eq!(sum(&[(-0.0, 5)]).to_f64().map(f64::to_bits), Some(0));
}
