//! Encryption on real sockets: psql and raw clients to Meridian, Meridian to servers with `ssl = on`, with certificates
//! that are made here.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use meridian::demo::cluster::{APP_PASSWORD, APP_USER, Account};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;

use crate::harness::{
    Meridian, TemporaryDirectory, TestCluster, cluster, connect, database, eventually, meridian,
};

/// An authority, and the files that it has signed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: TemporaryDirectory,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        let directory = TemporaryDirectory::new();
        let own = params.self_signed(&key).expect("a certificate");
        fs::write(directory.path().join("ca.pem"), own.pem()).expect("a file");
        Self { issuer: Issuer::new(params, key), directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// `NAME.pem` and `NAME.key`, for these names of a host and this common name.
    pub fn sign(&self, name: &str, hosts: &[&str], common_name: &str) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("parameters");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("a file");
        let file = self.path(&format!("{name}.key"));
        fs::write(&file, key.serialize_pem()).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// The keys of `[tls]`.
    pub fn section(&self, mode: &str, more: &str) -> String {
        let (certificate, key) = (self.path("server.pem"), self.path("server.key"));
        format!(
            "mode = \"{mode}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{more}",
            certificate.display(),
            key.display()
        )
    }
}

pub fn psql(meridian: &Meridian, database: &str, parameters: &str) -> Output {
    let port = meridian.address().port();
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={port} user={APP_USER} dbname={database} {parameters}"
    );
    let mut command = Command::new("psql");
    command.args(["-XAtq", "-d", &conninfo, "-c", "SELECT 'answered'"]);
    command.env("PGPASSWORD", APP_PASSWORD).env("PGCONNECT_TIMEOUT", "10").env_remove("PGSSLMODE");
    command.output().expect("psql runs")
}

pub fn answered(output: &Output) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).trim() == "answered"
}

pub fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn psql_connects_in_every_mode_and_is_refused_where_it_must_be() {
    let database = database().await;
    let authority = Authority::new();
    authority.sign("server", &["localhost"], "localhost");
    let described = || meridian(&database.cluster).database(&database.name);
    let ca = authority.ca();
    let root = format!("sslrootcert={}", ca.display());

    let optional = described().section("tls", &authority.section("optional", "")).start();
    for parameters in [
        "sslmode=disable".to_owned(),
        "sslmode=prefer".to_owned(),
        "sslmode=require channel_binding=require".to_owned(),
        format!("sslmode=verify-ca {root}"),
        format!("sslmode=verify-full {root} channel_binding=require"),
    ] {
        let output = psql(&optional, &database.name, &parameters);
        assert!(answered(&output), "{parameters}: {}", words(&output));
    }

    let required = described().section("tls", &authority.section("required", "")).start();
    let output = psql(&required, &database.name, "sslmode=disable");
    assert!(words(&output).contains("without encryption"), "{}", words(&output));
    assert!(answered(&psql(&required, &database.name, "sslmode=require")));

    let off = described().start();
    assert!(answered(&psql(&off, &database.name, "sslmode=prefer")));
    assert!(!answered(&psql(&off, &database.name, "sslmode=require")));
}

#[tokio::test]
async fn texts_in_another_encoding_are_converted_within_encryption() {
    let database = database().await;
    let authority = Authority::new();
    authority.sign("server", &["localhost"], "localhost");
    let described = meridian(&database.cluster).database(&database.name);
    let meridian = described.section("tls", &authority.section("required", "")).start();
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user={APP_USER} dbname={} sslmode=require client_encoding=LATIN1",
        meridian.address().port(),
        database.name
    );
    let mut command = Command::new("psql");
    command.args(["-XAtq", "-d", &conninfo, "-c"]).env("PGPASSWORD", APP_PASSWORD);
    let asked = b"SELECT repeat('\xfc', 100000) FROM generate_series(1, 50)";
    command.arg(std::ffi::OsStr::from_bytes(asked));
    let output = command.output().expect("psql runs");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(output.stdout.len(), 50 * 100_001);
    assert!(output.stdout.iter().all(|byte| matches!(byte, 0xfc | b'\n')));
}

#[tokio::test]
async fn clients_certificates_are_verified_as_configured() {
    let database = database().await;
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.sign("server", &["localhost"], "localhost");
    authority.sign("right", &[], APP_USER);
    authority.sign("other", &[], "somebody");
    stranger.sign("forged", &[], APP_USER);
    let more = format!(
        "client_ca_file = \"{}\"\nclient_certificates = \"required\"\nclient_name_is_user = true\n",
        authority.ca().display()
    );
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("tls", &authority.section("required", &more))
        .start();
    let with = |authority: &Authority, name: &str| {
        let (certificate, key) =
            (authority.path(&format!("{name}.pem")), authority.path(&format!("{name}.key")));
        format!("sslmode=require sslcert={} sslkey={}", certificate.display(), key.display())
    };
    let right = psql(&meridian, &database.name, &with(&authority, "right"));
    assert!(answered(&right), "{}", words(&right));
    let other = psql(&meridian, &database.name, &with(&authority, "other"));
    assert!(words(&other).contains("certificate authentication failed"), "{}", words(&other));
    assert!(!answered(&psql(&meridian, &database.name, &with(&stranger, "forged"))));
    assert!(!answered(&psql(&meridian, &database.name, "sslmode=require sslcert=/nowhere sslkey=/nowhere")));
}

/// A connection that has asked for encryption, and what was answered.
fn ask_for_encryption(meridian: &Meridian, more: &[u8]) -> (TcpStream, Vec<u8>) {
    let mut socket = TcpStream::connect(meridian.address()).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a bound");
    let request = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    socket.write_all(&[&request, more].concat()).expect("it is sent");
    let mut answer = [0];
    socket.read_exact(&mut answer).expect("an answer");
    (socket, answer.to_vec())
}

#[tokio::test]
async fn what_comes_before_the_handshake_is_never_executed() {
    let database = database().await;
    let authority = Authority::new();
    authority.sign("server", &["localhost"], "localhost");
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("tls", &authority.section("optional", ""))
        .section("proxy", "authentication_timeout = \"2s\"")
        .start();
    // A start-up packet in the same segment: refused, whoever put it there.
    let startup = b"\0\0\0\x10\0\x03\0\0user\0a\0\0";
    let (mut socket, answer) = ask_for_encryption(&meridian, startup);
    assert_eq!(answer, b"N");
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).expect("it is closed");
    assert!(String::from_utf8_lossy(&rest).contains("unencrypted data after SSL request"));

    // Half a handshake, or none of one: the connection ends, and nobody else is held up.
    for garbage in [&b"\x16\x03\x01\x02"[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 300]] {
        let (mut socket, answer) = ask_for_encryption(&meridian, b"");
        assert_eq!(answer, b"S");
        socket.write_all(garbage).expect("it is sent");
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        assert!(!rest.windows(2).any(|pair| pair == b"Z\0"), "no session was begun");
    }
    assert!(answered(&psql(&meridian, &database.name, "sslmode=require")));
}

/// PostgreSQL 17's way: a handshake at once, with the protocol's name in it.
fn direct(meridian: &Meridian, authority: &Authority, alpn: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(authority.ca()).expect("the authority");
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&pem) {
        roots.add(certificate.expect("a certificate")).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut socket = TcpStream::connect(meridian.address())?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(b"\0\0\0\x1a\0\x03\0\0user\0meridian\0\0\0\0\0")?;
    let mut answer = vec![0; 9];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[tokio::test]
async fn a_handshake_may_come_at_once_if_it_names_the_protocol() {
    let database = database().await;
    let authority = Authority::new();
    authority.sign("server", &["localhost"], "localhost");
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("tls", &authority.section("required", ""))
        .start();
    let answer = direct(&meridian, &authority, &[b"postgresql"]).expect("an answer");
    assert!(matches!(answer[0], b'R' | b'E'), "{answer:?}");
    let nameless = direct(&meridian, &authority, &[]);
    assert!(nameless.is_err() || nameless.is_ok_and(|answer| answer[0] == b'E'));
}

#[tokio::test]
async fn a_reload_takes_a_new_certificate_and_keeps_who_is_connected() {
    let database = database().await;
    let (authority, next) = (Authority::new(), Authority::new());
    authority.sign("server", &["localhost"], "localhost");
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("tls", &authority.section("optional", ""))
        .start();
    let connected = connect(&meridian.app()).await;
    next.sign("server", &["localhost"], "localhost");
    for name in ["server.pem", "server.key"] {
        fs::copy(next.path(name), authority.path(name)).expect("a renewal");
    }
    meridian.signal(libc::SIGHUP);
    let verify = |authority: &Authority| {
        let parameters = format!("sslmode=verify-full sslrootcert={}", authority.ca().display());
        answered(&psql(&meridian, &database.name, &parameters))
    };
    eventually("the new certificate is shown", async || verify(&next).then_some(())).await;
    assert!(!verify(&authority));
    connected.simple_query("SELECT 1").await.expect("it stays");

    // A key that others may read, and a file that is no certificate, change nothing.
    let key = authority.path("server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("its mode");
    meridian.signal(libc::SIGHUP);
    eventually("the reason is logged", async || {
        meridian.log().contains("can be read by others").then_some(())
    })
    .await;
    assert!(verify(&next));
}

/// Servers that encrypt, with a certificate for their address or for another name.
fn encrypted(authority: &Authority, hosts: &[&str]) -> TestCluster {
    authority.sign("node", hosts, "node");
    let account = Account::for_servers().expect("an account for servers");
    account.give(&authority.path("node.key")).expect("its owner");
    cluster()
        .region("us-east")
        .region("eu-central")
        .setting("ssl", "on")
        .setting("ssl_cert_file", &quoted(&authority.path("node.pem")))
        .setting("ssl_key_file", &quoted(&authority.path("node.key")))
        .start()
}

fn quoted(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn servers_are_trusted_as_far_as_configured() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cluster = encrypted(&authority, &["127.0.0.1"]);
    let start = |tls: &str, authority: &Authority| {
        let keys = format!("tls = \"{tls}\"\ntls_ca_file = \"{}\"", authority.ca().display());
        meridian(&cluster).section("server", &keys).section("proxy", "primary_wait = \"1s\"").start()
    };
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let meridian = start(mode, &authority);
        let client = connect(&meridian.app()).await;
        let row = client.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert!(row.get::<_, bool>(0), "{mode}");
        // Much in both directions, and a cancel, through it.
        let row = client.query_one("SELECT length(repeat('x', 3000000))", &[]).await.expect("an answer");
        assert_eq!(row.get::<_, i32>(0), 3_000_000);
        let text = "y".repeat(2_000_000);
        let row = client.query_one("SELECT $1::text", &[&text]).await.expect("an answer");
        assert_eq!(row.get::<_, &str>(0).len(), 2_000_000);
        let cancel = client.cancel_token();
        let sleep = client.batch_execute("SELECT pg_sleep(600)");
        let watcher = cluster.direct("us-east").await;
        let stop = async {
            let seen =
                "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'";
            eventually("it sleeps", async || watcher.query_one(seen, &[]).await.ok()).await;
            cancel.cancel_query(tokio_postgres::NoTls).await
        };
        let (slept, stopped) = tokio::join!(sleep, stop);
        stopped.expect("the request is sent");
        assert_eq!(slept.expect_err("it is cancelled").code().map(|code| code.code()), Some("57014"));
    }
    let plain = start("disable", &authority);
    let row = connect(&plain.app()).await.query_one(query, &[]).await.expect("an answer");
    assert!(!row.get::<_, bool>(0));

    let untrusted = start("verify-ca", &stranger);
    let error = crate::harness::try_connect(&untrusted.app()).await.expect_err("another authority");
    assert!(error.as_db_error().is_some(), "{error}");
}

#[tokio::test]
async fn a_servers_name_counts_under_verify_full_only() {
    let authority = Authority::new();
    let cluster = encrypted(&authority, &["elsewhere.example"]);
    let start = |tls: &str| {
        let keys = format!("tls = \"{tls}\"\ntls_ca_file = \"{}\"", authority.ca().display());
        meridian(&cluster).section("server", &keys).section("proxy", "primary_wait = \"1s\"").start()
    };
    connect(&start("verify-ca").app()).await.simple_query("SELECT 1").await.expect("signed by the authority");
    let strict = start("verify-full");
    crate::harness::try_connect(&strict.app()).await.expect_err("another name");
    assert!(strict.log().contains("is down") || strict.log().contains("certificate"), "{}", strict.log());
}
