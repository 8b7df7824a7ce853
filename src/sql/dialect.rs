//! The dialect: PostgreSQL's, with one thing less.
//!
//! The parser's PostgreSQL reads an argument of a function as a name (`f(a + b => 1)`) before it reads it as a value: twice at
//! every level, so that calls nested 25 deep are never done. No function here has arguments by name. Whatever else is tried
//! twice is counted (`effort`).

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use crate::effort;

const POSTGRESQL: PostgreSqlDialect = PostgreSqlDialect {};

/// See the module.
#[derive(Debug)]
pub(crate) struct OurDialect;

/// What it has of PostgreSQL's.
macro_rules! as_postgresql {
    ($($name:ident($($argument:ident: $of:ty)?) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $of)?) -> $answer {
            POSTGRESQL.$name($($argument)?)
        })*
    };
}

impl Dialect for OurDialect {
    fn dialect(&self) -> TypeId {
        POSTGRESQL.dialect()
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        effort::spend().err().map(Err)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match effort::spend() {
            Ok(()) => POSTGRESQL.get_next_precedence(parser),
            Err(error) => Some(Err(error)),
        }
    }

    as_postgresql! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        is_reserved_for_identifier(kw: Keyword) -> bool;
        prec_value(prec: Precedence) -> u8;
        supports_unicode_string_literal() -> bool;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parses(sql: &str) -> bool {
        Parser::parse_sql(&OurDialect, sql).is_ok()
    }

    /// Twice the work a level would be the end of this test only after that of the world.
    #[test]
    fn nested_calls_are_read_once() {
        let calls =
            |count: usize, begin: &str, end: &str| format!("SELECT {}1{}", begin.repeat(count), end.repeat(count));
        for (begin, end) in
            [("f(", ")"), ("coalesce(", ", 2)"), ("row(", ")"), ("f(g(", "), 1)"), ("f(CASE WHEN f(", ") THEN 1 END)")]
        {
            assert!(parses(&calls(8, begin, end)), "{begin}");
            parses(&calls(45, begin, end));
            parses(&calls(45, begin, ""));
        }
    }

    #[test]
    fn it_is_postgresqls_else() {
        for sql in [
            "SELECT a::int, b ->> 'x', 'a' || $1, E'\\n', U&'\\0041', 1_000, x ~* 'a', a #> b, n @> m",
            "SELECT count(*) FILTER (WHERE a) FROM t GROUP BY (a), b",
            "CREATE TABLE t (a int[], b timestamptz DEFAULT now())",
            "SELECT extract('year' FROM a), trim(a, b), interval '1 day' /* /* nested */ */",
            "COMMENT ON TABLE t IS 'x'",
            "INSERT INTO t AS x VALUES (1) ON CONFLICT (a) DO UPDATE SET a = x.a",
            "LISTEN a",
            "SELECT FROM t",
        ] {
            assert!(parses(sql), "{sql}");
            assert_eq!(Parser::parse_sql(&OurDialect, sql), Parser::parse_sql(&POSTGRESQL, sql), "{sql}");
        }
        assert!(!parses("SELECT `a`"));
    }
}
