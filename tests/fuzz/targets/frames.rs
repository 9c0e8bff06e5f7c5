//! Frames of both directions, and what stands in them (`wire::frame`, `wire::frontend`, `wire::backend`).
//!
//! 1. The frames, the error and the rest do not depend on where the bytes were cut.
//! 2. Frames and rest, put together, are the bytes; no frame, also none that is announced, is longer than its limit.
//! 3. A body that is understood is written again byte by byte; errors, which hold text, keep their meaning.
//! 4. Iterators yield as many items as they announce.

use bytes::BytesMut;
use meridian::wire::backend::{
    Authentication, BackendKeyData, CommandComplete, CopyResponse, DataRow, NegotiateProtocolVersion,
    NotificationResponse, ParameterDescription, ParameterStatus, ReadyForQuery, RowDescription,
};
use meridian::wire::encode::{client, copy_data, copy_done, server};
use meridian::wire::frame::{
    Frame, FrameError, FrameHeader, Limits, Phase, next_backend, next_frontend, peek_backend, peek_frontend,
};
use meridian::wire::frontend::{
    Bind, Close, CopyFail, Describe, Execute, Parse, Password, Query, SaslInitialResponse,
};
use meridian::wire::{DecodeError, SqlError};

use super::{Choices, cuts};

const LIMITS: Limits = Limits {
    startup_bytes: 200,
    authentication_bytes: 100,
    client_small_bytes: 100,
    client_message_bytes: 2_000,
    server_message_bytes: 2_000,
};
const LONGEST: usize = 2_000;

/// Who speaks.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Client(Phase),
    Server,
}

const STREAMS: [Stream; 5] = [
    Stream::Client(Phase::Query),
    Stream::Client(Phase::CopyIn),
    Stream::Client(Phase::Password),
    Stream::Client(Phase::Sasl),
    Stream::Server,
];

pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let stream = choices.one_of(&STREAMS);
    let size = 1 + choices.below(40);
    let bytes = choices.rest();
    let [whole, others @ ..] = cuts(bytes, size).map(|pieces| stream.read(&pieces));
    for other in others {
        assert_eq!(whole, other, "frames depend on the cuts");
    }
    let joined: Vec<u8> = whole.frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
    assert_eq!([joined, whole.rest].concat(), bytes, "bytes are lost or made up");
    for frame in &whole.frames {
        match stream {
            Stream::Client(phase) => client_frame(frame, phase),
            Stream::Server => server_frame(frame),
        }
    }
}

#[derive(Debug, PartialEq)]
struct Split {
    frames: Vec<Frame>,
    error: Option<FrameError>,
    rest: Vec<u8>,
}

impl Stream {
    fn peek(self, buffer: &[u8]) -> Result<Option<FrameHeader>, FrameError> {
        match self {
            Stream::Client(phase) => peek_frontend(buffer, phase, &LIMITS),
            Stream::Server => peek_backend(buffer, &LIMITS),
        }
    }

    fn next(self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        match self {
            Stream::Client(phase) => next_frontend(buffer, phase, &LIMITS),
            Stream::Server => next_backend(buffer, &LIMITS),
        }
    }

    fn read(self, pieces: &[&[u8]]) -> Split {
        let mut split = Split { frames: Vec::new(), error: None, rest: Vec::new() };
        let mut buffer = BytesMut::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while split.error.is_none() {
                match self.next(&mut buffer) {
                    Ok(Some(frame)) => split.frames.push(frame),
                    Ok(None) => break,
                    Err(error) => split.error = Some(error),
                }
            }
            if split.error.is_none() {
                let announced = self.peek(&buffer).expect("it was no error a moment ago");
                assert!(announced.is_none_or(|header| header.len <= LONGEST && header.len > buffer.len()));
                assert!(buffer.len() < LONGEST, "more is kept than the longest frame");
            }
        }
        split.rest = buffer.to_vec();
        split
    }
}

/// What `encode` writes must be the frame, where its body was understood.
fn same<T>(frame: &Frame, decoded: Result<T, DecodeError>, encode: impl FnOnce(&mut BytesMut, T)) {
    let Ok(message) = decoded else { return };
    let mut written = BytesMut::new();
    encode(&mut written, message);
    assert_eq!(written, frame.bytes, "a frame of type {} is not written as it was read", frame.tag as char);
}

fn client_frame(frame: &Frame, phase: Phase) {
    let body = frame.body();
    match (frame.tag, phase) {
        (b'p', Phase::Sasl) => {
            same(frame, SaslInitialResponse::decode(body), |out, message| {
                client::sasl_initial_response(out, message.mechanism, message.response);
            });
        }
        (b'p', _) => {
            same(frame, Password::decode(body), |out, message| client::password(out, message.password))
        }
        (b'Q', _) => same(frame, Query::decode(body), |out, message| client::query(out, message.sql)),
        (b'P', _) => parse(frame),
        (b'B', _) => bind(frame),
        (b'D', _) => {
            same(frame, Describe::decode(body), |out, message| {
                client::describe(out, message.target, message.name);
            });
        }
        (b'C', _) => {
            same(frame, Close::decode(body), |out, message| client::close(out, message.target, message.name))
        }
        (b'E', _) => {
            same(frame, Execute::decode(body), |out, message| {
                client::execute(out, message.portal, message.max_rows);
            });
        }
        (b'f', _) => {
            same(frame, CopyFail::decode(body), |out, message| client::copy_fail(out, message.reason))
        }
        (b'd', _) => same(frame, Ok(body), copy_data),
        (b'c', _) => same(frame, Ok(()), |out, ()| copy_done(out)),
        (b'S', _) => same(frame, Ok(()), |out, ()| client::sync(out)),
        (b'H', _) => same(frame, Ok(()), |out, ()| client::flush(out)),
        (b'X', _) => same(frame, Ok(()), |out, ()| client::terminate(out)),
        (b'F', _) => {}
        (tag, _) => panic!("a client's frame of type {tag}"),
    }
}

fn parse(frame: &Frame) {
    same(frame, Parse::decode(frame.body()), |out, message| {
        let oids: Vec<u32> = message.parameter_oids.iter().collect();
        assert_eq!(oids.len(), message.parameter_oids.len());
        client::parse(out, message.name, message.sql, &oids);
    });
    same(frame, Parse::decode(frame.body()), |out, message| {
        client::parse_with_tail(out, message.name, message.tail);
    });
}

fn bind(frame: &Frame) {
    same(frame, Bind::decode(frame.body()), |out, message| {
        let parameters: Vec<Option<&[u8]>> = message.parameters.iter().collect();
        assert_eq!(parameters.len(), message.parameters.len());
        assert_eq!(
            parameters.last().copied(),
            parameters.len().checked_sub(1).and_then(|last| message.parameters.get(last))
        );
        assert_eq!(message.parameters.get(parameters.len()), None);
        let formats: Vec<i16> = message.parameter_formats.iter().collect();
        let results: Vec<i16> = message.result_formats.iter().collect();
        client::bind(
            out,
            &client::Bind {
                portal: message.portal,
                statement: message.statement,
                parameter_formats: &formats,
                parameters: &parameters,
                result_formats: &results,
            },
        );
    });
    same(frame, Bind::decode(frame.body()), |out, message| {
        client::bind_with_tail(out, message.portal, message.statement, message.tail);
    });
}

fn server_frame(frame: &Frame) {
    let body = frame.body();
    match frame.tag {
        b'T' => same(frame, RowDescription::decode(body), |out, message| {
            let fields: Vec<_> = message.iter().collect();
            assert_eq!(fields.len(), message.len());
            server::row_description(out, &fields);
        }),
        b'D' => same(frame, DataRow::decode(body), |out, message| {
            let values: Vec<_> = message.iter().collect();
            assert_eq!(values.len(), message.len());
            server::data_row(out, &values);
        }),
        b't' => same(frame, ParameterDescription::decode(body), |out, message| {
            let oids: Vec<u32> = message.oids.iter().collect();
            server::parameter_description(out, &oids);
        }),
        b'C' => same(frame, CommandComplete::decode(body), |out, message| {
            assert!(message.tag.starts_with(message.command()));
            server::command_complete(out, message.tag);
        }),
        b'S' => same(frame, ParameterStatus::decode(body), |out, message| {
            server::parameter_status(out, message.name, message.value);
        }),
        b'K' => same(frame, BackendKeyData::decode(body), |out, message| {
            server::backend_key_data(out, message.pid, message.secret);
        }),
        b'Z' => same(frame, ReadyForQuery::decode(body), |out, message| {
            server::ready_for_query(out, message.status);
        }),
        b'A' => same(frame, NotificationResponse::decode(body), |out, message| {
            server::notification_response(out, message.pid, message.channel, message.payload);
        }),
        b'E' | b'N' => error(body),
        b'G' | b'H' | b'W' => {
            if let Ok(message) = CopyResponse::decode(body) {
                assert_eq!(message.columns.iter().count(), message.columns.len());
            }
        }
        b'R' => {
            if let Ok(Authentication::Sasl(mechanisms)) = Authentication::decode(body) {
                assert!(mechanisms.iter().all(|name| !name.is_empty() && !name.contains(&0)));
            }
        }
        b'v' => {
            if let Ok(message) = NegotiateProtocolVersion::decode(body) {
                assert!(message.unknown_options.len() <= body.len(), "a count was believed");
            }
        }
        _ => {}
    }
}

fn error(body: &[u8]) {
    let Ok(read) = SqlError::parse(body) else { return };
    let mut written = BytesMut::new();
    server::error_response(&mut written, &read);
    let again = SqlError::parse(meridian::wire::frame::body(&written)).expect("what is written can be read");
    assert_eq!(again, read, "an error changes its meaning");
}
