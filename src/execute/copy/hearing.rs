//! What a shard's server says while a COPY runs on its lane.
//!
//! Called by both drivers with whatever has arrived; takes whole frames off the lane's inbox, passes on what is the
//! client's whichever shard says it (notices, reports), and swallows the answers to what was sent before the COPY.

use bytes::{Bytes, BytesMut};

use crate::backend::BackendError;
use crate::execute::lane::{Lane, Owed};
use crate::execute::told::Told;
use crate::wire::backend::{CommandComplete, ParameterStatus, ReadyForQuery};
use crate::wire::error::SqlError;
use crate::wire::frame::{self, HEADER_BYTES, Limits};

/// A message that matters to the driver.
#[derive(Debug)]
pub(super) enum Said {
    /// CopyInResponse or CopyOutResponse, the whole frame.
    Begins(Bytes),
    /// A CopyData message of this length, header included, stands at the front of the inbox, whole or not.
    Data(usize),
    /// The server has sent all its data.
    Done,
    /// CommandComplete with its count of rows.
    Tag(u64),
    /// An ErrorResponse, to the COPY or to what was sent before it.
    Error(Box<SqlError>),
    /// The answer to the COPY is complete: the lane owes nothing.
    Ready,
}

/// Puts the COPY on the lane, behind whatever it owes.
pub(super) fn begin(lane: &mut Lane, sql: &[u8]) {
    let answered =
        matches!(lane.owed.back(), None | Some(Owed::Sync { .. } | Owed::Hidden(_) | Owed::Query { .. }));
    if !answered {
        lane.sync(true);
    }
    lane.copy(sql);
    lane.connection.broken = true;
}

/// Whether the answer that comes next is one to a message before the COPY.
pub(super) fn is_before_copy(lane: &Lane) -> bool {
    lane.owed.len() > 1
}

/// The next message that matters. None: nothing whole has arrived.
pub(super) fn hear(
    lane: &mut Lane,
    told: &mut Told,
    client: &mut BytesMut,
    limits: &Limits,
) -> Result<Option<Said>, BackendError> {
    loop {
        let header = frame::peek_backend(&lane.connection.inbox, limits);
        let Some(header) = header.map_err(|error| broken(lane, error.to_string()))? else { return Ok(None) };
        if header.tag == b'd' && !is_before_copy(lane) {
            return Ok(Some(Said::Data(header.len)));
        }
        let Some(frame) = frame::split_frame(&mut lane.connection.inbox, header) else { return Ok(None) };
        let mut frame = frame.bytes;
        if frame[0] == b'A' {
            lane.name_sender(&mut frame);
        }
        let body = &frame[HEADER_BYTES..];
        let before_copy = is_before_copy(lane);
        match frame[0] {
            b'N' | b'A' => client.extend_from_slice(&frame),
            b'S' => {
                let status =
                    ParameterStatus::decode(body).map_err(|error| broken(lane, error.to_string()))?;
                if !lane.is_undone(&status) {
                    told.learn_for_later(status.name, status.value);
                }
            }
            b'E' => return on_error(lane, body).map(Some),
            b'Z' => {
                if on_ready(lane, body)? {
                    return Ok(Some(Said::Ready));
                }
            }
            _ if before_copy => {}
            b'1' | b'2' if lane.one_by_one => {}
            b'G' | b'H' => return Ok(Some(Said::Begins(frame.freeze()))),
            b'c' => return Ok(Some(Said::Done)),
            b'C' => {
                let complete =
                    CommandComplete::decode(body).map_err(|error| broken(lane, error.to_string()))?;
                return Ok(Some(Said::Tag(complete.rows().unwrap_or(0))));
            }
            other => {
                return Err(broken(lane, format!("message \"{}\" was not expected", other.escape_ascii())));
            }
        }
    }
}

fn on_error(lane: &mut Lane, body: &[u8]) -> Result<Said, BackendError> {
    let error = SqlError::parse(body).map_err(|error| broken(lane, error.to_string()))?;
    if error.ends_session() {
        return Err(BackendError::ended(&lane.connection.address, error));
    }
    if !matches!(lane.owed.front(), Some(Owed::Query { .. } | Owed::Hidden(_))) {
        lane.skip_to_sync();
    }
    Ok(Said::Error(Box::new(error)))
}

/// The answer is whether it was the COPY's own ReadyForQuery.
fn on_ready(lane: &mut Lane, body: &[u8]) -> Result<bool, BackendError> {
    let ready = ReadyForQuery::decode(body).map_err(|error| broken(lane, error.to_string()))?;
    lane.connection.status = ready.status;
    while let Some(owed) = lane.owed.pop_front() {
        if matches!(owed, Owed::Query { .. } | Owed::Hidden(_) | Owed::Sync { .. }) {
            break;
        }
    }
    // Settings stand first: the end of their pipeline is the first that comes, and what fails later leaves them.
    if let Some(settings) = lane.connection.applying.take() {
        lane.connection.applied = settings;
    }
    if !lane.owed.is_empty() {
        return Ok(false);
    }
    lane.connection.broken = false;
    Ok(true)
}

pub(super) fn lost(lane: &Lane) -> BackendError {
    BackendError::lost(&lane.connection.address)
}

pub(super) fn broken(lane: &Lane, reason: String) -> BackendError {
    BackendError::Protocol { node: lane.connection.address.to_string(), reason }
}
