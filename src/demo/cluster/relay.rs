//! A TCP relay that stands before a server and can delay, hold and cut its connections.
//!
//! It makes distance felt on one machine (`meridian demo --wan`), and it is how tests break the network. Bytes
//! wait in a delay line: each chunk leaves a fixed time after it came, however many are under way, so a
//! pipelined client pays the distance once. Opening a connection costs a round trip, as it does in life.
//!
//! ```text
//! client ──▶ read ──▶ [chunk, due] [chunk, due] … ──▶ wait until due, and not held ──▶ write ──▶ server
//!        ◀────────────────────── the same again, for the other direction ◀──────────────
//! ```
//!
//! Invariants:
//! 1. Order and content are kept; the end of one direction travels through the line too (half-close).
//! 2. What is under way is bounded (`CHUNKS_MAX` × `CHUNK_BYTES`); beyond it, reading waits.
//! 3. A cut resets connections (RST): neither side can take it for an orderly end.
//!
//! Each relay has a thread and a runtime of its own: a busy client's runtime does not add to the delay.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

const CHUNK_BYTES: usize = 16 << 10;
const CHUNKS_MAX: usize = 256;
/// More than the connections that one small server accepts.
const CONNECTIONS_MAX: usize = 512;

/// A running relay; it ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    control: Option<watch::Sender<Line>>,
    thread: Option<JoinHandle<()>>,
}

/// The state of the line between the two sides.
#[derive(Debug, Clone, Copy)]
struct Line {
    target: SocketAddr,
    one_way: Duration,
    flow: Flow,
    /// Raised to reset the connections of earlier generations.
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Bytes wait and connections stay: the network swallows everything.
    Held,
    /// Connections are reset as soon as they are accepted.
    Cut,
}

impl Relay {
    /// Listens on a free port of the loopback interface, for the server at `target`.
    pub fn start(target: SocketAddr, one_way: Duration) -> io::Result<Self> {
        Self::start_on(std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?, target, one_way)
    }

    /// As `start`, on an address of the caller's choice.
    pub fn start_on(
        listener: std::net::TcpListener,
        target: SocketAddr,
        one_way: Duration,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let line = Line { target, one_way, flow: Flow::Open, generation: 0 };
        let (control, line) = watch::channel(line);
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    serve(listener, line).await;
                }
            });
        })?;
        Ok(Self { address, control: Some(control), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on each byte takes this long in either direction.
    pub fn set_delay(&self, one_way: Duration) {
        self.change(|line| line.one_way = one_way);
    }

    /// New connections go to this server; those that exist stay where they are.
    pub fn set_target(&self, target: SocketAddr) {
        self.change(|line| line.target = target);
    }

    /// Swallows everything from now on, without a word to either side: a partition.
    pub fn hold(&self) {
        self.change(|line| line.flow = Flow::Held);
    }

    /// Resets all connections, and new ones too, until `restore`.
    pub fn cut(&self) {
        self.change(|line| {
            line.flow = Flow::Cut;
            line.generation += 1;
        });
    }

    /// Resets all connections; new ones are welcome.
    pub fn reset_connections(&self) {
        self.change(|line| line.generation += 1);
    }

    /// Undoes `hold` and `cut`. What was held arrives.
    pub fn restore(&self) {
        self.change(|line| line.flow = Flow::Open);
    }

    fn change(&self, apply: impl FnOnce(&mut Line)) {
        if let Some(control) = &self.control {
            control.send_modify(apply);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The closed channel is the order to end.
        self.control = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, mut line: watch::Receiver<Line>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = closed(&mut line) => return,
        };
        let client = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closed(&mut line) => return,
        };
        let (Ok(place), Ok((client, _))) = (place, client) else { continue };
        let line = line.clone();
        tokio::spawn(async move {
            connection(client, line).await;
            drop(place);
        });
    }
}

/// One client's connection, from its acceptance to the end of both directions.
async fn connection(mut client: TcpStream, line: watch::Receiver<Line>) {
    let generation = line.borrow().generation;
    let mut cuts = line.clone();
    let cut = async move {
        // An error is the end of the relay, which resets connections too.
        let _ = cuts.wait_for(|line| line.flow == Flow::Cut || line.generation != generation).await;
    };
    tokio::pin!(cut);
    let server = tokio::select! {
        biased;
        () = &mut cut => Err(io::ErrorKind::ConnectionReset.into()),
        server = open(line.clone()) => server,
    };
    let Ok(mut server) = server else { return reset(&client) };
    let _ = client.set_nodelay(true);
    let outcome = tokio::select! {
        biased;
        () = &mut cut => Err(io::ErrorKind::ConnectionReset.into()),
        outcome = carry(&mut client, &mut server, &line) => outcome,
    };
    if outcome.is_err() {
        reset(&client);
        reset(&server);
    }
}

/// The handshake takes a round trip.
async fn open(mut line: watch::Receiver<Line>) -> io::Result<TcpStream> {
    let one_way = line.borrow().one_way;
    tokio::time::sleep(one_way * 2).await;
    let target = line.wait_for(|line| line.flow != Flow::Held).await.map_err(io::Error::other)?.target;
    let server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    line: &watch::Receiver<Line>,
) -> io::Result<()> {
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let there = direction(client_read, server_write, line.clone());
    let back = direction(server_read, client_write, line.clone());
    tokio::try_join!(there, back).map(|_| ())
}

async fn direction(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    line: watch::Receiver<Line>,
) -> io::Result<()> {
    let (queue, chunks) = mpsc::channel(CHUNKS_MAX);
    tokio::try_join!(take_in(from, queue, line.clone()), give_out(chunks, to, line)).map(|_| ())
}

async fn take_in(
    mut from: impl AsyncRead + Unpin,
    queue: mpsc::Sender<(Instant, Bytes)>,
    line: watch::Receiver<Line>,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK_BYTES);
        let count = from.read_buf(&mut buffer).await?;
        let due = Instant::now() + line.borrow().one_way;
        // An empty chunk stands for the end.
        if queue.send((due, buffer.split().freeze())).await.is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn give_out(
    mut chunks: mpsc::Receiver<(Instant, Bytes)>,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) -> io::Result<()> {
    while let Some((due, chunk)) = chunks.recv().await {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        line.wait_for(|line| line.flow != Flow::Held).await.map_err(io::Error::other)?;
        if chunk.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(&chunk).await?;
    }
    Ok(())
}

/// Resolves when the relay has been dropped.
async fn closed(line: &mut watch::Receiver<Line>) {
    while line.changed().await.is_ok() {}
}

fn reset(stream: &TcpStream) {
    // Without it the end is an orderly one, which a test would notice.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};

    const DELAY: Duration = Duration::from_millis(20);

    /// A server that returns what it reads, reversed in chunks of one connection, until its client's end.
    fn echo() -> SocketAddr {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        stream.write_all(&buffer[..count]).unwrap();
                    }
                    let _ = stream.write_all(b"end");
                });
            }
        });
        address
    }

    fn connect(relay: &Relay) -> StdStream {
        let stream = StdStream::connect(relay.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    #[test]
    fn bytes_are_delayed_in_order_and_half_close_travels() {
        let relay = Relay::start(echo(), DELAY).unwrap();
        let mut stream = connect(&relay);
        let begun = std::time::Instant::now();
        stream.write_all(b"one ").unwrap();
        stream.write_all(b"two ").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "one two end");
        assert!(begun.elapsed() >= DELAY * 4, "a handshake and a round trip, {:?}", begun.elapsed());
    }

    #[test]
    fn held_bytes_arrive_after_restore() {
        let relay = Relay::start(echo(), Duration::ZERO).unwrap();
        let mut stream = connect(&relay);
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        relay.hold();
        stream.write_all(b"y").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stream.read_exact(&mut [0]).is_err());
        relay.restore();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }

    #[test]
    fn cut_resets_connections_until_restore() {
        let relay = Relay::start(echo(), Duration::ZERO).unwrap();
        let mut stream = connect(&relay);
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        relay.cut();
        let error = stream.read_exact(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let refused = StdStream::connect(relay.address()).and_then(|mut stream| stream.read_exact(&mut [0]));
        assert!(refused.is_err());
        relay.restore();
        let mut stream = connect(&relay);
        stream.write_all(b"z").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
}
