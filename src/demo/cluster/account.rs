//! The account that servers run as, and the files that it must own.
//!
//! PostgreSQL refuses to run as root. When Meridian is root, as it is in most containers, servers run
//! as `postgres`, or as `nobody` where there is no such user. Otherwise they run as whoever started us.
//!
//! Invariants:
//! 1. No server program is ever executed with the rights of root.
//! 2. A directory that the account could not enter is refused before anything is written in it.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::{ClusterError, Doing};

/// Looked for in this order.
const NAMES: [&CStr; 2] = [c"postgres", c"nobody"];

/// Who the servers run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The account of this process; nothing to change.
    Own,
    /// This process is root, and steps down to these.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// The account for servers started by this process.
    pub fn for_servers() -> Result<Self, ClusterError> {
        // SAFETY: geteuid has no preconditions and cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            return Ok(Self::Own);
        }
        NAMES.iter().find_map(|name| look_up(name)).ok_or(ClusterError::NoServerAccount)
    }

    /// Makes the command run as this account.
    pub fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives one file or directory to this account.
    pub fn give(self, path: &Path) -> io::Result<()> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the path is a valid C string that outlives the call.
        match unsafe { libc::lchown(path.as_ptr(), uid, gid) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Checks that the account can reach this directory from the root of the file system.
    pub fn can_enter(self, directory: &Path) -> Result<(), ClusterError> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        let full = directory.canonicalize().doing(|| format!("resolving {}", directory.display()))?;
        for ancestor in full.ancestors() {
            let metadata = ancestor.metadata().doing(|| format!("reading {}", ancestor.display()))?;
            let entry = match (metadata.uid() == uid, metadata.gid() == gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if metadata.permissions().mode() & entry == 0 {
                return Err(ClusterError::NotTraversable {
                    directory: directory.to_owned(),
                    barrier: ancestor.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn look_up(name: &CStr) -> Option<Account> {
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::zeroed();
    let mut buffer = [0 as libc::c_char; 4096];
    let mut result = std::ptr::null_mut();
    // SAFETY: every pointer is valid for the call, and the length is the buffer's own.
    let status = unsafe {
        libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut result)
    };
    if status != 0 || result.is_null() {
        return None;
    }
    // SAFETY: a null status and a non-null result say that the entry was filled in.
    let entry = unsafe { entry.assume_init() };
    (entry.pw_uid != 0).then_some(Account::Other { uid: entry.pw_uid, gid: entry.pw_gid })
}
