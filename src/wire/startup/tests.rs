//! Tests of start-up over loopback sockets.
//!
//! Two ways: raw bytes of a client, with what it hears compared to what PostgreSQL 15 says to the same bytes; and
//! [`crate::wire::login`] as the client of start-up, for every method and every kind of stored credential.
//! What only real clients and servers can show (psql, drivers, `pg_hba.conf`) is tested in `tests/it`.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::wire::backend::NegotiateProtocolVersion;
use crate::wire::backend::TransactionStatus;
use crate::wire::encode::client;
use crate::wire::frame::body;
use crate::wire::login::{self, Login, LoginError};
use crate::wire::scram::Verifier;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn pair() -> (TcpStream, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, Connection::new(listener.accept().await.unwrap().0))
}

/// Sends each part after the server has answered `N` to the one before it; returns what the server makes of it, and
/// what the client read.
async fn negotiated(parts: &[Vec<u8>]) -> (Result<Opening, StartupError>, Vec<u8>) {
    let (mut client, mut server) = pair().await;
    let parts = parts.to_vec();
    let speaker = tokio::spawn(async move {
        let mut heard = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                heard.push(client.read_u8().await.unwrap());
            }
            client.write_all(part).await.unwrap();
        }
        client.shutdown().await.unwrap();
        client.read_to_end(&mut heard).await.unwrap();
        heard
    });
    let result = negotiate(&mut server, None, &Limits::default(), soon()).await;
    match result.as_ref().err().and_then(StartupError::to_sql) {
        Some(error) => server.refuse(&error).await,
        None => drop(server),
    }
    (result, speaker.await.unwrap())
}

fn packet(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    write(&mut buffer);
    buffer.to_vec()
}

fn startup(version: ProtocolVersion, parameters: &[(&str, &str)]) -> Vec<u8> {
    let parameters: Vec<_> =
        parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    packet(|buffer| client::startup(buffer, version, &parameters))
}

fn refusal(result: Result<Opening, StartupError>) -> (String, String) {
    match result {
        Err(StartupError::Refused(error)) => (error.sqlstate.to_string(), error.message),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn encryption_is_declined_once_each() {
    let ssl = packet(client::ssl_request);
    let gss = packet(client::gssenc_request);
    let hello = startup(ProtocolVersion::V3_0, &[("user", "ann"), ("application_name", "x")]);
    let (result, heard) = negotiated(&[gss.clone(), ssl.clone(), hello]).await;
    let Ok(Opening::Session(hello)) = result else { panic!("{result:?}") };
    assert_eq!((hello.user.as_str(), hello.database.as_str()), ("ann", "ann"));
    assert_eq!(hello.parameters, [("application_name".to_owned(), "x".to_owned())]);
    assert_eq!(hello.cancel_secret_bytes(), 4);
    assert_eq!(heard, b"NN");
    let (result, _) = negotiated(&[ssl.clone(), ssl]).await;
    let (state, message) = refusal(result);
    assert_eq!(state, "0A000");
    assert_eq!(message, "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2");
}

#[tokio::test]
async fn bytes_behind_an_encryption_request_end_the_connection() {
    let hello = startup(ProtocolVersion::V3_0, &[("user", "ann")]);
    for (request, message) in [
        (packet(client::ssl_request), "received unencrypted data after SSL request"),
        (packet(client::gssenc_request), "received unencrypted data after GSSAPI encryption request"),
    ] {
        let (result, heard) = negotiated(&[[&request[..], &hello].concat()]).await;
        assert_eq!(refusal(result), ("08P01".to_owned(), message.to_owned()));
        assert_eq!(heard[..2], *b"NE");
        assert_eq!(SqlError::parse(body(&heard[1..])).unwrap().message, message);
    }
}

#[tokio::test]
async fn later_minor_versions_and_unknown_options_are_negotiated() {
    const V3_0: ProtocolVersion = ProtocolVersion::V3_0;
    const V3_2: ProtocolVersion = ProtocolVersion::V3_2;
    let minor = |minor| ProtocolVersion { major: 3, minor };
    // What is asked for, with which option; which version the client is told of, if any.
    for (asked, option, told) in [
        (V3_2, None, None),
        (minor(1), None, None),
        (minor(9999), None, Some(V3_2)),
        (minor(9999), Some("_pq_.a"), Some(V3_2)),
        (V3_0, Some("_pq_.b"), Some(V3_0)),
    ] {
        let mut parameters = vec![("user", "ann")];
        parameters.extend(option.map(|name| (name, "1")));
        let (result, heard) = negotiated(&[startup(asked, &parameters)]).await;
        let Ok(Opening::Session(hello)) = result else { panic!("{result:?}") };
        assert_eq!(hello.version, asked.min(V3_2));
        assert!(hello.parameters.is_empty());
        let Some(version) = told else {
            assert!(heard.is_empty());
            continue;
        };
        let message = NegotiateProtocolVersion::decode(body(&heard)).unwrap();
        assert_eq!((heard[0], message.version), (b'v', version));
        assert_eq!(message.unknown_options, option.map(str::as_bytes).as_slice());
    }
}

#[tokio::test]
async fn what_is_not_protocol_three_is_refused() {
    let version_two = [&[0, 0, 0, 16, 0, 2, 0, 0][..], b"whatever"].concat();
    assert_eq!(refusal(negotiated(&[version_two]).await.0).0, "0A000");
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x07\0\x03\0", b"\x16\x03\x01\x02\0\x01\0"] {
        let (result, heard) = negotiated(&[garbage.to_vec()]).await;
        assert_eq!(refusal(result), ("08P01".to_owned(), "invalid length of startup packet".to_owned()));
        assert_eq!(heard[0], b'E');
    }
    let nobody = startup(ProtocolVersion::V3_0, &[("database", "x")]);
    assert_eq!(refusal(negotiated(&[nobody]).await.0).0, "28000");
    let long = [&[0, 0, 0x27, 0x15, 0, 3, 0, 0][..]].concat();
    assert_eq!(refusal(negotiated(&[long]).await.0).1, "invalid length of startup packet");
}

#[tokio::test]
async fn a_client_that_leaves_is_told_nothing() {
    let (result, heard) = negotiated(&[Vec::new()]).await;
    assert!(matches!(result, Err(StartupError::Closed { midway: false })));
    assert!(heard.is_empty());
    let (result, heard) = negotiated(&[b"\0\0\0".to_vec()]).await;
    assert!(matches!(result, Err(StartupError::Closed { midway: true })));
    assert!(heard.is_empty());
}

#[tokio::test]
async fn a_silent_client_is_left_at_the_deadline() {
    let (_client, mut server) = pair().await;
    let deadline = Instant::now() + Duration::from_millis(20);
    let error = negotiate(&mut server, None, &Limits::default(), deadline).await.unwrap_err();
    assert_eq!(error.to_sql().map(|error| error.sqlstate), Some(SqlState::QUERY_CANCELED));
}

#[tokio::test]
async fn a_cancel_request_is_returned() {
    let request = packet(|buffer| client::cancel_request(buffer, 7, &[1; 32]));
    let (result, _) = negotiated(&[request]).await;
    let Ok(Opening::Cancel(key)) = result else { panic!("{result:?}") };
    assert_eq!(key, CancelKey { pid: 7, secret: Secret::new([1; 32]) });
}

/// One login through our own server side, with what is stored and what is given.
async fn login(method: Method, stored: Option<Credential>, password: Option<&str>) -> Result<(), LoginError> {
    log_in(method, stored, password.map(|text| LoginSecret::Password(Secret::from(text)))).await
}

async fn log_in(
    method: Method,
    stored: Option<Credential>,
    secret: Option<LoginSecret>,
) -> Result<(), LoginError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let mut connection = Connection::new(listener.accept().await.unwrap().0);
        let limits = Limits::default();
        let Ok(Opening::Session(hello)) = negotiate(&mut connection, None, &limits, soon()).await else {
            return;
        };
        let candidate = Candidate {
            method,
            user: &hello.user,
            credential: stored.as_ref(),
            mock: &MockKey::new([1; 32]),
            channel_binding: None,
        };
        let mut output = BytesMut::new();
        match authenticate(&mut connection, &candidate, &limits, soon(), &mut output).await {
            Ok(_) => {
                server::parameter_status(&mut output, b"server_version", b"15.0");
                server::backend_key_data(&mut output, 7, b"abcd");
                server::ready_for_query(&mut output, TransactionStatus::Idle);
                connection.write(&output, soon()).await.unwrap();
            }
            Err(error) => {
                if let Some(error) = error.to_sql() {
                    connection.refuse(&error).await;
                }
            }
        }
    });
    let request = Login {
        address: &address,
        host: "localhost",
        tls: &Default::default(),
        user: "ann",
        database: "rides",
        secret: secret.as_ref(),
        parameters: &[],
        timeout: Duration::from_secs(20),
    };
    let result = login::connect(&request).await;
    let result = result.map(|greeting| {
        assert_eq!(greeting.parameters, [("server_version".to_owned(), "15.0".to_owned())]);
        assert_eq!((greeting.pid, greeting.secret.expose()), (7, &b"abcd"[..]));
    });
    server.await.unwrap();
    result
}

#[tokio::test]
async fn every_method_lets_the_right_password_in_and_no_other() {
    let plain = || Credential::parse("s3cret", [1; 16]);
    let md5 = || Credential::Md5(crate::wire::credential::md5_hash("ann", &Secret::from("s3cret")));
    let scram = || Credential::Scram(Verifier::derive(&Secret::from("s3cret"), b"salt", 64));
    let cases = [
        (Method::Cleartext, plain()),
        (Method::Cleartext, md5()),
        (Method::Cleartext, scram()),
        (Method::Md5, plain()),
        (Method::Md5, md5()),
        (Method::Md5, scram()),
        (Method::Scram, plain()),
        (Method::Scram, scram()),
    ];
    for (method, credential) in cases {
        let right = login(method, Some(credential.clone()), Some("s3cret")).await;
        assert!(right.is_ok(), "{method:?} {credential:?} {right:?}");
        for stored in [Some(credential), None] {
            let Err(LoginError::Server(error)) = login(method, stored.clone(), Some("wrong")).await else {
                panic!("{method:?} let a wrong password in")
            };
            assert_eq!(error.to_string(), "FATAL: password authentication failed for user \"ann\" (28P01)");
        }
    }
    assert!(login(Method::Trust, None, None).await.is_ok());
    assert!(login(Method::Scram, Some(md5()), Some("s3cret")).await.is_err());
}

#[tokio::test]
async fn what_a_client_has_shown_serves_for_the_same_method_only() {
    let hash = crate::wire::credential::md5_hash("ann", &Secret::from("s3cret"));
    let shown = || Some(LoginSecret::Md5(hash.clone()));
    let md5 = || Some(Credential::Md5(hash.clone()));
    assert!(log_in(Method::Md5, md5(), shown()).await.is_ok());
    let Err(error) = log_in(Method::Cleartext, md5(), shown()).await else { panic!("let in") };
    let words =
        "asks for the password in clear, and what is known of the client's password serves for md5 only";
    assert!(error.to_string().ends_with(words), "{error}");
    let scram = Credential::Scram(Verifier::derive(&Secret::from("s3cret"), b"salt", 64));
    let Err(error) = log_in(Method::Scram, Some(scram), shown()).await else { panic!("let in") };
    assert!(matches!(error, LoginError::OtherMethod { asked: "SCRAM", known: "md5", .. }), "{error}");
}

#[tokio::test]
async fn a_password_that_is_missing_is_named() {
    for method in [Method::Cleartext, Method::Md5, Method::Scram] {
        let result = login(method, None, None).await;
        assert!(matches!(result, Err(LoginError::PasswordRequired { .. })), "{method:?}");
    }
    let Err(LoginError::Server(error)) = login(Method::Cleartext, None, Some("")).await else {
        panic!("let in")
    };
    assert_eq!(error.message, "empty password returned by client");
}

#[tokio::test]
async fn nothing_but_a_password_is_read_before_authentication() {
    let (mut client, mut server) = pair().await;
    client.write_all(&[&b"Q"[..], &100_000_000_u32.to_be_bytes()].concat()).await.unwrap();
    let candidate = Candidate {
        method: Method::Scram,
        user: "ann",
        credential: None,
        mock: &MockKey::new([1; 32]),
        channel_binding: None,
    };
    let mut output = BytesMut::new();
    let result = authenticate(&mut server, &candidate, &Limits::default(), soon(), &mut output).await;
    let Err(StartupError::Refused(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.message, "expected SASL response, got message type 81");
    assert!(output.is_empty());
}
