//! A savepoint around what a server is asked on our own account inside of a block: where it fails there, the client's
//! transaction goes on.
//!
//! Shards are asked for rows under conditions that PostgreSQL, with all rows before it, may never have come to; and a text
//! that finishes partial rows may find a product too large that PostgreSQL never looks at; so may an inner SELECT fail that
//! the one around it has no use for. Outside of a block another way
//! is simply taken; inside, the first error would have failed the block.
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
use crate::plan::scatter::Finish;
use crate::plan::scatter::scratch::Table;
use crate::wire::backend::TransactionStatus;
use crate::wire::error::{SqlError, SqlState};

const SET: &str = "SAVEPOINT meridian_guard";
const RELEASE: &str = "RELEASE SAVEPOINT meridian_guard";
const RETURN: &str = "ROLLBACK TO SAVEPOINT meridian_guard";
/// How long a server may take to return.
const RETURN_TIME: Duration = Duration::from_secs(5);

/// Whether a failure would be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    Ours,
    TheClients,
}

impl Failing {
    /// Of a request for rows of this table.
    pub fn of_table(table: &Table) -> Self {
        if table.is_filtered() { Self::Ours } else { Self::TheClients }
    }

    /// Of a request for partial rows.
    pub fn of_partial_rows(finish: &Finish) -> Self {
        if finish.is_inner() { Self::Ours } else { Self::TheClients }
    }

    /// Of a text that finishes partial rows.
    pub fn of_final_text(finish: &Finish) -> Self {
        if finish.may_overflow() || finish.is_inner() { Self::Ours } else { Self::TheClients }
    }
}

/// Puts a request on the lane. If its failing would be ours, what that does to a transaction can be undone by
/// [`understand`] or [`understand_final`].
pub(super) fn put(request: &Request, failing: Failing, lane: &mut Lane) {
    let guarded = lane.in_block && failing == Failing::Ours;
    if guarded {
        lane.pipeline(SET);
    }
    request.put(lane);
    if guarded {
        lane.pipeline(RELEASE);
    }
}

/// What a failed request means. If its failing is ours, an error of values is undone, and may be none where the rows are asked
/// for in another way: PostgreSQL may not have come to all of them.
pub(super) async fn understand(
    error: ScatterError,
    failing: Failing,
    lanes: &mut [&mut Lane],
) -> ScatterError {
    match error {
        ScatterError::Sql(error) if failing == Failing::Ours && is_of_values(&error) => {
            undo(lanes).await;
            ScatterError::Unmergeable(error)
        }
        error => error,
    }
}

/// What a failed final text means: a result out of range is undone, and may be none where the rows themselves are gathered.
/// Rows that were `sent` cannot be taken back.
pub(super) async fn understand_final(
    error: ScatterError,
    finish: &Finish,
    sent: bool,
    lanes: &mut [&mut Lane],
) -> ScatterError {
    let may_be_none = |error: &SqlError| {
        let overflow = error.sqlstate == SqlState::NUMERIC_VALUE_OUT_OF_RANGE;
        finish.may_overflow() && overflow || finish.is_inner() && is_of_values(error)
    };
    match error {
        ScatterError::Sql(error) if !sent && may_be_none(&error) => {
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
