//! SIGTERM and SIGINT: the first asks to stop, a SIGINT after it stops at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// Whether somebody wants this to end; can be waited for.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits so long at most; answers whether it is to end.
    pub fn wait(&self, at_most: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(asked, at_most, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// From now on a signal calls `stop` instead of killing the process.
pub(super) fn watch(runtime: &Runtime, stop: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let _inside = runtime.enter();
    let open = |kind| signal(kind).map_err(|error| Failure::while_doing("cannot watch for signals", error));
    let (terminate, interrupt) = (open(SignalKind::terminate())?, open(SignalKind::interrupt())?);
    runtime.spawn(react(terminate, interrupt, stop));
    Ok(())
}

async fn react(mut terminate: Signal, mut interrupt: Signal, stop: impl FnOnce()) {
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("{name}: finishing the epoch, making a checkpoint, leaving");
    stop();
    // Whoever starts processes may well send SIGTERM twice; only a person at a terminal is that impatient.
    interrupt.recv().await;
    eprintln!("millstream: stopped at once by a second signal; the next start recovers");
    std::process::exit(1);
}
