//! From an accepted socket to a session: negotiation, admission, the greeting.
//!
//! ```text
//!   negotiate ─▶ cancel request: served, done
//!            └─▶ admit (`admission`) ─▶ settings of the start-up packet judged by a server
//!                                  ─▶ ParameterStatus…, BackendKeyData, ReadyForQuery ─▶ Session::run
//!                                  (the console's database: a ConsoleClient, for the floor above)
//! ```
//!
//! Invariants:
//! 1. Nothing of a stranger reaches a server before he has shown who he is.
//! 2. Everything before ReadyForQuery is bounded in bytes and by `authentication_timeout`, and so is the number of those who
//!    have not said yet who they are: by `clients_max`, apart from those who have.
//! 3. What the client is told of parameters is what the default shard's servers report for its settings.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BytesMut;
use tokio::net::TcpStream;

use super::admission::{Admitted, Door, server_secret};
use super::block::Block;
use super::cancel::{self, CancelTarget};
use super::census::Seat;
use super::console::ConsoleClient;
use super::fence::Fence;
use super::planning::Context;
use super::replication;
use super::shared::{ClientInfo, ClientNames, ClientNotes, Live, Registered, Shared, Worker};
use super::statements::Statements;
use super::{Session, greeting, portals, setting};
use crate::backend::Account;
use crate::backend::settings::DATE_STYLE;
use crate::catalog::Catalog;
use crate::config::User;
use crate::execute::{ClientStream, Told};
use crate::figures::Figures;
use crate::plan::PlanningContext;
use crate::wire::credential::LoginSecret;
use crate::wire::encode;
use crate::wire::encoding::Encoding;
use crate::wire::error::{Severity, SqlError, SqlState};
use crate::wire::frame::Limits;
use crate::wire::secret::Secret;
use crate::wire::startup::{ClientHello, Opening, StartupError, negotiate};
use crate::wire::stream::Connection;

/// The database in which the console answers.
pub const CONSOLE_DATABASE: &str = "meridian";

/// So many who ask for the console come in beyond `clients_max`: an operator can make room.
const CONSOLE_RESERVED: usize = 3;

/// Serves one accepted socket to its end. Whoever may use the console and asked for it is returned instead: what happens
/// there is not a session's matter.
pub async fn serve(worker: Rc<Worker>, socket: TcpStream) -> Option<ConsoleClient> {
    // What a welcome needs is let go of before the session runs.
    match Box::pin(receive(worker, socket)).await? {
        Guest::Console(client) => Some(client),
        Guest::Session(served) => {
            served.run().await;
            None
        }
    }
}

/// Who has been let in.
enum Guest {
    Console(ConsoleClient),
    Session(Served),
}

/// A greeted session; counted for as long as it is served.
struct Served {
    session: Box<Session>,
    worker: Rc<Worker>,
    seat: Option<Seat>,
    counted: Counted,
}

impl Served {
    async fn run(self) {
        let Self { session, worker, seat, counted } = self;
        worker.sessions.set(worker.sessions.get() + 1);
        session.run().await;
        worker.sessions.set(worker.sessions.get() - 1);
        drop((seat, counted));
    }
}

async fn receive(worker: Rc<Worker>, socket: TcpStream) -> Option<Guest> {
    let address = socket.peer_addr().ok();
    let shared = Arc::clone(&worker.shared);
    let Some(arriving) = Counted::new(&shared, |figures| &figures.arriving, 0) else {
        note_full(&shared, None);
        turn_away(socket);
        return None;
    };
    let mut connection = Connection::new(socket);
    let deadline = tokio::time::Instant::now() + shared.live.load().proxy.authentication_timeout;
    let limits = client_limits(&worker);
    let live = shared.live.load_full();
    let opening = match negotiate(&mut connection, live.tls.as_ref(), &limits, deadline).await {
        Ok(opening) => opening,
        Err(error) => {
            tracing::debug!(%error, "a client did not come to its login");
            refuse(connection, &error).await;
            return None;
        }
    };
    let hello = match opening {
        Opening::Cancel(key) => {
            cancel::cancel(&shared, &key).await;
            return None;
        }
        Opening::Session(hello) => hello,
    };
    let reserved = if hello.database == CONSOLE_DATABASE { CONSOLE_RESERVED } else { 0 };
    let Some(counted) = Counted::new(&shared, |figures| &figures.clients, reserved) else {
        note_full(&shared, Some(&hello.user));
        refuse(connection, &StartupError::Refused(too_many())).await;
        return None;
    };
    drop(arriving);
    let newcomer = Newcomer { connection, hello, address, counted };
    match welcome(&worker, newcomer, deadline).await {
        Ok(guest) => guest,
        Err(error) => {
            tracing::debug!(%error, "a client was not let in");
            None
        }
    }
}

fn too_many() -> SqlError {
    SqlError::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
}

fn note_full(shared: &Shared, user: Option<&str>) {
    if let Some(held_back) = shared.throttles.clients.admit(std::time::Instant::now()) {
        let limit = shared.live.load().proxy.clients_max;
        tracing::info!(user, limit, held_back, "a client is refused: [proxy] clients_max is reached");
    }
}

/// A login that failed, by the words that its client is told. Limits have lines of their own.
fn note_refused(shared: &Shared, hello: &ClientHello, address: Option<SocketAddr>, error: &StartupError) {
    let StartupError::Refused(error) = error else { return };
    if error.sqlstate.class() == SqlState::TOO_MANY_CONNECTIONS.class() {
        return;
    }
    if let Some(held_back) = shared.throttles.login.admit(std::time::Instant::now()) {
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        let (user, database) = (hello.user.as_str(), hello.database.as_str());
        let (sqlstate, reason) = (error.sqlstate.to_string(), error.message.as_str());
        tracing::info!(user, database, address, sqlstate, reason, held_back, "a login failed");
    }
}

/// Tells a stranger that there are too many of them, if that is possible without waiting: no more of them are waited for.
fn turn_away(socket: TcpStream) {
    let mut message = BytesMut::new();
    encode::server::error_response(&mut message, &too_many());
    // The bare socket does not block. It is the stranger's loss if the words do not fit.
    let _ = socket.into_std().and_then(|mut socket| socket.write(&message));
}

type Counter = fn(&Figures) -> &AtomicU32;

/// One among the counted ones, of which there may be `clients_max`; counted out again, whatever happens to it.
pub(super) struct Counted {
    shared: Arc<Shared>,
    counter: Counter,
}

impl Counted {
    /// None: there are as many as there may be, and `reserved` more.
    fn new(shared: &Arc<Shared>, counter: Counter, reserved: usize) -> Option<Self> {
        let before = counter(&shared.figures).fetch_add(1, Ordering::AcqRel);
        let counted = Self { shared: Arc::clone(shared), counter };
        ((before as usize) < shared.live.load().proxy.clients_max + reserved).then_some(counted)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.shared.figures).fetch_sub(1, Ordering::AcqRel);
    }
}

/// A client that has said who it is and what it wants.
struct Newcomer {
    connection: Connection,
    hello: ClientHello,
    address: Option<SocketAddr>,
    counted: Counted,
}

fn client_limits(worker: &Worker) -> Limits {
    let client_message_bytes = worker.shared.live.load().proxy.message_bytes_max;
    Limits { client_message_bytes, ..Limits::default() }
}

async fn refuse(connection: Connection, error: &StartupError) {
    if let Some(error) = error.to_sql() {
        connection.refuse(&error).await;
    }
}

async fn welcome(
    worker: &Rc<Worker>,
    newcomer: Newcomer,
    deadline: tokio::time::Instant,
) -> Result<Option<Guest>, StartupError> {
    let Newcomer { mut connection, hello, address, counted } = newcomer;
    let shared = Arc::clone(&worker.shared);
    let live = shared.live.load_full();
    let replication = match replication::mode(&hello) {
        Ok(mode) => mode,
        Err(error) => {
            refuse(connection, &StartupError::Refused(error.clone())).await;
            return Err(error.into());
        }
    };
    let door = Door {
        shared: &shared,
        live: &live,
        hello: &hello,
        address,
        limits: client_limits(worker),
        deadline,
        replication,
    };
    let mut admitted = match door.admit(&mut connection).await {
        Ok(admitted) => admitted,
        Err(error) => {
            note_refused(&shared, &hello, address, &error);
            refuse(connection, &error).await;
            return Err(error);
        }
    };
    let seat = admitted.seat.take();
    if replication.is_some() {
        replicate(worker, connection, &hello, admitted).await;
        return Ok(None);
    }
    if hello.database == CONSOLE_DATABASE {
        return Ok(Some(Guest::Console(at_the_console(worker, connection, &hello, admitted, counted))));
    }
    let mut session = match open(worker, connection, &hello, admitted) {
        Ok(session) => Box::new(session),
        Err(refused) => {
            let (connection, error) = *refused;
            refuse(connection, &StartupError::Refused(error)).await;
            return Ok(None);
        }
    };
    let greeted = session.greet(hello.cancel_secret_bytes()).await;
    match greeted {
        Ok(()) => Ok(Some(Guest::Session(Served { session, worker: Rc::clone(worker), seat, counted }))),
        Err(error) => {
            session.tell_fatal(&error).await;
            session.close().await;
            Ok(None)
        }
    }
}

async fn replicate(worker: &Rc<Worker>, connection: Connection, hello: &ClientHello, admitted: Admitted) {
    let registered = register(&worker.shared, hello, &admitted);
    worker.figures.connections.one();
    let Admitted { user, secret, output, .. } = admitted;
    let catalog = worker.shared.catalog.current();
    let (fence, account) = (fence_of(&user), account(&user, secret, &catalog));
    let client = replication::Client {
        connection,
        hello,
        account: &account,
        fence: &fence,
        registered: &registered,
        output,
    };
    replication::serve(worker, client).await;
}

fn fence_of(user: &User) -> Fence {
    Fence { read_only: user.read_only, regions: user.regions.as_deref().map(Rc::from) }
}

fn at_the_console(
    worker: &Worker,
    connection: Connection,
    hello: &ClientHello,
    admitted: Admitted,
    counted: Counted,
) -> ConsoleClient {
    let registered = register(counted.shared(), hello, &admitted);
    worker.figures.connections.one();
    let stream = client_stream(worker, connection, admitted.output, None);
    ConsoleClient::new(stream, registered, counted)
}

type Refused = (Connection, SqlError);

fn open(
    worker: &Rc<Worker>,
    connection: Connection,
    hello: &ClientHello,
    admitted: Admitted,
) -> Result<Session, Box<Refused>> {
    let (settings, initial_encoding) = match greeting::startup_settings(hello) {
        Ok((settings, encoding)) => (Rc::new(settings), encoding),
        Err(error) => return Err(Box::new((connection, error))),
    };
    let fence = fence_of(&admitted.user);
    if let Err(error) = settings.iter().try_for_each(|(name, value)| fence.check_value(name, value)) {
        return Err(Box::new((connection, error.severity(Severity::Fatal))));
    }
    let shared = &worker.shared;
    let (topology, live) = (shared.topology.load_full(), shared.live.load_full());
    let own = setting::default_own(&live.session, &topology, initial_encoding);
    let registered = register(shared, hello, &admitted);
    worker.figures.connections.one();
    let Admitted { user, secret, output, .. } = admitted;
    let catalog = shared.catalog.current();
    let planning = PlanningContext { catalog, search_path: [].into(), topology: Arc::clone(&topology) };
    let mut session = Session {
        limits: client_limits(worker),
        client: client_stream(worker, connection, output, initial_encoding),
        told: Told::default(),
        user: hello.user.as_str().into(),
        fence,
        pool_user: worker.pool_name(&pool_name(&user), planning.catalog.defaults.of(server_user(&user))),
        account: Rc::new(account(&user, secret, &planning.catalog)),
        initial: Rc::clone(&settings),
        initial_encoding,
        told_encoding: initial_encoding,
        settings,
        own,
        own_at_start: Vec::new(),
        statements: Statements::default(),
        portals: portals::Portals::default(),
        block: Block::None,
        lanes: Vec::new(),
        pin: None,
        tokens: vec![None; topology.shards.len()],
        context: Context { planning, id: 0, turn: 0 },
        cancel: Arc::clone(&registered.cancel),
        info: Arc::clone(&registered.info),
        _registered: registered,
        late: BytesMut::new(),
        cursors: Default::default(),
        familiar: 0,
        following: Default::default(),
        held: super::held::HeldSessions::default(),
        temporary: Default::default(),
        temporary_touched: false,
        set_by_functions: Default::default(),
        placeholders: Default::default(),
        asks: super::planning::Asks::Nothing,
        skipping: false,
        request: super::Request::Extended,
        behind: 0,
        awaiting_sync: false,
        begun_at: Default::default(),
        passage: Default::default(),
        last_tag: Default::default(),
        worker: Rc::clone(worker),
        live,
    };
    session.follow_definitions();
    session.follow_settings();
    Ok(session)
}

/// `output`: what is still to be said.
fn client_stream(
    worker: &Worker,
    connection: Connection,
    output: BytesMut,
    encoding: Option<&'static Encoding>,
) -> ClientStream {
    let Connection { stream, input } = connection;
    let mut client =
        ClientStream::new(stream, input, Arc::clone(&worker.figures), Rc::clone(&worker.buffers));
    client.outbox = output;
    client.set_encoding(encoding, &client_limits(worker));
    client
}

/// Who the user is on the servers.
fn account(user: &User, secret: Option<LoginSecret>, catalog: &Catalog) -> Account {
    Account {
        user: server_user(user).to_owned(),
        secret,
        read_only: user.read_only,
        pool_size: user.pool_size,
        defaults: Arc::clone(catalog.defaults.of(server_user(user))),
    }
}

/// The account of a client who has logged in before a reload, with the password of its servers as the file has it now.
pub(super) fn renewed(account: &Rc<Account>, name: &str, live: &Live) -> Rc<Account> {
    let entry = User::find(&live.users, name).filter(|user| {
        let user = user.server_user.as_deref().unwrap_or(name);
        user == account.user
    });
    let Some(secret) = entry.and_then(server_secret) else { return Rc::clone(account) };
    Rc::new(Account {
        user: account.user.clone(),
        secret: Some(secret),
        defaults: Arc::clone(&account.defaults),
        ..**account
    })
}

/// Users share the connections of their account on the servers, but for those whose connections begin differently,
/// or are counted apart. No two kinds of users have one name, whatever roles are called.
fn pool_name(user: &User) -> String {
    let own = match user.pool_size {
        Some(_) => format!(" for {}", quoted(&user.name)),
        None => String::new(),
    };
    let kind = if user.read_only { " (read-only)" } else { "" };
    format!("{}{own}{kind}", quoted(server_user(user)))
}

fn server_user(user: &User) -> &str {
    user.server_user.as_deref().unwrap_or(&user.name)
}

/// A name in which nothing can be read that is not a name.
fn quoted(name: &str) -> Cow<'_, str> {
    match name.contains([' ', '"']) {
        true => Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))),
        false => Cow::Borrowed(name),
    }
}

/// Puts the client among the connected ones, with a cancel key of its own.
fn register(shared: &Arc<Shared>, hello: &ClientHello, admitted: &Admitted) -> Registered {
    let id = next_client_id(shared);
    let secret: Vec<u8> = (0..hello.cancel_secret_bytes()).map(|_| rand::random()).collect();
    let cancel = Arc::new(CancelTarget::new(Secret::new(secret)));
    shared.cancels.insert(id, Arc::clone(&cancel));
    let application_name =
        hello.parameters.iter().find(|(name, _)| name == "application_name").map(|(_, v)| v.clone());
    let notes =
        ClientNotes { application_name: application_name.unwrap_or_default(), ..ClientNotes::default() };
    let who = ClientNames {
        user: hello.user.clone(),
        database: hello.database.clone(),
        address: admitted.address.clone(),
        access: admitted.access.clone(),
    };
    let info = Arc::new(ClientInfo::new(id, who, notes));
    shared.clients.insert(id, Arc::clone(&info));
    Registered { info, cancel, shared: Arc::clone(shared) }
}

pub(super) const CLIENT_IDS: std::ops::RangeInclusive<u32> = 1 << 30..=i32::MAX as u32;

/// Ids are unique among the connected clients, and above every process id that a server may have: Linux counts to 2^22,
/// other systems to less. As PostgreSQL's they are positive numbers of 32 bits.
fn next_client_id(shared: &Shared) -> u32 {
    loop {
        let id = rand::random_range(CLIENT_IDS);
        if !shared.cancels.contains_key(&id) {
            return id;
        }
    }
}

impl Session {
    /// Tells the client what its servers report, its cancel key, and that it may begin.
    async fn greet(&mut self, _secret_bytes: usize) -> Result<(), SqlError> {
        self.take_own_settings().map_err(|error| error.severity(Severity::Fatal))?;
        let (reports, application) = self.learn_greeting().await?;
        self.told = Told::new(Rc::clone(&reports));
        if let Some(application) = application {
            self.told.learn(b"application_name", application.as_bytes());
        }
        if let Some(whole) = self.whole_date_style().filter(|_| self.initial.get(DATE_STYLE).is_some()) {
            Rc::make_mut(&mut self.settings).set(DATE_STYLE, whole);
        }
        self.settings = self.worker.greetings.borrow_mut().shared(&self.settings);
        self.initial = Rc::clone(&self.settings);
        let initial = Rc::clone(&self.initial);
        initial.iter().for_each(|(name, _)| self.note_placeholder(name));
        let out = &mut self.client.outbox;
        for (name, _) in reports.iter() {
            let value = self.told.get(name).unwrap_or_default();
            encode::server::parameter_status(out, name.as_bytes(), value);
        }
        encode::server::backend_key_data(out, self.info.id, self.cancel.secret.expose());
        encode::server::ready_for_query(out, self.block.status());
        self.client.flush().await.map_err(|_| SqlError::fatal(SqlState::CONNECTION_FAILURE, "client is gone"))
    }
}
