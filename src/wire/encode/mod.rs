//! Every message of both directions, appended to a `BytesMut`.
//!
//! [`client`] is what a client says (Meridian to its servers), [`server`] what a server says (Meridian to its
//! clients); COPY data flows both ways and stands here. Pure: nothing is sent, so callers can put many messages
//! into one write.
//!
//! Invariants:
//! 1. A call appends exactly one whole frame.
//! 2. A NUL inside a string ends that string: no text can smuggle a field or a message in.
//! 3. Counts are what the protocol can carry (65,535 items); what lies beyond is left out of count and list alike.
//!
//! Bodies are bounded by their callers, far below the 2 GiB that a length word can say.
//! Not here: frames that are passed on as they came; those need no encoding.

pub mod client;
pub mod server;

use bytes::{BufMut, BytesMut};

/// `d`: a piece of COPY data.
pub fn copy_data(buffer: &mut BytesMut, data: &[u8]) {
    buffer.reserve(5 + data.len());
    frame(buffer, b'd', |buffer| buffer.put_slice(data));
}

/// `c`: the end of COPY data.
pub fn copy_done(buffer: &mut BytesMut) {
    empty(buffer, b'c');
}

/// Appends a frame whose body `write_body` writes.
pub(super) fn frame(buffer: &mut BytesMut, tag: u8, write_body: impl FnOnce(&mut BytesMut)) {
    buffer.put_u8(tag);
    untyped(buffer, write_body);
}

/// Appends a packet without a tag.
fn untyped(buffer: &mut BytesMut, write_body: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.put_u32(0);
    write_body(buffer);
    let length = u32::try_from(buffer.len() - start).unwrap_or(u32::MAX);
    if let Some(word) = buffer.get_mut(start..start + 4) {
        word.copy_from_slice(&length.to_be_bytes());
    }
}

fn empty(buffer: &mut BytesMut, tag: u8) {
    buffer.put_slice(&[tag, 0, 0, 0, 4]);
}

/// Appends a string and its NUL. A NUL inside the string ends it.
pub(super) fn put_cstr(buffer: &mut BytesMut, text: &[u8]) {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    buffer.put_slice(&text[..end]);
    buffer.put_u8(0);
}

/// Appends the count of `items`, then each of them.
fn put_counted<T>(buffer: &mut BytesMut, items: &[T], mut put: impl FnMut(&mut BytesMut, &T)) {
    let items = &items[..items.len().min(usize::from(u16::MAX))];
    buffer.put_u16(u16::try_from(items.len()).unwrap_or(u16::MAX));
    for item in items {
        put(buffer, item);
    }
}

fn put_value(buffer: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        None => buffer.put_i32(-1),
        Some(bytes) => {
            buffer.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            buffer.put_slice(bytes);
        }
    }
}
