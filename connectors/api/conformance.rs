//! The one conformance test: what the engine demands of every log, as named properties.
//!
//! Call [`run`] from a connector's tests with a function that opens the log and a prefix for topic names that was never
//! used there before. Each property makes its own topics and its own writer (which fences the one of the property
//! before), and panics with what was wrong. Nothing here knows of a log's kind: offsets may have gaps, a committed
//! transaction may become visible a moment later, and waiting has a limit ([`PATIENCE`]) only so that a failure ends.

mod readers;
mod records;
mod support;
mod topics;
mod trimming;
mod writers;

use std::sync::Arc;

use crate::Log;

pub use readers::*;
pub use records::*;
pub use support::{PATIENCE, Subject};
pub use topics::*;
pub use trimming::*;
pub use writers::*;

/// A property of a log: panics if it does not hold.
pub type Property = fn(&Subject<'_>);

/// All properties, by name.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("a_topic_is_made_once_and_listed", a_topic_is_made_once_and_listed),
    ("an_impossible_topic_is_refused", an_impossible_topic_is_refused),
    ("an_epoch_topic_with_other_settings_is_refused", an_epoch_topic_with_other_settings_is_refused),
    ("an_own_topic_with_other_settings_is_refused", an_own_topic_with_other_settings_is_refused),
    ("an_unknown_topic_is_an_error_and_stays_unknown", an_unknown_topic_is_an_error_and_stays_unknown),
    ("records_come_back_byte_for_byte", records_come_back_byte_for_byte),
    ("order_holds_within_each_partition", order_holds_within_each_partition),
    ("a_large_commit_is_whole", a_large_commit_is_whole),
    ("a_large_record_comes_back", a_large_record_comes_back),
    ("a_huge_record_comes_back_or_is_refused", a_huge_record_comes_back_or_is_refused),
    ("bounds_grow", bounds_grow),
    ("offset_at_finds_the_first_not_before", offset_at_finds_the_first_not_before),
    ("a_reader_starts_in_the_middle", a_reader_starts_in_the_middle),
    ("a_reader_can_be_moved_and_stopped", a_reader_can_be_moved_and_stopped),
    ("a_reader_at_the_end_waits_and_wakes", a_reader_at_the_end_waits_and_wakes),
    ("a_reader_above_the_end_is_out_of_range", a_reader_above_the_end_is_out_of_range),
    ("poll_keeps_its_limits", poll_keeps_its_limits),
    ("at_end_is_exact", at_end_is_exact),
    ("readers_are_independent", readers_are_independent),
    ("a_reader_refuses_properties_that_it_cannot_have", a_reader_refuses_properties_that_it_cannot_have),
    ("telling_positions_changes_nothing", telling_positions_changes_nothing),
    ("a_transaction_covers_several_topics", a_transaction_covers_several_topics),
    ("a_refused_transaction_leaves_nothing", a_refused_transaction_leaves_nothing),
    ("an_empty_commit_is_a_commit", an_empty_commit_is_a_commit),
    ("a_commit_that_may_not_wait_is_a_commit", a_commit_that_may_not_wait_is_a_commit),
    ("what_follows_knows_the_offsets_of_what_went_before", what_follows_knows_the_offsets_of_what_went_before),
    ("a_refusal_of_what_follows_leaves_neither", a_refusal_of_what_follows_leaves_neither),
    ("a_fenced_commit_in_two_parts_leaves_nothing", a_fenced_commit_in_two_parts_leaves_nothing),
    ("a_second_writer_fences_the_first", a_second_writer_fences_the_first),
    ("append_does_not_fence", append_does_not_fence),
    ("trim_deletes_what_is_below", trim_deletes_what_is_below),
    ("trim_refuses_what_is_not_there_yet", trim_refuses_what_is_not_there_yet),
    ("offsets_are_not_used_again_after_trim", offsets_are_not_used_again_after_trim),
];

/// Runs all properties. `make` opens the log, or hands out the same one again; `prefix` makes topic names unique, and is
/// of letters, digits, `-`.
pub fn run(make: &dyn Fn() -> Arc<dyn Log>, prefix: &str) {
    for (name, property) in PROPERTIES {
        eprintln!("conformance: {name}");
        property(&Subject::new(make, prefix));
    }
}
