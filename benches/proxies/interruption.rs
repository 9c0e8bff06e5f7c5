//! Ctrl-C and SIGTERM end the rounds in order: whoever waits here stops waiting, and everything is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
const STEP: Duration = Duration::from_millis(20);

extern "C" fn note(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

pub fn watch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler stores to an atomic and nothing else.
        unsafe { libc::signal(signal, note as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    }
}

pub fn check() -> anyhow::Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

pub fn sleep_until(end: Instant) -> anyhow::Result<()> {
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}

/// Asks again and again, for as long as the bound, until the answer is yes.
pub fn wait_for(
    what: &str,
    bound: Duration,
    mut is_so: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let end = Instant::now() + bound;
    while !is_so()? {
        check()?;
        if Instant::now() > end {
            bail!("{what}: not within {bound:?}");
        }
        thread::sleep(STEP);
    }
    Ok(())
}
