-- What applications and their ORMs write.
-- code that takes a table's rows, where rows of several shards are brought together: the temporary table's row is another type
CREATE FUNCTION label(tenants) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'tenant ' || $1.tenant $$;
CREATE FUNCTION label(anyelement) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'any' $$;
SELECT label(t) FROM tenants t WHERE tenant = 'acme';
-- may be refused
SELECT max(label(t)) FROM tenants t JOIN accounts a ON a.id = t.id;
-- may be refused
SELECT max(t.label) FROM tenants t JOIN accounts a ON a.id = t.id;
-- may be refused
SELECT count(*) FROM tenants t JOIN accounts a ON a.id = t.id WHERE label(t) LIKE 'any%';
-- may be refused
SELECT string_agg(label(t.*), ',' ORDER BY v) FROM tenants t;
CREATE VIEW labelled AS SELECT label(t) AS l FROM tenants t;
-- may be refused
SELECT count(*) FROM labelled WHERE l = 'any';
DROP VIEW labelled;
DROP FUNCTION label(tenants);
DROP FUNCTION label(anyelement);
SELECT count(*), max(t.tenant), max(to_jsonb(t)::text) FROM tenants t JOIN accounts a ON a.id = t.id;
-- parts of a column
CREATE TABLE leaflets (tenant text, id int, labels text[], meta jsonb, grid int[], PRIMARY KEY (tenant, id));
INSERT INTO leaflets VALUES ('acme', 1, '{a,b}', '{"k": 1}', '{{1,2},{3,4}}');
INSERT INTO leaflets VALUES ('globex', 1, '{c}', '{}', '{}');
UPDATE leaflets SET labels[1] = 'x' WHERE tenant = 'acme';
UPDATE leaflets SET labels[2:3] = '{y,z}', meta['a'] = '5' WHERE tenant = 'acme' AND id = 1;
UPDATE leaflets SET grid[1][2] = 9 WHERE tenant = 'acme';
UPDATE leaflets SET meta['b']['c'] = '"deep"', labels[1] = 'w' WHERE tenant = 'globex' RETURNING *;
-- params: acme | 1
UPDATE leaflets SET labels[2] = 'p' WHERE tenant = $1 AND id = $2;
-- error 42804
-- may be refused
UPDATE leaflets SET tenant[1] = 'x' WHERE tenant = 'acme';
SELECT * FROM leaflets ORDER BY tenant;
-- the key set to what it is
INSERT INTO leaflets (tenant, id, labels) VALUES ('acme', 1, '{n}') ON CONFLICT (tenant, id) DO UPDATE SET tenant = EXCLUDED.tenant, id = excluded.id, labels = excluded.labels;
INSERT INTO leaflets (tenant, id) VALUES ('acme', 2) ON CONFLICT (tenant, id) DO UPDATE SET "tenant" = "excluded"."tenant";
UPDATE leaflets SET tenant = tenant, id = id WHERE tenant = 'acme';
UPDATE leaflets AS p SET tenant = p.tenant, meta = '{}' WHERE p.tenant = 'acme' RETURNING id;
-- refused with 0A000
UPDATE leaflets p SET tenant = t.tenant FROM tenants t WHERE p.tenant = 'acme' AND t.tenant = 'acme';
-- refused with 0A000
INSERT INTO leaflets (tenant, id) VALUES ('acme', 2) ON CONFLICT (tenant, id) DO UPDATE SET tenant = leaflets.tenant;
-- refused with 0A000
INSERT INTO leaflets (tenant, id) VALUES ('acme', 2) ON CONFLICT (tenant, id) DO UPDATE SET tenant = excluded.id;
SELECT * FROM leaflets ORDER BY tenant, id;
DROP TABLE leaflets;
-- a nested query tied to the row by the key is where the row is
CREATE TABLE leaflets (tenant text, id int, total int, PRIMARY KEY (tenant, id));
INSERT INTO leaflets VALUES ('acme', 1, 0);
INSERT INTO leaflets VALUES ('globex', 1, 0);
INSERT INTO leaflets VALUES ('initech', 2, 5);
CREATE TABLE pages (tenant text, leaflet int, n int, words int, PRIMARY KEY (tenant, leaflet, n));
INSERT INTO pages VALUES ('acme', 1, 1, 10), ('acme', 1, 2, 20);
INSERT INTO pages VALUES ('globex', 1, 1, 7);
UPDATE leaflets SET total = coalesce((SELECT sum(words) FROM pages p WHERE p.tenant = leaflets.tenant AND p.leaflet = leaflets.id), 0) WHERE tenant = 'acme';
-- params: globex
UPDATE leaflets AS l SET total = (SELECT sum(words) FROM pages p WHERE p.tenant = l.tenant AND p.leaflet = l.id) WHERE l.tenant = $1;
UPDATE leaflets SET total = -1 WHERE tenant = 'initech' AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.tenant = leaflets.tenant);
DELETE FROM leaflets WHERE tenant = 'globex' AND EXISTS (SELECT FROM pages WHERE pages.tenant = leaflets.tenant AND EXISTS (SELECT FROM pages q WHERE q.tenant = pages.tenant AND q.words > 100));
UPDATE leaflets SET total = 1 WHERE tenant = 'acme' AND id IN (SELECT p.leaflet FROM pages p WHERE p.tenant = leaflets.tenant AND p.words > 15) RETURNING *;
SELECT l.*, (SELECT max(words) FROM pages p WHERE p.tenant = l.tenant) FROM leaflets l WHERE l.tenant = 'acme';
SELECT l.*, m.most FROM leaflets l, LATERAL (SELECT max(words) AS most FROM pages p WHERE p.tenant = l.tenant) m WHERE l.tenant IN ('acme', 'globex') ORDER BY 1, 2;
-- RETURNING sees the row as it has become
UPDATE leaflets SET total = 0, id = 9 WHERE tenant = 'initech' AND leaflets.id = 2 RETURNING id, (SELECT count(*) FROM pages p WHERE p.tenant = leaflets.tenant);
CREATE TABLE moves (tenant text PRIMARY KEY, goal text);
INSERT INTO moves VALUES ('acme', 'acme');
-- may be refused
UPDATE moves SET goal = 'globex' WHERE tenant = 'acme' AND moves.goal = 'acme' RETURNING (SELECT count(*) FROM pages p WHERE p.tenant = moves.goal);
-- may be refused
UPDATE moves AS m SET goal = 'globex' WHERE m.tenant = m.goal AND m.tenant = 'acme' RETURNING (SELECT count(*) FROM pages p WHERE p.tenant = m.goal);
-- may be refused
UPDATE moves AS m SET goal = p.tenant FROM pages p WHERE m.tenant = 'acme' AND p.tenant = m.tenant RETURNING (SELECT count(*) FROM pages q WHERE q.tenant = m.goal);
SELECT * FROM moves;
DROP TABLE moves;
-- not tied, or not for certain
-- may be refused
UPDATE leaflets SET total = (SELECT sum(words) FROM pages p WHERE p.leaflet = leaflets.id) WHERE tenant = 'acme';
-- may be refused
UPDATE leaflets SET total = (SELECT sum(words) FROM pages p WHERE p.tenant = leaflets.tenant OR p.n = 1) WHERE tenant = 'acme';
-- may be refused
UPDATE leaflets SET total = (SELECT sum(words) FROM pages p WHERE p.tenant <> leaflets.tenant) WHERE tenant = 'acme';
-- may be refused
UPDATE leaflets SET total = (SELECT sum(p.words) FROM pages p, (SELECT 'globex' AS tenant) AS leaflets WHERE p.tenant = leaflets.tenant) WHERE tenant = 'acme';
-- may be refused
UPDATE leaflets SET total = (SELECT count(*) FROM (SELECT 'globex' AS tenant) AS leaflets WHERE EXISTS (SELECT FROM pages p WHERE p.tenant = leaflets.tenant)) WHERE tenant = 'acme';
SELECT (SELECT sum(words) FROM pages p WHERE p.tenant = l.tenant) FROM leaflets l WHERE l.tenant = 'acme' OR l.id = 1 ORDER BY 1;
SELECT * FROM leaflets ORDER BY tenant, id;
DROP TABLE leaflets;
DROP TABLE pages;
-- a table that is called like a type
CREATE TABLE macaddr (day text, region varchar(50), PRIMARY KEY (region, day));
INSERT INTO macaddr VALUES ('08:00:2b:01:02:03', 'us-west');
INSERT INTO macaddr VALUES ('08:00:2b:01:02:04', 'us-east');
-- may be refused
SELECT max(d.day::pg_catalog.macaddr::text), max((d.day::macaddr)::text) FROM macaddr d JOIN tenants t ON t.tenant <> d.region;
SELECT day::macaddr FROM macaddr WHERE region = 'us-west';
DROP TABLE macaddr;
-- a materialized view that is refreshed beside its readers
CREATE TABLE notes_of_all (note text);
CREATE MATERIALIZED VIEW counted AS SELECT note, count(*) AS n FROM notes_of_all GROUP BY note;
CREATE UNIQUE INDEX ON counted (note);
INSERT INTO notes_of_all VALUES ('x'), ('x'), ('y');
REFRESH MATERIALIZED VIEW CONCURRENTLY counted;
SELECT * FROM counted ORDER BY note;
DROP MATERIALIZED VIEW counted;
DROP TABLE notes_of_all;
-- a reference table written with functions that follow settings alone
UPDATE fares SET per_km = (jsonb_build_object('a', 1.25) ->> 'a')::numeric WHERE region = 'us-west';
SELECT * FROM fares ORDER BY region;
-- a type that is called as a gathered table is
CREATE SCHEMA typed;
CREATE TYPE typed.tenants AS (tenant text, id text, v text);
SET search_path = typed, public;
-- may be refused
SELECT (('(01,02,03)'::tenants).tenant)::text, count(*) FROM public.tenants t JOIN public.accounts a ON a.id = t.id;
RESET search_path;
DROP SCHEMA typed CASCADE;
-- the columns that USING makes one
SELECT * FROM users JOIN rides USING (region, user_id) ORDER BY region, user_id, ride_id LIMIT 7;
SELECT * FROM users u JOIN users r USING (region, user_id) ORDER BY user_id, region;
SELECT DISTINCT * FROM users u JOIN users r USING (region, user_id) ORDER BY user_id, region;
SELECT *, 1 AS one FROM fares JOIN users USING (region) ORDER BY user_id, region;
SELECT count(*) FROM (SELECT * FROM users u JOIN users r USING (region, user_id) ORDER BY user_id LIMIT 5) s;
