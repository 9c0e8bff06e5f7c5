//! Parameters of applications (`app.user`) exist for the sessions that have set them: whoever has not sees NULL, and no empty text,
//! wherever among its statements it asks.

use crate::stand::{self, Pair, RawClient, Target};

const ONE_CONNECTION: &[(&str, &str)] = &[("proxy", "workers = 1"), ("pool", "size = 1")];

/// A parameter that nobody has set in a session does not exist there, whoever else has set it on the connection; one that was
/// set once is an empty text everywhere from then on. Row level security may go by either.
#[test]
fn a_parameter_exists_for_those_alone_who_have_set_it() {
    let pair = Pair::with("placeholders", stand::PLACES, ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&[
            "CREATE TABLE places (id int, region text NOT NULL, PRIMARY KEY (region, id))",
            "INSERT INTO places VALUES (1, 'us-east')",
            "INSERT INTO places VALUES (1, 'us-west')",
            "CREATE FUNCTION sits(seat text) RETURNS text LANGUAGE plpgsql AS \
             $$BEGIN PERFORM set_config('app.seat', seat, true); RETURN seat; END$$",
            "CREATE VIEW sat AS SELECT set_config('app.seat', 'a', false)",
            "CREATE TABLE seats (seat text)",
            "INSERT INTO seats VALUES ('a'), ('b')",
            "ALTER TABLE seats ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE seats FORCE ROW LEVEL SECURITY",
            "CREATE POLICY own ON seats USING (coalesce(current_setting('app.seat', true), seat) = seat)",
            "CREATE VIEW taken AS SELECT id, region, current_setting('app.seat', true) AS seat FROM places",
        ]);
        let setters = [
            "SET app.seat = 'a'",
            "BEGIN; SET LOCAL app.seat = 'a'; COMMIT",
            "BEGIN; SET app.seat = 'a'; ROLLBACK",
            "SELECT set_config('app.seat', 'a', false)",
            "SELECT sits('a')",
            "SELECT * FROM sat",
            "DO $$BEGIN PERFORM set_config('app.seat', 'a', false); END$$",
            "SET LOCAL app.seat = 'a'",
            "RESET app.seat",
        ];
        for setter in setters {
            let place = format!("{:?}: {setter}", target.kind);
            let mut setting = target.raw();
            setting.simple("SELECT count(*) FROM places");
            setting.simple(setter);
            if setter.contains("FROM sat") {
                let own = setting.value("SELECT current_setting('app.seat', true)");
                assert_eq!(own.as_deref(), Some("a"), "{place}");
            }
            let mut other = target.raw();
            let mut asks = |sql: &str, expected: Option<&str>| {
                assert_eq!(other.value(sql).as_deref(), expected, "{place}: {sql}");
            };
            asks("SELECT current_setting('app.seat', true) IS NULL", Some("t"));
            asks("SELECT count(*) FROM seats", Some("2"));
            asks("SELECT count(*) FROM taken WHERE seat IS NULL", Some("2"));
            asks("SHOW app.seat", None);
            asks("BEGIN", None);
            asks("SELECT count(*) FROM places WHERE region = 'us-west'", Some("1"));
            asks("SELECT count(*) FROM seats", Some("2"));
            asks("SELECT count(*) FROM taken WHERE region = 'us-west' AND seat IS NULL", Some("1"));
            asks("COMMIT", None);
            setting.simple("RESET app.seat");
            let mut asks = |sql: &str, expected: Option<&str>| {
                assert_eq!(setting.value(sql).as_deref(), expected, "{place}: {sql}");
            };
            asks("SELECT current_setting('app.seat', true)", Some(""));
            asks("SELECT count(*) FROM seats", Some("0"));
            asks("SELECT count(*) FROM taken WHERE seat = ''", Some("2"));
            asks("BEGIN", None);
            asks("SELECT count(*) FROM taken WHERE region = 'us-west' AND seat = ''", Some("1"));
            asks("COMMIT", None);
        }
    }
}

/// In one pipeline; what each statement answers, in one line.
fn pipelined(client: &mut RawClient, texts: &[&str], between: &[u8]) -> Vec<String> {
    let messages: Vec<Vec<u8>> = texts.iter().map(|text| stand::unended(text)).collect();
    client.send(&[messages.join(between), stand::sync()].concat());
    let answer = client.until_ready();
    stand::lines(&answer).into_iter().filter(|line| line.starts_with(['D', 'E', 'C'])).collect()
}

/// Where nothing in the database asks for parameters but the statements themselves, and these behind others.
#[test]
fn who_asks_behind_other_statements_sees_no_parameter_of_others() {
    let asks: [&[&str]; 10] = [
        &["BEGIN", "SELECT 1", "SELECT coalesce(current_setting('app.seat', true), 'none')", "COMMIT"],
        &[
            "BEGIN",
            "INSERT INTO kept VALUES (1)",
            "UPDATE kept SET seat = current_setting('app.seat', true)",
            "COMMIT",
        ],
        &["BEGIN", "SELECT count(*) FROM kept WHERE seat = ''", "COMMIT"],
        &["BEGIN", "SELECT 1", "SHOW app.seat", "ROLLBACK"],
        &[
            "BEGIN",
            "DECLARE c CURSOR FOR SELECT current_setting('app.seat', true) IS NULL",
            "FETCH c",
            "COMMIT",
        ],
        &[
            "CREATE TEMP TABLE own (id int)",
            "SHOW app.seat",
            "SELECT current_setting('app.seat', true) IS NULL",
            "DISCARD TEMP",
        ],
        &[
            "BEGIN",
            "SELECT 1",
            "DO $$BEGIN ASSERT current_setting('app.seat', true) IS NULL; END$$",
            "COMMIT",
        ],
        &["SELECT 1", "SHOW app.seat"],
        &["SELECT count(*) FROM kept", "SELECT current_setting('app.seat', true) IS NULL"],
        &["SELECT 1", "DO $$BEGIN ASSERT current_setting('app.seat', true) IS NULL; END$$"],
    ];
    let pair = Pair::with("asked_later", "", ONE_CONNECTION);
    let answers = |target: &Target| {
        target.run(&["CREATE TABLE kept (id int, seat text)"]);
        let mut answers = Vec::new();
        for texts in asks {
            for way in 0..4 {
                target.raw().simple("SET app.seat = 'a'");
                let mut client = target.raw();
                let answer = match way {
                    0 => texts.iter().flat_map(|text| stand::lines(&client.simple(text))).collect(),
                    1 => stand::lines(&client.simple(&texts.join("; "))),
                    2 => pipelined(&mut client, texts, b""),
                    _ => pipelined(&mut client, texts, &stand::flush()),
                };
                answers.push((texts, way, answer));
            }
        }
        answers
    };
    let plain = answers(&pair.plain);
    let Some(meridian) = &pair.meridian else { return };
    for (ours, theirs) in answers(meridian).into_iter().zip(plain) {
        assert_eq!(ours, theirs);
    }
}

/// Clients that come and go, each with a transaction that begins by setting the parameter: no connection is made for each.
#[test]
fn who_sets_a_parameter_first_is_lent_a_connection_that_has_it() {
    let pair = Pair::with("set_first", "", ONE_CONNECTION);
    let Some(meridian) = &pair.meridian else { return };
    let sets = ["SET LOCAL app.seat = 'a'", "SET app.seat = 'a'", "SELECT set_config('app.seat', 'a', true)"];
    for set in sets {
        let texts = ["BEGIN", set, "SELECT pg_backend_pid()", "COMMIT"];
        let mut servers = std::collections::BTreeSet::new();
        for way in 0..6 {
            let mut client = meridian.raw();
            let answer = match way / 2 {
                0 => texts.iter().flat_map(|text| stand::lines(&client.simple(text))).collect(),
                1 => stand::lines(&client.simple(&texts.join("; "))),
                _ => pipelined(&mut client, &texts, b""),
            };
            servers.extend(answer.into_iter().filter(|line| line.starts_with("D ") && line != "D a"));
        }
        assert_eq!(servers.len(), 1, "{set}: {servers:?}");
    }
}
