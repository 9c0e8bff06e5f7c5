//! One snapshot for all that one statement asks of one server, as PostgreSQL answers a statement from one.
//!
//! Gathering several tables, or answering a UNION ALL part by part, asks each server several times. Outside of a block these
//! requests get a transaction of their own:
//!
//! ```text
//!  lane   BEGIN REPEATABLE READ  rides     …     drivers  COMMIT          in the requests' own pipelines
//!  lane   BEGIN REPEATABLE READ  rides     …     drivers  COMMIT
//!  lane   ROLLBACK                                                        after a failure only
//! ```
//!
//! Invariants:
//! 1. A lane that is asked once gets none.
//! 2. Settings that are on their way to a server end before the transaction begins, so that its end does not undo them.
//! 3. A lane that is in a block of the client's is left as it is: under READ COMMITTED each request has its own snapshot.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::execute::Lane;
use crate::execute::drain::drain;
use crate::execute::lane::Hidden;
use crate::topology::{ShardId, ShardSet};
use crate::wire::backend::TransactionStatus;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
/// Between two requests a server waits for the others, which is no fault of the client's.
const PATIENCE: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";
const COMMIT: &str = "COMMIT";
/// How long a server may take to roll back.
const ROLLBACK_TIME: Duration = Duration::from_secs(5);

/// Which requests of a statement each shard gets: the first and the last, by number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sight(Vec<(ShardId, usize, usize)>);

impl Sight {
    /// The shards of each request, in the order of asking.
    pub fn of(requests: impl Iterator<Item = ShardSet>) -> Self {
        let mut spans: Vec<(ShardId, usize, usize)> = Vec::new();
        for (number, shards) in requests.enumerate() {
            for shard in shards.iter() {
                match spans.iter_mut().find(|(known, ..)| *known == shard) {
                    Some((.., last)) => *last = number,
                    None => spans.push((shard, number, number)),
                }
            }
        }
        spans.retain(|(_, first, last)| first < last);
        Self(spans)
    }

    /// Before the request of this number is put on the lane.
    pub fn open(&self, number: usize, lane: &mut Lane) {
        let begins = self.0.iter().any(|(shard, first, _)| *shard == lane.shard && *first == number);
        if begins && !lane.in_block && !lane.open_pipeline {
            lane.end_settings();
            lane.pipeline(BEGIN);
            lane.pipeline(PATIENCE);
        }
    }

    /// Behind it.
    pub fn close(&self, number: usize, lane: &mut Lane) {
        let ends = self.0.iter().any(|(shard, _, last)| *shard == lane.shard && *last == number);
        let began = lane.connection.status == TransactionStatus::InTransaction;
        if ends && began && !lane.in_block {
            lane.pipeline(COMMIT);
        }
    }
}

/// After a failure, with every lane at rest or broken: ends the transactions that have begun. One that does not end in time
/// leaves its lane owing, and so given up.
pub(super) async fn let_go(lanes: &mut [&mut Lane]) {
    let open = |lane: &&mut &mut Lane| {
        !lane.in_block && lane.is_at_rest() && lane.connection.status != TransactionStatus::Idle
    };
    let ended = lanes.iter_mut().filter(open).map(|lane| {
        lane.hidden_query("ROLLBACK", Hidden::Prologue);
        timeout(ROLLBACK_TIME, drain(lane))
    });
    join_all(ended).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_once_needs_no_transaction() {
        let first = ShardSet::one(ShardId(0));
        let mut all = first;
        all.insert(ShardId(1));
        assert_eq!(Sight::of([all].into_iter()), Sight::default());
        assert_eq!(Sight::of([first, all, first].into_iter()), Sight(vec![(ShardId(0), 0, 2)]));
    }
}
