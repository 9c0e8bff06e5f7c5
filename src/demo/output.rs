//! Lines on standard output, for the demonstration and for the commands.
//!
//! Who reads no more of it (`meridian check | head -1`) ends the command without a word, as SIGPIPE ends Unix tools. That signal
//! stays ignored, for it would end a process that writes to a server which has closed its socket.
//!
//! Not here: what is said while something works, on standard error (`progress`).

use std::io::{self, ErrorKind, Write as _};
use std::process::exit;

/// What a shell says of a program that SIGPIPE has ended.
const ENDED_BY_SIGPIPE: i32 = 128 + libc::SIGPIPE;

/// Writes all of it, or ends the process.
pub fn write(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(ENDED_BY_SIGPIPE),
        Err(error) => {
            eprintln!("meridian: standard output: {error}");
            exit(1);
        }
    }
}

/// `println!`, by [`write`].
macro_rules! line {
    ($($arguments:tt)*) => {
        $crate::demo::output::write(format!("{}\n", format_args!($($arguments)*)).as_bytes())
    };
}

pub(crate) use line;
