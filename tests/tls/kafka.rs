//! A Kafka that is reached under TLS alone, with a login or with a client's certificate: a pipeline on it, whole.

use super::{World, url_of, wait_answer};
use crate::cli::support::{Running, outcome, output};

const SQL: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, amount INT) WITH (connector = 'kafka', topic = 'orders', envelope = 'upsert', partitions = 2);
    CREATE STREAM TABLE total AS SELECT count(*) AS n, sum(amount) AS amount FROM orders;
    CREATE SINK out FROM total WITH (connector = 'kafka', topic = 'total', envelope = 'debezium');";

/// A pipeline on the broker: writes through it, reads from it, goes on after a restart.
fn works(world: &World, name: &str, brokers: &str, properties: &[String]) {
    let dir = world.dir.path().join(name);
    std::fs::create_dir(&dir).unwrap();
    let mut flags = vec!["--kafka", brokers, "--pipeline", name];
    properties.iter().for_each(|property| flags.extend(["--kafka-property", property]));
    let sql = SQL.replace("'orders'", &format!("'{name}.orders'")).replace("'total'", &format!("'{name}.total'"));
    for amount in [5, 7] {
        let running = Running::start_with(&dir, &sql, &flags);
        let line = format!("{{\"key\":\"{{\\\"id\\\":{amount}}}\",\"value\":\"{{\\\"amount\\\":{amount}}}\"}}");
        let (status, answer) = running.post(&format!("/topics/{name}.orders"), &line);
        assert_eq!(status, 200, "{name}: {answer}");
        let sum = if amount == 5 { "5\n" } else { "12\n" };
        wait_answer(&url_of(&running), "SELECT amount FROM total", sum, || {
            format!("{:?}", running.sql("SHOW SOURCES"))
        });
        running.stop();
    }
}

#[test]
fn a_broker_behind_tls_and_a_login() {
    let mut world = World::new();
    let dir = world.start("kafka");
    let address = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap().trim().to_string();
    let (sasl, mutual) = (address("sasl"), address("mutual"));
    let password = world.dir.path().join("kafka-password");
    std::fs::write(&password, "secret\n").unwrap();
    let login = |mechanism: &str, password: &str, ca: &str| {
        ["security.protocol=SASL_SSL", "sasl.username=alice"]
            .iter()
            .map(ToString::to_string)
            .chain([format!("sasl.mechanism={mechanism}"), format!("sasl.password={password}")])
            .chain([format!("ssl.ca.location={}", world.pem(ca))])
            .collect::<Vec<_>>()
    };
    let secret = format!("file:{}", password.display());
    works(&world, "plain", &sasl, &login("PLAIN", &secret, "ca.pem"));
    works(&world, "scram", &sasl, &login("SCRAM-SHA-512", &secret, "ca.pem"));
    let certified = [
        "security.protocol=SSL".to_string(),
        format!("ssl.ca.location={}", world.pem("ca.pem")),
        format!("ssl.certificate.location={}", world.pem("client.pem")),
        format!("ssl.key.location={}", world.pem("client-key.pem")),
    ];
    works(&world, "mutual", &mutual, &certified);

    // What is wrong ends the start, says what it is, and never the password.
    let data = world.dir.path().join("none").display().to_string();
    let refused = |brokers: &str, properties: &[String], says: &[&str]| {
        let mut args = vec!["run", "--data", &data, "--kafka", brokers, "--pg-listen", "127.0.0.1:0"];
        args.extend(["--http-listen", "127.0.0.1:0"]);
        properties.iter().for_each(|property| args.extend(["--kafka-property", property]));
        let (code, _, errors) = outcome(&output(&args));
        assert_eq!(code, 1, "{errors}");
        says.iter().for_each(|part| assert!(errors.contains(part), "{part} is not in: {errors}"));
        assert!(!errors.contains("geheim"), "{errors}");
    };
    refused(&sasl, &login("PLAIN", "geheim", "ca.pem"), &["does not let us in", "uthentication"]);
    refused(&sasl, &login("SCRAM-SHA-512", "geheim", "ca.pem"), &["does not let us in", "uthentication"]);
    refused(&sasl, &login("PLAIN", &secret, "stranger.pem"), &["does not let us in", "certificate"]);
    refused(&mutual, &certified[..2], &["does not let us in"]);
}
