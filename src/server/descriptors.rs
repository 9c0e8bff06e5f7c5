//! Open files: as many as the process may have, and a word where these are too few.
//!
//! Each client has a socket, and each connection to a server has one. An ordinary shell allows 1,024 and lets a process raise
//! that by itself, up to a limit that only its starter can change.

use std::io;

/// Sockets of listeners, probes and recovery, and files.
const OWN: u64 = 256;

/// Raises the process's limit, and warns where it stays below what `clients_max` clients may need.
pub(super) fn prepare(clients_max: usize) {
    let wanted = wanted(clients_max);
    match raise() {
        Ok(limit) if limit < wanted => tracing::warn!(
            limit,
            wanted,
            "fewer files may be open than [proxy] clients_max clients can need, two sockets for each: raise the limit \
             (ulimit -n, LimitNOFILE), or lower clients_max"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// In the worst case each client has a server connection.
fn wanted(clients_max: usize) -> u64 {
    u64::try_from(clients_max).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OWN)
}

/// Takes all that this process may have; the limit that is then in force.
fn raise() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the system writes one rlimit to a place that holds one.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the system reads one rlimit.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_raised_is_raised_once() {
        assert_eq!(wanted(10_000), 20_256);
        assert_eq!(wanted(usize::MAX), u64::MAX);
        let limit = raise().expect("a limit");
        assert!(limit > 0);
        assert_eq!(raise().expect("a limit"), limit);
    }
}
