//! The proxy's configuration for a cluster that has just been started.
//!
//! `config/demo.toml` is the configuration; what only a running cluster knows, its servers' addresses and the flags,
//! replaces what stands there. So the file that people read is the file that is used.
//!
//! Invariants:
//! 1. The areas in the file are those that the data are generated in.
//! 2. Every shard of the cluster is in the file, and the other way round.

use anyhow::Context;
use toml::{Table, Value};

use super::DemoOptions;
use super::cluster::{Cluster, Node, Shard};

const FILE: &str = include_str!("../../config/demo.toml");

/// The text of a configuration file for the proxy.
pub fn configuration(cluster: &Cluster, options: &DemoOptions) -> anyhow::Result<String> {
    let mut document: Table = FILE.parse().context("reading config/demo.toml")?;
    let proxy =
        document.get_mut("proxy").and_then(Value::as_table_mut).context("config/demo.toml: [proxy]")?;
    proxy.insert("listen".to_owned(), Value::String(options.listen.to_string()));
    let http = Table::from_iter([("listen".to_owned(), Value::String(options.http.to_string()))]);
    document.insert("http".to_owned(), Value::Table(http));
    let shards =
        document.get_mut("shards").and_then(Value::as_array_mut).context("config/demo.toml: [[shards]]")?;
    for entry in shards {
        let entry = entry.as_table_mut().context("config/demo.toml: [[shards]]")?;
        let name =
            entry.get("name").and_then(Value::as_str).context("config/demo.toml: a shard has no name")?;
        let shard = cluster.shard(name).with_context(|| format!("config/demo.toml: no shard {name}"))?;
        entry.insert("nodes".to_owned(), nodes(shard));
    }
    toml::to_string_pretty(&document).context("writing the configuration")
}

fn nodes(shard: &Shard) -> Value {
    let node = |node: &std::sync::Arc<Node>| {
        let address = Value::String(node.address().to_string());
        if node.location() == shard.name() {
            return address;
        }
        let location = Value::String(node.location().to_owned());
        Value::Table(Table::from_iter([("address".to_owned(), address), ("region".to_owned(), location)]))
    };
    Value::Array(shard.nodes().iter().map(node).collect())
}

#[cfg(test)]
mod tests {
    use super::super::data::AREAS;
    use super::*;

    #[test]
    fn areas_of_the_file_are_those_of_the_data() {
        let document: Table = FILE.parse().unwrap();
        let regions = document["regions"].as_array().unwrap();
        assert_eq!(regions.len(), AREAS.len());
        for (region, area) in regions.iter().zip(&AREAS) {
            assert_eq!(region["name"].as_str(), Some(area.region));
            let boxes = region["area"].as_array().unwrap();
            assert_eq!(boxes.len(), 1);
            let bounds = |axis: &str| {
                let pair = boxes[0][axis].as_array().unwrap();
                (pair[0].as_float().unwrap(), pair[1].as_float().unwrap())
            };
            assert_eq!((bounds("latitude"), bounds("longitude")), (area.latitude, area.longitude));
        }
        let shards = document["shards"].as_array().unwrap();
        let names: Vec<_> = shards.iter().filter_map(|shard| shard["name"].as_str()).collect();
        assert_eq!(names, AREAS.map(|area| area.region));
    }
}
