//! Replication connections: `replication=database` or `true` in the start-up packet, as `pg_basebackup`, `pg_receivewal`
//! and readers of logical decoding send it. They are passed through to one primary, byte by byte.
//!
//! Called by `greet` once the client is let in. The primary is the default shard's, or that of the shard which
//! `options=-c meridian.shard=NAME` names. The server has a connection of its own for it, outside of all pools, and judges
//! by itself whether the role may replicate.
//!
//! ```text
//!   client ◀─ what the server reports, a cancel key of ours ─┐
//!   client ◀────────────── bytes ───────────────▶ server     until one of them ends, or an operator ends it
//! ```
//!
//! Invariants:
//! 1. After the greeting nothing is added, held back or looked into.
//! 2. When the primary goes, so does the connection: another server has another history.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::fence::Fence;
use super::greeting::parse_options;
use super::shared::{Doing, Live, Registered, Worker};
use crate::backend::choice::primary;
use crate::backend::connection::ServerKey;
use crate::backend::{Account, address};
use crate::topology::{ShardId, Topology};
use crate::wire::backend::TransactionStatus;
use crate::wire::encode;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::login::{self, Login};
use crate::wire::startup::ClientHello;
use crate::wire::stream::Connection;

/// As SHOW CLIENTS has it.
const PINNED: &str = "replication";

/// The option that names a shard; Meridian's own.
const SHARD_OPTION: &str = "meridian.shard";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Of the whole server: the database's name means nothing.
    Physical,
    /// Statements and logical decoding in a database.
    Database,
}

/// What a start-up packet asks for; None: an ordinary session. In PostgreSQL's words where it is neither.
pub(super) fn mode(hello: &ClientHello) -> Result<Option<Mode>, SqlError> {
    let Some((_, value)) = hello.parameters.iter().find(|(name, _)| name == "replication") else {
        return Ok(None);
    };
    match value.to_ascii_lowercase().as_str() {
        "database" => Ok(Some(Mode::Database)),
        "true" | "on" | "yes" | "1" => Ok(Some(Mode::Physical)),
        "false" | "off" | "no" | "0" => Ok(None),
        _ => {
            let message = format!("invalid value for parameter \"replication\": \"{value}\"");
            Err(SqlError::fatal(SqlState::INVALID_PARAMETER_VALUE, message)
                .hint("Valid values are: \"false\", 0, \"true\", 1, \"database\"."))
        }
    }
}

/// A client that is let in, and what for.
pub(super) struct Client<'a> {
    pub connection: Connection,
    pub hello: &'a ClientHello,
    pub account: &'a Account,
    pub fence: &'a Fence,
    pub registered: &'a Registered,
    /// AuthenticationOk and what came with it.
    pub output: bytes::BytesMut,
}

/// Serves it to its end.
pub(super) async fn serve(worker: &Rc<Worker>, client: Client<'_>) {
    let shared = &worker.shared;
    let (topology, live) = (shared.topology.load_full(), shared.live.load_full());
    let connected = connect(&topology, &live, &client).await;
    let Client { mut connection, registered, mut output, .. } = client;
    let (mut server, key, parameters) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            let _ = connection.stream.write_all(&output).await;
            return connection.refuse(&error).await;
        }
    };
    registered.cancel.add(&key);
    if let Ok(mut notes) = registered.info.notes.lock() {
        notes.pinned = Some(PINNED);
    }
    registered.info.set_doing(Doing::Active);
    for (name, value) in &parameters {
        encode::server::parameter_status(&mut output, name.as_bytes(), value.as_bytes());
    }
    encode::server::backend_key_data(&mut output, registered.info.id, registered.cancel.secret.expose());
    encode::server::ready_for_query(&mut output, TransactionStatus::Idle);
    output.extend_from_slice(&server.input);
    let info = &registered.info;
    let dismissed = poll_fn(|cx| {
        info.listen(cx);
        if info.is_dismissed() { Poll::Ready(()) } else { Poll::Pending }
    });
    let pass = async {
        connection.stream.write_all(&output).await?;
        connection.stream.flush().await?;
        server.stream.write_all(&connection.input).await?;
        server.stream.flush().await?;
        copy_bidirectional(&mut connection.stream, &mut server.stream).await
    };
    tokio::select! {
        _ = pass => {}
        () = dismissed => {}
        () = shared.stopping.begun() => {}
    }
    registered.cancel.remove(&key);
}

type Connected = (Connection, Arc<ServerKey>, Vec<(String, String)>);

/// A walsender of the shard that is meant, and what it reports.
async fn connect(topology: &Topology, live: &Live, client: &Client<'_>) -> Result<Connected, SqlError> {
    let Client { hello, account, fence, .. } = client;
    if fence.read_only {
        let message = "permission denied to start a replication connection";
        return Err(SqlError::fatal(SqlState::INSUFFICIENT_PRIVILEGE, message)
            .hint("This user is read-only (read_only = true in the configuration)."));
    }
    let asked = Asked::of(hello, topology)?;
    let Some(node) = primary(topology, asked.shard) else {
        let message = format!("shard \"{}\" has no primary at present", topology.shard(asked.shard).name);
        return Err(SqlError::fatal(SqlState::CANNOT_CONNECT_NOW, message));
    };
    if !fence.allows_node(topology, node) {
        return Err(fence.region_refusal(topology, node));
    }
    let place = topology.node(node);
    let address = address(topology, node);
    let parameters: Vec<(&str, &str)> =
        asked.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let login = Login {
        address: &address,
        host: &place.host,
        tls: &live.server.tls,
        user: &account.user,
        database: &topology.shard(asked.shard).database,
        secret: account.secret.as_ref(),
        parameters: &parameters,
        timeout: live.server.connect_timeout,
    };
    let greeting = login::connect(&login).await.map_err(|error| error.to_sql())?;
    let lost = |error: std::io::Error| SqlError::fatal(SqlState::CONNECTION_FAILURE, error.to_string());
    let peer = greeting.connection.stream.peer_address().map_err(lost)?;
    let key = ServerKey::new(&login, node, peer, greeting.pid, greeting.secret);
    Ok((greeting.connection, Arc::new(key), greeting.parameters))
}

/// The start-up packet taken apart.
#[derive(Debug)]
struct Asked {
    shard: ShardId,
    /// For the server: all but what is Meridian's.
    parameters: Vec<(String, String)>,
}

impl Asked {
    fn of(hello: &ClientHello, topology: &Topology) -> Result<Self, SqlError> {
        let mut asked = Self { shard: topology.default_shard, parameters: Vec::new() };
        for (name, value) in &hello.parameters {
            match name.as_str() {
                "user" | "database" => {}
                "options" => {
                    let mut options = Vec::new();
                    for (option, value) in parse_options(value)? {
                        match option.eq_ignore_ascii_case(SHARD_OPTION) {
                            true => asked.shard = shard_named(topology, &value)?,
                            false => options.push(format!("-c {option}={}", escaped(&value))),
                        }
                    }
                    if !options.is_empty() {
                        asked.parameters.push(("options".to_owned(), options.join(" ")));
                    }
                }
                _ => asked.parameters.push((name.clone(), value.clone())),
            }
        }
        Ok(asked)
    }
}

fn shard_named(topology: &Topology, name: &str) -> Result<ShardId, SqlError> {
    topology.shard_named(name).ok_or_else(|| {
        let message = format!("invalid value for parameter \"{SHARD_OPTION}\": \"{name}\"");
        SqlError::fatal(SqlState::INVALID_PARAMETER_VALUE, message).hint("SHOW SHARDS lists them.")
    })
}

/// A value as it stands in `options`: blanks and backslashes behind a backslash.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c == '\\' || c.is_whitespace() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
