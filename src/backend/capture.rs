//! A simple query of ours on a data connection, its answer captured: for transaction control and DDL on many shards.
//!
//! Rows are text. Notices and parameter reports are kept as frames, for the caller to pass on or to drop.

use std::future::poll_fn;

use bytes::{Buf, Bytes, BytesMut};

use super::connection::Connection;
use super::error::BackendError;
use crate::wire::backend::{DataRow, ReadyForQuery};
use crate::wire::encode;
use crate::wire::error::SqlError;
use crate::wire::frame::{self, HEADER_BYTES, Limits};
use crate::wire::frontend::Target;

/// Rows beyond this are an error: nothing of ours asks for more.
const ROWS_MAX: usize = 100_000;

/// What came back for one simple query.
#[derive(Debug, Default)]
pub struct Captured {
    pub rows: Vec<Vec<Option<String>>>,
    /// RowDescription frame, as received.
    pub description: Option<Bytes>,
    /// Tag of the last CommandComplete.
    pub tag: String,
    pub error: Option<SqlError>,
    /// NoticeResponse, ParameterStatus and NotificationResponse frames, in order.
    pub asides: Vec<Bytes>,
}

impl Captured {
    /// The answer, or the server's error as ours.
    pub fn ok(self) -> Result<Self, BackendError> {
        match self.error {
            Some(error) => Err(BackendError::Server(Box::new(error))),
            None => Ok(self),
        }
    }
}

/// What came back for one query whose values were asked for in binary.
#[derive(Debug, Default)]
pub struct BinaryAnswer {
    /// Body of its RowDescription.
    pub description: Bytes,
    /// Bodies of its DataRows.
    pub rows: Vec<Bytes>,
}

/// What came back for a pipeline of them: up to the first error, one answer for each.
#[derive(Debug, Default)]
pub struct BinaryAnswers {
    pub answers: Vec<BinaryAnswer>,
    pub error: Option<SqlError>,
}

impl Connection {
    fn lost(&self) -> BackendError {
        BackendError::lost(&self.address)
    }

    /// Runs `sql` and waits for ReadyForQuery. Cancel safe: no; the connection is then broken.
    pub async fn capture(&mut self, sql: &str) -> Result<Captured, BackendError> {
        self.broken = true;
        encode::client::query(&mut self.outbox, sql.as_bytes());
        self.unnamed = None;
        let captured = self.capture_answer().await?;
        self.broken = false;
        Ok(captured)
    }

    /// As [`Connection::capture`], for words of a client's: the server refuses more than one statement in them.
    pub async fn capture_statement(&mut self, sql: &[u8]) -> Result<Captured, BackendError> {
        self.broken = true;
        let out = &mut self.outbox;
        encode::client::parse(out, b"", sql, &[]);
        encode::client::bind(out, &encode::client::Bind::default());
        encode::client::execute(out, b"", 0);
        encode::client::sync(out);
        self.unnamed = None;
        let captured = self.capture_answer().await?;
        self.broken = false;
        Ok(captured)
    }

    /// Reads the answer to a query that has been put into the outbox, up to ReadyForQuery.
    pub async fn capture_answer(&mut self) -> Result<Captured, BackendError> {
        let limits = Limits::default();
        let mut captured = Captured::default();
        loop {
            let frame = self.next_frame(&limits).await?;
            let body = &frame[HEADER_BYTES..];
            let broken = |reason: String| BackendError::Protocol { node: self.address.to_string(), reason };
            match frame[0] {
                b'D' => {
                    let row = DataRow::decode(body).map_err(|e| broken(e.to_string()))?;
                    if captured.rows.len() == ROWS_MAX {
                        return Err(broken("more rows than anything of ours asks for".into()));
                    }
                    captured.rows.push(
                        row.iter().map(|v| v.map(|v| String::from_utf8_lossy(v).into_owned())).collect(),
                    );
                }
                b'T' => captured.description = Some(frame.freeze()),
                b'C' => {
                    captured.tag =
                        String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned();
                }
                b'E' => {
                    let error = SqlError::parse(body).map_err(|e| broken(e.to_string()))?;
                    if error.ends_session() {
                        return Err(BackendError::ended(&self.address, error));
                    }
                    captured.error.get_or_insert(self.key.as_told(error));
                }
                b'N' | b'S' | b'A' => captured.asides.push(frame.freeze()),
                b'Z' => {
                    self.status = ReadyForQuery::decode(body).map_err(|e| broken(e.to_string()))?.status;
                    return Ok(captured);
                }
                b'G' => encode::client::copy_fail(&mut self.outbox, b"no data"),
                _ => {}
            }
        }
    }

    /// Asks queries of ours without parameters in one round trip. Notices and parameter reports are dropped.
    pub async fn capture_binary(
        &mut self,
        queries: impl Iterator<Item = &str>,
    ) -> Result<BinaryAnswers, BackendError> {
        self.broken = true;
        self.unnamed = None;
        let out = &mut self.outbox;
        for query in queries {
            encode::client::parse(out, b"", query.as_bytes(), &[]);
            encode::client::bind(
                out,
                &encode::client::Bind { result_formats: &[1], ..encode::client::Bind::default() },
            );
            encode::client::describe(out, Target::Portal, b"");
            encode::client::execute(out, b"", 0);
        }
        encode::client::sync(out);
        let limits = Limits::default();
        let mut captured = BinaryAnswers::default();
        loop {
            let mut frame = self.next_frame(&limits).await?;
            let tag = frame[0];
            frame.advance(HEADER_BYTES);
            let body = frame.freeze();
            let broken = |reason: String| BackendError::Protocol { node: self.address.to_string(), reason };
            match tag {
                b'T' => captured.answers.push(BinaryAnswer { description: body, rows: Vec::new() }),
                b'D' => {
                    let answer = captured.answers.last_mut();
                    answer.ok_or_else(|| broken("a row before its description".into()))?.rows.push(body);
                }
                b'E' => {
                    let error = SqlError::parse(&body).map_err(|e| broken(e.to_string()))?;
                    if error.ends_session() {
                        return Err(BackendError::ended(&self.address, error));
                    }
                    captured.error.get_or_insert(self.key.as_told(error));
                }
                b'Z' => {
                    self.status = ReadyForQuery::decode(&body).map_err(|e| broken(e.to_string()))?.status;
                    self.broken = false;
                    return Ok(captured);
                }
                _ => {}
            }
        }
    }

    /// The next whole frame; sends what waits in the outbox while it waits.
    pub async fn next_frame(&mut self, limits: &Limits) -> Result<BytesMut, BackendError> {
        loop {
            let header = frame::peek_backend(&self.inbox, limits).map_err(|e| BackendError::Protocol {
                node: self.address.to_string(),
                reason: e.to_string(),
            })?;
            if let Some(header) = header
                && self.inbox.remaining() >= header.len
            {
                return Ok(self.inbox.split_to(header.len));
            }
            let read = poll_fn(|cx| {
                if let std::task::Poll::Ready(Err(error)) = self.poll_flush(cx) {
                    return std::task::Poll::Ready(Err(error));
                }
                self.poll_fill(cx)
            })
            .await;
            match read {
                Ok(0) | Err(_) => return Err(self.lost()),
                Ok(_) => {}
            }
        }
    }
}
