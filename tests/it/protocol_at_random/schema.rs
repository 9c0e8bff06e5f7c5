//! The tables and code that random sessions find, and what they may leave of their own.

/// May read some tables, and sees those rows of `guarded` that a parameter names.
pub const ROLE: &str = "clerk";
/// `places`, `visits` and `guarded` are sharded by region, `colours` is a reference table, the others are on the default shard.
/// Rows of `visits` and `zones` set parameters by their triggers, but for those named `quiet`. Schema `other` has tables of
/// names that `public` has.
pub const SCHEMA: [&str; 26] = [
    "CREATE TABLE places (id int, region varchar(50) NOT NULL, name text, price numeric(10,2), at timestamptz, \
     PRIMARY KEY (region, id))",
    "CREATE TABLE colours (code text PRIMARY KEY, label text)",
    "CREATE TABLE notes (id int PRIMARY KEY, name text, day date, at timestamptz)",
    "CREATE FUNCTION sets(what text) RETURNS text LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('app.who', what, false); RETURN what; END$$",
    "CREATE FUNCTION sets_and_fails() RETURNS text LANGUAGE plpgsql AS \
     $$BEGIN SET work_mem = '13MB'; RAISE EXCEPTION 'boo'; END$$",
    "CREATE PROCEDURE notes_and_commits(INOUT a int) LANGUAGE plpgsql AS \
     $$BEGIN INSERT INTO notes (id, name) VALUES (a, 'called'); COMMIT; a := a + 1; END$$",
    "CREATE TABLE visits (id int, region varchar(50) NOT NULL, name text, PRIMARY KEY (region, id))",
    "CREATE TABLE zones (id int PRIMARY KEY, name text)",
    "CREATE FUNCTION visited() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('app.who', NEW.name, TG_OP = 'UPDATE'); \
     PERFORM set_config('DateStyle', CASE NEW.id % 2 WHEN 0 THEN 'German' ELSE 'ISO, DMY' END, false); RETURN NEW; END$$",
    "CREATE FUNCTION zoned() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('TimeZone', CASE NEW.id % 3 WHEN 0 THEN 'Asia/Tokyo' WHEN 1 THEN 'UTC' \
     ELSE 'Europe/Rome' END, TG_OP = 'UPDATE'); RETURN NEW; END$$",
    "CREATE TRIGGER visited BEFORE INSERT OR UPDATE ON visits FOR EACH ROW WHEN (NEW.name <> 'quiet') \
     EXECUTE FUNCTION visited()",
    "CREATE TRIGGER zoned AFTER INSERT OR UPDATE ON zones FOR EACH ROW WHEN (NEW.name <> 'quiet') \
     EXECUTE FUNCTION zoned()",
    "CREATE FUNCTION quoted(how text) RETURNS text LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('standard_conforming_strings', how, false); RETURN how; END$$",
    "CREATE VIEW viewed AS SELECT set_config('app.who', 'viewed', false)",
    "CREATE PROCEDURE sets_and_rolls_back() LANGUAGE plpgsql AS \
     $$BEGIN SET DateStyle = 'German'; ROLLBACK; PERFORM set_config('app.who', 'kept', false); END$$",
    "CREATE TABLE guarded (id int, region varchar(50) NOT NULL, owner text, PRIMARY KEY (region, id))",
    "CREATE SCHEMA other",
    "CREATE TABLE other.notes (id int PRIMARY KEY, name text)",
    "CREATE TABLE other.colours (code text PRIMARY KEY, label text)",
    "CREATE FUNCTION other.shade() RETURNS text LANGUAGE sql AS 'SELECT ''other''::text'",
    "CREATE FUNCTION shade() RETURNS text LANGUAGE sql AS 'SELECT ''public''::text'",
    "CREATE FUNCTION elsewhere() RETURNS text LANGUAGE sql SET search_path = other SET work_mem = '17MB' AS \
     $$SELECT concat_ws(' ', current_setting('work_mem'), current_setting('search_path'), current_user)$$",
    "CREATE FUNCTION elevated() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS \
     $$BEGIN PERFORM set_config('app.who', current_user, false); RETURN (SELECT name FROM zones WHERE id = 1); END$$",
    "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY owned ON guarded USING (owner = coalesce(current_setting('app.seat', true), current_user::text))",
    "GRANT SELECT ON places, notes, colours, guarded TO clerk; GRANT INSERT, UPDATE ON visits TO clerk; \
     GRANT USAGE ON SCHEMA other TO clerk; GRANT SELECT, INSERT ON other.notes TO clerk",
];

/// What the tables have when a session begins, on one PostgreSQL; a shard has the places of its region.
pub const PLACES: [&str; 14] = [
    "(1, 'us-east', 'ue1', 2.25, '2024-02-01 01:00+00')",
    "(2, 'us-east', 'ue2', 4.50, '2024-02-01 02:00+00')",
    "(3, 'us-east', 'ue3', 6.75, '2024-02-01 03:00+00')",
    "(4, 'us-east', 'ue4', 9.00, '2024-02-01 04:00+00')",
    "(5, 'us-east', 'ue5', 11.25, '2024-02-01 05:00+00')",
    "(6, 'us-east', 'ue6', 13.50, '2024-02-01 06:00+00')",
    "(1, 'us-west', 'uw1', 3.10, '2024-03-01 00:00+00')",
    "(2, 'us-west', 'uw2', 4.10, '2024-03-02 00:00+00')",
    "(11, 'us-west', 'uw11', NULL, NULL)",
    "(1, 'eu-central', 'ec1', 5.10, '2024-04-01 00:00+00')",
    "(2, 'eu-central', NULL, 6.10, '2024-04-02 00:00+00')",
    "(12, 'eu-central', 'ec12', 8, NULL)",
    "(3, 'ap-south', 'as3', 7.10, '2024-05-01 00:00+00')",
    "(4, 'ap-south', 'as4', 7.10, '2024-05-02 00:00+00')",
];
/// Of each region.
pub const VISITS: [u32; 3] = [1, 2, 3];
pub const COLOURS: &str = "('a', 'alpha'), ('b', 'beta'), ('c', 'gamma')";
/// Of the default shard's tables.
pub const NOTES_AND_ZONES: &str = "INSERT INTO notes SELECT i, 'n' || i, '2024-01-01'::date + i, \
                         '2024-01-01 00:00+00'::timestamptz + i * interval '1 hour' FROM generate_series(1, 9) i; \
                         INSERT INTO zones SELECT i, 'quiet' FROM generate_series(1, 4) i; \
                         INSERT INTO other.notes SELECT i, 'o' || i FROM generate_series(2, 4) i; \
                         INSERT INTO other.colours VALUES ('a', 'elsewhere')";

/// Removes what a session may have made.
pub const CLEANING: &str = "ALTER TABLE visits DROP COLUMN IF EXISTS x2; DROP VIEW IF EXISTS v1; DROP TABLE IF EXISTS t1, t2 CASCADE; DROP SEQUENCE IF EXISTS s1; \
                            DROP TYPE IF EXISTS ty1; DROP VIEW IF EXISTS other.v1; \
                            DROP TABLE IF EXISTS other.t1, other.t2 CASCADE; DROP SEQUENCE IF EXISTS other.s1; \
                            DROP TYPE IF EXISTS other.ty1; DROP FUNCTION IF EXISTS other.f1(int); DROP FUNCTION IF EXISTS f1(int); DROP INDEX IF EXISTS places_name_idx";
