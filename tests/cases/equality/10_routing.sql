-- Which shards are asked: every row of the statement's answer, and no other.

SELECT ride_id, region, price FROM rides WHERE region = 'eu-central' AND status = 'completed';
SELECT ride_id FROM rides WHERE region IN ('us-east', 'ap-south') AND price > 20;
SELECT ride_id FROM rides WHERE region IN ('us-east', 'us-east', 'us-east') AND price > 20;
SELECT ride_id FROM rides WHERE region = ANY ('{us-west,eu-central}') AND price > 20;
SELECT ride_id FROM rides WHERE region = ANY (ARRAY['us-west', 'eu-central']) AND price > 20;
SELECT count(*) FROM rides WHERE region = ANY ('{}');
SELECT count(*) FROM rides WHERE region = ANY ('{us-west,NULL}');
SELECT ride_id FROM rides WHERE region = 'us-east' OR region = 'us-west';
SELECT ride_id FROM rides WHERE region = 'us-east' OR price > 25;
SELECT ride_id FROM rides WHERE (region = 'us-east' AND price > 10) OR (region = 'ap-south' AND price > 5);
SELECT ride_id FROM rides WHERE 'us-west' = region AND price > 10;
SELECT ride_id FROM rides WHERE region = 'us-west'::text AND price > 10;
SELECT ride_id FROM rides WHERE region = 'us-west'::varchar(3) AND price > 10;
SELECT ride_id FROM rides WHERE region::text = 'us-west' AND price > 10;
SELECT ride_id FROM rides WHERE region = CAST('us-west' AS varchar) AND price > 10;
SELECT ride_id FROM rides WHERE region = varchar 'us-west' AND price > 10;
SELECT ride_id FROM rides WHERE region = E'us-\x77est' AND price > 10;
SELECT ride_id FROM rides WHERE price > 10 AND region = 'us-'
  'west';
-- error 42601
-- may be refused
SELECT ride_id FROM rides WHERE region = 'us-' 'west' 'x' y z;
SELECT ride_id FROM rides WHERE region = $$us-west$$ AND price > 10;
SELECT ride_id FROM rides WHERE region = U&'us\002Dwest' AND price > 10;
SELECT ride_id FROM rides WHERE region = 'us-' || 'west' AND price > 10;
SELECT ride_id FROM rides WHERE region = lower('US-WEST') AND price > 10;
SELECT ride_id FROM rides WHERE region = 'us-west ' AND price > 10;
SELECT ride_id FROM rides WHERE region = 'US-WEST';
SELECT ride_id FROM rides WHERE upper(region) = 'US-WEST' AND price > 10;
SELECT ride_id FROM rides WHERE region = 'atlantis';
SELECT count(*) FROM rides WHERE region = 'atlantis';
SELECT count(*) FROM rides WHERE region IN ('atlantis', 'us-west');
SELECT count(*) FROM rides WHERE region = '';
SELECT count(*) FROM rides WHERE region = NULL;
SELECT count(*) FROM rides WHERE region IN (NULL, 'us-west');
SELECT count(*) FROM rides WHERE region NOT IN ('us-west');
SELECT count(*) FROM rides WHERE region NOT IN ('us-west', NULL);
SELECT count(*) FROM rides WHERE region <> 'us-west';
SELECT count(*) FROM rides WHERE NOT region = 'us-west';
SELECT count(*) FROM rides WHERE NOT (region = 'us-west' OR price > 10);
SELECT count(*) FROM rides WHERE NOT (region <> 'us-west');
SELECT count(*) FROM rides WHERE region LIKE 'us%';
SELECT count(*) FROM rides WHERE region LIKE 'us-w_st';
SELECT count(*) FROM rides WHERE region ILIKE 'US-WEST';
SELECT count(*) FROM rides WHERE region SIMILAR TO 'us-(west|east)';
SELECT count(*) FROM rides WHERE region ~ '^us';
SELECT count(*) FROM rides WHERE region BETWEEN 'us-a' AND 'us-f';
SELECT count(*) FROM rides WHERE region > 'us-e';
SELECT count(*) FROM rides WHERE region = 'us-west' COLLATE "C";
SELECT count(*) FROM rides WHERE (region, status) = ('us-west', 'completed');
SELECT count(*) FROM rides WHERE (region, status) IN (('us-west', 'completed'), ('us-east', 'cancelled'));
SELECT count(*) FROM rides WHERE region IS NOT DISTINCT FROM 'us-west';
SELECT count(*) FROM rides WHERE region IS NULL;
SELECT count(*) FROM rides WHERE region IS NOT NULL;

-- R1: the key outside WHERE
SELECT sum(CASE WHEN region = 'us-east' THEN 1 ELSE 0 END) FROM rides;
SELECT count(*) FILTER (WHERE region = 'us-east') FROM rides;
SELECT region = 'us-east' AS here, count(*) FROM rides GROUP BY 1;
SELECT count(*) FROM rides GROUP BY status HAVING count(*) FILTER (WHERE region = 'us-east') > 5;
SELECT ride_id FROM rides ORDER BY (region = 'us-east') DESC, ride_id LIMIT 5;
SELECT region = 'us-east' AS here FROM rides WHERE price > 20;
-- R2: arithmetic and functions on the key
SELECT count(*) FROM accounts WHERE id % 10 = 5;
SELECT count(*) FROM accounts WHERE id < 1000 AND id + 1 = 5;
SELECT count(*) FROM accounts WHERE id > -1000 AND -id = 1;
SELECT count(*) FROM accounts WHERE coalesce(id, 0) = 5;
SELECT count(*) FROM accounts WHERE id > -1000 AND abs(id) = 1;
SELECT count(*) FROM rides WHERE coalesce(region, 'us-east') = 'us-west';
-- R3: truth values
SELECT count(*) FROM rides WHERE (region = 'us-west') IS NOT TRUE;
SELECT count(*) FROM rides WHERE (region = 'us-west') IS TRUE;
SELECT count(*) FROM rides WHERE (region = 'us-west') IS FALSE;
SELECT count(*) FROM rides WHERE (region = 'us-west') IS NOT FALSE;
SELECT count(*) FROM rides WHERE (region = 'us-west') = true;
SELECT count(*) FROM rides WHERE (region = 'us-west') <> true;
SELECT count(*) FROM rides WHERE (region = 'us-west') IS UNKNOWN;
SELECT count(*) FROM rides WHERE CASE WHEN region = 'us-west' THEN false ELSE true END;
SELECT count(*) FROM rides WHERE true;
SELECT count(*) FROM rides WHERE false;
SELECT count(*) FROM rides WHERE NULL;
SELECT count(*) FROM rides WHERE region = 'us-west' AND false;
-- R4: outer joins
SELECT count(*), count(r.ride_id) FROM users u LEFT JOIN rides r ON r.region = 'us-east' AND r.user_id = u.user_id;
SELECT count(*) FROM users u LEFT JOIN rides r ON r.user_id = u.user_id AND u.region = 'us-east';
SELECT count(*) FROM users u FULL JOIN drivers d ON d.region = u.region AND d.region = 'us-east';
SELECT count(*), count(f.base) FROM rides r LEFT JOIN fares f ON f.region = 'us-east' WHERE r.region = 'us-west';
SELECT f.region, count(r.ride_id) FROM fares f LEFT JOIN rides r ON r.region = f.region GROUP BY f.region;
SELECT f.region, count(r.ride_id) FROM fares f LEFT JOIN rides r ON r.region = f.region AND r.region = 'us-west' GROUP BY f.region;
SELECT u.region, count(r.ride_id) FROM users u LEFT JOIN rides r ON r.user_id = u.user_id AND r.region = u.region WHERE u.region = 'us-west' GROUP BY u.region;
-- R5: the key inside a subquery only
SELECT count(*) FROM users WHERE user_id IN (SELECT user_id FROM rides WHERE region = 'us-east');
SELECT count(*) FROM users u WHERE EXISTS (SELECT 1 FROM rides r WHERE r.region = 'us-east' AND r.user_id = u.user_id);
SELECT count(*) FROM rides WHERE price > (SELECT avg(price) FROM rides WHERE region = 'us-east');
WITH here AS (SELECT * FROM rides WHERE region = 'us-east') SELECT count(*) FROM users u JOIN here h USING (user_id);
WITH here AS (SELECT * FROM rides WHERE region = 'us-east') SELECT count(*) FROM here;
SELECT count(*) FROM (SELECT * FROM rides WHERE region = 'us-east') s;
SELECT count(*) FROM (SELECT * FROM rides) s WHERE s.region = 'us-east';
SELECT count(*) FROM (SELECT 'us-east' AS region, price FROM rides) s WHERE s.region = 'us-east';
-- R6: two tables, two keys
SELECT count(*) FROM users u, rides r WHERE u.region = 'us-east' AND r.region = 'us-west' AND u.user_id = r.user_id;
SELECT count(*) FROM users u, rides r WHERE u.region = 'us-east' AND r.region = 'us-east' AND u.user_id = r.user_id;
SELECT count(*) FROM users u JOIN rides r ON r.region = u.region AND r.user_id = u.user_id WHERE u.region = 'ap-south';
SELECT count(*) FROM users u JOIN rides r ON r.user_id = u.user_id WHERE u.region = 'ap-south';
SELECT count(*) FROM users u JOIN rides r USING (user_id);
SELECT count(*) FROM users u JOIN rides r USING (user_id, region);
SELECT count(*) FROM users JOIN rides USING (user_id, region) WHERE region = 'us-west';
SELECT count(*) FROM users u JOIN drivers d ON d.name = u.name;
SELECT count(*) FROM drivers a JOIN drivers b ON a.region = b.region AND a.driver_id = b.driver_id WHERE b.region = 'us-east';
-- R7: set operations
SELECT region FROM rides WHERE region = 'us-east' UNION SELECT region FROM rides;
SELECT user_id FROM rides WHERE region = 'us-east' UNION ALL SELECT user_id FROM rides WHERE region = 'us-west';
SELECT user_id FROM rides WHERE region = 'us-east' UNION SELECT user_id FROM users WHERE region = 'us-east';
SELECT user_id FROM users EXCEPT SELECT user_id FROM rides WHERE region = 'us-east';
SELECT user_id FROM users INTERSECT SELECT user_id FROM rides;
(SELECT ride_id FROM rides ORDER BY ride_id LIMIT 2) UNION ALL (SELECT ride_id FROM rides ORDER BY ride_id DESC LIMIT 2);
-- R8: sharded tables without a FROM of one's own
SELECT EXISTS (SELECT 1 FROM rides WHERE price > 1);
SELECT (SELECT count(*) FROM rides);
SELECT (SELECT count(*) FROM rides WHERE region = 'us-west');
SELECT ARRAY(SELECT DISTINCT region FROM rides ORDER BY 1);
VALUES ((SELECT count(*) FROM rides), (SELECT count(*) FROM users));
SELECT 1 WHERE EXISTS (SELECT 1 FROM rides);
-- R9: contradictions and long lists
SELECT count(*) FROM rides WHERE region = 'us-east' AND region = 'us-west';
SELECT ride_id FROM rides WHERE region = 'us-east' AND region = 'us-west';
SELECT count(*) FROM rides WHERE region IN ('us-east', 'us-west') AND region IN ('us-west', 'ap-south');
SELECT * FROM accounts WHERE id = 1 AND id = 2;
SELECT * FROM accounts WHERE id IN (1, 2, 3, 1, 2, 3);
SELECT * FROM accounts WHERE id = ANY ('{1,2,1000}');
SELECT * FROM accounts WHERE id = ANY (ARRAY[1, 2, NULL]);
SELECT * FROM accounts WHERE (id, owner) IN ((1, 'ann'), (2, 'nobody'));
-- R10: ranges
SELECT * FROM measures WHERE n = 0;
SELECT * FROM measures WHERE n = 100;
SELECT * FROM measures WHERE n < 0;
SELECT * FROM measures WHERE n <= 0;
SELECT * FROM measures WHERE n >= 100;
SELECT * FROM measures WHERE n > 99;
SELECT * FROM measures WHERE n BETWEEN -1 AND 0;
SELECT * FROM measures WHERE n BETWEEN 100 AND 99;
SELECT * FROM measures WHERE n > -2147483648 AND n < 2147483647;
SELECT * FROM measures WHERE n IN (-1, 100);
SELECT * FROM measures WHERE n = 99.5;
SELECT * FROM measures WHERE n < 0.5;
SELECT * FROM measures WHERE n > 99.5;
SELECT * FROM measures WHERE n = 3000000000;
SELECT * FROM measures WHERE n = '0';
-- params: 0
SELECT * FROM measures WHERE n = $1;
-- params: 0 | 100
SELECT * FROM measures WHERE n >= $1 AND n < $2;
-- params: 0 | 100
SELECT * FROM measures WHERE n BETWEEN SYMMETRIC $2 AND $1;
-- R11: spellings of a key
SELECT * FROM codes WHERE code = '007';
SELECT * FROM codes WHERE code = '7';
SELECT * FROM codes WHERE code = '7 ';
SELECT * FROM codes WHERE code = '';
SELECT * FROM codes WHERE code = 'ABC';
SELECT * FROM codes WHERE code = 'abc'::varchar;
SELECT * FROM codes WHERE code = 'abc'::char(5);
SELECT * FROM codes WHERE code = 'it''s';
SELECT * FROM codes WHERE code = E'tab\tnewline\nback\\slash';
SELECT * FROM codes WHERE code = 'äöü';
SELECT * FROM codes WHERE code = 7::text;
SELECT * FROM codes WHERE code IN ('7', '007', 'nope');
-- params: 007
SELECT * FROM codes WHERE code = $1;
-- params: äöü
SELECT * FROM codes WHERE code = $1;
-- error 42883
SELECT * FROM codes WHERE code = 7;
SELECT * FROM accounts WHERE id = 5;
SELECT * FROM accounts WHERE id = '5';
SELECT * FROM accounts WHERE id = ' 5 ';
SELECT * FROM accounts WHERE id = 5.0;
SELECT * FROM accounts WHERE id = 5.5;
SELECT * FROM accounts WHERE id = 5::int2;
SELECT * FROM accounts WHERE id = 5::numeric;
SELECT * FROM accounts WHERE id = 5::float8;
SELECT * FROM accounts WHERE id = 9223372036854775806::float8;
SELECT * FROM accounts WHERE id = 0005;
SELECT * FROM accounts WHERE id = +5;
SELECT * FROM accounts WHERE id = -1;
SELECT * FROM accounts WHERE id=-1;
SELECT * FROM accounts WHERE id = - 1;
SELECT * FROM accounts WHERE id = 9223372036854775807;
SELECT * FROM accounts WHERE id = -9223372036854775808;
SELECT * FROM accounts WHERE id = 9223372036854775808;
SELECT * FROM accounts WHERE id = 1e0;
SELECT * FROM accounts WHERE id = true::int;
-- error 22P02
SELECT * FROM accounts WHERE id = 'five';
-- params: 5
SELECT * FROM accounts WHERE id = $1;
-- params: 5
SELECT * FROM accounts WHERE id = $1::int2;
-- params: 5
SELECT * FROM accounts WHERE id = $1::int4;
-- params: 5
SELECT * FROM accounts WHERE id = $1::text::int8;
-- params: 5
SELECT * FROM accounts WHERE id = $1 + 0;
-- params: -9223372036854775808
SELECT * FROM accounts WHERE id = $1;
-- params: null
SELECT * FROM accounts WHERE id = $1;
-- params: eu-central | 10
SELECT ride_id FROM rides WHERE region = $1 AND price > $2::int;
-- params: {us-east,us-west}
SELECT ride_id FROM rides WHERE region = ANY ($1) AND price > 20;
-- params: {us-east,us-east,NULL}
SELECT count(*) FROM rides WHERE region = ANY ($1);
-- params: {}
SELECT count(*) FROM rides WHERE region = ANY ($1);
-- params: us-east | us-west
SELECT count(*) FROM rides WHERE region IN ($1, $2);
-- params: us-east | us-east
SELECT count(*) FROM rides WHERE region IN ($1, $2);
-- params: us-east | null
SELECT count(*) FROM rides WHERE region IN ($1, $2);
-- params: us-east
SELECT count(*) FROM rides WHERE region = $1 OR $1 = 'all';
-- params: all
SELECT count(*) FROM rides WHERE region = $1 OR $1 = 'all';
-- params: null
SELECT count(*) FROM rides WHERE region = $1 OR $1 IS NULL;
-- params: ap-south
SELECT count(*) FROM rides WHERE region = coalesce($1, region);
-- params: us-east
SELECT count(*) FROM rides WHERE $1 = region AND region = $1;
-- params: us-east | us-west
SELECT count(*) FROM rides WHERE region = $1 AND region = $2;
-- lists
SELECT * FROM tenants WHERE tenant = '007';
SELECT * FROM tenants WHERE tenant = 'Straße';
SELECT * FROM tenants WHERE tenant = '';
SELECT * FROM tenants WHERE tenant = 'anyone';
SELECT * FROM tenants WHERE tenant = 'Acme';
SELECT * FROM tenants WHERE tenant IN ('acme', 'anyone', 'nobody');
SELECT * FROM tenants WHERE tenant <> 'acme';
SELECT * FROM tenants WHERE tenant < 'b';
-- R12: names
SELECT * FROM "Mixed" WHERE "Region" = 'ap-south';
SELECT "Select" FROM "Mixed" ORDER BY "Id";
SELECT count(*) FROM public.rides WHERE region = 'us-east';
SELECT count(*) FROM PUBLIC.Rides WHERE REGION = 'us-east';
SELECT count(*) FROM "rides" WHERE "region" = 'us-east';
SELECT * FROM other.rides ORDER BY id;
SELECT * FROM other.rides WHERE region = 'ap-south';
SELECT count(*) FROM rides AS users WHERE users.region = 'us-east';
SELECT count(*) FROM rides regions WHERE regions.region = 'us-east';
SELECT count(*) FROM notes rides WHERE rides.region = 'us-east';
SELECT count(*) FROM ONLY rides WHERE region = 'us-east';
SELECT count(*) FROM rides AS r (a, b, c, d, e, f, region, g) WHERE r.region > 0;
-- error 42P01
SELECT count(*) FROM rides r WHERE rid.region = 'x' AND nosuch = 1;
-- error 42P01
SELECT count(*) FROM nosuch.rides WHERE region = 'us-east';
SET search_path = other, public;
SELECT * FROM rides ORDER BY id;
SELECT count(*) FROM public.rides;
SELECT count(*) FROM users;
RESET search_path;
SELECT count(*) FROM rides;
-- a view of sharded tables
CREATE VIEW completed AS SELECT * FROM rides WHERE status = 'completed';
SELECT count(*) FROM completed;
SELECT count(*) FROM completed WHERE region = 'us-west';
SELECT count(*) FROM completed c JOIN users u ON u.user_id = c.user_id;
CREATE VIEW west AS SELECT count(*) AS n FROM rides WHERE region = 'us-west';
SELECT n FROM west;
DROP VIEW completed, west;
-- R14: comments and hints
SELECT count(*) FROM rides /* region = 'us-east' */;
SELECT count(*) FROM rides -- WHERE region = 'us-east'
;
SELECT '/* meridian: shard=us-east */' AS c, count(*) FROM rides GROUP BY 1;
SELECT $$ /* meridian: shard=us-east */ $$ AS c FROM rides WHERE region = 'us-west' AND price > 20;
-- R15: several statements at once
-- simple
SELECT count(*) FROM rides WHERE region = 'us-east'; SELECT count(*) FROM rides WHERE region = 'us-west';
-- simple
SELECT count(*) FROM rides; SELECT count(*) FROM notes; SELECT count(*) FROM regions;
-- R16: null keys
SELECT * FROM maybe WHERE region IS NULL;
SELECT * FROM maybe WHERE region IS NOT NULL;
SELECT * FROM maybe WHERE region = 'eu-central';
SELECT * FROM maybe WHERE region IS NULL OR region = 'us-east';
SELECT count(*), count(region), count(v) FROM maybe;
SELECT region, count(*) FROM maybe GROUP BY region;
SELECT * FROM maybe ORDER BY region NULLS FIRST, id;
-- R17: functions that read sharded tables
CREATE FUNCTION ride_count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM rides';
-- may be refused
SELECT ride_count();
-- may be refused
SELECT region, ride_count() FROM regions r JOIN fares f ON f.region = r.region_code;
DROP FUNCTION ride_count();
-- reference and single tables
SELECT region_code, name FROM regions ORDER BY region_code;
SELECT count(*) FROM regions;
SELECT f.* FROM fares f ORDER BY base;
SELECT count(*) FROM notes WHERE region = 'us-west';
SELECT count(*) FROM notes n JOIN fares f USING (region);
SELECT count(*) FROM notes n JOIN rides r ON r.region = n.region WHERE n.id < 5;
SELECT count(*) FROM notes n JOIN rides r ON r.region = n.region WHERE r.region = 'us-west' AND n.region = 'us-west';
SELECT count(*) FROM notes n JOIN rides r ON r.region = n.region WHERE r.region = 'us-east' AND n.region = 'us-east';
-- tables and texts that are nobody's
SELECT count(*) FROM pg_class WHERE relname = 'rides';
SELECT current_database(), current_user;
SELECT 1 + 1 AS two;
-- error 42601
SELEC 1;
