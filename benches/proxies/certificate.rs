//! A certificate for the time of the bench: what Meridian shows, and clients who trust it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::stand::Stand;

pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    clients: MakeRustlsConnect,
}

impl Certificate {
    /// Signed by itself, as everybody here trusts it by name.
    pub fn new(stand: &Stand) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let key = stand.write("server.key", &key.serialize_pem())?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            certificate: stand.write("server.pem", &own.pem())?,
            key,
            clients: MakeRustlsConnect::new(config),
        })
    }

    /// The section of Meridian's configuration.
    pub fn section(&self) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("[tls]\nmode = \"required\"\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n\n")
    }

    pub fn clients(&self) -> MakeRustlsConnect {
        self.clients.clone()
    }
}
