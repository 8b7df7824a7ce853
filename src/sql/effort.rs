//! How much the parser may do for a statement. What can be read in several ways it tries in one after the other; where such things
//! are nested, every level is twice the work of the one inside, and a line of thirty words is never done. So each expression that it
//! begins or goes on with is counted, and a statement that takes many times more than one of its length does is refused.
//!
//! The count is the thread's: the parser's dialect is one for all. Text that was read before is not counted.

use std::cell::Cell;

use datafusion::sql::sqlparser::parser::ParserError;

/// So much may be done for each token, and for a statement of few.
const PER_TOKEN: u64 = 100;
const LEAST: u64 = 10_000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// A statement of so many tokens is read from now on.
pub(crate) fn begin(tokens: usize) {
    LEFT.set(LEAST + PER_TOKEN * tokens as u64);
}

/// Reads what was read before, within the reading of a statement or not.
pub(crate) fn of_known<T>(read: impl FnOnce() -> T) -> T {
    let left = LEFT.replace(u64::MAX);
    let done = read();
    LEFT.set(left);
    done
}

/// One thing more is read. The error is one that the parser does not try to go around.
pub(crate) fn spend() -> Result<(), ParserError> {
    match LEFT.get().checked_sub(1) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => Err(ParserError::RecursionLimitExceeded),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::statements::Cursor;
    use crate::text::DIALECT;

    /// What begins an expression, a query or a table and may hold another.
    const BEGINS: &[&str] = &[
        "not(",
        "not ",
        "case when ",
        "case ",
        "cast(",
        "array[",
        "extract(year from ",
        "trim(",
        "trim(leading ",
        "substring(",
        "position(",
        "overlay(",
        "ceil(",
        "floor(",
        "interval ",
        "interval (",
        "a.b.",
        "a.",
        "a[",
        "(",
        "((a, ",
        "(select ",
        "exists(",
        "exists(select ",
        "a in (",
        "a = any(",
        "a between ",
        "- ",
        "f(",
        "f(a, ",
        "f(distinct ",
        "count(*) filter (where ",
        "sum(a) over (partition by ",
        "row(",
        "coalesce(",
        "nullif(",
        "a::int[",
        "a collate ",
        "struct(",
        "map {",
        "{fn ",
        "convert(",
        "grouping sets (",
        "rollup(",
        "x -> ",
        "date ",
        "timestamp ",
        "time ",
        "bool ",
        "double precision ",
        "national ",
        "prior ",
        "a like ",
        "a at time zone ",
        "unnest(",
        "json_object(",
        "listagg(a, ",
        "any_value(",
        "xmlelement(",
        "match_recognize(",
    ];

    fn ends(sql: &str) {
        if let Ok(mut cursor) = Cursor::new(sql) {
            // What it comes to does not matter, but that it does.
            let _ = cursor.parser.parse_statement();
        }
    }

    /// Without the limit each would be the end of this test only after that of the world.
    #[test]
    fn everything_nested_is_read_or_refused() {
        for begin in BEGINS {
            for end in ["", "1", "*", ".*", ")", "1)", "-"] {
                let nested = begin.repeat(45);
                for sql in [
                    format!("SELECT {nested}{end}"),
                    format!("SELECT 1 FROM {nested}{end}"),
                    format!("SELECT 1 FROM t WHERE {nested}{end}"),
                    format!("INSERT INTO t VALUES ({nested}{end}"),
                    format!("CREATE TABLE t (a int DEFAULT {nested}{end}"),
                    format!("UPDATE t SET a = {nested}{end}"),
                ] {
                    ends(&sql);
                }
            }
        }
    }

    #[test]
    fn what_two_of_them_make_is_read_or_refused() {
        for one in BEGINS {
            for other in BEGINS {
                ends(&format!("SELECT {}", format!("{one}{other}").repeat(24)));
            }
        }
    }

    #[test]
    fn a_long_statement_has_room() {
        let values =
            vec!["(1, 'a', not true, case when 1 > 2 then f(a.b, 3) else cast('1' as int) end)"; 2000].join(", ");
        let insert = format!("INSERT INTO t VALUES {values}");
        Cursor::new(&insert).unwrap().parser.parse_statement().unwrap();
    }

    #[test]
    fn what_is_known_is_read_whatever_is_left() {
        begin(0);
        while spend().is_ok() {}
        let read = || Parser::new(&DIALECT).try_with_sql("SELECT 1 + 1").and_then(|mut parser| parser.parse_query());
        assert!(read().is_err());
        of_known(read).unwrap();
        assert!(read().is_err(), "and counted again");
    }
}
