//! What Meridian takes from the allocator: next to nothing for a statement that is relayed, nothing for a row that is merged,
//! and little for an idle client.
//!
//! Meridian runs within this process, with one worker, and the allocator counts what that thread asks for. Counts are
//! asserted, never times. Work of the worker's own, once a second, is allowed for, and a read buffer that is still held by
//! a statement that waits in line: of some thousand statements it may be a few allocations, but not one for each.
//!
//! One test, because the count is of the whole process.

// Shared with the other tests that need servers (`tests/it`).
#[allow(unused_imports, reason = "a harness offers more than one suite uses")]
#[path = "it/harness/mod.rs"]
mod harness;
#[allow(dead_code, unused_imports, reason = "a stand offers more than one suite uses")]
#[path = "it/stand/mod.rs"]
mod stand;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};

use meridian::config::Config;
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER};
use meridian::server::{Running, Server};

use harness::{TestCluster, cluster, free_port};
use stand::{Kind, Parameter, RawClient, Target, bind, describe, execute, frame, parse, query, sync};

/// Statements of one way of asking: before they count, and that count.
const WARM_UP: usize = 500;
const STATEMENTS: u64 = 4000;
/// Less than one in so many statements; it is one in 100 to 500, and one in 13 where unnamed statements wait in line.
const ALLOCATIONS_MAX: u64 = STATEMENTS / 4;
const IDLE_CLIENTS: usize = 300;
const IDLE_BYTES_MAX: i64 = 8 * 1024;
/// Rows of each of two shards, and how many merged rows may share an allocation: those of a read of a socket.
const ROWS: u64 = 40_000;
const ROWS_PER_ALLOCATION_MIN: u64 = 50;
/// More clients than connections: they wait for each other.
const CROWD: usize = 8;

/// The system's allocator; counts what the watched thread asks for.
struct Counting;

/// The thread's id; 0: none is watched.
static WATCHED: AtomicI32 = AtomicI32::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static THREAD: Cell<i32> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    let watched = WATCHED.load(Ordering::Relaxed);
    let own = || {
        THREAD.try_with(|thread| {
            if thread.get() == 0 {
                // SAFETY: it has no preconditions.
                thread.set(unsafe { libc::gettid() });
            }
            thread.get()
        })
    };
    if watched != 0 && own() == Ok(watched) {
        ALLOCATIONS.fetch_add(allocations, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call is passed on as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, size(layout));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -size(layout));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, i64::try_from(new_size).unwrap_or(i64::MAX) - size(layout));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A Meridian in this process, before two shards.
struct Stand {
    // Stopped before the servers.
    _meridian: Running,
    _cluster: TestCluster,
    target: Target,
}

fn start() -> Stand {
    let cluster = cluster().region("us-east").region("us-west").start();
    let port = free_port();
    let text = format!(
        "[proxy]\nlisten = \"127.0.0.1:{port}\"\nworkers = 1\n[database]\nname = \"{APP_DATABASE}\"\n\
         [server]\nuser = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n[pool]\nsize = 2\n\
         [[users]]\nname = \"{APP_USER}\"\npassword = \"{APP_PASSWORD}\"\n{}\
         [[tables]]\nname = \"accounts\"\nplacement = \"region\"\nkey = \"region\"\n",
        cluster.topology()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let meridian = runtime.block_on(async {
        for region in ["us-east", "us-west"] {
            let table = format!(
                "CREATE TABLE accounts (region text, aid int, PRIMARY KEY (region, aid)); \
                 INSERT INTO accounts SELECT '{region}', aid FROM generate_series(1, {ROWS}) AS made(aid)"
            );
            cluster.direct(region).await.batch_execute(&table).await.expect("a table");
        }
        let config = Config::parse(&text, "allocations", Path::new("/")).expect("a configuration");
        Server::start(config, None).await.expect("a proxy")
    });
    let target = Target { kind: Kind::Meridian, port, database: APP_DATABASE.to_owned() };
    Stand { _meridian: meridian, _cluster: cluster, target }
}

/// The only worker's thread, by its name.
fn worker() -> i32 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let named = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "meridian-0")
    };
    let found: Vec<_> = tasks.filter(named).collect();
    assert_eq!(found.len(), 1, "one worker");
    found[0].file_name().to_string_lossy().parse().expect("a thread's id")
}

/// How a client asks for one row.
type Way = fn(usize) -> Vec<u8>;

fn simple(number: usize) -> Vec<u8> {
    let aid = number % 100 + 1;
    query(&format!("SELECT aid FROM accounts WHERE region = 'us-east' AND aid = {aid};"))
}

const BY_PARAMETERS: &str = "SELECT aid FROM accounts WHERE region = $1 AND aid = $2";

fn execution(statement: &str, number: usize) -> Vec<u8> {
    let aid = (number % 100 + 1).to_string().into_bytes();
    let parameters = [Parameter::Text(b"us-east".to_vec()), Parameter::Text(aid)];
    [bind("", statement, &parameters, &[]), describe(b'P', ""), execute("", 0), sync()].concat()
}

fn unnamed(number: usize) -> Vec<u8> {
    [parse("", BY_PARAMETERS, &[]), execution("", number)].concat()
}

fn named(number: usize) -> Vec<u8> {
    execution("by_aid", number)
}

/// Allocations of the worker while each client in turn has asked; every answer is looked at.
fn allocations(clients: &mut [RawClient], way: Way, statements: usize) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for round in 0..statements / clients.len() {
        // All ask before the first is answered: they wait for a server.
        clients.iter_mut().for_each(|client| client.send(&way(round)));
        for client in clients.iter_mut() {
            let answer = client.until_ready();
            let rows = answer.iter().filter(|message| message.tag == b'D').count();
            assert_eq!(rows, 1, "{answer:?}");
        }
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// Allocations of the worker while rows of both shards are merged.
fn merging(client: &mut RawClient, text: &str) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let answer = client.simple(text);
    let rows = answer.iter().filter(|message| message.tag == b'D').count() as u64;
    assert_eq!(rows, 2 * ROWS, "{text}");
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn relayed_statements_hardly_allocate_and_an_idle_client_keeps_little() {
    let stand = start();
    let connect = || RawClient::connect(&stand.target, &[]).expect("a session");
    WATCHED.store(worker(), Ordering::Relaxed);
    let mut clients: Vec<RawClient> = (0..CROWD).map(|_| connect()).collect();
    for client in &mut clients {
        client.send(&[parse("by_aid", BY_PARAMETERS, &[]), sync()].concat());
        client.until_ready();
    }
    let ways: [(&str, Way); 3] = [("simple", simple), ("unnamed", unnamed), ("named", named)];
    for (name, way) in ways {
        for crowd in [1, CROWD] {
            let clients = &mut clients[..crowd];
            allocations(clients, way, WARM_UP);
            let counted = allocations(clients, way, STATEMENTS as usize);
            assert!(
                counted < ALLOCATIONS_MAX,
                "{counted} of {STATEMENTS} {name} statements, {crowd} clients"
            );
        }
    }
    let merges = [
        "SELECT aid, region FROM accounts ORDER BY aid, region",
        "SELECT aid, region FROM accounts",
        "SELECT aid::numeric / 7, region COLLATE \"C\" AS r FROM accounts ORDER BY 1 DESC, r",
    ];
    for text in merges {
        merging(&mut clients[0], text);
        let counted = merging(&mut clients[0], text);
        assert!(counted < 2 * ROWS / ROWS_PER_ALLOCATION_MIN, "{counted} for {} rows of {text}", 2 * ROWS);
    }
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    let idle: Vec<RawClient> = (0..IDLE_CLIENTS)
        .map(|number| {
            let mut client = connect();
            client.send(&simple(number));
            client.until_ready();
            // What a large message needed is let go of.
            client.send(&query(&format!("SELECT '{}'", "x".repeat(100_000))));
            client.until_ready();
            // An answer after which everything before has been put away.
            client.send(&frame(b'S', b""));
            client.until_ready();
            client
        })
        .collect();
    let each = (LIVE_BYTES.load(Ordering::Relaxed) - before) / idle.len() as i64;
    assert!(each < IDLE_BYTES_MAX, "{each} bytes for an idle client");
}
