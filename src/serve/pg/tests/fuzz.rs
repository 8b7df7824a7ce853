//! Fuzzed: what anybody may send to the port. Nothing panics, and who comes next is served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testkit::{Choices, spoil};

use super::super::PgLimits;
use super::World;

/// Panics that no test asked for.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn message(kind: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), &body].concat()
}

fn greeting(version: u32, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], &version.to_be_bytes(), body].concat()
}

/// What well-behaved clients send.
fn samples() -> Vec<Vec<u8>> {
    let enter = greeting(3 << 16, b"user\0ann\0database\0d\0client_encoding\0UTF8\0\0");
    let parse = message(b'P', &[b"s\0rows 3\0", &[0, 1], &23u32.to_be_bytes()]);
    let bind = message(b'B', &[b"p\0s\0", &[0, 1, 0, 1, 0, 1], &4u32.to_be_bytes(), &[0, 0, 0, 7], &[0, 1, 0, 1]]);
    let describe = [message(b'D', &[b"Ss\0"]), message(b'D', &[b"Pp\0"])].concat();
    let execute = [message(b'E', &[b"p\0", &2u32.to_be_bytes()]), message(b'E', &[b"p\0", &[0; 4]])].concat();
    let close = [message(b'C', &[b"Pp\0"]), message(b'C', &[b"Ss\0"]), message(b'H', &[]), message(b'S', &[])].concat();
    let query = message(b'Q', &[b"rows 2\0"]);
    let (leave, copy) =
        (message(b'X', &[]), [message(b'd', &[b"1\t2\n"]), message(b'c', &[]), message(b'f', &[b"no\0"])].concat());
    let ssl = greeting(80_877_103, b"");
    vec![
        [&enter[..], &query, &leave].concat(),
        [&enter[..], &parse, &bind, &describe, &execute, &close, &query].concat(),
        [&ssl[..], &enter, &query].concat(),
        [&enter[..], &copy, &message(b'Q', &[b"rows 2 then fail\0"]), &message(b'p', &[b"x\0"]), &query].concat(),
        greeting(80_877_102, &[0, 0, 0, 1, 0, 0, 0, 2]),
    ]
}

#[test]
fn fuzz_wire_protocol() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let asked_for = info.payload().downcast_ref::<&str>().is_some_and(|text| text.contains("that the test wants"));
        PANICS.fetch_add(usize::from(!asked_for), Ordering::SeqCst);
        before(info);
    }));
    let world = World::serving(PgLimits { statement_timeout: Duration::from_secs(5), ..PgLimits::default() });
    let samples = samples();
    let words: &[&[u8]] =
        &[&[0], &[0xff; 4], &[0; 4], &[0x7f, 0xff, 0xff, 0xff], b"Q", b"P", b"S", b"B", b"\0\0\0\x04", b"\xff\xfe"];
    let panics = PANICS.load(Ordering::SeqCst);
    bolero::check!().with_iterations(300).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let sample = &samples[choices.below(samples.len())];
        let spoilt = spoil(sample, words, &mut choices);
        let mut stream = TcpStream::connect(world.address).unwrap();
        stream.set_read_timeout(Some(super::LONG)).unwrap();
        // It may be sent away before it has said all.
        let _ = stream.write_all(&spoilt).and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = stream.read_to_end(&mut Vec::new());
        assert_eq!(PANICS.load(Ordering::SeqCst), panics, "it has panicked");
    });
    let mut client = world.client();
    client.query("rows 1");
    assert_eq!(client.kinds(), "TDCZ");
    world.stop();
}
