//! Certificates and keys of both sides: the files are read, and what is made of them must work together.
//!
//! A key that others may read is refused, as PostgreSQL refuses it.

use std::path::Path;

use toml::Spanned;

use super::super::raw::{RawServer, RawTls};
use super::Findings;
use crate::wire::tls::{Acceptor, ClientCertificates, Connector, Identity, ServerTls};

type Name = Option<Spanned<String>>;

/// What clients are shown.
pub(super) fn clients(raw: &RawTls, folder: &Path, findings: &mut Findings) -> Option<Acceptor> {
    let required = match raw.mode.as_ref().map(|mode| mode.get_ref().as_str()) {
        None | Some("off") => {
            if let Some(file) = &raw.certificate_file {
                findings.report(file.span(), "is not used while mode is \"off\"");
            }
            return None;
        }
        Some("optional") => false,
        Some("required") => true,
        Some(other) => {
            let message = format!("must be one of \"off\", \"optional\", \"required\", not \"{other}\"");
            findings.report(span(&raw.mode), message);
            return None;
        }
    };
    let asked = certificates(&raw.client_certificates, findings);
    if asked != ClientCertificates::None && raw.client_ca_file.is_none() {
        findings.report(span(&raw.client_certificates), "needs a client_ca_file");
    }
    let name_is_user = raw.client_name_is_user.as_ref().is_some_and(|value| *value.get_ref());
    if name_is_user && asked != ClientCertificates::Required {
        let place = raw.client_name_is_user.as_ref().map(Spanned::span).unwrap_or_default();
        findings.report(place, "needs client_certificates = \"required\"");
    }
    let authority = raw.client_ca_file.as_ref().and_then(|file| read(file, folder, findings));
    let (Some(certificate), Some(key)) = (&raw.certificate_file, &raw.key_file) else {
        findings.report(span(&raw.mode), "needs a certificate_file and a key_file");
        return None;
    };
    let pem = (read(certificate, folder, findings)?, read_key(key, folder, findings)?);
    let identity = Identity { certificates: &pem.0, key: &pem.1 };
    match Acceptor::new(&identity, asked, authority.as_deref()) {
        Ok(mut acceptor) => {
            (acceptor.required, acceptor.name_is_user) = (required, name_is_user);
            Some(acceptor)
        }
        Err(error) if error.is_of_key() => {
            findings.report(key.span(), format!("cannot be used with the certificate: {error}"));
            None
        }
        Err(error) => {
            findings.report(certificate.span(), format!("cannot be used with its key: {error}"));
            None
        }
    }
}

fn certificates(value: &Name, findings: &mut Findings) -> ClientCertificates {
    match value.as_ref().map(|value| value.get_ref().as_str()) {
        None | Some("none") => ClientCertificates::None,
        Some("optional") => ClientCertificates::Optional,
        Some("required") => ClientCertificates::Required,
        Some(other) => {
            let message = format!("must be one of \"none\", \"optional\", \"required\", not \"{other}\"");
            findings.report(span(value), message);
            ClientCertificates::None
        }
    }
}

/// What the servers must show.
pub(super) fn servers(raw: &RawServer, folder: &Path, findings: &mut Findings) -> Connector {
    let mode = match raw.tls.as_ref().map(|mode| mode.get_ref().as_str()) {
        None | Some("disable") => ServerTls::Disable,
        Some("prefer") => ServerTls::Prefer,
        Some("require") => ServerTls::Require,
        Some("verify-ca") => ServerTls::VerifyCa,
        Some("verify-full") => ServerTls::VerifyFull,
        Some(other) => {
            let choice = "\"disable\", \"prefer\", \"require\", \"verify-ca\", \"verify-full\"";
            findings.report(span(&raw.tls), format!("must be one of {choice}, not \"{other}\""));
            return Connector::default();
        }
    };
    let authority = raw.tls_ca_file.as_ref().and_then(|file| read(file, folder, findings));
    let pem = match (&raw.tls_certificate_file, &raw.tls_key_file) {
        (Some(certificate), Some(key)) => {
            read(certificate, folder, findings).zip(read_key(key, folder, findings))
        }
        (Some(alone), None) | (None, Some(alone)) => {
            findings.report(alone.span(), "tls_certificate_file and tls_key_file go together");
            None
        }
        (None, None) => None,
    };
    let identity = pem.as_ref().map(|(certificates, key)| Identity { certificates, key });
    Connector::new(mode, authority.as_deref(), identity.as_ref()).unwrap_or_else(|error| {
        let place = match error.is_of_key() {
            true => raw.tls_key_file.as_ref(),
            false => raw.tls_ca_file.as_ref().or(raw.tls.as_ref()),
        };
        findings.report(place.map(Spanned::span).unwrap_or_default(), format!("cannot be used: {error}"));
        Connector::default()
    })
}

fn span(value: &Name) -> std::ops::Range<usize> {
    value.as_ref().map(Spanned::span).unwrap_or_default()
}

fn read(file: &Spanned<String>, folder: &Path, findings: &mut Findings) -> Option<Vec<u8>> {
    match std::fs::read(folder.join(file.get_ref())) {
        Ok(content) => Some(content),
        Err(error) => {
            findings.report(file.span(), format!("\"{}\" cannot be read: {error}", file.get_ref()));
            None
        }
    }
}

fn read_key(file: &Spanned<String>, folder: &Path, findings: &mut Findings) -> Option<Vec<u8>> {
    use std::os::unix::fs::MetadataExt as _;
    if let Ok(known) = std::fs::metadata(folder.join(file.get_ref())) {
        // PostgreSQL's rule: nobody else; of a file of root's, its group may read.
        let others = if known.uid() == 0 { 0o027 } else { 0o077 };
        if known.mode() & others != 0 {
            let message = format!(
                "\"{}\" can be read by others: its mode must be 0600, or 0640 if root owns it",
                file.get_ref()
            );
            findings.report(file.span(), message);
            return None;
        }
    }
    read(file, folder, findings)
}
