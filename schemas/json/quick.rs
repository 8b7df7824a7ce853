//! Reads a record that has the fields of the record before, in their order, straight into the columns: one pass over its bytes.
//!
//! What is read here is what locating the values and reading them one after another finds. Whatever is not as it was (another name,
//! a value that is refused, a document that is broken) is left to that, which has the words for it.

use zset::Column;

use super::names::Names;
use super::scan::Scanner;
use super::value;
use super::wire::Wire;
use crate::rows::Rows;

/// What is known of the columns.
pub(super) struct Columns<'a> {
    pub columns: &'a [Column],
    /// How their values are written.
    pub wires: &'a [Wire],
    /// Whether they may be NULL.
    pub nullable: &'a [bool],
}

/// Adds a cell to every column of the row that a document is. `None`: nothing is known, and some columns may have theirs already.
pub(super) fn row(bytes: &[u8], names: &mut Names, of: &Columns<'_>, rows: &mut Rows) -> Option<()> {
    let mut scanner = Scanner::new(bytes, 0);
    let apart = names.apart();
    let (mut place, mut found) = (0, 0);
    while let Some((length, column)) = names.predicted(place, bytes.get(scanner.at..)?) {
        // A field that comes twice would add two cells.
        (place < apart).then_some(())?;
        scanner.at += length;
        // This record may have more white space there.
        scanner.peek()?;
        match column {
            Some(column) => {
                cell(&mut scanner, column, of, rows)?;
                found += 1;
            }
            None => {
                scanner.value()?;
            }
        }
        place += 1;
    }
    if place == 0 || scanner.peek()? != b'}' {
        return None;
    }
    scanner.at += 1;
    scanner.end()?;
    if found < of.columns.len() {
        missing(names, place, of, rows)?;
    }
    // The names in the heads were text when they were learned; the rest is if it is ASCII.
    (scanner.ascii || std::str::from_utf8(bytes).is_ok()).then_some(())
}

/// Reads the value that begins here into its column.
fn cell(scanner: &mut Scanner<'_>, column: usize, of: &Columns<'_>, rows: &mut Rows) -> Option<()> {
    let begin = scanner.at;
    let kind = scanner.value()?;
    let token = &scanner.bytes[begin..scanner.at];
    let (ty, cells) = (of.columns[column].ty, rows.column(column));
    if value::read_usual(ty, kind, token, cells) {
        return Some(());
    }
    if token == b"null" {
        return of.nullable[column].then(|| cells.push_null());
    }
    value::read(ty, of.wires[column], std::str::from_utf8(token).ok()?, cells).ok()
}

/// Adds NULL to the columns that none of the first fields is.
fn missing(names: &Names, fields: usize, of: &Columns<'_>, rows: &mut Rows) -> Option<()> {
    for (column, nullable) in of.nullable.iter().enumerate() {
        if !names.has(fields, column) {
            nullable.then(|| rows.column(column).push_null())?;
        }
    }
    Some(())
}
