-- UNION ALL of SELECTs that are each answered over the shards by themselves; and of those that are not.

-- aggregates
SELECT 'rides', count(*) FROM rides UNION ALL SELECT 'users', count(*) FROM users UNION ALL SELECT 'drivers', count(*) FROM drivers;
SELECT status, count(*), avg(price) FROM rides GROUP BY status UNION ALL SELECT 'all', count(*), avg(price) FROM rides;
SELECT 'most', max(price) AS price, min(ride_id::text) FROM rides WHERE status = 'completed' UNION ALL SELECT 'least', min(price), max(ride_id::text) FROM rides;
(SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM users) UNION ALL (SELECT count(*) FROM drivers UNION ALL SELECT 7 + count(*) FROM kinds);
SELECT 1, sum(n) FROM kinds UNION ALL SELECT 2, sum(n2) FROM kinds;
SELECT count(*) FROM rides WHERE price > 1000000 UNION ALL SELECT sum(duration_minutes) FROM rides WHERE price > 1000000;
SELECT stddev(price), NULL::text FROM rides UNION ALL SELECT variance(rating), min(name COLLATE "C") FROM drivers;

-- the first rows of each
(SELECT ride_id, price FROM rides ORDER BY price DESC NULLS LAST, ride_id LIMIT 3) UNION ALL (SELECT driver_id, rating FROM drivers ORDER BY rating, driver_id LIMIT 2 OFFSET 1);
(SELECT name FROM users ORDER BY name, user_id LIMIT 5) UNION ALL SELECT name FROM drivers WHERE rating < 2;
(SELECT 'top', name FROM users ORDER BY rating DESC, user_id FETCH FIRST 2 ROWS WITH TIES) UNION ALL SELECT 'n', count(*)::text FROM users;
(SELECT DISTINCT status FROM rides ORDER BY status DESC LIMIT 2) UNION ALL (SELECT DISTINCT region FROM drivers) UNION ALL SELECT 'end' || count(*) FROM maybe;
SELECT ride_id, row_number() OVER (ORDER BY price, ride_id) FROM rides UNION ALL SELECT user_id, count(*) FROM rides GROUP BY user_id;

-- parts of one shard, and of another kind
SELECT count(*) FROM rides WHERE region = 'us-east' UNION ALL SELECT count(*) FROM rides WHERE region = 'eu-central';
(SELECT region FROM users UNION SELECT region FROM drivers) UNION ALL SELECT status FROM rides GROUP BY status;
SELECT (SELECT count(*) FROM users), count(*) FROM rides UNION ALL SELECT 0, count(*) FROM drivers;
SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM regions;
SELECT count(*) FROM rides UNION ALL SELECT 5;
SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM notes;
SELECT name FROM users WHERE rating < 2 UNION ALL SELECT name FROM regions;

-- something is done to the rows of all
SELECT 'rides' AS t, count(*) AS n FROM rides UNION ALL SELECT 'users', count(*) FROM users ORDER BY n DESC, t;
SELECT 'rides' AS t, count(*) AS n FROM rides UNION ALL SELECT 'users', count(*) FROM users ORDER BY 1 DESC LIMIT 1;
SELECT sum(n) FROM (SELECT count(*) AS n FROM rides UNION ALL SELECT count(*) FROM users) x;
WITH r AS (SELECT * FROM rides WHERE price > 20) SELECT count(*) FROM r UNION ALL SELECT count(*) FROM users;
SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM users EXCEPT ALL SELECT count(*) FROM users;

-- columns of other types than the union's
SELECT count(*) FROM rides UNION ALL SELECT avg(price) FROM rides;
SELECT min(i2) FROM kinds UNION ALL SELECT max(i8) FROM kinds;
SELECT NULL, count(*) FROM rides UNION ALL SELECT max(price), count(*) FROM rides;
SELECT max(vc) FROM kinds UNION ALL SELECT max(ch) FROM kinds;
SELECT id, vc FROM kinds UNION ALL SELECT count(*)::int, 'much longer than twenty characters' FROM kinds;
SELECT 'a', min(d) FROM kinds UNION ALL SELECT 'b', min(ts) FROM kinds;

-- parameters
-- params: completed | 30 | cancelled
SELECT $1::text, count(*) FROM rides WHERE status = $1 AND price < $2 UNION ALL SELECT $3, count(*) FROM rides WHERE status = $3;
-- params: 3 | 2 | 1
(SELECT ride_id FROM rides ORDER BY ride_id LIMIT $1) UNION ALL (SELECT user_id FROM users ORDER BY user_id DESC LIMIT $2 OFFSET $3);
-- params: 5
SELECT $1, count(*) FROM rides UNION ALL SELECT count(*), 0 FROM users;
-- params: null
(SELECT ride_id FROM rides ORDER BY ride_id LIMIT $1) UNION ALL SELECT max(user_id::text)::uuid FROM users;

-- errors
-- error 42601
SELECT count(*), 1 FROM rides UNION ALL SELECT count(*) FROM users;
-- error 42804
SELECT count(*) FROM rides UNION ALL SELECT max(name) FROM users;
-- error 42703
SELECT count(*) FROM rides UNION ALL SELECT count(nothing) FROM users;
-- error 22012
SELECT count(*) FROM rides UNION ALL SELECT sum(1 / (rating - rating)) FROM users;
-- error 22012
SELECT ride_id::text FROM rides UNION ALL SELECT sum(1 / (rating - rating))::text FROM users;
-- error 2201W
(SELECT ride_id FROM rides LIMIT -1) UNION ALL SELECT max(user_id::text)::uuid FROM users;

-- inside of a transaction
BEGIN;
INSERT INTO kinds (id, region, t) VALUES (901, 'us-west', 'new');
SELECT 'k', count(*) FROM kinds UNION ALL SELECT t, count(*) FROM kinds WHERE id > 900 GROUP BY t;
-- simple
-- error 22012
SELECT count(*) FROM kinds UNION ALL SELECT sum(1 / (id - id)) FROM kinds;
ROLLBACK;
SELECT 'k', count(*) FROM kinds UNION ALL SELECT t, count(*) FROM kinds WHERE id > 900 GROUP BY t;
