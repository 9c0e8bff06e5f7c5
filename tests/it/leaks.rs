//! What one session has on a server connection reaches no other: after failed pipelines, after the end of a pinned session, and
//! whatever code has set it.

use crate::gathered::start;
use crate::harness::{REGIONS, connect, database, eventually, meridian};
use crate::stand::{self, Kind, Pair, RawClient, Received, Target};

const ONE_CONNECTION: &[(&str, &str)] = &[("proxy", "workers = 1"), ("pool", "size = 1")];

/// Reads up to a message of this kind.
fn until(client: &mut RawClient, tag: u8) {
    loop {
        match client.receive() {
            Received::Message(message) if message.tag == tag => return,
            Received::Message(_) => {}
            _ => panic!("no {:?}", tag as char),
        }
    }
}

/// The settings of a session come to a connection with the statement that needs it, and go with that if it fails.
#[test]
fn a_copy_that_fails_leaves_the_settings_of_its_session_alone() {
    let pair = Pair::with("copy_failed", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&["CREATE TABLE filled (id int PRIMARY KEY)", "INSERT INTO filled VALUES (1)"]);
        let who = "SELECT coalesce(current_setting('app.who', true), '')";
        let ends: [&[u8]; 4] = [
            &stand::frame(b'f', b"given up\0"),
            &[stand::frame(b'd', b"x\n"), stand::frame(b'c', b"")].concat(),
            &[stand::frame(b'd', b"1\n"), stand::frame(b'c', b"")].concat(),
            &[stand::frame(b'd', b"2\n"), stand::frame(b'c', b"")].concat(),
        ];
        for (number, end) in ends.into_iter().enumerate() {
            for early_sync in [false, true] {
                let (mut one, mut two, mut three) = (target.raw(), target.raw(), target.raw());
                two.simple("SET app.who = 'two'");
                one.simple("SET app.who = 'one'; SET work_mem = '7MB'");
                // Now the connection has these.
                one.simple("BEGIN; SELECT 1; COMMIT");
                let ask = [
                    stand::parse("", "COPY filled FROM STDIN", &[]),
                    stand::bind("", "", &[], &[]),
                    stand::execute("", 0),
                    if early_sync { stand::sync() } else { stand::flush() },
                ];
                two.send(&ask.concat());
                until(&mut two, b'G');
                two.send(&[end, &stand::sync()].concat());
                two.until_ready();
                let place = format!("{:?}: end {number}, early Sync {early_sync}", target.kind);
                // In a transaction it is the primary that is asked.
                two.simple("BEGIN");
                assert_eq!(two.value(who).as_deref(), Some("two"), "{place}");
                assert_eq!(two.value("SHOW work_mem").as_deref(), Some("4MB"), "{place}");
                two.simple("COMMIT");
                assert_eq!(three.value_of_primary(who).as_deref(), Some(""), "{place}");
                assert_eq!(one.value(who).as_deref(), Some("one"), "{place}");
            }
            target.run(&["DELETE FROM filled WHERE id = 2"]);
        }
    }
}

/// Its connection goes with it, also when it waits for nothing but what another session computes.
#[tokio::test]
async fn a_pinned_session_that_ends_while_its_rows_are_joined_leaves_nothing() {
    let (database, meridian) = start("").await;
    let target =
        Target { kind: Kind::Meridian, port: meridian.address().port(), database: database.name.clone() };
    let server = connect(&database.cluster.shard("us-east").primary().superuser(&database.name)).await;
    let count = async |what: &str| server.query_one(what, &[]).await.expect("a count").get::<_, i64>(0);
    for polite in [false, true] {
        let mut pinned = target.raw();
        pinned.simple("CREATE TEMP TABLE kept AS SELECT 5 AS a");
        pinned.simple("LISTEN here");
        pinned.simple("SELECT pg_advisory_lock(77)");
        pinned.send(&stand::query("SELECT pg_sleep(60) FROM orders o JOIN people p ON p.id = o.person"));
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        eventually("the rows are joined", async || (count(sleeps).await > 0).then_some(())).await;
        if polite {
            pinned.send(&stand::terminate());
        }
        drop(pinned);
        let left = "SELECT (SELECT count(*) FROM pg_class WHERE relname = 'kept')
                         + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')";
        eventually("what pinned the session is gone", async || (count(left).await == 0).then_some(())).await;
        let mut other = target.raw();
        other.simple("BEGIN");
        let listens = other.value("SELECT count(*) FROM pg_listening_channels()");
        assert_eq!(listens.as_deref(), Some("0"));
    }
}

/// Functions that nobody would suspect: called by a policy, a domain, a cast, an aggregate, and one that lies.
const CODE: &str = "
CREATE FUNCTION marks(x text) RETURNS text LANGUAGE plpgsql AS
  $$BEGIN PERFORM set_config('app.mark', 'set by ' || x, false); RETURN x; END$$;
CREATE FUNCTION lies(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $$BEGIN PERFORM set_config('app.mark', 'set by ' || x, false); RETURN x; END$$;
CREATE DOMAIN marked AS text CHECK (marks(VALUE) = VALUE);
CREATE AGGREGATE marking(text) (SFUNC = marks_state, STYPE = text);
CREATE TABLE guarded (a text);
INSERT INTO guarded VALUES ('row');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY marking ON guarded USING (marks(a) = a);
";

#[test]
fn what_code_sets_reaches_no_other_session_whoever_calls_it() {
    let pair = Pair::with("by_code", "", ONE_CONNECTION);
    for target in pair.targets() {
        let state = "CREATE FUNCTION marks_state(state text, x text) RETURNS text LANGUAGE plpgsql AS \
                     $$BEGIN PERFORM set_config('app.mark', 'set by ' || x, false); RETURN x; END$$";
        let mut statements = vec![state];
        statements.extend(CODE.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()));
        let (functions, rest): (Vec<&str>, Vec<&str>) =
            statements.into_iter().partition(|statement| statement.starts_with("CREATE FUNCTION"));
        target.run(&[functions, rest].concat());
        let mark = "SELECT coalesce(current_setting('app.mark', true), '')";
        for (statement, set) in [
            ("SELECT * FROM guarded", "set by row"),
            ("SELECT 'dom'::marked", "set by dom"),
            ("SELECT array['one']::marked[]", "set by one"),
            ("SELECT * FROM json_to_record('{\"a\": \"json\"}') AS t(a marked)", "set by json"),
            ("SELECT lies(a) FROM (VALUES ('said')) v(a)", "set by said"),
            ("SELECT marking(a) FROM (VALUES ('sum')) v(a)", "set by sum"),
            ("DO $$BEGIN PERFORM set_config('app.mark', 'set by do', false); END$$", "set by do"),
        ] {
            let (mut one, mut other) = (target.raw(), target.raw());
            let answer = one.simple(statement);
            assert!(
                answer.iter().all(|message| message.tag != b'E'),
                "{:?} {statement}: {answer:?}",
                target.kind
            );
            assert_eq!(other.value(mark).as_deref(), Some(""), "{:?} {statement}", target.kind);
            assert_eq!(one.value(mark).as_deref(), Some(set), "{:?} {statement}", target.kind);
        }
    }
}

/// What a function sets for the session is repeated on the shards that come into its transaction later; not for good.
#[test]
fn what_a_transaction_has_set_on_many_shards_reaches_no_other_session() {
    let pair = Pair::with("set_on_many", stand::PLACES, ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&["CREATE TABLE places (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id))"]);
        for (id, region) in REGIONS.iter().enumerate() {
            target.run(&[&format!("INSERT INTO places VALUES ({id}, '{region}')")]);
        }
        let set = "SELECT set_config('app.who', 'one', false), set_config('TimeZone', 'Asia/Dubai', false)";
        let everywhere = "SELECT id, row_number() OVER (ORDER BY id) FROM places ORDER BY id LIMIT 1";
        let elsewhere = "SELECT count(*) FROM places WHERE region = 'ap-south'";
        let ways: [&[&str]; 3] = [
            &[&format!("{set}; {everywhere}")],
            &["BEGIN", set, elsewhere, "COMMIT"],
            &["BEGIN", "SELECT count(*) FROM places WHERE region = 'eu-central'", set, everywhere, "COMMIT"],
        ];
        for way in ways {
            let mut one = target.raw();
            for statement in way {
                one.simple(statement);
            }
            let (mut other, context) = (target.raw(), format!("{:?} {way:?}", target.kind));
            for region in REGIONS {
                let ask = format!(
                    "SELECT coalesce(current_setting('app.who', true), '') || ' ' || current_setting('TimeZone') \
                     FROM places WHERE region = '{region}'"
                );
                for (client, expected) in [(&mut other, " UTC"), (&mut one, "one Asia/Dubai")] {
                    // In a transaction it is the primary that is asked.
                    assert_eq!(
                        client.value_of_primary(&ask).as_deref(),
                        Some(expected),
                        "{context} {region}"
                    );
                }
            }
        }
    }
}

/// The settings of a session are taken off the connection in one pipeline with what the next one runs. If that fails, they are
/// back, and are not the next one's for that.
#[test]
fn a_first_statement_that_fails_does_not_take_over_the_settings_of_the_session_before() {
    let pair = Pair::with("taken_over", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&["CREATE TABLE filled (id int PRIMARY KEY)"]);
        for failing in
            ["DO $$ BEGIN RAISE EXCEPTION 'boo'; END $$", "CALL nope()", "SELECT lo_open(1, 1)", "SELECT 1/0"]
        {
            let mut before = target.raw();
            for statement in [
                "SET work_mem = '7MB'",
                "SET TimeZone = 'Asia/Tokyo'",
                "SET ROLE pg_monitor",
                "SELECT set_config('app.who', 'before', false)",
                "RESET ROLE",
                "INSERT INTO filled VALUES (1)",
                "DELETE FROM filled",
            ] {
                before.simple(statement);
            }
            drop(before);
            let (mut after, mut third) = (target.raw(), target.raw());
            let ask = [
                stand::parse("", failing, &[]),
                stand::bind("", "", &[], &[]),
                stand::execute("", 0),
                stand::sync(),
            ];
            after.send(&ask.concat());
            let told = after.until_ready();
            assert!(told.iter().any(|said| said.tag == b'E'), "{:?} {failing}: {told:?}", target.kind);
            for (client, who) in [(&mut after, "the next"), (&mut third, "the third")] {
                for begin in ["SELECT 1", "BEGIN"] {
                    client.simple(begin);
                    let state = client.value(
                        "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('TimeZone'), \
                         current_setting('app.who', true))",
                    );
                    let state = state.as_deref().map(str::trim_end);
                    assert_eq!(state, Some("4MB UTC"), "{:?} {failing}: {who}, {begin}", target.kind);
                }
                client.simple("COMMIT");
            }
        }
    }
}

/// A DateStyle may be written by half, as many drivers write it: the other half is the session's own, not that of the session
/// that had the connection before.
#[test]
fn half_a_date_style_is_not_completed_by_another_session() {
    let pair = Pair::with("half_a_style", "", ONE_CONNECTION);
    for target in pair.targets() {
        let mut other = target.raw();
        other.simple("SET DateStyle = 'SQL, DMY'");
        other.simple("BEGIN; SELECT 1; COMMIT");
        let mut by_set = target.raw();
        by_set.simple("SET DateStyle = 'ISO'");
        other.simple("BEGIN; SELECT 1; COMMIT");
        let started = RawClient::connect(target, &[("DateStyle", "ISO")]);
        let mut by_start = started.unwrap_or_else(|_| panic!("no session"));
        for client in [&mut by_set, &mut by_start] {
            for transaction in [false, true] {
                other.simple("BEGIN; SELECT 1; COMMIT");
                if transaction {
                    client.simple("BEGIN");
                }
                let place = format!("{:?}, transaction {transaction}", target.kind);
                let read = client.value("SELECT extract(month FROM '01/02/2020'::date)::int");
                assert_eq!(read.as_deref(), Some("1"), "{place}");
                assert_eq!(client.value("SHOW DateStyle").as_deref(), Some("ISO, MDY"), "{place}");
                client.simple("COMMIT");
            }
        }
        // One half after the other.
        by_set.simple("SET DateStyle = 'SQL'");
        by_set.simple("SET DateStyle = 'DMY'");
        other.simple("SET DateStyle = 'German'; SELECT 1");
        other.simple("BEGIN; SELECT 1; COMMIT");
        assert_eq!(
            by_set.value_of_primary("SHOW DateStyle").as_deref(),
            Some("SQL, DMY"),
            "{:?}",
            target.kind
        );
    }
}

/// PostgreSQL's own functions, called by a default.
#[test]
fn what_a_default_sets_or_locks_is_the_sessions() {
    let pair = Pair::with("setting_default", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&["CREATE TABLE setting (id int, a text DEFAULT set_config('work_mem', '14MB', false))"]);
        let (mut one, mut other) = (target.raw(), target.raw());
        one.simple("INSERT INTO setting (id) VALUES (1)");
        assert_eq!(other.value_of_primary("SHOW work_mem").as_deref(), Some("4MB"), "{:?}", target.kind);
        assert_eq!(one.value("SHOW work_mem").as_deref(), Some("14MB"), "{:?}", target.kind);
    }
    // The lock keeps its connection: there must be another.
    let pair = Pair::new("locking_default", "");
    for target in pair.targets() {
        target.run(&["CREATE TABLE locking (id int, a text DEFAULT pg_advisory_lock(55)::text)"]);
        let (mut one, mut other) = (target.raw(), target.raw());
        one.simple("INSERT INTO locking (id) VALUES (1)");
        let locked = other.value("SELECT pg_try_advisory_lock(55)");
        assert_eq!(locked.as_deref(), Some("f"), "{:?}", target.kind);
    }
}

/// What triggers of a COPY set is told of before its session is ready, also where the session before had the same.
#[test]
fn what_a_copy_sets_is_told_and_reaches_no_other_session() {
    let pair = Pair::with("copy_sets", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&[
            "CREATE TABLE zones (id int PRIMARY KEY)",
            "CREATE FUNCTION zoned() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN PERFORM set_config('TimeZone', 'Europe/Rome', false); RETURN NEW; END$$",
            "CREATE TRIGGER zoned AFTER INSERT ON zones FOR EACH ROW EXECUTE FUNCTION zoned()",
        ]);
        let ways = [stand::flush(), stand::sync(), Vec::new()];
        for (number, way) in ways.iter().chain(&ways).enumerate() {
            let place = format!("{:?}: row {number}", target.kind);
            let (mut before, mut copying, mut behind) = (target.raw(), target.raw(), target.raw());
            if number >= ways.len() {
                before.simple("SET TimeZone = 'Europe/Rome'");
                before.simple("BEGIN; SELECT 1; COMMIT");
            }
            let ask = [
                stand::parse("", "COPY zones FROM STDIN", &[]),
                stand::bind("", "", &[], &[]),
                stand::execute("", 0),
                way.clone(),
            ];
            let row = format!("{number}\n");
            let data = [stand::frame(b'd', row.as_bytes()), stand::frame(b'c', b""), stand::sync()].concat();
            match way.is_empty() {
                true => copying.send(&[ask.concat(), data].concat()),
                false => {
                    copying.send(&ask.concat());
                    until(&mut copying, b'G');
                    copying.send(&data);
                }
            }
            let told = copying.until_ready();
            let zone =
                |message: &&stand::Message| message.tag == b'S' && message.two_strings().0 == "TimeZone";
            assert_eq!(told.iter().filter(zone).count(), 1, "{place}: {:?}", stand::lines(&told));
            assert_eq!(behind.value_of_primary("SHOW TimeZone").as_deref(), Some("UTC"), "{place}");
            assert_eq!(copying.value("SHOW TimeZone").as_deref(), Some("Europe/Rome"), "{place}");
        }
    }
}

/// What a session does on a connection that has another's zone leaves it its own zone, and the next session the servers' own.
/// `act` is told the zone that it is in, and what to say of it.
fn keeps_zones(target: &Target, what: &str, act: impl Fn(&mut RawClient, &str, &str)) {
    for (zoned, zone) in [(false, "UTC"), (true, "Asia/Tokyo")] {
        let place = format!("{:?}: {what}, of a session with a zone: {zoned}", target.kind);
        let (mut before, mut one, mut behind) = (target.raw(), target.raw(), target.raw());
        before.simple("SET TimeZone = 'Europe/Rome'");
        if zoned {
            one.simple("SET TimeZone = 'Asia/Tokyo'");
        }
        before.simple("BEGIN; SELECT 1; COMMIT");
        act(&mut one, zone, &place);
        assert_eq!(behind.value_of_primary("SHOW TimeZone").as_deref(), Some("UTC"), "{place}");
        assert_eq!(one.value_of_primary("SHOW TimeZone").as_deref(), Some(zone), "{place}");
    }
}

/// The settings of a session come with its first statement, and are not undone with the block that BEGIN makes of its pipeline.
#[test]
fn a_block_that_begins_amid_a_pipeline_takes_no_settings_along() {
    let pair = Pair::with("pipelined_block", "", ONE_CONNECTION);
    for target in pair.targets() {
        for end in ["ROLLBACK", "COMMIT"] {
            keeps_zones(target, end, |client, zone, place| {
                let bound = [
                    // Of settings the primary is asked.
                    stand::parse("w", "SELECT current_setting('TimeZone')", &[]),
                    stand::bind("p", "w", &[], &[]),
                    stand::execute("p", 0),
                    stand::flush(),
                ];
                client.send(&bound.concat());
                until(client, b'C');
                client.extended("BEGIN");
                assert_eq!(client.value("SHOW TimeZone").as_deref(), Some(zone), "{place}");
                client.simple(end);
            });
        }
    }
}

/// Nor does a procedure, or other code, that ends its transaction.
#[test]
fn code_that_rolls_back_takes_no_settings_along() {
    let pair = Pair::with("rolling_back", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&["CREATE PROCEDURE undoes() LANGUAGE plpgsql AS $$BEGIN ROLLBACK; END$$"]);
        for text in ["CALL undoes()", "DO $$BEGIN ROLLBACK; END$$"] {
            keeps_zones(target, &format!("{text} by Query"), |client, _, _| drop(client.simple(text)));
            keeps_zones(target, &format!("{text} by messages"), |client, _, _| drop(client.extended(text)));
        }
    }
}

/// EXPLAIN ANALYZE runs what it explains, with all that it leaves.
#[test]
fn what_is_explained_is_run_as_by_itself() {
    let pair = Pair::with("explained", "", ONE_CONNECTION);
    for target in pair.targets() {
        target.run(&[
            // Whether they exist is known to transactions where code asks.
            "CREATE VIEW seat AS SELECT current_setting('app.seat', true)",
            "CREATE FUNCTION sets() RETURNS text LANGUAGE plpgsql AS \
             $$BEGIN SET TimeZone = 'Asia/Tokyo'; PERFORM set_config('app.seat', 'a', false); RETURN 'set'; END$$",
        ]);
        let both = "SELECT current_setting('TimeZone') || ' ' || coalesce(current_setting('app.seat', true), 'none')";
        for (call, expected) in [
            ("set_config('TimeZone', 'Asia/Tokyo', false)", "Asia/Tokyo none"),
            ("set_config('app.seat', 'a', false)", "UTC a"),
            ("sets()", "Asia/Tokyo a"),
        ] {
            for block in [false, true] {
                let place = format!("{:?}: {call}, in a block: {block}", target.kind);
                let (mut one, mut other) = (target.raw(), target.raw());
                other.simple("SELECT 1");
                if block {
                    one.simple("BEGIN");
                }
                one.simple(&format!("EXPLAIN SELECT {call}"));
                assert_eq!(one.value(both).as_deref(), Some("UTC none"), "{place}");
                one.simple(&format!("EXPLAIN (ANALYZE, TIMING OFF) SELECT {call}"));
                assert_eq!(one.value(both).as_deref(), Some(expected), "{place}");
                if block {
                    one.simple("COMMIT");
                }
                assert_eq!(other.value_of_primary(both).as_deref(), Some("UTC none"), "{place}");
                assert_eq!(one.value(both).as_deref(), Some(expected), "{place}");
            }
        }
    }
}

#[test]
fn what_is_explained_and_run_is_kept_for_its_session() {
    let pair = Pair::new("explained_locks", "");
    for target in pair.targets() {
        target.run(&["CREATE TABLE rows (i int)"]);
        let (mut one, mut other) = (target.raw(), target.raw());
        one.simple("EXPLAIN ANALYZE SELECT pg_advisory_lock(4711)");
        assert_eq!(
            other.value("SELECT pg_try_advisory_lock(4711)").as_deref(),
            Some("f"),
            "{:?}",
            target.kind
        );
        assert_eq!(one.value("SELECT pg_advisory_unlock(4711)").as_deref(), Some("t"), "{:?}", target.kind);
        one.simple("PREPARE q AS INSERT INTO rows VALUES (1)");
        one.simple("EXPLAIN EXECUTE q");
        one.simple("EXPLAIN ANALYZE EXECUTE q");
        assert_eq!(one.value("SELECT count(*) FROM rows").as_deref(), Some("1"), "{:?}", target.kind);
        let answer = one.simple("EXPLAIN ANALYZE EXECUTE nope");
        assert!(
            stand::lines(&answer).iter().any(|line| line.contains("26000")),
            "{:?}",
            stand::lines(&answer)
        );
    }
}

/// One server is told of a setting that no transaction is around; others, which the pipeline has asked, are not.
#[test]
fn a_setting_behind_a_read_over_shards_is_not_taken_for_all_of_its_servers() {
    let pair = Pair::with("told_alone", stand::PLACES, ONE_CONNECTION);
    let pipeline = |client: &mut RawClient, texts: [&str; 3]| {
        client.send(&[texts.map(stand::unended).concat(), stand::sync()].concat());
        client.until_ready();
    };
    let read = "/* meridian: role=primary */ SELECT max(id) FROM places";
    for target in pair.targets() {
        target.run(&["CREATE TABLE places (id int, region varchar(50) NOT NULL, PRIMARY KEY (region, id))"]);
        for text in ["RESET ALL", "RESET TimeZone", "SET TimeZone = 'Europe/Rome'"] {
            let (mut one, mut other) = (target.raw(), target.raw());
            one.extended("SELECT set_config('TimeZone', 'Asia/Tokyo', false)");
            pipeline(&mut one, [read, "ROLLBACK", text]);
            // What it sets itself makes it look at what the servers have, once that is undone.
            pipeline(
                &mut other,
                ["SELECT set_config('TimeZone', 'Asia/Dubai', false)", read, "SELECT 1 / 0"],
            );
            assert_eq!(other.value("SHOW TimeZone").as_deref(), Some("UTC"), "{:?}: {text}", target.kind);
        }
    }
}

/// What event triggers set belongs to the session whose DDL has fired them.
#[tokio::test]
async fn what_event_triggers_set_reaches_no_other_session() {
    let database = database().await;
    let make = "CREATE FUNCTION fired() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
           PERFORM set_config('TimeZone', 'Asia/Tokyo', false); PERFORM set_config('app.fired', tg_tag, false);
           SET work_mem = '9MB'; END$$;
         CREATE EVENT TRIGGER fires ON ddl_command_end EXECUTE FUNCTION fired()";
    database.cluster.on_every_shard(&database.name, make).await;
    let meridian = meridian(&database.cluster)
        .database(&database.name)
        .section("proxy", "workers = 1")
        .section("pool", "size = 2")
        .start();
    let target =
        Target { kind: Kind::Meridian, port: meridian.address().port(), database: database.name.clone() };
    let state = "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('TimeZone'), coalesce(current_setting('app.fired', true), 'none'))";
    for (text, tag) in [
        ("CREATE TABLE first (i int)", "CREATE TABLE"),
        ("CREATE TABLE second (i int)", "CREATE TABLE"),
        ("CREATE TEMP TABLE third (i int)", "CREATE TABLE"),
        ("CREATE INDEX CONCURRENTLY ON first (i)", "CREATE INDEX"),
        ("CREATE TABLE fourth AS SELECT 1 AS i", "CREATE TABLE AS"),
        ("DO $$BEGIN CREATE TABLE fifth (i int); END$$", "CREATE TABLE"),
        ("BEGIN; CREATE TABLE sixth (i int); COMMIT", "CREATE TABLE"),
    ] {
        let mut defining = target.raw();
        let answer = defining.simple(text);
        assert!(answer.iter().all(|message| message.tag != b'E'), "{text}: {:?}", stand::lines(&answer));
        for _ in 0..6 {
            let mut other = target.raw();
            assert_eq!(other.value_of_primary(state).as_deref(), Some("4MB UTC none"), "behind {text}");
        }
        let own = format!("9MB Asia/Tokyo {tag}");
        assert_eq!(defining.value(state).as_deref(), Some(own.as_str()), "{text}");
    }
}
