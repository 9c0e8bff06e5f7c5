//! Tests of login against what is not PostgreSQL, or not quite.
//!
//! Each case is a banner: bytes that a listener says and then closes. The question is always which error names it.
//! Logins that succeed are tested with [`crate::wire::startup`], as the two speak to each other; logins to real
//! servers are tested in `tests/it`.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

/// Connects to something that says `banner` and closes.
async fn greeted_with(banner: &'static [u8]) -> LoginError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut startup = [0; 64];
        let _ = socket.read(&mut startup).await;
        socket.write_all(banner).await.unwrap();
    });
    connect(&login(&address, Duration::from_secs(20))).await.unwrap_err()
}

fn login(address: &str, timeout: Duration) -> Login<'_> {
    // Of a handshake this file knows nothing.
    static PLAIN: std::sync::OnceLock<Connector> = std::sync::OnceLock::new();
    let tls = PLAIN.get_or_init(Connector::default);
    Login {
        address,
        host: "localhost",
        tls,
        user: "ann",
        database: "rides",
        secret: None,
        parameters: &[],
        timeout,
    }
}

#[tokio::test]
async fn other_protocols_are_named_as_such() {
    for banner in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"J\0\0\0\x0a8.0.36\0",
        b"-ERR unknown command\r\n",
        b"220",
        b"EHLO\x01",
        b"R\0\0\0\0",
        b"R\x7f\xff\xff\xff",
    ] {
        let error = greeted_with(banner).await;
        assert!(matches!(error, LoginError::NotPostgres { .. }), "{banner:?} {error:?}");
        assert!(error.to_string().ends_with("does not speak the PostgreSQL protocol"));
        assert_eq!(error.to_sql().sqlstate, SqlState::PROTOCOL_VIOLATION);
    }
}

#[tokio::test]
async fn the_servers_own_words_are_kept() {
    let error = greeted_with(b"E\0\0\0\x25SFATAL\0VFATAL\0C53300\0Mtoo many\0\0\0").await;
    assert!(matches!(error, LoginError::Protocol { .. }), "{error:?}");
    let error = greeted_with(b"E\0\0\0\x24SFATAL\0VFATAL\0C53300\0Mtoo many\0\0").await;
    assert_eq!(error.to_sql().to_string(), "FATAL: too many (53300)");
    let error = greeted_with(b"Ecould not fork new process for connection: no memory\n\0").await;
    assert_eq!(
        error.to_sql().to_string(),
        "FATAL: could not fork new process for connection: no memory (57P03)"
    );
}

#[tokio::test]
async fn a_greeting_must_make_sense() {
    for banner in [
        &b"R\0\0\0\x08\0\0\0\x0b"[..],
        b"R\0\0\0\x08\0\0\0\0D\0\0\0\x06\0\0",
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05T",
        b"R\0\0\0\x08\0\0\0\0S\0\0\0\x05x",
        b"R\0\0\0\x09\0\0\0\0x",
    ] {
        let error = greeted_with(banner).await;
        assert!(matches!(error, LoginError::Protocol { .. }), "{banner:?} {error:?}");
    }
    assert!(matches!(greeted_with(b"").await, LoginError::Closed { .. }));
    assert!(matches!(greeted_with(b"R\0\0\0\x08\0\0\0\0").await, LoginError::Closed { .. }));
    let error = greeted_with(b"R\0\0\0\x08\0\0\0\x07").await;
    assert!(error.to_string().ends_with("not supported (request 7)"), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let error = connect(&login(&address, Duration::from_millis(30))).await.unwrap_err();
    assert!(matches!(error, LoginError::Timeout { .. }));
    drop(listener);
    let error = connect(&login(&address, Duration::from_secs(5))).await.unwrap_err();
    assert!(matches!(error, LoginError::Unreachable { .. }));
    assert_eq!(error.to_sql().sqlstate.class(), "08");
}
