//! Clients that are closed beside whoever has used them: the bindings wait up to a tenth of a second for each, and a start uses many.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The clients that are being closed. Dropping this waits for them: none is left when the log is.
#[derive(Default)]
pub(crate) struct Leaving(Mutex<Vec<JoinHandle<()>>>);

impl Leaving {
    fn close(&self, client: impl Send + 'static) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        // Where there is no thread to be had, the client is closed right here.
        if let Ok(thread) = thread::Builder::new().name("kafka-close".into()).spawn(move || drop(client)) {
            threads.push(thread);
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        for thread in self.0.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A panic was told when it came.
            let _ = thread.join();
        }
    }
}

/// A client that is closed in this way when it is dropped.
pub(crate) struct Apart<T: Send + 'static> {
    client: Option<T>,
    leaving: Arc<Leaving>,
}

impl<T: Send + 'static> Apart<T> {
    pub(crate) fn new(client: T, leaving: &Arc<Leaving>) -> Self {
        Self { client: Some(client), leaving: Arc::clone(leaving) }
    }
}

impl<T: Send + 'static> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.client.as_ref().expect("it is here until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Apart<T> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.leaving.close(client);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// It takes until it is let go to close this.
    struct Slow(Receiver<()>, Sender<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.recv().unwrap();
            self.1.send(()).unwrap();
        }
    }

    #[test]
    fn nobody_waits_until_a_client_is_closed_but_the_log() {
        let leaving = Arc::new(Leaving::default());
        let (let_go, go) = channel();
        let (closed_in, closed) = channel();
        drop(Apart::new(Slow(go, closed_in), &leaving));
        assert!(closed.try_recv().is_err(), "this thread would wait for ever");
        let_go.send(()).unwrap();
        drop(leaving);
        closed.try_recv().expect("closed when there is no log any more");
    }
}
