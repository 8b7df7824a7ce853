//! The functions there are not: refused by name, with the reason and what to use instead.

use crate::error::unsupported;

const LIST: &str = "the functions are abs, ceil, ceiling, floor, round, trunc, sign, mod, sqrt, power, exp, ln, upper, \
                    lower, length, char_length, octet_length, substring, substr, left, right, trim, btrim, ltrim, rtrim, \
                    replace, strpos, position, concat, repeat, reverse, lpad, rpad, starts_with, split_part, translate, \
                    coalesce, nullif, greatest, least, extract, date_part, date_trunc; the aggregates count, sum, avg, \
                    min, max";

/// Functions whose answer depends on the moment of asking.
const CLOCKS: &[&str] = &[
    "now",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "timeofday",
    "today",
    "age",
];

/// Functions that never give the same answer twice.
const VOLATILE: &[&str] =
    &["random", "gen_random_uuid", "uuid_generate_v4", "setseed", "nextval", "currval", "lastval", "txid_current"];

/// Aggregates of PostgreSQL that there are not yet.
const OTHER_AGGREGATES: &[&str] = &[
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "bit_xor",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "any_value",
    "first_value",
    "last_value",
    "median",
    "approx_distinct",
    "regr_slope",
    "regr_count",
    "xmlagg",
    "range_agg",
];

const WINDOWS: &[&str] =
    &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"];

/// The refusal of a function by its name.
pub(crate) fn refused(name: &str) -> dataflow::StatementError {
    let call = format!("the function {name}()");
    if CLOCKS.contains(&name) {
        return unsupported(
            format!("{call}, whose answer changes without a change of the rows,"),
            "a stream table is a function of its rows: keep the time as a column, and compare it where you read",
        );
    }
    if VOLATILE.contains(&name) {
        return unsupported(
            format!("the volatile function {name}()"),
            "a stream table is a function of its rows: have the producer of the topic send the value",
        );
    }
    if OTHER_AGGREGATES.contains(&name) {
        return unsupported(format!("the aggregate {name}()"), "the aggregates are count, sum, avg, min, max");
    }
    if WINDOWS.contains(&name) {
        return unsupported(format!("the window function {name}()"), "use GROUP BY with count, sum, avg, min, max");
    }
    unsupported(call, LIST)
}
