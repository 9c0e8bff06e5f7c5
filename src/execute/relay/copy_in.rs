//! COPY FROM STDIN through the relay: the client's frames to the server, until it says that it is done, or the server objects.
//!
//! What is sent to several shards is not relayed (`execute::copy`).

use std::future::poll_fn;
use std::task::Poll;

use super::{Event, Relay, RelayError, Report, State};
use crate::wire::encode;
use crate::wire::frame::{self, Phase};

impl Relay<'_> {
    /// COPY FROM STDIN: the client's frames to the server, until it says that it is done, fails, or the server objects.
    pub(super) async fn copy_in(&mut self, state: &mut State, report: &mut Report) -> Result<(), RelayError> {
        loop {
            if let Some(tag) = self.said_already() {
                state.copy_in &= is_aside(tag);
                return Ok(());
            }
            self.take_copy_frames(state)?;
            let client = &mut *self.client;
            let connection = &mut self.lane.connection;
            let copying = state.copy_in;
            let event = poll_fn(|cx| {
                let mut flushed = true;
                match connection.poll_flush(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(Event::ServerGone),
                    Poll::Ready(Ok(())) => {}
                    Poll::Pending => flushed = false,
                }
                match connection.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ServerGone),
                    Poll::Ready(Ok(_)) => return Poll::Ready(Event::Server),
                    Poll::Pending => {}
                }
                if copying && flushed {
                    return match client.poll_fill(cx) {
                        Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Event::ClientGone),
                        Poll::Ready(Ok(_)) => Poll::Ready(Event::Client),
                        Poll::Pending => Poll::Pending,
                    };
                }
                Poll::Pending
            })
            .await;
            match event {
                Event::Client | Event::Late => {}
                Event::Server => {
                    state.copy_in &= self.lane.connection.inbox.first().copied().is_some_and(is_aside);
                    return Ok(());
                }
                Event::ServerGone => return Err(self.lost(report)),
                Event::ClientGone => return Err(RelayError::ClientGone),
            }
        }
    }

    /// The tag of a whole message that came with another one.
    fn said_already(&self) -> Option<u8> {
        let inbox = &self.lane.connection.inbox;
        let header = frame::peek_backend(inbox, self.limits).ok().flatten()?;
        (inbox.len() >= header.len).then_some(header.tag)
    }

    /// Moves the COPY messages that have arrived to the server's outbox.
    fn take_copy_frames(&mut self, state: &mut State) -> Result<(), RelayError> {
        while state.copy_in {
            let header = frame::peek_frontend(&self.client.inbox, Phase::CopyIn, self.limits)
                .map_err(|error| RelayError::ClientProtocol(error.into()))?;
            let Some(header) = header else { return Ok(()) };
            if self.client.inbox.len() < header.len {
                self.client.expect_bytes(header.len);
                return Ok(());
            }
            let frame = self.client.inbox.split_to(header.len);
            match header.tag {
                b'd' => self.lane.connection.outbox.extend_from_slice(&frame),
                b'c' | b'f' => {
                    self.lane.connection.outbox.extend_from_slice(&frame);
                    state.copy_in = false;
                    if state.copy_extended {
                        encode::client::flush(&mut self.lane.connection.outbox);
                    }
                }
                // Flush and Sync are ignored while copying.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Anything but a notice or a setting ends the copy: the server has an answer or an objection.
fn is_aside(tag: u8) -> bool {
    matches!(tag, b'N' | b'S' | b'A')
}
