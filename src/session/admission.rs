//! The door: whether somebody who has said who it is may come in, and how it shows that it is.
//!
//! Called by `greet` between the start-up packet and the session. In PostgreSQL's order:
//!
//! ```text
//!   access rules ─▶ certificate, password ─▶ known user? known database? ─▶ console only for admins
//!                ─▶ as many clients of this user, and of this database, as there may be?
//! ```
//!
//! Invariants:
//! 1. Who fits no access rule, or one that rejects, learns nothing else: not whether the user or the database exists.
//! 2. The rules hold for the console's database, too.
//! 3. Only who has shown who it is learns of a limit. The console, where an operator makes room, has none.
//! 4. What the method demands is demanded of unknown users in the same way.
//!
//! Not here: what a rule fits (`config::access`), the conversation of each method (`wire::startup`).

use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::time::Instant;

use super::census::{CountedBy, Seat};
use super::greet::CONSOLE_DATABASE;
use super::shared::{Live, Shared};
use crate::config::{AccessMethod, Arrival, AuthMethod, User, Verdict};
use crate::execute::refusals;
use crate::wire::credential::Method;
use crate::wire::error::{Severity, SqlError, SqlState};
use crate::wire::frame::Limits;
use crate::wire::startup::{Candidate, ClientHello, StartupError, authenticate};
use crate::wire::stream::Connection;
use crate::wire::tls::common_name;

/// Where a newcomer is judged, with all that is known of it.
pub(super) struct Door<'a> {
    pub shared: &'a Shared,
    pub live: &'a Live,
    pub hello: &'a ClientHello,
    pub address: Option<SocketAddr>,
    pub limits: Limits,
    pub deadline: Instant,
}

/// A newcomer that may come in.
pub(super) struct Admitted {
    pub user: User,
    pub address: String,
    /// The rule that let it in; None where there are no rules.
    pub access: Option<String>,
    /// AuthenticationOk and what came with it, unsent.
    pub output: BytesMut,
    /// Given back when the client is gone; None at the console.
    pub seat: Option<Seat>,
}

impl Door<'_> {
    pub async fn admit(&self, connection: &mut Connection) -> Result<Admitted, StartupError> {
        let (method, rule) = self.judge(connection)?;
        let user = self.live.users.iter().find(|user| user.name == self.hello.user);
        let mut output = BytesMut::new();
        self.authenticate(connection, method, &mut output).await?;
        self.check_database(user)?;
        let Some(user) = user else { return Err(role_missing(&self.hello.user).into()) };
        Ok(Admitted {
            user: user.clone(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            access: rule.map(|number| format!("{number} {}", method.name())),
            output,
            seat: self.seat(user)?,
        })
    }

    /// The method by which this client must show who it is, and the number of the rule that says so.
    fn judge(&self, connection: &Connection) -> Result<(AccessMethod, Option<usize>), SqlError> {
        let arrival = Arrival {
            address: self.address.map(|address| address.ip()),
            encrypted: connection.stream.is_encrypted(),
            user: &self.hello.user,
            database: &self.hello.database,
        };
        match self.live.access.judge(&arrival) {
            Verdict::Unruled => Ok((AccessMethod::Ask(self.live.proxy.auth), None)),
            Verdict::Ruled(_, AccessMethod::Reject) => {
                Err(turned_away("an access rule rejects connection", &arrival))
            }
            Verdict::Ruled(number, method) => Ok((method, Some(number))),
            Verdict::Unknown => Err(turned_away("no access rule", &arrival)),
        }
    }

    async fn authenticate(
        &self,
        connection: &mut Connection,
        method: AccessMethod,
        output: &mut BytesMut,
    ) -> Result<(), StartupError> {
        let user = self.hello.user.as_str();
        let encrypted = self.live.tls.as_ref().filter(|_| connection.stream.is_encrypted());
        let certified = method == AccessMethod::Certificate;
        if certified || encrypted.is_some_and(|tls| tls.name_is_user) {
            check_certificate(connection, user)?;
        }
        let method = match method {
            AccessMethod::Ask(AuthMethod::ScramSha256) => Method::Scram,
            AccessMethod::Ask(AuthMethod::Md5) => Method::Md5,
            AccessMethod::Ask(AuthMethod::Password) => Method::Cleartext,
            AccessMethod::Ask(AuthMethod::Trust) | AccessMethod::Certificate => Method::Trust,
            AccessMethod::Reject => return Err(role_missing(user).into()),
        };
        let candidate = Candidate {
            method,
            user,
            credential: self.live.credentials.get(user),
            mock: &self.shared.mock,
            channel_binding: encrypted.map(|tls| tls.channel_binding()),
        };
        authenticate(connection, &candidate, &self.limits, self.deadline, output).await
    }

    fn check_database(&self, user: Option<&User>) -> Result<(), SqlError> {
        let ClientHello { user: name, database, parameters, .. } = self.hello;
        if database == CONSOLE_DATABASE {
            if !user.is_some_and(|user| user.admin) {
                let message = format!("user \"{name}\" may not use the console");
                return Err(SqlError::fatal(SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .hint("Set admin = true for this user in the configuration."));
            }
        } else if *database != self.shared.topology.load().database {
            let message = format!("database \"{database}\" does not exist");
            return Err(SqlError::fatal(SqlState::INVALID_CATALOG_NAME, message));
        }
        if parameters.iter().any(|(name, value)| name == "replication" && !says_false(value)) {
            return Err(refusals::REPLICATION.error(&[]).severity(Severity::Fatal));
        }
        Ok(())
    }
}

impl Door<'_> {
    /// In the words of PostgreSQL's limits of roles and databases.
    fn seat(&self, user: &User) -> Result<Option<Seat>, SqlError> {
        let database = self.hello.database.as_str();
        if database == CONSOLE_DATABASE {
            return Ok(None);
        }
        let claims = vec![
            (CountedBy::User(user.name.clone()), user.connections_max),
            (CountedBy::Database(database.to_owned()), self.live.database.connections_max),
        ];
        self.shared.census.seat(claims).map(Some).map_err(|full| {
            let message = match full {
                CountedBy::User(name) => format!("too many connections for role \"{name}\""),
                CountedBy::Database(name) => format!("too many connections for database \"{name}\""),
            };
            SqlError::fatal(SqlState::TOO_MANY_CONNECTIONS, message)
        })
    }
}

/// In the words of PostgreSQL's `ClientAuthentication`, which speaks of entries of `pg_hba.conf`.
fn turned_away(why: &str, arrival: &Arrival<'_>) -> SqlError {
    let host =
        arrival.address.map_or_else(|| "unknown".to_owned(), |address| address.to_canonical().to_string());
    let encryption = if arrival.encrypted { "SSL encryption" } else { "no encryption" };
    let Arrival { user, database, .. } = arrival;
    SqlError::fatal(
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        format!("{why} for host \"{host}\", user \"{user}\", database \"{database}\", {encryption}"),
    )
}

/// As PostgreSQL's `clientcert=verify-full`: the certificate's common name is the user's.
fn check_certificate(connection: &Connection, user: &str) -> Result<(), SqlError> {
    let name = connection.stream.peer_certificate().and_then(common_name);
    if name.as_deref() == Some(user) {
        return Ok(());
    }
    Err(SqlError::fatal(
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        format!("certificate authentication failed for user \"{user}\""),
    )
    .detail("The certificate's common name is not the user's name."))
}

fn role_missing(user: &str) -> SqlError {
    SqlError::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, format!("role \"{user}\" does not exist"))
}

fn says_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "0")
}
