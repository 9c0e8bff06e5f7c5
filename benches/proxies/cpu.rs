//! CPU time of the proxy and of the servers, to the nanosecond where the kernel tells.
//!
//! A process that runs is asked through its CPU clock, threads that have ended included. Server processes that have
//! ended are in their postmaster's account of children, which counts in ticks of 10 ms. Both are read at the beginning
//! and at the end of a window within which all connections stand, so that logins do not count.

use std::fs;
use std::time::Duration;

/// Whom to read.
#[derive(Debug)]
pub struct Meter {
    pub proxy: Option<u32>,
    pub postmasters: Vec<u32>,
}

/// CPU time since the processes began.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub proxy: Option<Duration>,
    pub servers: Duration,
}

impl Meter {
    pub fn read(&self) -> Reading {
        let processes = processes();
        let of_server = |postmaster: &u32| {
            let children = processes.iter().filter(|process| process.parent == *postmaster);
            let own = processes.iter().filter(|process| process.pid == *postmaster);
            own.map(|process| process.ended_children + used(process.pid))
                .chain(children.map(|process| used(process.pid)))
                .sum::<Duration>()
        };
        Reading { proxy: self.proxy.map(used), servers: self.postmasters.iter().map(of_server).sum() }
    }
}

impl Reading {
    pub fn since(self, earlier: Self) -> Self {
        let proxy = self.proxy.zip(earlier.proxy).map(|(now, then)| now.saturating_sub(then));
        Self { proxy, servers: self.servers.saturating_sub(earlier.servers) }
    }
}

/// A server's processes: the postmaster and its children.
pub fn server_processes(postmaster: u32) -> Vec<u32> {
    let family = |process: &Process| process.pid == postmaster || process.parent == postmaster;
    processes().into_iter().filter(family).map(|process| process.pid).collect()
}

struct Process {
    pid: u32,
    parent: u32,
    ended_children: Duration,
}

/// All processes of the machine, as `/proc` has them.
fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn process(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it come numbers, of which the first is the third field.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = number(16)? + number(17)?;
    Some(Process { pid, parent: number(4)? as u32, ended_children: of_ticks(ticks) })
}

fn of_ticks(ticks: u64) -> Duration {
    // SAFETY: sysconf has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// What all threads of a process have used; nothing when it is gone.
fn used(pid: u32) -> Duration {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both structures are valid for the calls, and the second call is made only with a clock.
    let status = unsafe {
        match libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) {
            0 => libc::clock_gettime(clock, &mut time),
            error => error,
        }
    };
    if status != 0 {
        return Duration::ZERO;
    }
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
