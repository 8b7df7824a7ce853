//! CancelRequest: another connection names a session by its number and secret, and its statement stops.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::random_nonce;
use tokio::sync::Notify;

/// One statement's stop.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// Looked at by the thread that works.
    pub flag: Arc<AtomicBool>,
    asked: Notify,
}

impl Stop {
    /// Stops the statement.
    pub fn ask(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.asked.notify_one();
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Returns when it is asked.
    pub async fn asked(&self) {
        if !self.is_asked() {
            self.asked.notified().await;
        }
    }
}

/// The sessions that can be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    entries: Mutex<HashMap<i32, Entry>>,
    last: AtomicI32,
}

#[derive(Debug)]
struct Entry {
    secret: i32,
    running: Option<Arc<Stop>>,
}

impl Sessions {
    /// A new session, which is forgotten when the ticket is dropped.
    pub fn enter(self: &Arc<Self>) -> Ticket {
        let number = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let secret = random();
        self.lock().insert(number, Entry { secret, running: None });
        Ticket { sessions: Arc::clone(self), number, secret }
    }

    /// Stops the statement of a session, if the secret is right and it has one.
    pub fn cancel(&self, number: i32, secret: i32) {
        let running = match self.lock().get(&number) {
            Some(entry) if entry.secret == secret => entry.running.clone(),
            _ => None,
        };
        if let Some(stop) = running {
            stop.ask();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place.
#[derive(Debug)]
pub(crate) struct Ticket {
    sessions: Arc<Sessions>,
    pub number: i32,
    pub secret: i32,
}

impl Ticket {
    /// A statement begins: it can be cancelled until the next begins or [`Ticket::idle`] is said.
    pub fn begin(&self) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        self.set(Some(Arc::clone(&stop)));
        stop
    }

    /// A statement that began before goes on.
    pub fn resume(&self, stop: &Arc<Stop>) {
        self.set(Some(Arc::clone(stop)));
    }

    /// No statement is at work.
    pub fn idle(&self) {
        self.set(None);
    }

    fn set(&self, running: Option<Arc<Stop>>) {
        if let Some(entry) = self.sessions.lock().get_mut(&self.number) {
            entry.running = running;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let entry = self.sessions.lock().remove(&self.number);
        // Its threads let go of what they read.
        if let Some(stop) = entry.and_then(|entry| entry.running) {
            stop.ask();
        }
    }
}

/// Bytes that nobody can guess, as the SCRAM nonce is.
pub(crate) fn random_bytes() -> Vec<u8> {
    let nonce = random_nonce();
    STANDARD.decode(&nonce).unwrap_or_else(|_| nonce.into_bytes())
}

fn random() -> i32 {
    random_bytes().iter().take(4).fold(0, |sum, byte| sum << 8 | i32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_secret_stops_what_runs() {
        let sessions = Arc::new(Sessions::default());
        let (ticket, other) = (sessions.enter(), sessions.enter());
        let stop = ticket.begin();
        sessions.cancel(ticket.number, ticket.secret.wrapping_add(1));
        sessions.cancel(other.number, other.secret);
        sessions.cancel(ticket.number.wrapping_add(7), ticket.secret);
        assert!(!stop.is_asked());
        sessions.cancel(ticket.number, ticket.secret);
        assert!(stop.is_asked());
        assert!(!ticket.begin().is_asked(), "it is not for the next statement");
    }
}
