//! The processes of one server, seen from outside.
//!
//! A server is a postmaster and its children, which are sessions (in the sense of `setsid`) of their own: a
//! signal to the postmaster's process group misses them. A node that "loses power" or "hangs" must do so
//! as a whole, so the children are found and signalled too.
//!
//! Invariants:
//! 1. Only a postmaster whose data directory is the one asked for is ever signalled.
//! 2. The postmaster is signalled before its children, so that it starts no new ones in between.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// What `postmaster.pid` says about a server (PostgreSQL's `miscadmin.h`, `LOCK_FILE_LINE_*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    pub pid: u32,
    /// The System V shared memory segment, which outlives a killed server.
    pub segment: Option<libc::c_int>,
    pub status: Status,
}

/// The last line of `postmaster.pid`, which `pg_ctl` waits for too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Starting,
    /// Connections are accepted.
    Ready,
    /// A replica that is replaying and accepts no connections yet.
    Standby,
    Stopping,
}

impl PidFile {
    /// Reads the file of a data directory; none when the server is stopped, or still writing it.
    pub fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let pid = lines.first()?.trim().parse().ok()?;
        let segment = lines.get(6).and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let status = match lines.get(7).map(|line| line.trim()) {
            Some("ready") => Status::Ready,
            Some("standby") => Status::Standby,
            Some("stopping") => Status::Stopping,
            _ => Status::Starting,
        };
        Some(Self { pid, segment, status })
    }
}

/// Sends a signal to one process. A process that is gone is no error.
pub fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return Ok(()) };
    // SAFETY: kill takes plain integers; a pid above zero names one process.
    if pid > 0 && unsafe { libc::kill(pid, signal) } != 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) };
    }
    Ok(())
}

/// Sends a signal to a postmaster, then to each of its children.
pub fn signal_server(postmaster: u32, number: libc::c_int) -> io::Result<()> {
    signal(postmaster, number)?;
    for child in children(postmaster) {
        signal(child, number)?;
    }
    Ok(())
}

/// The processes whose parent is this one, at this moment.
pub fn children(parent: u32) -> Vec<u32> {
    if cfg!(target_os = "linux") {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        return pids.filter(|pid| parent_of(*pid) == Some(parent)).collect();
    }
    let output = Command::new("pgrep").args(["-P", &parent.to_string()]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether the process can still do anything: one that nobody has waited for yet cannot.
pub fn is_alive(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        return stat(pid).is_some_and(|stat| !stat.trim_start().starts_with(['Z', 'X']));
    }
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal zero only asks whether the process exists.
    pid > 0 && unsafe { libc::kill(pid, 0) } == 0
}

/// `/proc/<pid>/stat` is `pid (name) state parent …`, and the name may hold anything: this is what follows it.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.to_owned())
}

/// Whether this process is a server of that data directory, as its command line says.
pub fn serves(pid: u32, data: &Path) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    command.split(|byte| *byte == 0).any(|argument| argument == data.as_os_str().as_encoded_bytes())
}

/// Removes the shared memory segment of a server whose processes are all gone.
pub fn remove_segment(segment: libc::c_int) {
    // SAFETY: IPC_RMID takes no buffer. A segment that is gone, or another's, is an error that changes nothing.
    unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_file_is_read_line_by_line() {
        let text = "4711\n/data\n1700000000\n5433\n\n127.0.0.1\n  1234567     98765\nready   \n";
        assert_eq!(
            PidFile::parse(text),
            Some(PidFile { pid: 4711, segment: Some(98765), status: Status::Ready })
        );
        assert_eq!(PidFile::parse("4711\n/data\n").map(|file| file.status), Some(Status::Starting));
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn children_are_found_by_their_parent() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
