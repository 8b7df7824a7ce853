//! A bar on a terminal while something long goes on: recovery, a first population. Nothing where standard error is no
//! terminal: there, logs say it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use runtime::{Job, Shared};

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);
/// What takes less than this is not worth a bar.
const WORTH_IT: Duration = Duration::from_millis(500);

/// A bar until it is dropped.
pub(super) struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Watches the jobs of a process.
    pub fn watch(shared: &Arc<Shared>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::io::stderr().is_terminal().then(|| {
            let (shared, stop) = (Arc::clone(shared), Arc::clone(&stop));
            std::thread::spawn(move || draw(&shared, &stop))
        });
        Self { stop, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw(shared: &Shared, stop: &AtomicBool) {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    while !stop.load(Ordering::SeqCst) {
        if let Some(job) = shared.jobs.list().iter().find(|job| worth_showing(job)) {
            bar.set_message(format!("{} of {}", job.kind, job.object));
            bar.set_length(job.total.unwrap_or_default());
            bar.set_position(job.done);
        }
        std::thread::park_timeout(EVERY);
    }
    bar.finish_and_clear();
}

fn worth_showing(job: &Job) -> bool {
    job.total.is_some() && job.since >= WORTH_IT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_and_has_an_end_is_shown() {
        let job = |total, since| Job { kind: "recovery", object: "p".into(), done: 1, total, unit: "epochs", since };
        assert!(worth_showing(&job(Some(9), WORTH_IT)));
        assert!(!worth_showing(&job(Some(9), EVERY)));
        assert!(!worth_showing(&job(None, WORTH_IT)));
    }
}
