//! Bounds of a statement.
