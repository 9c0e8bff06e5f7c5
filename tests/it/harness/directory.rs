//! Directories for the servers of one test, removed with it.
//!
//! They are in the system's temporary directory, since servers may run as another user than we, who can enter
//! neither a home directory nor a build directory. Names carry our process id, so that a later run can tell the
//! leftovers of a run that was killed.
//!
//! Invariants:
//! 1. Only directories of this prefix, whose process is gone, are swept.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "meridian-it-";

/// A directory that others can enter, removed on drop.
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o755).create(&path) {
            Ok(()) => Self(path),
            Err(error) => panic!("creating {}: {error}", path.display()),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sweep() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid| !exists(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn exists(pid: libc::pid_t) -> bool {
    // SAFETY: signal zero only asks whether the process exists.
    unsafe { libc::kill(pid, 0) == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM) }
}
