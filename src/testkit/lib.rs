//! What tests of the whole project share: random rows and change histories over any columns, their splits into epochs,
//! and the Z-set model that exactness is measured against. It depends on `zset` only, so that it can err in nothing
//! else, and everything random comes from a seed that the test prints.

mod allocations;
mod columns;
mod generate;
mod model;
mod split;
mod spoil;
mod value;

pub use allocations::{Counting, allocations};
pub use columns::{column, delta, rows};
pub use generate::{Change, Generator, rng};
pub use model::Model;
pub use split::{every_split, random_split};
pub use spoil::{Choices, spoil};
pub use value::Value;

/// A row as values.
pub type Row = Vec<Value>;
