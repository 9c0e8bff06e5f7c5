//! Secrets and keys in files beside the configuration: what is wrong with one is told at the key that names it.

use super::tests::BASE;
use super::*;

#[test]
fn secrets_are_never_empty() {
    let folder = std::env::temp_dir().join(format!("meridian-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("empty"), "\n").unwrap();
    std::fs::write(folder.join("two"), "one\ntwo\n").unwrap();
    std::fs::write(folder.join("right"), "${not a variable}\r\n").unwrap();
    let server = |keys: &str| Config::parse(&format!("{BASE}[server]\n{keys}"), "test.toml", &folder);
    for (keys, told) in [
        ("password = \"\"", "test.toml:12: server.password: is empty: leave the key out"),
        ("password = \"${}\"", "test.toml:12: server.password: \"${}\" names no environment variable"),
        ("password_file = \"empty\"", "test.toml:12: server.password_file: \"empty\" is empty"),
        ("password_file = \"two\"", "test.toml:12: server.password_file: \"two\" has more than one line"),
    ] {
        let found = server(keys).unwrap_err().to_string();
        assert!(found.starts_with(told), "{keys}: {found}");
    }
    let right = server("password_file = \"right\"").unwrap().server.password;
    assert_eq!(right.as_ref().map(Secret::expose), Some("${not a variable}"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_key_that_does_not_serve_is_told_at_its_own_place() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = std::env::temp_dir().join(format!("meridian-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = || rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["east".to_owned()]).unwrap();
    std::fs::write(folder.join("own.pem"), params.self_signed(&key()).unwrap().pem()).unwrap();
    for (name, content) in [("other.key", key().serialize_pem()), ("empty.key", String::new())] {
        std::fs::write(folder.join(name), content).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let found =
        |keys: &str| Config::parse(&format!("{BASE}{keys}"), "test.toml", &folder).unwrap_err().to_string();
    for name in ["other.key", "empty.key"] {
        let clients =
            format!("[tls]\nmode = \"optional\"\ncertificate_file = \"own.pem\"\nkey_file = \"{name}\"");
        let told = found(&clients);
        assert!(
            told.starts_with("test.toml:14: tls.key_file: cannot be used with the certificate: "),
            "{told}"
        );
        let servers = format!(
            "[server]\ntls = \"require\"\ntls_certificate_file = \"own.pem\"\ntls_key_file = \"{name}\""
        );
        let told = found(&servers);
        assert!(told.starts_with("test.toml:14: server.tls_key_file: cannot be used: "), "{told}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
