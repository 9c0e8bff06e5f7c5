//! The configuration file: read raw once, checked once into types that the other rooms take as they are.
//!
//! Called by `cli` at start, by `demo` with a text that it made. Calls `topology` and `geo`, whose
//! values it builds. The way of a file:
//!
//! ```text
//!   text ── raw (serde, spans) ── check (every rule) ── Config { settings by reader, Topology }
//!                    └── ConfigErrors: file:line: key: what is wrong ──┘
//! ```
//!
//! Invariants:
//! 1. An unknown key, an impossible value and a contradiction are errors that name file, line and key; all that the
//!    checks find is reported at once. Nothing is ignored.
//! 2. Every key has a default and stands, with it, in `config/meridian.toml` (tests hold both).
//! 3. A [`Secret`] is never printed: not by `Debug`, not in an error.
//! 4. Which server is a primary is not configured: there is no key for it.
//!
//! Not here: whether the tables that the file names exist (`catalog` checks that against the servers).

mod access;
mod check;
mod error;
mod level;
mod pattern;
mod raw;
mod settings;
mod value;
mod written;

#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use access::{AccessMethod, AccessRules, Arrival, Names, Verdict};
pub use error::{ConfigError, ConfigErrors};
pub use level::check_level;
pub use settings::{
    AuthMethod, AuthQuery, DatabaseSettings, HealthSettings, HttpSettings, Limits, LogFormat, LogSettings,
    PoolSettings, ProxySettings, ScratchSettings, ServerSettings, SessionSettings, StatementText, User,
};
pub use value::Secret;
pub use written::Written;

use crate::topology::Topology;
use crate::wire::tls::Acceptor;

/// Bytes of a configuration file: far more than 256 shards and some thousand tables need.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A checked configuration, split by who reads it.
#[derive(Debug)]
pub struct Config {
    pub proxy: ProxySettings,
    pub session: SessionSettings,
    pub database: DatabaseSettings,
    pub server: ServerSettings,
    /// None: nobody is looked up.
    pub auth_query: Option<AuthQuery>,
    pub users: Vec<User>,
    /// In the order of the file; none: every user may come from everywhere.
    pub access: AccessRules,
    pub pool: PoolSettings,
    pub health: HealthSettings,
    pub limits: Limits,
    pub scratch: ScratchSettings,
    /// None: clients are not encrypted.
    pub tls: Option<Acceptor>,
    /// None: no HTTP listener.
    pub http: Option<HttpSettings>,
    pub log: LogSettings,
    /// Version 0: [`Topology::following`] numbers it.
    pub topology: Topology,
    /// What of this the file says, as it spells it.
    pub written: Written,
    /// What is allowed and yet hardly meant.
    pub warnings: Vec<ConfigError>,
}

impl Config {
    /// Reads and checks the file; paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let whole = |message: String| ConfigErrors::whole_file(&name, message);
        let size = std::fs::metadata(path).map_err(|e| whole(format!("cannot be read: {e}")))?.len();
        if size > FILE_BYTES_MAX {
            return Err(whole(format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| whole(format!("cannot be read: {e}")))?;
        Self::parse(&text, &name, path.parent().unwrap_or(Path::new(".")))
    }

    /// Checks a text; `name` stands in errors, `folder` is where relative paths begin.
    pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        let raw: raw::RawConfig = toml::from_str(text)
            .map_err(|e| ConfigErrors::locate(text, name, vec![error::Finding::from_toml(&e)]))?;
        let (mut config, warnings) =
            check::check(raw, folder).map_err(|findings| ConfigErrors::locate(text, name, findings))?;
        config.written = Written::of(text);
        config.warnings = ConfigErrors::locate(text, name, warnings).0;
        if config.users.is_empty() && config.auth_query.is_none() {
            let message = "nobody can log in: there are no [[users]], and no [auth_query] to look them up";
            config.warnings.extend(ConfigErrors::whole_file(name, message.to_owned()).0);
        }
        Ok(config)
    }

    /// What the file says of a client of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        User::find(&self.users, name)
    }
}
