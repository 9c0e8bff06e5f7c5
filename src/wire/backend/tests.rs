//! Tests of the decoders of server messages.
//!
//! Three kinds: tables of messages whose fields must be told apart, round trips with the encoders (each of which
//! must write exactly one frame), and bytes from a stranger, both at random and with small numbers only, so that
//! counts and lengths are often plausible.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::encode::server;
use crate::wire::frame::{Limits, body, next_backend};

fn encoded(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut buffer = BytesMut::new();
    write(&mut buffer);
    let frame = next_backend(&mut buffer, &Limits::default()).unwrap().expect("one frame");
    assert!(buffer.is_empty(), "more than one frame");
    frame.bytes
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1_u8..=255, 0..20)
}

#[test]
fn authentication_requests_are_told_apart() {
    let decoded = |bytes: &[u8]| format!("{:?}", Authentication::decode(body(bytes)).unwrap());
    assert_eq!(decoded(&encoded(server::authentication_ok)), "Ok");
    assert_eq!(decoded(&encoded(server::authentication_cleartext_password)), "CleartextPassword");
    let md5 = encoded(|buffer| server::authentication_md5_password(buffer, [1, 2, 3, 4]));
    assert_eq!(decoded(&md5), "Md5Password { salt: [1, 2, 3, 4] }");
    let sasl = encoded(|buffer| server::authentication_sasl(buffer, &["SCRAM-SHA-256", "OTHER"]));
    let Authentication::Sasl(mechanisms) = Authentication::decode(body(&sasl)).unwrap() else {
        panic!("not SASL")
    };
    assert_eq!(mechanisms.iter().collect::<Vec<_>>(), [&b"SCRAM-SHA-256"[..], b"OTHER"]);
    assert_eq!(Authentication::decode(&[0, 0, 0, 7]), Ok(Authentication::Other(7)));
    assert_eq!(Authentication::decode(&[0, 0, 0, 0, 0]), Err(DecodeError::TrailingData));
    assert_eq!(Authentication::decode(&[0, 0, 0, 5, 1]), Err(DecodeError::InsufficientData));
    assert_eq!(Authentication::decode(b"\0\0\0\x0aSCRAM\0"), Err(DecodeError::InvalidString));
}

#[test]
fn tags_yield_command_and_rows() {
    let tag = |tag: &'static [u8]| CommandComplete { tag };
    assert_eq!((tag(b"INSERT 0 3").command(), tag(b"INSERT 0 3").rows()), (&b"INSERT"[..], Some(3)));
    assert_eq!((tag(b"SELECT 12").command(), tag(b"SELECT 12").rows()), (&b"SELECT"[..], Some(12)));
    assert_eq!((tag(b"CREATE TABLE").command(), tag(b"CREATE TABLE").rows()), (&b"CREATE TABLE"[..], None));
    assert_eq!((tag(b"").command(), tag(b"").rows()), (&b""[..], None));
}

#[test]
fn both_spellings_of_the_negotiated_version_are_read() {
    let frame = encoded(|buffer| {
        server::negotiate_protocol_version(buffer, ProtocolVersion::V3_2, &["_pq_.a", "_pq_.b"])
    });
    let decoded = NegotiateProtocolVersion::decode(body(&frame)).unwrap();
    assert_eq!(decoded.version, ProtocolVersion::V3_2);
    assert_eq!(decoded.unknown_options, [b"_pq_.a", b"_pq_.b"]);
    let minor_only = NegotiateProtocolVersion::decode(&[0, 0, 0, 2, 0, 0, 0, 0]).unwrap();
    assert_eq!(minor_only.version, ProtocolVersion::V3_2);
    assert!(NegotiateProtocolVersion::decode(&[0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff]).is_err());
}

#[test]
fn copy_and_status_messages_survive_the_round_trip() {
    for write in [server::copy_in_response, server::copy_out_response] {
        let frame = encoded(|buffer| write(buffer, 1, &[1, 0, 1]));
        let copy = CopyResponse::decode(body(&frame)).unwrap();
        assert_eq!((copy.format, copy.columns.iter().collect::<Vec<_>>()), (1, vec![1, 0, 1]));
    }
    for status in [TransactionStatus::Idle, TransactionStatus::InTransaction, TransactionStatus::Failed] {
        let frame = encoded(|buffer| server::ready_for_query(buffer, status));
        assert_eq!(ReadyForQuery::decode(body(&frame)), Ok(ReadyForQuery { status }));
    }
    assert!(ReadyForQuery::decode(b"X").is_err());
    let key = encoded(|buffer| server::backend_key_data(buffer, 9, &[7; 32]));
    assert_eq!(BackendKeyData::decode(body(&key)), Ok(BackendKeyData { pid: 9, secret: &[7; 32] }));
    assert!(BackendKeyData::decode(&[0, 0, 0, 9, 1, 2, 3]).is_err());
}

#[test]
fn empty_messages_are_headers() {
    for (write, tag) in [
        (server::empty_query_response as fn(&mut BytesMut), b'I'),
        (server::parse_complete, b'1'),
        (server::bind_complete, b'2'),
        (server::close_complete, b'3'),
        (server::no_data, b'n'),
        (server::portal_suspended, b's'),
    ] {
        assert_eq!(&encoded(write)[..], &[tag, 0, 0, 0, 4]);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = RowDescription::decode(&bytes).map(|row| row.iter().count());
        let _ = DataRow::decode(&bytes).map(|row| row.iter().count());
        let _ = ParameterDescription::decode(&bytes);
        let _ = CommandComplete::decode(&bytes).map(|tag| (tag.rows(), tag.command().len()));
        let _ = ParameterStatus::decode(&bytes);
        let _ = BackendKeyData::decode(&bytes);
        let _ = ReadyForQuery::decode(&bytes);
        let _ = CopyResponse::decode(&bytes);
        let _ = NotificationResponse::decode(&bytes);
        let _ = Authentication::decode(&bytes);
        let _ = Authentication::decode(&[&[0, 0, 0, 10], &bytes[..]].concat());
        let _ = NegotiateProtocolVersion::decode(&bytes);
    }

    #[test]
    fn small_counts_never_panic(bytes in prop::collection::vec(0_u8..4, 0..60)) {
        if let Ok(row) = RowDescription::decode(&bytes) {
            prop_assert_eq!(row.iter().count(), row.len());
        }
        if let Ok(row) = DataRow::decode(&bytes) {
            prop_assert_eq!(row.iter().count(), row.len());
        }
    }

    #[test]
    fn rows_survive_the_round_trip(
        names in prop::collection::vec(text(), 0..6),
        numbers in any::<(u32, i16, u32, i16, i32)>(),
        values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..6),
    ) {
        let fields: Vec<Field<'_>> = names.iter().map(|name| Field {
            name,
            table_oid: numbers.0,
            attribute_number: numbers.1,
            type_oid: numbers.2,
            type_length: numbers.3,
            type_modifier: numbers.4,
            format: 1,
        }).collect();
        let description = encoded(|buffer| server::row_description(buffer, &fields));
        let decoded = RowDescription::decode(body(&description)).unwrap();
        prop_assert_eq!(decoded.len(), fields.len());
        prop_assert_eq!(decoded.iter().collect::<Vec<_>>(), fields);
        let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
        let row = encoded(|buffer| server::data_row(buffer, &values));
        let decoded = DataRow::decode(body(&row)).unwrap();
        prop_assert_eq!(decoded.len(), values.len());
        prop_assert_eq!(decoded.iter().collect::<Vec<_>>(), values);
    }

    #[test]
    fn texts_survive_the_round_trip(one in text(), two in text(), oids in prop::collection::vec(any::<u32>(), 0..9)) {
        let status = encoded(|buffer| server::parameter_status(buffer, &one, &two));
        prop_assert_eq!(ParameterStatus::decode(body(&status)), Ok(ParameterStatus { name: &one, value: &two }));
        let notification = encoded(|buffer| server::notification_response(buffer, 5, &one, &two));
        let expected = NotificationResponse { pid: 5, channel: &one, payload: &two };
        prop_assert_eq!(NotificationResponse::decode(body(&notification)), Ok(expected));
        let complete = encoded(|buffer| server::command_complete(buffer, &one));
        prop_assert_eq!(CommandComplete::decode(body(&complete)), Ok(CommandComplete { tag: &one }));
        let types = encoded(|buffer| server::parameter_description(buffer, &oids));
        let decoded = ParameterDescription::decode(body(&types)).unwrap();
        prop_assert_eq!(decoded.oids.iter().collect::<Vec<_>>(), oids);
    }
}
