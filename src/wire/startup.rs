//! The first words of a client: encryption requests, cancel requests, the start-up packet; then authentication.
//!
//! Called by `server` for every accepted socket, before a `session` exists.
//!
//! ```text
//!   accept ─▶ negotiate ─┬─▶ Opening::Cancel(key)           the connection has no other use
//!                        └─▶ Opening::Session(ClientHello)
//!                              └─▶ authenticate ─▶ AuthenticationOk is in `output`, session begins
//! ```
//!
//! Whatever fails comes back as a [`StartupError`]; the caller decides what the client is told
//! ([`StartupError::to_sql`], [`Connection::refuse`]) and what the log says.
//!
//! Invariants:
//! 1. Before authentication no more is buffered than [`Limits`] allows for packets and passwords, plus one read.
//! 2. Bytes that follow an encryption request before its answer end the connection: they may have been injected
//!    by who sits between, and would count as sent by the client (CVE-2021-23214).
//! 3. Each encryption request is answered once; a second one is an unsupported protocol, as in PostgreSQL.
//!    After a handshake nothing but what came through it is read.
//! 4. Nothing waits beyond the deadline that the caller gives.
//!
//! Not here: what is shown and demanded in a handshake (`tls`). Which users and databases exist is the configuration's.
//! Source: `ProcessStartupPacket` in PostgreSQL's backend, and its `auth.c`.

use std::io;

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::credential::{Credential, LoginSecret, Method};
use super::encode::server;
use super::error::{SqlError, SqlState};
use super::frame::{Frame, Limits, Phase};
use super::frontend::{FirstPacket, Password, ProtocolVersion, SaslInitialResponse, StartupPacket};
use super::reader::DecodeError;
use super::scram::server::{AwaitClientFirst, Binding};
use super::scram::{self, MECHANISM, MECHANISM_PLUS, MockKey, ScramError};
use super::secret::Secret;
use super::stream::{Connection, ReadError, Stream};
use super::tls::{self, Acceptor};

/// The newest version that is spoken. 3.1 differs from 3.0 in name only, 3.2 in the length of cancel keys.
pub const NEWEST_VERSION: ProtocolVersion = ProtocolVersion::V3_2;

/// What a client came for.
#[derive(Debug)]
pub enum Opening {
    Session(ClientHello),
    Cancel(CancelKey),
}

/// Names a session to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelKey {
    pub pid: u32,
    pub secret: Secret,
}

/// What the start-up packet said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The version that is spoken from here on, at most [`NEWEST_VERSION`].
    pub version: ProtocolVersion,
    pub user: String,
    /// The user's name if the client named none.
    pub database: String,
    /// The other parameters (settings, `options`, `replication`) in order, each name once with its last value.
    pub parameters: Vec<(String, String)>,
}

impl ClientHello {
    /// How long the secret of this client's cancel key is.
    pub fn cancel_secret_bytes(&self) -> usize {
        if self.version >= ProtocolVersion::V3_2 { 32 } else { 4 }
    }
}

/// Why there is no session.
#[derive(Debug, Error)]
pub enum StartupError {
    /// The client left; before its first byte (`midway` false) this is how health checks behave.
    #[error("the client closed the connection during start-up")]
    Closed { midway: bool },
    #[error("canceling authentication due to timeout")]
    Timeout,
    #[error("connection to the client failed: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Refused(SqlError),
}

impl StartupError {
    /// What the client is told, if it is still there.
    pub fn to_sql(&self) -> Option<SqlError> {
        match self {
            StartupError::Closed { .. } | StartupError::Io(_) => None,
            StartupError::Timeout => Some(SqlError::fatal(SqlState::QUERY_CANCELED, self.to_string())),
            StartupError::Refused(error) => Some(error.clone()),
        }
    }
}

impl From<SqlError> for StartupError {
    fn from(error: SqlError) -> Self {
        StartupError::Refused(error.severity(super::error::Severity::Fatal))
    }
}

impl From<DecodeError> for StartupError {
    fn from(error: DecodeError) -> Self {
        SqlError::from(error).into()
    }
}

impl From<ScramError> for StartupError {
    fn from(error: ScramError) -> Self {
        SqlError::from(error).into()
    }
}

impl From<ReadError> for StartupError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed { midway } => StartupError::Closed { midway },
            ReadError::Timeout => StartupError::Timeout,
            ReadError::Io(error) => StartupError::Io(error),
            ReadError::Frame(error) => SqlError::from(error).into(),
        }
    }
}

/// Reads first packets until one says what the client came for, and answers those before it. Without `tls` encryption is
/// declined. Not cancel safe: answers may have been sent.
pub async fn negotiate(
    connection: &mut Connection,
    tls: Option<&Acceptor>,
    limits: &Limits,
    deadline: Instant,
) -> Result<Opening, StartupError> {
    let mut asked = Vec::with_capacity(2);
    if let Some(tls) = tls
        && connection.begins_with(HANDSHAKE, deadline).await?
    {
        // PostgreSQL 17's way: no request, but the protocol's name in the handshake.
        accept_handshake(connection, tls, deadline).await?;
        if !connection.stream.names_protocol(tls::is_for_postgres) {
            return Err(SqlError::fatal(
                SqlState::PROTOCOL_VIOLATION,
                "received direct SSL connection request without ALPN protocol negotiation extension",
            )
            .into());
        }
        asked.push(EncryptionRequest::Ssl);
    }
    loop {
        let bytes = read_first_packet(connection, limits, deadline).await?;
        let request = match FirstPacket::decode(&bytes)? {
            FirstPacket::SslRequest => EncryptionRequest::Ssl,
            FirstPacket::GssEncRequest => EncryptionRequest::GssEnc,
            FirstPacket::Cancel(cancel) => {
                return Ok(Opening::Cancel(CancelKey {
                    pid: cancel.pid,
                    secret: Secret::new(cancel.secret),
                }));
            }
            FirstPacket::Unsupported(version) => return Err(unsupported(version).into()),
            FirstPacket::Startup(packet) => {
                let hello = hello(&packet)?;
                if tls.is_some_and(|tls| tls.required) && !connection.stream.is_encrypted() {
                    return Err(unencrypted(&hello).into());
                }
                negotiate_version(connection, &packet, hello.version, deadline).await?;
                return Ok(Opening::Session(hello));
            }
        };
        if asked.contains(&request) {
            return Err(unsupported(request.as_version()).into());
        }
        asked.push(request);
        answer_encryption_request(connection, request, tls, deadline).await?;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EncryptionRequest {
    Ssl,
    GssEnc,
}

impl EncryptionRequest {
    fn as_version(self) -> ProtocolVersion {
        match self {
            EncryptionRequest::Ssl => ProtocolVersion::from_code(super::frontend::SSL_REQUEST_CODE),
            EncryptionRequest::GssEnc => ProtocolVersion::from_code(super::frontend::GSSENC_REQUEST_CODE),
        }
    }

    fn too_early(self) -> &'static str {
        match self {
            EncryptionRequest::Ssl => "received unencrypted data after SSL request",
            EncryptionRequest::GssEnc => "received unencrypted data after GSSAPI encryption request",
        }
    }
}

/// Encrypts, or declines. Whoever sent more than the request is refused, whatever the answer: nothing but an attacker
/// or a broken client speaks before it knows how.
async fn answer_encryption_request(
    connection: &mut Connection,
    request: EncryptionRequest,
    tls: Option<&Acceptor>,
    deadline: Instant,
) -> Result<(), StartupError> {
    let early = !connection.input.is_empty();
    let tls =
        tls.filter(|_| request == EncryptionRequest::Ssl && !early && !connection.stream.is_encrypted());
    if let Some(tls) = tls {
        connection.write(b"S", deadline).await?;
        return accept_handshake(connection, tls, deadline).await;
    }
    connection.write(b"N", deadline).await?;
    if early {
        let detail = "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.";
        return Err(SqlError::fatal(SqlState::PROTOCOL_VIOLATION, request.too_early()).detail(detail).into());
    }
    Ok(())
}

/// The first byte of a TLS handshake, and of no packet: no packet is so long.
const HANDSHAKE: u8 = 0x16;

async fn accept_handshake(
    connection: &mut Connection,
    tls: &Acceptor,
    deadline: Instant,
) -> Result<(), StartupError> {
    let Some(socket) = connection.stream.take_plain() else {
        return Err(StartupError::Closed { midway: true });
    };
    let accept = TlsAcceptor::from(tls.config()).accept(socket);
    let stream = timeout_at(deadline, accept).await.map_err(|_| StartupError::Timeout)??;
    connection.stream = Stream::Accepted(Box::new(stream));
    Ok(())
}

/// In the words of a `pg_hba.conf` that has `hostssl` lines only.
fn unencrypted(hello: &ClientHello) -> SqlError {
    let ClientHello { user, database, .. } = hello;
    SqlError::fatal(
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        format!("user \"{user}\" may not use database \"{database}\" without encryption"),
    )
    .hint("Connect with sslmode=require or stricter.")
}

/// A packet without a tag, its length word taken off.
async fn read_first_packet(
    connection: &mut Connection,
    limits: &Limits,
    deadline: Instant,
) -> Result<BytesMut, StartupError> {
    loop {
        if let Some(word) = connection.input.first_chunk::<4>() {
            let length = u32::from_be_bytes(*word) as usize;
            if length < 8 || length - 4 > limits.startup_bytes {
                return Err(DecodeError::StartupLength.into());
            }
            if connection.input.len() >= length {
                connection.input.advance(4);
                return Ok(connection.input.split_to(length - 4));
            }
        }
        connection.fill(deadline).await?;
    }
}

fn unsupported(version: ProtocolVersion) -> SqlError {
    let ProtocolVersion { major, minor } = version;
    let ProtocolVersion { major: newest_major, minor: newest_minor } = NEWEST_VERSION;
    SqlError::fatal(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "unsupported frontend protocol {major}.{minor}: server supports 3.0 to {newest_major}.{newest_minor}"
        ),
    )
}

fn hello(packet: &StartupPacket<'_>) -> Result<ClientHello, SqlError> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in packet.parameters.iter().filter(|(name, _)| !name.starts_with(b"_pq_.")) {
        let (name, value) = (utf8(name)?, utf8(value)?);
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => parameters.push((name, value)),
        }
    }
    let user = take(&mut parameters, "user").ok_or_else(|| {
        let message = "no PostgreSQL user name specified in startup packet";
        SqlError::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
    })?;
    let database = take(&mut parameters, "database").unwrap_or_else(|| user.clone());
    Ok(ClientHello { version: packet.version.min(NEWEST_VERSION), user, database, parameters })
}

/// Takes a parameter out; an empty one counts as none.
fn take(parameters: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let index = parameters.iter().position(|(known, _)| known == name)?;
    Some(parameters.remove(index).1).filter(|value| !value.is_empty())
}

fn utf8(bytes: &[u8]) -> Result<String, SqlError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
        let text = String::from_utf8_lossy(bytes);
        SqlError::fatal(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("startup parameter \"{text}\" is not UTF-8"),
        )
    })
}

/// Tells a client that asked for more what it gets: the version that is spoken, the options that are not.
async fn negotiate_version(
    connection: &mut Connection,
    packet: &StartupPacket<'_>,
    version: ProtocolVersion,
    deadline: Instant,
) -> Result<(), StartupError> {
    let unknown: Vec<String> = packet.protocol_options().map(utf8).collect::<Result<_, _>>()?;
    if packet.version <= NEWEST_VERSION && unknown.is_empty() {
        return Ok(());
    }
    let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
    let mut message = BytesMut::new();
    server::negotiate_protocol_version(&mut message, version, &unknown);
    Ok(connection.write(&message, deadline).await?)
}

/// Who wants in, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub method: Method,
    pub user: &'a str,
    /// `None` if there is no such user, which a client must not be able to tell from a wrong password. Under
    /// [`Method::Md5`] it is asked for md5; where all users have verifiers, [`Method::Scram`] is the one to use.
    pub credential: Option<&'a Credential>,
    pub mock: &'a MockKey,
    /// `tls-server-end-point` of the connection, if it is encrypted.
    pub channel_binding: Option<&'a [u8]>,
}

/// Lets the client show who it is. On success AuthenticationOk is appended to `output`, unsent, so that it leaves in
/// one write with the rest of the greeting; what is returned opens the user's own account on servers that store the same
/// credential. Not cancel safe: challenges may have been sent.
pub async fn authenticate(
    connection: &mut Connection,
    candidate: &Candidate<'_>,
    limits: &Limits,
    deadline: Instant,
    output: &mut BytesMut,
) -> Result<Option<LoginSecret>, StartupError> {
    let mut conversation = Conversation { connection, limits, deadline };
    let scram_stored = matches!(candidate.credential, Some(Credential::Scram(_)));
    let shown = match candidate.method {
        Method::Trust => match candidate.credential {
            Some(Credential::Md5(hash)) => Some(LoginSecret::Md5(hash.clone())),
            _ => None,
        },
        Method::Cleartext => Some(conversation.cleartext(candidate).await?),
        Method::Md5 if !scram_stored => conversation.md5(candidate).await?,
        Method::Md5 | Method::Scram => Some(conversation.scram(candidate, output).await?),
    };
    server::authentication_ok(output);
    Ok(shown)
}

fn wrong_password(user: &str) -> SqlError {
    SqlError::fatal(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

struct Conversation<'a> {
    connection: &'a mut Connection,
    limits: &'a Limits,
    deadline: Instant,
}

impl Conversation<'_> {
    async fn ask(&mut self, phase: Phase, write: impl FnOnce(&mut BytesMut)) -> Result<Frame, StartupError> {
        let mut request = BytesMut::new();
        write(&mut request);
        self.connection.write(&request, self.deadline).await?;
        Ok(self.connection.read_frontend(phase, self.limits, self.deadline).await?)
    }

    async fn cleartext(&mut self, candidate: &Candidate<'_>) -> Result<LoginSecret, StartupError> {
        let frame = self.ask(Phase::Password, server::authentication_cleartext_password).await?;
        let password = Secret::new(password(&frame)?);
        let user = candidate.user.to_owned();
        let credential = match candidate.credential {
            Some(credential) => credential.clone(),
            None => Credential::Scram(candidate.mock.verifier(&user)),
        };
        let shown = LoginSecret::Password(password.clone());
        // Milliseconds of hashing: not on the thread that carries the other sessions.
        let matches =
            tokio::task::spawn_blocking(move || credential.matches_cleartext(&user, &password)).await;
        if matches!(matches, Ok(true)) { Ok(shown) } else { Err(wrong_password(candidate.user).into()) }
    }

    async fn md5(&mut self, candidate: &Candidate<'_>) -> Result<Option<LoginSecret>, StartupError> {
        let salt: [u8; 4] = rand::random();
        let frame =
            self.ask(Phase::Password, |buffer| server::authentication_md5_password(buffer, salt)).await?;
        let answer = password(&frame)?;
        let matches = |credential: &&Credential| credential.matches_md5(candidate.user, salt, answer);
        match candidate.credential.filter(matches) {
            Some(Credential::Md5(hash)) => Ok(Some(LoginSecret::Md5(hash.clone()))),
            Some(Credential::Plain { password, .. }) => Ok(Some(LoginSecret::Password(password.clone()))),
            Some(Credential::Scram(_)) | None => Err(wrong_password(candidate.user).into()),
        }
    }

    /// Leaves the server's last word in `output`.
    async fn scram(
        &mut self,
        candidate: &Candidate<'_>,
        output: &mut BytesMut,
    ) -> Result<LoginSecret, StartupError> {
        let verifier = candidate.credential.and_then(Credential::verifier);
        let nonce = scram::nonce(rand::random());
        let offered: &[&str] = match candidate.channel_binding {
            Some(_) => &[MECHANISM_PLUS, MECHANISM],
            None => &[MECHANISM],
        };
        let mut frame = self.ask(Phase::Sasl, |buffer| server::authentication_sasl(buffer, offered)).await?;
        let initial = SaslInitialResponse::decode(frame.body())?;
        let binding = match (initial.mechanism, candidate.channel_binding) {
            (name, Some(data)) if name == MECHANISM_PLUS.as_bytes() => Binding::Bound(data),
            (name, Some(_)) if name == MECHANISM.as_bytes() => Binding::Declined,
            (name, None) if name == MECHANISM.as_bytes() => Binding::Unavailable,
            _ => {
                let message = "client selected an invalid SASL authentication mechanism";
                return Err(SqlError::fatal(SqlState::PROTOCOL_VIOLATION, message).into());
            }
        };
        let state = AwaitClientFirst::new(candidate.user, verifier, candidate.mock, nonce).bound(binding);
        let (state, challenge) = match initial.response {
            Some(first) => state.on_client_first(first)?,
            None => {
                frame =
                    self.ask(Phase::Sasl, |buffer| server::authentication_sasl_continue(buffer, b"")).await?;
                state.on_client_first(frame.body())?
            }
        };
        let proof = self
            .ask(Phase::Sasl, |buffer| server::authentication_sasl_continue(buffer, challenge.as_bytes()))
            .await?;
        match state.on_client_final(proof.body()) {
            Ok(proven) => {
                server::authentication_sasl_final(output, proven.answer.as_bytes());
                Ok(LoginSecret::Scram(proven.keys))
            }
            Err(ScramError::WrongProof) => Err(wrong_password(candidate.user).into()),
            Err(error) => Err(error.into()),
        }
    }
}

fn password(frame: &Frame) -> Result<&[u8], StartupError> {
    let password = Password::decode(frame.body())?.password;
    if password.is_empty() {
        let message = "empty password returned by client";
        return Err(SqlError::fatal(SqlState::INVALID_PASSWORD, message).into());
    }
    Ok(password)
}

#[cfg(test)]
mod tests;
