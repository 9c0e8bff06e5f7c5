//! The messages of a SCRAM exchange, both sides (`wire::scram`).
//!
//! The bytes are lines: client-first, client-final, server-first, server-final, a verifier, a password.
//!
//! 1. A user who does not exist sees what one with a wrong password sees: the same shape of answers, the same errors.
//! 2. No line of a stranger is a proof; a proof is one for its own exchange only, byte for byte.
//! 3. An honest exchange succeeds with any password.
//! 4. A verifier that is read is written as one that reads the same.

use std::cell::OnceCell;

use meridian::wire::Secret;
use meridian::wire::scram::client::{AwaitServerFirst, ServerBinding};
use meridian::wire::scram::server::{AwaitClientFirst, Binding, Proven};
use meridian::wire::scram::{MockKey, ScramError, Verifier};

const CLIENT_NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SERVER_NONCE: &str = "3rfcNHYJY1ZVvWVs7jIzEQfq";
const SALT: &[u8] = b"0123456789abcdef";

pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (client_first, client_final) = (line(), line());
    strangers_prove_nothing(client_first, client_final);
    let (server_first, server_final) = (line(), line());
    servers_prove_nothing(server_first, server_final);
    verifiers_are_written_as_they_are_read(line());
    honest_exchanges_succeed(line(), data.len());
}

fn server(verifier: Option<&Verifier>, binding: Binding<'_>) -> AwaitClientFirst {
    let mock = MockKey::new([7; 32]);
    AwaitClientFirst::new("stranger", verifier, &mock, SERVER_NONCE.to_owned()).bound(binding)
}

thread_local! {
    static KNOWN: OnceCell<Verifier> = const { OnceCell::new() };
}

/// The verifier of a password that no stranger knows; one hash, for speed.
fn known() -> Verifier {
    KNOWN.with(|cell| {
        cell.get_or_init(|| Verifier::derive(&Secret::from("secret".to_owned()), SALT, 1)).clone()
    })
}

fn strangers_prove_nothing(first: &[u8], last: &[u8]) {
    for binding in [Binding::Unavailable, Binding::Declined, Binding::Bound(b"certificate")] {
        let answers = [Some(&known()), None].map(|verifier| {
            let (next, challenge) = server(verifier, binding).on_client_first(first)?;
            assert!(challenge.starts_with("r=") && challenge.contains(SERVER_NONCE));
            // The lengths of a salt and of an iteration count are the same for all users of one Meridian.
            let shape =
                challenge.split(',').map(|part| part.split('=').next().unwrap_or_default().to_owned());
            let shape: Vec<String> = shape.collect();
            match next.on_client_final(last) {
                Ok(Proven { .. }) => panic!("a stranger's line is a proof"),
                Err(error) => Ok::<_, ScramError>((shape, error)),
            }
        });
        assert_eq!(answers[0], answers[1], "unknown users can be told from known ones");
    }
}

fn servers_prove_nothing(first: &[u8], last: &[u8]) {
    let password = Secret::from("secret".to_owned());
    for binding in
        [ServerBinding::Impossible, ServerBinding::NotOffered, ServerBinding::Bound(b"certificate")]
    {
        let (state, hello) = AwaitServerFirst::start(CLIENT_NONCE.to_owned(), binding);
        assert!(hello.ends_with(CLIENT_NONCE));
        // With the password only where that is one hash; the keys of another verifier cost nothing.
        let counts = first.windows(2).filter(|pair| pair == b"i=").count();
        let cheap = counts == 1 && first.ends_with(b",i=1");
        let answered = match cheap {
            true => state.on_server_first(first, &password),
            false => state.on_server_first_with_keys(first, &login_keys()),
        };
        let Ok((next, proof)) = answered else { continue };
        assert!(
            first.starts_with(format!("r={CLIENT_NONCE}").as_bytes()),
            "another exchange's nonce is taken"
        );
        assert!(proof.contains(",p="));
        assert!(next.on_server_final(last).is_err(), "a stranger is taken for the server");
    }
}

/// What a proof of the known user has told.
fn login_keys() -> meridian::wire::scram::LoginKeys {
    let password = Secret::from("secret".to_owned());
    let (state, first) = AwaitServerFirst::start(CLIENT_NONCE.to_owned(), ServerBinding::Impossible);
    let (server, challenge) = server(Some(&known()), Binding::Unavailable)
        .on_client_first(first.as_bytes())
        .expect("an honest start");
    let (_, proof) = state.on_server_first(challenge.as_bytes(), &password).expect("an honest challenge");
    server.on_client_final(proof.as_bytes()).expect("an honest proof").keys
}

fn verifiers_are_written_as_they_are_read(line: &[u8]) {
    let Some(verifier) = std::str::from_utf8(line).ok().and_then(Verifier::parse) else { return };
    let written = verifier.to_secret();
    let again = std::str::from_utf8(written.expose()).ok().and_then(Verifier::parse).expect("it was written");
    assert_eq!(again.to_secret(), written);
    let printed = format!("{verifier:?}");
    assert!(!printed.contains('$'), "a verifier is printed");
}

fn honest_exchanges_succeed(password: &[u8], turn: usize) {
    let password = Secret::new(password);
    let verifier = Verifier::derive(&password, SALT, 1);
    assert!(verifier.matches(&password));
    let (state, first) = AwaitServerFirst::start(CLIENT_NONCE.to_owned(), ServerBinding::Impossible);
    let begin = || {
        let begun = server(Some(&verifier), Binding::Unavailable).on_client_first(first.as_bytes());
        begun.expect("an honest start")
    };
    let (server, challenge) = begin();
    let (awaiting, proof) =
        state.on_server_first(challenge.as_bytes(), &password).expect("an honest challenge");
    let proven = server.on_client_final(proof.as_bytes()).expect("an honest proof");
    assert_eq!(awaiting.on_server_final(proven.answer.as_bytes()), Ok(()));
    let mut forged = proof.into_bytes();
    let at = turn % forged.len();
    forged[at] ^= 1 << (turn % 7);
    assert!(begin().0.on_client_final(&forged).is_err(), "a proof with another byte is one");
}
