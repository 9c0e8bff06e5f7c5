//! What `meridian check --connect` has to say of nodes and shards, from what the servers said of themselves. Pure.
//!
//! Invariants:
//! 1. One cause is one finding: a node that cannot be asked is told of as that, and not again as a shard without a primary.
//! 2. To promote a replica is advised only where every node of the shard has answered and none is a primary: beside a primary
//!    that merely cannot be reached, a second one would lose data.

use std::collections::BTreeSet;

use super::servers::{Asked, NodeFacts};
use crate::config::Config;
use crate::health;
use crate::topology::{Shard, Topology};
use crate::transaction::registry::{Fitness, Obstacle};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Note,
    Warning,
    Error,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was found, and about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub level: Level,
    pub about: String,
    pub message: String,
}

pub(super) fn of_nodes(topology: &Topology, asked: &[Asked]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, facts) in asked {
        let about = health::connect::address(topology.node(*id));
        let mut report =
            |level, message: String| findings.push(Finding { level, about: about.clone(), message });
        match facts {
            Ok(facts) => of_node(facts, &mut report),
            Err(reason) => report(Level::Error, format!("cannot be asked: {reason}")),
        }
    }
    findings
}

fn of_node(facts: &NodeFacts, report: &mut impl FnMut(Level, String)) {
    if facts.max_prepared_transactions == 0 {
        let message = "max_prepared_transactions is 0: statements for every shard (DDL, reference tables, COPY) \
                       are refused; set it to max_connections and restart the server";
        report(Level::Error, message.to_owned());
    } else if facts.max_prepared_transactions < facts.max_connections {
        let message = format!(
            "max_prepared_transactions ({}) is below max_connections ({}): under load some commits over several \
             shards would fail",
            facts.max_prepared_transactions, facts.max_connections
        );
        report(Level::Warning, message);
    }
    if facts.encoding != "UTF8" {
        report(Level::Error, format!("the database's encoding is {}, and must be UTF8", facts.encoding));
    }
    if facts.wal_level == "minimal" {
        report(Level::Warning, "wal_level is minimal: no replica can follow; set it to replica".to_owned());
    }
    if !facts.is_monitor && !facts.is_superuser {
        let message =
            "the [server] account is no member of pg_monitor: lag is told with less detail; GRANT pg_monitor";
        report(Level::Warning, message.to_owned());
    }
    if facts.synchronous_commit == "off" {
        let message = "synchronous_commit is off: an acknowledged commit can be lost when the server fails";
        report(Level::Error, message.to_owned());
    }
}

pub(super) fn of_shards(config: &Config, asked: &[Asked]) -> Vec<Finding> {
    let shards = &config.topology.shards;
    let mut findings = Vec::new();
    for shard in shards {
        let own = asked.iter().filter(|(node, _)| shard.nodes.contains(node));
        let own: Vec<&Result<NodeFacts, String>> = own.map(|(_, facts)| facts).collect();
        let mut report = |level, message: String| {
            findings.push(Finding { level, about: format!("shard {}", shard.name), message });
        };
        of_shard(shard, &own, &mut report);
        if shards.len() > 1 {
            of_decisions(shard, &own, &mut report);
        }
    }
    findings
}

fn of_shard(shard: &Shard, asked: &[&Result<NodeFacts, String>], report: &mut impl FnMut(Level, String)) {
    let nodes: Vec<&NodeFacts> = asked.iter().filter_map(|facts| facts.as_ref().ok()).collect();
    let primaries: Vec<&&NodeFacts> = nodes.iter().filter(|facts| !facts.is_replica).collect();
    match primaries.as_slice() {
        [] if nodes.is_empty() => {}
        [] if nodes.len() < asked.len() => report(
            Level::Note,
            "the nodes that answer are replicas: its primary must be one of those that cannot be asked".to_owned(),
        ),
        [] => report(Level::Error, "has no primary, all its nodes are replicas: promote one".to_owned()),
        [_] if shard.nodes.len() == 1 => {
            report(Level::Warning, "has one node only: its data do not survive it".to_owned());
        }
        [primary] if primary.synchronous_standby_names.is_empty() => report(
            Level::Warning,
            "synchronous_standby_names is empty on the primary: a commit that was acknowledged can be lost with it"
                .to_owned(),
        ),
        [_] => {}
        _ => report(
            Level::Error,
            "has more than one primary: stop the older one, and bring it back as a replica".to_owned(),
        ),
    }
    let majors: BTreeSet<&str> = nodes.iter().filter_map(|facts| facts.version.split('.').next()).collect();
    if majors.len() > 1 {
        report(Level::Error, "its nodes run different major versions".to_owned());
    }
}

/// Whether transactions over several shards can be committed here, and finished. Servers without prepared transactions were
/// told of.
fn of_decisions(shard: &Shard, asked: &[&Result<NodeFacts, String>], report: &mut impl FnMut(Level, String)) {
    let mut primaries =
        asked.iter().filter_map(|facts| facts.as_ref().ok()).filter(|facts| !facts.is_replica);
    let Some(primary) = primaries.next() else { return };
    if !primary.strangers.is_empty() {
        let message = format!(
            "the [server] account is no member of {}: a transaction of theirs over several shards that is cut off could \
             not be finished, and would keep its locks; GRANT these roles to it",
            primary.strangers.join(", ")
        );
        report(Level::Warning, message);
    }
    if let fitness @ Fitness::NoDecisions(_) = &primary.fitness
        && let Some(Obstacle { reason, hint }) = fitness.obstacle(&shard.name)
    {
        let refused = "statements for every shard (DDL, reference tables, COPY) would be refused";
        report(Level::Error, format!("{refused}. {reason}. {hint}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::topology::NodeId;

    const CONFIG: &str = r#"
        regions = [{ name = "east" }]
        shards = [
          { name = "one", region = "east", nodes = ["a:5432", "b:5432"] },
          { name = "two", region = "east", nodes = ["c:5432"] },
        ]
    "#;

    fn facts(is_replica: bool) -> NodeFacts {
        NodeFacts {
            version: "17.2".to_owned(),
            is_replica,
            max_prepared_transactions: 100,
            max_connections: 100,
            wal_level: "replica".to_owned(),
            synchronous_standby_names: "ANY 1 (b)".to_owned(),
            synchronous_commit: "on".to_owned(),
            encoding: "UTF8".to_owned(),
            is_superuser: true,
            is_monitor: true,
            lag_seconds: None,
            fitness: if is_replica { Fitness::Unknown } else { Fitness::Fit },
            strangers: Vec::new(),
        }
    }

    /// What is found when the two nodes of shard one say this, and the one of shard two is fine.
    fn found(nodes: [Result<NodeFacts, String>; 2]) -> Vec<(Level, String)> {
        let config = Config::parse(CONFIG, "test.toml", Path::new(".")).unwrap();
        let [one, other] = nodes;
        let asked = [(NodeId(0), one), (NodeId(1), other), (NodeId(2), Ok(facts(false)))];
        let all = [of_nodes(&config.topology, &asked), of_shards(&config, &asked)].concat();
        let of_two = "shard two has one node only";
        let told =
            all.into_iter().map(|finding| (finding.level, format!("{} {}", finding.about, finding.message)));
        told.filter(|(_, text)| !text.contains(of_two)).collect()
    }

    #[test]
    fn a_replica_is_to_be_promoted_only_where_no_primary_can_be_hidden() {
        assert_eq!(found([Ok(facts(false)), Ok(facts(true))]), []);
        let promote = "shard one has no primary, all its nodes are replicas: promote one";
        assert_eq!(found([Ok(facts(true)), Ok(facts(true))]), [(Level::Error, promote.to_owned())]);
        let wrong = "password authentication failed for user \"meridian\" (28P01)";
        let told = |node: &str| (Level::Error, format!("{node}:5432 cannot be asked: {wrong}"));
        assert_eq!(found([Err(wrong.to_owned()), Err(wrong.to_owned())]), [told("a"), told("b")]);
        let note = "shard one the nodes that answer are replicas: its primary must be one of those that cannot be asked";
        assert_eq!(
            found([Err(wrong.to_owned()), Ok(facts(true))]),
            [told("a"), (Level::Note, note.to_owned())]
        );
    }

    #[test]
    fn an_account_that_cannot_finish_others_transactions_is_told_of() {
        let strangers = vec!["app".to_owned(), "web".to_owned()];
        let found = found([Ok(NodeFacts { strangers, ..facts(false) }), Ok(facts(true))]);
        let [(Level::Warning, text)] = found.as_slice() else { panic!("{found:?}") };
        assert!(text.starts_with("shard one the [server] account is no member of app, web: "), "{text}");
    }

    #[test]
    fn an_account_that_cannot_keep_decisions_is_told_of() {
        let fitness = Fitness::NoDecisions("no right".to_owned());
        let found = found([Ok(NodeFacts { fitness, ..facts(false) }), Ok(facts(true))]);
        let [(Level::Error, text)] = found.as_slice() else { panic!("{found:?}") };
        assert!(
            text.contains("would be refused. Decisions cannot be recorded on shard \"one\": no right. "),
            "{text}"
        );
    }
}
