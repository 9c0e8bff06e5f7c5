-- Writes: to the shard where the row lives, or refused; and the next read sees them.

BEGIN;
INSERT INTO rides (ride_id, user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash, price) VALUES ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b', 19.1, 72.9, 19.2, 72.8, 'ap-south', 'te7', 12.34);
SELECT region, price, status FROM rides WHERE region = 'ap-south' AND ride_id = '00000000-0000-4000-8000-00000000000a';
COMMIT;
SELECT region, price, status FROM rides WHERE ride_id = '00000000-0000-4000-8000-00000000000a';
SELECT count(*) FROM rides;
-- refused with 23514
INSERT INTO rides (ride_id, user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash, price) VALUES ('00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-00000000000b', 19.1, 72.9, 19.2, 72.8, 'us-east', 'te7', 12.34);
-- refused with 23514
INSERT INTO rides (ride_id, user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash, price) VALUES ('00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-00000000000b', 19.1, 72.9, 19.2, 72.8, 'ap-south', 'dr5', 12.34);
-- refused with 23514
INSERT INTO users (name, email, latitude, longitude, region) VALUES ('x', 'x@x', 40, -74, 'atlantis');
-- a whole null key is against the table, too
-- refused with 23502
INSERT INTO users (name, email, latitude, longitude, region) VALUES ('x', 'x@x', 40, -74, NULL);
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ('00000000-0000-4000-8000-0000000000aa', 'New', 'new@x', 40, -74, 'us-east') RETURNING user_id, name, rating, region;
-- params: 00000000-0000-4000-8000-0000000000ab | Param | us-west
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ($1, $2, 'p@x', 40, -120, $3) RETURNING user_id, name, rating, region;
-- binary
-- params: 00000000-0000-4000-8000-0000000000ac | Binary | eu-central
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ($1, $2, 'p@x', 50, 8, $3) RETURNING user_id, name, rating, region;
SELECT name, region FROM users WHERE email IN ('new@x', 'p@x') ORDER BY name;
-- error 23505
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ('00000000-0000-4000-8000-0000000000aa', 'Again', 'new@x', 40, -74, 'us-east');
-- error 23502
INSERT INTO users (user_id, email, latitude, longitude, region) VALUES ('00000000-0000-4000-8000-0000000000ad', 'new@x', 40, -74, 'us-east');
-- error 22P02
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ('no uuid', 'x', 'new@x', 40, -74, 'us-east');
-- error 42703
INSERT INTO users (nosuch, region) VALUES (1, 'us-east');
-- may be refused
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ('00000000-0000-4000-8000-0000000000aa', 'Again', 'new@x', 40, -74, 'us-east') ON CONFLICT (user_id) DO NOTHING;
-- may be refused
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ('00000000-0000-4000-8000-0000000000aa', 'Again', 'new@x', 40, -74, 'us-east') ON CONFLICT (user_id) DO UPDATE SET name = excluded.name || '!', total_rides = users.total_rides + 1 RETURNING name, total_rides;
-- may be refused
INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ('00000000-0000-4000-8000-0000000000aa', 'Again', 'new@x', 40, -74, 'us-east') ON CONFLICT (user_id) DO UPDATE SET region = 'us-west';
INSERT INTO tenants VALUES ('acme', 1, 11) ON CONFLICT (tenant, id) DO NOTHING;
INSERT INTO tenants VALUES ('acme', 1, 11) ON CONFLICT (tenant, id) DO UPDATE SET v = excluded.v + tenants.v RETURNING *;
UPDATE tenants SET v = 10 WHERE tenant = 'acme' AND id = 1;
UPDATE users SET rating = 4.5 WHERE region = 'us-east' AND email = 'new@x' RETURNING name, rating;
UPDATE users SET name = 'Nobody' WHERE region = 'us-east' AND email = 'not there';
UPDATE users SET name = 'Nobody' WHERE region = 'atlantis';
DELETE FROM users WHERE region = 'us-west' AND email = 'p@x' RETURNING user_id;
DELETE FROM users WHERE region = 'eu-central' AND user_id = '00000000-0000-4000-8000-0000000000ac';
DELETE FROM users WHERE region = 'us-east' AND email = 'new@x';
DELETE FROM rides WHERE region = 'ap-south' AND ride_id = '00000000-0000-4000-8000-00000000000a';
SELECT count(*) FROM users;
SELECT count(*) FROM rides;
-- keys that change
-- may be refused
UPDATE users SET region = 'us-west' WHERE region = 'us-east' AND email = 'nobody';
-- may be refused
UPDATE rides SET pickup_lat = pickup_lat + 0 WHERE region = 'us-east' AND price > 1000;
-- writes of several shards
-- may be refused
UPDATE rides SET price = price + 0.01 WHERE price > 30;
-- may be refused
DELETE FROM rides WHERE price > 1000;
-- may be refused
UPDATE users SET total_rides = total_rides + 1 WHERE region IN ('us-east', 'us-west') AND rating < 2.6;
-- may be refused
INSERT INTO tenants VALUES ('acme', 5, 1), ('anyone', 5, 2), ('Straße', 5, 3) RETURNING *;
-- may be refused
DELETE FROM tenants WHERE id = 5;
INSERT INTO tenants VALUES ('acme', 6, 1), ('007', 6, 2) RETURNING *;
DELETE FROM tenants WHERE tenant IN ('acme', '007') AND id = 6;
INSERT INTO accounts VALUES (5001, 'one', 1);
-- params: 5002 | two
INSERT INTO accounts (id, owner) VALUES ($1, $2);
-- binary
-- params: 5003 | three
INSERT INTO accounts (id, owner) VALUES ($1, $2);
SELECT * FROM accounts WHERE id > 5000 AND id < 6000 ORDER BY id;
SELECT * FROM accounts WHERE id = 5003;
-- params: 5002
SELECT * FROM accounts WHERE id = $1;
UPDATE accounts SET balance = balance + 1 WHERE id = 5001 RETURNING balance;
-- may be refused
UPDATE accounts SET id = id + 0 WHERE id = 5001;
DELETE FROM accounts WHERE id = 5001 RETURNING *;
DELETE FROM accounts WHERE id = 5002;
DELETE FROM accounts WHERE id = 5003;
SELECT count(*), sum(balance) FROM accounts;
INSERT INTO "Mixed" ("Id", "Region", "Select") VALUES (3, 'us-west', 'c');
DELETE FROM "Mixed" WHERE "Region" = 'us-west';
INSERT INTO maybe (id, v) VALUES (9, 'default key is null');
INSERT INTO maybe DEFAULT VALUES;
DELETE FROM maybe WHERE region IS NULL AND (id IS NULL OR id = 9);
-- W3: writes that feed reads
WITH gone AS (DELETE FROM notes WHERE id = 40 RETURNING *) SELECT count(*) FROM gone;
-- may be refused
WITH gone AS (DELETE FROM rides WHERE region = 'us-east' AND price > 1000 RETURNING *) SELECT count(*) FROM rides, gone;
-- may be refused
UPDATE rides r SET price = r.price FROM users u WHERE u.user_id = r.user_id AND r.price > 1000;
UPDATE rides r SET price = r.price FROM users u WHERE u.user_id = r.user_id AND r.region = u.region AND r.region = 'us-west' AND r.price > 20;
-- may be refused
DELETE FROM rides r USING users u WHERE u.user_id = r.user_id AND r.price > 1000;
UPDATE rides r SET price = price + f.base - f.base FROM fares f WHERE f.region = r.region AND r.region = 'us-west' AND price > 20;
MERGE INTO notes n USING fares f ON f.region = n.region AND n.id = 1 WHEN MATCHED THEN UPDATE SET body = 'merged';
-- W4: INSERT … SELECT and friends
-- may be refused
INSERT INTO notes SELECT 1000, region, status FROM rides WHERE region = 'us-west' ORDER BY ride_id LIMIT 1;
-- may be refused
INSERT INTO rides SELECT * FROM rides WHERE price > 1000;
INSERT INTO notes SELECT id + 500, region, body FROM notes WHERE id < 3;
DELETE FROM notes WHERE id >= 500;
-- may be refused
CREATE TABLE copied AS SELECT * FROM rides;
DROP TABLE IF EXISTS copied;
-- may be refused
SELECT * INTO copied FROM rides WHERE price > 1000;
DROP TABLE IF EXISTS copied;
CREATE TABLE copied AS SELECT * FROM notes WHERE id < 5;
DROP TABLE IF EXISTS copied;
CREATE TABLE copied (id int PRIMARY KEY, region varchar(50), body text);
INSERT INTO copied SELECT * FROM notes WHERE id < 5;
SELECT count(*) FROM copied;
DROP TABLE copied;
-- single and reference tables
INSERT INTO notes VALUES (100, 'us-west', 'hundred') RETURNING *;
UPDATE notes SET body = upper(body) WHERE id = 100 RETURNING body;
DELETE FROM notes WHERE id = 100;
UPDATE fares SET base = base + 1 WHERE region = 'nowhere' RETURNING region, base;
SELECT base FROM fares WHERE region = 'nowhere';
INSERT INTO fares VALUES ('moon', 100, 1);
DELETE FROM fares WHERE region = 'moon' RETURNING *;
-- error 23505
INSERT INTO fares VALUES ('us-east', 1, 1);
-- may be refused
INSERT INTO fares VALUES ('random', random(), 1);
-- may be refused
UPDATE fares SET base = (SELECT avg(price) FROM rides) WHERE region = 'nowhere';
DELETE FROM fares WHERE region = 'random';
-- may be refused
INSERT INTO fares VALUES ('clock', extract(second FROM timestamp 'now'), 1);
-- may be refused
-- params: now
UPDATE fares SET per_km = extract(second FROM $1::text::timestamp) WHERE region = 'nowhere';
-- may be refused
/* meridian: shard=us-west */ UPDATE fares SET base = base WHERE region = 'nowhere';
-- transactions of one shard, and of two
BEGIN;
INSERT INTO tenants VALUES ('acme', 7, 1);
UPDATE tenants SET v = 2 WHERE tenant = 'acme' AND id = 7;
SELECT v FROM tenants WHERE tenant = 'acme' AND id = 7;
ROLLBACK;
SELECT count(*) FROM tenants;
BEGIN;
INSERT INTO tenants VALUES ('acme', 8, 1);
-- may be refused
INSERT INTO tenants VALUES ('anyone', 8, 1);
ROLLBACK;
SELECT count(*) FROM tenants WHERE id = 8;
BEGIN;
SELECT count(*) FROM rides;
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM rides;
SELECT status, count(*) FROM rides GROUP BY status;
-- error 25006
INSERT INTO notes VALUES (101, 'x', 'y');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM rides WHERE region = 'us-west';
COMMIT;
BEGIN;
SAVEPOINT s;
INSERT INTO tenants VALUES ('Straße', 9, 1);
ROLLBACK TO s;
INSERT INTO tenants VALUES ('Straße', 10, 1);
RELEASE s;
COMMIT;
SELECT * FROM tenants WHERE tenant = 'Straße' ORDER BY id;
DELETE FROM tenants WHERE tenant = 'Straße' AND id = 10;
-- M19: locks
BEGIN;
SELECT ride_id FROM rides WHERE region = 'us-west' ORDER BY ride_id LIMIT 1 FOR UPDATE SKIP LOCKED;
COMMIT;
-- may be refused
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 1 FOR UPDATE SKIP LOCKED;
-- may be refused
SELECT count(*) FROM (SELECT 1 FROM rides FOR UPDATE) s;
-- W6: TRUNCATE, and constraints of one shard
TRUNCATE maybe;
SELECT count(*) FROM maybe;
-- DDL that every shard has, seen at once
CREATE TABLE later (id int PRIMARY KEY, v text);
INSERT INTO later VALUES (1, 'x');
ALTER TABLE later ADD COLUMN w int DEFAULT 7;
SELECT * FROM later;
DROP TABLE later;
-- error 42P01
SELECT * FROM later;
ALTER TABLE rides ADD COLUMN tip numeric(6,2) DEFAULT 0;
SELECT count(*), sum(tip) FROM rides;
SELECT tip FROM rides WHERE region = 'us-west' AND price > 20;
ALTER TABLE rides DROP COLUMN tip;
SELECT * FROM rides WHERE region = 'us-west' AND price > 20;
CREATE INDEX kinds_t ON kinds (t);
DROP INDEX kinds_t;
-- simple
BEGIN; CREATE TABLE halfway (i int); ROLLBACK;
-- error 42P01
SELECT * FROM halfway;
-- settings of the session
SET meridian.consistency = 'strong';
SELECT count(*) FROM rides;
SET meridian.consistency = 'eventual';
SELECT count(*) FROM regions;
SET meridian.consistency = 'session';
/* meridian: shard=us-west */ SELECT count(*) FROM rides WHERE region = 'us-west';
/* meridian: role=primary */ SELECT count(*) FROM rides;
-- refused with 22023
SET meridian.consistency = 'perhaps';
