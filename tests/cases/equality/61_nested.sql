-- SELECTs that read nothing but the groups of another one, and those that read more.

-- derived tables
SELECT count(*), sum(n), max(status) FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) AS s WHERE n > 3;
SELECT * FROM (SELECT status, count(*), sum(price), avg(price) FROM rides GROUP BY status) s ORDER BY sum DESC NULLS LAST, status LIMIT 3;
SELECT status, n, round(100.0 * n / sum(n) OVER (), 2) AS share FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s ORDER BY status;
SELECT n, count(*) AS users FROM (SELECT user_id, count(*) AS n FROM rides GROUP BY user_id) AS per_user GROUP BY n ORDER BY n;
SELECT avg(n), stddev(n), percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM (SELECT user_id, count(*) AS n FROM rides GROUP BY user_id) u;
SELECT count(*) FROM (SELECT DISTINCT status, user_id FROM rides) d;
SELECT count(*), count(status) FROM (SELECT DISTINCT status FROM rides WHERE price > 10) d;
SELECT status FROM (SELECT DISTINCT status FROM rides) d WHERE status LIKE 'c%' ORDER BY status DESC;
SELECT sum(top.total) FROM (SELECT user_id, sum(price) AS total FROM rides GROUP BY user_id ORDER BY total DESC NULLS LAST, user_id LIMIT 3) AS top;
SELECT max(price) - min FROM (SELECT max(price) AS price, min(price) FROM rides) AS x GROUP BY min;
SELECT x.a, x.b, x.c FROM (SELECT status, region, count(*) FROM rides GROUP BY 1, 2) AS x (a, b, c) ORDER BY a, b;
SELECT x.a, x.region, x.count FROM (SELECT status, region, count(*) FROM rides GROUP BY 1, 2) AS x (a) ORDER BY a, region;
SELECT s, s.status, row_to_json(s)->>'n' FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s ORDER BY status;
SELECT s.* FROM (SELECT status, max(price) FROM rides GROUP BY status HAVING count(*) > 2) s WHERE s.max IS NOT NULL ORDER BY s.status;
SELECT "?column?" + 1 FROM (SELECT count(*) * 2 FROM rides) s;
SELECT "case", count(*) FROM (SELECT CASE WHEN price > 20 THEN 'dear' WHEN price > 10 THEN 'fair' END, user_id FROM rides GROUP BY 1, 2) s GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (SELECT count(*) FROM rides WHERE price > 1000000) s;
SELECT count(*) FROM (SELECT status, count(*) FROM rides WHERE price > 1000000 GROUP BY status) s;
SELECT count(*) FILTER (WHERE n > 2), bool_or(n > 3) FROM (SELECT user_id, count(*) AS n FROM rides GROUP BY user_id) s;
SELECT lower(status), n FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s WHERE lower(status) <> 'completed' ORDER BY 1;
SELECT CASE WHEN n > 5 THEN 'many' ELSE 'few' END AS size, count(*), array_agg(status ORDER BY status) FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s GROUP BY 1 ORDER BY 1;

-- of every type
SELECT trim_scale(d), count(*), min(k), max(v) FROM (SELECT n AS d, max(i8) AS k, min(vc) AS v FROM kinds GROUP BY n) x GROUP BY d ORDER BY d NULLS FIRST;
SELECT ch || '.', vc, length(vc) FROM (SELECT ch, vc, count(*) FROM kinds GROUP BY ch, vc) x ORDER BY vc, ch;
SELECT max(m) FROM (SELECT vc, max(ch) AS m FROM kinds GROUP BY vc) x;

-- deeper
SELECT max(m) FROM (SELECT n, max(user_id::text) AS m FROM (SELECT user_id, count(*) AS n FROM rides GROUP BY user_id) a GROUP BY n) b;
SELECT b.* FROM (SELECT status, n + 1 AS more FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) a WHERE n > 1) b ORDER BY 1;
SELECT count(*) FROM (SELECT status FROM (SELECT DISTINCT status, region FROM rides) a GROUP BY status HAVING count(*) > 1) b;

-- the first part of WITH
WITH s AS (SELECT status, count(*) AS n FROM rides GROUP BY status) SELECT * FROM s WHERE n > 1 ORDER BY status;
WITH s AS (SELECT status, count(*) AS n FROM rides GROUP BY status) SELECT a.status, b.status FROM s a JOIN s b ON a.n > b.n ORDER BY 1, 2;
WITH s (a, b) AS (SELECT status, count(*) FROM rides GROUP BY status) SELECT a, b, (SELECT max(b) FROM s) FROM s ORDER BY a;
WITH s AS MATERIALIZED (SELECT status, count(*) AS n FROM rides GROUP BY status), t AS (SELECT sum(n) AS all_of FROM s) SELECT s.status, s.n / t.all_of FROM s, t ORDER BY 1;
WITH rides AS (SELECT status, count(*) AS n FROM rides GROUP BY status) SELECT sum(n), count(*) FROM rides;
WITH s AS (SELECT status, count(*) AS n FROM rides GROUP BY status) SELECT status FROM s UNION ALL SELECT 'all ' || sum(n) FROM s ORDER BY 1;
WITH s AS (SELECT status, count(*) AS n FROM rides GROUP BY status) SELECT 1 WHERE EXISTS (SELECT FROM s WHERE n > 1);
WITH s AS (SELECT user_id, count(*) AS n FROM rides GROUP BY user_id) SELECT n, rank() OVER (ORDER BY n DESC), count(*) FROM s GROUP BY n ORDER BY n;

-- beside values and functions
SELECT v.label, s.n FROM (VALUES ('completed', 'done'), ('cancelled', 'gone')) AS v (status, label) LEFT JOIN (SELECT status, count(*) AS n FROM rides GROUP BY status) s ON s.status = v.status ORDER BY 1;
SELECT i, s.n FROM generate_series(1, 3) AS i CROSS JOIN (SELECT count(*) AS n FROM rides) s ORDER BY 1;
SELECT s.status, w.word FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s, LATERAL (SELECT s.status || s.n AS word) w ORDER BY 1;

-- what reads more
SELECT s.region, r.name, s.n FROM (SELECT region, count(*) AS n FROM rides GROUP BY region) s JOIN regions r ON r.region_code = s.region ORDER BY 1;
SELECT s.status, u.n FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s, (SELECT count(*) AS n FROM users) u ORDER BY 1;
SELECT s.status FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s WHERE n > (SELECT count(*) FROM drivers) / 10 ORDER BY 1;
WITH s AS (SELECT status, count(*) AS n FROM rides GROUP BY status), u AS (SELECT count(*) AS n FROM users) SELECT s.status, u.n FROM s, u ORDER BY 1;
SELECT count(*) FROM (SELECT * FROM rides WHERE price > 10) s;
SELECT rn, count(*) FROM (SELECT row_number() OVER (PARTITION BY status ORDER BY ride_id) AS rn FROM rides) s GROUP BY rn ORDER BY rn LIMIT 3;
-- may be refused
SELECT 'rides'::regclass::text, n FROM (SELECT count(*) AS n FROM rides) s;

-- what the one around has no use for does not fail
WITH s AS (SELECT price / 0 AS p, count(*) FROM rides GROUP BY 1) SELECT 'none';
WITH s AS (SELECT status, count(*) / 0 AS p FROM rides GROUP BY 1) SELECT 'none';
SELECT p FROM (SELECT status, sum(1 / (length(status) - length(status))) AS p FROM rides GROUP BY status) s WHERE false;
SELECT n FROM (SELECT status, count(*) AS n, count(*) / 0 AS p FROM rides GROUP BY status) s ORDER BY n LIMIT 2;
-- error 22012
SELECT max(p) FROM (SELECT price / 0 AS p, count(*) FROM rides GROUP BY 1) s;
-- error 22012
SELECT n / 0 FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s;
BEGIN;
WITH s AS (SELECT price / 0 AS p, count(*) FROM rides GROUP BY 1) SELECT 'none';
SELECT p FROM (SELECT status, sum(1 / (length(status) - length(status))) AS p FROM rides GROUP BY status) s WHERE false;
SELECT count(*) FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s;
COMMIT;
