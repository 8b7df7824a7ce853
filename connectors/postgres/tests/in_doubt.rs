//! Connections that break: nothing is half there, and what was committed without an answer is found to be there.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use api::{Target, TargetError};

use super::support::{World, apply, columns, gone, open, progress, there};
use crate::PostgresTarget;

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Before the COMMIT gets through.
    Before,
    /// When its answer has come, before it is passed on.
    After,
}

/// A wire to PostgreSQL that is cut once, at a COMMIT; later connections are good.
struct Wire {
    port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Wire {
    fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(Mutex::new(None));
        let (address, armed) = (address.to_string(), Arc::clone(&cut));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (address, armed) = (address.clone(), Arc::clone(&armed));
                std::thread::spawn(move || pass(client, &address, &armed));
            }
        });
        Self { port, cut }
    }
}

/// Passes one connection on, until it is cut.
fn pass(mut client: TcpStream, address: &str, armed: &Mutex<Option<Cut>>) {
    let mut server = TcpStream::connect(address).unwrap();
    let (mut back, mut out) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let committing = Arc::new(Mutex::new(false));
    let held = Arc::clone(&committing);
    let answers = std::thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = back.read(&mut bytes) {
            if *held.lock().unwrap() {
                break;
            }
            if out.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = out.shutdown(Shutdown::Both);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let commits = bytes[..count].windows(6).any(|window| window == b"COMMIT");
        let cut = if commits { armed.lock().unwrap().take() } else { None };
        match cut {
            Some(Cut::Before) => break,
            Some(Cut::After) => *committing.lock().unwrap() = true,
            None => {}
        }
        if server.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    if !*committing.lock().unwrap() {
        let _ = server.shutdown(Shutdown::Both);
    }
    answers.join().unwrap();
}

#[test]
fn a_commit_in_doubt_is_found_out_by_opening_again() {
    for (cut, committed) in [(Cut::Before, false), (Cut::After, true)] {
        let mut world = World::new();
        let (user, rest) = world.url.trim_start_matches("postgres://").split_once('@').unwrap();
        let (address, database) = rest.split_once('/').unwrap();
        let wire = Wire::to(address);
        let mut spec = world.spec("t", &columns(), &[0]);
        spec.sink.options.0.insert("url".into(), format!("postgres://{user}@127.0.0.1:{}/{database}", wire.port));
        let (mut target, _) = open(&spec);
        apply(&mut target, vec![there(&[(1, "a")])], None, 1).unwrap();
        *wire.cut.lock().unwrap() = Some(cut);
        let doubt = apply(&mut target, vec![gone(&[1]), there(&[(2, "b")])], Some(1), 2).unwrap_err();
        assert!(matches!(&doubt, TargetError::Retriable(why) if why.contains("cannot commit")), "{cut:?}: {doubt:?}");
        let found = target.open().unwrap();
        assert_eq!(found, Some(progress(1, if committed { 2 } else { 1 })), "{cut:?}");
        let rows = world.rows("SELECT id FROM t");
        assert_eq!(rows, [[if committed { "2" } else { "1" }]], "{cut:?}: all of it or nothing");
    }
}

#[test]
fn a_backend_that_dies_in_the_middle_leaves_nothing_and_it_goes_on() {
    let mut world = World::new();
    let spec = world.spec("t", &columns(), &[0]);
    let mut target = PostgresTarget::new(&spec).unwrap();
    target.open().unwrap();
    apply(&mut target, vec![there(&[(1, "a")])], None, 1).unwrap();
    let schema = world.schema.clone();
    // Between the first chunk and the second.
    let kill = |world: &mut World| {
        let killed = world.rows(&format!(
            "SELECT pg_terminate_backend(l.pid, 10000) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
             WHERE c.relname = 't' AND c.relnamespace = '{schema}'::regnamespace AND l.pid <> pg_backend_pid() GROUP BY l.pid"
        ));
        assert_eq!(killed, [["t"]]);
    };
    let world_ref = &mut world;
    let mut chunks = [there(&[(1, "b")]), there(&[(2, "c")])].into_iter().enumerate().map(|(number, rows)| {
        if number == 1 {
            kill(world_ref);
        }
        Ok(rows)
    });
    let died = target.apply(&mut chunks, Some(&progress(1, 1)), &progress(1, 2)).unwrap_err();
    assert!(matches!(&died, TargetError::Retriable(_)), "{died:?}");
    drop(chunks);
    assert_eq!(world.rows("SELECT * FROM t"), [["1", "a"]]);
    assert_eq!(target.open().unwrap(), Some(progress(1, 1)));
    apply(&mut target, vec![there(&[(1, "b")]), there(&[(2, "c")])], Some(1), 2).unwrap();
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id"), [["1", "b"], ["2", "c"]]);
}
