//! A client that speaks messages.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::LONG;

/// The connection, and what a request to cancel must have.
pub struct Client(TcpStream, Vec<u8>);

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

impl Client {
    pub fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self(stream, Vec::new())
    }

    pub fn greet(&mut self) {
        let body = [(3u32 << 16).to_be_bytes().to_vec(), text("user"), text("ann"), vec![0]].concat();
        self.0.write_all(&[&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()).unwrap();
    }

    pub fn enter(&mut self) {
        self.greet();
        let mut kinds = String::new();
        while !kinds.ends_with('Z') {
            let (kind, body) = self.receive();
            if kind == 'K' {
                self.1 = body;
            }
            kinds.push(kind);
        }
        assert!(kinds.starts_with('R'));
    }

    /// Asks that the statement at work be cancelled, and returns when that is heard.
    pub fn cancel(&self) {
        let mut other = TcpStream::connect(self.0.peer_addr().unwrap()).unwrap();
        let head = [16u32.to_be_bytes(), 80_877_102u32.to_be_bytes()].concat();
        other.write_all(&[&head[..], &self.1].concat()).unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 0, "it is closed when it is done");
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        self.0.write_all(&[&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()).unwrap();
    }

    pub fn query(&mut self, sql: &str) {
        self.send(b'Q', &text(sql));
    }

    pub fn parse(&mut self, sql: &str) {
        self.send(b'P', &[text(""), text(sql), vec![0, 0]].concat());
    }

    pub fn bind(&mut self) {
        self.send(b'B', &[0, 0, 0, 0, 0, 0, 0, 0]);
    }

    pub fn execute(&mut self, rows_max: u32) {
        self.send(b'E', &[text(""), rows_max.to_be_bytes().to_vec()].concat());
    }

    pub fn flush(&mut self) {
        self.send(b'H', &[]);
    }

    pub fn sync(&mut self) {
        self.send(b'S', &[]);
    }

    fn receive(&mut self) -> (char, Vec<u8>) {
        let mut head = [0; 5];
        self.0.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        self.0.read_exact(&mut body).unwrap();
        (head[0] as char, body)
    }

    /// The kinds of the messages up to one.
    pub fn until(&mut self, kind: char) -> String {
        let mut kinds = String::new();
        while !kinds.ends_with(kind) {
            kinds.push(self.receive().0);
        }
        kinds
    }

    pub fn kinds(&mut self) -> String {
        self.until('Z')
    }

    /// SQLSTATE and message of the next error.
    pub fn error(&mut self) -> (String, String) {
        loop {
            let (kind, body) = self.receive();
            if kind == 'E' {
                let fields: Vec<_> = body.split(|byte| *byte == 0).collect();
                let field = |kind: u8| fields.iter().find(|field| field.first() == Some(&kind)).unwrap();
                let text = |kind| String::from_utf8(field(kind)[1..].to_vec()).unwrap();
                return (text(b'C'), text(b'M'));
            }
        }
    }

    pub fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
