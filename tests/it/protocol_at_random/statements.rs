//! What random sessions say in SQL: pools of statements, by what they do.
//!
//! Every statement has one answer: rows are ordered, or all alike, and none tells of times, processes or transactions. Words
//! in angle brackets are filled in: `<i>` a small number, `<region>`, `<table>` one that may or may not exist (`t1`, `t2`,
//! temporary `kept` and `kept2`, `notes`), `<made>` one of the first two, `<kept>` one of the temporary ones, `<cursor>`,
//! `<fetched>` how far a cursor goes, `<query>` what one is for, `<prepared>` a name for SQL's PREPARE.
//!
//! What is documented as different is left out, and said at its pool.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::harness::REGIONS;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Asking,
    Changing,
    Turning,
    Setting,
    Fetching,
    Preparing,
    Keeping,
    Defining,
    Calling,
    Coding,
    Acting,
    Failing,
}

impl Kind {
    /// One that any session may come upon: DDL is rare, for every shard's catalogs are read behind it.
    pub fn any(random: &mut SmallRng) -> Self {
        use Kind::{
            Acting, Asking, Calling, Changing, Coding, Defining, Failing, Fetching, Keeping, Preparing,
            Setting, Turning,
        };
        const WEIGHED: [(Kind, u32); 12] = [
            (Asking, 16),
            (Changing, 14),
            (Turning, 14),
            (Setting, 12),
            (Fetching, 12),
            (Preparing, 8),
            (Keeping, 6),
            (Defining, 1),
            (Calling, 7),
            (Coding, 6),
            (Acting, 5),
            (Failing, 4),
        ];
        WEIGHED.choose_weighted(random, |(_, weight)| *weight).map_or(Asking, |(kind, _)| *kind)
    }

    /// What a session does mostly, so that its statements meet.
    pub fn theme(random: &mut SmallRng) -> Self {
        const THEMES: [(Kind, u32); 10] = [
            (Kind::Fetching, 6),
            (Kind::Preparing, 3),
            (Kind::Setting, 5),
            (Kind::Keeping, 3),
            (Kind::Changing, 5),
            (Kind::Turning, 3),
            (Kind::Asking, 4),
            (Kind::Coding, 5),
            (Kind::Acting, 5),
            (Kind::Defining, 1),
        ];
        THEMES.choose_weighted(random, |(_, weight)| *weight).map_or(Kind::Asking, |(kind, _)| *kind)
    }

    pub fn statement(self, random: &mut SmallRng) -> String {
        let pool = match self {
            Self::Asking => ASKING,
            Self::Changing => CHANGING,
            Self::Turning => TURNING,
            Self::Setting => SETTING,
            Self::Fetching => FETCHING,
            Self::Preparing => PREPARING,
            Self::Keeping => KEEPING,
            Self::Defining => DEFINING,
            Self::Calling => CALLING,
            Self::Coding => CODING,
            Self::Acting => ACTING,
            Self::Failing => FAILING,
        };
        filled(pool.choose(random).expect("there are some"), random)
    }
}

/// Replaces the words in angle brackets until there are none.
fn filled(template: &str, random: &mut SmallRng) -> String {
    let mut text = template.to_owned();
    while let Some((start, end, pool)) = blank(&text) {
        let word = pool.choose(random).copied().unwrap_or_default();
        text.replace_range(start..end, word);
    }
    text
}

fn blank(text: &str) -> Option<(usize, usize, &'static [&'static str])> {
    BLANKS
        .iter()
        .filter_map(|(word, pool)| Some((text.find(word)?, word, *pool)))
        .map(|(start, word, pool)| (start, start + word.len(), pool))
        .next()
}

const BLANKS: &[(&str, &[&str])] = &[
    ("<query>", QUERIES),
    ("<i>", &["1", "2", "3", "4", "5", "6", "8", "11", "12", "15"]),
    ("<region>", &REGIONS),
    ("<table>", &["t1", "t1", "kept", "kept", "kept2", "notes", "notes"]),
    ("<made>", &["t1", "t1", "t2"]),
    ("<kept>", &["kept", "kept", "kept2"]),
    ("<cursor>", &["c1", "c1", "c2"]),
    ("<prepared>", &["q1", "q1", "q2"]),
    (
        "<fetched>",
        &[
            "NEXT",
            "1",
            "2",
            "3",
            "FORWARD 2",
            "ALL",
            "FORWARD ALL",
            "PRIOR",
            "FIRST",
            "LAST",
            "ABSOLUTE 2",
            "RELATIVE -1",
            "BACKWARD 2",
            "0",
        ],
    ),
];

/// What cursors are for. Nothing that fails: cursors WITH HOLD read their rows at DECLARE, or at the end of a message.
const QUERIES: &[&str] = &[
    "SELECT id, name FROM notes ORDER BY id",
    "SELECT id, day, at FROM notes ORDER BY id",
    "SELECT id, name FROM <table> ORDER BY id",
    "SELECT region, id, at FROM places ORDER BY region COLLATE \"C\", id",
    "SELECT at, at::date AS day, price, id FROM places ORDER BY at, region, id",
    "SELECT region, count(*), min(at) FROM places GROUP BY region ORDER BY region",
    "SELECT id, name FROM places WHERE region = 'us-east' ORDER BY id",
    "SELECT id FROM places WHERE region = '<region>' ORDER BY id",
    "SELECT code, label FROM colours ORDER BY code",
    "SELECT p.id, c.label FROM places p CROSS JOIN colours c ORDER BY 1, 2 LIMIT 8",
    "SELECT generate_series(1, 5)",
];

const ASKING: &[&str] = &[
    "SELECT 1",
    "SELECT 1 AS \"A b\", NULL, 'x'::name, 1::bigint",
    "VALUES (1, 'x'), (2, 'y')",
    "SELECT * FROM <table> ORDER BY 1",
    "SELECT count(*) FROM <table>",
    "SELECT id, name FROM <table> WHERE id < <i> ORDER BY id",
    "SELECT id, name FROM notes WHERE id = <i> FOR UPDATE",
    "SELECT id, name, price FROM places WHERE region = '<region>' ORDER BY id",
    "SELECT region, id, name FROM places ORDER BY region, id",
    "SELECT count(*), sum(price), max(at) FROM places",
    "SELECT region, count(*) FROM places GROUP BY region ORDER BY region",
    "SELECT id FROM places ORDER BY id DESC, region LIMIT 4",
    "SELECT p.id, c.label FROM places p JOIN colours c ON true WHERE p.region = '<region>' ORDER BY 1, 2 LIMIT 5",
    "SELECT n.id, p.region FROM notes n JOIN places p USING (id) ORDER BY 1, 2",
    "SELECT id, row_number() OVER (ORDER BY id, region) FROM places ORDER BY 2 LIMIT 3",
    "SELECT at::date, now() = now() FROM places ORDER BY region, id",
    "SELECT at FROM places WHERE region = 'us-east' ORDER BY id",
    "SELECT code, label FROM colours ORDER BY code",
    "SELECT current_setting('TimeZone'), current_setting('work_mem'), coalesce(current_setting('app.who', true), '') \
     FROM places WHERE region = 'eu-central' ORDER BY id LIMIT 1",
    "SELECT current_setting('TimeZone'), current_setting('work_mem'), coalesce(current_setting('app.who', true), '')",
    "SELECT day, at FROM notes WHERE id = 3",
    "SELECT count(*) FROM places p WHERE EXISTS (SELECT FROM <table> x WHERE x.id = p.id)",
    "COPY (SELECT id, name FROM notes ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)",
    "COPY (SELECT region, id FROM places ORDER BY 1, 2) TO STDOUT",
    "SELECT to_regclass('t1') IS NULL, to_regclass('kept') IS NULL",
    "",
];

const CHANGING: &[&str] = &[
    "INSERT INTO <table> (id, name) VALUES (<i>, 'x')",
    "INSERT INTO <table> (id, name) VALUES (<i>, 'u') ON CONFLICT DO NOTHING RETURNING id",
    "UPDATE <table> SET name = 'up' WHERE id = <i>",
    "UPDATE <table> SET name = name || '!' WHERE id < <i> RETURNING 'changed'",
    "DELETE FROM <table> WHERE id = <i> RETURNING id, name",
    "INSERT INTO <table> (id, name) SELECT g, 's' || g FROM generate_series(20, 22) g",
    "WITH w AS (INSERT INTO <table> (id, name) VALUES (<i>, 'w') RETURNING id) SELECT * FROM w",
    "MERGE INTO <table> USING (VALUES (<i>)) v(a) ON id = a WHEN MATCHED THEN UPDATE SET name = 'm' \
     WHEN NOT MATCHED THEN INSERT (id, name) VALUES (a, 'n')",
    "INSERT INTO places VALUES (<i>, '<region>', 'new', 1, '2024-06-01 00:00+00')",
    "INSERT INTO places VALUES (<i>, 'us-west', 'new', 1, NULL) ON CONFLICT (region, id) DO UPDATE \
     SET name = excluded.name RETURNING name",
    "UPDATE places SET name = 'u' WHERE region = '<region>' AND id = <i> RETURNING id, name",
    "UPDATE places SET price = price + 1 WHERE region = 'us-west' RETURNING region",
    "UPDATE places SET name = 'all'",
    "DELETE FROM places WHERE region = '<region>' AND id = <i>",
    "INSERT INTO colours VALUES ('d', 'new')",
    "UPDATE colours SET label = upper(label) WHERE code = 'a'",
    "UPDATE colours SET label = 'same' RETURNING label",
    "DELETE FROM colours WHERE code = 'b' RETURNING label",
    "UPDATE notes SET name = 'cur' WHERE CURRENT OF <cursor>",
    "TRUNCATE <kept>",
];

const TURNING: &[&str] = &[
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "SAVEPOINT b",
    "ROLLBACK TO a",
    "ROLLBACK TO SAVEPOINT b",
    "RELEASE a",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "BEGIN READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "SET TRANSACTION READ ONLY",
    "SHOW transaction_isolation",
    "SHOW transaction_read_only",
    "SET CONSTRAINTS ALL DEFERRED",
    "END",
];

/// Not client_encoding: servers keep UTF8, and what functions say of it is theirs.
const SETTING: &[&str] = &[
    "SET TimeZone = 'Asia/Tokyo'",
    "SET LOCAL TimeZone = 'Asia/Dubai'",
    "SET work_mem = '7MB'",
    "SET LOCAL work_mem = '8MB'",
    "SET app.who = 'set'",
    "SET LOCAL app.who = 'set locally'",
    "SET datestyle = 'German'",
    "SET LOCAL datestyle = 'SQL, DMY'",
    "SET intervalstyle = 'iso_8601'",
    "SET extra_float_digits = -3",
    "SET application_name = 'b c'",
    "SET search_path = public, pg_temp",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET default_transaction_read_only = off",
    "SET standard_conforming_strings = off",
    "RESET TimeZone",
    "RESET work_mem",
    "RESET search_path",
    "RESET ALL",
    "SELECT set_config('app.who', 'by function', false)",
    "SELECT set_config('app.who', 'by function, locally', true)",
    "SELECT set_config('TimeZone', 'Asia/Dubai', false), set_config('work_mem', '9MB', false)",
    "SELECT set_config('work_mem', '10MB', false) FROM places WHERE region = 'us-west' ORDER BY id",
    "SELECT set_config('app.who', name, false) FROM places WHERE region = 'us-east' ORDER BY id",
    "SELECT set_config('app.who', name, true) FROM places WHERE region = 'ap-south' ORDER BY id",
    "DO $$BEGIN SET work_mem = '11MB'; END$$",
    "DO $$BEGIN PERFORM set_config('TimeZone', 'Europe/Madrid', false); END$$",
    "SELECT sets('by a function of ours')",
    "SHOW work_mem",
    "SHOW TimeZone",
    "SHOW search_path",
    "SELECT '2024-05-06'::date, '2024-05-06 10:00+00'::timestamptz, '1 day 02:00'::interval, 1.1::float4",
    "SELECT '2024-05-06'::date, '1 day 02:00'::interval FROM places WHERE region = 'ap-south' ORDER BY id LIMIT 1",
    "SELECT regexp_replace(current_schemas(false)::text, 'pg_temp_[0-9]+', 'pg_temp'), current_schema(), current_user",
    "DISCARD PLANS",
    "DISCARD ALL",
];

/// Not CURSOR over rows of several shards FOR UPDATE or BINARY, which is refused (M027).
const FETCHING: &[&str] = &[
    "DECLARE <cursor> CURSOR FOR <query>",
    "DECLARE <cursor> CURSOR FOR <query>",
    "DECLARE <cursor> SCROLL CURSOR FOR <query>",
    "DECLARE <cursor> NO SCROLL CURSOR FOR <query>",
    "DECLARE <cursor> CURSOR FOR SELECT id, 10 / (id - 4) FROM notes ORDER BY id",
    "DECLARE <cursor> CURSOR WITH HOLD FOR <query>",
    "DECLARE <cursor> CURSOR WITH HOLD FOR <query>",
    "DECLARE <cursor> SCROLL CURSOR WITH HOLD FOR <query>",
    "FETCH <fetched> FROM <cursor>",
    "FETCH <fetched> FROM <cursor>",
    "FETCH 2 FROM <cursor>",
    "FETCH NEXT FROM <cursor>",
    "FETCH <cursor>",
    "FETCH ALL FROM <cursor>",
    "MOVE <fetched> IN <cursor>",
    "CLOSE <cursor>",
    "CLOSE ALL",
    "BEGIN",
    "BEGIN",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "SET LOCAL TimeZone = 'America/New_York'",
    "UPDATE places SET name = 'seen?' WHERE region = 'us-west'",
    "UPDATE colours SET label = 'seen?'",
];

const PREPARING: &[&str] = &[
    "PREPARE <prepared> AS SELECT id, name FROM <table> ORDER BY id",
    "PREPARE <prepared> (int) AS SELECT name FROM notes WHERE id = $1",
    "PREPARE <prepared> (int, text) AS INSERT INTO <table> (id, name) VALUES ($1, $2) RETURNING id",
    "PREPARE <prepared> AS SELECT region, id, name FROM places ORDER BY region, id",
    "PREPARE <prepared> (text) AS SELECT id, name, at FROM places WHERE region = $1 ORDER BY id",
    "PREPARE <prepared> AS SELECT count(*), max(at) FROM places WHERE id < $1",
    "PREPARE <prepared> (text) AS UPDATE colours SET label = label || 'x' WHERE code = $1 RETURNING label",
    "PREPARE <prepared> (text) AS DELETE FROM places WHERE region = $1 AND id = 1 RETURNING id",
    "PREPARE <prepared> AS SELECT nope FROM places",
    "EXECUTE <prepared>",
    "EXECUTE <prepared>",
    "EXECUTE <prepared> (<i>)",
    "EXECUTE <prepared> ('<region>')",
    "EXECUTE <prepared> ('a')",
    "EXECUTE <prepared> (<i>, 'e')",
    "EXECUTE w1",
    "DEALLOCATE <prepared>",
    "DEALLOCATE <prepared>",
    "DEALLOCATE w1",
    "DEALLOCATE ALL",
    "BEGIN",
    "COMMIT",
];

const KEEPING: &[&str] = &[
    "CREATE TEMP TABLE <kept> (id int PRIMARY KEY, name text)",
    "CREATE TEMP TABLE <kept> (id int PRIMARY KEY, name text)",
    "CREATE TEMP TABLE IF NOT EXISTS <kept> (id int, name text) ON COMMIT DROP",
    "CREATE TEMP TABLE <kept> (id int, name text) ON COMMIT DELETE ROWS",
    "CREATE TEMP TABLE IF NOT EXISTS <kept> AS SELECT id, name FROM notes",
    "SELECT id, name INTO TEMP <kept> FROM notes WHERE id < 4",
    "INSERT INTO <kept> (id, name) SELECT id, name FROM notes WHERE id < 4",
    "INSERT INTO <kept> (id, name) VALUES (<i>, 'kept')",
    "SELECT id, name FROM <kept> ORDER BY 1, 2",
    "SELECT count(*) FROM pg_temp.<kept>",
    "SELECT x.id, p.region FROM places p JOIN <kept> x USING (id) WHERE p.region = 'us-east' ORDER BY 1",
    "ALTER TABLE <kept> ADD COLUMN z int",
    "DROP TABLE <kept>",
    "DROP TABLE IF EXISTS <kept>",
    "DISCARD TEMP",
    "CREATE TEMP SEQUENCE ts1",
    "SELECT nextval('ts1')",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
];

const DEFINING: &[&str] = &[
    "CREATE TABLE <made> (id int PRIMARY KEY, name text)",
    "CREATE TABLE <made> (id int PRIMARY KEY, name text)",
    "CREATE TABLE IF NOT EXISTS <made> (id int PRIMARY KEY, name text)",
    "CREATE TABLE <made> AS SELECT 1 AS id, 'a'::text AS name",
    "CREATE TABLE <made> (id serial PRIMARY KEY, name text)",
    "INSERT INTO <made> (name) VALUES ('numbered') RETURNING id",
    "INSERT INTO <made> (id, name) VALUES (<i>, 'made')",
    "SELECT id, name FROM <made> ORDER BY id",
    "DROP TABLE <made>",
    "DROP TABLE IF EXISTS <made>",
    "ALTER TABLE <made> ADD COLUMN x1 int DEFAULT 7",
    "ALTER TABLE <made> DROP COLUMN IF EXISTS x1",
    "ALTER TABLE <made> ALTER COLUMN name TYPE varchar(20)",
    "ALTER TABLE <made> ADD CONSTRAINT few CHECK (id < 30)",
    "CREATE INDEX ON <made> (name)",
    "CREATE INDEX places_name_idx ON places (name)",
    "DROP INDEX IF EXISTS places_name_idx",
    "ALTER TABLE visits ADD COLUMN x2 text DEFAULT 'new'",
    "ALTER TABLE visits ADD COLUMN x2 text DEFAULT 'newer'",
    "ALTER TABLE visits DROP COLUMN IF EXISTS x2",
    "UPDATE visits SET x2 = id || name WHERE region = '<region>'",
    "INSERT INTO visits VALUES (<i>, '<region>', 'quiet', 'late') ON CONFLICT DO NOTHING",
    "SELECT region, id, x2 FROM visits ORDER BY region, id",
    "SELECT * FROM visits WHERE region = '<region>' ORDER BY id",
    "SELECT x2, count(*) FROM visits GROUP BY x2 ORDER BY x2",
    "CREATE TYPE ty1 AS ENUM ('p', 'q')",
    "SELECT 'p'::ty1",
    "DROP TYPE IF EXISTS ty1",
    "CREATE VIEW v1 AS SELECT id, name FROM <made>",
    "SELECT id, name FROM v1 ORDER BY id",
    "DROP VIEW IF EXISTS v1",
    "CREATE SEQUENCE IF NOT EXISTS s1",
    "SELECT nextval('s1')",
    "CREATE OR REPLACE FUNCTION f1(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1'",
    "SELECT f1(1)",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
];

const CALLING: &[&str] = &[
    "SELECT pg_advisory_lock(1) IS NOT NULL",
    "SELECT pg_try_advisory_lock(2)",
    "SELECT pg_advisory_unlock(1)",
    "SELECT pg_advisory_unlock_all() IS NOT NULL",
    "SELECT pg_advisory_xact_lock(3) IS NOT NULL",
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    "LISTEN news",
    "LISTEN more",
    "UNLISTEN *",
    "UNLISTEN news",
    "NOTIFY news, 'heard'",
    "NOTIFY more",
    "SELECT pg_notify('news', 'told') IS NOT NULL",
    "SELECT * FROM pg_listening_channels() ORDER BY 1",
    "DO $$BEGIN NULL; END$$",
    "DO $$BEGIN RAISE NOTICE 'hey %', 1; END$$",
    "CALL notes_and_commits(<i>)",
    "CALL notes_and_commits(100)",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT array_agg(id ORDER BY id) FROM notes",
    "SELECT (1, 'a')",
];

/// Code that sets parameters, and what reads them.
const CODING: &[&str] = &[
    "INSERT INTO zones VALUES (<i>, 'zone') ON CONFLICT DO NOTHING",
    "INSERT INTO zones VALUES (<i>, 'zone') ON CONFLICT (id) DO UPDATE SET name = 'zone again' RETURNING id, name",
    "INSERT INTO zones SELECT g, 'many' FROM generate_series(20, 22) g",
    "UPDATE zones SET name = 'updated' WHERE id = <i>",
    "DELETE FROM zones WHERE id = <i> RETURNING name",
    "INSERT INTO visits VALUES (<i>, '<region>', 'visit') ON CONFLICT DO NOTHING",
    "INSERT INTO visits VALUES (<i>, '<region>', 'visit') ON CONFLICT (region, id) DO UPDATE SET name = 'again'",
    "UPDATE visits SET name = 'updated' WHERE region = '<region>' AND id = <i> RETURNING name",
    "UPDATE visits SET name = 'quiet' WHERE region = '<region>'",
    "DELETE FROM visits WHERE region = '<region>' AND id = <i>",
    "SELECT region, id, name FROM visits ORDER BY region, id",
    "SELECT count(*), min(name) FROM visits",
    "SELECT id, name FROM visits WHERE region = '<region>' ORDER BY id",
    "SELECT id, name FROM zones ORDER BY id",
    "SELECT sets('code')",
    "SELECT sets(name) FROM visits WHERE region = '<region>' ORDER BY id",
    "EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT sets('explained')",
    "EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
    "SELECT * FROM viewed",
    "DO $$BEGIN PERFORM set_config('TimeZone', 'Europe/Rome', false); ROLLBACK; END$$",
    "DO $$BEGIN COMMIT; PERFORM set_config('app.who', 'behind a commit', false); END$$",
    "CALL sets_and_rolls_back()",
    "SELECT quoted('off')",
    "SELECT quoted('on')",
    "SELECT 'a\\\\b'",
    "SELECT count(*) FROM places WHERE name <> 'a\\\\b'",
    "SELECT current_setting('TimeZone'), current_setting('DateStyle'), coalesce(current_setting('app.who', true), '')",
    "SELECT current_setting('TimeZone'), current_setting('DateStyle'), coalesce(current_setting('app.who', true), '') \
     FROM places WHERE region = '<region>' ORDER BY id LIMIT 1",
    "SELECT region, id, at FROM places ORDER BY region, id",
    "SELECT id, at FROM places WHERE region = '<region>' ORDER BY id",
    "SELECT '2024-05-06'::date, '2024-05-06 10:00+00'::timestamptz",
    "SET TimeZone = 'UTC'",
    "RESET TimeZone",
    "RESET app.who",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
];

/// Roles and search paths: who may do what, and which table a name means.
const ACTING: &[&str] = &[
    "SET ROLE clerk",
    "SET ROLE clerk",
    "SET LOCAL ROLE clerk",
    "SET ROLE NONE",
    "RESET ROLE",
    "SET SESSION AUTHORIZATION clerk",
    "SET LOCAL SESSION AUTHORIZATION clerk",
    "RESET SESSION AUTHORIZATION",
    "SELECT set_config('role', 'clerk', false)",
    "SELECT set_config('role', 'clerk', true)",
    "SELECT current_user, session_user, current_setting('role'), current_setting('is_superuser')",
    "SELECT current_user, id FROM places WHERE region = '<region>' ORDER BY id LIMIT 1",
    "SELECT current_user, count(*) FROM places",
    "SHOW role",
    "SHOW session_authorization",
    "SHOW is_superuser",
    "DO $$BEGIN SET LOCAL ROLE clerk; END$$",
    "DO $$BEGIN SET ROLE clerk; END$$",
    "SET app.seat = '<region>'",
    "SET LOCAL app.seat = '<region>'",
    "SELECT set_config('app.seat', '<region>', true)",
    "RESET app.seat",
    "SELECT coalesce(current_setting('app.seat', true), 'none')",
    "SELECT coalesce(current_setting('app.seat', true), 'none'), id FROM places WHERE region = '<region>' ORDER BY id LIMIT 1",
    "SELECT region, id, owner FROM guarded ORDER BY region, id",
    "SELECT count(*) FROM guarded",
    "SELECT id, owner FROM guarded WHERE region = '<region>' ORDER BY id",
    "UPDATE guarded SET owner = 'clerk' WHERE region = '<region>' AND id = 1",
    "SELECT id, name FROM zones ORDER BY id",
    "INSERT INTO zones VALUES (<i>, 'quiet') ON CONFLICT DO NOTHING",
    "INSERT INTO visits VALUES (<i>, '<region>', 'acted') ON CONFLICT DO NOTHING",
    "SELECT region, id, name FROM visits ORDER BY region, id",
    "UPDATE colours SET label = 'acted' WHERE code = 'a'",
    "SELECT elevated()",
    "SELECT elsewhere()",
    "SELECT elsewhere(), id FROM places WHERE region = 'us-west' ORDER BY id LIMIT 1",
    "SELECT shade()",
    "SELECT shade(), id FROM places WHERE region = 'eu-central' ORDER BY id LIMIT 1",
    "SET search_path = other, public",
    "SET LOCAL search_path = other, public",
    "SELECT set_config('search_path', 'other,public', true)",
    "SET search_path = other",
    "RESET search_path",
    "SELECT current_schemas(true)::text LIKE '%other%', current_schema()",
    "SELECT id, name FROM notes ORDER BY id",
    "SELECT code, label FROM colours ORDER BY code",
    "SELECT id, name FROM other.notes ORDER BY id",
    "INSERT INTO notes (id, name) VALUES (<i>, 'acted') ON CONFLICT DO NOTHING RETURNING id, name",
    "SELECT p.id, c.label FROM places p JOIN colours c ON c.code = 'a' WHERE p.region = '<region>' ORDER BY 1",
    "SELECT region, count(*) FROM places JOIN notes USING (id) GROUP BY region ORDER BY region",
    "PREPARE <prepared> AS SELECT id, name FROM notes ORDER BY id",
    "PREPARE <prepared> AS SELECT label FROM colours ORDER BY label",
    "EXECUTE <prepared>",
    "SELECT to_regclass('notes')::oid = 'public.notes'::regclass::oid",
    "CREATE TEMP TABLE kept (id int PRIMARY KEY, name text)",
    "BEGIN",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
];

const FAILING: &[&str] = &[
    "SELECT 1/0",
    "SELECT nope FROM places",
    "SELECT nope FROM notes",
    "SELEC 1",
    "SELECT id, 10 / (id - <i>) FROM places ORDER BY region, id",
    "DO $$BEGIN SET work_mem = '12MB'; RAISE EXCEPTION 'boo'; END$$",
    "DO $$BEGIN RAISE EXCEPTION 'boo' USING ERRCODE = 'P0099'; END$$",
    "SELECT sets_and_fails()",
    "SET work_mem = 'nonsense'",
    "CALL nope()",
    "INSERT INTO notes (id, name) VALUES ('bad', 'x')",
];

/// What a parameter of a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Number,
    Region,
    Code,
    Text,
}

impl Wanted {
    /// Its type, as wire cases write it.
    pub fn type_name(self) -> &'static str {
        if self == Self::Number { "int4" } else { "text" }
    }

    pub fn value(self, random: &mut SmallRng) -> String {
        filled(
            match self {
                Self::Number => "<i>",
                Self::Region => "<region>",
                Self::Code => ["a", "b", "d"].choose(random).expect("there are some"),
                Self::Text => ["x", "null"].choose(random).expect("there are some"),
            },
            random,
        )
    }
}

/// Statements with parameters.
pub const BOUND: &[(&str, &[Wanted])] = &[
    ("SELECT id, name FROM notes WHERE id > $1 ORDER BY id", &[Wanted::Number]),
    ("SELECT $1::int, $2::text", &[Wanted::Number, Wanted::Text]),
    ("SELECT $1", &[Wanted::Text]),
    ("SELECT 10 / ($1::int - 3)", &[Wanted::Number]),
    ("SELECT generate_series(1, $1::int)", &[Wanted::Number]),
    ("INSERT INTO notes (id, name) VALUES ($1, $2) RETURNING id", &[Wanted::Number, Wanted::Text]),
    ("DELETE FROM notes WHERE id = $1", &[Wanted::Number]),
    ("SELECT id, name, at FROM places WHERE region = $1 ORDER BY id", &[Wanted::Region]),
    ("SELECT id, name FROM places WHERE region = $1 ORDER BY id FOR UPDATE", &[Wanted::Region]),
    ("SELECT region, id FROM places WHERE id > $1 ORDER BY region, id", &[Wanted::Number]),
    ("SELECT count(*), sum(price), max(at) FROM places WHERE id < $1", &[Wanted::Number]),
    (
        "SELECT region, count(*), min(at) FROM places WHERE id < $1 GROUP BY region ORDER BY region",
        &[Wanted::Number],
    ),
    ("SELECT id FROM places ORDER BY id, region LIMIT $1", &[Wanted::Number]),
    (
        "SELECT p.region, p.id, c.label FROM places p CROSS JOIN colours c WHERE c.code = $1 ORDER BY 1, 2, 3",
        &[Wanted::Code],
    ),
    ("UPDATE places SET name = $2 WHERE region = $1 AND id = 1", &[Wanted::Region, Wanted::Text]),
    ("UPDATE places SET name = 'bound' WHERE region = $1 AND id < 3 RETURNING name", &[Wanted::Region]),
    (
        "INSERT INTO places (id, region, name) VALUES (77, $1, 'bound') RETURNING id, region",
        &[Wanted::Region],
    ),
    ("DELETE FROM places WHERE region = $1 AND id = 1", &[Wanted::Region]),
    ("SELECT label FROM colours WHERE code >= $1 ORDER BY 1", &[Wanted::Code]),
    ("INSERT INTO colours VALUES ($1, 'bound') RETURNING code", &[Wanted::Code]),
    ("UPDATE colours SET label = label || 'x' WHERE code = $1", &[Wanted::Code]),
    ("SELECT id, name FROM t1 WHERE id > $1 ORDER BY 1", &[Wanted::Number]),
    ("INSERT INTO kept (id, name) VALUES ($1, 'bound')", &[Wanted::Number]),
    ("INSERT INTO zones VALUES ($1, 'bound') ON CONFLICT DO NOTHING", &[Wanted::Number]),
    ("UPDATE zones SET name = 'bound' WHERE id = $1 RETURNING name", &[Wanted::Number]),
    ("INSERT INTO visits VALUES (78, $1, 'bound') RETURNING id, region", &[Wanted::Region]),
    ("UPDATE visits SET name = 'bound' WHERE region = $1 AND id = 1", &[Wanted::Region]),
    ("SELECT id, name FROM kept WHERE id > $1 ORDER BY 1, 2", &[Wanted::Number]),
];
