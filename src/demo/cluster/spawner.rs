//! Starts server processes from one thread that lives as long as they should.
//!
//! On Linux a child can ask for a signal at its parent's death (`PR_SET_PDEATHSIG`), and "parent" there
//! means the *thread* that forked it. A server started from a short-lived thread of a test would be shot
//! when that test ends. So all children of a cluster are forked by one thread, which ends with the last
//! handle to it, or with the process, however that ends.
//!
//! ```text
//! any thread ──(Command)──▶ spawner thread ── fork, exec ──▶ postgres
//!            ◀──(Child)────
//! ```
//!
//! Invariants:
//! 1. When this process is gone, also by SIGKILL, so are its servers (Linux; elsewhere by `Drop` alone).
//! 2. Servers are in process groups of their own: Ctrl-C at a terminal reaches us, and we stop them in order.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

/// A handle to the thread that forks; clones share the thread.
#[derive(Debug, Clone)]
pub struct Spawner {
    requests: mpsc::SyncSender<Request>,
}

#[derive(Debug)]
struct Request {
    command: Command,
    reply: mpsc::SyncSender<io::Result<Child>>,
}

impl Spawner {
    /// `signal_at_death` is what the children get when this process is gone.
    pub fn start(signal_at_death: libc::c_int) -> io::Result<Self> {
        let (requests, inbox) = mpsc::sync_channel::<Request>(16);
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for Request { mut command, reply } in inbox {
                tie_to_this_thread(&mut command, signal_at_death);
                // A requester that has gone away drops the child; it is its to wait for.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self { requests })
    }

    pub fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = mpsc::sync_channel(1);
        let gone = |_| io::Error::other("the spawner thread is gone");
        self.requests
            .send(Request { command, reply })
            .map_err(|_| io::Error::other("the spawner thread is gone"))?;
        answer.recv().map_err(gone)?
    }
}

fn tie_to_this_thread(command: &mut Command, signal_at_death: libc::c_int) {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id() as libc::pid_t;
        // SAFETY: the closure runs between fork and exec, and calls only prctl, getppid and errno's reader,
        // which are async-signal-safe. It runs after the change of user, which would clear the setting.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, signal_at_death as libc::c_ulong) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before the line above took effect.
                if libc::getppid() != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = signal_at_death;
}
