-- Answers of which each shard makes its own part: joins, subqueries, groups and set operations that are tied by the key;
-- and those that only look so.

-- outer joins
SELECT r.ride_id, d.name FROM rides r LEFT JOIN drivers d ON d.region = r.region AND d.driver_id = r.driver_id AND d.rating > 4.9 WHERE r.price > 60 ORDER BY r.ride_id;
SELECT d.driver_id, count(r.ride_id), max(r.price) FROM drivers d LEFT JOIN rides r ON r.region = d.region AND r.driver_id = d.driver_id GROUP BY d.region, d.driver_id ORDER BY 2 DESC, 1 LIMIT 20;
SELECT k.id, m.id FROM kinds k FULL JOIN maybe m ON m.region = k.region AND m.id = k.id ORDER BY 1, 2;
SELECT k.id, m.id FROM kinds k FULL JOIN maybe m USING (region, id) ORDER BY 1, 2;
SELECT m.id, k.id FROM kinds k RIGHT JOIN maybe m ON k.region = m.region AND k.id > 2 ORDER BY 1, 2;
SELECT m.id, count(k.id) FROM maybe m LEFT JOIN kinds k ON k.region = m.region GROUP BY m.id, m.region ORDER BY 1;
SELECT k.region, count(*), count(m.id) FROM maybe m LEFT JOIN kinds k ON k.region = m.region GROUP BY k.region ORDER BY 1;
SELECT a.id, b.id, c.id FROM maybe a LEFT JOIN maybe b ON b.region = a.region LEFT JOIN kinds c ON c.region = b.region AND c.id < 4 ORDER BY 1, 2, 3;
SELECT a.id, b.id FROM maybe a LEFT JOIN (maybe b JOIN kinds c ON c.region = b.region) ON b.region = a.region AND a.id <> 1 ORDER BY 1, 2;
SELECT a.id, x.id, b.id FROM maybe a CROSS JOIN maybe x LEFT JOIN kinds b ON b.region = a.region AND x.region = a.region ORDER BY 1, 2, 3;
SELECT m.id, k.id FROM maybe m LEFT JOIN kinds k ON k.region IS NOT DISTINCT FROM m.region ORDER BY 1, 2;
SELECT m.id, n.id FROM maybe m JOIN maybe n ON m.region = n.region ORDER BY 1, 2;

-- subqueries
SELECT u.user_id FROM users u WHERE NOT EXISTS (SELECT 1 FROM rides r WHERE r.region = u.region AND r.user_id = u.user_id) ORDER BY 1 LIMIT 30;
SELECT count(*) FROM drivers d WHERE EXISTS (SELECT FROM rides r WHERE r.region = d.region AND r.driver_id = d.driver_id AND r.price > 50);
SELECT id FROM maybe m WHERE NOT EXISTS (SELECT FROM kinds k WHERE k.region = m.region AND k.id > 3) ORDER BY 1;
SELECT id FROM maybe WHERE region IN (SELECT region FROM kinds WHERE id > 3) ORDER BY 1;
SELECT id FROM maybe WHERE region NOT IN (SELECT region FROM kinds WHERE id > 3) ORDER BY 1;
SELECT id FROM kinds WHERE region NOT IN (SELECT region FROM maybe) ORDER BY 1;
SELECT id, region IN (SELECT region FROM maybe) FROM kinds ORDER BY 1;
SELECT id FROM kinds WHERE (region, id) IN (SELECT region, id FROM maybe) ORDER BY 1;
SELECT id FROM kinds WHERE (id, region) NOT IN (SELECT id, region FROM maybe WHERE region IS NOT NULL) ORDER BY 1;
SELECT d.driver_id, (SELECT count(*) FROM rides r WHERE r.region = d.region AND r.driver_id = d.driver_id) AS n FROM drivers d ORDER BY n DESC, 1 LIMIT 10;
SELECT d.driver_id, (SELECT r.price FROM rides r WHERE r.region = d.region AND r.driver_id = d.driver_id ORDER BY r.price DESC NULLS LAST, r.ride_id LIMIT 1) FROM drivers d ORDER BY 1 LIMIT 10;
SELECT d.driver_id, x.ride_id FROM drivers d, LATERAL (SELECT ride_id FROM rides r WHERE r.region = d.region AND r.driver_id = d.driver_id ORDER BY ride_id LIMIT 2) x ORDER BY 1, 2 LIMIT 30;
SELECT m.id, (SELECT count(*) FROM kinds k WHERE k.region = m.region) FROM maybe m ORDER BY 1;
SELECT m.id, (SELECT count(*) FROM kinds k WHERE k.id = m.id) FROM maybe m ORDER BY 1;
SELECT region, (SELECT count(*) FROM maybe m WHERE m.region = k.region) AS n, count(*) FROM kinds k GROUP BY region ORDER BY 1;
SELECT id FROM kinds k WHERE EXISTS (SELECT FROM regions g WHERE g.region_code = k.region AND EXISTS (SELECT FROM maybe m WHERE m.region = k.region)) ORDER BY 1;
SELECT count(*), (SELECT count(*) FROM maybe m WHERE m.region = max(k.region)) FROM kinds k;

-- groups below
SELECT k.id, x.n FROM kinds k LEFT JOIN (SELECT region, count(*) AS n FROM maybe GROUP BY region) x ON x.region = k.region ORDER BY 1;
WITH x AS (SELECT region, count(*) AS n, max(v) AS v FROM maybe GROUP BY 1) SELECT k.id, x.n, x.v FROM kinds k JOIN x ON x.region = k.region ORDER BY 1;
WITH x AS MATERIALIZED (SELECT region, count(*) AS n FROM maybe GROUP BY region) SELECT k.id, x.n FROM kinds k FULL JOIN x ON x.region = k.region ORDER BY 1, 2;
SELECT max(n), count(*) FROM (SELECT region, count(*) AS n FROM maybe GROUP BY region) x;
SELECT k.id, x.n FROM kinds k JOIN (SELECT v AS region, count(*) AS n FROM maybe GROUP BY v) x ON x.region = k.region ORDER BY 1;
SELECT count(*) FROM (SELECT DISTINCT region, v FROM maybe) x;
SELECT count(*) FROM (SELECT DISTINCT v FROM maybe) x;

-- within the key
SELECT region, array_agg(id ORDER BY id), count(DISTINCT t) FROM kinds GROUP BY region ORDER BY region COLLATE "C";
SELECT region, percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM maybe GROUP BY region ORDER BY 1;
SELECT region, string_agg(v, ',' ORDER BY id) AS vs FROM maybe GROUP BY region HAVING count(*) > 1 OR bool_and(v IS NULL) ORDER BY vs, region;
SELECT DISTINCT region, v IS NULL FROM maybe ORDER BY 1, 2;
SELECT id, row_number() OVER (PARTITION BY region ORDER BY id) FROM kinds ORDER BY 1;
SELECT id, sum(id) OVER (PARTITION BY region ORDER BY id DESC), count(*) OVER (PARTITION BY region, v) FROM maybe ORDER BY 1;
SELECT id, rank() OVER (PARTITION BY region ORDER BY id), rank() OVER (ORDER BY id) FROM kinds ORDER BY 1;
SELECT region, count(*) AS n FROM rides GROUP BY region ORDER BY n DESC, region LIMIT 2;
SELECT region, count(*) AS n FROM rides GROUP BY region ORDER BY n OFFSET 1 LIMIT 2;
SELECT region, count(*) FROM rides GROUP BY region ORDER BY count(*) FETCH FIRST 2 ROWS WITH TIES;
SELECT DISTINCT ON (region) region, id FROM kinds ORDER BY region, id DESC;

-- set operations
SELECT region FROM kinds UNION SELECT region FROM maybe;
SELECT region FROM kinds INTERSECT SELECT region FROM maybe;
SELECT region FROM maybe EXCEPT SELECT region FROM kinds WHERE id < 3;
SELECT region, id FROM maybe EXCEPT ALL SELECT region, id FROM kinds;
SELECT region FROM kinds UNION ALL SELECT v FROM maybe;
SELECT region, v FROM maybe UNION SELECT t, region FROM kinds;
SELECT region, id FROM kinds UNION ALL SELECT region, id FROM maybe ORDER BY id DESC, region NULLS FIRST;
SELECT region, i8 AS n FROM kinds UNION ALL SELECT region, 2 FROM kinds ORDER BY n, 1 LIMIT 7 OFFSET 2;
SELECT region, t AS word FROM kinds UNION SELECT region, v FROM maybe ORDER BY word, region;
SELECT n, f8, 'a' FROM kinds WHERE id < 5 UNION ALL SELECT n2, f4, 'b' FROM kinds ORDER BY 1 NULLS FIRST, f8 DESC, 3;
WITH k AS (SELECT region, id FROM kinds) SELECT id, region FROM k UNION ALL SELECT 0, region FROM maybe ORDER BY region, 1;
-- error 42702
SELECT region AS a, region AS a FROM kinds UNION ALL SELECT region, v FROM maybe ORDER BY a;
-- error 0A000
SELECT region FROM kinds UNION ALL SELECT region FROM maybe ORDER BY lower(region);
-- params: 3
SELECT region, id FROM kinds UNION ALL SELECT region, id FROM maybe ORDER BY 2, 1 LIMIT $1;
(SELECT region FROM kinds UNION SELECT region FROM maybe) EXCEPT SELECT region FROM drivers WHERE rating > 4;

-- names of columns where the shards' answers are merged
SELECT user_id, region AS place FROM users UNION SELECT user_id, region FROM rides ORDER BY 1, place LIMIT 3;
SELECT region AS r, count(*) FROM users GROUP BY region UNION ALL SELECT region, count(*) FROM rides GROUP BY region ORDER BY r, 2;
SELECT region, user_id, user_id FROM rides EXCEPT SELECT region, user_id, user_id FROM users WHERE user_id IS NULL ORDER BY 2, region LIMIT 2;
