//! Finds the PostgreSQL programs of this machine.
//!
//! Distributions hide the server programs outside of `PATH`, each in its own place. This looks in all
//! the usual ones and takes the newest major version that Meridian supports.
//!
//! ```text
//! PG_BIN                                   decides alone, when set
//! /usr/lib/postgresql/<major>/bin          Debian, Ubuntu
//! /usr/pgsql-<major>/bin                   the RPMs of postgresql.org
//! /opt/homebrew/opt/postgresql@<major>/bin Homebrew, also under /usr/local and /home/linuxbrew
//! every directory of PATH                  anything else, links followed
//! ```
//!
//! Invariants:
//! 1. The directory found holds `postgres`, `initdb` and `pg_basebackup`, of one version from 13 to 18.
//! 2. An unusable `PG_BIN` is an error: what was asked for is never silently replaced.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ClusterError;

/// The major versions that Meridian supports.
pub const SUPPORTED_MAJORS: std::ops::RangeInclusive<u32> = 13..=18;

const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_basebackup"];

/// The server programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub bin: PathBuf,
    pub major: u32,
}

impl Installation {
    /// The newest supported PostgreSQL of this machine.
    pub fn find() -> Result<Self, ClusterError> {
        if let Some(bin) = env::var_os("PG_BIN") {
            return Self::at(Path::new(&bin))
                .ok_or_else(|| not_installed(format!("PG_BIN={}", bin.display())));
        }
        candidates()
            .iter()
            .filter_map(|bin| Self::at(bin))
            .max_by_key(|installation| installation.major)
            .ok_or_else(|| not_installed("/usr/lib/postgresql, /usr/pgsql-*, Homebrew and PATH".to_owned()))
    }

    /// The installation whose programs are in this directory, if it is complete and supported.
    pub fn at(bin: &Path) -> Option<Self> {
        if !PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
            return None;
        }
        let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
        SUPPORTED_MAJORS.contains(&major).then(|| Self { bin: bin.to_owned(), major })
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

fn not_installed(looked_in: String) -> ClusterError {
    let advice = if cfg!(target_os = "macos") {
        "install it with: brew install postgresql@17"
    } else {
        "install it with your package manager, for example: apt-get install postgresql"
    };
    ClusterError::NotInstalled { looked_in, advice }
}

fn candidates() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for major in SUPPORTED_MAJORS {
        found.insert(PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")));
        found.insert(PathBuf::from(format!("/usr/pgsql-{major}/bin")));
        for brew in ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"] {
            found.insert(PathBuf::from(format!("{brew}/opt/postgresql@{major}/bin")));
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    for directory in env::split_paths(&path) {
        if let Ok(program) = directory.join("postgres").canonicalize() {
            found.extend(program.parent().map(Path::to_owned));
        }
    }
    found
}

/// `postgres (PostgreSQL) 15.4 (Debian …)` is 15; a beta (`18beta1`) counts as its release.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_is_read_from_the_version_line() {
        let cases = [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 13.0", Some(13)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres", None),
            ("", None),
        ];
        for (line, major) in cases {
            assert_eq!(parse_major(line), major, "{line}");
        }
    }

    #[test]
    fn an_incomplete_directory_is_no_installation() {
        assert_eq!(Installation::at(Path::new("/nonexistent")), None);
    }
}
