//! The door: whether somebody who has said who it is may come in, and how it shows that it is.
//!
//! Called by `greet` between the start-up packet and the session. In PostgreSQL's order:
//!
//! ```text
//!   access rules ─▶ certificate ─▶ the file's user, or one looked up on a server (`lookup`) ─▶ password
//!                ─▶ known user? known database? ─▶ console only for admins
//!                ─▶ as many clients of this user, and of this database, as there may be?
//! ```
//!
//! Invariants:
//! 1. Who fits no access rule, or one that rejects, learns nothing else: not whether the user or the database exists.
//! 2. The rules hold for the console's database, too.
//! 3. Only who has shown who it is learns of a limit. The console, where an operator makes room, has none.
//! 4. What the method demands is demanded of unknown users in the same way, and whether a server knows a name is not
//!    told.
//! 5. What a client has shown is kept by its own session only: nobody else's connections are made with it.
//!
//! Not here: what a rule fits (`config::access`), the conversation of each method (`wire::startup`).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use super::census::{CountedBy, Seat};
use super::greet::CONSOLE_DATABASE;
use super::lookup::{Answer, Asking};
use super::replication::Mode;
use super::shared::{Live, Shared};
use crate::config::{AccessMethod, Arrival, AuthMethod, User, Verdict};
use crate::wire::credential::{Credential, LoginSecret, Method};
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::Limits;
use crate::wire::secret::Secret;
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
    pub replication: Option<Mode>,
}

/// A newcomer that may come in.
pub(super) struct Admitted {
    /// Its own settings: its name, where those of a pattern count for it.
    pub user: User,
    /// With what servers are logged in to.
    pub secret: Option<LoginSecret>,
    pub address: String,
    /// The rule that let it in; None where there are no rules.
    pub access: Option<String>,
    /// AuthenticationOk and what came with it, unsent.
    pub output: BytesMut,
    /// Given back when the client is gone; None at the console.
    pub seat: Option<Seat>,
}

/// What is known of the name that a newcomer gives.
struct Known {
    /// None: there is no such user.
    user: Option<User>,
    credential: Option<Arc<Credential>>,
    /// A server said so, and takes what the client shows.
    looked_up: bool,
}

/// What the file has the servers asked with.
pub(super) fn server_secret(user: &User) -> Option<LoginSecret> {
    let password = user.server_password.as_ref()?;
    Some(LoginSecret::Password(Secret::new(password.expose())))
}

impl Door<'_> {
    pub async fn admit(&self, connection: &mut Connection) -> Result<Admitted, StartupError> {
        let (method, rule) = self.judge(connection)?;
        self.check_certificate(connection, method)?;
        let known = self.known(method).await?;
        let mut output = BytesMut::new();
        let shown = self.authenticate(connection, method, &known, &mut output).await?;
        self.check_database(known.user.as_ref())?;
        let Some(user) = known.user else { return Err(role_missing(&self.hello.user).into()) };
        let own = user.server_user.as_ref().is_none_or(|account| *account == user.name);
        let secret = server_secret(&user).or_else(|| shown.filter(|_| known.looked_up && own));
        Ok(Admitted {
            secret,
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            access: rule.map(|number| format!("{number} {}", method.name())),
            output,
            seat: self.seat(&user)?,
            user,
        })
    }

    /// The file's entry for this name, or what a server says of it.
    async fn known(&self, method: AccessMethod) -> Result<Known, StartupError> {
        let name = self.hello.user.as_str();
        let entry = User::find(&self.live.users, name);
        let user = entry.map(|entry| User { name: name.to_owned(), ..entry.clone() });
        let by_name = entry.is_some_and(|entry| entry.pattern.is_none());
        let Some(query) = self
            .live
            .auth_query
            .as_ref()
            .filter(|_| !entry.is_some_and(User::has_credential) && (method.asks_password() || !by_name))
        else {
            let credential = entry.and_then(|entry| self.live.credentials.get(&entry.name));
            return Ok(Known { user, credential: credential.map(Arc::clone), looked_up: false });
        };
        if name.len() > NAME_BYTES_MAX {
            return Ok(Known { user: None, credential: None, looked_up: true });
        }
        let topology = self.shared.topology.load_full();
        let asking = Asking { query, topology: &topology, server: &self.live.server };
        match self.shared.lookups.find(name, &asking).await {
            Ok(Answer::Unknown) => Ok(Known { user: None, credential: None, looked_up: true }),
            Ok(Answer::Known(credential)) => {
                let user = user.unwrap_or_else(|| User { name: name.to_owned(), ..User::default() });
                Ok(Known { user: Some(user), credential, looked_up: true })
            }
            Err(error) => {
                if let Some(held_back) = self.shared.throttles.lookup.admit(std::time::Instant::now()) {
                    tracing::warn!(user = name, %error, held_back, "a user could not be looked up");
                }
                Err(lookup_failed(name).into())
            }
        }
    }

    /// The method by which this client must show who it is, and the number of the rule that says so.
    fn judge(&self, connection: &Connection) -> Result<(AccessMethod, Option<usize>), SqlError> {
        let arrival = Arrival {
            address: self.address.map(|address| address.ip()),
            encrypted: connection.stream.is_encrypted(),
            user: &self.hello.user,
            database: self.database_of_rules(),
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

    /// What replicates a whole server is in no database.
    fn database_of_rules(&self) -> &str {
        match self.replication {
            Some(Mode::Physical) => "replication",
            Some(Mode::Database) | None => &self.hello.database,
        }
    }

    fn check_certificate(&self, connection: &Connection, method: AccessMethod) -> Result<(), SqlError> {
        let encrypted = self.live.tls.as_ref().filter(|_| connection.stream.is_encrypted());
        match method == AccessMethod::Certificate || encrypted.is_some_and(|tls| tls.name_is_user) {
            true => check_certificate(connection, &self.hello.user),
            false => Ok(()),
        }
    }

    async fn authenticate(
        &self,
        connection: &mut Connection,
        method: AccessMethod,
        known: &Known,
        output: &mut BytesMut,
    ) -> Result<Option<LoginSecret>, StartupError> {
        let user = self.hello.user.as_str();
        let encrypted = self.live.tls.as_ref().filter(|_| connection.stream.is_encrypted());
        let method = match method {
            AccessMethod::Ask(AuthMethod::ScramSha256) => Method::Scram,
            // Whom no server knows is asked for what most are asked for.
            AccessMethod::Ask(AuthMethod::Md5) if known.looked_up && known.credential.is_none() => {
                Method::Scram
            }
            AccessMethod::Ask(AuthMethod::Md5) => Method::Md5,
            AccessMethod::Ask(AuthMethod::Password) => Method::Cleartext,
            AccessMethod::Ask(AuthMethod::Trust) | AccessMethod::Certificate => Method::Trust,
            AccessMethod::Reject => return Err(role_missing(user).into()),
        };
        let candidate = Candidate {
            method,
            user,
            credential: known.credential.as_deref(),
            mock: &self.shared.mock,
            channel_binding: encrypted.map(|tls| tls.channel_binding()),
        };
        let outcome = authenticate(connection, &candidate, &self.limits, self.deadline, output).await;
        if let Err(StartupError::Refused(error)) = &outcome
            && known.looked_up
            && error.sqlstate == SqlState::INVALID_PASSWORD
        {
            self.shared.lookups.doubt(user);
        }
        outcome
    }

    fn check_database(&self, user: Option<&User>) -> Result<(), SqlError> {
        let ClientHello { user: name, database, .. } = self.hello;
        if self.replication == Some(Mode::Physical) {
            return Ok(());
        }
        if database == CONSOLE_DATABASE {
            if !user.is_some_and(|user| user.admin) {
                let message = format!("user \"{name}\" may not use the console");
                return Err(SqlError::fatal(SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .hint("Set admin = true for this user in the configuration."));
            }
        } else if *database != self.shared.topology.load().database
            && !self.live.database.aliases.fit(database)
        {
            let message = format!("database \"{database}\" does not exist");
            return Err(SqlError::fatal(SqlState::INVALID_CATALOG_NAME, message));
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
            // By whichever of its names it was asked for.
            (
                CountedBy::Database(self.shared.topology.load().database.clone()),
                self.live.database.connections_max,
            ),
        ];
        self.shared.census.seat(claims).map(Some).map_err(|full| {
            self.log_refusal(user, &full);
            let message = match full {
                CountedBy::User(name) => format!("too many connections for role \"{name}\""),
                CountedBy::Database(name) => format!("too many connections for database \"{name}\""),
            };
            SqlError::fatal(SqlState::TOO_MANY_CONNECTIONS, message)
        })
    }
}

impl Door<'_> {
    fn log_refusal(&self, user: &User, full: &CountedBy) {
        let (throttle, key, limit) = match full {
            CountedBy::User(_) => {
                (&self.shared.throttles.user, "[[users]] connections_max", user.connections_max)
            }
            CountedBy::Database(_) => {
                let limit = self.live.database.connections_max;
                (&self.shared.throttles.database, "[database] connections_max", limit)
            }
        };
        if let Some(held_back) = throttle.admit(std::time::Instant::now()) {
            let user = user.name.as_str();
            tracing::info!(user, limit, held_back, "a client is refused: {key} is reached");
        }
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
    let Some(certificate) = connection.stream.peer_certificate() else {
        let message = "connection requires a valid client certificate";
        return Err(SqlError::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    };
    if common_name(certificate).as_deref() == Some(user) {
        return Ok(());
    }
    Err(SqlError::fatal(
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        format!("certificate authentication failed for user \"{user}\""),
    )
    .detail("The certificate's common name is not the user's name."))
}

/// Names a moment's inability, whoever it was: what the server said is for the log.
fn lookup_failed(user: &str) -> SqlError {
    SqlError::fatal(SqlState::CANNOT_CONNECT_NOW, format!("user \"{user}\" could not be looked up"))
        .hint("The server that knows the users did not answer; the log has the reason.")
}

/// PostgreSQL's names end here.
const NAME_BYTES_MAX: usize = 63;

fn role_missing(user: &str) -> SqlError {
    SqlError::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, format!("role \"{user}\" does not exist"))
}
