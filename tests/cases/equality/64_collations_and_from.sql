-- Text whose collation comes neither from a column nor from the database; what FROM holds beside tables; names of PostgreSQL's
-- own that mean something of the user's.

CREATE COLLATION english (provider = icu, locale = 'en-US');
CREATE DOMAIN spelled AS text COLLATE english;
CREATE TYPE page AS (n int, word text COLLATE english);
CREATE SCHEMA beside;
CREATE COLLATION beside."C" (provider = icu, locale = 'en-US');
CREATE TABLE words (id int PRIMARY KEY, word text COLLATE english, plain text);
INSERT INTO words VALUES (1, 'b', 'b'), (2, 'A', 'A'), (3, 'a', 'a'), (4, 'B', 'B'), (5, 'Z', 'Z');
INSERT INTO codes VALUES ('Zed', 'z');
INSERT INTO codes VALUES ('alpha', 'a');
INSERT INTO codes VALUES ('b', 'b');
INSERT INTO codes VALUES ('é', 'e');

-- domains, fields of rows, subqueries
SELECT code FROM codes ORDER BY code::spelled;
SELECT code FROM codes ORDER BY code::spelled DESC LIMIT 3;
SELECT code FROM codes WHERE code IN ('Zed', 'alpha') ORDER BY code::spelled;
SELECT code FROM codes ORDER BY coalesce(code::spelled, 'x'), code;
SELECT code FROM codes ORDER BY CASE WHEN true THEN code::spelled END;
SELECT code FROM codes ORDER BY upper(code::spelled), code LIMIT 4;
SELECT code FROM codes ORDER BY (ROW(1, code)::page).word LIMIT 5;
SELECT code, max(meaning) FROM codes GROUP BY code ORDER BY max(meaning)::spelled, code LIMIT 4;
SELECT max(code::spelled), min(code::spelled) FROM codes;
SELECT DISTINCT code::spelled FROM codes ORDER BY 1;
SELECT k, (SELECT word FROM words WHERE words.id = small.k + 2) AS x FROM small ORDER BY 2 DESC, k LIMIT 4;
SELECT k FROM small ORDER BY (SELECT word FROM words WHERE words.id = small.k + 2), k LIMIT 4;
SELECT k FROM small ORDER BY (SELECT plain FROM words WHERE words.id = small.k + 2), k LIMIT 4;
-- by the names of collations
SELECT code FROM codes WHERE code IN ('Zed', 'alpha') ORDER BY code COLLATE beside."C";
SELECT code FROM codes WHERE code IN ('Zed', 'alpha') ORDER BY code COLLATE pg_catalog."C";
SELECT code FROM codes ORDER BY code COLLATE "C" LIMIT 3;
SELECT code FROM codes ORDER BY code COLLATE beside."C" DESC LIMIT 1;
SET search_path = beside, pg_catalog, public;
SELECT code FROM codes WHERE code IN ('Zed', 'alpha') ORDER BY code COLLATE "C";
RESET search_path;

-- functions in FROM, which one PostgreSQL computes once
-- any order
SELECT count(DISTINCT x) FROM rides, random() x;
SELECT count(*) FROM (SELECT DISTINCT x FROM rides, random() x) s;
SELECT count(*) FROM (SELECT DISTINCT x FROM rides, (VALUES (random())) d(x)) s;
SELECT count(*) FROM (SELECT DISTINCT x FROM rides JOIN gen_random_uuid() x ON true) s;
SELECT count(*) FROM (SELECT DISTINCT x FROM rides CROSS JOIN LATERAL clock_timestamp() x) s WHERE s.x IS NULL;
SELECT count(*) IN (0, (SELECT count(*) FROM rides)) FROM rides, random() x WHERE x < 0.5;
SELECT DISTINCT x - x FROM rides, random() x;
SELECT DISTINCT d.n - now() FROM rides, (SELECT now() n) d;
SELECT DISTINCT x - now() FROM rides, generate_series(now() - interval '2 hours', now(), interval '1 hour') x;
SELECT DISTINCT n - now() FROM (WITH d AS MATERIALIZED (SELECT now() n) SELECT n FROM d, rides) s;
WITH d AS MATERIALIZED (SELECT now() n) SELECT DISTINCT n - now() FROM d, rides;
SELECT DISTINCT x - now() FROM (SELECT ride_id, now() x FROM rides GROUP BY ride_id) q;
-- may be refused
SELECT count(*) FROM (SELECT DISTINCT x FROM rides, (SELECT current_setting('port') AS x) d) s;
-- may be refused
SELECT count(DISTINCT x) FROM rides, (SELECT current_setting('port') AS x) d;
-- may be refused
SELECT DISTINCT x = current_setting('port') FROM rides, current_setting('port') x;
-- a clock in a condition is no value
SELECT count(*) FROM (SELECT id FROM kinds WHERE tz < now()) s;
-- nor is one that only conditions look at
WITH p AS (SELECT now() - interval '30 years' AS since) SELECT count(*) FROM kinds, p WHERE kinds.tz > p.since;
WITH p AS (SELECT current_setting('TimeZone') AS zone) SELECT id FROM kinds, p WHERE p.zone = 'UTC' ORDER BY id;
SELECT kinds.* FROM kinds, (SELECT now() AS n) p WHERE kinds.tz < p.n ORDER BY id;
SELECT DISTINCT id AS n FROM kinds, (SELECT now() AS n) p ORDER BY n;
SELECT count(p) FROM kinds, (SELECT now() AS n) p;
SELECT id AS m FROM kinds, (SELECT now() AS m) p ORDER BY m - m, 1;
SELECT max(m) - max(m), count(*) FROM kinds, (SELECT now() AS m) p;
SELECT count(*) FROM (SELECT DISTINCT p.* FROM kinds, (SELECT now() AS n) p) s;
SELECT region, count(*) FROM kinds, (SELECT now() AS n) p GROUP BY region, p.n ORDER BY 1;
SELECT count(DISTINCT kinds.id) FROM kinds JOIN LATERAL (SELECT now() > kinds.tz AS over) a ON a.over;

-- a column merged by USING is that of the left side
SELECT n.id, c.meaning FROM (SELECT id, word AS code FROM folded) n JOIN codes c USING (code) WHERE code = 'ABC' ORDER BY 1;
CREATE TABLE folded_codes (code text COLLATE folding, z int);
INSERT INTO folded_codes VALUES ('abc', 1);
SELECT * FROM folded_codes JOIN codes USING (code) WHERE code = 'ABC' ORDER BY meaning;
SELECT * FROM folded_codes JOIN codes USING (code) WHERE code IN ('ABC') ORDER BY meaning;
SELECT * FROM (SELECT code FROM folded_codes) q JOIN codes USING (code) WHERE code = 'ABC' ORDER BY meaning;
WITH q AS (SELECT code FROM folded_codes) SELECT * FROM q JOIN codes USING (code) WHERE code = 'ABC' ORDER BY meaning;
SELECT * FROM (VALUES ('abc' COLLATE folding)) q(code) JOIN codes USING (code) WHERE code = 'ABC' ORDER BY meaning;
SELECT * FROM codes JOIN (VALUES ('abc' COLLATE folding)) q(code) USING (code) WHERE code = 'ABC' ORDER BY meaning;

-- queries in FROM and in WITH do not see their neighbours
SELECT (SELECT s FROM (SELECT sum(price) AS s) z, (SELECT 1 AS price) q) FROM rides;
SELECT (WITH x AS (SELECT sum(price) AS s) SELECT s FROM x, (SELECT 1 AS price) q) FROM rides;
SELECT (SELECT s FROM (SELECT sum(rides.price) AS s) z, (SELECT 1 AS price) rides) FROM rides;

-- a function and types of the user's
CREATE FUNCTION public.starts_with(text, varchar) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
SELECT count(*) FROM codes WHERE starts_with(code, 'a'::varchar);
SELECT count(*) FROM rides WHERE starts_with(region, 'us-e'::varchar);
SELECT count(*) FROM tenants WHERE starts_with(tenant, 'a');
BEGIN;
-- may be refused
DELETE FROM rides WHERE starts_with(region, 'us-e'::varchar);
ROLLBACK;
DROP FUNCTION public.starts_with(text, varchar);
CREATE DOMAIN beside.text AS pg_catalog.text COLLATE public.folding;
SET search_path = beside, pg_catalog, public;
SELECT meaning FROM codes WHERE code = 'ABC'::text ORDER BY 1;
SELECT meaning FROM codes WHERE code::text = 'ABC' ORDER BY 1;
SELECT meaning FROM codes WHERE code IN ('ABC'::text) ORDER BY 1;
SELECT v FROM tenants WHERE tenant = text 'ACME' ORDER BY 1;
SELECT code FROM codes ORDER BY code::text, code COLLATE "C" DESC LIMIT 4;
BEGIN;
-- may be refused
UPDATE codes SET meaning = 'x' WHERE code = 'ABC'::text;
ROLLBACK;
BEGIN;
-- may be refused
DELETE FROM codes WHERE code = 'ABC'::text;
ROLLBACK;
RESET search_path;
DROP DOMAIN beside.text;

-- numbers of objects are another on every shard
-- may be refused
SELECT count(*) FROM (SELECT DISTINCT 'rides'::regclass::oid FROM rides) s;
-- may be refused
SELECT DISTINCT 'rides'::regclass::oid = 'rides'::regclass::oid FROM rides;
-- may be refused
SELECT DISTINCT 'rides'::regclass::oid::text = 'x' FROM rides;
SELECT DISTINCT 'rides'::regclass::text FROM rides;
SELECT ride_id, 'rides'::regclass::varchar(9) FROM rides ORDER BY 1 LIMIT 2;
-- may be refused
SELECT count(*) FROM (SELECT DISTINCT CAST('events' AS regclass)::int8 FROM events) s;
-- may be refused
SELECT count(*) FROM (SELECT DISTINCT (regclass 'events')::oid FROM events) s;
