-- Where writes leave their rows: each on its own shard and only there, copies equal everywhere.

-- key spellings on writes
UPDATE badges SET owner = 'cut' WHERE badge = 'a     ';
INSERT INTO badges VALUES ('d'::text, 'd');
INSERT INTO badges VALUES ('e       ', 'too many blanks');
-- error 22001
INSERT INTO badges VALUES ('toolong', 'x');
-- error 23502
INSERT INTO badges VALUES (NULL, 'x');
-- error 23502
INSERT INTO badges VALUES (DEFAULT, 'x');
SELECT * FROM badges ORDER BY owner;
UPDATE badges SET badge = 'a  ' WHERE badge = 'a';
-- may be refused
UPDATE badges SET badge = 'z' WHERE badge = 'a';
UPDATE small SET k = k WHERE k = 1;
UPDATE small SET k = 1 WHERE k = 1;
UPDATE small SET (k, v) = (1, 'uno') WHERE k = 1;
-- may be refused
UPDATE small SET (k, v) = (SELECT 1, 'uno') WHERE k = 1;
-- may be refused
UPDATE small SET (k, v) = ROW(2, 'uno') WHERE k = 1;
UPDATE small SET v = 'x' WHERE k = 1 OR k = 2;
UPDATE small SET v = 'never' WHERE k = 1 AND k = 2;
DELETE FROM small WHERE k IN (1, 1) AND v = 'none';
-- may be refused
INSERT INTO small VALUES (100, 'a') ON CONFLICT (k) DO UPDATE SET k = 101;
INSERT INTO small VALUES (100, 'a') ON CONFLICT (k) DO UPDATE SET k = excluded.k, v = 'b';
INSERT INTO small VALUES (100, 'a') ON CONFLICT (k) DO UPDATE SET k = 100, v = 'b' WHERE small.v = 'a' RETURNING *;
-- may be refused
INSERT INTO small VALUES (100, 'a') ON CONFLICT (k) DO UPDATE SET v = (SELECT max(v) FROM small);
INSERT INTO small VALUES (100, 'a') ON CONFLICT (k) DO UPDATE SET v = (SELECT max(v) FROM small s WHERE s.k = 100) RETURNING *;
-- may be refused
INSERT INTO small SELECT 101, 'b';
-- may be refused
INSERT INTO small (SELECT 102, 'c');
-- may be refused
INSERT INTO small TABLE small;
-- may be refused
INSERT INTO small VALUES (110, 'b'), (111, 'c'), (112, 'd'), (113, 'e') RETURNING k;
INSERT INTO small (v, k) VALUES ('swapped', 120);
INSERT INTO small AS s (v, k) VALUES ('aliased', 121) ON CONFLICT (k) DO UPDATE SET v = s.v || excluded.v RETURNING s.k, s.v;
-- error 23502
INSERT INTO small (v) VALUES ('no key');
-- may be refused
INSERT INTO small VALUES (1 + 121, 'computed');
INSERT INTO small VALUES ('123'::int2, 'cast');
-- may be refused
INSERT INTO small VALUES (CAST(124.4 AS int), 'cast');
-- may be refused
INSERT INTO small VALUES (125.5, 'rounded');
-- error 22P02
-- may be refused
INSERT INTO small VALUES ('126.5', 'not a number');
-- may be refused
INSERT INTO small VALUES (1e2, 'exponent');
INSERT INTO small VALUES (-0.0, 'minus zero');
INSERT INTO small VALUES (- 9, 'spaced minus');
-- error 22003
INSERT INTO small VALUES (40000, 'too large');
-- params: 130 | int2
INSERT INTO small VALUES ($1, $2);
-- binary
-- params: 131 | int2 binary
INSERT INTO small VALUES ($1, $2);
-- binary
-- params: 132 | int8 binary
INSERT INTO small VALUES ($1::int8, $2);
-- binary
-- params: 133 | int4 binary
INSERT INTO small VALUES ($1::int4, $2);
-- params: null | null key
-- error 23502
INSERT INTO small VALUES ($1, $2);
-- binary
-- params: 134.4 | float
-- may be refused
INSERT INTO small VALUES ($1::float8, $2);
-- params: 135 | text
-- may be refused
INSERT INTO small VALUES ($1::text::int2, $2);
SELECT * FROM small ORDER BY k;
SELECT * FROM small WHERE k = 125;
SELECT * FROM small WHERE k = 126;
SELECT * FROM small WHERE k = 100;
SELECT * FROM small WHERE k = 0;
SELECT * FROM small WHERE k = 130;
SELECT * FROM small WHERE k = 131;
SELECT * FROM small WHERE k = 132;
INSERT INTO devices VALUES ('d0eebc99-9c0b4ef8-bb6d6bb9-bd380a11', 'odd hyphens');
-- error 22P02
-- may be refused
INSERT INTO devices VALUES (' d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'blank');
-- may be refused
INSERT INTO devices VALUES (gen_random_uuid(), 'random');
SELECT * FROM devices WHERE device = 'd0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
-- may be refused
INSERT INTO bookings VALUES ('today', 10, 'x');
-- may be refused
INSERT INTO bookings VALUES (now(), 10, 'x');
-- may be refused
INSERT INTO bookings VALUES ('2024-1-1', 10, 'x');
-- may be refused
INSERT INTO bookings VALUES ('2024-06-01 23:59:59', 11, 'x');
-- may be refused
INSERT INTO bookings VALUES ('2024-06-01'::date + 1, 12, 'x');
-- may be refused
INSERT INTO bookings VALUES (timestamp '2023-12-31 23:59:59', 13, 'x');
-- params: 2024-07-01 | 14
INSERT INTO bookings VALUES ($1, $2, 'param');
SELECT * FROM bookings ORDER BY day, id;
UPDATE bookings SET day = '2024-03-01' WHERE day = '2024-02-29';
-- may be refused
UPDATE bookings SET day = '2025-03-01' WHERE day = '2024-03-01';
-- may be refused
UPDATE bookings SET day = day + 1 WHERE day = '2024-03-01';
DELETE FROM bookings WHERE day < '2000-01-01';
SELECT * FROM bookings ORDER BY day, id;
-- partitions and children
INSERT INTO events VALUES ('2024-07-01', 'ap-south', 10, 'x') RETURNING tableoid::regclass;
INSERT INTO events_2024_us VALUES ('2024-07-01', 'us-west', 11, 'x');
-- error 23514
INSERT INTO events_2024_us VALUES ('2024-07-01', 'ap-south', 12, 'x');
UPDATE events SET day = '2023-07-01' WHERE region = 'ap-south' AND id = 10;
-- may be refused
UPDATE events_2024_us SET region = 'us-east' WHERE region = 'us-west' AND id = 11;
-- may be refused
UPDATE events SET region = 'us-east' WHERE region = 'us-west' AND id = 11;
DELETE FROM events_2024 WHERE region = 'us-west' AND id = 11 RETURNING *;
DELETE FROM ONLY events WHERE region = 'us-west';
TRUNCATE events_2024_rest;
SELECT * FROM events ORDER BY id;
INSERT INTO tips VALUES (5, 'us-east', 5, DEFAULT);
-- error 428C9
INSERT INTO tips VALUES (6, 'us-east', 5, 10);
INSERT INTO tips (id, region, amount, doubled) VALUES (6, 'us-east', 5, DEFAULT) RETURNING doubled, note;
UPDATE tips SET amount = amount + 1 WHERE region = 'eu-central' RETURNING id, doubled;
UPDATE ONLY tips SET amount = amount + 1 WHERE region = 'eu-central' RETURNING id, doubled;
-- may be refused
UPDATE tips_extra SET region = 'us-east' WHERE region = 'eu-central';
DELETE FROM tips WHERE region = 'us-west' RETURNING *;
ALTER TABLE tips ADD CHECK (amount < 1000);
-- error 23514
INSERT INTO tips VALUES (7, 'us-east', 5000);
TRUNCATE ONLY tips;
SELECT * FROM tips ORDER BY id;
-- reference tables
INSERT INTO grades VALUES ('c', 'third', 3), ('d', 'fourth', 4) RETURNING code;
INSERT INTO grades SELECT 'e', 'fifth', 5;
-- may be refused
INSERT INTO grades SELECT code || 'x', title FROM grades;
-- may be refused
INSERT INTO grades VALUES ('f', now()::text);
-- may be refused
INSERT INTO grades VALUES ('f', current_user);
-- may be refused
INSERT INTO grades VALUES ('f', gen_random_uuid()::text);
-- may be refused
INSERT INTO grades VALUES ('f', 'now'::timestamp::text);
-- may be refused
INSERT INTO grades VALUES ('f', timestamp 'now'::text);
-- may be refused
INSERT INTO grades VALUES ('f', date 'today'::text);
-- may be refused
INSERT INTO grades VALUES ('f', 'now', 1);
-- may be refused
INSERT INTO grades VALUES ('g', pg_backend_pid()::text, 1);
-- may be refused
INSERT INTO grades VALUES ('g', 'x', (SELECT count(*) FROM pg_class));
-- may be refused
INSERT INTO grades VALUES ('g', 'x', (SELECT count(*) FROM small));
-- may be refused
INSERT INTO grades VALUES ('g', 'x', (SELECT max(n) FROM grades));
UPDATE grades SET n = n + 1 WHERE code = 'a' RETURNING *;
-- may be refused
UPDATE grades SET n = n + 1 WHERE ctid = '(0,1)';
-- may be refused
UPDATE grades SET title = title || n WHERE n > (SELECT avg(n) FROM grades);
-- may be refused
UPDATE grades g SET n = h.n FROM grades h WHERE h.code < g.code;
-- may be refused
UPDATE grades SET n = random() * 100;
-- may be refused
DELETE FROM grades WHERE random() < 0.5;
-- may be refused
DELETE FROM grades USING small WHERE small.v = grades.title;
INSERT INTO grades VALUES ('a', 'again') ON CONFLICT (code) DO UPDATE SET title = excluded.title || grades.n RETURNING *;
INSERT INTO grades VALUES ('a', 'again'), ('zz', 'new') ON CONFLICT DO NOTHING RETURNING *;
-- error 23505
INSERT INTO grades VALUES ('a', 'again');
-- may be refused
WITH new AS (INSERT INTO grades VALUES ('w', 'with') RETURNING *) SELECT * FROM new;
WITH w AS (SELECT 1 AS n) UPDATE grades SET n = w.n FROM w WHERE code = 'b';
-- may be refused
WITH w AS (SELECT count(*) AS n FROM small) UPDATE grades SET n = w.n FROM w WHERE code = 'b';
-- may be refused
MERGE INTO grades USING (VALUES ('a')) w (c) ON w.c = grades.code WHEN MATCHED THEN UPDATE SET n = 77;
-- may be refused
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) UPDATE grades SET n = n + 1 WHERE code = 'b';
-- may be refused
PREPARE p AS UPDATE grades SET n = n + 1 WHERE code = 'b';
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM grades WHERE code = 'b' FOR UPDATE;
FETCH 1 FROM c;
-- may be refused
UPDATE grades SET n = 99 WHERE CURRENT OF c;
ROLLBACK;
-- may be refused
ALTER TABLE grades ADD COLUMN at timestamptz DEFAULT now();
-- may be refused
ALTER TABLE grades ADD COLUMN u uuid DEFAULT gen_random_uuid();
-- may be refused
ALTER TABLE grades ADD COLUMN s serial;
-- may be refused
ALTER TABLE grades ALTER COLUMN title TYPE text USING title || clock_timestamp();
ALTER TABLE grades DROP COLUMN IF EXISTS at, DROP COLUMN IF EXISTS u, DROP COLUMN IF EXISTS s;
TRUNCATE grades;
SELECT * FROM grades ORDER BY code;
-- tables of another shard
INSERT INTO stock VALUES ('screw', 9);
UPDATE stock SET n = n + 1 WHERE item = 'nut' RETURNING *;
INSERT INTO stock SELECT item || '2', n FROM stock;
-- may be refused
INSERT INTO stock SELECT what, id FROM journal;
-- may be refused
INSERT INTO journal SELECT n, item FROM stock;
-- may be refused
WITH gone AS (DELETE FROM stock WHERE item = 'screw2' RETURNING *) INSERT INTO journal SELECT n, item FROM gone;
WITH gone AS (DELETE FROM stock WHERE item = 'screw2' RETURNING *) INSERT INTO stock SELECT 'again', n FROM gone;
-- may be refused
UPDATE journal SET what = s.item FROM stock s WHERE s.n = journal.id;
-- may be refused
DELETE FROM journal USING stock s WHERE s.n = journal.id;
-- may be refused
SELECT j.*, s.* FROM journal j LEFT JOIN stock s ON s.n = j.id;
-- may be refused
SELECT (SELECT sum(n) FROM stock), (SELECT count(*) FROM journal);
-- may be refused
SELECT * FROM stock UNION ALL SELECT what, id FROM journal;
SELECT * FROM stock ORDER BY item;
SELECT s.item, t.id FROM stock s, tips t WHERE t.region = 'eu-central';
SELECT s.item, t.id FROM stock s, tips t WHERE t.region = 'us-east';
COPY stock TO STDOUT;
TRUNCATE stock;
SELECT count(*) FROM stock;
-- temporary tables that shadow
-- may be refused
CREATE TEMP TABLE small (k int, v text);
INSERT INTO small VALUES (1000, 'temporary');
SELECT * FROM small ORDER BY k;
DROP TABLE IF EXISTS pg_temp.small;
-- may be refused
CREATE TEMP TABLE grades (code text);
SELECT count(*) FROM grades;
CREATE TEMP TABLE journal (id int, what text);
INSERT INTO journal VALUES (1, 'temporary');
SELECT * FROM journal;
DROP TABLE IF EXISTS pg_temp.journal;
CREATE TEMP TABLE other_name (k int);
-- may be refused
ALTER TABLE other_name RENAME TO small;
SELECT count(*) FROM small;
DISCARD TEMP;
CREATE SCHEMA shadow;
CREATE TABLE shadow.small (k int, v text);
INSERT INTO shadow.small VALUES (9, 'shadow');
SET search_path = shadow, public;
SELECT * FROM small;
INSERT INTO small VALUES (10, 'shadow too');
SELECT * FROM public.small WHERE k = 2;
SET LOCAL search_path = public; 
SELECT * FROM small ORDER BY k;
BEGIN;
SET LOCAL search_path = public;
SELECT * FROM small WHERE k = 2;
COMMIT;
SELECT * FROM small;
-- simple
SET search_path = public; SELECT * FROM small WHERE k = 2; SET search_path = shadow; SELECT * FROM small;
SELECT * FROM small;
SELECT set_config('search_path', 'public', false);
SELECT * FROM small WHERE k = 2;
RESET search_path;
-- may be refused
ALTER TABLE small SET SCHEMA shadow2;
-- may be refused
ALTER TABLE shadow.small RENAME TO small2;
DROP TABLE shadow.small;
DROP SCHEMA shadow;
-- COPY into and out of
COPY small TO STDOUT;
COPY small (v, k) TO STDOUT (FORMAT csv, HEADER);
COPY (SELECT * FROM small WHERE k = 2) TO STDOUT (FORMAT csv);
COPY (SELECT * FROM small) TO STDOUT;
-- error 42809
COPY events TO STDOUT;
COPY tips TO STDOUT;
COPY tips_extra TO STDOUT;
COPY grades TO STDOUT (FORMAT csv, FORCE_QUOTE *);
COPY small TO STDOUT (FORMAT csv, DELIMITER ';', NULL 'nil', QUOTE '''');
-- may be refused
COPY small TO STDOUT (FORMAT binary);
-- EXPLAIN
SELECT * FROM small WHERE k = 2;
-- may be refused
EXPLAIN (ANALYZE, FORMAT json) DELETE FROM small;
-- may be refused
EXPLAIN (ANALYZE) INSERT INTO small VALUES (200, 'x'), (201, 'y'), (202, 'z'), (203, 'w');
SELECT count(*) FROM small;
-- may be refused
EXPLAIN ANALYZE CREATE TABLE explained AS SELECT * FROM small;
-- several statements
-- simple
-- may be refused
INSERT INTO small VALUES (300, 'a'); INSERT INTO small VALUES (301, 'b'); INSERT INTO small VALUES (302, 'c');
SELECT count(*) FROM small WHERE k >= 300;
-- simple
-- may be refused
INSERT INTO small VALUES (310, 'a'); INSERT INTO small VALUES (300, 'b'); INSERT INTO small VALUES (312, 'c');
SELECT count(*) FROM small WHERE k >= 300;
-- simple
-- error 22012
UPDATE small SET v = 'x' WHERE k = 1; SELECT count(*) FROM small WHERE v = 'x'; UPDATE grades SET n = 5; SELECT 1/0;
SELECT count(*) FROM small WHERE v = 'x';
SELECT count(*) FROM grades WHERE n = 5;
-- hints
/* meridian: shard=us-east */ SELECT count(*) FROM grades;
-- may be refused
/* meridian: shard=us-east */ INSERT INTO small VALUES (400, 'hint');
-- may be refused
/* meridian: shard=us-west */ INSERT INTO small VALUES (400, 'hint');
-- may be refused
/* meridian: shard=us-west */ SELECT count(*) FROM journal;
SELECT '/* meridian: shard=us-east */' FROM small WHERE k = 2;
SELECT $a$/* meridian: shard=us-east */$a$ FROM small;
SELECT count(*) /* /* meridian: shard=us-east */ */ FROM small;
-- /* meridian: shard=us-east */
SELECT "k" AS "/* meridian: shard=us-east */" FROM small ORDER BY 1;
-- locks
BEGIN;
-- may be refused
SELECT k FROM small FOR UPDATE SKIP LOCKED LIMIT 1;
ROLLBACK;
BEGIN;
SELECT k FROM small WHERE k = 1 FOR UPDATE SKIP LOCKED LIMIT 1;
SELECT g.code, s.k FROM small s JOIN grades g ON true WHERE s.k = 1 FOR UPDATE OF s;
SELECT g.code, s.k FROM small s JOIN grades g ON true WHERE s.k = 1 FOR UPDATE;
ROLLBACK;
-- may be refused
DELETE FROM small WHERE k = (SELECT min(k) FROM small FOR UPDATE);
-- may be refused
DELETE FROM small WHERE k IN (SELECT k FROM small ORDER BY k LIMIT 1);
-- may be refused
DELETE FROM small WHERE k = 1 AND v IN (SELECT v FROM small);
-- may be refused
UPDATE small SET v = (SELECT max(v) FROM small) WHERE k = 1;
UPDATE small SET v = (SELECT max(title) FROM grades) WHERE k = 1;
-- may be refused
UPDATE small SET v = (SELECT max(what) FROM journal) WHERE k = 1;
UPDATE small SET v = x.v FROM small x WHERE small.k = 1 AND x.k = 1;
UPDATE small SET v = x.v FROM small x WHERE small.k = 1 AND x.k = 2;
-- may be refused
UPDATE small SET v = x.v FROM small x WHERE small.k = x.k;
DELETE FROM small USING small x WHERE small.k = x.k AND x.k = 1;
-- may be refused
MERGE INTO small USING (VALUES (1)) w (k) ON w.k = small.k WHEN MATCHED THEN DELETE;
-- may be refused
MERGE INTO journal USING small ON small.k = journal.id WHEN MATCHED THEN DELETE;
-- may be refused
WITH w AS (UPDATE small SET v = 'w' WHERE k = 2 RETURNING *) SELECT * FROM w;
-- may be refused
WITH w AS (SELECT 1) INSERT INTO small SELECT 500, 'w' FROM w;
-- may be refused
WITH w AS (SELECT 500 AS k) INSERT INTO small VALUES ((SELECT k FROM w), 'w');
WITH w AS (SELECT 'w' AS v) INSERT INTO small VALUES (501, (SELECT v FROM w)) RETURNING *;
SELECT * FROM small ORDER BY k;
