//! Describe of a portal that is the session's own, where no Execute follows at once: drivers that read in pieces ask so,
//! with Flush, and wait for the answer.
//!
//! Its columns are those of the client's own text, whatever the shards are asked: any server can tell them.

use super::extended::answers_itself;
use super::perform::{Execution, Work};
use super::planning::Planned;
use super::{Failure, Outcome, Session, setting};
use crate::execute::RelayError;
use crate::execute::lane::Owed;
use crate::execute::refusals;
use crate::execute::scatter::{ScatterError, Wire, describe};
use crate::plan::Access;
use crate::sql::arguments::Arguments;
use crate::sql::facts::{Kind, SessionObject};
use crate::sql::prepared::arguments_of;
use crate::wire::encode;
use crate::wire::error::SqlError;
use crate::wire::frontend::{Bind, Target};

impl Session {
    /// A Bind of the session's own, of which a server says whether its values are such.
    pub(super) async fn bind_judged(&mut self, execution: &Execution) -> Outcome {
        let index = self.join_default(Access::Read).await?;
        self.quiet_lane(index).await?;
        let bind = Bind::decode(&execution.bind).map_err(SqlError::from)?;
        let prepared = &execution.prepared;
        let lane = &mut self.lanes[index];
        lane.parse(b"", prepared.known_tail(), prepared.id, true);
        // Errors name the portal.
        encode::client::bind_with_tail(&mut lane.connection.outbox, bind.portal, b"", bind.tail);
        encode::client::close(&mut lane.connection.outbox, Target::Portal, bind.portal);
        lane.owed.extend([Owed::Bind { hidden: true }, Owed::Close { hidden: true, id: None }]);
        lane.sync(true);
        match self.drain_lane(index).await?.error {
            Some(error) => Err(Failure::Sql(error)),
            None => {
                encode::server::bind_complete(&mut self.client.outbox);
                Ok(())
            }
        }
    }

    pub(super) async fn describe_portal(&mut self, planned: &Planned, execution: &Execution) -> Outcome {
        // Those without rows are described in a failed transaction, too.
        let is_empty = self.block.is_failed() && !planned.plan.facts.kind.returns_rows();
        if is_empty || answers_itself(planned) {
            encode::server::no_data(&mut self.client.outbox);
            return Ok(());
        }
        if let Kind::Show { name } = &planned.plan.facts.kind
            && let Some(shown) = self.show_own(name)
        {
            shown?;
            encode::server::row_description(&mut self.client.outbox, &[setting::text_field(name)]);
            return Ok(());
        }
        let work = Work::Extended { execution };
        if let Some(name) = self.executes_ours(&planned.plan.facts) {
            let given = arguments_of(work.text(), self.lex_options()).unwrap_or_default();
            let (inner, execution) = self.executed(planned, name, &given, work).await?;
            return Box::pin(self.describe_portal(&inner, &execution)).await;
        }
        if let Kind::Session(SessionObject::Fetch { name, moves: false }) = &planned.plan.facts.kind
            && let Some(number) = self.held.cursor(name)
        {
            if work.bind()?.is_some_and(|bind| bind.result_formats.any_binary()) {
                return Err(Failure::Sql(refusals::HELD_BY_MESSAGES.error(&[])));
            }
            self.describe_held(Some(number));
            return Ok(());
        }
        let index = self.join_default(Access::Read).await?;
        self.quiet_lane(index).await?;
        let parameters = work.parameters(planned)?;
        let arguments = Arguments { text: work.text(), literals: &planned.literals, parameters: &parameters };
        let question = work.question(arguments, &parameters);
        let read_ahead = self.live.limits.shard_buffer_bytes;
        let Self { client, lanes, told, limits, pin, .. } = self;
        let mut wire = Wire::new(client, told, limits, pin.is_some(), read_ahead);
        match describe(&mut wire, &mut lanes[index], &question).await {
            Ok(()) => Ok(()),
            Err(ScatterError::Sql(error) | ScatterError::Unmergeable(error)) => Err(Failure::Sql(error)),
            Err(ScatterError::Told) => Err(Failure::Told),
            Err(ScatterError::ClientGone) => Err(self.relay_failed(index, RelayError::ClientGone).await),
            Err(ScatterError::Server { error, .. } | ScatterError::Scratch(error)) => {
                Err(self.relay_failed(index, RelayError::Server { error, forwarded: false }).await)
            }
        }
    }
}
