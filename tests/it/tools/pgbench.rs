//! `pgbench -i`, and its built-in scripts in the simple, extended and prepared modes; the books balance afterwards.

use super::run;
use crate::stand::{Pair, Target};

const SCRIPTS: [&str; 3] = ["tpcb-like", "simple-update", "select-only"];
const MODES: [&str; 3] = ["simple", "extended", "prepared"];
const CLIENTS: usize = 4;
const TRANSACTIONS: usize = 25;

#[test]
fn pgbench_balances_in_all_modes() {
    let pair = Pair::new("pgbench", "");
    pair.targets().for_each(check);
}

fn check(target: &Target) {
    succeed(target, &["-i", "-s", "1", "--foreign-keys"]);
    let (clients, transactions) = (CLIENTS.to_string(), TRANSACTIONS.to_string());
    // Without -n it begins with VACUUM, and empties the history.
    succeed(target, &["-b", "select-only", "-c", &clients, "-t", "1", "-v"]);
    for mode in MODES {
        for script in SCRIPTS {
            succeed(
                target,
                &["-b", script, "-M", mode, "-c", &clients, "-j", "2", "-t", &transactions, "-n"],
            );
        }
    }
    let mut client = target.raw();
    let mut value = |query: &str| client.value(query).expect("a value");
    let booked = value("SELECT coalesce(sum(delta), 0) FROM pgbench_history");
    assert_eq!(value("SELECT sum(abalance) FROM pgbench_accounts"), booked);
    let of_tellers = "SELECT sum(tbalance) = sum(bbalance) FROM (SELECT sum(tbalance) AS tbalance FROM pgbench_tellers) t, \
                      (SELECT sum(bbalance) AS bbalance FROM pgbench_branches) b";
    assert_eq!(value(of_tellers), "t");
    // Two of the scripts write history.
    let written = MODES.len() * 2 * CLIENTS * TRANSACTIONS;
    assert_eq!(value("SELECT count(*) FROM pgbench_history"), written.to_string());
    assert_eq!(value("SELECT count(*) FROM pgbench_accounts"), "100000");
}

fn succeed(target: &Target, arguments: &[&str]) {
    let output = run("pgbench", target, arguments, "");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}: pgbench {arguments:?}: {said}\n{errors}", target.kind);
    assert!(
        !errors.contains("aborted") && !errors.contains("ERROR"),
        "{:?}: {arguments:?}: {errors}",
        target.kind
    );
}
