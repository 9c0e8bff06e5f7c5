-- Tables that are made from queries: on every shard, with the rows of the default shard. `notes` is a table of that shard.

CREATE TABLE found AS SELECT id, region, upper(body) AS body FROM notes WHERE id < 3;
SELECT * FROM found ORDER BY id;
INSERT INTO found VALUES (70, 'x', 'y');
SELECT count(*) FROM found;
-- error 42P07
CREATE TABLE found AS SELECT 1 AS a;
CREATE TABLE IF NOT EXISTS found AS SELECT 1 AS a;
ALTER TABLE found ADD COLUMN more int DEFAULT 7;
SELECT * FROM found ORDER BY id;
DROP TABLE found;
CREATE TABLE found (a, b) AS VALUES (1, 'one'), (2, 'two') WITH DATA;
SELECT * FROM found ORDER BY a;
DROP TABLE found;
CREATE TABLE found AS TABLE notes WITH NO DATA;
SELECT count(*) FROM found;
INSERT INTO found SELECT * FROM notes;
SELECT * FROM found ORDER BY id;
DROP TABLE found;
CREATE UNLOGGED TABLE found WITH (fillfactor = 70) AS (SELECT region, count(*) FROM notes GROUP BY region);
SELECT * FROM found ORDER BY region;
DROP TABLE found;
SELECT id, body AS into INTO found FROM notes ORDER BY id LIMIT 2;
SELECT * FROM found ORDER BY id;
DROP TABLE found;
WITH w AS (SELECT 1 AS a UNION ALL SELECT 2) SELECT a, 'into' AS b INTO TABLE found FROM w;
SELECT * FROM found ORDER BY a;
DROP TABLE found;
CREATE TABLE found AS SELECT f.region, count(n.id) FROM fares f LEFT JOIN notes n ON n.region = f.region GROUP BY f.region;
SELECT * FROM found ORDER BY region;
DROP TABLE found;

-- in transactions
BEGIN;
CREATE TABLE found AS SELECT id FROM notes;
SELECT count(*) FROM found;
ROLLBACK;
-- error 42P01
SELECT count(*) FROM found;
BEGIN;
CREATE TABLE one (a int);
INSERT INTO one VALUES (1);
CREATE TABLE found AS SELECT a + 1 AS b FROM one;
INSERT INTO found VALUES (5);
COMMIT;
SELECT * FROM found ORDER BY b;
DROP TABLE found, one;
-- error 22012
CREATE TABLE found AS SELECT 1 / (id - id) AS a FROM notes;
-- error 42P01
SELECT * FROM found;
BEGIN;
CREATE VIEW seen AS SELECT id FROM accounts;
-- may be refused
CREATE TABLE found AS SELECT id FROM seen;
ROLLBACK;

-- what the default shard does not have, or only its session
-- may be refused
CREATE TABLE found AS SELECT id FROM accounts;
DROP TABLE IF EXISTS found;
-- may be refused
SELECT id INTO found FROM accounts WHERE id = 1;
DROP TABLE IF EXISTS found;
-- may be refused
CREATE TABLE found AS SELECT * FROM accounts a JOIN notes n ON n.id = a.id;
DROP TABLE IF EXISTS found;
CREATE TEMP TABLE passing (k int);
INSERT INTO passing VALUES (1);
-- may be refused
CREATE TABLE found AS SELECT * FROM passing;
DROP TABLE IF EXISTS found;
DROP TABLE passing;
PREPARE taken AS SELECT 1 AS a;
-- may be refused
CREATE TABLE found AS EXECUTE taken;
DROP TABLE IF EXISTS found;
DEALLOCATE taken;
CREATE TEMP TABLE found AS SELECT id FROM notes;
SELECT count(*) FROM found;
DROP TABLE found;
