-- Infinite numerics, money, composite types and domains; windows over all rows; joins of four tables and more.

CREATE TYPE spot AS (x int, label text);
CREATE DOMAIN share AS numeric(5,2) CHECK (VALUE >= 0);
CREATE DOMAIN tag AS text CHECK (VALUE <> '');
CREATE TABLE odds (id int PRIMARY KEY, n numeric, m money, s spot, share share, tag tag, part text);
INSERT INTO odds VALUES (1, 'Infinity', '12.50', '(1,a)', 1.5, 'red', 'one');
INSERT INTO odds VALUES (2, '-Infinity', '-3.10', '(1,b)', 2, 'blue', 'one');
INSERT INTO odds VALUES (3, 'NaN', '0', '(,b)', 0.00, 'red', 'two');
INSERT INTO odds VALUES (4, '1.10', '12.5', '(2,)', 1.50, 'green', 'two');
INSERT INTO odds VALUES (5, '1.1', '1000000.01', NULL, NULL, NULL, 'two');
INSERT INTO odds VALUES (6, 'Infinity', NULL, '(1,a)', 99.99, 'blue', 'three');
INSERT INTO odds VALUES (7, NULL, '-0.01', '(-1,"x y")', 0, 'red', 'three');
INSERT INTO odds VALUES (8, '0', '3', '(1,"A")', 3.33, 'Red', 'four');
INSERT INTO odds VALUES (9, '-0.00', '3.00', '(10,a)', 3.3, 'violet', 'four');
INSERT INTO odds VALUES (10, 'inf', '92233720368547758.07', '(1,a)', 100, 'red', 'four');
INSERT INTO odds VALUES (11, '-inf', '7', '(,)', 12.34, 'blue', 'five');

-- T2: numerics without bounds
SELECT id, n FROM odds ORDER BY n, id;
SELECT id, n FROM odds ORDER BY n DESC NULLS LAST, id LIMIT 6;
SELECT count(*), sum(id) FROM odds GROUP BY n;
SELECT n, count(*) FROM odds WHERE n IN ('Infinity', '-Infinity', 'NaN') GROUP BY n ORDER BY n;
SELECT sum(n), avg(n), min(n), max(n), count(n), count(DISTINCT n) FROM odds;
SELECT part, sum(n), avg(n), min(n), max(n) FROM odds WHERE id <> 5 GROUP BY part ORDER BY part;
SELECT part, variance(n), stddev(n), stddev_pop(n), var_pop(n) FROM odds GROUP BY part;
SELECT sum(n), avg(n), stddev(n) FROM odds WHERE n > 1;
SELECT sum(DISTINCT n), avg(DISTINCT n) FROM odds WHERE n < 0 AND n > '-Infinity' OR n = 'Infinity';
SELECT count(*) FROM (SELECT DISTINCT n FROM odds) d;
SELECT id FROM odds WHERE n > 'Infinity' OR n < 1 ORDER BY id;
SELECT id, n FROM odds WHERE n = (SELECT max(n) FROM odds) OR n = (SELECT min(n) FROM odds) ORDER BY id;
SELECT id, sum(n) OVER (ORDER BY id) FROM odds ORDER BY id;

-- T7: money
SELECT id, m FROM odds ORDER BY m, id;
SELECT m, count(*) FROM odds GROUP BY m ORDER BY m DESC;
SELECT min(m), max(m), count(DISTINCT m) FROM odds;
SELECT sum(m) FROM odds WHERE m < '1000000';
SELECT part, sum(m), sum(m) / 3 FROM odds WHERE id < 10 GROUP BY part ORDER BY 2, 1;
SELECT DISTINCT m FROM odds;
SELECT id FROM odds WHERE m BETWEEN '3' AND '12.5' ORDER BY id;
-- error 22003
SELECT sum(m) FROM odds;

-- T7: composite types
SELECT id, s, (s).x, (s).label FROM odds ORDER BY id;
SELECT id, s FROM odds ORDER BY s, id;
SELECT s, count(*) FROM odds GROUP BY s;
SELECT s, count(*) FROM odds GROUP BY s ORDER BY s DESC NULLS LAST;
SELECT DISTINCT s FROM odds;
SELECT count(DISTINCT s) FROM odds;
SELECT (s).x, count(*), max((s).label) FROM odds GROUP BY (s).x ORDER BY 1;
SELECT id, (s).label FROM odds ORDER BY (s).x DESC NULLS LAST, (s).label COLLATE "C", id LIMIT 7;
SELECT (s).label AS l, ((s)).x + 1 FROM odds GROUP BY l, (s).x HAVING min((s).x) > 0 ORDER BY (s).x, 1;
SELECT id, rank() OVER (ORDER BY (s).x, (odds.s).label COLLATE "C") FROM odds ORDER BY 2, 1;
SELECT count(DISTINCT (s).x), sum((odds.s).x) FILTER (WHERE (s).label > 'a') FROM odds;
SELECT DISTINCT (s).x, (s).label FROM odds;
SELECT id FROM odds WHERE s = ROW(1, 'a')::spot ORDER BY id;
SELECT id FROM odds WHERE s IS NULL OR (s).x IS NULL ORDER BY id;
SELECT a.id, b.id FROM odds a JOIN odds b ON a.s = b.s AND a.id < b.id ORDER BY 1, 2;

-- T7: domains
SELECT id, share, tag FROM odds ORDER BY share, id;
SELECT id, tag FROM odds ORDER BY tag, id;
SELECT share, count(*) FROM odds GROUP BY share ORDER BY share;
SELECT tag, count(*), sum(share), avg(share), max(share) FROM odds GROUP BY tag ORDER BY tag;
SELECT DISTINCT tag FROM odds;
SELECT DISTINCT share, tag FROM odds ORDER BY 1, 2;
SELECT count(DISTINCT tag), sum(DISTINCT share), stddev(share) FROM odds;
SELECT a.tag, count(*) FROM odds a JOIN odds b ON a.tag = b.tag GROUP BY a.tag ORDER BY 1;
-- params: red
SELECT id FROM odds WHERE tag = $1 ORDER BY id;
-- error 23514
SELECT (-id)::numeric::share FROM odds;

-- M13: windows over the rows of all shards
SELECT id, lag(id) OVER (ORDER BY id), lead(tag, 2, 'none') OVER (ORDER BY id DESC) FROM odds ORDER BY id;
SELECT ride_id, lag(price) OVER w, sum(price) OVER w, avg(price) OVER (ORDER BY ride_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM rides WINDOW w AS (ORDER BY ride_id) ORDER BY ride_id LIMIT 300;
SELECT status, ride_id, sum(price) OVER (PARTITION BY status ORDER BY ride_id), price - lag(price, 1, 0) OVER (PARTITION BY status ORDER BY ride_id) FROM rides;
SELECT ride_id, price - lag(price) OVER (PARTITION BY user_id ORDER BY ride_id) AS more FROM rides WHERE price IS NOT NULL ORDER BY more DESC NULLS LAST, ride_id LIMIT 20;
SELECT region, count(*), sum(count(*)) OVER (ORDER BY region), lag(count(*)) OVER (ORDER BY region) FROM rides GROUP BY region ORDER BY region;
SELECT ntile(7) OVER (ORDER BY ride_id), cume_dist() OVER (ORDER BY status), first_value(ride_id) OVER (ORDER BY ride_id), nth_value(ride_id, 3) OVER (ORDER BY ride_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM rides;

-- M20: plans of several servers in another form than text
-- may be refused
EXPLAIN (FORMAT json) SELECT count(*) FROM rides;
-- may be refused
EXPLAIN (FORMAT yaml, COSTS off) SELECT * FROM odds ORDER BY id;
-- may be refused
EXPLAIN (ANALYZE, FORMAT json, TIMING off, SUMMARY off) SELECT d.name FROM drivers d JOIN rides r USING (driver_id);

-- Four tables and more, on other columns than keys
SELECT g.region_code, d.availability, count(DISTINCT u.user_id) AS riders, count(*) AS rides, round(avg(r.price), 2) AS price, round(sum(f.base + f.per_km * r.distance_km), 2) AS fare FROM rides r JOIN users u ON u.user_id = r.user_id JOIN drivers d ON d.driver_id = r.driver_id JOIN regions g ON g.region_code = u.region LEFT JOIN fares f ON f.region = d.region WHERE r.status IN ('completed', 'cancelled') GROUP BY g.region_code, d.availability HAVING count(*) > 2 ORDER BY rides DESC, 1, 2;
WITH spent AS (SELECT u.user_id, u.region, sum(r.price) AS total, count(*) AS n FROM users u JOIN rides r ON r.user_id = u.user_id JOIN drivers d ON d.driver_id = r.driver_id WHERE d.rating >= 3 GROUP BY u.user_id, u.region), ranked AS (SELECT s.*, rank() OVER (PARTITION BY region ORDER BY total DESC NULLS LAST, user_id) AS place FROM spent s) SELECT g.name, k.place, u.name, k.total, k.n, (SELECT count(*) FROM driver_locations l JOIN drivers d USING (driver_id) WHERE d.region = k.region) AS nearby FROM ranked k JOIN users u USING (user_id) JOIN regions g ON g.region_code = k.region JOIN fares f ON f.region = k.region WHERE k.place <= 3 ORDER BY g.name, k.place;
SELECT a.name, b.name, count(*) AS shared, min(ra.price + rb.price) FROM rides ra JOIN rides rb ON rb.driver_id = ra.driver_id AND rb.user_id > ra.user_id JOIN users a ON a.user_id = ra.user_id JOIN users b ON b.user_id = rb.user_id JOIN drivers d ON d.driver_id = ra.driver_id WHERE d.rating > 4 AND ra.status = 'completed' AND rb.status = 'completed' GROUP BY a.user_id, a.name, b.user_id, b.name ORDER BY shared DESC, a.user_id, b.user_id LIMIT 25;
SELECT d.region, date_trunc('month', r.timestamp) AS month, count(*) FILTER (WHERE r.status = 'completed') AS done, sum(r.price) - lag(sum(r.price)) OVER (PARTITION BY d.region ORDER BY date_trunc('month', r.timestamp)) AS change, percentile_disc(0.9) WITHIN GROUP (ORDER BY r.duration_minutes) AS long FROM drivers d JOIN driver_locations l ON l.driver_id = d.driver_id JOIN rides r ON r.driver_id = d.driver_id JOIN users u ON u.user_id = r.user_id AND u.region <> 'nowhere' JOIN notes n ON n.region = d.region AND n.id <= 4 GROUP BY 1, 2 ORDER BY 1, 2;

-- Fields and arguments that are called as columns are
ALTER TABLE odds ADD COLUMN x int DEFAULT 7, ADD COLUMN days int DEFAULT 2;
SELECT (s).x, count(*) FROM odds GROUP BY (s).x ORDER BY 1 NULLS LAST;
SELECT part, sum((s).x), sum(x), max((s).label) FROM odds GROUP BY part ORDER BY part;
SELECT sum(extract(epoch FROM make_interval(days => days))), max(make_interval(days => x)) FROM odds;
ALTER TABLE odds DROP COLUMN x, DROP COLUMN days;

DROP TABLE odds;
