//! The `meridian` command; see `cli` for its subcommands.

fn main() {}
