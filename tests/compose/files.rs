//! The files of compose/ name each other, the rest of the repository and the flags of the binary: all of it is there.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Map, Value};

use super::{compose, text};

/// A YAML file, as Perl's own parser reads it: no anchors, no flow collections.
fn yaml(path: &str) -> Value {
    const PROGRAM: &str = "local $/; my $all = CPAN::Meta::YAML->read_string(<STDIN>) or die CPAN::Meta::YAML->errstr; \
                           print JSON::PP->new->utf8->encode($all->[0])";
    let file = std::fs::File::open(compose().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let perl = Command::new("perl").args(["-MCPAN::Meta::YAML", "-MJSON::PP", "-e", PROGRAM]).stdin(file).output();
    let output = perl.expect("perl is there: PostgreSQL's package needs it");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn services(file: &Value) -> &Map<String, Value> {
    file["services"].as_object().expect("services")
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|values| values.iter().map(|value| value.as_str().expect("a text")).collect())
        .unwrap_or_default()
}

#[test]
fn services_fit_together() {
    let file = yaml("compose.yaml");
    let services = services(&file);
    let volumes: BTreeSet<&String> = file["volumes"].as_object().expect("volumes").keys().collect();
    let mut mounted = BTreeSet::new();
    for (name, service) in services {
        let image = service["image"].as_str().expect("an image");
        assert!(image.starts_with("${") && image.contains("_IMAGE:-"), "{name}: {image} is a variable with a default");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:${"), "{name}: {port} is published on loopback, by a variable");
        }
        // The one that gives Connect its connector ends; all others are asked.
        assert_eq!(service["healthcheck"]["test"].is_array(), name != "connector", "{name} has a healthcheck");
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy", "{name} waits for {other}");
            assert!(services[other]["healthcheck"].is_object(), "{name} waits for the health of {other}");
        }
        for volume in texts(&service["volumes"]) {
            let (from, to) = volume.split_once(':').expect("from:to");
            assert!(to.starts_with('/'), "{name}: {volume}");
            match from.starts_with('.') {
                true => assert!(compose().join(from).is_file(), "{name}: {from} is a file"),
                false => assert!(mounted.insert(from.to_string()), "{name}: {from} is its own"),
            }
        }
    }
    assert_eq!(mounted.iter().collect::<BTreeSet<_>>(), volumes, "the volumes that are declared");
}

#[test]
fn images_are_built_from_files_that_are_there() {
    let file = yaml("compose.yaml");
    let mut built = 0;
    for (name, service) in services(&file).iter().filter(|(_, service)| service["build"].is_object()) {
        let context = compose().join(service["build"]["context"].as_str().expect("a context"));
        let dockerfile = context.join(service["build"]["dockerfile"].as_str().unwrap_or("Dockerfile"));
        let steps =
            std::fs::read_to_string(&dockerfile).unwrap_or_else(|error| panic!("{}: {error}", dockerfile.display()));
        for step in steps.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from=")) {
            let from = step.split_whitespace().nth(1).expect("a source");
            assert!(context.join(from).exists(), "{name}: {step}");
        }
        let declared: BTreeSet<&str> =
            steps.lines().filter_map(|line| line.strip_prefix("ARG ")?.split('=').next()).collect();
        let given = service["build"]["args"].as_object().expect("arguments");
        assert_eq!(given.keys().map(String::as_str).collect::<BTreeSet<_>>(), declared, "{name}: arguments");
        for (argument, value) in given {
            let default =
                value.as_str().and_then(|value| value.split_once(":-")?.1.strip_suffix('}')).expect("a default");
            assert!(steps.contains(&format!("ARG {argument}={default}\n")), "{name}: {argument} is {default} in both");
        }
        built += 1;
    }
    assert_eq!(built, 2);
}

#[test]
fn millstream_is_started_by_settings_that_it_has() {
    let file = yaml("compose.yaml");
    let service = &services(&file)["millstream"];
    let help =
        Command::new(env!("CARGO_BIN_EXE_millstream")).args(["run", "--help"]).output().expect("the binary starts");
    let help = String::from_utf8_lossy(&help.stdout).to_string();
    let environment = service["environment"].as_object().expect("settings");
    assert!(environment.len() > 3);
    let words: BTreeSet<&str> = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    for name in environment.keys() {
        assert!(words.contains(name.as_str()), "{name} is a setting: {help}");
    }
    for (setting, port) in [("MILLSTREAM_PG_LISTEN", ":5433"), ("MILLSTREAM_HTTP_LISTEN", ":9464")] {
        assert!(environment[setting].as_str().is_some_and(|address| address.ends_with(port)), "{setting}");
        assert!(texts(&service["ports"]).iter().any(|published| published.ends_with(port)), "{port} is published");
    }
    assert_eq!(
        texts(&yaml("prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]),
        ["millstream:9464"]
    );
}

#[test]
fn grafana_finds_its_data_and_its_dashboard() {
    let file = yaml("compose.yaml");
    let mounts = texts(&services(&file)["grafana"]["volumes"]).join("\n");
    let source = &yaml("grafana/datasource.yml")["datasources"][0];
    assert_eq!((&source["type"], &source["url"]), (&"prometheus".into(), &"http://prometheus:9090".into()));
    let folder = &yaml("grafana/dashboards.yml")["providers"][0]["options"]["path"];
    assert!(mounts.contains(&format!(":{}/millstream.json:", folder.as_str().expect("a folder"))), "{mounts}");
}

#[test]
fn the_readme_names_what_is_there() {
    let readme = text("README.md");
    let file = yaml("compose.yaml");
    for variable in text("compose.yaml").split("${").skip(1).filter_map(|rest| rest.split(":-").next()) {
        assert!(readme.contains(variable), "README.md says what {variable} is");
    }
    for name in services(&file).keys() {
        assert!(readme.contains(name.as_str()), "README.md says what {name} is");
    }
}
