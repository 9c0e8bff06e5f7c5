//! A client that throws its rows away and knows when each part of an answer came.
//!
//! Blocking, one statement at a time in the extended protocol. It walks from frame to frame and decodes no row, so that a
//! million rows cost it little beside what they cost the servers and the proxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use meridian::demo::cluster::{APP_DATABASE, APP_PASSWORD, APP_USER};
use postgres_protocol::IsNull;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

/// Of one read; PostgreSQL sends 8 KiB at a time, Meridian up to 64.
const READ_BYTES: usize = 64 * 1024;
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// The tag and the length.
const HEADER_BYTES: usize = 5;

/// The codes of Authentication messages.
const AUTHENTICATED: u32 = 0;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// In what form rows are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Text = 0,
    Binary = 1,
}

/// How the client reads.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    Fast,
    /// It reads nothing for a while, each time that so many more rows have come.
    Pausing {
        every_rows: u64,
        pause: Duration,
    },
}

/// How one statement was answered; times since it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub rows: u64,
    pub first_row: Option<Duration>,
    pub took: Duration,
}

pub struct Client {
    stream: TcpStream,
    inbox: BytesMut,
}

impl Client {
    /// Logged in at a port of this machine, as the application's user.
    pub fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut client = Self { stream, inbox: BytesMut::new() };
        client.log_in().with_context(|| format!("logging in at port {port}"))?;
        Ok(client)
    }

    fn log_in(&mut self) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        frontend::startup_message([("user", APP_USER), ("database", APP_DATABASE)], &mut out)?;
        let mut scram = ScramSha256::new(APP_PASSWORD.as_bytes(), ChannelBinding::unsupported());
        loop {
            self.stream.write_all(&out)?;
            out.clear();
            let (tag, mut body) = self.message()?;
            match tag {
                b'Z' => return Ok(()),
                b'E' => bail!("{}", readable(&body)),
                b'R' => match body.try_get_u32()? {
                    AUTHENTICATED => {}
                    SASL => frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)?,
                    SASL_CONTINUE => {
                        scram.update(&body)?;
                        frontend::sasl_response(scram.message(), &mut out)?;
                    }
                    SASL_FINAL => scram.finish(&body)?,
                    other => bail!("authentication of kind {other} is demanded"),
                },
                _ => {}
            }
        }
    }

    /// Runs a statement to its end.
    pub fn ask(&mut self, text: &str, format: Format, pace: Pace) -> anyhow::Result<Answer> {
        let mut out = BytesMut::new();
        frontend::parse("", text, [], &mut out)?;
        let no_values: [(); 0] = [];
        frontend::bind("", "", [], no_values, |(), _| Ok(IsNull::Yes), [format as i16], &mut out)
            .map_err(|_| anyhow::anyhow!("{text}: too long"))?;
        frontend::describe(b'P', "", &mut out)?;
        frontend::execute("", 0, &mut out)?;
        frontend::sync(&mut out);
        let begun = Instant::now();
        self.stream.write_all(&out)?;
        self.read_answer(begun, pace).with_context(|| text.to_owned())
    }

    fn read_answer(&mut self, begun: Instant, pace: Pace) -> anyhow::Result<Answer> {
        let (mut rows, mut first_row, mut error) = (0, None, None);
        loop {
            match self.inbox.first().zip(self.frame_bytes()) {
                Some((b'D', bytes)) => {
                    self.inbox.advance(bytes);
                    first_row.get_or_insert_with(|| begun.elapsed());
                    rows += 1;
                    if let Pace::Pausing { every_rows, pause } = pace
                        && rows % every_rows == 0
                    {
                        thread::sleep(pause);
                    }
                }
                Some((b'Z', bytes)) => {
                    let took = begun.elapsed();
                    self.inbox.advance(bytes);
                    return error.map_or(Ok(Answer { rows, first_row, took }), Err);
                }
                Some((b'E', bytes)) => {
                    let frame = self.inbox.split_to(bytes);
                    error = Some(anyhow::anyhow!("error: {}", readable(&frame[HEADER_BYTES..])));
                }
                Some((_, bytes)) => self.inbox.advance(bytes),
                None => self.read_more()?,
            }
        }
    }

    fn message(&mut self) -> anyhow::Result<(u8, BytesMut)> {
        loop {
            if let Some(bytes) = self.frame_bytes() {
                let mut frame = self.inbox.split_to(bytes);
                let tag = frame[0];
                frame.advance(HEADER_BYTES);
                return Ok((tag, frame));
            }
            self.read_more()?;
        }
    }

    /// Of the frame at the front, if all of it is there.
    fn frame_bytes(&self) -> Option<usize> {
        let length = self.inbox.get(1..HEADER_BYTES)?.try_into().ok().map(u32::from_be_bytes)?;
        let bytes = 1 + length as usize;
        (self.inbox.len() >= bytes).then_some(bytes)
    }

    fn read_more(&mut self) -> anyhow::Result<()> {
        let kept = self.inbox.len();
        self.inbox.resize(kept + READ_BYTES, 0);
        let read = self.stream.read(&mut self.inbox[kept..]).context("reading")?;
        self.inbox.truncate(kept + read);
        if read == 0 {
            bail!("the connection was closed");
        }
        Ok(())
    }
}

/// The fields of an ErrorResponse, one after the other.
fn readable(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    fields.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).collect::<Vec<_>>().join(", ")
}
