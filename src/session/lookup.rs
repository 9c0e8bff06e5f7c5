//! Users whom the file gives no password of, looked up on a server: `[auth_query]`.
//!
//! Asked by `admission` before a client shows who it is; `admin::reload` forgets everything. Answers are kept for a short
//! time, for all workers.
//!
//! ```text
//!   find: known and fresh? ─▶ answer
//!         else one asks ─▶ primary of the shard, else its other servers ─▶ verifier, md5 hash, nothing, no such user
//!              the others who want the same name wait for that answer
//! ```
//!
//! Invariants:
//! 1. One question per name is under way at a time, and at most [`LINES_MAX`] of all names.
//! 2. Nobody waits for longer than two look-ups may take: whoever has waited takes the answer that came meanwhile, a failure
//!    too.
//! 3. At most `entries_max` answers are kept. When there is no room, what has grown old and who does not exist is
//!    forgotten, and if that does not help, everything.
//! 4. What the query gives is a secret; the log names users and servers' errors only.
//!
//! Not here: what an answer means for a client (`admission`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::config::{AuthQuery, ServerSettings};
use crate::health;
use crate::health::connect::{ControlConnection, ControlError};
use crate::topology::{NodeId, NodeRole, ShardId, Topology};
use crate::wire::credential::Credential;

/// Connections for look-ups, which are also kept: a login costs the server more than the question.
const LINES_MAX: usize = 4;
/// An answer that is younger is not doubted: a wrong password costs a look-up no more often.
const DOUBT_AGE: Duration = Duration::from_secs(1);

/// Classes of errors whose words may have a value in them: data, constraints, and what functions raise.
const QUOTING: [&str; 3] = ["22", "23", "P0"];

/// What a server knows of a name.
#[derive(Debug, Clone)]
pub enum Answer {
    Unknown,
    /// None: there is no password, or one of a kind that cannot be checked.
    Known(Option<Arc<Credential>>),
}

/// Why a name could not be looked up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    #[error("shard \"{0}\" has no server that can be asked")]
    NoServer(String),
    #[error("{0}")]
    Control(Arc<ControlError>),
    /// The server's words are left out: such an error may quote the value that it is about.
    #[error("[auth_query] query failed with SQLSTATE {sqlstate}")]
    Data { sqlstate: String },
    #[error("[auth_query] query must give one row of a name and a password, as text: {0}")]
    Shape(String),
    #[error("no answer within {milliseconds} ms")]
    Timeout { milliseconds: u128 },
}

/// Whom to ask, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    pub query: &'a AuthQuery,
    pub topology: &'a Topology,
    pub server: &'a ServerSettings,
}

/// All that has been looked up.
#[derive(Debug)]
pub struct Lookups {
    places: Mutex<HashMap<String, Arc<Place>>>,
    lines: Semaphore,
    idle: Mutex<Vec<ControlConnection>>,
}

/// One name's answer; locked while it is asked for.
type Place = tokio::sync::Mutex<Option<Kept>>;

#[derive(Debug)]
struct Kept {
    outcome: Result<Answer, LookupError>,
    asked: Instant,
    answered: Instant,
}

impl Kept {
    fn is_fresh(&self, query: &AuthQuery) -> bool {
        match &self.outcome {
            Ok(Answer::Known(_)) => self.asked.elapsed() < query.lifetime,
            Ok(Answer::Unknown) => self.asked.elapsed() < query.unknown_lifetime,
            Err(_) => false,
        }
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self { places: Mutex::default(), lines: Semaphore::new(LINES_MAX), idle: Mutex::default() }
    }
}

impl Lookups {
    /// What a server says of the name, now or a short time ago. Cancel safe: yes, somebody else asks then.
    pub async fn find(&self, name: &str, asking: &Asking<'_>) -> Result<Answer, LookupError> {
        let came = Instant::now();
        let place = self.place(name, asking.query);
        let mut kept = place.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(asking.query) || kept.answered > came) {
            return kept.outcome.clone();
        }
        let asked = Instant::now();
        let bound = asking.query.timeout;
        let outcome = tokio::time::timeout(bound, self.ask(name, asking)).await;
        let late = LookupError::Timeout { milliseconds: bound.as_millis() };
        let outcome = outcome.unwrap_or(Err(late));
        *kept = Some(Kept { outcome: outcome.clone(), asked, answered: Instant::now() });
        outcome
    }

    /// A client has shown something else than the answer says: it may be the answer that is old.
    pub fn doubt(&self, name: &str) {
        let mut places = self.places();
        let is_old = |place: &Arc<Place>| {
            let kept = place.try_lock();
            kept.is_ok_and(|kept| kept.as_ref().is_some_and(|kept| kept.asked.elapsed() > DOUBT_AGE))
        };
        if places.get(name).is_some_and(is_old) {
            places.remove(name);
        }
    }

    /// Forgets everything: who asks and where may have changed.
    pub fn clear(&self) {
        self.places().clear();
        self.idle().clear();
    }

    /// The names that are known now.
    pub fn known(&self, query: &AuthQuery) -> Vec<String> {
        let is_known = |place: &Place| {
            let kept = place.try_lock().ok()?;
            let kept = kept.as_ref().filter(|kept| kept.is_fresh(query))?;
            matches!(kept.outcome, Ok(Answer::Known(_))).then_some(())
        };
        let places = self.places();
        places.iter().filter_map(|(name, place)| is_known(place).map(|()| name.clone())).collect()
    }

    fn place(&self, name: &str, query: &AuthQuery) -> Arc<Place> {
        let mut places = self.places();
        if let Some(place) = places.get(name) {
            return Arc::clone(place);
        }
        if places.len() >= query.entries_max {
            places.retain(|_, place| match place.try_lock() {
                Ok(kept) => kept
                    .as_ref()
                    .is_some_and(|kept| kept.is_fresh(query) && matches!(kept.outcome, Ok(Answer::Known(_)))),
                // It is being asked for.
                Err(_) => true,
            });
            if places.len() >= query.entries_max {
                places.clear();
            }
        }
        let place = Arc::default();
        places.insert(name.to_owned(), Arc::clone(&place));
        place
    }

    async fn ask(&self, name: &str, asking: &Asking<'_>) -> Result<Answer, LookupError> {
        let shard = shard(asking);
        // Nobody closes it.
        let _line = self.lines.acquire().await;
        let mut failure = LookupError::NoServer(asking.topology.shard(shard).name.clone());
        for node in nodes(asking.topology, shard) {
            if let Some(connection) = self.kept_line(node) {
                match question(&connection, name, asking.query).await {
                    // It has lain idle, and may have been closed.
                    Err(LookupError::Control(_)) => {}
                    outcome => return self.keep(connection, outcome),
                }
            }
            match health::connect::connect(asking.topology, node, asking.server).await {
                Ok(connection) => {
                    let outcome = question(&connection, name, asking.query).await;
                    return self.keep(connection, outcome);
                }
                Err(error) => failure = LookupError::Control(Arc::new(error)),
            }
        }
        Err(failure)
    }

    fn kept_line(&self, node: NodeId) -> Option<ControlConnection> {
        let mut idle = self.idle();
        idle.retain(|connection| !connection.is_closed());
        let index = idle.iter().position(|connection| connection.node == node)?;
        Some(idle.swap_remove(index))
    }

    fn keep(
        &self,
        connection: ControlConnection,
        outcome: Result<Answer, LookupError>,
    ) -> Result<Answer, LookupError> {
        let mut idle = self.idle();
        if outcome.is_ok() && idle.len() < LINES_MAX {
            idle.push(connection);
        }
        outcome
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<ControlConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configured shard; a reload may be about to take it away.
fn shard(asking: &Asking<'_>) -> ShardId {
    let topology = asking.topology;
    let named = asking.query.shard.as_ref();
    let index = named.and_then(|name| topology.shards.iter().position(|shard| shard.name == *name));
    index.map_or(topology.default_shard, |index| ShardId(index as u16))
}

/// The shard's servers that answer, the primary first.
fn nodes(topology: &Topology, shard: ShardId) -> Vec<NodeId> {
    let role = |id: &NodeId| topology.node(*id).state.role();
    let nodes = topology.shard(shard).nodes.iter().copied();
    let mut nodes: Vec<NodeId> =
        nodes.filter(|id| matches!(role(id), NodeRole::Primary | NodeRole::Replica)).collect();
    nodes.sort_by_key(|id| role(id) != NodeRole::Primary);
    nodes
}

async fn question(
    connection: &ControlConnection,
    name: &str,
    query: &AuthQuery,
) -> Result<Answer, LookupError> {
    let failed = |error: tokio_postgres::Error| {
        let sqlstate = error.code().map(tokio_postgres::error::SqlState::code).unwrap_or_default();
        match QUOTING.iter().any(|class| sqlstate.starts_with(class)) {
            true => LookupError::Data { sqlstate: sqlstate.to_owned() },
            false => LookupError::Control(Arc::new(connection.error(&error))),
        }
    };
    let statement = connection.prepare(&query.query).await.map_err(failed)?;
    let shape = |reason: &str| Err(LookupError::Shape(reason.to_owned()));
    if statement.columns().len() != 2 {
        return shape("it has another number of columns");
    }
    if statement.params().len() != 1 {
        return shape("it has another number of parameters than $1");
    }
    let rows = match connection.query(&statement, &[&name]).await {
        Ok(rows) => rows,
        // A parameter of another type than a name or a text.
        Err(error) if error.as_db_error().is_none() && !connection.is_closed() => {
            return shape(&error.to_string());
        }
        Err(error) => return Err(failed(error)),
    };
    let row = match rows.as_slice() {
        [] => return Ok(Answer::Unknown),
        [row] => row,
        _ => return shape("it gives several rows"),
    };
    let (Ok(found), Ok(stored)) = (row.try_get::<_, &str>(0), row.try_get::<_, Option<&str>>(1)) else {
        return shape("its columns are of other types");
    };
    if found != name {
        return shape("it gives another name than it was asked for");
    }
    let credential = stored.and_then(Credential::stored).map(Arc::new);
    if stored.is_some_and(|text| !text.is_empty()) && credential.is_none() {
        return shape("the password is neither a SCRAM verifier nor an md5 hash");
    }
    Ok(Answer::Known(credential))
}

/// Whether the query can be run: it is asked for a name that no role can have.
pub async fn check(asking: &Asking<'_>) -> Result<(), LookupError> {
    let lookups = Lookups::default();
    lookups.find("", asking).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(entries_max: usize) -> AuthQuery {
        let second = Duration::from_secs(1);
        let (query, shard) = (String::new(), None);
        AuthQuery {
            query,
            shard,
            lifetime: 30 * second,
            unknown_lifetime: 5 * second,
            entries_max,
            timeout: second,
        }
    }

    fn put(lookups: &Lookups, name: &str, outcome: Result<Answer, LookupError>, query: &AuthQuery) {
        let now = Instant::now();
        *lookups.place(name, query).try_lock().unwrap() = Some(Kept { outcome, asked: now, answered: now });
    }

    #[test]
    fn what_is_kept_is_bounded_and_strangers_go_first() {
        let (lookups, query) = (Lookups::default(), query(3));
        put(&lookups, "ann", Ok(Answer::Known(None)), &query);
        for stranger in ["x", "y", "z", "w"] {
            put(&lookups, stranger, Ok(Answer::Unknown), &query);
            assert!(lookups.places().len() <= 3);
        }
        assert_eq!(lookups.known(&query), ["ann"]);
        for known in ["ben", "eve", "joe", "ida"] {
            put(&lookups, known, Ok(Answer::Known(None)), &query);
            assert!(lookups.places().len() <= 3);
        }
    }

    #[test]
    fn a_young_answer_is_not_doubted() {
        let (lookups, query) = (Lookups::default(), query(3));
        put(&lookups, "ann", Ok(Answer::Known(None)), &query);
        lookups.doubt("ann");
        assert_eq!(lookups.known(&query), ["ann"]);
        let asked = Instant::now().checked_sub(2 * DOUBT_AGE).unwrap();
        let old = Kept { outcome: Ok(Answer::Known(None)), asked, answered: asked };
        *lookups.place("ann", &query).try_lock().unwrap() = Some(old);
        lookups.doubt("ann");
        assert!(lookups.known(&query).is_empty());
    }
}
