//! Tests against a real Kafka, whose address is in MILLSTREAM_TEST_KAFKA (tests/with-services starts one).
#![allow(clippy::unwrap_used)]

mod group;
mod lasting;
mod leaving;
mod reading;
mod restart;
pub(crate) mod support;
mod topics;
mod writing;

use std::sync::Arc;

use api::Log;

use support::{log, unique};

#[test]
fn kafka_is_a_log() {
    let prefix = unique("conformance");
    api::conformance::run(&|| Arc::new(log(&prefix)) as Arc<dyn Log>, &prefix);
}
