//! Connecting to a server: socket, start-up, authentication, and what the server says of itself; and cancelling.
//!
//! Called by `backend` when a pool needs one more connection, and when a client cancels.
//!
//! Invariants:
//! 1. An error that the server raised comes back whole, SQLSTATE and all ([`LoginError::Server`]).
//! 2. What does not speak PostgreSQL's protocol is named as such, and never makes us buffer more than
//!    `GREETING_BYTES_MAX` or wait beyond the time given.
//! 3. A server that began SCRAM must finish it: AuthenticationOk before its proven signature is refused.
//! 4. Bytes that came after ReadyForQuery stay in the connection's `input`.
//!
//! Not here: what makes a server trustworthy (`tls`); retries, pools and which
//! node to choose (`backend`).

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::backend::{Authentication, BackendKeyData, ParameterStatus, ReadyForQuery, TransactionStatus};
use super::credential::{LoginSecret, md5_answer, md5_answer_to};
use super::encode::client;
use super::error::{SqlError, SqlState};
use super::frame::{Frame, FrameError, HEADER_BYTES, Limits};
use super::frontend::ProtocolVersion;
use super::reader::DecodeError;
use super::scram::client::{AwaitServerFinal, AwaitServerFirst, ServerBinding};
use super::scram::{self, MECHANISM, MECHANISM_PLUS, ScramError};
use super::secret::Secret;
use super::stream::{Connection, ReadError, Stream};
use super::tls::{self, Connector};

/// Where to connect and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// `host:port`.
    pub address: &'a str,
    /// The name that the server's certificate must be for, under `verify-full`.
    pub host: &'a str,
    pub tls: &'a Connector,
    pub user: &'a str,
    pub database: &'a str,
    pub secret: Option<&'a LoginSecret>,
    /// Further start-up parameters, such as `application_name`.
    pub parameters: &'a [(&'a str, &'a str)],
    /// For all of it, from the socket to ReadyForQuery.
    pub timeout: Duration,
}

/// A server that is ready for its first query.
#[derive(Debug)]
pub struct ServerGreeting {
    /// The stream, and what came after the greeting.
    pub connection: Connection,
    /// The settings that the server reports, in its order.
    pub parameters: Vec<(String, String)>,
    pub pid: u32,
    pub secret: Secret,
    /// Notices that came with the greeting.
    pub notices: Vec<SqlError>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum LoginError {
    #[error("could not connect to the server at {address}: {source}")]
    Unreachable { address: String, source: io::Error },
    #[error("the server at {address} did not answer in time")]
    Timeout { address: String },
    #[error("the server at {address} closed the connection during start-up")]
    Closed { address: String },
    #[error("the connection to the server at {address} failed during start-up: {source}")]
    Io { address: String, source: io::Error },
    #[error("the server at {address} does not speak the PostgreSQL protocol")]
    NotPostgres { address: String },
    #[error("the server at {address} sent a malformed message during start-up: {reason}")]
    Protocol { address: String, reason: String },
    #[error("the server at {address} asks for a password and none is configured")]
    PasswordRequired { address: String },
    /// What the client has shown is enough for another method than that which the server asks for.
    #[error(
        "the server at {address} asks for {asked}, and what is known of the client's password serves for {known} only"
    )]
    OtherMethod { address: String, asked: &'static str, known: &'static str },
    /// The client's keys are of another verifier than the server's, or the server has none for this role.
    #[error(
        "the server at {address} does not store the verifier of role \"{user}\" that the client was checked against"
    )]
    OtherVerifier { address: String, user: String },
    #[error("the server at {address} asks for an authentication method that is not supported ({method})")]
    Method { address: String, method: String },
    #[error("no encrypted connection to the server at {address}: {reason}")]
    Tls { address: String, reason: String },
    #[error("authentication with the server at {address} failed: {reason}")]
    Scram { address: String, reason: ScramError },
    /// The server said no; its own words.
    #[error("{0}")]
    Server(SqlError),
}

impl LoginError {
    /// As an error for clients and logs. That of the server keeps its SQLSTATE.
    pub fn to_sql(&self) -> SqlError {
        let own = |state, hint: &str| SqlError::fatal(state, self.to_string()).hint(hint);
        match self {
            LoginError::Server(error) => error.clone(),
            LoginError::Unreachable { .. }
            | LoginError::Timeout { .. }
            | LoginError::Closed { .. }
            | LoginError::Io { .. } => own(
                SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                "Check that the server is running and that this address accepts TCP/IP connections.",
            ),
            LoginError::NotPostgres { .. } | LoginError::Protocol { .. } => {
                own(SqlState::PROTOCOL_VIOLATION, "Check the address: something else may be listening there.")
            }
            LoginError::Tls { .. } => own(
                SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                "Check [server] tls and tls_ca_file against the server's certificate.",
            ),
            LoginError::PasswordRequired { .. } => own(
                SqlState::INVALID_PASSWORD,
                "Set the password of the user with which the servers are reached.",
            ),
            LoginError::OtherMethod { .. } => own(
                SqlState::INVALID_PASSWORD,
                "Let all servers ask for the method of the stored password, or give the user a server_user and a \
                 server_password.",
            ),
            LoginError::OtherVerifier { .. } => own(
                SqlState::INVALID_PASSWORD,
                "Give the role the same verifier on every shard: ALTER ROLE … PASSWORD 'SCRAM-SHA-256$…', as pg_authid has \
                 it. After a change of the password, connect again.",
            ),
            LoginError::Method { .. } => own(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "Use scram-sha-256, md5, password or trust for this user in the server's pg_hba.conf.",
            ),
            LoginError::Scram { .. } => own(
                SqlState::INVALID_PASSWORD,
                "Check the password, and that the server is the one that it should be.",
            ),
        }
    }
}

/// Connects and authenticates. Not cancel safe in the sense that the connection is lost; nothing else is.
pub async fn connect(login: &Login<'_>) -> Result<ServerGreeting, LoginError> {
    let deadline = Instant::now() + login.timeout;
    let address = || login.address.to_owned();
    let socket = match timeout_at(deadline, TcpStream::connect(login.address)).await {
        Err(_) => return Err(LoginError::Timeout { address: address() }),
        Ok(Err(source)) => return Err(LoginError::Unreachable { address: address(), source }),
        Ok(Ok(socket)) => socket,
    };
    let limits = Limits { server_message_bytes: GREETING_MESSAGE_BYTES_MAX, ..Limits::default() };
    let mut connection = Connection::new(socket);
    encrypt(&mut connection, login, deadline).await?;
    let mut greeter = Greeter { login, connection, limits, deadline, received: 0 };
    greeter.send_startup().await?;
    greeter.expect_postgres().await?;
    greeter.authenticate().await?;
    greeter.await_ready().await
}

/// Encrypts the connection, as far as is configured and the server can.
async fn encrypt(
    connection: &mut Connection,
    login: &Login<'_>,
    deadline: Instant,
) -> Result<(), LoginError> {
    let Some(config) = login.tls.config() else { return Ok(()) };
    let address = || login.address.to_owned();
    let failed = |error: ReadError| match error {
        ReadError::Timeout => LoginError::Timeout { address: address() },
        ReadError::Io(source) => LoginError::Io { address: address(), source },
        ReadError::Closed { .. } | ReadError::Frame(_) => LoginError::Closed { address: address() },
    };
    let mut request = BytesMut::new();
    client::ssl_request(&mut request);
    connection.write(&request, deadline).await.map_err(failed)?;
    while connection.input.is_empty() {
        connection.fill(deadline).await.map_err(failed)?;
    }
    let answer = connection.input.split_to(1);
    match answer[0] {
        // More than the answer has come: not from the server, which waits for the handshake.
        b'S' if !connection.input.is_empty() => Err(LoginError::Protocol {
            address: address(),
            reason: "unencrypted data after SSL request".to_owned(),
        }),
        b'S' => {
            let refused = |reason: String| LoginError::Tls { address: address(), reason };
            let name =
                ServerName::try_from(login.host.to_owned()).map_err(|error| refused(error.to_string()))?;
            let Some(socket) = connection.stream.take_plain() else {
                return Err(refused("no socket".to_owned()));
            };
            let handshake = timeout_at(deadline, TlsConnector::from(config).connect(name, socket)).await;
            let stream = handshake.map_err(|_| LoginError::Timeout { address: address() })?;
            connection.stream =
                Stream::Connected(Box::new(stream.map_err(|error| refused(error.to_string()))?));
            Ok(())
        }
        b'N' if login.tls.is_required() => {
            Err(LoginError::Tls { address: address(), reason: "the server does not encrypt".to_owned() })
        }
        b'N' => Ok(()),
        _ => Err(LoginError::NotPostgres { address: address() }),
    }
}

/// Asks the server to cancel what the session with this key is doing, and waits until the server has taken note
/// (it closes the connection). Whether something was cancelled is not told.
pub async fn cancel(target: &CancelTarget<'_>, pid: u32, secret: &Secret, time: Duration) -> io::Result<()> {
    let CancelTarget { address, host, tls } = *target;
    timeout(time, async {
        let mut connection = Connection::new(TcpStream::connect(address).await?);
        let login = Login {
            address,
            host,
            tls,
            user: "",
            database: "",
            secret: None,
            parameters: &[],
            timeout: time,
        };
        let encrypted = encrypt(&mut connection, &login, Instant::now() + time).await;
        encrypted.map_err(|error| io::Error::other(error.to_string()))?;
        let mut request = BytesMut::new();
        client::cancel_request(&mut request, pid, secret.expose());
        tokio::io::AsyncWriteExt::write_all(&mut connection.stream, &request).await?;
        tokio::io::AsyncWriteExt::flush(&mut connection.stream).await?;
        let mut sink = [0; 64];
        loop {
            match connection.stream.read(&mut sink).await {
                // Some servers end the connection hard; they have read the request all the same.
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    })
    .await?
}

/// Where a cancel request goes.
#[derive(Debug, Clone, Copy)]
pub struct CancelTarget<'a> {
    pub address: &'a str,
    pub host: &'a str,
    pub tls: &'a Connector,
}

struct Greeter<'a> {
    login: &'a Login<'a>,
    connection: Connection,
    limits: Limits,
    deadline: Instant,
    received: usize,
}

impl Greeter<'_> {
    async fn send_startup(&mut self) -> Result<(), LoginError> {
        let mut parameters: Vec<(&[u8], &[u8])> =
            vec![(b"user", self.login.user.as_bytes()), (b"database", self.login.database.as_bytes())];
        parameters
            .extend(self.login.parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let mut message = BytesMut::new();
        client::startup(&mut message, ProtocolVersion::V3_0, &parameters);
        self.write(&message).await
    }

    /// Looks at the first bytes of the answer before believing its length.
    async fn expect_postgres(&mut self) -> Result<(), LoginError> {
        while self.connection.input.len() < HEADER_BYTES {
            match self.connection.fill(self.deadline).await {
                Err(ReadError::Closed { midway: true }) => return Err(self.not_postgres()),
                other => other.map_err(|error| self.failed(error))?,
            }
        }
        let input = &self.connection.input;
        let length =
            input.get(1..).and_then(|rest| rest.first_chunk::<4>()).map(|word| u32::from_be_bytes(*word));
        let credible = length.is_some_and(|length| (8..=GREETING_MESSAGE_BYTES_MAX as u32).contains(&length));
        match input.first() {
            Some(b'R' | b'N' | b'v' | b'E') if credible => Ok(()),
            Some(b'E') => Err(self.plain_error().await),
            _ => Err(self.not_postgres()),
        }
    }

    /// Before a server has a process for us it may send `E` and a plain text: out of memory, too many processes.
    async fn plain_error(&mut self) -> LoginError {
        while self.connection.input.last() != Some(&0)
            && self.connection.input.len() < self.limits.startup_bytes
        {
            if self.connection.fill(self.deadline).await.is_err() {
                break;
            }
        }
        let text =
            std::str::from_utf8(&self.connection.input[1..]).ok().and_then(|text| text.strip_suffix('\0'));
        match text.map(str::trim) {
            Some(text) if !text.is_empty() && !text.contains(char::is_control) => {
                LoginError::Server(SqlError::fatal(SqlState::CANNOT_CONNECT_NOW, text))
            }
            _ => self.not_postgres(),
        }
    }

    async fn authenticate(&mut self) -> Result<(), LoginError> {
        loop {
            let frame = self.next().await?;
            if frame.tag != b'R' {
                self.aside(&frame)?;
                continue;
            }
            let mut message = BytesMut::new();
            match Authentication::decode(frame.body()).map_err(|error| self.malformed(error))? {
                Authentication::Ok => return Ok(()),
                Authentication::CleartextPassword => {
                    let LoginSecret::Password(password) = self.secret()? else {
                        return Err(self.other_method("the password in clear"));
                    };
                    client::password(&mut message, password.expose());
                }
                Authentication::Md5Password { salt } => {
                    let answer = match self.secret()? {
                        LoginSecret::Password(password) => md5_answer(self.login.user, password, salt),
                        LoginSecret::Md5(hash) => md5_answer_to(hash, salt),
                        LoginSecret::Scram(_) => return Err(self.other_method("md5")),
                    };
                    client::password(&mut message, answer.expose());
                }
                Authentication::Sasl(mechanisms) => {
                    if !mechanisms.iter().any(|name| name == MECHANISM.as_bytes()) {
                        let names: Vec<_> = mechanisms.iter().map(String::from_utf8_lossy).collect();
                        return Err(self.method(names.join(", ")));
                    }
                    let plus = mechanisms.iter().any(|name| name == MECHANISM_PLUS.as_bytes());
                    return self.scram(plus).await;
                }
                Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => {
                    return Err(self.protocol("a SASL message came before SASL began"));
                }
                Authentication::Other(code) => return Err(self.method(format!("request {code}"))),
            }
            self.write(&message).await?;
        }
    }

    /// `plus`: the server offers to bind the exchange to the channel.
    async fn scram(&mut self, plus: bool) -> Result<(), LoginError> {
        let secret = self.secret()?.clone();
        let by_keys = matches!(secret, LoginSecret::Scram(_));
        if matches!(secret, LoginSecret::Md5(_)) {
            return Err(self.other_method("SCRAM"));
        }
        let certificate = self.connection.stream.peer_certificate();
        let data = certificate.map(tls::channel_binding).transpose();
        let data = data.map_err(|error| self.protocol(&error.to_string()))?;
        let (mechanism, binding) = match &data {
            Some(data) if plus => (MECHANISM_PLUS, ServerBinding::Bound(data)),
            Some(_) => (MECHANISM, ServerBinding::NotOffered),
            None => (MECHANISM, ServerBinding::Impossible),
        };
        let (state, first) = AwaitServerFirst::start(scram::nonce(rand::random()), binding);
        let mut message = BytesMut::new();
        client::sasl_initial_response(&mut message, mechanism.as_bytes(), Some(first.as_bytes()));
        self.write(&message).await?;

        let challenge = self.next_authentication().await?;
        let Authentication::SaslContinue(data) = self.decode(&challenge)? else {
            return Err(self.protocol("expected AuthenticationSASLContinue"));
        };
        let answered = match secret {
            LoginSecret::Scram(keys) => state.on_server_first_with_keys(data, &keys),
            LoginSecret::Password(password) | LoginSecret::Md5(password) => {
                let data = data.to_vec();
                // Milliseconds of hashing: not on the thread that carries the sessions.
                let answered = tokio::task::spawn_blocking(move || state.on_server_first(&data, &password));
                answered.await.map_err(|_| self.protocol("the proof could not be computed"))?
            }
        };
        let (state, proof): (AwaitServerFinal, String) =
            answered.map_err(|reason| self.scram_failed(reason))?;
        message.clear();
        client::sasl_response(&mut message, proof.as_bytes());
        self.write(&message).await?;

        let last = match self.next_authentication().await {
            // Same salt, other keys: the verifier was made of another password.
            Err(LoginError::Server(error)) if by_keys && error.sqlstate == SqlState::INVALID_PASSWORD => {
                return Err(self.scram_failed(ScramError::OtherVerifier));
            }
            last => last?,
        };
        let Authentication::SaslFinal(data) = self.decode(&last)? else {
            return Err(self.protocol("expected AuthenticationSASLFinal"));
        };
        state.on_server_final(data).map_err(|reason| self.scram_failed(reason))?;
        let ok = self.next_authentication().await?;
        match self.decode(&ok)? {
            Authentication::Ok => Ok(()),
            _ => Err(self.protocol("expected AuthenticationOk")),
        }
    }

    async fn await_ready(mut self) -> Result<ServerGreeting, LoginError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut key = None;
        let mut notices = Vec::new();
        loop {
            let frame = self.next().await?;
            match frame.tag {
                b'S' => {
                    let status =
                        ParameterStatus::decode(frame.body()).map_err(|error| self.malformed(error))?;
                    let name = String::from_utf8_lossy(status.name).into_owned();
                    let value = String::from_utf8_lossy(status.value).into_owned();
                    parameters.retain(|(known, _)| *known != name);
                    parameters.push((name, value));
                }
                b'K' => {
                    let data = BackendKeyData::decode(frame.body()).map_err(|error| self.malformed(error))?;
                    key = Some((data.pid, Secret::new(data.secret)));
                }
                b'N' => {
                    notices.push(SqlError::parse(frame.body()).map_err(|error| self.malformed(error))?);
                }
                b'Z' => {
                    let ready = ReadyForQuery::decode(frame.body()).map_err(|error| self.malformed(error))?;
                    if ready.status != TransactionStatus::Idle {
                        return Err(self.protocol("the session does not start idle"));
                    }
                    // Poolers in between may give no key; then nothing can be cancelled there.
                    let (pid, secret) = key.unwrap_or_default();
                    return Ok(ServerGreeting {
                        connection: self.connection,
                        parameters,
                        pid,
                        secret,
                        notices,
                    });
                }
                _ => self.aside(&frame)?,
            }
        }
    }

    /// What may come at any time during start-up and is no answer to anything.
    fn aside(&self, frame: &Frame) -> Result<(), LoginError> {
        match frame.tag {
            b'E' => Err(match SqlError::parse(frame.body()) {
                Ok(error) => LoginError::Server(error),
                Err(error) => self.malformed(error),
            }),
            b'N' | b'v' => Ok(()),
            tag => Err(self.protocol(&format!("unexpected message \"{}\"", tag.escape_ascii()))),
        }
    }

    async fn next_authentication(&mut self) -> Result<Frame, LoginError> {
        loop {
            let frame = self.next().await?;
            if frame.tag == b'R' {
                return Ok(frame);
            }
            self.aside(&frame)?;
        }
    }

    async fn next(&mut self) -> Result<Frame, LoginError> {
        let frame = self.connection.read_backend(&self.limits, self.deadline).await;
        let frame = frame.map_err(|error| self.failed(error))?;
        self.received += frame.bytes.len();
        if self.received > GREETING_BYTES_MAX {
            return Err(self.protocol("the greeting is too long"));
        }
        Ok(frame)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), LoginError> {
        self.connection.write(bytes, self.deadline).await.map_err(|error| self.failed(error))
    }

    fn decode<'f>(&self, frame: &'f Frame) -> Result<Authentication<'f>, LoginError> {
        Authentication::decode(frame.body()).map_err(|error| self.malformed(error))
    }

    fn secret(&self) -> Result<&LoginSecret, LoginError> {
        self.login.secret.ok_or_else(|| LoginError::PasswordRequired { address: self.address() })
    }

    fn other_method(&self, asked: &'static str) -> LoginError {
        let known = match self.login.secret {
            Some(LoginSecret::Md5(_)) => "md5",
            Some(LoginSecret::Scram(_)) => "SCRAM",
            Some(LoginSecret::Password(_)) | None => "nothing",
        };
        LoginError::OtherMethod { address: self.address(), asked, known }
    }

    fn address(&self) -> String {
        self.login.address.to_owned()
    }

    fn not_postgres(&self) -> LoginError {
        LoginError::NotPostgres { address: self.address() }
    }

    fn method(&self, method: String) -> LoginError {
        LoginError::Method { address: self.address(), method }
    }

    fn scram_failed(&self, reason: ScramError) -> LoginError {
        if reason == ScramError::OtherVerifier {
            return LoginError::OtherVerifier { address: self.address(), user: self.login.user.to_owned() };
        }
        LoginError::Scram { address: self.address(), reason }
    }

    fn malformed(&self, error: DecodeError) -> LoginError {
        self.protocol(&error.to_string())
    }

    fn protocol(&self, reason: &str) -> LoginError {
        LoginError::Protocol { address: self.address(), reason: reason.to_owned() }
    }

    fn failed(&self, error: ReadError) -> LoginError {
        let address = self.address();
        match error {
            ReadError::Closed { .. } => LoginError::Closed { address },
            ReadError::Timeout => LoginError::Timeout { address },
            ReadError::Io(source) => LoginError::Io { address, source },
            ReadError::Frame(error @ FrameError::InvalidLength { .. }) => self.protocol(&error.to_string()),
            ReadError::Frame(_) => self.not_postgres(),
        }
    }
}

/// PostgreSQL's greeting takes about a kilobyte; errors may carry a long detail.
const GREETING_MESSAGE_BYTES_MAX: usize = 64 << 10;
const GREETING_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests;
