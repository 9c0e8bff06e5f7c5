//! A savepoint around what a shard is asked on our own account inside of a block: where it fails there, the client's
//! transaction goes on.
//!
//! Shards are asked for rows under conditions that PostgreSQL, with all rows before it, may never have come to. Outside
//! of a block they are simply asked again, without; inside, the first error would have failed the block.
//!
//! ```text
//!  lane   SAVEPOINT   Parse Bind Describe Execute   RELEASE   Sync      no round trip of its own
//!         ROLLBACK TO, RELEASE                                          after an error only
//! ```

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::ScatterError;
use super::question::Request;
use crate::execute::Lane;
use crate::execute::drain::drain;
use crate::execute::lane::Hidden;
use crate::plan::scatter::scratch::Table;
use crate::wire::backend::TransactionStatus;
use crate::wire::error::{SqlError, SqlState};

const SET: &str = "SAVEPOINT meridian_guard";
const RELEASE: &str = "RELEASE SAVEPOINT meridian_guard";
const RETURN: &str = "ROLLBACK TO SAVEPOINT meridian_guard";
/// How long a server may take to return.
const RETURN_TIME: Duration = Duration::from_secs(5);

/// Puts a request for rows of this table on the lane; what it does to a transaction can be undone by [`understand`].
pub(super) fn put(request: &Request, table: &Table, lane: &mut Lane) {
    let guarded = lane.in_block && table.is_filtered();
    if guarded {
        lane.pipeline(SET);
    }
    request.put(lane);
    if guarded {
        lane.pipeline(RELEASE);
    }
}

/// What a failed request for rows of this table means: an error of its condition is undone, and may be none without it.
pub(super) async fn understand(error: ScatterError, table: &Table, lanes: &mut [&mut Lane]) -> ScatterError {
    match error {
        ScatterError::Sql(error) if table.is_filtered() && is_of_values(&error) => {
            undo(lanes).await;
            ScatterError::Unmergeable(error)
        }
        error => error,
    }
}

/// After an error, with every lane at rest or broken: brings those that failed back to where they were asked. A lane that
/// cannot be brought back stays failed, or is broken.
async fn undo(lanes: &mut [&mut Lane]) {
    let failed = |lane: &&mut &mut Lane| {
        lane.in_block && lane.is_at_rest() && lane.connection.status == TransactionStatus::Failed
    };
    let undone = lanes.iter_mut().filter(failed).map(|lane| {
        lane.hidden_query(RETURN, Hidden::Prologue);
        lane.hidden_query(RELEASE, Hidden::Prologue);
        timeout(RETURN_TIME, drain(lane))
    });
    join_all(undone).await;
}

/// Of a condition over values: PostgreSQL may have found before that no row meets it.
fn is_of_values(error: &SqlError) -> bool {
    error.sqlstate.class() == "22" || error.sqlstate == SqlState::INDETERMINATE_COLLATION
}
