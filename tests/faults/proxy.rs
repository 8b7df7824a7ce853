//! A wire to a server that can be made to carry nothing, in either direction, while its connections stay open.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct Gate {
    stalls: Mutex<bool>,
    changed: Condvar,
}

/// See the module. It lasts as long as the test.
pub struct Proxy {
    pub port: u16,
    gate: Arc<Gate>,
}

impl Proxy {
    pub fn to(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (own, server) = (listener.local_addr().expect("it listens").port(), format!("{host}:{port}"));
        let gate = Arc::new(Gate::default());
        let mine = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let (from, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
                carry(from, to, Arc::clone(&mine));
                carry(server, client, Arc::clone(&mine));
            }
        });
        Self { port: own, gate }
    }

    /// Carries nothing any more, or what waits and all that comes.
    pub fn stall(&self, stalls: bool) {
        *self.gate.stalls.lock().expect("nobody panics") = stalls;
        self.gate.changed.notify_all();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, gate: Arc<Gate>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            let stalls = gate.stalls.lock().expect("nobody panics");
            drop(gate.changed.wait_while(stalls, |stalls| *stalls).expect("nobody panics"));
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}
