//! Where the demonstration keeps its servers' files when nobody says where.
//!
//! ```text
//! root       /var/lib/meridian/demo            a home of root cannot be entered by the servers' account
//! macOS      ~/Library/Application Support/meridian/demo
//! others     $XDG_DATA_HOME/meridian/demo, else ~/.local/share/meridian/demo
//! ```
//!
//! Invariants:
//! 1. Never a temporary directory: the data are there on the next day.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, bail};

pub fn default_data_directory() -> anyhow::Result<PathBuf> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        return Ok(PathBuf::from("/var/lib/meridian/demo"));
    }
    if let Some(directory) = env::var_os("XDG_DATA_HOME").map(PathBuf::from) {
        if !directory.is_absolute() {
            bail!("XDG_DATA_HOME is not an absolute path; give --data-dir");
        }
        return Ok(directory.join("meridian/demo"));
    }
    let home = env::var_os("HOME").map(PathBuf::from).context("HOME is not set; give --data-dir")?;
    let share = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    Ok(home.join(share).join("meridian/demo"))
}
