//! How a session speaks of failures, and of what servers say beside their answers: the only place that writes errors to
//! clients, and the refusals that only a session can know.

use bytes::{Bytes, BytesMut};

use super::Session;
use crate::backend::strike::Strike;
use crate::execute::refusals;
use crate::plan::refusal::Refusal;
use crate::topology::{ShardId, Topology};
use crate::wire::encode;
use crate::wire::error::{RefusalNumber, Severity, SqlError, SqlState};
use crate::wire::fault::Fault;

impl Session {
    /// Puts an error into the outbox.
    pub(super) fn tell(&mut self, error: &SqlError) {
        // What it waited for was cancelled because it is to end.
        if error.sqlstate == SqlState::QUERY_CANCELED && self.info.is_dismissed() {
            return self.tell(&Strike::Shutdown.error());
        }
        if let Some(number) = error.refusal {
            self.worker.figures.refusal(&number.to_string());
        }
        self.worker.figures.error(Fault::of_meridian(&error.sqlstate), &error.sqlstate);
        encode::server::error_response(&mut self.client.outbox, error);
    }

    /// What has changed since the last time, and that the next request may come.
    pub(super) fn ready(&mut self) {
        self.tell_late();
        self.tell_encoding();
        self.told.tell_news(&mut self.client.outbox);
        encode::server::ready_for_query(&mut self.client.outbox, self.block.status());
    }

    /// Notifications that came while something of ours ran.
    pub(super) fn tell_late(&mut self) {
        let late = std::mem::take(&mut self.late);
        self.client.outbox.extend_from_slice(&late);
    }

    /// A notice or a parameter report that came while something of ours ran.
    pub(super) fn pass_aside(&mut self, frame: &[u8]) {
        let body = crate::wire::frame::body(frame);
        let news = match frame.first() {
            Some(b'S') => {
                if let Ok(status) = crate::wire::backend::ParameterStatus::decode(body) {
                    self.told.learn_for_later(status.name, status.value);
                }
                false
            }
            Some(b'A') => {
                if self.pin.is_some() {
                    self.late.extend_from_slice(frame);
                }
                false
            }
            Some(b'N') => true,
            _ => false,
        };
        if news {
            self.client.outbox.extend_from_slice(frame);
        }
    }

    /// Of what came, the reports alone.
    pub(super) fn pass_reports(&mut self, asides: &[Bytes]) {
        let told = asides.iter().filter(|aside| matches!(aside.first(), Some(b'S' | b'A')));
        told.for_each(|aside| self.pass_aside(aside));
    }

    /// Notifications that came on a lane while it was asked something of ours.
    pub(super) fn keep_notifications(&mut self, index: usize, asides: &[Bytes]) {
        for frame in asides.iter().filter(|frame| self.pin.is_some() && frame.first() == Some(&b'A')) {
            let mut frame = BytesMut::from(&frame[..]);
            self.lanes[index].name_sender(&mut frame);
            self.late.extend_from_slice(&frame);
        }
    }

    /// A warning of the session's own, for a client that wants to hear of warnings.
    pub(super) fn warn(&mut self, notice: &SqlError) {
        const LEVEL: &str = "client_min_messages";
        let level = self.in_force().get(LEVEL).or_else(|| self.account.default(LEVEL));
        if level.is_some_and(|level| level.trim_matches('\'').eq_ignore_ascii_case("error")) {
            return;
        }
        encode::server::notice_response(&mut self.client.outbox, notice);
    }

    /// The last thing that a client hears.
    pub(super) async fn tell_fatal(&mut self, error: &SqlError) {
        let fatal = error.clone().severity(Severity::Fatal);
        self.tell(&fatal);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.client.flush()).await;
    }
}

impl From<Refusal> for SqlError {
    fn from(refusal: Refusal) -> Self {
        let state = SqlState::parse(refusal.sqlstate.as_bytes()).unwrap_or(SqlState::FEATURE_NOT_SUPPORTED);
        let mut error = SqlError::new(state, refusal.message);
        error.detail = refusal.detail;
        error.hint = refusal.hint;
        error.refusal = RefusalNumber::parse(refusal.code);
        error
    }
}

pub(super) fn second_writing_shard(topology: &Topology, shard: ShardId) -> SqlError {
    refusals::SECOND_WRITING_SHARD.error(&[&topology.shard(shard).name])
}

pub(super) fn settings_on_one_server() -> SqlError {
    refusals::SETTINGS_ON_ONE_SERVER.error(&[])
}
