//! A database of a test's own in the PostgreSQL that `tests/run` starts. It goes when the test does.

use postgres::config::Host;
use postgres::{Client, Config, NoTls};

/// See the module.
pub struct Database {
    /// Connected to it.
    pub client: Client,
    pub name: String,
    pub url: String,
    pub host: String,
    pub port: u16,
    server: String,
}

impl Database {
    /// Makes it.
    pub fn create(name: &str) -> Self {
        let server = std::env::var("MILLSTREAM_TEST_POSTGRES")
            .expect("MILLSTREAM_TEST_POSTGRES is not set: run this by tests/run, or tests/with-services COMMAND");
        let mut admin = Client::connect(&server, NoTls).expect("PostgreSQL answers");
        admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database can be made");
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{base}/{name}");
        let config: Config = url.parse().expect("a URL of PostgreSQL");
        let host = match config.get_hosts() {
            [Host::Tcp(host), ..] => host.clone(),
            other => panic!("{other:?} is not reached by TCP"),
        };
        let client = Client::connect(&url, NoTls).expect("PostgreSQL answers");
        Self { client, name: name.to_string(), url, host, port: config.get_ports()[0], server }
    }

    /// Runs statements that must succeed.
    pub fn run(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("PostgreSQL refuses: {error:?}\n{sql}");
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Ok(mut admin) = Client::connect(&self.server, NoTls) else { return };
        let name = &self.name;
        // A replication slot keeps its database, and one that somebody reads cannot be dropped.
        let _ = admin.batch_execute(&format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '{name}' AND active; \
             SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{name}' AND NOT active"
        ));
        let _ = admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}
