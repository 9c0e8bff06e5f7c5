//! Reads all that a lane owes without showing rows to anybody: for statements of ours and for the copies of a
//! statement that runs on every shard.

use bytes::Bytes;

use super::lane::{Hidden, Lane, Owed};
use crate::backend::BackendError;
use crate::topology::Lsn;
use crate::wire::backend::{DataRow, ParameterStatus, ReadyForQuery};
use crate::wire::error::SqlError;
use crate::wire::frame::{HEADER_BYTES, Limits};

/// What was said.
#[derive(Debug, Default)]
pub struct Drained {
    /// The first error.
    pub error: Option<SqlError>,
    /// Tag of the first CommandComplete after the prologue's.
    pub tag: Option<String>,
    pub position: Option<Lsn>,
    /// The query for it has failed, or was not answered.
    pub no_position: bool,
    /// Notices and parameter reports.
    pub asides: Vec<Bytes>,
}

/// Sends the outbox and reads until every ReadyForQuery that is owed has come. Cancel safe: no; the lane is then broken.
///
/// The queue must end with something that is answered by ReadyForQuery. Errors that the server meets on its way skip to
/// the next one, as the relay's do. A server that is lost with nothing but the position owed has answered what counts.
pub async fn drain(lane: &mut Lane) -> Result<Drained, BackendError> {
    let mut drained = Drained::default();
    lane.connection.broken = true;
    match read_all(lane, &mut drained).await {
        Err(_) if lane.owes_position_only() => {
            // The connection stays broken.
            lane.owed.clear();
            drained.no_position = true;
        }
        read => {
            read?;
            lane.connection.broken = false;
        }
    }
    Ok(drained)
}

async fn read_all(lane: &mut Lane, drained: &mut Drained) -> Result<(), BackendError> {
    let limits = Limits::default();
    while !lane.owed.is_empty() {
        let frame = lane.connection.next_frame(&limits).await?;
        let body = &frame[HEADER_BYTES..];
        let broken =
            |reason: String| BackendError::Protocol { node: lane.connection.address.to_string(), reason };
        match frame[0] {
            b'Z' => {
                let ready = ReadyForQuery::decode(body).map_err(|e| broken(e.to_string()))?;
                lane.connection.ready(ready.status, drained.error.is_none());
                while let Some(owed) = lane.owed.pop_front() {
                    if matches!(owed, Owed::Query { .. } | Owed::Hidden(_) | Owed::Sync { .. }) {
                        break;
                    }
                }
            }
            b'1' | b'2' | b'3' | b'T' | b'n' => drop(lane.confirm(frame[0])),
            b'E' => {
                let error = SqlError::parse(body).map_err(|e| broken(e.to_string()))?;
                if error.ends_session() {
                    return Err(BackendError::ended(&lane.connection.address, error));
                }
                if lane.owed.front() == Some(&Owed::Hidden(Hidden::Position)) {
                    drained.no_position = true;
                    continue;
                }
                drained.error.get_or_insert(lane.connection.key.as_told(error));
                if !matches!(lane.owed.front(), Some(Owed::Query { .. } | Owed::Hidden(_))) {
                    lane.skip_to_sync();
                }
            }
            b'C' => {
                let tag = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned();
                drained.tag = match drained.tag.take() {
                    Some(first) if matches!(lane.owed.front(), Some(Owed::Hidden(Hidden::Position))) => {
                        Some(first)
                    }
                    _ => Some(tag),
                };
                lane.confirm(b'C');
            }
            b'D' if drained.position.is_none() => {
                drained.position = DataRow::decode(body)
                    .ok()
                    .and_then(|row| row.iter().next().flatten())
                    .and_then(|value| std::str::from_utf8(value).ok())
                    .and_then(Lsn::parse);
            }
            // A scratch session is brought to the client's settings step by step: it tells nothing of them.
            b'S' if lane.scratch => {}
            b'S' if ParameterStatus::decode(body).is_ok_and(|status| lane.is_undone(&status)) => {}
            b'N' | b'S' => drained.asides.push(frame.freeze()),
            b'A' => {
                let mut frame = frame;
                lane.name_sender(&mut frame);
                drained.asides.push(frame.freeze());
            }
            b'G' => crate::wire::encode::client::copy_fail(&mut lane.connection.outbox, b"no data"),
            _ => {}
        }
    }
    Ok(())
}
