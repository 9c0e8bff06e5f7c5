//! Children of the bench: each dies when its handle is dropped, and with this process.
//!
//! All are started by the main thread, which lives as long as the process: the signal at a parent's death follows the
//! thread that forked. Each has a session of its own, as services do: Linux shares the processor out by sessions first
//! (sched(7), autogroup), and Ctrl-C at a terminal reaches only us.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::Context;

#[derive(Debug)]
pub struct ChildProcess(Child);

impl ChildProcess {
    pub fn spawn(mut command: Command) -> anyhow::Result<Self> {
        // SAFETY: both calls are async-signal-safe and touch no memory of ours.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                #[cfg(target_os = "linux")]
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let name = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Self).with_context(|| format!("starting {name}"))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn inner(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Asks it to end as Ctrl-C does.
    pub fn interrupt(&self) {
        // SAFETY: a signal to a child that nobody has waited for yet.
        unsafe { libc::kill(self.0.id() as libc::pid_t, libc::SIGINT) };
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Files that one process may have open at once.
pub fn files_max() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for the call; where it fails, nothing is promised.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// Ten thousand idle clients are as many sockets, here and in the children, which inherit this.
pub fn allow_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for both calls; where they fail, the limit stays as it is.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
