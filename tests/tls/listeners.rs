//! Our own listeners: psql with each `sslmode`, the password through TLS, HTTPS by `millstream topic`, and what is wrong.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{World, psql};
use crate::cli::support::{Running, outcome, output, with_input};

#[test]
fn psql_is_encrypted_and_knows_whom_it_talks_to() {
    let world = World::new();
    let (ca, stranger) = (world.pem("ca.pem"), world.pem("stranger.pem"));
    let password = world.dir.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    let flags = ["--tls-certificate", &world.pem("server.pem"), "--tls-key", &world.pem("server-key.pem")];
    let with_password = [&flags[..], &["--pg-password-file", password.to_str().unwrap()]].concat();
    let running = Running::start_with(world.dir.path(), "CREATE TABLE t (a INT PRIMARY KEY);", &with_password);
    let (_, port) = running.pg.rsplit_once(':').unwrap();
    let url = |host: &str, query: &str| format!("postgres://u:secret@{host}:{port}/d?{query}");
    let verified = url("localhost", &format!("sslmode=verify-full&sslrootcert={ca}"));
    assert_eq!(psql(&verified, "INSERT INTO t VALUES (1), (2)").1, "INSERT 0 2\n");
    // more than one TLS record, and than one packet
    let many = "SELECT count(*), sum(length(repeat('x', 5000))) FROM t a, t b, t c, t d";
    assert_eq!(psql(&verified, many).1, "16|80000\n");
    let long = psql(&verified, "SELECT repeat('x', 300000) FROM t");
    assert_eq!((long.0, long.1.len()), (0, 600_002), "{}", long.2);

    for (host, query, says) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={stranger}"), "certificate verify failed"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ca}"), "does not match host name"),
    ] {
        let (code, _, errors) = psql(&url(host, &query), "SELECT 1");
        assert!(code == 2 && errors.contains(says), "{query}: {errors}");
    }
    // nobody is in between on this machine: as they like
    for mode in ["disable", "prefer", "require"] {
        assert_eq!(psql(&url("127.0.0.1", &format!("sslmode={mode}")), "SELECT a FROM t WHERE a = 2").1, "2\n");
    }
    let wrong = verified.replace(":secret@", ":wrong@");
    assert!(psql(&wrong, "SELECT 1").2.contains("password authentication failed"));
    running.stop();
}

/// Somebody in between may add plain text behind the request for encryption: it must not be taken for the client's.
#[test]
fn what_was_sent_before_the_handshake_is_not_taken() {
    let world = World::new();
    let flags = ["--tls-certificate", &world.pem("server.pem"), "--tls-key", &world.pem("server-key.pem")];
    let running = Running::start_with(world.dir.path(), "CREATE TABLE t (a INT);", &flags);
    let mut stream = TcpStream::connect(&running.pg).unwrap();
    stream.write_all(b"\0\0\0\x08\x04\xd2\x16\x2fQ\0\0\0\x0dSELECT 1\0").unwrap();
    let mut answer = Vec::new();
    // the connection is closed, perhaps by a reset
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"S");
    running.stop();
}

#[test]
fn http_is_https() {
    let world = World::new();
    let flags = ["--tls-certificate", &world.pem("server.pem"), "--tls-key", &world.pem("server-key.pem")];
    let running = Running::start_with(world.dir.path(), "", &flags);
    let (_, port) = running.http.rsplit_once(':').unwrap();
    let (http, ca, stranger) = (format!("https://localhost:{port}"), world.pem("ca.pem"), world.pem("stranger.pem"));
    // a client that never says anything holds up nobody
    let _silent = TcpStream::connect(&running.http).unwrap();
    let topic = ["topic", "--http", &http, "--http-ca", &ca];
    let lines: String = (0..2000).map(|n| format!("{{\"key\":\"{n}\",\"value\":\"{}\"}}\n", "v".repeat(200))).collect();
    let (code, _, errors) = with_input(&[&topic[..], &["write", "t"]].concat(), &lines);
    assert_eq!((code, errors.as_str()), (0, "2000 records written to t\n"));
    let (code, read, errors) = outcome(&output(&[&topic[..], &["read", "t"]].concat()));
    assert_eq!((code, read.lines().count()), (0, 2000), "{errors}");

    let refused = |args: &[&str], says: &str| {
        let (code, _, errors) = outcome(&output(&[args, &["list"]].concat()));
        assert!(code != 0 && errors.contains(says), "{args:?}: {errors}");
    };
    refused(&["topic", "--http", &http, "--http-ca", &stranger], "UnknownIssuer");
    refused(&["topic", "--http", &http], "--http-ca");
    refused(&["topic", "--http", &http, "--http-ca", "/nowhere.pem"], "/nowhere.pem");
    refused(&["topic", "--http", &http.replace("https://", "")], "cannot reach");
    running.stop();
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let world = World::new();
    let dir = world.dir.path().join("data").display().to_string();
    let (certificate, key) = (world.pem("server.pem"), world.pem("server-key.pem"));
    let refused = |flags: &[&str], says: &[&str]| {
        let (code, _, errors) = outcome(&output(&[&["run", "--data", &dir], flags].concat()));
        assert_eq!(code, 2, "{errors}");
        says.iter().for_each(|part| assert!(errors.contains(part), "{part} is not in: {errors}"));
    };
    refused(&["--tls-certificate", &certificate], &["--tls-key", "both"]);
    refused(&["--tls-key", &key], &["--tls-certificate", "both"]);
    refused(&["--tls-certificate", "/nowhere.pem", "--tls-key", &key], &["/nowhere.pem", "PEM"]);
    refused(&["--tls-certificate", &key, "--tls-key", &key], &["certificate", "server-key.pem"]);
    refused(&["--tls-certificate", &certificate, "--tls-key", &certificate], &["key", "server.pem"]);
    refused(&["--tls-certificate", &certificate, "--tls-key", &world.pem("client-key.pem")], &["does not go with"]);
    assert!(!std::path::Path::new(&dir).exists(), "nothing was touched");
}
