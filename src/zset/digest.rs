//! The digest of a Z-set: the sum over rows of weight x xxh3_128(row bytes), modulo 2^128.
//!
//! It is linear: the digest of a sum is the sum of the digests, in any order, consolidated or not. Replay compares it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// A digest. The empty Z-set has the digest zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub u128);

impl Digest {
    /// Adds `weight` copies of a row.
    pub fn add(&mut self, row: &[u8], weight: i64) {
        self.0 = self.0.wrapping_add(xxh3_128(row).wrapping_mul(i128::from(weight) as u128));
    }

    /// The digest of the sum of two Z-sets.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        u128::from_str_radix(text, 16).map(Self).map_err(|_| format!("\"{text}\" is not a digest"))
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}
