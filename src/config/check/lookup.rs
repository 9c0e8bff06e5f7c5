//! The rules of `[auth_query]`: a question that takes the user's name, and a shard that there is.

use std::time::Duration;

use super::super::raw::RawConfig;
use super::super::settings::AuthQuery;
use super::Findings;

/// As PgBouncer's. A password that has expired opens nothing.
const QUERY: &str = "SELECT usename, CASE WHEN valuntil < now() THEN NULL ELSE passwd END FROM pg_catalog.pg_shadow \
                     WHERE usename = $1";

/// What the section says; None where the file has none.
pub(super) fn auth_query(raw: &RawConfig, findings: &mut Findings) -> Option<AuthQuery> {
    let section = raw.auth_query.as_ref()?.get_ref();
    let query = Findings::text(&section.query, QUERY);
    if let Some(written) = section.query.as_ref().filter(|_| !query.contains("$1")) {
        findings.report(written.span(), "must ask for one user, whose name is its parameter $1");
    }
    let shard = section.shard.as_ref();
    let is_there = |name: &str| raw.shards.iter().any(|shard| shard.get_ref().name.get_ref() == name);
    if let Some(shard) = shard.filter(|shard| !is_there(shard.get_ref())) {
        findings.report(shard.span(), format!("there is no shard \"{}\"", shard.get_ref()));
    }
    Some(AuthQuery {
        query,
        shard: shard.map(|shard| shard.get_ref().clone()),
        lifetime: findings.duration(&section.lifetime, Duration::from_secs(30)),
        unknown_lifetime: findings.duration(&section.unknown_lifetime, Duration::from_secs(5)),
        entries_max: findings.count(&section.entries_max, 10_000, (1, 1_000_000)),
        timeout: findings.duration(&section.timeout, Duration::from_secs(2)),
    })
}
