//! Reads one server's catalogs into [`CatalogParts`], with a few queries in one snapshot.
//!
//! Called by the control plane for each shard's primary at start, after DDL and when the fingerprint has changed. The
//! texts are in `queries`; `rows` makes values of what they give.
//!
//! A client waits for it behind each of its DDL statements, and the server may be far away: everything is asked in one
//! round trip, of statements that are prepared once, and without the functions that PostgreSQL itself has.
//!
//! Invariants:
//! 1. All queries of a load see one snapshot (REPEATABLE READ), and `CatalogParts::fingerprint` belongs to it.
//! 2. Statements are prepared anew where their plans were made for much smaller catalogs.
//!
//! Not here: connecting, deadlines, comparing shards.

use std::collections::HashMap;

use futures_util::future::{join, try_join, try_join_all, try_join3};
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement};

use super::cells::Cells;
use super::defaults::Begun;
use super::parts::CatalogParts;
use super::queries::{self, Query};
use super::rows;
use super::snapshot::FunctionInfo;
use crate::sql::name::ObjectName;

/// Relations, functions and types that are held for one server: a catalog of this size is some gigabyte.
const OBJECTS_MAX: usize = 1_000_000;

/// The oldest `server_version_num` whose catalogs are known.
const VERSION_MIN: u32 = 130_000;

/// Plans are good for catalogs that have grown no further: relations for each that there was, and this many more.
const GROWTH_MAX: (usize, usize) = (2, 100);

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the catalogs: {0}")]
    Server(#[from] tokio_postgres::Error),
    #[error("cannot read the catalogs: {0}")]
    Value(Box<dyn std::error::Error + Send + Sync>),
    #[error("the catalogs hold more than {OBJECTS_MAX} {0}")]
    TooMany(&'static str),
    #[error("the server's version {0} is older than 13")]
    TooOld(u32),
    #[error("the catalogs do not say which database this is")]
    NoDatabase,
}

impl LoadError {
    pub(super) fn value(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Value(error.into())
    }
}

/// Reads one server's catalogs over one connection, again and again.
#[derive(Debug)]
pub struct CatalogReader {
    /// Whether it reads the functions that PostgreSQL itself has, too.
    reads_built_in: bool,
    /// In the order of [`Query::ALL`]; empty before the first load.
    statements: Vec<Statement>,
    /// Relations that there were when the statements were prepared.
    planned_for: usize,
    /// The functions that PostgreSQL itself has, as of the first load.
    built_in: HashMap<ObjectName, FunctionInfo>,
}

/// What the queries gave.
pub(super) struct Answers<R> {
    /// `server_version_num`
    pub version: u32,
    /// What the session has begun with.
    pub begun: Vec<Begun>,
    /// In the order of [`Query::ALL`].
    pub rows: Vec<Vec<R>>,
}

impl<R: Cells> Answers<R> {
    pub fn of(&self, query: Query) -> &[R] {
        self.rows.get(query as usize).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn fingerprint(&self) -> Result<u64, LoadError> {
        let [row] = self.of(Query::Fingerprint) else { return Err(LoadError::NoDatabase) };
        Ok(row.cell::<i64>(0)?.cast_unsigned())
    }

    pub fn same_fingerprint(&self, other: &[R]) -> Result<bool, LoadError> {
        let [row] = other else { return Err(LoadError::NoDatabase) };
        Ok(self.fingerprint()? == row.cell::<i64>(0)?.cast_unsigned())
    }

    /// An error if there is more than may be held.
    pub fn check_size(&self) -> Result<(), LoadError> {
        let too_many = Query::ALL.into_iter().find(|query| self.of(*query).len() > OBJECTS_MAX);
        too_many.map_or(Ok(()), |query| Err(LoadError::TooMany(query.what())))
    }
}

impl CatalogReader {
    /// Of the shards, plans are made for the default one's catalogs: only there need `built_in` functions be known.
    pub fn new(built_in: bool) -> Self {
        let (statements, planned_for) = (Vec::new(), 0);
        Self { reads_built_in: built_in, statements, planned_for, built_in: HashMap::new() }
    }

    /// A number that changes when the catalogs may have changed; one query.
    pub async fn fingerprint(&self, client: &Client) -> Result<u64, LoadError> {
        let row = match self.statements.get(Query::Fingerprint as usize) {
            Some(statement) => client.query_one(statement, &[]).await?,
            None => client.query_one(Query::Fingerprint.text(), &[]).await?,
        };
        Ok(row.try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// Reads everything; always with the same connection. After an error or a cancellation that one may be left in a
    /// transaction: drop both.
    pub async fn load(&mut self, client: &Client) -> Result<CatalogParts, LoadError> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}; SHOW server_version_num; SET LOCAL search_path = pg_catalog; \
             SET LOCAL lock_timeout = '2s'",
            queries::DEFAULTS
        );
        // Futures send when they are polled first: this one before the others.
        let (begun, asked) = join(client.simple_query(&begin), self.ask(client)).await;
        let (version, begun) = read_begun(&begun?)?;
        if version < VERSION_MIN {
            return Err(LoadError::TooOld(version));
        }
        let answers = Answers { version, begun, rows: asked? };
        answers.check_size()?;
        let parts = rows::interpret(&answers, self.built_in.clone())?;
        let (times, more) = GROWTH_MAX;
        if parts.relations.len() > self.planned_for * times + more {
            self.planned_for = parts.relations.len();
            self.statements.clear();
        }
        Ok(parts)
    }

    /// The rows of every query, and the end of the transaction.
    async fn ask(&mut self, client: &Client) -> Result<Vec<Vec<Row>>, LoadError> {
        let mut built_in = Vec::new();
        if self.statements.is_empty() {
            let prepared = try_join_all(Query::ALL.map(|query| client.prepare(query.text())));
            let asked = async {
                match self.reads_built_in && self.built_in.is_empty() {
                    true => client.query(queries::BUILT_IN, &[]).await,
                    false => Ok(Vec::new()),
                }
            };
            (self.statements, built_in) = try_join(prepared, asked).await?;
        }
        let asked = try_join_all(self.statements.iter().map(|statement| client.query(statement, &[])));
        // While the server plans what it is asked: this one has sent its questions when it is polled first.
        let read = async { Ok(rows::add_functions(&mut self.built_in, &built_in)) };
        let (rows, (), read) = try_join3(asked, client.batch_execute("ROLLBACK"), read).await?;
        read?;
        Ok(rows)
    }
}

/// `server_version_num`, and the settings with which the session has begun.
fn read_begun(messages: &[SimpleQueryMessage]) -> Result<(u32, Vec<Begun>), LoadError> {
    let mut rows: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect();
    // The version was asked for last.
    let version = rows.pop().and_then(|row| row.get(0)).and_then(|version| version.parse().ok());
    let begun = rows.into_iter().map(Begun::read).collect::<Result<_, _>>()?;
    Ok((version.unwrap_or(0), begun))
}
