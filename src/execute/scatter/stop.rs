//! The end of a failed run: the other servers are told to stop, and what they still say is thrown away.
//!
//! A long query on another shard is not waited for: it is cancelled by the server's own means, and its answer drained
//! within a bound. A connection that does not come to rest stays broken, and is closed by whoever holds it.
//!
//! Invariants:
//! 1. A connection is marked while a cancel for it is on its way, and is not reused before the mark is gone.
//! 2. Of several errors the client gets the first; its own text's before one of a rewritten text.

use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::run::{Flight, Stop};
use super::{ScatterError, Wire};
use crate::execute::Lane;
use crate::execute::drain::{Drained, drain};
use crate::execute::lane::{Hidden, Owed};
use crate::wire::backend::ParameterStatus;
use crate::wire::encode;
use crate::wire::error::SqlError;
use crate::wire::frame::HEADER_BYTES;

/// How long the client's own text may take to show that it is at fault itself.
const DESCRIBE_TIME: Duration = Duration::from_secs(1);
/// How long a cancelled server has to come to rest; then it is cancelled once more, in case the first cancel was
/// there before the query.
const REST_TIME: Duration = Duration::from_secs(2);
const ROUNDS: usize = 2;

/// Brings the lanes to rest after a failure. `described`: the first lane has described the client's own text, or was
/// not asked to.
pub(super) async fn stop(
    wire: &mut Wire<'_>,
    lanes: &mut [&mut Lane],
    stop: Stop,
    flight: Flight,
    described: bool,
) -> ScatterError {
    let stop = match stop {
        Stop::Unmergeable(error) if lanes.iter().any(|lane| lane.in_block) => {
            // A cancel would fail the transaction, in which another way can still be gone.
            let drained = join_all(lanes.iter_mut().map(|lane| drain(lane))).await;
            drained.iter().flatten().for_each(|drained| learn(wire, drained));
            drained
                .into_iter()
                .flatten()
                .find_map(|drained| drained.error)
                .map_or(Stop::Unmergeable(error), Stop::Sql)
        }
        stop => stop,
    };
    let unmergeable = matches!(stop, Stop::Unmergeable(_));
    let (mut sql, lost, doubtful) = match stop {
        Stop::ClientGone => return ScatterError::ClientGone,
        Stop::Sql(error) | Stop::Unmergeable(error) => (Some(error), None, None),
        Stop::Prologue { lane, error } => (Some(error), None, Some(lane)),
        Stop::Lost { lane, error } => (None, Some((lane, error)), None),
    };
    let mut own = false;
    let lost_lane = lost.as_ref().map(|(lane, _)| *lane);
    if !described
        && lost_lane != Some(0)
        && let Some(error) = own_error(wire, lanes).await
    {
        own = true;
        sql = Some(error);
    }
    if flight.fills && lost_lane != lanes.len().checked_sub(1) {
        end_copy(lanes);
    }
    for _ in 0..ROUNDS {
        let rest = lanes.iter_mut().enumerate().filter(|(index, _)| Some(*index) != lost_lane);
        rest_of(wire, rest.map(|(_, lane)| &mut **lane).filter(|lane| !lane.owed.is_empty()).collect()).await;
    }
    if let Some(lane) = doubtful {
        lanes[lane].connection.broken = true;
    }
    match (sql, lost) {
        (_, Some((lane, error))) if flight.fills && lane + 1 == lanes.len() => ScatterError::Scratch(error),
        (_, Some((lane, error))) => ScatterError::Server { shard: lanes[lane].shard, error },
        (Some(error), None) if unmergeable && !own => ScatterError::Unmergeable(error),
        (Some(error), None) => ScatterError::Sql(error),
        (None, None) => ScatterError::ClientGone,
    }
}

/// A server that waits for rows to copy does not hear a cancel: it is told that none come.
fn end_copy(lanes: &mut [&mut Lane]) {
    if let Some(session) = lanes.last_mut()
        && matches!(session.owed.front(), Some(Owed::Hidden(Hidden::Fill)))
    {
        encode::client::copy_fail(&mut session.connection.outbox, b"no more rows");
    }
}

/// The error of the client's own text, which the first lane was asked to describe.
async fn own_error(wire: &mut Wire<'_>, lanes: &mut [&mut Lane]) -> Option<SqlError> {
    let first = lanes.first_mut()?;
    let drained = timeout(DESCRIBE_TIME, drain(first)).await.ok()?.ok()?;
    learn(wire, &drained);
    drained.error
}

/// Cancels what runs on these lanes and reads their answers, for a while.
async fn rest_of(wire: &mut Wire<'_>, lanes: Vec<&mut Lane>) {
    let keys: Vec<_> = lanes.iter().map(|lane| std::sync::Arc::clone(&lane.connection.key)).collect();
    let cancels = keys.iter().map(|key| key.cancel_counted(REST_TIME));
    let drains = lanes.into_iter().map(|lane| timeout(REST_TIME, drain(lane)));
    let (_, drained) = join(join_all(cancels), join_all(drains)).await;
    for drained in drained.into_iter().flatten().flatten() {
        learn(wire, &drained);
    }
}

/// Reports of parameters count, whatever became of the statement.
fn learn(wire: &mut Wire<'_>, drained: &Drained) {
    for frame in drained.asides.iter().filter(|frame| frame.first() == Some(&b'S')) {
        if let Ok(status) = ParameterStatus::decode(&frame[HEADER_BYTES..]) {
            wire.told.learn_for_later(status.name, status.value);
        }
    }
}
