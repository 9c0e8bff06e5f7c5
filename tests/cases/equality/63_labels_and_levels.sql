-- Words that are labels in one place and operators in another; BETWEEN SYMMETRIC; aggregates of the level outside; names
-- longer than names can be.

-- labels that are words of the grammar
-- may be refused
SELECT count(*) end FROM rides;
-- may be refused
SELECT min(price) start, max(price) end FROM rides;
-- may be refused
SELECT 1 end UNION SELECT duration_minutes FROM rides ORDER BY 1 LIMIT 10;
-- may be refused
SELECT 1 end WHERE EXISTS (SELECT 1 FROM rides WHERE price > 50);
-- may be refused
SELECT count(*) and FROM rides;
-- may be refused
SELECT count(*) or FROM rides;
-- may be refused
SELECT count(*) like FROM rides;
-- may be refused
SELECT count(*) ilike FROM rides;
-- may be refused
SELECT region collate FROM rides ORDER BY 1 LIMIT 5;
-- may be refused
SELECT (SELECT count(*) or FROM rides), 1;
-- may be refused
SELECT count(*) FROM rides WHERE ride_id IN (SELECT ride_id like FROM rides);
-- may be refused
SELECT ride_id and, price or FROM rides ORDER BY 1, 2 LIMIT 5;
SELECT count(*) AS end FROM rides;
SELECT count(*) AS "and", count(*) AS or FROM rides;

-- bounds in either order, with signs and parentheses
SELECT count(*) FROM rides WHERE pickup_lon BETWEEN SYMMETRIC -65 AND -130;
SELECT count(*) FROM rides WHERE pickup_lon BETWEEN SYMMETRIC -(65) AND -130;
SELECT count(*) FROM rides WHERE pickup_lon BETWEEN SYMMETRIC (-65) AND (-130);
SELECT count(*) FROM rides WHERE pickup_lon BETWEEN SYMMETRIC +180 AND -180 AND pickup_lat BETWEEN ASYMMETRIC -90 AND 90;
SELECT count(*) FROM rides WHERE pickup_lon NOT BETWEEN SYMMETRIC -65 AND -130;
SELECT count(*) FROM rides WHERE pickup_lon BETWEEN ASYMMETRIC -130 AND -65;

-- aggregates in subqueries, of the level that their columns are of
SELECT (SELECT max(rides.price)) FROM rides;
SELECT (SELECT max(price)) FROM rides;
SELECT (SELECT max(rides.price)) FROM rides LIMIT 1;
SELECT coalesce((SELECT sum(rides.price)), 0) FROM rides;
SELECT (SELECT max(rides.price) FROM regions LIMIT 1) FROM rides;
SELECT (SELECT count(*) FROM regions WHERE length(region_code) < max(rides.price)) FROM rides;
SELECT ARRAY(SELECT max(rides.price)) FROM rides;
SELECT 5 = ANY (SELECT max(rides.price)) FROM rides;
SELECT CASE WHEN (SELECT max(rides.price) > 5) THEN 'more' ELSE 'less' END FROM rides;
SELECT (SELECT count(rides)) FROM rides;
SELECT (SELECT count(rides.*)) FROM rides;
SELECT * FROM (SELECT (SELECT max(rides.price)) AS most FROM rides) s;
WITH w AS (SELECT (SELECT max(rides.price)) AS most FROM rides) SELECT most FROM w;
SELECT DISTINCT (SELECT max(rides.price)) FROM rides;
SELECT (SELECT max(r.price)) FROM rides r JOIN users u ON u.region = r.region AND u.user_id = r.user_id;
SELECT region, (SELECT max(rides.price)) FROM rides GROUP BY region ORDER BY 1;
SELECT ride_id, (SELECT max(name) FROM regions) FROM rides ORDER BY 1 LIMIT 3;
SELECT ride_id, (SELECT count(*) FROM regions g WHERE g.region_code = rides.region) FROM rides ORDER BY 1 LIMIT 3;
SELECT ride_id, (SELECT max(m) FROM (SELECT name AS m FROM regions) s) FROM rides ORDER BY 1 LIMIT 3;

-- a table's name that WITH gives to something else has none of the table's columns
WITH regions AS (SELECT 1 AS one) SELECT (SELECT max(name) FROM regions) FROM users;
WITH regions AS MATERIALIZED (SELECT 1 AS one) SELECT (SELECT max(name) FROM regions) FROM users;
WITH regions AS (SELECT 1 AS one) SELECT most FROM (SELECT (SELECT max(name) FROM regions) AS most FROM users) s;
WITH regions AS (SELECT 1 AS one) SELECT (SELECT (SELECT max(name) FROM regions) FROM (SELECT 2) s) FROM users;
SELECT (WITH regions AS (SELECT 1 AS one) SELECT (SELECT max(users.name) FROM regions)) FROM users;
WITH regions AS (SELECT 'b'::text AS name) SELECT user_id, (SELECT max(name) FROM regions) FROM users ORDER BY 1 LIMIT 3;
SELECT (SELECT max(name) FROM (SELECT 1) AS name) FROM users;
SELECT (SELECT max(name) FROM jsonb_array_elements('[1]') name) FROM users;
SELECT (SELECT max(name) FROM json_each('{"a": 1}') name) FROM users;
SELECT (SELECT max(name) FROM json_to_record('{"a": 1}') name(a int)) FROM users;
SELECT user_id, (SELECT max(name) FROM generate_series(1, 3) name) FROM users ORDER BY 1 LIMIT 3;
SELECT (SELECT max((SELECT g.name FROM regions g LIMIT 0) || users.name) FROM regions LIMIT 1) FROM users;

-- names are cut at 63 bytes
WITH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1 AS (SELECT * FROM rides) SELECT count(*) FROM aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2;
WITH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1" AS (SELECT * FROM rides) SELECT count(*) FROM "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2";
WITH RECURSIVE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1 AS (SELECT ride_id FROM rides) SELECT count(*) FROM aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2 AS aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3;
SELECT price AS aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1 FROM rides ORDER BY aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2 NULLS LAST LIMIT 3;

-- a negative number is a position, too
-- error 42P10
SELECT ride_id FROM rides ORDER BY -1;
-- error 42P10
SELECT ride_id FROM rides ORDER BY -1 LIMIT 2;
-- error 42P10
SELECT region, count(*) FROM rides GROUP BY -1;
SELECT ride_id FROM rides ORDER BY - -1 LIMIT 2;
SELECT price FROM rides ORDER BY -price, ride_id LIMIT 2;
SELECT price FROM rides ORDER BY +1, 1 LIMIT 2;
