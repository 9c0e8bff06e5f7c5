//! `pg_cancel_backend` and `pg_terminate_backend` of a client, by the number that BackendKeyData told.
//!
//! Numbers of ours are numbers of no server's process (`greet`), so that what is meant is never in doubt: any other number is
//! for the default shard's server.
//!
//! Called by `perform` for a statement that is such a call and nothing else; the same call amid another statement is the
//! server's, which knows no such process and says so.
//!
//! Invariants:
//! 1. A client signals those of its own user only. Who may do more has KILL, in the console.
//! 2. As in PostgreSQL, the answer says that the signal was sent, and not what came of it.

use std::sync::Arc;

use super::cancel::{cancel_target, end_client};
use super::greet::CLIENT_IDS;
use super::perform::Work;
use super::planning::Planned;
use super::setting::text_field;
use super::{Failure, Outcome, Session};
use crate::merge::types::oid;
use crate::sql::arguments::{Argument, Arguments};
use crate::sql::facts::Value;
use crate::wire::backend::Field;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};

impl Session {
    pub(super) async fn signal(
        &mut self,
        planned: &Planned,
        ends: bool,
        process: &Value,
        work: Work<'_>,
    ) -> Outcome {
        let parameters = work.parameters(planned)?;
        let arguments = Arguments { text: work.text(), literals: &planned.literals, parameters: &parameters };
        let number = number(&arguments.resolve(process)).and_then(|number| u32::try_from(number).ok());
        let Some(client) = number.filter(|number| CLIENT_IDS.contains(number)) else {
            return self.perform_on(planned, work, self.default_shard()).await;
        };
        let warning = self.signal_client(client, ends).await?;
        self.answer_signal(if ends { "pg_terminate_backend" } else { "pg_cancel_backend" }, warning, work)
    }

    /// Why no signal was sent: there is no such client.
    async fn signal_client(&mut self, client: u32, ends: bool) -> Result<Option<SqlError>, Failure> {
        let shared = Arc::clone(&self.worker.shared);
        let Some(info) = shared.clients.get(&client).map(|entry| Arc::clone(entry.value())) else {
            let message = format!("PID {client} is not a PostgreSQL backend process");
            return Ok(Some(SqlError::warning(SqlState::WARNING, message)));
        };
        if info.names.user != self.info.names.user {
            let what = if ends { "terminate" } else { "cancel" };
            let message = format!("permission denied to {what} the session of another user");
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .hint("KILL in the console ends any session.")
                .into());
        }
        if ends {
            end_client(&shared, &info);
        } else if let Some(target) = shared.cancels.get(&client).map(|target| Arc::clone(&target)) {
            cancel_target(&target, None).await;
        }
        Ok(None)
    }

    fn answer_signal(&mut self, name: &str, warning: Option<SqlError>, work: Work<'_>) -> Outcome {
        let format = work.bind()?.map_or(0, |bind| bind.result_formats.of(0));
        let sent = warning.is_none();
        let out = &mut self.client.outbox;
        if work.describes() {
            let field = Field { type_oid: oid::BOOL, type_length: 1, format, ..text_field(name) };
            encode::server::row_description(out, &[field]);
        }
        if let Some(warning) = warning {
            self.warn(&warning);
        }
        let out = &mut self.client.outbox;
        let value: &[u8] = match (format, sent) {
            (1, _) => &[sent as u8],
            (_, true) => b"t",
            (_, false) => b"f",
        };
        encode::server::data_row(out, &[Some(value)]);
        encode::server::command_complete(out, b"SELECT 1");
        Ok(())
    }
}

fn number(argument: &Argument<'_>) -> Option<i64> {
    match argument {
        Argument::Text { text, .. } => text.trim().parse().ok(),
        Argument::Binary { bytes, .. } => match *bytes {
            [a, b, c, d] => Some(i64::from(i32::from_be_bytes([*a, *b, *c, *d]))),
            _ => None,
        },
        Argument::Null | Argument::Bool(_) | Argument::Array(_) | Argument::Unknown => None,
    }
}
