//! What the figures were made on.

use std::fs;
use std::process::Command;
use std::thread;

use super::stand::Stand;

#[derive(Debug, Default)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
}

impl Machine {
    pub fn of_this() -> Self {
        let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let memory = field("/proc/meminfo", "MemTotal");
        let kib: u64 = memory.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // Without what a distribution or a provider appends.
        let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { processor, cores, memory_gib: (kib + (1 << 19)) >> 20, kernel }
    }
}

/// As `postgres --version` says.
pub fn postgres_version(stand: &Stand) -> String {
    let output = Command::new(stand.installation.program("postgres")).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().nth(2).unwrap_or("unknown").to_owned()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
