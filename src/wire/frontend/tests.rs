//! Tests of the decoders of client messages.
//!
//! Three kinds: tables of malformed messages with the wording of PostgreSQL, round trips with the encoders, and
//! bytes from a stranger, both at random and with small numbers only, so that counts and lengths are often
//! plausible.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::encode::{self, client};
use crate::wire::frame::body;

fn encoded(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut buffer = BytesMut::new();
    write(&mut buffer);
    buffer
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1_u8..=255, 0..20)
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..20))
}

#[test]
fn a_query_without_its_nul_is_refused() {
    assert_eq!(Query::decode(b""), Err(DecodeError::InvalidString));
    assert_eq!(Query::decode(b"select"), Err(DecodeError::InvalidString));
    assert_eq!(Query::decode(b"select\0x"), Err(DecodeError::TrailingData));
    assert_eq!(Query::decode(b"\0").unwrap().sql, b"");
}

#[test]
fn counts_must_agree_with_what_follows() {
    assert_eq!(Parse::decode(b"\0\0\0\x01\0\0\0"), Err(DecodeError::InsufficientData));
    assert_eq!(Parse::decode(b"\0\0\0\x01\0\0\0\x17\0"), Err(DecodeError::TrailingData));
    assert_eq!(Bind::decode(b"\0\0\0\0\xff\xff\0\0"), Err(DecodeError::InsufficientData));
    assert_eq!(Bind::decode(b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"), Err(DecodeError::InsufficientData));
    assert_eq!(Bind::decode(b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"), Err(DecodeError::InsufficientData));
    assert_eq!(
        Bind::decode(b"\0\0\0\x02\0\0\0\0\0\0\0\0").unwrap_err().to_string(),
        "bind message has 2 parameter formats but 0 parameters"
    );
}

#[test]
fn an_unknown_subtype_is_named_as_postgresql_names_it() {
    assert_eq!(Describe::decode(b"Xa\0").unwrap_err().to_string(), "invalid DESCRIBE message subtype 88");
    assert_eq!(Close::decode(b"\0a\0").unwrap_err().to_string(), "invalid CLOSE message subtype 0");
}

#[test]
fn formats_speak_for_all_values() {
    let bytes = [0, 0];
    let none = Formats::read(&mut Reader::new(&bytes)).unwrap();
    assert_eq!((none.len(), none.of(0), none.of(7)), (0, 0, 0));
    let bytes = [0, 1, 0, 1];
    let one = Formats::read(&mut Reader::new(&bytes)).unwrap();
    assert_eq!((one.of(0), one.of(7)), (1, 1));
    let bytes = [0, 2, 0, 1, 0, 0];
    let two = Formats::read(&mut Reader::new(&bytes)).unwrap();
    assert_eq!((two.of(0), two.of(1), two.of(2)), (1, 0, 0));
}

#[test]
fn a_startup_packet_keeps_order_and_the_last_of_duplicates_wins() {
    let parameters: &[(&[u8], &[u8])] =
        &[(b"user", b"ann"), (b"_pq_.x", b"1"), (b"options", b""), (b"user", b"bob")];
    let packet = encoded(|buffer| client::startup(buffer, ProtocolVersion::V3_2, parameters));
    let FirstPacket::Startup(startup) = FirstPacket::decode(&packet[4..]).unwrap() else {
        panic!("not a startup")
    };
    assert_eq!(startup.version, ProtocolVersion::V3_2);
    assert_eq!(startup.parameters, parameters);
    assert_eq!(startup.get(b"user"), Some(&b"bob"[..]));
    assert_eq!(startup.get(b"options"), Some(&b""[..]));
    assert_eq!(startup.protocol_options().collect::<Vec<_>>(), [b"_pq_.x"]);
}

#[test]
fn a_startup_packet_must_end_with_its_terminator() {
    for packet in [&b"\0\x03\0\0"[..], b"\0\x03\0\0user\0", b"\0\x03\0\0user\0a", b"\0\x03\0\0user\0a\0\0x"] {
        assert_eq!(FirstPacket::decode(packet), Err(DecodeError::StartupLayout), "{packet:?}");
    }
    assert_eq!(FirstPacket::decode(b"\0\x03"), Err(DecodeError::StartupLength));
    assert_eq!(
        FirstPacket::decode(b"\0\x02\0\0anything"),
        Ok(FirstPacket::Unsupported(ProtocolVersion { major: 2, minor: 0 }))
    );
}

#[test]
fn a_cancel_key_has_4_to_256_bytes() {
    for (length, legal) in [(0, false), (3, false), (4, true), (32, true), (256, true), (257, false)] {
        let packet = encoded(|buffer| client::cancel_request(buffer, 42, &vec![7; length]));
        let decoded = FirstPacket::decode(&packet[4..]);
        assert_eq!(decoded.is_ok(), legal, "{length}");
        if let Ok(FirstPacket::Cancel(cancel)) = decoded {
            assert_eq!((cancel.pid, cancel.secret.len()), (42, length));
            assert!(!format!("{cancel:?}").contains('7'));
        }
    }
}

#[test]
fn encryption_requests_carry_nothing_else() {
    let ssl = encoded(client::ssl_request);
    assert_eq!(FirstPacket::decode(&ssl[4..]), Ok(FirstPacket::SslRequest));
    let gss = encoded(client::gssenc_request);
    assert_eq!(FirstPacket::decode(&gss[4..]), Ok(FirstPacket::GssEncRequest));
    assert!(FirstPacket::decode(&[&ssl[4..], b"x"].concat()).is_err());
}

#[test]
fn a_text_with_a_nul_cannot_smuggle_a_field() {
    let frame = encoded(|buffer| client::execute(buffer, b"a\0\0\0\0\x01", 5));
    assert_eq!(Execute::decode(body(&frame)), Ok(Execute { portal: b"a", max_rows: 5 }));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Query::decode(&bytes);
        let _ = Parse::decode(&bytes).map(|parse| parse.parameter_oids.iter().count());
        if let Ok(bind) = Bind::decode(&bytes) {
            prop_assert_eq!(bind.parameters.iter().count(), bind.parameters.len());
        }
        let _ = Describe::decode(&bytes);
        let _ = Close::decode(&bytes);
        let _ = Execute::decode(&bytes);
        let _ = CopyFail::decode(&bytes);
        let _ = Password::decode(&bytes).is_ok();
        let _ = SaslInitialResponse::decode(&bytes);
        let _ = FirstPacket::decode(&bytes);
        let _ = FirstPacket::decode(&[&[0, 3, 0, 0], &bytes[..]].concat());
    }

    #[test]
    fn small_counts_never_panic(bytes in prop::collection::vec(0_u8..4, 0..40)) {
        if let Ok(bind) = Bind::decode(&bytes) {
            prop_assert_eq!(bind.parameters.iter().count(), bind.parameters.len());
            prop_assert_eq!(bind.result_formats.iter().count(), bind.result_formats.len());
        }
        if let Ok(parse) = Parse::decode(&bytes) {
            prop_assert_eq!(parse.parameter_oids.iter().count(), parse.parameter_oids.len());
        }
    }

    #[test]
    fn parse_survives_the_round_trip(name in text(), sql in text(), oids in prop::collection::vec(any::<u32>(), 0..9)) {
        let frame = encoded(|buffer| client::parse(buffer, &name, &sql, &oids));
        let parse = Parse::decode(body(&frame)).unwrap();
        prop_assert_eq!((parse.name, parse.sql), (&name[..], &sql[..]));
        prop_assert_eq!(parse.parameter_oids.iter().collect::<Vec<_>>(), oids);
        let renamed = encoded(|buffer| client::parse_with_tail(buffer, b"g1", parse.tail));
        let again = Parse::decode(body(&renamed)).unwrap();
        prop_assert_eq!((again.name, again.sql, again.tail), (&b"g1"[..], &sql[..], parse.tail));
    }

    #[test]
    fn bind_survives_the_round_trip(
        names in (text(), text()),
        parameters in prop::collection::vec(value(), 0..6),
        result_formats in prop::collection::vec(0_i16..2, 0..4),
        per_value in any::<bool>(),
    ) {
        let parameters: Vec<Option<&[u8]>> = parameters.iter().map(Option::as_deref).collect();
        let parameter_formats = vec![1; if per_value { parameters.len() } else { 1 }];
        let message = client::Bind {
            portal: &names.0,
            statement: &names.1,
            parameter_formats: &parameter_formats,
            parameters: &parameters,
            result_formats: &result_formats,
        };
        let frame = encoded(|buffer| client::bind(buffer, &message));
        let bind = Bind::decode(body(&frame)).unwrap();
        prop_assert_eq!((bind.portal, bind.statement), (&names.0[..], &names.1[..]));
        prop_assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), parameters.clone());
        prop_assert_eq!(bind.parameters.get(parameters.len()), None);
        prop_assert_eq!(bind.result_formats.iter().collect::<Vec<_>>(), result_formats);
        prop_assert_eq!(bind.parameter_formats.iter().collect::<Vec<_>>(), parameter_formats);
        let renamed = encoded(|buffer| client::bind_with_tail(buffer, b"", b"g1", bind.tail));
        let again = Bind::decode(body(&renamed)).unwrap();
        prop_assert_eq!((again.statement, again.parameters, again.tail), (&b"g1"[..], bind.parameters, bind.tail));
    }

    #[test]
    fn small_messages_survive_the_round_trip(name in text(), max_rows in any::<i32>(), portal in any::<bool>()) {
        let target = if portal { Target::Portal } else { Target::Statement };
        let describe = encoded(|buffer| client::describe(buffer, target, &name));
        prop_assert_eq!(Describe::decode(body(&describe)), Ok(Describe { target, name: &name }));
        let close = encoded(|buffer| client::close(buffer, target, &name));
        prop_assert_eq!(Close::decode(body(&close)), Ok(Close { target, name: &name }));
        let execute = encoded(|buffer| client::execute(buffer, &name, max_rows));
        prop_assert_eq!(Execute::decode(body(&execute)), Ok(Execute { portal: &name, max_rows }));
        let fail = encoded(|buffer| client::copy_fail(buffer, &name));
        prop_assert_eq!(CopyFail::decode(body(&fail)), Ok(CopyFail { reason: &name }));
        let query = encoded(|buffer| client::query(buffer, &name));
        prop_assert_eq!(Query::decode(body(&query)), Ok(Query { sql: &name }));
        let sasl = encoded(|buffer| client::sasl_initial_response(buffer, &name, None));
        let expected = SaslInitialResponse { mechanism: &name, response: None };
        prop_assert_eq!(SaslInitialResponse::decode(body(&sasl)), Ok(expected));
        let data = encoded(|buffer| encode::copy_data(buffer, &name));
        prop_assert_eq!(body(&data), &name[..]);
    }
}
