//! The rules of `[[access]]`: networks, names, and methods that are safe where they are used.
//!
//! Passwords in clear go through encrypted connections only, certificates exist there only, and `trust` is for this
//! machine unless the file says that more is meant. A rule that can never decide, because one before it fits whoever it
//! fits, is a warning: it does no harm, and is hardly what was meant.

use toml::Spanned;

use super::super::access::{
    AccessMethod, AccessRule, AccessRules, Addresses, ConnectionKind, Names, Network,
};
use super::super::pattern::Pattern;
use super::super::raw::{RawAccess, RawConfig};
use super::super::settings::AuthMethod;
use super::Findings;

type List = Option<Spanned<Vec<Spanned<String>>>>;

/// What stands for everything.
const ALL: &str = "all";

pub(super) fn rules(raw: &RawConfig, findings: &mut Findings) -> AccessRules {
    let mut rules: Vec<AccessRule> = Vec::with_capacity(raw.access.len());
    for spanned in &raw.access {
        let written = spanned.get_ref();
        let rule = AccessRule {
            connection: connection(written, findings),
            addresses: addresses(&written.addresses, findings),
            users: names(&written.users, findings),
            databases: names(&written.databases, findings),
            method: method(written, findings),
        };
        check_safety(written, &rule, findings);
        check_encryption(raw, written, &rule, findings);
        if let Some(index) = rules.iter().position(|before| before.shadows(&rule)) {
            let message = format!("this rule never decides: access[{index}] fits whoever it fits");
            findings.warn(written.method.span(), message);
        }
        rules.push(rule);
    }
    AccessRules(rules)
}

fn connection(raw: &RawAccess, findings: &mut Findings) -> ConnectionKind {
    let Some(text) = &raw.connection else { return ConnectionKind::Any };
    match text.get_ref().as_str() {
        "any" => ConnectionKind::Any,
        "tls" => ConnectionKind::Tls,
        "plain" => ConnectionKind::Plain,
        other => {
            let message = format!("must be one of \"any\", \"tls\", \"plain\", not \"{other}\"");
            findings.report(text.span(), message);
            ConnectionKind::Any
        }
    }
}

/// The items of a list; None: all. An empty list would fit nobody and is refused.
fn items<'l>(list: &'l List, findings: &mut Findings) -> Option<&'l [Spanned<String>]> {
    let list = list.as_ref()?;
    let items = list.get_ref().as_slice();
    if items.is_empty() {
        findings.report(list.span(), "is empty and would fit nobody; \"all\" is everybody");
        return None;
    }
    let Some(all) = items.iter().find(|item| item.get_ref() == ALL) else { return Some(items) };
    if items.len() > 1 {
        findings.report(all.span(), "\"all\" leaves nothing for the others in this list");
    }
    None
}

fn addresses(list: &List, findings: &mut Findings) -> Addresses {
    let Some(items) = items(list, findings) else { return Addresses::All };
    let mut networks = Vec::with_capacity(items.len());
    for item in items {
        match Network::parse(item.get_ref()) {
            Ok(network) => networks.push(network),
            Err(error) => findings.report(item.span(), error.to_string()),
        }
    }
    Addresses::Networks(networks)
}

fn names(list: &List, findings: &mut Findings) -> Names {
    let Some(items) = items(list, findings) else { return Names::All };
    for item in items.iter().filter(|item| item.get_ref().is_empty()) {
        findings.report(item.span(), "must be a name or a pattern");
    }
    Names::Named(items.iter().map(|item| Pattern::new(item.get_ref())).collect())
}

fn method(raw: &RawAccess, findings: &mut Findings) -> AccessMethod {
    match raw.method.get_ref().as_str() {
        "scram-sha-256" => AccessMethod::Ask(AuthMethod::ScramSha256),
        "md5" => AccessMethod::Ask(AuthMethod::Md5),
        "password" => AccessMethod::Ask(AuthMethod::Password),
        "trust" => AccessMethod::Ask(AuthMethod::Trust),
        "cert" => AccessMethod::Certificate,
        "reject" => AccessMethod::Reject,
        other => {
            let choice = "\"scram-sha-256\", \"md5\", \"password\", \"trust\", \"cert\", \"reject\"";
            findings.report(raw.method.span(), format!("must be one of {choice}, not \"{other}\""));
            AccessMethod::Reject
        }
    }
}

/// A method is used only where nobody between can make use of it.
fn check_safety(raw: &RawAccess, rule: &AccessRule, findings: &mut Findings) {
    let encrypted = rule.connection == ConnectionKind::Tls;
    let place = raw.method.span();
    match rule.method {
        AccessMethod::Ask(AuthMethod::Password) if !encrypted => {
            findings.report(place, "\"password\" sends passwords as they are, and needs connection = \"tls\"")
        }
        AccessMethod::Certificate if !encrypted => {
            findings.report(place, "\"cert\" needs connection = \"tls\"");
        }
        AccessMethod::Ask(AuthMethod::Trust) => {
            let here = match &rule.addresses {
                Addresses::All => false,
                Addresses::Networks(networks) => networks.iter().all(Network::is_loopback),
            };
            let meant = raw.trust_remote.as_ref().is_some_and(|meant| *meant.get_ref());
            if !here && !meant {
                let message = "\"trust\" lets in whoever comes, without a password: give loopback addresses only, or \
                               set trust_remote = true";
                findings.report(place, message);
            }
        }
        _ => {}
    }
    if let Some(remote) = &raw.trust_remote
        && rule.method != AccessMethod::Ask(AuthMethod::Trust)
    {
        findings.report(remote.span(), "has a meaning for method = \"trust\" only");
    }
}

/// A rule about encrypted connections needs some.
fn check_encryption(raw: &RawConfig, written: &RawAccess, rule: &AccessRule, findings: &mut Findings) {
    let is = |value: &Option<Spanned<String>>, text: &str| {
        value.as_ref().map(|v| v.get_ref().as_str()) == Some(text)
    };
    let off = raw.tls.mode.is_none() || is(&raw.tls.mode, "off");
    if off
        && let Some(connection) =
            written.connection.as_ref().filter(|_| rule.connection == ConnectionKind::Tls)
    {
        findings.report(connection.span(), "no connection is encrypted while [tls] mode is \"off\"");
    }
    let certificates = &raw.tls.client_certificates;
    let none = certificates.is_none() || is(certificates, "none");
    if rule.method == AccessMethod::Certificate && none {
        let message = "\"cert\" needs [tls] client_certificates = \"optional\" or \"required\"";
        findings.report(written.method.span(), message);
    }
}
