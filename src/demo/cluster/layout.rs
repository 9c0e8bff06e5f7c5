//! The directory of a cluster on disk, and the file that describes it.
//!
//! ```text
//! <data directory>/
//!   lock            held while a cluster runs on this directory
//!   cluster.json    the layout; written when every node's directory is complete
//!   template/       what primaries are copied from (unless cached elsewhere)
//!   nodes/us-east-1 the data directory of one server
//!   logs/us-east-1.log
//! ```
//!
//! Invariants:
//! 1. One process at a time owns a directory.
//! 2. Node directories without a `cluster.json` are debris of an interrupted start, and removed.
//! 3. Nothing is removed from a directory that does not look like ours.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::error::{ClusterError, Doing};
use super::template::write_private;

const OURS: [&str; 7] =
    ["lock", "cluster.json", "cluster.draft", "template-draft", "template", "nodes", "logs"];

/// A directory that this process owns while the value lives.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// What `cluster.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub postgres_major: u32,
    pub regions: Vec<String>,
    pub replicas: usize,
    pub superuser_password: String,
    /// Shard by shard, node by node.
    pub ports: Vec<Vec<u16>>,
    pub dataset: Option<DatasetRecord>,
}

/// The data that has been loaded completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    pub seed: u64,
    pub rows: u64,
    /// Raised with the generator or the schema, so that older data is not taken for this.
    pub version: u32,
}

impl Layout {
    /// Whether the same cluster was asked for: ports and data may differ.
    pub fn matches(&self, other: &Self) -> bool {
        (self.postgres_major, &self.regions, self.replicas)
            == (other.postgres_major, &other.regions, other.replicas)
    }

    pub fn describe(&self) -> String {
        let (major, regions, replicas) = (self.postgres_major, self.regions.join(", "), self.replicas);
        format!("PostgreSQL {major}; regions {regions}; {replicas} replicas each")
    }
}

impl DataDirectory {
    /// Takes possession of the directory, creating it when it is missing.
    pub fn open(path: &Path, account: Account) -> Result<Self, ClusterError> {
        fs::create_dir_all(path).doing(|| format!("creating {}", path.display()))?;
        let path = path.canonicalize().doing(|| format!("resolving {}", path.display()))?;
        account.can_enter(&path)?;
        let foreign = fs::read_dir(&path)
            .doing(|| format!("reading {}", path.display()))?
            .flatten()
            .any(|entry| !OURS.iter().any(|name| entry.file_name() == *name));
        if foreign && !path.join("cluster.json").exists() {
            return Err(ClusterError::NotOurs(path));
        }
        let lock =
            File::create(path.join("lock")).doing(|| format!("creating a lock in {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClusterError::InUse(path)),
            Err(TryLockError::Error(error)) => {
                return Err(error).doing(|| format!("locking {}", path.display()));
            }
        }
        for part in ["nodes", "logs"] {
            fs::create_dir_all(path.join(part))
                .doing(|| format!("creating {}", path.join(part).display()))?;
        }
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn node(&self, name: &str) -> PathBuf {
        self.path.join("nodes").join(name)
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    /// The layout of the cluster that is here; none when there is none, or an unfinished one.
    pub fn layout(&self) -> Result<Option<Layout>, ClusterError> {
        let file = self.path.join("cluster.json");
        if !file.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&file).doing(|| format!("reading {}", file.display()))?;
        let unreadable = |error| ClusterError::LayoutDiffers {
            directory: self.path.clone(),
            found: format!("cluster.json is not readable: {error}"),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    /// Writes the layout in one step: a crash leaves the old one or the new one.
    pub fn record(&self, layout: &Layout) -> Result<(), ClusterError> {
        let text =
            serde_json::to_string_pretty(layout).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        let draft = self.path.join("cluster.draft");
        write_private(&draft, &text, Account::Own)?;
        fs::rename(&draft, self.path.join("cluster.json")).doing(|| "writing cluster.json".to_owned())
    }

    /// Removes every node: the next start begins from nothing.
    pub fn clear(&self) -> Result<(), ClusterError> {
        // First the file that says that the rest is complete.
        let _ = fs::remove_file(self.path.join("cluster.json"));
        for part in ["nodes", "logs"] {
            let directory = self.path.join(part);
            fs::remove_dir_all(&directory)
                .and_then(|()| fs::create_dir(&directory))
                .doing(|| format!("clearing {}", directory.display()))?;
        }
        Ok(())
    }
}
