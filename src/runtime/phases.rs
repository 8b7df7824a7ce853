//! How long the loop is at the phases of an epoch.

use std::time::Instant;

use crate::Engine;

/// When the phases of an epoch were done.
pub(crate) struct Phases {
    began: Instant,
    decoded: Instant,
    refreshed: Instant,
    encoded: Instant,
}

impl Phases {
    /// An epoch begins.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, decoded: now, refreshed: now, encoded: now }
    }

    /// Its input is decoded.
    pub fn decoded(&mut self) {
        self.decoded = Instant::now();
    }

    /// Its stream tables are refreshed.
    pub fn refreshed(&mut self) {
        self.refreshed = Instant::now();
    }

    /// What the sinks make of it is encoded.
    pub fn encoded(&mut self) {
        self.encoded = Instant::now();
    }
}

impl Engine {
    /// Tells them of an epoch, up to now: what came after the encoding was for its commit, or for that of the epoch before.
    pub(crate) fn tell_phases(&self, phases: &Phases) {
        let metrics = &self.shared.metrics;
        metrics.phase("decode", phases.decoded - phases.began);
        metrics.phase("refresh", phases.refreshed - phases.decoded);
        metrics.phase("encode", phases.encoded - phases.refreshed);
        metrics.phase("commit", phases.encoded.elapsed());
        metrics.process_seconds.observe((phases.encoded - phases.began).as_secs_f64());
    }
}
