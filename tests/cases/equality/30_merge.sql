-- Answers of several shards put together.

-- M1, M2: LIMIT and OFFSET
-- rows only
SELECT ride_id FROM rides LIMIT 10;
-- rows only
SELECT ride_id FROM rides LIMIT 3 OFFSET 5;
-- rows only
SELECT ride_id FROM rides OFFSET 1990;
-- rows only
SELECT ride_id FROM rides LIMIT 0;
SELECT ride_id FROM rides LIMIT NULL;
SELECT ride_id FROM rides LIMIT ALL OFFSET 0;
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 7;
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 7 OFFSET 13;
SELECT ride_id FROM rides ORDER BY ride_id OFFSET 1995;
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 5 OFFSET 5000;
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 9999999999;
SELECT ride_id FROM rides ORDER BY ride_id OFFSET 9999999999;
SELECT ride_id FROM rides ORDER BY ride_id FETCH FIRST 4 ROWS ONLY;
SELECT ride_id FROM rides ORDER BY ride_id OFFSET 2 ROWS FETCH NEXT ROW ONLY;
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 2 + 3;
SELECT ride_id FROM rides ORDER BY ride_id LIMIT (SELECT 4);
SELECT ride_id FROM rides ORDER BY ride_id LIMIT '5';
SELECT ride_id FROM rides ORDER BY ride_id LIMIT 2.5;
-- unordered
SELECT status, region FROM rides ORDER BY status FETCH FIRST 3 ROWS WITH TIES;
-- error 2201W
SELECT ride_id FROM rides ORDER BY ride_id LIMIT -1;
-- error 2201X
SELECT ride_id FROM rides ORDER BY ride_id OFFSET -1;
-- params: 6 | 3
SELECT ride_id FROM rides ORDER BY ride_id LIMIT $1 OFFSET $2;
-- params: null
SELECT ride_id FROM rides ORDER BY ride_id LIMIT $1;
-- params: -1
-- error 2201W
SELECT ride_id FROM rides ORDER BY ride_id LIMIT $1;
-- M3, M4: averages and wrapped aggregates
SELECT avg(total_rides), avg(rating), avg(latitude::numeric) FROM users;
SELECT avg(i2), avg(i8), avg(n2) FROM kinds;
SELECT sum(i2), sum(i8), sum(n2), sum(id) FROM kinds;
SELECT avg(n), sum(n) FROM kinds;
SELECT avg(total_rides) FROM drivers WHERE region IN ('us-east', 'ap-south');
SELECT coalesce(sum(price), 0) FROM rides WHERE status = 'nothing';
SELECT round(avg(price), 2) FROM rides;
SELECT sum(price) / count(*) FROM rides;
SELECT sum(price) / nullif(sum(distance_km), 0) AS per_km FROM rides;
SELECT count(*) > 0 AS any FROM rides;
SELECT max(price) - min(price) AS spread, 'x' AS constant FROM rides;
SELECT sum(price + 1), sum(price * 2) + 1, -sum(price) FROM rides;
SELECT CASE WHEN count(*) > 100 THEN 'many' ELSE 'few' END FROM rides;
SELECT count(*)::text || ' rides' FROM rides;
-- approximate
SELECT sum(latitude), avg(longitude) FROM users;
-- M5: other aggregates
SELECT count(*), count(driver_id), count(price) FROM rides;
SELECT count(r.*) FROM rides r;
SELECT count(DISTINCT user_id) FROM rides;
SELECT sum(DISTINCT total_rides) FROM users;
SELECT count(DISTINCT region), count(DISTINCT region) FILTER (WHERE status = 'completed'), count(DISTINCT user_id) FROM rides;
SELECT status, count(DISTINCT region), count(DISTINCT rides.region) FROM rides GROUP BY status ORDER BY 2, 1;
SELECT count(DISTINCT d.region), count(d.region) FROM rides r LEFT JOIN drivers d ON d.region = r.region AND d.rating > 4.9;
SELECT count(DISTINCT region), count(DISTINCT region || '') FROM maybe;
SELECT count(DISTINCT n), sum(DISTINCT n), avg(DISTINCT n) FROM measures;
SELECT count(DISTINCT badge), count(DISTINCT badge::text) FROM badges;
SELECT count(DISTINCT k), count(DISTINCT id) FROM small, folded;
SELECT array_agg(region ORDER BY region, ride_id) FROM rides WHERE price > 30;
SELECT string_agg(name, ',' ORDER BY name) FROM users WHERE rating < 3;
SELECT string_agg(DISTINCT status, ','), count(DISTINCT duration_minutes) FILTER (WHERE status = 'completed'), max(driver_id::text) FROM rides;
SELECT region, array_agg(DISTINCT status ORDER BY status DESC), min(duration_minutes) FROM rides GROUP BY ROLLUP (region);
SELECT string_agg(DISTINCT n::text, ' '), count(DISTINCT n) FROM kinds;
SELECT string_agg(DISTINCT t, ' '), array_agg(DISTINCT ch) FROM kinds HAVING count(DISTINCT i2) > 1 ORDER BY max(d);
SELECT string_agg(DISTINCT status, ','), count(*) FROM rides;
SELECT bool_and(price > 0), bool_or(price > 30), every(total_rides >= 0) FROM rides, LATERAL (SELECT 1 AS total_rides) x;
SELECT bool_and(b), bool_or(b) FROM kinds;
SELECT bit_and(i2), bit_or(i2) FROM kinds;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY price) FROM rides;
SELECT mode() WITHIN GROUP (ORDER BY status) FROM rides;
-- approximate
SELECT stddev(price), variance(total_rides::numeric) FROM rides JOIN users USING (user_id, region);
-- approximate
SELECT stddev(price), var_pop(price), stddev_samp(distance_km) FROM rides;
-- approximate
SELECT corr(price, distance_km) FROM rides;
SELECT count(*) FILTER (WHERE status = 'completed') AS done, sum(price) FILTER (WHERE price > 20) FROM rides;
SELECT max(timestamp), min(timestamp), max(region), min(status) FROM rides;
-- M6, M7: GROUP BY
SELECT region, count(*) FROM rides GROUP BY region;
SELECT status, count(*), sum(price), avg(price) FROM rides GROUP BY status;
SELECT status, count(*) FROM rides GROUP BY status ORDER BY status;
SELECT status, count(*) AS n FROM rides GROUP BY status ORDER BY n DESC, status;
SELECT region, status, count(*) FROM rides GROUP BY region, status ORDER BY region, status;
SELECT region, status, count(*) FROM rides GROUP BY 1, 2 ORDER BY 2, 1;
SELECT count(*) FROM rides GROUP BY status;
SELECT status AS s FROM rides GROUP BY s;
SELECT status FROM rides GROUP BY status;
-- Expressions that differ in a constant only
SELECT status, status || 'a' FROM rides GROUP BY status, status || 'b';
SELECT status || 'b', status || 'a' FROM rides GROUP BY status, status || 'b' ORDER BY status || 'c' DESC;
-- error 42803
SELECT status || 'a', count(*) FROM rides GROUP BY status || 'b';
SELECT upper(status) AS u, count(*) FROM rides GROUP BY upper(status);
SELECT upper(status), count(*) FROM rides GROUP BY 1;
SELECT date_trunc('month', timestamp) AS month, count(*) FROM rides GROUP BY month ORDER BY month;
SELECT driver_id IS NULL AS alone, count(*) FROM rides GROUP BY 1;
SELECT b, count(*) FROM kinds GROUP BY b;
SELECT duration_minutes / 10 AS tens, count(*) FROM rides GROUP BY duration_minutes / 10 ORDER BY tens NULLS FIRST;
SELECT region, status, count(*) FROM rides GROUP BY ROLLUP (region, status);
SELECT region, status, count(*) FROM rides GROUP BY GROUPING SETS ((region), (status), ());
SELECT region, status, count(*) FROM rides GROUP BY CUBE (region, status);
SELECT 'all' AS k, count(*) FROM rides GROUP BY k;
SELECT count(*) FROM rides GROUP BY ();
SELECT driver_id, count(*) FROM rides GROUP BY driver_id ORDER BY 2 DESC, 1 LIMIT 5;
-- M8: HAVING
SELECT status, count(*) FROM rides GROUP BY status HAVING count(*) > 300;
SELECT user_id, sum(price) FROM rides GROUP BY user_id HAVING sum(price) > 80 ORDER BY 2 DESC, 1;
SELECT count(*) FROM rides HAVING count(*) > 1000000;
SELECT count(*) FROM rides HAVING count(*) > 10;
SELECT 1 AS one FROM rides HAVING count(*) > 10;
SELECT status FROM rides GROUP BY status HAVING min(price) < 100 AND status <> 'completed';
-- M9: the largest groups
SELECT user_id, count(*) FROM rides GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 5;
SELECT duration_minutes, count(*) AS n FROM rides GROUP BY duration_minutes ORDER BY n DESC, duration_minutes LIMIT 5;
SELECT total_rides, count(*) FROM users GROUP BY total_rides ORDER BY count(*) DESC, total_rides OFFSET 2 LIMIT 3;
-- M10, M11: order
SELECT ride_id, price FROM rides ORDER BY price DESC NULLS LAST, ride_id LIMIT 20;
SELECT ride_id, price FROM rides ORDER BY price NULLS FIRST, ride_id LIMIT 20;
SELECT ride_id, price FROM rides ORDER BY price DESC, ride_id LIMIT 20;
SELECT ride_id, price FROM rides ORDER BY 2, 1 LIMIT 20;
SELECT ride_id FROM rides ORDER BY price DESC NULLS LAST, ride_id LIMIT 20;
SELECT ride_id, price AS p FROM rides ORDER BY p, ride_id LIMIT 20;
SELECT ride_id, price * 2 AS twice FROM rides ORDER BY price * 2, ride_id LIMIT 20;
SELECT ride_id FROM rides ORDER BY upper(status), ride_id LIMIT 20;
SELECT ride_id FROM rides ORDER BY length(status) DESC, ride_id LIMIT 20;
SELECT ride_id, status AS region FROM rides ORDER BY region, ride_id LIMIT 20;
SELECT ride_id, -price AS price FROM rides ORDER BY price, ride_id LIMIT 20;
SELECT ride_id AS a, user_id AS a FROM rides ORDER BY ride_id LIMIT 20;
-- error 42702
SELECT ride_id AS a, user_id AS a FROM rides ORDER BY a LIMIT 20;
SELECT ride_id FROM rides ORDER BY ride_id USING > LIMIT 5;
SELECT * FROM rides ORDER BY timestamp, ride_id LIMIT 5;
SELECT r.* FROM rides r ORDER BY r.region DESC, r.ride_id LIMIT 5;
SELECT name FROM users ORDER BY name, user_id LIMIT 30;
SELECT name FROM users ORDER BY name COLLATE "C" DESC, user_id LIMIT 30;
-- error 42P10
SELECT ride_id FROM rides ORDER BY 5;
SELECT id, b FROM kinds ORDER BY b NULLS FIRST, id;
SELECT id, b FROM kinds ORDER BY b DESC, id;
SELECT id, i2 FROM kinds ORDER BY i2 DESC NULLS LAST, id;
-- M12: DISTINCT
SELECT DISTINCT region FROM rides;
SELECT DISTINCT status, region FROM rides ORDER BY region, status;
SELECT DISTINCT status FROM rides ORDER BY status LIMIT 2;
-- rows only
SELECT DISTINCT user_id FROM rides LIMIT 5;
SELECT DISTINCT total_rides % 7 FROM users;
SELECT DISTINCT b FROM kinds;
SELECT DISTINCT t, vc FROM kinds;
SELECT DISTINCT by, d, ts, ti, u, i2, i8 FROM kinds;
SELECT DISTINCT f8, b FROM kinds WHERE id <> 7;
SELECT DISTINCT status AS s, status FROM rides WHERE price > 10;
SELECT DISTINCT r.status, u.name FROM rides r JOIN users u ON u.region = r.region AND u.user_id = r.user_id;
SELECT DISTINCT r.status, u.total_rides FROM users u LEFT JOIN rides r ON u.region = r.region AND u.user_id = r.user_id;
SELECT DISTINCT meaning FROM codes WHERE false;
SELECT DISTINCT v FROM maybe;
SELECT DISTINCT ON (region) region, ride_id FROM rides ORDER BY region, ride_id;
SELECT DISTINCT ON (r.status) r.status, price FROM rides r ORDER BY r.status, price DESC NULLS LAST, ride_id;
SELECT DISTINCT count(*) FROM rides GROUP BY region, status;
-- error 42P10
SELECT DISTINCT region FROM rides ORDER BY price;
-- M13: window functions
SELECT ride_id, row_number() OVER (ORDER BY ride_id) FROM rides;
SELECT region, ride_id, rank() OVER (PARTITION BY region ORDER BY price DESC NULLS LAST, ride_id) FROM rides;
SELECT count(*) OVER () FROM rides;
SELECT status, count(*), sum(count(*)) OVER () FROM rides GROUP BY status;
SELECT ride_id, row_number() OVER (ORDER BY ride_id) FROM rides WHERE region = 'us-east';
-- M14: empty shards, nulls
SELECT count(*), sum(price), avg(price), min(price), max(price) FROM rides WHERE price > 100000;
SELECT status, count(*) FROM rides WHERE price > 100000 GROUP BY status;
SELECT bool_and(price > 0), bool_or(price > 0) FROM rides WHERE price > 100000;
SELECT sum(i2), avg(i2), max(t) FROM kinds WHERE id IN (5, 6);
SELECT sum(i2), avg(i2), max(i2), count(i2) FROM kinds WHERE id = 5;
SELECT sum(i2) FROM kinds WHERE region = 'ap-south';
-- M15: overflow and width
SELECT sum(i8) FROM kinds;
SELECT sum(2147483647) FROM rides;
SELECT pg_typeof(sum(total_rides)), pg_typeof(count(*)) FROM users;
SELECT sum(f8), sum(f4) FROM kinds WHERE id <= 2;
-- M16: reference tables among sharded ones
SELECT count(*) FROM rides r JOIN fares f ON f.region = r.region;
SELECT r.region, count(*), max(f.base) FROM rides r JOIN fares f USING (region) GROUP BY r.region;
SELECT count(*) FROM rides r CROSS JOIN fares f;
SELECT count(*) FROM rides r LEFT JOIN fares f ON f.region = r.region AND f.base > 2.6;
SELECT count(*), count(r.ride_id) FROM rides r RIGHT JOIN fares f ON f.region = r.region;
SELECT count(*), count(r.ride_id) FROM fares f LEFT JOIN rides r ON f.region = r.region;
SELECT count(*) FROM fares f WHERE NOT EXISTS (SELECT 1 FROM rides r WHERE r.region = f.region);
SELECT count(*) FROM rides r WHERE EXISTS (SELECT 1 FROM fares f WHERE f.region = r.region AND f.base > 2.6);
SELECT count(*) FROM rides r WHERE r.region IN (SELECT region FROM fares WHERE base > 2.6);
SELECT sum(base) FROM fares;
SELECT count(*) FROM rides r, users u WHERE r.user_id = u.user_id AND r.region = u.region;
-- M17: an error of one shard is the answer
-- error 22012
SELECT 1 / (id - 3) FROM kinds ORDER BY id;
-- error 22012
SELECT sum(1 / (id - 3)) FROM kinds;
-- error 22003
SELECT sum(i8::int4) FROM kinds;
-- M18: shapes
SELECT * FROM users WHERE rating < 2.5;
SELECT * FROM drivers WHERE rating < 2.5;
SELECT * FROM kinds;
SELECT region, 1 AS i, 'x' AS t, NULL AS n, now() IS NOT NULL AS b FROM rides WHERE price > 30;
SELECT r.region, u.name FROM rides r JOIN users u ON u.user_id = r.user_id AND u.region = r.region WHERE r.price > 30;
-- T: types and their order
SELECT id, d FROM kinds ORDER BY d, id;
SELECT id, ts FROM kinds ORDER BY ts DESC, id;
SELECT id, tz FROM kinds ORDER BY tz, id;
SELECT id, u FROM kinds ORDER BY u, id;
SELECT id, n FROM kinds ORDER BY n, id;
SELECT id, n FROM kinds ORDER BY n DESC NULLS LAST, id;
SELECT id, f8 FROM kinds ORDER BY f8, id;
SELECT id, f4 FROM kinds ORDER BY f4 DESC, id;
SELECT id, i8 FROM kinds ORDER BY i8, id;
SELECT id, t FROM kinds ORDER BY t, id;
SELECT id, vc FROM kinds ORDER BY vc DESC, id;
SELECT id, ch FROM kinds ORDER BY ch, id;
SELECT id, iv FROM kinds ORDER BY iv, id;
SELECT id, by FROM kinds ORDER BY by, id;
SELECT id, j FROM kinds ORDER BY j, id;
SELECT id, a FROM kinds ORDER BY a, id;
SELECT id, ip FROM kinds ORDER BY ip, id;
SELECT id, bt FROM kinds ORDER BY bt, id;
SELECT id, ti FROM kinds ORDER BY ti, id;
SELECT id FROM kinds ORDER BY t COLLATE "en-x-icu", id;
SELECT DISTINCT n FROM kinds WHERE id <> 7 AND id <> 2;
SELECT count(*) FROM (SELECT DISTINCT n FROM kinds) s;
SELECT n::text IS NULL AS nothing, count(*) FROM kinds GROUP BY n ORDER BY 2 DESC, 1 LIMIT 1;
SELECT count(*) FROM kinds GROUP BY f8;
SELECT count(*) FROM kinds GROUP BY ch;
SELECT count(*) FROM kinds GROUP BY iv;
SELECT min(iv), max(iv) FROM kinds WHERE id <> 2 AND id <> 3;
SELECT min(t), max(t), min(d), max(ts), min(tz), max(i8), min(i2) FROM kinds;
SELECT min(n), max(n) FROM kinds WHERE id NOT IN (2, 7);
SELECT min(f8), max(f4) FROM kinds WHERE id <> 7;
SELECT min(ip), max(ip) FROM kinds;
SET TimeZone = 'America/New_York';
SELECT id, tz FROM kinds ORDER BY tz, id;
SELECT max(tz) FROM kinds WHERE id < 4;
SELECT date_trunc('day', tz) AS day, count(*) FROM kinds GROUP BY 1 ORDER BY 1;
RESET TimeZone;
SET DateStyle = 'German';
SELECT id, d, ts FROM kinds ORDER BY ts, id;
SELECT min(d), max(d) FROM kinds;
RESET DateStyle;
SET bytea_output = 'escape';
SELECT id, by FROM kinds;
RESET bytea_output;
SET IntervalStyle = 'iso_8601';
SELECT id, iv FROM kinds;
RESET IntervalStyle;
SET extra_float_digits = 0;
SELECT id, f8, f4 FROM kinds;
SELECT id, f8 FROM kinds ORDER BY f8, id;
RESET extra_float_digits;

-- negative zeros
SELECT avg('-0'::float8), avg('-0'::real), sum('-0'::float8), max('-0'::float8) FROM rides;
SELECT region, avg('-0'::float8) FROM rides GROUP BY region ORDER BY 1;
SELECT avg(0 * -price::float8), avg(DISTINCT '-0'::float8) FROM rides;
