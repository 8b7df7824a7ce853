//! Three brokers: whoever leads a partition that the pipeline reads or writes is killed under load, another takes over, and it
//! comes back. (The brokers vote too: with them go the controller and the coordinator of the transaction.)

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{budget, until};
use crate::crash::wait_epochs;
use crate::kill::broker::Broker;
use crate::kill::rig::Rig;
use crate::topics::wire::Owner;

/// Whose leaders are killed, in turn.
const TOPICS: [&str; 3] = ["pipeline.epochs", "orders", "joined"];

/// Three brokers.
struct Cluster {
    nodes: Vec<Broker>,
    addresses: Vec<String>,
}

impl Cluster {
    fn start(dir: &Path) -> Self {
        let dir = dir.join("cluster");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/cluster");
        let done = Command::new(script).arg(&dir).stdin(Stdio::null()).output().expect("a script");
        assert!(done.status.success(), "no cluster: {}", String::from_utf8_lossy(&done.stderr));
        let addresses = String::from_utf8(done.stdout).expect("addresses");
        let addresses = addresses.trim().split(',').map(str::to_string).collect();
        // None of them is up before two are.
        let folders: Vec<PathBuf> = (1..=3).map(|node| dir.join(node.to_string())).collect();
        let begun = folders.into_iter().map(|dir| {
            std::thread::spawn(move || {
                let mut broker = Broker::prepared(dir);
                broker.come_back();
                broker
            })
        });
        let begun: Vec<_> = begun.collect();
        Self { nodes: begun.into_iter().map(|node| node.join().expect("it starts")).collect(), addresses }
    }

    /// How many partitions of which topics a broker leads.
    fn led(&self, node: usize) -> String {
        let mut owner = Owner::connect(&self.addresses[node]);
        let count = |topic: &&str| {
            let leaders = owner.leaders(topic);
            format!("{} of {topic}", leaders.iter().filter(|(leader, _)| *leader as usize == node + 1).count())
        };
        TOPICS.iter().map(count).collect::<Vec<_>>().join(", ")
    }

    /// Who leads the first partition of a topic, asked of another than `not`; only if enough replicas are in sync.
    fn leader(&self, topic: &str, not: Option<usize>, in_sync: usize) -> Option<usize> {
        let asked = (0..3).find(|node| Some(*node) != not).expect("another");
        let leaders = Owner::connect(&self.addresses[asked]).leaders(topic);
        let all_in_sync = leaders.iter().all(|(leader, replicas)| *leader > 0 && *replicas >= in_sync);
        let leader = leaders.first().map(|(leader, _)| *leader as usize)?;
        (all_in_sync && not != Some(leader - 1)).then(|| leader - 1)
    }
}

#[test]
fn leaders_change_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    let mut rig = Rig::brokers(dir.path(), 5, &cluster.addresses.join(","));
    let mut serving = rig.serve("");
    rig.go_on(&serving);
    wait_epochs(&serving, 5);
    for change in 0..budget("LEADER_CHANGES", 1) as usize {
        let topic = TOPICS[change % TOPICS.len()];
        let mut leader = None;
        until("all replicas are in sync", || {
            let others = TOPICS.iter().all(|topic| cluster.leader(topic, None, 3).is_some());
            leader = cluster.leader(topic, None, 3).filter(|_| others);
            leader.is_some()
        });
        let leader = leader.expect("a leader");
        let led = cluster.led(leader);
        cluster.nodes[leader].kill();
        let mut next = None;
        until("another leads", || {
            next = cluster.leader(topic, Some(leader), 2);
            next.is_some()
        });
        println!("{topic}: broker {} was killed, {} leads; it led {led}", leader + 1, next.expect("a leader") + 1);
        wait_epochs(&serving, 5);
        assert_eq!(serving.process.ended_by(Instant::now()), None, "it goes on:\n{}", rig.tail());
        cluster.nodes[leader].come_back();
        wait_epochs(&serving, 5);
    }
    rig.finish(serving);
}
