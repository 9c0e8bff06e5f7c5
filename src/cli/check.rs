//! `meridian check`: whether a configuration is right, and with `--connect` whether the servers are as it needs them.
//!
//! ```text
//!   file ─▶ rules of the file ─▶ every node at once ─▶ every shard's catalogs ─▶ every user's login ─▶ table, findings
//! ```
//!
//! Invariants:
//! 1. The exit code is 0 if and only if there is no finding of level error.
//! 2. Nothing is changed on any server.

use std::process::ExitCode;

use futures_util::future::join_all;
use serde_json::json;

use super::findings::{self, Finding, Level};
use super::servers::{self, Asked, CatalogFailure};
use crate::catalog::{self, Severity};
use crate::config::Config;
use crate::demo::output::line;
use crate::health::{self, ControlError};
use crate::session::lookup::{self, LookupError};
use crate::topology::NodeId;
use crate::wire::credential::LoginSecret;
use crate::wire::login::{self, Login, LoginError};
use crate::wire::secret::Secret;

/// How the outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// Says what the file describes; it has been checked already.
pub(super) fn describe(config: &Config, file: &str) -> String {
    let topology = &config.topology;
    format!(
        "{file}: right: {} regions, {} shards, {} nodes, {} tables, {} users",
        topology.regions.len(),
        topology.shards.len(),
        topology.nodes.len(),
        topology.tables.len(),
        config.users.len()
    )
}

/// Asks the servers, and prints what there is to do.
pub(super) async fn servers(config: &Config, form: Form) -> ExitCode {
    let asked = servers::facts(config).await;
    let warnings = config.warnings.iter().map(|warning| Finding {
        level: Level::Warning,
        about: "file".to_owned(),
        message: warning.to_string(),
    });
    let mut findings: Vec<Finding> = warnings.collect();
    findings.extend(findings::of_nodes(&config.topology, &asked));
    findings.extend(findings::of_shards(config, &asked));
    findings.extend(catalog_findings(config).await);
    findings.extend(lookup_findings(config).await);
    findings.extend(user_findings(config).await);
    match form {
        Form::Text => print_text(config, &asked, &findings),
        Form::Json => print_json(config, &asked, &findings),
    }
    match findings.iter().any(|finding| finding.level == Level::Error) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

async fn catalog_findings(config: &Config) -> Vec<Finding> {
    let catalogs = servers::catalogs(config).await;
    let finding = |level, message: String| Finding { level, about: "catalogs".to_owned(), message };
    // A shard without a primary was told of, and why, where the nodes were.
    let told =
        |failure: &&CatalogFailure| matches!(failure, CatalogFailure::Connect(ControlError::NoPrimary(_)));
    let failures = catalogs.failures.iter().filter(|failure| !told(failure));
    let mut findings: Vec<Finding> =
        failures.map(|failure| finding(Level::Error, failure.to_string())).collect();
    findings.extend(catalogs.drift.iter().map(|drift| finding(Level::Error, drift.message.clone())));
    if let Some(catalog) = &catalogs.catalog {
        let level = |severity| match severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Notice => Level::Note,
        };
        let tables = catalog::check_tables(&config.topology, catalog);
        findings.extend(tables.into_iter().map(|table| finding(level(table.severity), table.message)));
        let strays = health::strays::look(&config.topology, catalog, &config.server).await;
        findings.extend(strays.into_iter().map(|message| finding(Level::Error, message)));
    }
    findings
}

/// Whether users can be looked up.
async fn lookup_findings(config: &Config) -> Option<Finding> {
    let query = config.auth_query.as_ref()?;
    let asking = lookup::Asking { query, topology: &config.topology, server: &config.server };
    let error = lookup::check(&asking).await.err()?;
    if matches!(error, LookupError::NoServer(_)) {
        // Each of them was told of.
        return None;
    }
    let message = format!("users cannot be looked up: {error}");
    Some(Finding { level: Level::Error, about: "auth_query".to_owned(), message })
}

/// Whether each user can log in where it is sent, as far as the file has the password.
async fn user_findings(config: &Config) -> Vec<Finding> {
    let topology = &config.topology;
    let primaries: Vec<NodeId> = (0..topology.shards.len())
        .filter_map(|index| health::primary(topology, crate::topology::ShardId(index as u16)))
        .collect();
    let known = config.users.iter().filter(|user| {
        let looked_up = config.auth_query.is_some() && user.server_password.is_none();
        !looked_up && (user.pattern.is_none() || user.server_user.is_some())
    });
    let logins = known.flat_map(|user| primaries.iter().map(move |node| (user, *node)));
    let tried = logins.map(|(user, id)| async move {
        let node = topology.node(id);
        let address = health::connect::address(node);
        let password = user.server_password.as_ref();
        let secret = password.map(|password| LoginSecret::Password(Secret::new(password.expose())));
        let account = user.server_user.as_deref().unwrap_or(&user.name);
        let login = Login {
            address: &address,
            host: &node.host,
            tls: &config.server.tls,
            user: account,
            database: &topology.shard(node.shard).database,
            secret: secret.as_ref(),
            parameters: &[("application_name", "meridian check")],
            timeout: config.server.connect_timeout,
        };
        let failure = login::connect(&login).await.err()?;
        Some(Finding {
            level: Level::Error,
            about: format!("user {}", user.name),
            message: match &failure {
                LoginError::Server(words) => format!("cannot log in to {address} as \"{account}\": {words}"),
                // These name the server themselves.
                other => format!("cannot log in as \"{account}\": {other}"),
            },
        })
    });
    join_all(tried).await.into_iter().flatten().collect()
}

fn print_text(config: &Config, asked: &[Asked], findings: &[Finding]) {
    let topology = &config.topology;
    let mut rows = vec![["NODE", "SHARD", "REGION", "VERSION", "ROLE", "LAG"].map(str::to_owned)];
    for (id, facts) in asked {
        let node = topology.node(*id);
        let (version, role, lag) = match facts {
            Ok(facts) => (
                facts.version.split(' ').next().unwrap_or_default().to_owned(),
                if facts.is_replica { "replica" } else { "primary" },
                facts.lag_seconds.as_ref().map(|lag| format!("{lag} s")).unwrap_or_default(),
            ),
            Err(_) => (String::new(), "unreachable", String::new()),
        };
        rows.push([
            health::connect::address(node),
            topology.shard(node.shard).name.clone(),
            topology.region(node.region).name.clone(),
            version,
            role.to_owned(),
            lag,
        ]);
    }
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line!("{}", cells.join("  ").trim_end());
    }
    line!("");
    for finding in findings {
        line!("{}: {}: {}", finding.level.name(), finding.about, finding.message);
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    line!("{} errors, {} warnings", count(Level::Error), count(Level::Warning));
}

fn print_json(config: &Config, asked: &[Asked], findings: &[Finding]) {
    let topology = &config.topology;
    let nodes: Vec<_> = asked
        .iter()
        .map(|(id, facts)| {
            let node = topology.node(*id);
            let (version, role) = match facts {
                Ok(facts) => (Some(&facts.version), if facts.is_replica { "replica" } else { "primary" }),
                Err(_) => (None, "unreachable"),
            };
            json!({
                "address": health::connect::address(node),
                "shard": topology.shard(node.shard).name,
                "region": topology.region(node.region).name,
                "version": version,
                "role": role,
            })
        })
        .collect();
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "level": finding.level.name(), "about": finding.about, "message": finding.message }))
        .collect();
    line!("{:#}", json!({ "nodes": nodes, "findings": findings }));
}
