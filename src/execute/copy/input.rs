//! The client's side of a COPY FROM STDIN: its messages, taken from its inbox as far as they have come.
//!
//! Called by `copy_in`. A CopyData message is passed on in the pieces in which it arrives, so that its length
//! costs no memory.
//!
//! Invariants:
//! 1. After CopyDone or CopyFail nothing more is taken: what follows is the session's.
//! 2. Flush and Sync mean nothing between, as in PostgreSQL: a client of the extended protocol sends another Sync.

use bytes::{Buf, BytesMut};

use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{self, HEADER_BYTES, Limits, Phase};
use crate::wire::frontend::CopyFail;

/// What the client says next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing more has come.
    Empty,
    Data(BytesMut),
    Done,
    /// The client gives up, for this reason.
    Fail(String),
}

/// Where in the stream the client is.
#[derive(Debug, Default)]
pub(super) struct InputReader {
    /// Bytes of a CopyData message that are still to come.
    data_left: usize,
}

impl InputReader {
    /// Errors end the client's session: the stream has no known boundary left.
    pub fn next(&mut self, inbox: &mut BytesMut, limits: &Limits) -> Result<Input, SqlError> {
        loop {
            if self.data_left > 0 {
                let here = self.data_left.min(inbox.len());
                if here == 0 {
                    return Ok(Input::Empty);
                }
                self.data_left -= here;
                return Ok(Input::Data(inbox.split_to(here)));
            }
            let Some(header) = frame::peek_frontend(inbox, Phase::CopyIn, limits)? else {
                return Ok(Input::Empty);
            };
            if header.tag == b'd' {
                inbox.advance(HEADER_BYTES);
                self.data_left = header.body_len();
                continue;
            }
            let Some(frame) = frame::split_frame(inbox, header) else { return Ok(Input::Empty) };
            match header.tag {
                b'c' => return Ok(Input::Done),
                b'f' => {
                    let reason = CopyFail::decode(frame.body())?.reason;
                    return Ok(Input::Fail(String::from_utf8_lossy(reason).into_owned()));
                }
                b'S' | b'H' => {}
                other => {
                    let message = format!("unexpected message type 0x{other:02X} during COPY from stdin");
                    return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
                }
            }
        }
    }

    /// Throws away what has come of a message that was begun. True: its end has been reached.
    pub fn skip_begun(&mut self, inbox: &mut BytesMut) -> bool {
        let here = self.data_left.min(inbox.len());
        inbox.advance(here);
        self.data_left -= here;
        self.data_left == 0
    }
}
