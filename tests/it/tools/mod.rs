//! PostgreSQL's own programs, against a plain PostgreSQL and against Meridian.
//!
//! The tables that they make are not configured: they are single tables of the default shard.

mod dump;
mod pgbench;
mod psql;

use std::process::{Command, Output, Stdio};

use meridian::demo::cluster::{APP_PASSWORD, APP_USER, Installation};

use crate::stand::Target;

/// Runs a program of the installation against a target, with this on its standard input.
fn run(program: &str, target: &Target, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;

    let installation = Installation::find().expect("PostgreSQL is installed");
    let mut command = Command::new(installation.program(program));
    command
        .args(arguments)
        .env("PGPASSWORD", APP_PASSWORD)
        .env("PGUSER", APP_USER)
        .env("PGHOST", "127.0.0.1");
    command.env("PGPORT", target.port.to_string()).env("PGDATABASE", &target.database);
    command.env("PSQLRC", "/dev/null").env("PAGER", "").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that ends early says why on its standard error.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    child.wait_with_output().expect("the program ends")
}
