//! The simulated log is a log.

use std::sync::Arc;

use api::conformance;

use super::log::SimLog;

#[test]
fn the_simulated_log_conforms() {
    for gaps in [false, true] {
        let log = SimLog::waiting(gaps);
        conformance::run(&|| Arc::new(log.clone()), "simulated");
    }
}
