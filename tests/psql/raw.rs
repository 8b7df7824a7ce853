//! A client that speaks the protocol's messages one by one, to say what no driver would.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::cli::support::{LONG, Running};

pub struct Raw {
    pub stream: TcpStream,
    /// Number and secret, to cancel.
    pub key: (i32, i32),
    /// What the server told of itself.
    pub status: Vec<(String, String)>,
}

/// A message of the server.
pub type Message = (char, Vec<u8>);

/// Text with the zero byte that ends it.
pub fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// The body of Bind, with parameters in text and the answer in one format.
pub fn bind(portal: &str, statement: &str, values: &[&str], format: i16) -> Vec<u8> {
    let mut body = [text(portal), text(statement), vec![0, 0]].concat();
    body.extend((values.len() as i16).to_be_bytes());
    for value in values {
        body.extend((value.len() as i32).to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 1]);
    body.extend(format.to_be_bytes());
    body
}

/// The body of Parse, without types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    [text(name), text(sql), vec![0, 0]].concat()
}

/// The body of Execute.
pub fn execute(portal: &str, rows_max: i32) -> Vec<u8> {
    [text(portal), rows_max.to_be_bytes().to_vec()].concat()
}

/// A start-up message.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(text(name));
        body.extend(text(value));
    }
    body.push(0);
    [((body.len() + 4) as u32).to_be_bytes().to_vec(), body].concat()
}

/// A field of an error or a notice.
pub fn field(body: &[u8], kind: u8) -> Option<String> {
    let mut fields = body.split(|byte| *byte == 0);
    fields.find(|field| field.first() == Some(&kind)).map(|field| String::from_utf8(field[1..].to_vec()).unwrap())
}

impl Raw {
    /// Only connected.
    pub fn dial(running: &Running) -> Self {
        let stream = TcpStream::connect(&running.pg).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self { stream, key: (0, 0), status: Vec::new() }
    }

    /// In.
    pub fn connect(running: &Running) -> Self {
        let mut raw = Self::dial(running);
        raw.write(&startup(3 << 16, &[("user", "ann"), ("database", "shop")]));
        for (kind, body) in raw.until('Z') {
            match kind {
                'S' => {
                    let mut parts = body.split(|byte| *byte == 0).map(|part| String::from_utf8(part.to_vec()).unwrap());
                    raw.status.push((parts.next().unwrap(), parts.next().unwrap()));
                }
                'K' => raw.key = (number(&body[..4]), number(&body[4..])),
                'R' | 'Z' => {}
                other => panic!("unexpected {other}"),
            }
        }
        raw
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a message.
    pub fn send(&mut self, kind: char, body: &[u8]) {
        self.write(&[&[kind as u8][..], &((body.len() + 4) as u32).to_be_bytes(), body].concat());
    }

    /// Parse, Bind, Execute of a statement without parameters.
    pub fn run(&mut self, sql: &str) {
        self.send('P', &parse("", sql));
        self.send('B', &bind("", "", &[], 0));
        self.send('E', &execute("", 0));
    }

    /// The next message; `None` at the end of the connection.
    pub fn receive(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("{error}"),
        }
        let mut body = vec![0; number(&head[1..]) as usize - 4];
        self.stream.read_exact(&mut body).unwrap();
        Some((head[0] as char, body))
    }

    /// Messages up to one of a kind, with it.
    pub fn until(&mut self, kind: char) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.receive().unwrap_or_else(|| panic!("the end comes before {kind}: {messages:?}"));
            let found = message.0 == kind;
            messages.push(message);
            if found {
                return messages;
            }
        }
    }

    /// The kinds of the messages up to the next `Z`.
    pub fn kinds(&mut self) -> String {
        self.until('Z').iter().map(|(kind, _)| kind).collect()
    }

    /// Sends a query string; the messages up to `Z`.
    pub fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send('Q', &text(sql));
        self.until('Z')
    }

    /// SQLSTATE of the next error, which must be the next message.
    pub fn error(&mut self) -> String {
        match self.receive() {
            Some(('E', body)) => field(&body, b'C').unwrap(),
            other => panic!("not an error: {other:?}"),
        }
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

pub fn number(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes[..4].try_into().unwrap())
}
