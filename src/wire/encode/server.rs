//! What a server says, appended to a `BytesMut`: Meridian's words to its clients.
//!
//! Called by `session`, `merge`, `admin` and [`crate::wire::startup`]. Pure. Each function appends one whole message.
//! Texts are UTF-8: those of another encoding are converted behind them ([`crate::wire::encoding`]).
//!
//! The rare messages whose layout pgwire already writes go through its structures; those that come once per
//! statement or row, or whose text need not be UTF-8, are written here.
//!
//! Invariant: those of [`super`].
//!
//! Not here: COPY data, which both sides send ([`super::copy_data`]); the text of errors ([`crate::wire::error`]).

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::copy::{CopyInResponse, CopyOutResponse};
use pgwire::messages::startup::NegotiateProtocolVersion;

use super::{empty, frame, put_counted, put_cstr, put_value};
use crate::wire::backend::{Field, TransactionStatus};
use crate::wire::error::SqlError;
use crate::wire::frontend::ProtocolVersion;

/// `R` 0: the client is let in.
pub fn authentication_ok(buffer: &mut BytesMut) {
    authentication(buffer, 0, &[]);
}

/// `R` 3.
pub fn authentication_cleartext_password(buffer: &mut BytesMut) {
    authentication(buffer, 3, &[]);
}

/// `R` 5.
pub fn authentication_md5_password(buffer: &mut BytesMut, salt: [u8; 4]) {
    authentication(buffer, 5, &salt);
}

/// `R` 10: the SASL mechanisms to choose from.
pub fn authentication_sasl(buffer: &mut BytesMut, mechanisms: &[&str]) {
    frame(buffer, b'R', |buffer| {
        buffer.put_u32(10);
        for mechanism in mechanisms.iter().filter(|mechanism| !mechanism.is_empty()) {
            put_cstr(buffer, mechanism.as_bytes());
        }
        buffer.put_u8(0);
    });
}

/// `R` 11.
pub fn authentication_sasl_continue(buffer: &mut BytesMut, data: &[u8]) {
    authentication(buffer, 11, data);
}

/// `R` 12.
pub fn authentication_sasl_final(buffer: &mut BytesMut, data: &[u8]) {
    authentication(buffer, 12, data);
}

fn authentication(buffer: &mut BytesMut, code: u32, data: &[u8]) {
    frame(buffer, b'R', |buffer| {
        buffer.put_u32(code);
        buffer.put_slice(data);
    });
}

/// `S`.
pub fn parameter_status(buffer: &mut BytesMut, name: &[u8], value: &[u8]) {
    frame(buffer, b'S', |buffer| {
        put_cstr(buffer, name);
        put_cstr(buffer, value);
    });
}

/// `K`. Four bytes of secret in protocol 3.0, up to 256 since 3.2.
pub fn backend_key_data(buffer: &mut BytesMut, pid: u32, secret: &[u8]) {
    frame(buffer, b'K', |buffer| {
        buffer.put_u32(pid);
        buffer.put_slice(secret);
    });
}

/// `Z`.
pub fn ready_for_query(buffer: &mut BytesMut, status: TransactionStatus) {
    buffer.put_slice(&[b'Z', 0, 0, 0, 5, status.code()]);
}

/// `T`.
pub fn row_description(buffer: &mut BytesMut, fields: &[Field<'_>]) {
    frame(buffer, b'T', |buffer| {
        put_counted(buffer, fields, |buffer, field| {
            put_cstr(buffer, field.name);
            buffer.put_u32(field.table_oid);
            buffer.put_i16(field.attribute_number);
            buffer.put_u32(field.type_oid);
            buffer.put_i16(field.type_length);
            buffer.put_i32(field.type_modifier);
            buffer.put_i16(field.format);
        });
    });
}

/// `D`: values in the formats that the RowDescription named.
pub fn data_row(buffer: &mut BytesMut, values: &[Option<&[u8]>]) {
    frame(buffer, b'D', |buffer| put_counted(buffer, values, |buffer, value| put_value(buffer, *value)));
}

/// `C`.
pub fn command_complete(buffer: &mut BytesMut, tag: &[u8]) {
    frame(buffer, b'C', |buffer| put_cstr(buffer, tag));
}

/// `I`.
pub fn empty_query_response(buffer: &mut BytesMut) {
    empty(buffer, b'I');
}

/// `1`.
pub fn parse_complete(buffer: &mut BytesMut) {
    empty(buffer, b'1');
}

/// `2`.
pub fn bind_complete(buffer: &mut BytesMut) {
    empty(buffer, b'2');
}

/// `3`.
pub fn close_complete(buffer: &mut BytesMut) {
    empty(buffer, b'3');
}

/// `n`.
pub fn no_data(buffer: &mut BytesMut) {
    empty(buffer, b'n');
}

/// `s`.
pub fn portal_suspended(buffer: &mut BytesMut) {
    empty(buffer, b's');
}

/// `t`.
pub fn parameter_description(buffer: &mut BytesMut, oids: &[u32]) {
    frame(buffer, b't', |buffer| put_counted(buffer, oids, |buffer, oid| buffer.put_u32(*oid)));
}

/// `E`.
pub fn error_response(buffer: &mut BytesMut, error: &SqlError) {
    frame(buffer, b'E', |buffer| error.put_fields(buffer));
}

/// `N`.
pub fn notice_response(buffer: &mut BytesMut, notice: &SqlError) {
    frame(buffer, b'N', |buffer| notice.put_fields(buffer));
}

/// `A`.
pub fn notification_response(buffer: &mut BytesMut, pid: u32, channel: &[u8], payload: &[u8]) {
    frame(buffer, b'A', |buffer| {
        buffer.put_u32(pid);
        put_cstr(buffer, channel);
        put_cstr(buffer, payload);
    });
}

/// `G`: the client shall send COPY data. `format` is 0 for text, 1 for binary; at most 32,767 columns.
pub fn copy_in_response(buffer: &mut BytesMut, format: u8, columns: &[i16]) {
    let columns = copy_columns(columns);
    let count = i16::try_from(columns.len()).unwrap_or(i16::MAX);
    append(buffer, &CopyInResponse::new(i8::from(format != 0), count, columns));
}

/// `H`: COPY data follows. `format` is 0 for text, 1 for binary; at most 32,767 columns.
pub fn copy_out_response(buffer: &mut BytesMut, format: u8, columns: &[i16]) {
    let columns = copy_columns(columns);
    let count = i16::try_from(columns.len()).unwrap_or(i16::MAX);
    append(buffer, &CopyOutResponse::new(i8::from(format != 0), count, columns));
}

/// `v`: the newest version that is spoken, and the options that are not understood.
pub fn negotiate_protocol_version(buffer: &mut BytesMut, newest: ProtocolVersion, unknown_options: &[&str]) {
    let version = i32::try_from(newest.code()).unwrap_or(i32::MAX);
    let options = unknown_options.iter().map(|option| option.replace('\0', "")).collect();
    append(buffer, &NegotiateProtocolVersion::new(version, options));
}

fn copy_columns(columns: &[i16]) -> Vec<i16> {
    columns[..columns.len().min(i16::MAX.unsigned_abs().into())].to_vec()
}

/// pgwire fails only above its own bound, which is far above what these messages hold; then nothing is appended.
fn append(buffer: &mut BytesMut, message: &impl Message) {
    let start = buffer.len();
    if message.encode(buffer).is_err() {
        buffer.truncate(start);
    }
}
