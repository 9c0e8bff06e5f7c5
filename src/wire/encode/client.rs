//! What a client says, appended to a `BytesMut`: Meridian's words to its servers.
//!
//! Called by `backend`, `execute` and [`crate::wire::login`]. Pure. Each function appends one whole message.
//! Names and texts are UTF-8, unless the client has set SQL_ASCII.
//!
//! Invariant: those of [`super`].
//!
//! Not here: COPY data, which both sides send ([`super::copy_data`]).

use bytes::{BufMut, BytesMut};

use super::{empty, frame, put_counted, put_cstr, put_value, untyped};
use crate::wire::frontend::{
    CANCEL_REQUEST_CODE, GSSENC_REQUEST_CODE, ProtocolVersion, SSL_REQUEST_CODE, Target,
};

/// `Q`.
pub fn query(buffer: &mut BytesMut, sql: &[u8]) {
    buffer.reserve(6 + sql.len());
    frame(buffer, b'Q', |buffer| put_cstr(buffer, sql));
}

/// `P`. An identifier of 0 leaves the parameter's type to the server.
pub fn parse(buffer: &mut BytesMut, name: &[u8], sql: &[u8], parameter_oids: &[u32]) {
    frame(buffer, b'P', |buffer| {
        put_cstr(buffer, name);
        put_cstr(buffer, sql);
        put_counted(buffer, parameter_oids, |buffer, oid| buffer.put_u32(*oid));
    });
}

/// `P` with another name than the one that came: `tail` is [`crate::wire::frontend::Parse::tail`].
pub fn parse_with_tail(buffer: &mut BytesMut, name: &[u8], tail: &[u8]) {
    buffer.reserve(6 + name.len() + tail.len());
    frame(buffer, b'P', |buffer| {
        put_cstr(buffer, name);
        buffer.put_slice(tail);
    });
}

/// The parts of a Bind. Format arrays may be empty (all text), hold one code for all, or one for each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bind<'a> {
    pub portal: &'a [u8],
    pub statement: &'a [u8],
    pub parameter_formats: &'a [i16],
    pub parameters: &'a [Option<&'a [u8]>],
    pub result_formats: &'a [i16],
}

/// `B`.
pub fn bind(buffer: &mut BytesMut, message: &Bind<'_>) {
    frame(buffer, b'B', |buffer| {
        put_cstr(buffer, message.portal);
        put_cstr(buffer, message.statement);
        put_counted(buffer, message.parameter_formats, |buffer, code| buffer.put_i16(*code));
        put_counted(buffer, message.parameters, |buffer, value| put_value(buffer, *value));
        put_counted(buffer, message.result_formats, |buffer, code| buffer.put_i16(*code));
    });
}

/// `B` with other names than those that came: `tail` is [`crate::wire::frontend::Bind::tail`].
pub fn bind_with_tail(buffer: &mut BytesMut, portal: &[u8], statement: &[u8], tail: &[u8]) {
    buffer.reserve(7 + portal.len() + statement.len() + tail.len());
    frame(buffer, b'B', |buffer| {
        put_cstr(buffer, portal);
        put_cstr(buffer, statement);
        buffer.put_slice(tail);
    });
}

/// `D`.
pub fn describe(buffer: &mut BytesMut, target: Target, name: &[u8]) {
    frame(buffer, b'D', |buffer| {
        buffer.put_u8(target.code());
        put_cstr(buffer, name);
    });
}

/// `C`.
pub fn close(buffer: &mut BytesMut, target: Target, name: &[u8]) {
    frame(buffer, b'C', |buffer| {
        buffer.put_u8(target.code());
        put_cstr(buffer, name);
    });
}

/// `E`. `max_rows` of zero means all.
pub fn execute(buffer: &mut BytesMut, portal: &[u8], max_rows: i32) {
    frame(buffer, b'E', |buffer| {
        put_cstr(buffer, portal);
        buffer.put_i32(max_rows);
    });
}

/// `S`.
pub fn sync(buffer: &mut BytesMut) {
    empty(buffer, b'S');
}

/// `H`.
pub fn flush(buffer: &mut BytesMut) {
    empty(buffer, b'H');
}

/// `X`.
pub fn terminate(buffer: &mut BytesMut) {
    empty(buffer, b'X');
}

/// `f`.
pub fn copy_fail(buffer: &mut BytesMut, reason: &[u8]) {
    frame(buffer, b'f', |buffer| put_cstr(buffer, reason));
}

/// `p` with a cleartext or an md5 answer.
pub fn password(buffer: &mut BytesMut, answer: &[u8]) {
    frame(buffer, b'p', |buffer| put_cstr(buffer, answer));
}

/// `p` that chooses a SASL mechanism.
pub fn sasl_initial_response(buffer: &mut BytesMut, mechanism: &[u8], response: Option<&[u8]>) {
    frame(buffer, b'p', |buffer| {
        put_cstr(buffer, mechanism);
        put_value(buffer, response);
    });
}

/// `p` that goes on with a SASL exchange.
pub fn sasl_response(buffer: &mut BytesMut, response: &[u8]) {
    frame(buffer, b'p', |buffer| buffer.put_slice(response));
}

/// The start-up packet. A parameter without a name would end the list and is left out.
pub fn startup(buffer: &mut BytesMut, version: ProtocolVersion, parameters: &[(&[u8], &[u8])]) {
    untyped(buffer, |buffer| {
        buffer.put_u32(version.code());
        for (name, value) in parameters.iter().filter(|(name, _)| name.first().is_some_and(|byte| *byte != 0))
        {
            put_cstr(buffer, name);
            put_cstr(buffer, value);
        }
        buffer.put_u8(0);
    });
}

/// A CancelRequest, the only thing sent over its connection.
pub fn cancel_request(buffer: &mut BytesMut, pid: u32, secret: &[u8]) {
    untyped(buffer, |buffer| {
        buffer.put_u32(CANCEL_REQUEST_CODE);
        buffer.put_u32(pid);
        buffer.put_slice(secret);
    });
}

pub fn ssl_request(buffer: &mut BytesMut) {
    untyped(buffer, |buffer| buffer.put_u32(SSL_REQUEST_CODE));
}

pub fn gssenc_request(buffer: &mut BytesMut) {
    untyped(buffer, |buffer| buffer.put_u32(GSSENC_REQUEST_CODE));
}
