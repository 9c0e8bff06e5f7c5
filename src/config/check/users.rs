//! Clients' accounts: names or patterns, what they are authenticated against, who they are on the servers, their limits.
//!
//! Who has neither password nor verifier here is looked up on a server, where there is an `[auth_query]`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::access::AccessRules;
use super::super::pattern::Pattern;
use super::super::raw::{RawConfig, RawUser};
use super::super::settings::{AuthMethod, User};
use super::Findings;
use super::settings::secret;
use crate::topology::RegionId;

/// PostgreSQL's default, and by far enough to hear of it if it is too small.
const SCRAM_ITERATIONS_MIN: u32 = 1;

pub(super) fn users(
    raw: &RawConfig,
    (auth, access): (AuthMethod, &AccessRules),
    folder: &Path,
    findings: &mut Findings,
) -> Vec<User> {
    let mut users: Vec<User> = Vec::with_capacity(raw.users.len());
    for spanned in &raw.users {
        let looked_up = raw.auth_query.is_some();
        let user = user(spanned.get_ref(), (auth, access), looked_up, folder, findings);
        let user = User { regions: regions(raw, spanned.get_ref(), findings), ..user };
        if users.iter().any(|other| other.name == user.name) {
            findings.report(spanned.get_ref().name.span(), format!("user \"{}\" stands twice", user.name));
        }
        check_order(&users, &user, spanned.get_ref(), findings);
        users.push(user);
    }
    users
}

/// A pattern behind one that fits all its names says nothing.
fn check_order(before: &[User], user: &User, raw: &RawUser, findings: &mut Findings) {
    let Some(pattern) = &user.pattern else { return };
    let covers = |other: &&User| other.pattern.as_ref().is_some_and(|other| other.covers(pattern));
    if let Some(other) = before.iter().filter(|other| other.name != user.name).find(covers) {
        let message = format!("counts for nobody: \"{}\" before it fits whoever it fits", other.name);
        findings.warn(raw.name.span(), message);
    }
}

fn user(
    raw: &RawUser,
    (auth, access): (AuthMethod, &AccessRules),
    looked_up: bool,
    folder: &Path,
    findings: &mut Findings,
) -> User {
    let name = raw.name.get_ref().clone();
    if name.is_empty() || name.len() >= super::NAME_BYTES_END {
        findings.report(raw.name.span(), "must be 1 to 63 bytes long");
    }
    let pattern = Some(Pattern::new(&name)).filter(Pattern::is_wild);
    if raw.admin && pattern.is_some() {
        findings.report(raw.name.span(), "admin = true is for users by their names, not for a pattern");
    }
    let password = secret(&raw.password, &raw.password_file, folder, findings);
    let has_password = raw.password.is_some() || raw.password_file.is_some();
    if let Some(verifier) = &raw.verifier {
        if has_password {
            findings.report(verifier.span(), "give a password or a verifier, not both");
        }
        if !is_verifier(verifier.get_ref().expose()) {
            findings.report(verifier.span(), "must be SCRAM-SHA-256$iterations:salt$storedkey:serverkey");
        }
        if auth == AuthMethod::Md5 && access.0.is_empty() {
            findings.report(verifier.span(), "auth = \"md5\" needs a password, a verifier does not serve");
        }
    }
    let asked = match access.0.is_empty() {
        true => auth != AuthMethod::Trust,
        false => access.0.iter().any(|rule| rule.users.fit(&name) && rule.method.asks_password()),
    };
    let has_credential = has_password || raw.verifier.is_some();
    if asked && !has_credential && !looked_up {
        let message =
            format!("user \"{name}\" has neither password nor verifier, and there is no [auth_query]");
        findings.report(raw.name.span(), message);
    }
    let own = secret(&raw.server_password, &raw.server_password_file, folder, findings);
    let given = raw.server_password.is_some() || raw.server_password_file.is_some();
    if raw.verifier.is_some() && !has_password && !given {
        let message = format!("user \"{name}\" has only a verifier and so needs a server_password");
        findings.report(raw.name.span(), message);
    }
    let other = raw.server_user.as_ref().filter(|user| *user.get_ref() != name);
    if let Some(other) = other.filter(|_| asked && !has_credential && !given) {
        let message = "needs a server_password: what a client shows opens the account of its own name only";
        findings.report(other.span(), message);
    }
    User {
        pattern,
        server_user: raw.server_user.as_ref().map(|user| user.get_ref().clone()),
        server_password: if given { own } else { password.clone() },
        password,
        verifier: raw.verifier.as_ref().map(|verifier| verifier.get_ref().clone()),
        admin: raw.admin,
        read_only: raw.read_only,
        regions: None,
        pool_size: findings.limit(&raw.pool_size, 10_000),
        connections_max: findings.limit(&raw.connections_max, CLIENTS_BOUND),
        name,
    }
}

/// No limit on clients is higher.
pub(super) const CLIENTS_BOUND: usize = 1_000_000;

/// Regions are numbered in the order of the file.
fn regions(raw: &RawConfig, user: &RawUser, findings: &mut Findings) -> Option<Vec<RegionId>> {
    let list = user.regions.as_ref()?;
    let mut regions = Vec::with_capacity(list.get_ref().len());
    for name in list.get_ref() {
        match raw.regions.iter().position(|region| region.get_ref().name.get_ref() == name.get_ref()) {
            Some(index) => regions.push(RegionId(index as u16)),
            None => findings.report(name.span(), format!("there is no region \"{}\"", name.get_ref())),
        }
    }
    let is_named = |region: &str| list.get_ref().iter().any(|name| name.get_ref() == region);
    let shards = || raw.shards.iter().map(|shard| shard.get_ref());
    if !shards().any(|shard| is_named(shard.region.get_ref())) {
        findings.report(list.span(), "no shard lives in these regions");
    }
    let default = raw.database.default_shard.as_ref().map(|name| name.get_ref());
    let default = shards().find(|shard| default.is_none_or(|name| shard.name.get_ref() == name));
    if default.is_some_and(|shard| !is_named(shard.region.get_ref())) {
        let message = "the default shard lives elsewhere: its tables, sequences, temporary tables and LISTEN are not for \
                       this user";
        findings.warn(list.span(), message);
    }
    Some(regions)
}

fn is_verifier(text: &str) -> bool {
    let parts = || {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations: u32 = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok()?;
        let key = |text: &str| STANDARD.decode(text).ok().filter(|key| key.len() == 32);
        key(stored)?;
        key(server)?;
        (iterations >= SCRAM_ITERATIONS_MIN && !salt.is_empty()).then_some(())
    };
    parts().is_some()
}
