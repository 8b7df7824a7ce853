//! What a cluster's owner does to topics, said to a broker in Kafka's protocol: the log's own interface makes them as we need them, and
//! deletes none.

use std::io::{Read, Write};
use std::net::TcpStream;

const METADATA: (i16, i16) = (3, 1);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const DELETE_TOPICS: (i16, i16) = (20, 1);
const CREATE_PARTITIONS: (i16, i16) = (37, 0);
const INCREMENTAL_ALTER_CONFIGS: (i16, i16) = (44, 0);
const TIMEOUT_MS: i32 = 30_000;

/// A connection to the cluster.
pub struct Owner(TcpStream);

impl Owner {
    pub fn connect(brokers: &str) -> Self {
        Self(TcpStream::connect(brokers.split(',').next().expect("a broker")).expect("the broker listens"))
    }

    /// Makes a topic with settings.
    pub fn make(&mut self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut body = Body::default();
        body.int(1).text(topic).int(partitions).short(1).int(0).int(settings.len() as i32);
        for (name, value) in settings {
            body.text(name).text(value);
        }
        body.int(TIMEOUT_MS).byte(0);
        self.ask(CREATE_TOPICS, &body, topic);
    }

    /// Deletes a topic.
    pub fn delete(&mut self, topic: &str) {
        let mut body = Body::default();
        body.int(1).text(topic).int(TIMEOUT_MS);
        self.ask(DELETE_TOPICS, &body, topic);
    }

    /// Sets one of a topic's settings.
    pub fn set(&mut self, topic: &str, name: &str, value: &str) {
        const TOPIC: i8 = 2;
        const SET: i8 = 0;
        let mut body = Body::default();
        body.int(1).byte(TOPIC).text(topic).int(1).text(name).byte(SET).text(value).byte(0);
        let answer = self.answer(INCREMENTAL_ALTER_CONFIGS, &body);
        // Correlation id, throttle time, one topic: its error.
        let error = i16::from_be_bytes(answer[12..14].try_into().expect("two bytes"));
        assert_eq!(error, 0, "{name} of {topic}: {}", String::from_utf8_lossy(&answer[14..]));
    }

    /// Gives a topic more partitions.
    pub fn grow(&mut self, topic: &str, partitions: i32) {
        let mut body = Body::default();
        body.int(1).text(topic).int(partitions).int(-1).int(TIMEOUT_MS).byte(0);
        self.ask(CREATE_PARTITIONS, &body, topic);
    }

    /// Who leads the partitions of a topic, and how many replicas of each are in sync.
    pub fn leaders(&mut self, topic: &str) -> Vec<(i32, usize)> {
        let mut body = Body::default();
        body.int(1).text(topic);
        let answer = self.answer(METADATA, &body);
        let mut at = Parts(&answer[4..]);
        for _ in 0..at.int() {
            at.int();
            at.text();
            at.int();
            at.text();
        }
        at.int();
        // A broker may not have heard of the topic yet.
        if (at.int(), at.short()) != (1, 0) {
            return Vec::new();
        }
        at.text();
        at.skip(1);
        let partitions = at.int();
        let partition = |_| {
            at.short();
            at.int();
            let leader = at.int();
            let replicas = at.int() as usize;
            at.skip(4 * replicas);
            let in_sync = at.int() as usize;
            at.skip(4 * in_sync);
            (leader, in_sync)
        };
        (0..partitions).map(partition).collect()
    }

    /// Asks, and fails if the answer has an error for the topic.
    fn ask(&mut self, of: (i16, i16), body: &Body, topic: &str) {
        let answer = self.answer(of, body);
        // Correlation id, throttle time, one topic: its name, its error.
        let at = 4 + 4 + 4 + 2 + topic.len();
        let error = i16::from_be_bytes(answer[at..at + 2].try_into().expect("two bytes"));
        assert_eq!(error, 0, "request {of:?} of {topic}: {}", String::from_utf8_lossy(&answer[at + 2..]));
    }

    fn answer(&mut self, (api, version): (i16, i16), body: &Body) -> Vec<u8> {
        let mut request = Body::default();
        request.short(api).short(version).int(1).text("test");
        request.0.extend_from_slice(&body.0);
        self.0.write_all(&(request.0.len() as i32).to_be_bytes()).expect("the broker takes it");
        self.0.write_all(&request.0).expect("the broker takes it");
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("the broker answers");
        let mut answer = vec![0; i32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).expect("the broker answers");
        answer
    }
}

/// What is left of an answer.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn skip(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }

    fn short(&mut self) -> i16 {
        let value = i16::from_be_bytes(self.0[..2].try_into().expect("two bytes"));
        self.skip(2);
        value
    }

    fn int(&mut self) -> i32 {
        let value = i32::from_be_bytes(self.0[..4].try_into().expect("four bytes"));
        self.skip(4);
        value
    }

    /// Passes over a text, or none.
    fn text(&mut self) {
        let length = self.short();
        self.skip(length.max(0) as usize);
    }
}

#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn byte(&mut self, value: i8) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn short(&mut self, value: i16) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn text(&mut self, value: &str) -> &mut Self {
        self.short(value.len() as i16).0.extend_from_slice(value.as_bytes());
        self
    }
}
