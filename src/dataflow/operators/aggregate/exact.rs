//! An exact sum of floats: a fixed-point number wide enough for every double times every weight, so that neither the order
//! of additions nor a retraction leaves a trace. Rounded once, to the nearest, ties to even.
//!
//! Bit 0 stands for 2^-1074, the least double. The number is two's complement in 64-bit limbs; only the limbs in use are
//! kept, from `low` up, and the sign of the last goes on for ever.

use std::iter;

use smallvec::SmallVec;

use super::encoding::Reader;
use crate::FlowError;

/// As many as sums of ordinary floats need are kept in place, so that a group's sum allocates nothing.
type Limbs = SmallVec<[u64; 6]>;

/// The exponent of bit 0.
const LEAST: i32 = -1074;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exact {
    low: usize,
    limbs: Limbs,
}

/// What a limb above all others is.
fn sign(limb: u64) -> u64 {
    if limb >> 63 == 1 { u64::MAX } else { 0 }
}

impl Exact {
    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.limbs.iter().all(|limb| *limb == 0)
    }

    /// Adds `weight` times a finite value.
    pub fn add(&mut self, value: f64, weight: i64) {
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        let product = i128::from(mantissa) * i128::from(weight);
        let product = if value.is_sign_negative() { -product } else { product };
        if product != 0 {
            self.add_shifted(product, exponent.saturating_sub(1));
        }
    }

    /// Adds `product` x 2^shift.
    fn add_shifted(&mut self, product: i128, shift: usize) {
        let (limb, bits) = (shift / 64, shift % 64);
        let (low, high) = (product as u64, (product >> 64) as u64);
        let fill = if product < 0 { u64::MAX } else { 0 };
        let parts = if bits == 0 {
            [low, high, fill]
        } else {
            [low << bits, high << bits | low >> (64 - bits), fill << bits | high >> (64 - bits)]
        };
        self.reach(limb, limb + parts.len());
        let mut carry = false;
        for at in limb - self.low..self.limbs.len() {
            let part = parts.get(at + self.low - limb).copied().unwrap_or(fill);
            let (sum, over) = self.limbs[at].overflowing_add(part);
            let (sum, more) = sum.overflowing_add(u64::from(carry));
            self.limbs[at] = sum;
            carry = over || more;
        }
        while let [.., below, last] = self.limbs[..]
            && last == sign(below)
        {
            self.limbs.pop();
        }
    }

    /// Makes room from limb `low` to below `high`, and one more above all, which only holds the sign.
    fn reach(&mut self, low: usize, high: usize) {
        if self.limbs.is_empty() {
            self.low = low;
            self.limbs.resize(1, 0);
        }
        if low < self.low {
            self.limbs.insert_many(0, iter::repeat_n(0, self.low - low));
            self.low = low;
        }
        let fill = self.limbs.last().map_or(0, |last| sign(*last));
        let len = self.limbs.len().max(high - self.low) + 1;
        self.limbs.resize(len, fill);
    }

    /// Appends it to state; equal numbers give equal bytes.
    pub(super) fn store(&self, into: &mut Vec<u8>) {
        let zeros = self.limbs.iter().take_while(|limb| **limb == 0).count();
        let limbs = &self.limbs[zeros..];
        into.extend([limbs.len() as u8, if limbs.is_empty() { 0 } else { (self.low + zeros) as u8 }]);
        limbs.iter().for_each(|limb| into.extend_from_slice(&limb.to_le_bytes()));
    }

    /// Reads what was stored.
    pub(super) fn load(from: &mut Reader<'_>) -> Result<Self, FlowError> {
        let (len, low) = (from.u8()?, from.u8()?);
        let limbs = (0..len).map(|_| from.i64().map(|limb| limb as u64)).collect::<Result<Limbs, _>>()?;
        Ok(Self { low: low.into(), limbs })
    }

    /// The nearest double; `None` if it is too great for one.
    pub fn to_f64(&self) -> Option<f64> {
        self.rounded(53, LEAST).filter(|value| value.is_finite())
    }

    /// The nearest float, rounded once; `None` if it is too great for one.
    pub fn to_f32(&self) -> Option<f32> {
        self.rounded(24, -149).map(|value| value as f32).filter(|value| value.is_finite())
    }

    /// The nearest number of so many bits whose last is not below 2^least.
    fn rounded(&self, bits: usize, least: i32) -> Option<f64> {
        let negative = self.limbs.last().is_some_and(|last| sign(*last) != 0);
        let magnitude = if negative { negated(&self.limbs) } else { self.limbs.clone() };
        let Some(top) = magnitude.iter().rposition(|limb| *limb != 0) else { return Some(0.0) };
        let highest = (self.low + top) * 64 + 63 - magnitude[top].leading_zeros() as usize;
        let last = (highest + 1).saturating_sub(bits).max((least - LEAST) as usize);
        let bit = |at: usize| {
            let limb = (at / 64).checked_sub(self.low).and_then(|limb| magnitude.get(limb));
            limb.is_some_and(|limb| limb >> (at % 64) & 1 == 1)
        };
        let mut mantissa = (last..=highest.max(last)).rev().fold(0u64, |all, at| all << 1 | u64::from(bit(at)));
        let half = last > 0 && bit(last - 1);
        let beyond = || last > 1 && self.any_below(&magnitude, last - 1);
        if half && (mantissa & 1 == 1 || beyond()) {
            mantissa += 1;
        }
        let exponent = last as i32 + LEAST;
        if exponent > 971 {
            return None;
        }
        // Exact: the mantissa has at most 53 bits (or is 2^53) and both factors are doubles.
        let value = mantissa as f64 * power_of_two(exponent);
        // Adding 0.0 makes the -0 of a tiny negative sum a 0.
        Some(if negative { -value + 0.0 } else { value })
    }

    /// Whether any bit below `at` is set.
    fn any_below(&self, magnitude: &[u64], at: usize) -> bool {
        let (limb, bits) = (at / 64, at % 64);
        magnitude.iter().enumerate().any(|(place, value)| match (self.low + place).cmp(&limb) {
            std::cmp::Ordering::Less => *value != 0,
            std::cmp::Ordering::Equal => value & ((1 << bits) - 1) != 0,
            std::cmp::Ordering::Greater => false,
        })
    }
}

fn negated(limbs: &Limbs) -> Limbs {
    let mut negated = limbs.clone();
    let mut carry = true;
    for limb in negated.iter_mut() {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
    negated
}

/// 2^exponent, for -1074..=1023.
fn power_of_two(exponent: i32) -> f64 {
    if exponent >= -1022 {
        f64::from_bits(((exponent + 1023) as u64) << 52)
    } else {
        f64::from_bits(1 << (exponent - LEAST))
    }
}

#[cfg(test)]
#[path = "exact_tests.rs"]
mod tests;
