//! Deadlocks that no server sees: who waits for whom, put together from all of them, and whether they wait in a ring. Pure.
//!
//! Each PostgreSQL finds the rings among its own sessions. One session of ours has connections to several servers, or two to one
//! (where rows are gathered), and is one party wherever it waits or is waited for:
//!
//! ```text
//!   us-east      A's 4711 waits for B's 4712        A ──▶ B
//!   eu-central   B's 815 waits for A's 816          A ◀── B      a ring that neither server sees
//! ```
//!
//! Called by `session::deadlocks`, which asks the servers.
//!
//! Invariants:
//! 1. A ring that one server sees by itself is left to it.
//! 2. The same waits give the same ring, in whatever order they come.

use std::collections::BTreeSet;

use crate::topology::NodeId;

/// Who waits, or is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A session of ours, by its client's number.
    Session(u32),
    /// A server's process that is not one of such a session's.
    Process(NodeId, u32),
}

/// On this server the first waits for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    pub waiter: Party,
    pub holder: Party,
    pub node: NodeId,
    /// The processes of the two there.
    pub pids: (u32, u32),
}

impl Wait {
    /// Whether the server sees that who is waited for waits, too: it is the same process.
    fn leads_to(&self, next: &Self) -> bool {
        self.node == next.node && self.pids.1 == next.pids.0
    }
}

/// The waits of one ring that no server sees as a whole, in their order; None: there is none.
pub fn ring(waits: &[Wait]) -> Option<Vec<Wait>> {
    let waits: BTreeSet<Wait> = waits.iter().copied().collect();
    let waits: Vec<Wait> = waits.into_iter().collect();
    let starts: BTreeSet<Party> = waits.iter().map(|wait| wait.waiter).collect();
    starts.into_iter().find_map(|start| {
        let mut path = Vec::new();
        let mut seen = BTreeSet::new();
        walk(&waits, start, start, &mut path, &mut seen).then_some(path)
    })
}

/// Whether a ring leads back to `start`; `path` has it then.
fn walk(
    waits: &[Wait],
    start: Party,
    at: Party,
    path: &mut Vec<Wait>,
    seen: &mut BTreeSet<(Wait, bool)>,
) -> bool {
    for wait in waits.iter().filter(|wait| wait.waiter == at) {
        path.push(*wait);
        let spread = path.windows(2).any(|pair| !pair[0].leads_to(&pair[1]));
        if wait.holder == start {
            if spread || path.first().is_some_and(|first| !wait.leads_to(first)) {
                return true;
            }
        } else if seen.insert((*wait, spread)) && walk(waits, start, wait.holder, path, seen) {
            return true;
        }
        path.pop();
    }
    false
}

/// Which session gives way: the last that came. None: the ring is of strangers.
pub fn victim(ring: &[Wait]) -> Option<u32> {
    let sessions = ring.iter().filter_map(|wait| match wait.waiter {
        Party::Session(client) => Some(client),
        Party::Process(..) => None,
    });
    sessions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Party = Party::Session(1);
    const B: Party = Party::Session(2);
    const C: Party = Party::Session(3);

    /// Each party has one process on each server.
    fn wait(waiter: Party, holder: Party, node: u16) -> Wait {
        let pid = |party| match party {
            Party::Session(client) => client,
            Party::Process(_, pid) => pid,
        };
        Wait { waiter, holder, node: NodeId(node), pids: (pid(waiter), pid(holder)) }
    }

    #[test]
    fn a_ring_over_two_servers_is_found() {
        let waits = [wait(A, B, 0), wait(B, A, 1)];
        let found = ring(&waits).expect("a ring");
        assert_eq!(found.len(), 2);
        assert_eq!(victim(&found), Some(2));
        let turned = [wait(B, A, 1), wait(C, A, 0), wait(A, B, 0)];
        assert_eq!(ring(&turned), Some(found));
    }

    #[test]
    fn one_servers_ring_is_its_own_matter() {
        assert_eq!(ring(&[wait(A, B, 0), wait(B, A, 0)]), None);
        assert_eq!(ring(&[wait(A, B, 0), wait(B, C, 1)]), None);
        assert_eq!(ring(&[]), None);
    }

    #[test]
    fn two_processes_of_one_session_hide_a_ring_from_their_server() {
        // DDL waits for A's one process, and A's other one waits behind the DDL.
        let hidden = [Wait { pids: (2, 11), ..wait(B, A, 0) }, Wait { pids: (12, 2), ..wait(A, B, 0) }];
        assert_eq!(ring(&hidden).map(|ring| ring.len()), Some(2));
        let seen = [Wait { pids: (2, 11), ..wait(B, A, 0) }, Wait { pids: (11, 2), ..wait(A, B, 0) }];
        assert_eq!(ring(&seen), None);
    }

    #[test]
    fn strangers_may_stand_between() {
        let direct = Party::Process(NodeId(0), 99);
        let found = ring(&[wait(A, direct, 0), wait(direct, B, 0), wait(B, A, 1)]).expect("a ring");
        assert_eq!(found.len(), 3);
        assert_eq!(victim(&found), Some(2));
    }

    #[test]
    fn the_way_that_stays_on_one_server_does_not_hide_the_other() {
        // B waits for A on both: here the ring is the server's, there it is ours.
        let found = ring(&[wait(A, B, 0), wait(B, A, 0), wait(B, A, 1)]).expect("a ring");
        assert!(found.iter().any(|wait| wait.node == NodeId(1)));
        // And behind a party that both ways lead to.
        let waits = [wait(A, B, 0), wait(A, B, 1), wait(B, C, 0), wait(C, A, 0)];
        assert!(ring(&waits).is_some());
    }
}
