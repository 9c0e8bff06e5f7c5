-- Answers that one server makes of gathered tables: joins on any column, subqueries, set operations, windows over joins.

-- joins that are not on the key
SELECT d.name, count(*), sum(r.price) FROM rides r JOIN drivers d ON d.driver_id = r.driver_id GROUP BY d.driver_id, d.name ORDER BY d.name, d.driver_id, 2 LIMIT 20;
SELECT d.name, r.ride_id, r.price FROM rides r JOIN drivers d ON d.driver_id = r.driver_id WHERE r.price > 50 AND d.rating > 4.5 ORDER BY r.ride_id;
SELECT u.name, r.status FROM users u, rides r WHERE u.user_id = r.user_id AND r.status = 'cancelled' ORDER BY r.ride_id, u.name;
SELECT u.name, d.name FROM rides JOIN users u USING (user_id) JOIN drivers d USING (driver_id) WHERE rides.distance_km > 20 ORDER BY rides.ride_id;
SELECT count(*) FROM rides a JOIN rides b ON a.user_id = b.user_id AND a.ride_id <> b.ride_id;
SELECT a.region, b.region, count(*) FROM users a JOIN users b ON a.rating = b.rating AND a.user_id < b.user_id GROUP BY 1, 2 ORDER BY 1, 2;
SELECT g.name, d.name FROM drivers d JOIN regions g ON g.region_code = d.region JOIN rides r ON r.driver_id = d.driver_id WHERE r.duration_minutes > 60 ORDER BY r.ride_id;

-- outer joins
SELECT d.driver_id, count(r.ride_id) FROM drivers d LEFT JOIN rides r ON r.driver_id = d.driver_id AND r.status = 'completed' GROUP BY d.driver_id ORDER BY 2 DESC, 1 LIMIT 30;
SELECT d.name FROM drivers d LEFT JOIN rides r ON r.driver_id = d.driver_id WHERE r.ride_id IS NULL ORDER BY d.driver_id;
SELECT u.user_id FROM rides r RIGHT JOIN users u ON u.user_id = r.user_id AND r.price > 10 WHERE r.ride_id IS NULL ORDER BY 1;
SELECT coalesce(a.id, -1), coalesce(b.id, -1) FROM (SELECT * FROM kinds WHERE i2 > 0) a FULL JOIN maybe b ON a.id = b.id ORDER BY 1, 2;
SELECT k.id, m.v FROM kinds k FULL JOIN maybe m ON m.id = k.id AND m.v > 'a' WHERE k.id IS NULL OR k.id > 2 ORDER BY 1, 2;
SELECT k.id, m.id FROM maybe m LEFT JOIN kinds k ON k.region = m.region AND k.id > 2 WHERE m.id < 5 ORDER BY 2, 1;

-- subqueries
SELECT name FROM drivers WHERE driver_id IN (SELECT driver_id FROM rides WHERE price > 60) ORDER BY driver_id;
SELECT count(*) FROM users WHERE user_id NOT IN (SELECT user_id FROM rides);
SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM rides r WHERE r.user_id = u.user_id AND r.status = 'cancelled') ORDER BY user_id;
SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT FROM rides r WHERE r.user_id = u.user_id);
SELECT ride_id, price FROM rides r WHERE price = (SELECT max(price) FROM rides i WHERE i.status = r.status) ORDER BY 1;
SELECT (SELECT count(*) FROM rides), (SELECT count(*) FROM drivers), (SELECT max(rating) FROM users);
SELECT EXISTS (SELECT FROM rides WHERE price > 1000000), EXISTS (SELECT FROM rides);
SELECT d.name, (SELECT count(*) FROM rides r WHERE r.driver_id = d.driver_id) AS n FROM drivers d ORDER BY 2 DESC, d.driver_id LIMIT 10;
SELECT status, n FROM (SELECT status, count(*) AS n FROM rides GROUP BY status) s WHERE n > 100 ORDER BY status;
SELECT avg(n) FROM (SELECT count(*) AS n FROM rides GROUP BY user_id) s;
SELECT d.driver_id, l.ride_id FROM drivers d CROSS JOIN LATERAL (SELECT ride_id FROM rides r WHERE r.driver_id = d.driver_id ORDER BY price DESC, ride_id LIMIT 1) l ORDER BY 1;
SELECT region, price FROM rides WHERE price >= ALL (SELECT price FROM rides WHERE price IS NOT NULL) ORDER BY ride_id;

-- the first rows of a table, joined to others
SELECT r.ride_id, d.name FROM (SELECT * FROM rides WHERE status = 'completed' ORDER BY price DESC NULLS LAST, ride_id LIMIT 7 OFFSET 3) r JOIN drivers d USING (driver_id) ORDER BY 1, 2;
WITH newest AS (SELECT * FROM rides ORDER BY ride_id DESC LIMIT 20) SELECT u.name, count(*) FROM newest JOIN users u USING (user_id) GROUP BY u.name ORDER BY 2 DESC, 1;
-- params: 6 | 2
SELECT r.ride_id, u.name FROM (SELECT * FROM rides ORDER BY price, ride_id LIMIT $1 OFFSET $2) r JOIN users u USING (user_id) ORDER BY 1, 2;
-- params: null | null
SELECT count(*) FROM (SELECT * FROM rides ORDER BY price LIMIT $1 OFFSET $2) r JOIN users u USING (user_id);
-- error 2201W
SELECT r.ride_id FROM (SELECT * FROM rides LIMIT -1) r JOIN users u USING (user_id);
-- error 2201X
SELECT r.ride_id FROM (SELECT * FROM rides LIMIT 2 OFFSET -1) r JOIN users u USING (user_id);
SELECT count(*) FROM (SELECT unnest(ARRAY[1, price]) AS n FROM rides LIMIT 5) x JOIN users ON true;
SELECT (SELECT max(p) FROM (SELECT price AS p FROM rides ORDER BY 1 LIMIT 10) x), (SELECT count(*) FROM drivers);

-- common tables
WITH best AS (SELECT driver_id, sum(price) AS total FROM rides WHERE status = 'completed' GROUP BY driver_id) SELECT d.name, b.total FROM best b JOIN drivers d USING (driver_id) ORDER BY b.total DESC, d.driver_id LIMIT 10;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i, (SELECT count(*) FROM rides WHERE duration_minutes = i) FROM n ORDER BY i;
WITH rides AS (SELECT * FROM rides WHERE status = 'completed') SELECT count(*), min(price) FROM rides;

-- set operations
SELECT region FROM users UNION SELECT region FROM drivers ORDER BY 1;
SELECT name FROM users INTERSECT SELECT name FROM drivers ORDER BY 1;
SELECT user_id FROM users EXCEPT SELECT user_id FROM rides ORDER BY 1;
SELECT 'u', name FROM users WHERE rating < 2 UNION ALL SELECT 'd', name FROM drivers WHERE rating < 2 ORDER BY 1, 2;
SELECT count(*) FROM (SELECT user_id FROM users UNION ALL SELECT driver_id FROM drivers) x;

-- windows and grouping over joins
SELECT * FROM (SELECT d.name, r.price, rank() OVER (PARTITION BY d.driver_id ORDER BY r.price DESC NULLS LAST, r.ride_id) AS place FROM rides r JOIN drivers d USING (driver_id)) x WHERE place <= 2 ORDER BY name, price, place LIMIT 50;
SELECT d.availability, r.status, count(*) FROM rides r JOIN drivers d USING (driver_id) GROUP BY ROLLUP (d.availability, r.status) ORDER BY 1 NULLS FIRST, 2 NULLS FIRST;
SELECT g.name, count(*) FILTER (WHERE r.status = 'completed'), round(avg(r.price), 2) FROM rides r JOIN users u USING (user_id) JOIN regions g ON g.region_code = u.region GROUP BY g.name HAVING count(*) > 1 ORDER BY 1;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY r.price) FROM rides r JOIN users u USING (user_id) WHERE u.rating > 3;
SELECT DISTINCT ON (u.region) u.region, r.price FROM rides r JOIN users u USING (user_id) ORDER BY u.region, r.price DESC NULLS LAST, r.ride_id;

-- ratios, pivots, top of each group
SELECT sum(price) FILTER (WHERE status = 'completed') / (SELECT sum(price) FROM rides) FROM rides;
SELECT d.availability, sum(CASE WHEN r.status = 'completed' THEN 1 ELSE 0 END) AS done, sum(CASE WHEN r.status = 'cancelled' THEN 1 ELSE 0 END) AS gone FROM drivers d JOIN rides r ON r.driver_id = d.driver_id GROUP BY 1 ORDER BY 1;

-- tables of one shard, reference tables and sharded ones together
SELECT n.body, r.status FROM notes n JOIN rides r ON r.region = n.region ORDER BY n.id, r.ride_id LIMIT 20;
SELECT count(*) FROM rides WHERE region IN (SELECT region FROM notes);
SELECT r.ride_id, f.base + f.per_km * r.distance_km FROM rides r JOIN fares f ON f.region = r.region WHERE r.user_id IN (SELECT user_id FROM users WHERE rating > 4.9) ORDER BY 1;

-- names: qualified, quoted, aliased, whole rows
SELECT public.rides.ride_id FROM public.rides JOIN public.drivers ON drivers.driver_id = public.rides.driver_id ORDER BY 1 LIMIT 10;
SELECT m."Id", k.id FROM "Mixed" m JOIN kinds k ON k.id = m."Id" ORDER BY 1, 2;
SELECT r.* FROM rides r JOIN drivers d USING (driver_id) WHERE d.rating > 4.8 ORDER BY r.ride_id LIMIT 5;
SELECT * FROM maybe JOIN kinds USING (id) ORDER BY id;
SELECT * FROM maybe NATURAL JOIN (SELECT id, t FROM kinds) k ORDER BY id, t;
-- may be refused
SELECT m FROM maybe m JOIN kinds k ON k.id = m.id ORDER BY m.id;
SELECT row_to_json(m), count(m) OVER () FROM maybe m JOIN kinds k ON k.id = m.id ORDER BY m.id;
SELECT a.x, b.id FROM maybe AS a(x, y, z) JOIN kinds b ON b.id = a.x ORDER BY 1;
SELECT m.to_json FROM maybe m JOIN kinds k ON k.id = m.id ORDER BY m.id;
-- may be refused
SELECT other.rides.label, public.rides.status FROM other.rides, public.rides WHERE public.rides.region = other.rides.region ORDER BY 1, 2;

-- every type
SELECT k.*, m.v FROM kinds k LEFT JOIN maybe m ON m.id = k.id ORDER BY k.id;
SELECT k.f8, k.f4, k.n, k.iv, k.tz, k.j, k.a, k.ip, k.bt, k.ti, k.by FROM kinds k WHERE k.id IN (SELECT id FROM maybe) ORDER BY k.id;
SELECT t FROM kinds WHERE t > (SELECT min(t) FROM kinds) ORDER BY t;

-- parameters
-- params: 4.5 | cancelled
SELECT d.name FROM drivers d JOIN rides r ON r.driver_id = d.driver_id WHERE d.rating > $1 AND r.status = $2 ORDER BY r.ride_id;
-- params: 30
SELECT count(*) FROM rides WHERE price > (SELECT avg(price) FROM rides WHERE duration_minutes < $1);
-- params: null
SELECT count(*) FROM rides r JOIN users u USING (user_id) WHERE u.rating > $1::numeric;

-- errors are the client's own
-- error 42703
SELECT nothing FROM rides JOIN drivers USING (driver_id);
-- error 42702
SELECT name FROM users JOIN drivers ON users.rating = drivers.rating;
-- error 22012
SELECT 1 / (SELECT 0 FROM rides LIMIT 1) FROM drivers;
-- error 21000
SELECT (SELECT ride_id FROM rides) FROM drivers;
-- error 42804
SELECT ride_id FROM rides UNION SELECT 1;

-- nothing is left behind
SELECT count(*) FROM rides;
SELECT relname FROM pg_class WHERE relname = 'rides' AND relpersistence = 't';
-- What the parser does not know is gathered.
SELECT status, count(*) FROM rides WHERE distance_km NOT BETWEEN SYMMETRIC 20 AND 2 GROUP BY GROUPING SETS ((status), ()) ORDER BY 2, 1;
SELECT (status)::text, region, count(*) FROM rides GROUP BY CUBE ((status)::text, region) ORDER BY 1, 2, 3;
SELECT DISTINCT status FROM rides GROUP BY DISTINCT status, ROLLUP (status, region) ORDER BY 1;
-- Columns that follow from a primary key in GROUP BY.
SELECT u.name, u.rating, count(r.ride_id) FROM users u LEFT JOIN rides r ON r.user_id = u.user_id GROUP BY u.region, u.user_id ORDER BY 3 DESC, u.user_id LIMIT 10;
SELECT d.name, sum(r.price) FROM drivers d JOIN rides r ON r.driver_id = d.driver_id GROUP BY d.driver_id, d.region HAVING count(*) > 1 ORDER BY 2 DESC, 1;
SELECT u.*, count(*) FROM users u JOIN rides r USING (user_id) GROUP BY u.user_id, u.region ORDER BY u.user_id LIMIT 5;
-- error 42803
SELECT u.name, count(*) FROM users u JOIN rides r ON r.user_id = u.user_id GROUP BY u.region;
SELECT price FROM rides GROUP BY ride_id, region ORDER BY price, ride_id LIMIT 10;
SELECT user_id, name FROM public.users WHERE name = U&'!0041nna' UESCAPE '!' ORDER BY user_id;
