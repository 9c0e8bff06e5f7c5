-- What random statements have found (tests/oracle), made small.

-- Columns that depend on a primary key in GROUP BY: the rows that are gathered have no key.
SELECT *, count(*) OVER () AS n FROM measures m GROUP BY m.n;
SELECT n, v FROM measures GROUP BY n;
-- error 42702
SELECT CASE WHEN id = 1 THEN 'x' ELSE t END, vc AS t FROM kinds ORDER BY t;
-- error 42702
SELECT t::varchar, id AS t FROM kinds ORDER BY t;
SELECT CASE WHEN id = 1 THEN 'x' ELSE t || '' END, id AS t FROM kinds ORDER BY t;
-- A mistake in the types is told before one in the bounds, which only the execution finds.
-- error 42883
SELECT ride_id FROM rides WHERE status = 1.5 ORDER BY ride_id OFFSET -1;
-- params: -1
-- error 42883
SELECT ride_id FROM rides WHERE status = 1.5 ORDER BY ride_id LIMIT $1;
-- A part of WITH that nothing reads is not run, and what would fail in it does not fail.
WITH idle AS (SELECT 1 / (id - id) AS n FROM kinds k JOIN rides r ON r.status > k.t WHERE 1 / (k.id - k.id) > 0)
SELECT count(*) FROM rides a JOIN rides b ON a.status = b.status;
-- A transaction that only reads takes locks, which replicas do not give.
BEGIN READ ONLY;
LOCK TABLE rides IN SHARE MODE;
SELECT count(*) FROM rides;
COMMIT;
-- A condition of constants is never run.
SELECT max(status) FROM rides WHERE 1 / (price - price) > 0 HAVING NULL;
SELECT max(status), count(*) FROM rides HAVING 1 = 1;
SELECT region, count(*) FROM rides GROUP BY region HAVING false;
-- params: true
SELECT max(status) FROM rides HAVING $1;
-- A condition that the shards are asked fails, but no row comes so far in one PostgreSQL; or it fails there, too.
SELECT count(*) FROM rides a JOIN drivers b ON a.status = b.name WHERE 1 / (a.price - a.price) > 0 AND NULL::int > a.duration_minutes;
-- error 22012
SELECT count(*) FROM rides a JOIN rides b ON a.status = b.status WHERE 1 / (a.price - a.price) > 0;
-- Values of parameters are read before those of the text.
-- params: x
-- extended
-- error 22P02
SELECT ride_id FROM rides WHERE duration_minutes = $1::int OFFSET -1;
-- params: 2
-- error 2201X
SELECT ride_id FROM rides WHERE duration_minutes = $1::int OFFSET -1;
-- Forms that the parser does not know: bounds computed in FETCH, SEARCH and CYCLE, functions side by side, sets in sets.
SELECT ride_id FROM rides WHERE status = 'cancelled' ORDER BY ride_id OFFSET 1 ROWS FETCH FIRST (1 + 4) ROWS ONLY;
SELECT ride_id FROM rides ORDER BY ride_id FETCH NEXT (SELECT min(base) FROM fares) ROWS ONLY;
SELECT region FROM rides ORDER BY region FETCH FIRST (2 - 1) ROW WITH TIES;
WITH RECURSIVE r AS (SELECT id, 0 AS step FROM kinds UNION ALL SELECT id, step + 1 FROM r WHERE step < 2) SEARCH BREADTH FIRST BY id SET o SELECT id, step FROM r ORDER BY o;
WITH RECURSIVE r AS (SELECT id, id % 3 AS next FROM kinds UNION ALL SELECT k.id, k.id % 3 FROM kinds k JOIN r ON k.id = r.next) CYCLE id SET is_cycle USING path SELECT id, next, is_cycle FROM r ORDER BY 1, 2, path;
SELECT k.id, x.a, x.b FROM kinds k, ROWS FROM (generate_series(1, k.id % 3), unnest(ARRAY[k.i2])) WITH ORDINALITY x (a, b, c) ORDER BY k.id, x.c;
SELECT status, region, count(*), grouping(status, region) FROM rides GROUP BY GROUPING SETS (ROLLUP (status, region), CUBE (status), ()) ORDER BY 4, 1, 2, 3;
-- ONLY where rows meet by their keys, and in parts.
SELECT region, v FROM ONLY maybe m WHERE region IN (SELECT k.region FROM kinds k WHERE k.region = m.region AND k.id < 5) ORDER BY region;
SELECT 'tips' AS part, count(*) FROM ONLY tips UNION ALL SELECT 'all', count(*) FROM tips UNION ALL SELECT 'sum', sum(t.id) FROM ONLY tips t JOIN maybe m ON m.region = t.region;
