//! The driver of the console: greets, reads messages, sends answers, takes the snapshots that are shown.
//!
//! Called by `server` with an administrator whom `session` let in; runs on a worker's thread, as a session does.
//!
//! Invariants:
//! 1. Answers are sent before the next message is read, so one message's answers are all that is held.
//! 2. When Meridian stops, a client that waits is told and dismissed.

use std::cell::RefCell;
use std::time::Duration;

use super::conversation::{Conversation, Next, Process};
use super::order::{self, Order};
use super::show::{ClientView, PRODUCT, Topic, View};
use super::table::Table;
use crate::session::shared::{ClientInfo, ClientNames, Doing, Shared};
use crate::session::{ConsoleClient, ConsoleWord as Word, dismissed};
use crate::wire::backend::TransactionStatus;
use crate::wire::encode::server as say;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{FrameHeader, HEADER_BYTES, Limits, Phase, peek_frontend};

/// Commands are short: a longer message is a mistake.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// How long the last message to a client may take.
const FAREWELL_WAIT: Duration = Duration::from_secs(1);

/// Why a client is gone.
enum End {
    Left,
    Dismissed(SqlError),
}

/// Talks with one client until it leaves or must leave.
pub async fn serve(mut client: ConsoleClient) {
    greet(&mut client);
    if let End::Dismissed(error) = talk(&mut client).await {
        say::error_response(&mut client.stream.outbox, &error);
        let _ = tokio::time::timeout(FAREWELL_WAIT, client.stream.flush()).await;
    }
}

/// What PostgreSQL says between authentication and the first ReadyForQuery.
fn greet(client: &mut ConsoleClient) {
    let out = &mut client.stream.outbox;
    let version = format!("{} ({})", server_version(&client.shared), PRODUCT);
    for (name, value) in [
        ("server_version", version.as_str()),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("is_superuser", "off"),
        ("session_authorization", &client.info.names.user),
    ] {
        say::parameter_status(out, name.as_bytes(), value.as_bytes());
    }
    let secret = client.cancel_secret().expose().to_vec();
    let out = &mut client.stream.outbox;
    say::backend_key_data(out, client.info.id, &secret);
    say::ready_for_query(out, TransactionStatus::Idle);
}

/// Drivers read features from it: that of the servers, as far as it is known.
fn server_version(shared: &Shared) -> String {
    let number = shared.catalog.current().server_version;
    if number == 0 { "13.0".to_owned() } else { format!("{}.{}", number / 10_000, number % 10_000) }
}

async fn talk(client: &mut ConsoleClient) -> End {
    let limits = Limits { client_message_bytes: MESSAGE_BYTES_MAX, ..Limits::default() };
    let mut conversation = Conversation::new();
    loop {
        if client.stream.flush().await.is_err() {
            return End::Left;
        }
        client.info.set_doing(waiting(conversation.status()));
        let header = match next_message(client, &limits).await {
            Ok(header) => header,
            Err(end) => return end,
        };
        client.info.set_doing(Doing::Active);
        let frame = client.stream.inbox.split_to(header.len);
        let process =
            Running { shared: &client.shared, names: &client.info.names, given: RefCell::default() };
        let body = frame.get(HEADER_BYTES..).unwrap_or_default();
        let mark = client.stream.outbox.len();
        if conversation.on_message(header.tag, body, &process, &mut client.stream.outbox) == Next::Leave {
            return End::Left;
        }
        let given = process.given.into_inner();
        let settled = settle(client, &given).await;
        if !matches!(settled, Settled::Yes) {
            // The answers that would have been given.
            client.stream.outbox.truncate(mark);
        }
        match settled {
            Settled::Yes => {}
            Settled::Cancelled => {
                say::error_response(&mut client.stream.outbox, &cancelled());
                say::ready_for_query(&mut client.stream.outbox, conversation.status());
            }
            Settled::End(end) => return end,
        }
        client.stream.shrink();
    }
}

/// Whether the orders are true by now.
enum Settled {
    Yes,
    /// They hold, but were not waited for.
    Cancelled,
    End(End),
}

async fn settle(client: &mut ConsoleClient, given: &[Order]) -> Settled {
    let shared = std::sync::Arc::clone(&client.shared);
    for order in given {
        let mut settled = std::pin::pin!(order::settled(&shared, order));
        loop {
            let word = tokio::select! {
                () = &mut settled => break,
                word = client.hear() => word,
            };
            match word {
                Word::Cancelled => return Settled::Cancelled,
                Word::Dismissed => return Settled::End(End::Dismissed(dismissed())),
                Word::Said if client.stream.inbox.len() <= MESSAGE_BYTES_MAX => {}
                // Who leaves meanwhile is not waited for.
                Word::Left | Word::Said => return Settled::End(End::Left),
            }
        }
    }
    Settled::Yes
}

/// Of the wait: what was ordered is in force from the moment that it was.
fn cancelled() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
        .detail("What was ordered holds; it was not waited for until nothing runs any more.")
        .hint("RESUME takes a PAUSE back.")
}

/// Waits until a whole message is at the front of the inbox.
async fn next_message(client: &mut ConsoleClient, limits: &Limits) -> Result<FrameHeader, End> {
    loop {
        match peek_frontend(&client.stream.inbox, Phase::Query, limits) {
            Ok(Some(header)) if client.stream.inbox.len() >= header.len => return Ok(header),
            Ok(_) => {}
            Err(error) => {
                let fatal = SqlError::from(error).severity(crate::wire::error::Severity::Fatal);
                return Err(End::Dismissed(fatal));
            }
        }
        match client.hear().await {
            Word::Said | Word::Cancelled => {}
            Word::Left => return Err(End::Left),
            Word::Dismissed => return Err(End::Dismissed(dismissed())),
        }
    }
}

const fn waiting(status: TransactionStatus) -> Doing {
    match status {
        TransactionStatus::Idle => Doing::Idle,
        TransactionStatus::InTransaction | TransactionStatus::Failed => Doing::IdleInTransaction,
    }
}

/// The process, as a conversation sees it.
struct Running<'s> {
    shared: &'s Shared,
    /// Who speaks.
    names: &'s ClientNames,
    /// Orders of this message, whose answers may have to wait.
    given: RefCell<Vec<Order>>,
}

impl Process for Running<'_> {
    fn show(&self, topic: Topic) -> Table {
        show(self.shared, topic)
    }

    fn carry_out(&self, order: &Order) -> Result<(), SqlError> {
        order::carry_out(self.shared, order, self.names)?;
        self.given.borrow_mut().push(order.clone());
        Ok(())
    }
}

/// Takes the snapshots that the topic may need, and makes its table.
fn show(shared: &Shared, topic: Topic) -> Table {
    let clients = if matches!(topic, Topic::Clients | Topic::Transactions | Topic::Users) {
        clients(shared)
    } else {
        Vec::new()
    };
    let pools =
        if matches!(topic, Topic::Pools | Topic::Servers) { shared.pools.reports() } else { Vec::new() };
    let plans = if topic == Topic::Plans { shared.pools.plans() } else { Vec::new() };
    let live = shared.live.load_full();
    let looked_up = match &live.auth_query {
        Some(query) if topic == Topic::Users => shared.lookups.known(query),
        _ => Vec::new(),
    };
    topic.table(&View {
        topology: &shared.topology.load(),
        catalog: &shared.catalog.current(),
        pools: &pools,
        plans: &plans,
        paused: shared.orders.paused(),
        live: Some(&live),
        pool_size: live.pool.size,
        clients: &clients,
        looked_up: &looked_up,
        clients_max: live.proxy.clients_max,
        two_phase: shared.registry.standing(),
        figures: &shared.figures,
        uptime: shared.started.elapsed(),
    })
}

pub(super) fn clients(shared: &Shared) -> Vec<ClientView> {
    let view = |info: &ClientInfo| ClientView {
        id: info.id,
        names: info.names.clone(),
        connected: info.connected.elapsed(),
        state: info.state(),
    };
    shared.clients.iter().map(|entry| view(entry.value())).collect()
}
