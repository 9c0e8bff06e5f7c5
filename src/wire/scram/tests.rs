//! Tests of SCRAM: the example of RFC 7677, both sides against each other, hostile messages.
//!
//! The example fixes keys, proof and signature to figures that others computed, as do the verifiers that a PostgreSQL
//! made; the two sides together then cover what the example does not. Iteration counts are small where the figure
//! does not matter, for speed.

use proptest::prelude::*;

use super::client::{AwaitServerFirst, ServerBinding};
use super::server::{AwaitClientFinal, AwaitClientFirst};
use super::*;

/// The exchange of RFC 7677, section 3: user "user", password "pencil".
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

fn rfc_verifier() -> Verifier {
    Verifier::derive(&Secret::from("pencil"), &STANDARD.decode(SALT).unwrap(), 4096)
}

fn mock() -> MockKey {
    MockKey::new([9; 32])
}

fn challenge(verifier: Option<&Verifier>) -> (AwaitClientFinal, String) {
    AwaitClientFirst::new("user", verifier, &mock(), SERVER_NONCE.into())
        .on_client_first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        .unwrap()
}

#[test]
fn the_server_follows_the_rfc() {
    let (server, first) = challenge(Some(&rfc_verifier()));
    assert_eq!(first, format!("r=rOprNGfwEbeRWgbNEkqO{SERVER_NONCE},s={SALT},i=4096"));
    let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let answer =
        server.on_client_final(format!("c=biws,r=rOprNGfwEbeRWgbNEkqO{SERVER_NONCE},p={proof}").as_bytes());
    assert_eq!(
        answer.map(|proven| proven.answer).as_deref(),
        Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    );
}

fn exchange(verifier: Option<&Verifier>, password: &str) -> Result<(), ScramError> {
    let (client, first) = AwaitServerFirst::start("cnonce".into(), ServerBinding::Impossible);
    let server = AwaitClientFirst::new("ann", verifier, &mock(), "snonce".into());
    let (server, challenge) = server.on_client_first(first.as_bytes())?;
    let (client, proof) = client.on_server_first(challenge.as_bytes(), &Secret::from(password))?;
    client.on_server_final(server.on_client_final(proof.as_bytes())?.answer.as_bytes())
}

#[test]
fn a_clients_keys_open_its_verifier_wherever_it_is_stored_and_no_other() {
    let verifier = |password: &str, salt: &[u8]| Verifier::derive(&Secret::from(password), salt, 10);
    let exchange = |stored: &Verifier, nonce: &str| {
        let (client, first) = AwaitServerFirst::start(format!("c{nonce}"), ServerBinding::Impossible);
        let server = AwaitClientFirst::new("ann", Some(stored), &mock(), format!("s{nonce}"));
        (client, server.on_client_first(first.as_bytes()).unwrap())
    };
    let stored = verifier("s3cret", b"salt");
    let (client, (server, challenge)) = exchange(&stored, "1");
    let (_, proof) = client.on_server_first(challenge.as_bytes(), &Secret::from("s3cret")).unwrap();
    let keys = server.on_client_final(proof.as_bytes()).unwrap().keys;
    assert_eq!(format!("{keys:?}"), "LoginKeys(…)");

    let (client, (server, challenge)) = exchange(&stored, "2");
    let (client, proof) = client.on_server_first_with_keys(challenge.as_bytes(), &keys).unwrap();
    let proven = server.on_client_final(proof.as_bytes()).unwrap();
    assert_eq!((client.on_server_final(proven.answer.as_bytes()), &proven.keys), (Ok(()), &keys));

    let (client, (_, challenge)) = exchange(&verifier("s3cret", b"pepper"), "3");
    let other = client.on_server_first_with_keys(challenge.as_bytes(), &keys).err();
    assert_eq!(other, Some(ScramError::OtherVerifier));
    let (client, (server, challenge)) = exchange(&verifier("changed", b"salt"), "4");
    let (_, proof) = client.on_server_first_with_keys(challenge.as_bytes(), &keys).unwrap();
    assert_eq!(server.on_client_final(proof.as_bytes()), Err(ScramError::WrongProof));
}

#[test]
fn both_sides_agree_when_the_password_is_right() {
    let verifier = Verifier::derive(&Secret::from("s3cret"), b"0123456789abcdef", 10);
    assert_eq!(exchange(Some(&verifier), "s3cret"), Ok(()));
    assert_eq!(exchange(Some(&verifier), "S3cret"), Err(ScramError::WrongProof));
    assert_eq!(exchange(Some(&verifier), ""), Err(ScramError::WrongProof));
}

#[test]
fn an_unknown_user_is_challenged_like_a_known_one() {
    let first = |user: &str| {
        let server = AwaitClientFirst::new(user, None, &mock(), "snonce".into());
        server.on_client_first(b"n,,n=,r=cnonce").unwrap().1
    };
    assert_eq!(first("nobody"), first("nobody"));
    assert_ne!(first("nobody"), first("noone"));
    let known = AwaitClientFirst::new("ann", Some(&rfc_verifier()), &mock(), "snonce".into());
    let known = known.on_client_first(b"n,,n=,r=cnonce").unwrap().1;
    assert_eq!(first("nobody").len(), known.len());
    assert_eq!(exchange(None, "anything"), Err(ScramError::WrongProof));
}

#[test]
fn a_verifier_survives_its_text() {
    let verifier = rfc_verifier();
    let text = verifier.to_secret();
    let text = std::str::from_utf8(text.expose()).unwrap();
    assert_eq!(
        text,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
         wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    assert!(Verifier::parse(text).unwrap().matches(&Secret::from("pencil")));
    assert!(!Verifier::parse(text).unwrap().matches(&Secret::from("pencils")));
    for wrong in ["", "pencil", "SCRAM-SHA-256$", "SCRAM-SHA-256$0:YQ==$YQ==:YQ==", &text[1..], &text[..90]] {
        assert!(Verifier::parse(wrong).is_none(), "{wrong}");
    }
    assert!(Verifier::parse(&text.replace("4096", "99999999")).is_none());
    assert_eq!(format!("{verifier:?}"), "Verifier { iterations: 4096, .. }");
}

/// As `CREATE ROLE … PASSWORD` stored them in PostgreSQL 15.18.
#[test]
fn verifiers_made_by_postgresql_match_their_passwords() {
    for (password, stored) in [
        (
            "s3cret pass",
            "SCRAM-SHA-256$4096:NqrWM6Ly0HHlSu06jIdmww==$m02kZrHRF0VWXLn3s9MBdJ1+GUxm4u6RwZ4NV+hHbYk=:\
             62ycBlw+iX4ffgI0wbXRb1mT36Hu3e9eNRUMBkugOiM=",
        ),
        (
            "I\u{ad}X\u{2168} \u{e9}\u{301} \u{fb01}",
            "SCRAM-SHA-256$4096:N+oR194K7WshmYs39QCI+A==$SLBg7z/We74ncqpVOaaERophNIi0rNxmS+oFByMYnx8=:\
             0YFsq2A+SCWpgzjAUvDP+oiy0/aO7KXSdqUnKi3Pc6s=",
        ),
        (
            "\u{627}a\u{7}",
            "SCRAM-SHA-256$4096:Dj6UZGcI61kWoDV/PnGuxg==$fCzMkfkXa5utoRZYQ6SRq4njefLMCRa0XQy310dvACM=:\
             iOaQw1MENuGACXdeIyO8beOXyBIwzP3vzxLq9lFZQIQ=",
        ),
        (
            "x\u{1f600}y",
            "SCRAM-SHA-256$4096:L+4CNeL2M7hqh7LE4YbmZQ==$fg5uYjhEopZ/CcnPKxVo4LRGX+6Kyig8qs4WsNx2lvM=:\
             8dAfO+p8T/M+QukLN5DCLpD2IQcg/P4hPvV+4uDIM74=",
        ),
    ] {
        let verifier = Verifier::parse(stored).unwrap();
        assert!(verifier.matches(&Secret::from(password)), "{password:?}");
        assert_eq!(verifier.to_secret(), Secret::from(stored));
    }
}

#[test]
fn passwords_are_prepared_or_taken_as_they_are() {
    assert_eq!(&*prepare(b"pencil"), b"pencil");
    assert_eq!(&*prepare("I\u{ad}X".as_bytes()), b"IX");
    assert_eq!(&*prepare("\u{2168}".as_bytes()), b"IX");
    assert_eq!(&*prepare("a\u{a0}b".as_bytes()), b"a b");
    // Prohibited, empty after mapping, not UTF-8: the bytes themselves.
    assert_eq!(&*prepare(b"a\x07b"), b"a\x07b");
    assert_eq!(&*prepare("\u{ad}".as_bytes()), "\u{ad}".as_bytes());
    assert_eq!(&*prepare(b"\xff\xfe"), b"\xff\xfe");
}

#[test]
fn the_server_refuses_what_it_does_not_speak() {
    let first = |message: &str| {
        let server = AwaitClientFirst::new("ann", None, &mock(), "snonce".into());
        server.on_client_first(message.as_bytes()).map(|(_, first)| first)
    };
    assert!(matches!(first("p=tls-server-end-point,,n=,r=x"), Err(ScramError::Malformed(_))));
    assert_eq!(first("n,a=root,n=,r=x"), Err(ScramError::AuthorizationIdentity));
    assert_eq!(first("n,,m=x,n=,r=x"), Err(ScramError::Extension));
    for malformed in ["", "n", "n,", "n,,", "n,,n=", "n,,n=,r=", "n,,r=x,n=", "x,,n=,r=x", "n,,n=,r=\u{7f}"] {
        assert!(matches!(first(malformed), Err(ScramError::Malformed(_))), "{malformed}");
    }
    assert!(first("y,,n=ann,r=x,ext=1").is_ok());
}

#[test]
fn a_final_message_must_continue_the_exchange() {
    let nonce = format!("rOprNGfwEbeRWgbNEkqO{SERVER_NONCE}");
    let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let last = |message: String| challenge(Some(&rfc_verifier())).0.on_client_final(message.as_bytes());
    assert_eq!(last(format!("c=biws,r={nonce}x,p={proof}")), Err(ScramError::NonceMismatch));
    assert!(matches!(last(format!("c=eSws,r={nonce},p={proof}")), Err(ScramError::Malformed(_))));
    assert!(matches!(last(format!("c=biws,r={nonce},p={proof},x=1")), Err(ScramError::Malformed(_))));
    assert!(matches!(last(format!("c=biws,r={nonce}")), Err(ScramError::Malformed(_))));
    assert!(matches!(last(format!("c=biws,r={nonce},p=AAAA")), Err(ScramError::Malformed(_))));
    let flipped = proof.replace('d', "e");
    assert_eq!(last(format!("c=biws,r={nonce},p={flipped}")), Err(ScramError::WrongProof));
}

#[test]
fn the_client_refuses_a_server_that_cheats() {
    let answer = |message: &str| {
        let (client, _) = AwaitServerFirst::start("abc".into(), ServerBinding::Impossible);
        client.on_server_first(message.as_bytes(), &Secret::from("x")).map(|(state, _)| state).err()
    };
    assert_eq!(answer("r=abd1,s=YQ==,i=1"), Some(ScramError::NonceMismatch));
    assert_eq!(answer("r=abc,s=YQ==,i=1"), Some(ScramError::NonceMismatch));
    assert_eq!(answer("r=abc1,s=YQ==,i=2000000000"), Some(ScramError::Iterations(2_000_000_000)));
    for malformed in ["", "r=abc1", "r=abc1,s=?,i=1", "r=abc1,s=YQ==,i=0", "r=abc1,s=YQ==,i=x", "m=1,r=abc1"]
    {
        assert!(matches!(answer(malformed), Some(ScramError::Malformed(_))), "{malformed}");
    }
    let proven = || {
        let (client, _) = AwaitServerFirst::start("abc".into(), ServerBinding::Impossible);
        client.on_server_first(b"r=abc1,s=YQ==,i=1", &Secret::from("x")).unwrap().0
    };
    let zeros = format!("v={}", STANDARD.encode([0; 32]));
    assert_eq!(proven().on_server_final(zeros.as_bytes()), Err(ScramError::ServerSignature));
    assert_eq!(proven().on_server_final(b"e=other-error"), Err(ScramError::Server("other-error".into())));
    assert!(matches!(proven().on_server_final(b"v=AAAA"), Err(ScramError::Malformed(_))));
}

proptest! {
    #[test]
    fn random_messages_never_panic(bytes in "[nyp]?,?,?[a-z=,\\PC]{0,40}", raw in prop::collection::vec(any::<u8>(), 0..60)) {
        for message in [bytes.as_bytes(), &raw[..]] {
            let _ = AwaitClientFirst::new("ann", None, &mock(), "s".into()).on_client_first(message);
            let _ = challenge(None).0.on_client_final(message);
            let (client, _) = AwaitServerFirst::start("abc".into(), ServerBinding::Impossible);
            let _ = client.on_server_first(message, &Secret::from("x"));
            let _ = Verifier::parse(&String::from_utf8_lossy(message));
        }
    }
}
