//! A client that sees every message as it is: it logs in and then sends and receives frames.
//!
//! Blocking, with a bound on every read: a server that says nothing is an answer, too (`Received::Silence`).

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use meridian::demo::cluster::{APP_PASSWORD, APP_USER};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::message::Message;
use super::{PROTOCOL_3_0, Target, extended, frame, query, startup};

const SILENCE: Duration = Duration::from_secs(15);

/// The tag of what stands for the rows that were not kept: their number, eight bytes. No message has it.
pub const WITHHELD: u8 = 0;

/// What the other side did.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    Message(Message),
    Closed,
    Silence,
}

/// A logged-in connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    /// ParameterStatus of the start-up.
    pub parameters: Vec<(String, String)>,
    pub process: i32,
    pub secret: i32,
    /// Of the rows of an answer so many bytes are kept; those that follow are counted.
    pub keeps: usize,
}

impl RawClient {
    /// Logs in as the application's role, with more start-up parameters; what refused us otherwise.
    pub fn connect(target: &Target, more: &[(&str, &str)]) -> Result<Self, Received> {
        Self::login(target, APP_USER, APP_PASSWORD, more)
    }

    pub fn login(
        target: &Target,
        user: &str,
        password: &str,
        more: &[(&str, &str)],
    ) -> Result<Self, Received> {
        let mut client = Self::open(target.port);
        let mut parameters = vec![("user", user), ("database", target.database.as_str())];
        parameters.extend(more.iter().filter(|(name, _)| *name != "database"));
        if let Some(database) = more.iter().find(|(name, _)| *name == "database") {
            parameters[1] = *database;
        }
        client.send(&startup(PROTOCOL_3_0, &parameters));
        client.authenticate(password)?;
        Ok(client)
    }

    /// A connection on which nothing has been said.
    pub fn open(port: u16) -> Self {
        let stream = match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => stream,
            Err(error) => panic!("connecting to port {port}: {error}"),
        };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(SILENCE));
        let _ = stream.set_write_timeout(Some(SILENCE));
        Self { stream, parameters: Vec::new(), process: 0, secret: 0, keeps: usize::MAX }
    }

    /// Answers what is asked until the first ReadyForQuery.
    pub fn authenticate(&mut self, password: &str) -> Result<(), Received> {
        let mut scram = None;
        loop {
            let message = match self.receive() {
                Received::Message(message) => message,
                other => return Err(other),
            };
            match (message.tag, message.authentication()) {
                (b'R', Some(0)) => {}
                (b'R', Some(10)) => {
                    let exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    let first = exchange.message();
                    let length = (first.len() as i32).to_be_bytes();
                    self.send(&frame(b'p', &[b"SCRAM-SHA-256\0", &length[..], first].concat()));
                    scram = Some(exchange);
                }
                (b'R', Some(11)) => {
                    let exchange = scram.as_mut().expect("a challenge follows an offer");
                    exchange.update(&message.body[4..]).expect("a well-formed challenge");
                    let answer = exchange.message().to_vec();
                    self.send(&frame(b'p', &answer));
                }
                (b'R', Some(12)) => {
                    let exchange = scram.as_mut().expect("a proof follows a challenge");
                    exchange.finish(&message.body[4..]).expect("the server knows the password");
                }
                (b'S', _) => self.parameters.push(message.two_strings()),
                (b'K', _) => (self.process, self.secret) = message.key(),
                (b'Z', _) => return Ok(()),
                (b'N' | b'v', _) => {}
                _ => return Err(Received::Message(message)),
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // One who has closed tells so when read from.
        let _ = self.stream.write_all(bytes);
    }

    /// Says it from a thread of its own, which may have to wait until something is read.
    pub fn say_aside(&self, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
        let mut stream = self.stream.try_clone().expect("a second handle");
        let _ = stream.set_write_timeout(None);
        std::thread::spawn(move || stream.write_all(&bytes).expect("the other side listens"))
    }

    pub fn receive(&mut self) -> Received {
        let mut head = [0; 5];
        if let Err(end) = self.fill(&mut head) {
            return end;
        }
        let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length.saturating_sub(4)];
        if let Err(end) = self.fill(&mut body) {
            return end;
        }
        Received::Message(Message { tag: head[0], body })
    }

    /// Everything that comes until the connection is closed, or nothing comes any more.
    pub fn rest(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            match self.receive() {
                Received::Message(message) => lines.push(message.line()),
                Received::Closed => return format!("{} closed", lines.join("; ")),
                Received::Silence => return format!("{} …", lines.join("; ")),
            }
        }
    }

    /// One byte: the answer to SSLRequest.
    pub fn receive_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.fill(&mut byte).ok().map(|()| byte[0])
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Received> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Received::Silence,
            _ => Received::Closed,
        })
    }

    /// Everything up to and including ReadyForQuery, or as much as comes.
    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let (mut kept, mut withheld) = (0, 0_u64);
        while let Received::Message(message) = self.receive() {
            let ready = message.tag == b'Z';
            let is_row = matches!(message.tag, b'D' | b'd');
            kept += if is_row { message.body.len() } else { 0 };
            match is_row && kept > self.keeps {
                true => withheld += 1,
                false => messages.push(message),
            }
            if ready {
                break;
            }
        }
        if withheld > 0 {
            let end = messages.len().saturating_sub(1);
            messages.insert(end, Message { tag: WITHHELD, body: withheld.to_be_bytes().to_vec() });
        }
        messages
    }

    /// Runs a simple query.
    pub fn simple(&mut self, text: &str) -> Vec<Message> {
        self.send(&query(text));
        self.until_ready()
    }

    /// Runs a statement by the extended protocol.
    pub fn extended(&mut self, text: &str) -> Vec<Message> {
        self.send(&extended(text));
        self.until_ready()
    }

    /// The single value that a query answers.
    pub fn value(&mut self, text: &str) -> Option<String> {
        let answer = self.simple(text);
        let row = answer.iter().find(|message| message.tag == b'D')?;
        row.values().into_iter().next()?.map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// The same in a transaction of its own, where it is the primary that is asked.
    pub fn value_of_primary(&mut self, text: &str) -> Option<String> {
        self.simple("BEGIN");
        let value = self.value(text);
        self.simple("COMMIT");
        value
    }

    pub fn set_patience(&self, patience: Duration) {
        let _ = self.stream.set_read_timeout(Some(patience));
    }

    /// No more bytes from us; the other side can still send.
    pub fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}
