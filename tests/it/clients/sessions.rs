//! What a session keeps, and whether it needs a server connection of its own for it: measured, not said.
//!
//! Each feature is used by a client of its own, outside of a transaction or to its end; the console then says whether the
//! session is pinned, and to what. The connection is free again when the client has gone.

use super::keep;
use crate::stand::{Pair, RawClient, Target};

/// A feature, and the statements that use it.
type Use = (&'static str, &'static [&'static str]);

const USES: &[Use] = &[
    (
        "SET, RESET, set_config of a server's parameter",
        &["SET work_mem = '5MB'", "SELECT set_config('lock_timeout', '5s', false)"],
    ),
    ("SET LOCAL, SET TRANSACTION", &["BEGIN", "SET LOCAL work_mem = '5MB'", "COMMIT"]),
    ("transactions and savepoints", &["BEGIN", "SAVEPOINT s", "SELECT 1", "ROLLBACK TO s", "COMMIT"]),
    ("cursors of a transaction", &["BEGIN", "DECLARE c CURSOR FOR SELECT 1", "FETCH c", "COMMIT"]),
    (
        "cursors over several shards",
        &["BEGIN", "DECLARE c CURSOR FOR SELECT user_id FROM users", "FETCH c", "COMMIT"],
    ),
    ("cursors WITH HOLD", &["DECLARE held CURSOR WITH HOLD FOR SELECT 1"]),
    ("temporary tables", &["CREATE TEMPORARY TABLE session_kept (i int)"]),
    (
        "temporary tables, dropped at commit",
        &["BEGIN", "CREATE TEMPORARY TABLE session_short (i int) ON COMMIT DROP", "COMMIT"],
    ),
    ("LISTEN", &["LISTEN session_channel"]),
    ("NOTIFY", &["NOTIFY session_channel, 'x'"]),
    ("advisory locks of the session", &["SELECT pg_advisory_lock(4711)"]),
    (
        "a driver's pool between two users (asyncpg)",
        &["SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL"],
    ),
    ("advisory locks of a transaction", &["BEGIN", "SELECT pg_advisory_xact_lock(4712)", "COMMIT"]),
    ("PREPARE", &["PREPARE session_prepared AS SELECT 1"]),
    ("sequences: nextval", &["SELECT nextval('session_numbers')"]),
    ("DO", &["DO $$ BEGIN PERFORM 1; END $$"]),
    ("COPY", &["COPY (SELECT 1) TO STDOUT"]),
    ("large objects", &["BEGIN", "SELECT lo_unlink(lo_from_bytea(0, 'x'))", "COMMIT"]),
    (
        "LOCK TABLE, SELECT FOR UPDATE",
        &["BEGIN", "LOCK TABLE regions IN SHARE MODE", "SELECT 1 FROM regions FOR UPDATE", "COMMIT"],
    ),
    ("DISCARD ALL", &["CREATE TEMPORARY TABLE session_discarded (i int)", "DISCARD ALL"]),
];

#[test]
fn the_console_tells_what_pins_a_session() {
    let pair = Pair::with("client_sessions", crate::harness::RIDE_TABLES, super::SCARCE);
    let Some(target) = &pair.meridian else { return };
    target.run(&meridian::demo::data::schema::TABLES);
    target.run(&["CREATE SEQUENCE session_numbers"]);
    let mut console = Target { database: "meridian".to_owned(), ..target.clone() }.raw();
    let mut found = Vec::new();
    for (number, (feature, statements)) in USES.iter().enumerate() {
        let name = format!("use {number}");
        let mut client = match RawClient::connect(target, &[("application_name", &name)]) {
            Ok(client) => client,
            Err(error) => panic!("no connection for {feature}: {error:?}"),
        };
        for statement in *statements {
            let answer = client.simple(statement);
            let error = answer.iter().find(|message| message.tag == b'E');
            assert!(error.is_none(), "{feature}: {statement}: {error:?}");
        }
        // A session looks at what is left on the server after its answer, and before the next one.
        client.simple("");
        found.push(((*feature).to_owned(), pin_of(&mut console, &name)));
    }
    keep("sessions", &found);
}

#[test]
fn a_client_is_not_told_the_name_of_another_application() {
    for target in crate::stand::common().targets() {
        let told = |more: &[(&str, &str)]| {
            let client = RawClient::connect(target, more).unwrap_or_else(|error| panic!("{error:?}"));
            client
                .parameters
                .iter()
                .find(|(name, _)| name == "application_name")
                .map(|(_, value)| value.clone())
        };
        // Settings of their own, so that no other test has made the server say them before.
        let settings = ("options", "-c geqo_threshold=13");
        assert_eq!(told(&[("application_name", "first"), settings]).as_deref(), Some("first"));
        assert_eq!(told(&[settings]).as_deref(), Some(""), "{:?}", target.kind);
        assert_eq!(told(&[("application_name", "third"), settings]).as_deref(), Some("third"));
    }
}

fn pin_of(console: &mut RawClient, application_name: &str) -> String {
    let answer = console.simple("SHOW CLIENTS");
    let columns: Vec<String> = answer
        .iter()
        .find(|message| message.tag == b'T')
        .map(|message| message.columns().into_iter().map(|column| column.name).collect())
        .unwrap_or_default();
    let at = |name: &str| columns.iter().position(|column| column == name).expect("a column of SHOW CLIENTS");
    let (names, pins) = (at("application_name"), at("pinned"));
    let text =
        |value: &Option<Vec<u8>>| value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned());
    let rows = answer.iter().filter(|message| message.tag == b'D').map(|message| message.values());
    let row = rows.into_iter().find(|row| text(&row[names]).as_deref() == Some(application_name));
    let pin = row.and_then(|row| text(&row[pins])).filter(|pin| !pin.is_empty());
    pin.map_or("shared".to_owned(), |pin| format!("pinned: {pin}"))
}
