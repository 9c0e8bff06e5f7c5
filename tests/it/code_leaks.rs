//! Code that sets parameters where the statement does not name it: whoever has it run keeps what it has set, and nobody else.

use crate::stand::{self, Pair, Target};

/// Every way sets TimeZone by `sets` or `fires`.
const SCHEMA: [&str; 33] = [
    "CREATE FUNCTION sets(what text) RETURNS text LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', false); RETURN what; END$$",
    "CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', false); RETURN coalesce(NEW, OLD); END$$",
    "CREATE FUNCTION fires_for_all() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', false); RETURN NULL; END$$",
    "CREATE FUNCTION atomic() RETURNS text BEGIN ATOMIC SELECT set_config('TimeZone', 'Asia/Tokyo', false); END",
    "CREATE TABLE parents (id int PRIMARY KEY, name text)",
    "CREATE TABLE children (id int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TRIGGER fires AFTER DELETE OR UPDATE ON children FOR EACH ROW EXECUTE FUNCTION fires()",
    "CREATE TABLE parted (id int) PARTITION BY RANGE (id)",
    "CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10)",
    "CREATE TRIGGER fires BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION fires()",
    "CREATE TABLE based (id int)",
    "CREATE TRIGGER fires BEFORE INSERT ON based FOR EACH ROW EXECUTE FUNCTION fires()",
    "CREATE VIEW seen AS SELECT id FROM based",
    "CREATE VIEW written AS SELECT 1 AS id",
    "CREATE TRIGGER fires INSTEAD OF INSERT ON written FOR EACH ROW EXECUTE FUNCTION fires()",
    "CREATE TABLE emptied (id int)",
    "CREATE TRIGGER fires AFTER TRUNCATE ON emptied FOR EACH STATEMENT EXECUTE FUNCTION fires_for_all()",
    "CREATE TABLE grown (id int)",
    "INSERT INTO grown VALUES (1)",
    "CREATE TABLE readers AS SELECT 1",
    "INSERT INTO parents VALUES (1), (2), (3)",
    "INSERT INTO children VALUES (1), (2)",
    "CREATE TABLE guarded (id int, name text)",
    "INSERT INTO guarded VALUES (1, 'x')",
    "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded FORCE ROW LEVEL SECURITY",
    "CREATE POLICY guarding ON guarded USING (sets(name) = name)",
    "CREATE TABLE defaulted (id int, name text DEFAULT sets('x'))",
    "CREATE TABLE checked (id int PRIMARY KEY, name text CHECK (sets(name) = name))",
    "CREATE TABLE relayed (id int)",
    "CREATE FUNCTION relays() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO based VALUES (9); RETURN NULL; END$$",
    "CREATE TRIGGER relays AFTER INSERT OR DELETE OR TRUNCATE ON relayed FOR EACH STATEMENT EXECUTE FUNCTION relays()",
    "CREATE DOMAIN ruled AS text CHECK (sets(VALUE) = VALUE)",
    "CREATE PROCEDURE calls() LANGUAGE sql AS $$SELECT sets('x')$$",
];

const WAYS: [&str; 51] = [
    "SELECT sets('x')",
    "VALUES (sets('x'))",
    "SELECT * FROM sets('x')",
    "SELECT 1 ORDER BY sets('x')",
    "SELECT 1 WHERE sets('x') = 'x'",
    "SELECT count(*) FROM grown GROUP BY sets('x')",
    "SELECT (SELECT sets('x'))",
    "WITH w AS MATERIALIZED (SELECT sets('x') AS x) SELECT * FROM w",
    "SELECT atomic()",
    "COPY (SELECT sets('x')) TO STDOUT",
    "CREATE TABLE made AS SELECT sets('x') AS x",
    "ALTER TABLE grown ADD COLUMN x text DEFAULT sets('x')",
    "ALTER TABLE grown ADD CHECK (sets('x') = 'x')",
    "ALTER TABLE grown ALTER COLUMN id TYPE text USING sets(id::text)",
    "PREPARE p AS SELECT sets('x'); EXECUTE p; DEALLOCATE p",
    "DELETE FROM parents WHERE id = 1",
    "UPDATE parents SET id = 20 WHERE id = 2",
    "INSERT INTO parted VALUES (1)",
    "WITH w AS (INSERT INTO parted VALUES (1) RETURNING id) SELECT * FROM w",
    "INSERT INTO seen VALUES (1)",
    "INSERT INTO written VALUES (1)",
    "TRUNCATE emptied",
    "BEGIN; DECLARE c CURSOR FOR SELECT sets('x'); FETCH c; COMMIT",
    "TABLE guarded",
    "COPY guarded TO STDOUT",
    "COPY (TABLE guarded) TO STDOUT",
    "UPDATE guarded SET id = 2",
    "INSERT INTO guarded VALUES (3, 'y')",
    "SELECT id FROM guarded FOR UPDATE",
    "DELETE FROM guarded WHERE id = 3",
    "EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM guarded",
    "INSERT INTO defaulted DEFAULT VALUES",
    "INSERT INTO defaulted (id) VALUES (1), (2) RETURNING id",
    "INSERT INTO checked VALUES (1, 'x')",
    "INSERT INTO checked VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'z'",
    "UPDATE checked SET name = 'y'",
    "UPDATE checked SET id = 7 RETURNING sets(name)",
    "INSERT INTO relayed VALUES (1)",
    "DELETE FROM relayed",
    "TRUNCATE relayed",
    "SELECT 'x'::ruled",
    "SELECT count(*) FILTER (WHERE sets('x') = 'x') FROM grown",
    "SELECT g, s FROM generate_series(1, 2) g, LATERAL sets('x') s",
    "SELECT rank() OVER (ORDER BY sets('x'))",
    "DO $$BEGIN EXECUTE 'SELECT sets(''x'')'; END$$",
    "CALL calls()",
    "SELECT id FROM grown UNION SELECT sets('x')",
    "BEGIN; SAVEPOINT a; SELECT sets('x'); RELEASE a; COMMIT",
    "CREATE TEMP TABLE temporary AS SELECT sets('x'); DROP TABLE temporary",
    "MERGE INTO based USING (VALUES (5)) v(a) ON id = a WHEN NOT MATCHED THEN INSERT VALUES (a)",
    "ALTER TABLE guarded ADD CHECK (set_config('TimeZone', 'Asia/Tokyo', false) IS NOT NULL)",
];

/// The zones in which sessions are that have run something, one after the other.
fn zones(target: &Target) -> Vec<String> {
    // Bodies that are parsed when they are defined came with PostgreSQL 14.
    let known = |text: &&str| stand::servers_major() >= 14 || !text.contains("atomic()");
    let schema: Vec<&str> = SCHEMA.into_iter().filter(known).collect();
    target.run(&schema);
    let mut zones = Vec::new();
    for extended in [false, true] {
        for way in WAYS.iter().filter(|way| !extended || !way.contains("; ")) {
            let mut setting = target.raw();
            let answer = if extended { setting.extended(way) } else { setting.simple(way) };
            let mut other = target.raw();
            // Outside of a transaction a replica may be asked.
            let on_a_replica = other.value("SELECT current_setting('TimeZone') FROM readers");
            assert_eq!(on_a_replica.as_deref(), Some("UTC"), "{:?}: {way}, extended {extended}", target.kind);
            let zone = other.value_of_primary("SHOW TimeZone");
            let context = format!("{:?}: {way}, extended {extended}", target.kind);
            assert_eq!(zone.as_deref(), Some("UTC"), "{context}: {:?}", stand::lines(&answer));
            zones.push(format!("{way}, extended {extended}: {:?}", setting.value("SHOW TimeZone")));
        }
    }
    zones
}

#[test]
fn code_that_nobody_names_sets_for_its_own_session() {
    let pair = Pair::with("code_leaks", "", &[("proxy", "workers = 1"), ("pool", "size = 1")]);
    let plain = zones(&pair.plain);
    let set = plain.iter().filter(|zone| zone.ends_with("Some(\"Asia/Tokyo\")")).count();
    assert!(set > WAYS.len(), "{plain:#?}");
    if let Some(meridian) = &pair.meridian {
        assert_eq!(zones(meridian), plain);
    }
}
