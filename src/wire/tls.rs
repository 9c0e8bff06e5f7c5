//! Encryption of both sides: what Meridian shows to clients, and what it demands of servers.
//!
//! Made by `config` from files, whole or not at all; a reload makes them anew, and connections that exist go on with what
//! they have. [`Acceptor`] is used by [`super::startup`], [`Connector`] by [`super::login`] and by the control plane.
//!
//! ```text
//!  client ── SSLRequest ─▶ S ── handshake ─▶ start-up packet …        or the handshake at once, with ALPN "postgresql"
//!  server ◀─ SSLRequest ── S ◀─ handshake ── start-up packet …
//! ```
//!
//! Invariants:
//! 1. A channel binding is the hash of the server's own certificate, by the hash of its signature (RFC 5929).
//! 2. `verify-full` accepts nothing that `verify-ca` would not, and that nothing that `require` would not.
//! 3. Private keys are in no message and in no log.
//!
//! Source: PostgreSQL's `be-secure-openssl.c` and the manual's "SSL Mode Descriptions".

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::der::Decode as _;

/// The name of PostgreSQL's protocol in a handshake that no SSLRequest precedes.
const PROTOCOL: &[u8] = b"postgresql";

/// Why there is no encryption as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("there is no certificate in it")]
    NoCertificate,
    #[error("there is no private key in it ({0})")]
    NoKey(rustls::pki_types::pem::Error),
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
    #[error("{0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    #[error("the certificate is malformed: {0}")]
    Certificate(#[from] x509_cert::der::Error),
    #[error("the system has no roots of trust: give a tls_ca_file")]
    NoRoots,
}

impl TlsError {
    /// Whether it is the key that is wrong, or not the certificate's.
    pub fn is_of_key(&self) -> bool {
        matches!(self, Self::NoKey(_) | Self::Rustls(rustls::Error::InconsistentKeys(_)))
    }
}

/// What clients are asked for besides a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    None,
    /// One that is shown must be signed by the authority.
    Optional,
    Required,
}

/// Meridian's side towards its clients.
pub struct Acceptor {
    config: Arc<ServerConfig>,
    /// A client without encryption is refused.
    pub required: bool,
    /// A certificate's common name must be the user's.
    pub name_is_user: bool,
    binding: Vec<u8>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("required", &self.required).finish_non_exhaustive()
    }
}

/// PEM texts of what a side shows of itself.
pub struct Identity<'a> {
    pub certificates: &'a [u8],
    pub key: &'a [u8],
}

impl Identity<'_> {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let certificates = certificates(self.certificates)?;
        Ok((certificates, PrivateKeyDer::from_pem_slice(self.key).map_err(TlsError::NoKey)?))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Acceptor {
    /// `authority` is the PEM text of who signs clients' certificates.
    pub fn new(
        identity: &Identity<'_>,
        clients: ClientCertificates,
        authority: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let (certificates, key) = identity.read()?;
        let binding = match certificates.first() {
            Some(own) => channel_binding(own)?,
            None => return Err(TlsError::NoCertificate),
        };
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match (clients, authority) {
            (ClientCertificates::None, _) | (_, None) => builder.with_no_client_auth(),
            (asked, Some(authority)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider());
                let verifier = match asked {
                    ClientCertificates::Required => verifier,
                    ClientCertificates::None | ClientCertificates::Optional => {
                        verifier.allow_unauthenticated()
                    }
                };
                let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(certificates, key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { config: Arc::new(config), required: false, name_is_user: false, binding })
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What `tls-server-end-point` stands for.
    pub fn channel_binding(&self) -> &[u8] {
        &self.binding
    }
}

/// Whether a client that spoke TLS at once has said that it means PostgreSQL's protocol.
pub fn is_for_postgres(alpn: Option<&[u8]>) -> bool {
    alpn == Some(PROTOCOL)
}

/// How far a server is trusted, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerTls {
    #[default]
    Disable,
    /// Encrypted if the server can.
    Prefer,
    Require,
    /// And its certificate is signed by the authority.
    VerifyCa,
    /// And it is for this server's name.
    VerifyFull,
}

/// Meridian's side towards the servers.
#[derive(Clone, Default)]
pub struct Connector {
    pub mode: ServerTls,
    config: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Connector {
    /// Without `authority` the system's roots of trust count. `identity` is shown to servers that ask.
    pub fn new(
        mode: ServerTls,
        authority: Option<&[u8]>,
        identity: Option<&Identity<'_>>,
    ) -> Result<Self, TlsError> {
        let verifier: Arc<dyn ServerCertVerifier> = match mode {
            ServerTls::Disable => return Ok(Self::default()),
            ServerTls::Prefer | ServerTls::Require => {
                Arc::new(Trust { verifier: None, provider: provider(), name_counts: false })
            }
            ServerTls::VerifyCa | ServerTls::VerifyFull => {
                let roots = authority.map_or_else(system_roots, roots)?;
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?;
                let name_counts = mode == ServerTls::VerifyFull;
                Arc::new(Trust { verifier: Some(verifier), provider: provider(), name_counts })
            }
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match identity {
            Some(identity) => {
                let (certificates, key) = identity.read()?;
                builder.with_client_auth_cert(certificates, key)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self { mode, config: Some(Arc::new(config)) })
    }

    /// None: nothing is encrypted.
    pub fn config(&self) -> Option<Arc<ClientConfig>> {
        self.config.clone()
    }

    /// A server that cannot encrypt is not spoken to.
    pub fn is_required(&self) -> bool {
        !matches!(self.mode, ServerTls::Disable | ServerTls::Prefer)
    }
}

fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(Arc::new(roots)) }
}

/// As much trust as is configured. A signature must be right in any case: whoever shows a certificate has its key.
#[derive(Debug)]
struct Trust {
    /// None: any certificate will do.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    name_counts: bool,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(verifier) = &self.verifier else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name_counts => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `tls-server-end-point` of a certificate: its hash, by the function of its signature, SHA-256 in place of weaker ones.
pub fn channel_binding(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, TlsError> {
    let parsed = x509_cert::Certificate::from_der(certificate)?;
    // ecdsa-with-SHA384 and sha384WithRSAEncryption, then the same for SHA-512.
    const SHA384: [&str; 2] = ["1.2.840.10045.4.3.3", "1.2.840.113549.1.1.12"];
    const SHA512: [&str; 2] = ["1.2.840.10045.4.3.4", "1.2.840.113549.1.1.13"];
    let algorithm = parsed.signature_algorithm.oid.to_string();
    Ok(if SHA384.contains(&algorithm.as_str()) {
        Sha384::digest(certificate).to_vec()
    } else if SHA512.contains(&algorithm.as_str()) {
        Sha512::digest(certificate).to_vec()
    } else {
        Sha256::digest(certificate).to_vec()
    })
}

/// The common name of a certificate's subject.
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    const COMMON_NAME: &str = "2.5.4.3";
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let names = parsed.tbs_certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let mut common = names.filter(|attribute| attribute.oid.to_string() == COMMON_NAME);
    common.next().and_then(|attribute| String::from_utf8(attribute.value.value().to_vec()).ok())
}
