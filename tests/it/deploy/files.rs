//! What a container engine, systemd and the forge's runner would read, held against the tree and against each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_yaml_ng::Value;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn exists(file: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists()
}

fn compose() -> Value {
    let mut compose: Value = serde_yaml_ng::from_str(&read("docker-compose.yml")).expect("YAML");
    compose.apply_merge().expect("merges");
    compose
}

fn entries<'v>(value: &'v Value, key: &str) -> Vec<(&'v str, &'v Value)> {
    let mapping = value[key].as_mapping().unwrap_or_else(|| panic!("{key} is a mapping"));
    mapping.iter().map(|(name, value)| (name.as_str().expect("a name"), value)).collect()
}

fn texts<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    let list = value[key].as_sequence().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().expect("a text")).collect()
}

/// Services that are PostgreSQL servers, with their environment.
fn nodes(compose: &Value) -> Vec<(&str, &Value)> {
    let services = entries(compose, "services").into_iter();
    services.filter(|(_, service)| !service["environment"]["NODE"].is_null()).collect()
}

#[test]
fn what_compose_names_exists() {
    let compose = compose();
    let services = entries(&compose, "services");
    let names: BTreeSet<&str> = services.iter().map(|(name, _)| *name).collect();
    let declared: BTreeSet<&str> = entries(&compose, "volumes").iter().map(|(name, _)| *name).collect();
    let secrets: BTreeSet<&str> = entries(&compose, "secrets").iter().map(|(name, _)| *name).collect();
    let mut used = BTreeSet::new();
    for (name, service) in &services {
        for volume in texts(service, "volumes") {
            let source = volume.split(':').next().expect("a source");
            match source.strip_prefix("./") {
                Some(path) => {
                    assert!(exists(path), "{name}: {path} is not there");
                    assert!(volume.ends_with(":ro"), "{name}: {path} could be written");
                }
                None => {
                    used.insert(source);
                }
            }
        }
        for other in texts(service, "depends_on") {
            assert!(names.contains(other), "{name} depends on {other}");
        }
        for secret in texts(service, "secrets") {
            assert!(secrets.contains(secret), "{name}: secret {secret}");
        }
        for port in texts(service, "ports") {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to the world");
        }
        assert_eq!(service["restart"].as_str(), Some("unless-stopped"), "{name}");
        assert!(service["healthcheck"]["test"].is_sequence(), "{name} has no health check");
    }
    assert_eq!(used, declared);
    for (name, secret) in entries(&compose, "secrets") {
        assert!(exists(secret["file"].as_str().expect("a file")), "secret {name}");
    }
}

#[test]
fn nodes_of_a_shard_know_each_other_and_meridian_knows_them() {
    let compose = compose();
    let config = read("deploy/compose/meridian.toml");
    let config: toml::Table = toml::from_str(&config).expect("TOML");
    let mut configured = BTreeSet::new();
    for shard in config["shards"].as_array().expect("shards") {
        let addresses = shard["nodes"].as_array().expect("nodes").iter();
        let addresses: Vec<&str> =
            addresses.map(|node| node.get("address").unwrap_or(node).as_str().expect("an address")).collect();
        let of_shard: Vec<_> = nodes(&compose)
            .into_iter()
            .filter(|(name, _)| addresses.contains(&format!("{name}:5432").as_str()))
            .collect();
        assert_eq!(of_shard.len(), addresses.len(), "{addresses:?}");
        let makers = of_shard.iter().filter(|(_, node)| node["environment"]["MAKES_SHARD"] == "yes");
        assert_eq!(makers.count(), 1, "{addresses:?}");
        for (name, node) in &of_shard {
            let environment = &node["environment"];
            assert_eq!(environment["NODE"].as_str(), Some(*name));
            let words = |key: &str| -> Vec<&str> {
                environment[key].as_str().expect("a text").split_whitespace().collect()
            };
            let own = format!("{name}:5432");
            let peers: Vec<&str> = addresses.iter().copied().filter(|address| *address != own).collect();
            assert_eq!(words("PEERS"), peers, "{name}");
            let names: Vec<&str> = peers.iter().map(|peer| peer.trim_end_matches(":5432")).collect();
            assert_eq!(words("PEER_NAMES"), names, "{name}");
            let volumes = texts(node, "volumes");
            assert!(volumes.contains(&format!("{name}:/var/lib/postgresql").as_str()), "{name}: {volumes:?}");
            let state = format!("{}-state:/var/lib/meridian-shard", shard["name"].as_str().expect("a name"));
            assert!(volumes.contains(&state.as_str()), "{name}: {volumes:?}");
        }
        configured.extend(of_shard.iter().map(|(name, _)| *name));
    }
    assert_eq!(configured, nodes(&compose).iter().map(|(name, _)| *name).collect());
}

#[test]
fn the_configuration_of_the_containers_is_valid() {
    let secret = std::env::temp_dir().join(format!("meridian-secret-{}", std::process::id()));
    fs::write(&secret, "app\n").expect("a secret");
    let text =
        read("deploy/compose/meridian.toml").replace("/run/secrets/app", secret.to_str().expect("UTF-8"));
    let parsed = meridian::config::Config::parse(&text, "meridian.toml", Path::new("/"));
    fs::remove_file(&secret).expect("removed");
    let config = parsed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.topology.shards.len(), 4);
}

#[test]
fn the_image_copies_what_is_there() {
    let ignored = read(".dockerignore");
    for line in
        read("Dockerfile").lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
    {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        for source in &words[..words.len() - 1] {
            assert!(exists(source), "{line}");
            assert!(ignored.lines().any(|kept| kept == format!("!{source}")), ".dockerignore hides {source}");
        }
    }
}

#[test]
fn the_runner_runs_what_a_person_runs() {
    let workflow: Value = serde_yaml_ng::from_str(&read(".github/workflows/ci.yml")).expect("YAML");
    let jobs = entries(&workflow, "jobs");
    let runs: Vec<&str> = jobs
        .iter()
        .flat_map(|(_, job)| job["steps"].as_sequence().expect("steps"))
        .filter_map(|step| step["run"].as_str())
        .collect();
    for command in ["make check", "make test"] {
        assert!(runs.contains(&command), "{runs:?}");
    }
}

#[test]
fn the_unit_calls_commands_that_exist() {
    let unit = read("deploy/systemd/meridian.service");
    let commands = unit.lines().filter_map(|line| line.split_once("=/usr/local/bin/meridian "));
    let commands: Vec<&str> =
        commands.filter_map(|(_, arguments)| arguments.split_whitespace().next()).collect();
    assert!(commands.contains(&"serve"));
    for command in commands {
        let help =
            std::process::Command::new(env!("CARGO_BIN_EXE_meridian")).args([command, "--help"]).output();
        assert!(help.expect("meridian runs").status.success(), "meridian {command} does not exist");
    }
}

/// systemd gives a configuration directory to root, whatever account the service runs under.
#[test]
fn the_units_account_can_read_the_configuration() {
    let (unit, manual) = (read("deploy/systemd/meridian.service"), read("docs/deployment.md"));
    assert!(unit.lines().any(|line| line == "DynamicUser=yes"));
    assert!(unit.lines().any(|line| line == "ConfigurationDirectoryMode=0755"));
    assert!(manual.contains("install -d -m 0755 /etc/meridian"));
    assert!(manual.contains("install -m 0644 config/meridian.toml /etc/meridian/meridian.toml"));
}
