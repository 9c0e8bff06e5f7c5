//! Each kind of message in both directions, and messages cut anywhere.

use bytes::{BufMut, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{ENCODINGS, Encoding};
use super::*;
use crate::wire::encode::server::error_response;
use crate::wire::frame::{Limits, Phase, peek_backend, peek_frontend};

fn encoding(name: &str) -> &'static Encoding {
    ENCODINGS.iter().find(|encoding| encoding.name == name).unwrap()
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn read(bytes: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    from_client(bytes, encoding("WIN1252"), Copies::default(), &mut out);
    out.to_vec()
}

fn written(bytes: &[u8]) -> Result<Vec<u8>, Untranslatable> {
    let mut out = BytesMut::new();
    to_client(bytes, encoding("WIN1252"), &mut Copies::default(), &mut out).map(|()| out.to_vec())
}

/// A Bind with these formats and values, behind the two names.
fn bind(names: &[u8], formats: &[u16], values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = BytesMut::from(names);
    body.put_u16(formats.len() as u16);
    formats.iter().for_each(|format| body.put_u16(*format));
    body.extend_from_slice(&row(values));
    body.put_slice(&[0, 1, 0, 0]);
    frame(b'B', &body)
}

fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_u16(values.len() as u16);
    for value in values {
        body.put_i32(value.map_or(-1, |value| value.len() as i32));
        body.put_slice(value.unwrap_or_default());
    }
    body.to_vec()
}

const OIDS: [u8; 6] = [0, 1, 0, 0, 0xfe, 0xe4];

/// In WIN1252 and in UTF-8.
fn of_clients() -> Vec<(Vec<u8>, Vec<u8>)> {
    let both = |tag, before: &[u8], after: &[u8]| (frame(tag, before), frame(tag, after));
    vec![
        both(b'Q', b"SELECT '\xfc\x80'\0", "SELECT 'ü€'\0".as_bytes()),
        both(b'P', &[b"n\xe4\0'\xdf'\0", &OIDS[..]].concat(), &["nä\0'ß'\0".as_bytes(), &OIDS].concat()),
        both(b'D', b"S\xe4\0", "Sä\0".as_bytes()),
        both(b'C', b"P\xe4\0", "Pä\0".as_bytes()),
        both(b'E', b"\xe4\0\0\0\0\xe4", &["ä\0".as_bytes(), &[0, 0, 0, 0xe4]].concat()),
        both(b'f', b"\xfc\0", "ü\0".as_bytes()),
        both(b'd', b"1\t\xfc\n", "1\tü\n".as_bytes()),
        both(b'S', b"", b""),
        (
            bind(b"\xe4\0\xf6\0", &[], &[Some(b"\xfc"), None, Some(b"x")]),
            bind("ä\0ö\0".as_bytes(), &[], &[Some("ü".as_bytes()), None, Some(b"x")]),
        ),
        (
            bind(b"\0\0", &[0, 1], &[Some(b"\xfc\xfc"), Some(b"\xfc\xfc")]),
            bind(b"\0\0", &[0, 1], &[Some("üü".as_bytes()), Some(b"\xfc\xfc")]),
        ),
        (bind(b"\0\0", &[1], &[Some(b"\xfc"), None]), bind(b"\0\0", &[1], &[Some(b"\xfc"), None])),
    ]
}

/// In UTF-8 and in WIN1252.
fn of_servers() -> Vec<(Vec<u8>, Vec<u8>)> {
    let both = |tag, before: &[u8], after: &[u8]| (frame(tag, before), frame(tag, after));
    let column = [0, 0, 0xfe, 1, 0, 2, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
    vec![
        both(
            b'T',
            &[&[0, 2], "ü\0".as_bytes(), &column, "b\0".as_bytes(), &column].concat(),
            &[&[0, 2], &b"\xfc\0"[..], &column, b"b\0", &column].concat(),
        ),
        both(b'D', &row(&[Some("€".as_bytes()), None, Some(b"")]), &row(&[Some(b"\x80"), None, Some(b"")])),
        both(b'E', "SERROR\0Mü 中\0\0".as_bytes(), b"SERROR\0M\xfc ?\0\0"),
        both(b'N', "SNOTICE\0Mü\0\0".as_bytes(), b"SNOTICE\0M\xfc\0\0"),
        both(b'S', "application_name\0ü中\0".as_bytes(), b"application_name\0\xfc?\0"),
        both(b'S', b"client_encoding\0UTF8\0", b"client_encoding\0WIN1252\0"),
        both(
            b'A',
            &[&[0, 0, 0xff, 7], "ü\0ä\0".as_bytes()].concat(),
            &[&[0, 0, 0xff, 7], &b"\xfc\0\xe4\0"[..]].concat(),
        ),
        both(b'C', "SELECT ü\0".as_bytes(), b"SELECT \xfc\0"),
        both(b'd', "ü\n".as_bytes(), b"\xfc\n"),
        both(b'Z', b"I", b"I"),
        both(b'K', &[0, 0, 0xfc, 0xfc, 0xfc, 1, 2, 3], &[0, 0, 0xfc, 0xfc, 0xfc, 1, 2, 3]),
    ]
}

#[test]
fn what_a_client_says_is_read_as_utf8() {
    for (before, after) in of_clients() {
        assert_eq!(read(&before).escape_ascii().to_string(), after.escape_ascii().to_string());
        let mut back = BytesMut::new();
        back_to_client(&after, encoding("WIN1252"), Copies::default(), &mut back);
        assert_eq!(back.escape_ascii().to_string(), before.escape_ascii().to_string());
    }
}

#[test]
fn what_a_client_hears_is_in_its_encoding() {
    for (before, after) in of_servers() {
        let out = written(&before).unwrap();
        assert_eq!(out.escape_ascii().to_string(), after.escape_ascii().to_string());
    }
}

#[test]
fn a_byte_that_is_no_character_is_no_utf8() {
    assert_eq!(read(&frame(b'Q', b"'\x81'\0")), frame(b'Q', b"'\xff'\0"));
}

#[test]
fn a_character_that_is_lacking_ends_the_session() {
    let chinese = "x中".as_bytes();
    for bytes in [frame(b'D', &row(&[Some(chinese)])), frame(b'd', chinese), frame(b'C', chinese)] {
        let error = written(&bytes).unwrap_err().into_sql(encoding("LATIN1"));
        let expected = "character with byte sequence 0xe4 0xb8 0xad in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"";
        assert_eq!(error.message, expected);
        let mut told = BytesMut::new();
        error_response(&mut told, &error);
        assert!(told.windows(6).any(|field| field == b"C22P05"));
    }
    assert_eq!(written(&frame(b'd', b"a\xfc")).unwrap_err(), Untranslatable(vec![0xfc]));
}

#[test]
fn what_is_malformed_is_left_to_its_reader() {
    for bytes in [
        frame(b'P', b"\xfc"),
        frame(b'B', b"\xfc\0\0"),
        frame(b'B', b"\xfc\0\0\0\xff\xff\0\0"),
        frame(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xf0"),
        frame(b'D', b""),
    ] {
        assert_eq!(read(&bytes), bytes);
    }
    for bytes in [
        frame(b'T', "\0\x09ü\0".as_bytes()),
        frame(b'D', "\0\x01\0\0\0\x09ü".as_bytes()),
        frame(b'S', "ü".as_bytes()),
    ] {
        assert_eq!(written(&bytes).unwrap(), bytes);
    }
}

#[test]
fn data_in_binary_is_not_converted() {
    let mut copies = Copies::default();
    let (data, mut out) = (frame(b'd', b"\xfc\xff"), BytesMut::new());
    for tag in [b'G', b'H'] {
        to_client(&frame(tag, &[1, 0, 0]), encoding("LATIN1"), &mut copies, &mut out).unwrap();
    }
    out.clear();
    to_client(&data, encoding("LATIN1"), &mut copies, &mut out).unwrap();
    from_client(&data, encoding("LATIN1"), copies, &mut out);
    assert_eq!(out, [data.clone(), data.clone()].concat());
    assert!(!client_has_text(b'd', copies) && !server_has_text(b'd', copies));
    to_client(&frame(b'G', &[0, 0, 0]), encoding("LATIN1"), &mut copies, &mut out).unwrap();
    assert!(client_has_text(b'd', copies) && !server_has_text(b'd', copies));
}

#[test]
fn messages_are_found_wherever_they_are_cut() {
    let limits = Limits::default();
    let (whole, expected): (Vec<_>, Vec<_>) = of_clients().into_iter().unzip();
    let (whole, expected) = (whole.concat(), expected.concat());
    for cut in 0..=whole.len() {
        let mut gathered = Gathered::default();
        let mut out = BytesMut::new();
        for part in [&whole[..cut], &whole[cut..]] {
            gathered.bytes.extend_from_slice(part);
            let peek = |bytes: &[u8]| peek_frontend(bytes, Phase::Query, &limits);
            while let Some(piece) = gathered.next(peek, |tag| client_has_text(tag, Copies::default())) {
                match piece {
                    Piece::Message(frame) => {
                        from_client(&frame, encoding("WIN1252"), Copies::default(), &mut out);
                    }
                    Piece::Plain(bytes) => out.extend_from_slice(&bytes),
                }
            }
        }
        assert_eq!(out, expected, "{cut}");
        assert!(gathered.bytes.is_empty());
    }
}

#[test]
fn what_has_no_text_is_not_held_back() {
    let limits = Limits::default();
    let mut gathered = Gathered::new(BytesMut::from(&frame(b'K', &[0xff; 8])[..9]));
    let peek = |bytes: &[u8]| peek_backend(bytes, &limits);
    let has_text = |tag| server_has_text(tag, Copies::default());
    assert!(matches!(gathered.next(peek, has_text), Some(Piece::Plain(bytes)) if bytes.len() == 9));
    assert_eq!(gathered.next(peek, has_text), None);
    gathered.bytes.extend_from_slice(&[&[0xff; 4][..], &frame(b'C', b"x\0")].concat());
    assert!(matches!(gathered.next(peek, has_text), Some(Piece::Plain(bytes)) if bytes.len() == 4));
    assert!(matches!(gathered.next(peek, has_text), Some(Piece::Message(bytes)) if bytes.len() == 7));
}

#[test]
fn an_absurd_length_is_passed_with_all_that_follows() {
    let limits = Limits::default();
    for header in [[b'Q', 0, 0, 0, 3], [b'Q', 0xff, 0, 0, 0], [b'E', 0x0f, 0, 0, 0], [b'?', 0, 0, 0, 9]] {
        let mut gathered = Gathered::new(BytesMut::from(&header[..]));
        let peek = |bytes: &[u8]| peek_frontend(bytes, Phase::Query, &limits);
        for more in [&b"\xfc\0"[..], &frame(b'Q', b"\xfc\0")] {
            gathered.bytes.extend_from_slice(more);
            let expected = gathered.bytes.clone();
            assert_eq!(gathered.next(peek, |_| true), Some(Piece::Plain(expected)));
        }
    }
}

proptest! {
    /// What is converted is still a message, whatever it was.
    #[test]
    fn strangers_bytes_are_converted_or_left(tag in any::<u8>(), body in vec(any::<u8>(), 0..64)) {
        let whole = frame(tag, &body);
        let encoding = encoding("ISO_8859_8");
        let (mut inward, mut outward, mut back) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        from_client(&whole, encoding, Copies::default(), &mut inward);
        back_to_client(&whole, encoding, Copies::default(), &mut back);
        let _ = to_client(&whole, encoding, &mut Copies::default(), &mut outward);
        for out in [inward, outward, back].into_iter().filter(|out| !out.is_empty()) {
            let declared = u32::from_be_bytes([out[1], out[2], out[3], out[4]]);
            prop_assert_eq!((out[0], declared as usize + 1), (tag, out.len()));
        }
    }
}
