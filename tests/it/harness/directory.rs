//! Directories for the servers of one test, removed with it.
//!
//! They are in the system's temporary directory, since servers may run as another user than we, who can enter
//! neither a home directory nor a build directory. A server's directory is a thousand small files, which some file
//! systems take a second to create: where memory is plenty they are in `/dev/shm`, unless `TMPDIR` says otherwise.
//! Names carry our process id, so that a later run can tell the leftovers of a run that was killed.
//!
//! Invariants:
//! 1. Only directories of this prefix, whose process is gone, are swept.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "meridian-it-";
const MEMORY: &CStr = c"/dev/shm";
/// Many clusters at once, each with a dozen servers, fit in this.
const MEMORY_BYTES_MIN: u64 = 4 << 30;

/// A directory that others can enter, removed on drop.
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = root().join(format!("{PREFIX}{}-{number}", std::process::id()));
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

fn root() -> PathBuf {
    let asked_for = std::env::var_os("TMPDIR").is_some();
    if asked_for || free_bytes(MEMORY).is_none_or(|free| free < MEMORY_BYTES_MIN) {
        return std::env::temp_dir();
    }
    PathBuf::from(MEMORY.to_string_lossy().as_ref())
}

fn free_bytes(path: &CStr) -> Option<u64> {
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: both pointers are valid for the call, and the answer is read only when it was given.
    let answer = unsafe {
        if libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) != 0 {
            return None;
        }
        answer.assume_init()
    };
    #[allow(clippy::unnecessary_cast, reason = "the widths differ between systems")]
    Some(answer.f_bavail as u64 * answer.f_frsize as u64)
}

fn sweep() {
    let entries = fs::read_dir(root()).into_iter().flatten().flatten();
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
