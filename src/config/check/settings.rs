//! The sections of single values: proxy, session, server, pool, health, limits, http and log.
//!
//! The defaults stand here and, for people, in `config/meridian.toml` (a test compares them).

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::super::access::Names;
use super::super::level::check_level;
use super::super::pattern::Pattern;
use super::super::raw::{
    RawDatabase, RawHealth, RawHttp, RawLimits, RawLog, RawPool, RawProxy, RawScratch, RawServer,
};
use super::super::settings::{
    AuthMethod, DatabaseSettings, HealthSettings, HttpSettings, Limits, LogFormat, LogSettings, PoolSettings,
    ProxySettings, ScratchSettings, ServerSettings, SessionSettings, StatementText,
};
use super::super::value::Secret;
use super::users::CLIENTS_BOUND;
use super::{Findings, optional_duration};
use crate::topology::Consistency;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
/// The console's database, which no real one may be called.
const CONSOLE: &str = "meridian";

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn proxy(raw: &RawProxy, findings: &mut Findings) -> ProxySettings {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ProxySettings {
        listen: listen(&raw.listen, findings)
            .unwrap_or_else(|| SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 6432))),
        // The network's part of the work, the kernel's, wants the other half.
        workers: findings.count(&raw.workers, cores.div_ceil(2), (1, 1024)),
        clients_max: findings.count(&raw.clients_max, 10_000, (1, 1_000_000)),
        auth: auth(&raw.auth, findings),
        authentication_timeout: findings.duration(&raw.authentication_timeout, seconds(10)),
        message_bytes_max: findings.size(&raw.message_bytes_max, 64 * MIB, (64 * KIB, GIB)),
        plan_cache_bytes: findings.size(&raw.plan_cache_bytes, 64 * MIB, (64 * KIB, 16 * GIB)),
    }
}

pub(super) fn session(raw: &RawProxy, findings: &mut Findings) -> SessionSettings {
    let consistency = raw.consistency.as_ref().map_or(Consistency::default(), |text| {
        text.get_ref().parse().unwrap_or_else(|error: crate::topology::UnknownConsistency| {
            findings.report(text.span(), error.to_string());
            Consistency::default()
        })
    });
    SessionSettings {
        consistency,
        max_lag: findings.duration(&raw.max_lag, seconds(10)),
        primary_wait: raw.primary_wait.as_ref().map_or(seconds(10), |wait| wait.get_ref().0),
        idle_transaction_timeout: optional_duration(&raw.idle_transaction_timeout, None),
        client_statements_max: findings.count(&raw.client_statements_max, 10_000, (1, 1_000_000)),
    }
}

fn listen(value: &Option<Spanned<String>>, findings: &mut Findings) -> Option<SocketAddr> {
    let value = value.as_ref()?;
    let address = value.get_ref().parse().ok();
    if address.is_none() {
        let message = format!("\"{}\" is not an address and port, as \"127.0.0.1:6432\"", value.get_ref());
        findings.report(value.span(), message);
    }
    address
}

fn auth(value: &Option<Spanned<String>>, findings: &mut Findings) -> AuthMethod {
    let Some(value) = value else { return AuthMethod::ScramSha256 };
    match value.get_ref().as_str() {
        "scram-sha-256" => AuthMethod::ScramSha256,
        "md5" => AuthMethod::Md5,
        "password" => AuthMethod::Password,
        "trust" => AuthMethod::Trust,
        other => {
            let choice = "one of \"scram-sha-256\", \"md5\", \"password\", \"trust\"";
            findings.report(value.span(), format!("must be {choice}, not \"{other}\""));
            AuthMethod::ScramSha256
        }
    }
}

pub(super) fn database(raw: &RawDatabase, findings: &mut Findings) -> String {
    let name = Findings::text(&raw.name, "postgres");
    if let Some(value) = &raw.name {
        if name.is_empty() || name.len() >= super::NAME_BYTES_END {
            findings.report(value.span(), "must be 1 to 63 bytes long");
        } else if name == CONSOLE {
            findings.report(value.span(), "\"meridian\" is the name of the console's database");
        }
    }
    name
}

pub(super) fn database_settings(
    raw: &RawDatabase,
    workers: usize,
    findings: &mut Findings,
) -> DatabaseSettings {
    let pool_size = findings.limit(&raw.pool_size, 1_000_000);
    if let (Some(written), Some(size)) = (&raw.pool_size, pool_size)
        && size < workers
    {
        let message = format!("must be at least {workers}: each of the workers has connections of its own");
        findings.report(written.span(), message);
    }
    DatabaseSettings {
        pool_size,
        connections_max: findings.limit(&raw.connections_max, CLIENTS_BOUND),
        aliases: aliases(raw, findings),
    }
}

fn aliases(raw: &RawDatabase, findings: &mut Findings) -> Names {
    let Some(list) = &raw.aliases else { return Names::none() };
    for item in list.get_ref() {
        if item.get_ref().is_empty() {
            findings.report(item.span(), "must be a name or a pattern");
        } else if item.get_ref() == CONSOLE {
            findings.report(item.span(), "\"meridian\" is the name of the console's database");
        }
    }
    Names::Named(list.get_ref().iter().map(|item| Pattern::new(item.get_ref())).collect())
}

pub(super) fn server(raw: &RawServer, folder: &Path, findings: &mut Findings) -> ServerSettings {
    ServerSettings {
        user: Findings::text(&raw.user, "postgres"),
        password: secret(&raw.password, &raw.password_file, folder, findings),
        tls: super::encryption::servers(raw, folder, findings),
        connect_timeout: findings.duration(&raw.connect_timeout, seconds(5)),
        keepalive: optional_duration(&raw.keepalive, Some(seconds(60))),
    }
}

/// The password as given or as read from the file; both at once are refused.
pub(super) fn secret(
    text: &Option<Spanned<Secret>>,
    file: &Option<Spanned<String>>,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Secret> {
    let Some(file) = file else { return text.as_ref().map(|text| text.get_ref().clone()) };
    if text.is_some() {
        findings.report(file.span(), "give the password or the file that holds it, not both");
        return None;
    }
    let message = match std::fs::read_to_string(folder.join(file.get_ref())) {
        Ok(content) => match content.trim_end_matches(['\n', '\r']) {
            "" => "is empty".to_owned(),
            text if text.contains('\n') => "has more than one line".to_owned(),
            text => return Some(Secret::new(text)),
        },
        Err(error) => format!("cannot be read: {error}"),
    };
    findings.report(file.span(), format!("\"{}\" {message}", file.get_ref()));
    None
}

pub(super) fn pool(raw: &RawPool, findings: &mut Findings) -> PoolSettings {
    PoolSettings {
        size: findings.count(&raw.size, 20, (1, 10_000)),
        idle_timeout: optional_duration(&raw.idle_timeout, Some(seconds(600))),
        lifetime: optional_duration(&raw.lifetime, Some(seconds(3600))),
        wait_timeout: findings.duration(&raw.wait_timeout, seconds(30)),
        prepared_statements_max: findings.count(&raw.prepared_statements_max, 500, (1, 100_000)),
    }
}

pub(super) fn health(raw: &RawHealth, findings: &mut Findings) -> HealthSettings {
    let settings = HealthSettings {
        interval: findings.duration(&raw.interval, seconds(1)),
        timeout: findings.duration(&raw.timeout, seconds(2)),
        failures: findings.count(&raw.failures, 3, (1, 1000)) as u32,
        catalog_interval: findings.duration(&raw.catalog_interval, seconds(10)),
    };
    let fastest = Duration::from_millis(10);
    if let Some(interval) = raw.interval.as_ref().filter(|_| settings.interval < fastest) {
        findings.report(interval.span(), "must be 10ms or longer");
    }
    settings
}

pub(super) fn limits(raw: &RawLimits, findings: &mut Findings) -> Limits {
    Limits {
        merge_rows_max: findings.count(&raw.merge_rows_max, 1_000_000, (1, 1_000_000_000)),
        merge_bytes_max: findings.size(&raw.merge_bytes_max, 256 * MIB, (64 * KIB, 64 * GIB)),
        batch_bytes_max: findings.size(&raw.batch_bytes_max, 64 * MIB, (64 * KIB, GIB)),
        shard_buffer_bytes: findings.size(&raw.shard_buffer_bytes, 256 * KIB, (8 * KIB, GIB)),
        copy_row_bytes_max: findings.size(&raw.copy_row_bytes_max, 64 * MIB, (64 * KIB, GIB)),
    }
}

pub(super) fn scratch(raw: &RawScratch, findings: &mut Findings) -> ScratchSettings {
    ScratchSettings {
        rows_max: findings.count(&raw.rows_max, 10_000_000, (1, 10_000_000_000)),
        bytes_max: findings.size(&raw.bytes_max, 2 * GIB, (64 * KIB, 1024 * GIB)),
        reduce_from_rows: findings.count(&raw.reduce_from_rows, 5_000, (0, 1_000_000_000)),
        concurrent_max: findings.count(&raw.concurrent_max, 8, (1, 1000)),
    }
}

pub(super) fn log(raw: &RawLog, findings: &mut Findings) -> LogSettings {
    let format = match raw.format.as_ref().map(|text| (text.get_ref().as_str(), text)) {
        None | Some(("text", _)) => LogFormat::Text,
        Some(("json", _)) => LogFormat::Json,
        Some((other, text)) => {
            findings.report(text.span(), format!("\"{other}\" is neither \"text\" nor \"json\""));
            LogFormat::Text
        }
    };
    let statements = match raw.statements.as_ref().map(|text| (text.get_ref().as_str(), text)) {
        Some(("off", _)) => StatementText::Off,
        None | Some(("shape", _)) => StatementText::Shape,
        Some(("full", _)) => StatementText::Full,
        Some((other, text)) => {
            findings.report(text.span(), format!("\"{other}\" is none of \"off\", \"shape\", \"full\""));
            StatementText::Off
        }
    };
    let level = Findings::text(&raw.level, "info");
    if let Some(text) = &raw.level
        && let Err(message) = check_level(&level)
    {
        findings.report(text.span(), message);
    }
    LogSettings { format, level, slow_statement: optional_duration(&raw.slow_statement, None), statements }
}

pub(super) fn http(raw: &RawHttp, clients: SocketAddr, findings: &mut Findings) -> Option<HttpSettings> {
    let address = listen(&raw.listen, findings)?;
    if let Some(written) = raw.listen.as_ref().filter(|_| collide(address, clients)) {
        findings.report(written.span(), format!("{address} is taken by [proxy] listen, {clients}"));
    }
    Some(HttpSettings { listen: address })
}

/// Whether two listeners cannot have these addresses. Port 0 is any that is free.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (everywhere || one.ip() == other.ip())
}
