-- Boxes, geohashes and borders: the pruned answer is the full answer.

-- The areas' borders: south and west belong to the area, north and east do not.
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000001', 24.0, -100.0, '9u2', now());
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000002', 24.0, -65.00000001, 'ds3', '2024-01-01');
DELETE FROM driver_locations WHERE driver_id = '00000000-0000-4000-8000-000000000001' AND latitude = 24.0 AND longitude = -100.0;
-- refused with 23514
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000003', -89.0, 0.0, 'h', now());
-- refused with 23514
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000003', 50.0, -80.0, 'f', now());

SELECT ride_id FROM rides WHERE pickup_lat BETWEEN 40 AND 41 AND pickup_lon BETWEEN -75 AND -73;
SELECT count(*) FROM rides WHERE pickup_lat >= 40 AND pickup_lat < 41 AND pickup_lon > -75 AND pickup_lon <= -73;
SELECT count(*) FROM rides WHERE pickup_lat > 40 AND pickup_lon < -73;
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 30 AND 45 AND pickup_lon BETWEEN -101 AND -99;
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 30 AND 45 AND pickup_lon BETWEEN -100 AND -100;
SELECT count(*) FROM rides WHERE pickup_lon = -100;
SELECT count(*) FROM rides WHERE pickup_lon < -100;
SELECT count(*) FROM rides WHERE pickup_lon >= -100;
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 41 AND 40;
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN -90 AND 90 AND pickup_lon BETWEEN -180 AND 180;
SELECT count(*) FROM rides WHERE pickup_lat < -60;
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN '40' AND '41';
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 40::int AND 41::numeric AND pickup_lon < -70.5::real;
SELECT count(*) FROM rides WHERE 40 < pickup_lat AND 41 > pickup_lat;
SELECT count(*) FROM rides WHERE pickup_lat + 0 BETWEEN 40 AND 41;
SELECT count(*) FROM rides WHERE NOT (pickup_lat BETWEEN 40 AND 41);
SELECT count(*) FROM rides WHERE pickup_lat NOT BETWEEN 24 AND 50;
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 40 AND 41 OR pickup_lon BETWEEN 70 AND 80;
SELECT count(*) FROM rides WHERE pickup_lat > 'NaN'::float8;
SELECT count(*) FROM rides WHERE pickup_lat < 'NaN'::float8;
SELECT count(*) FROM rides WHERE pickup_lat < 'Infinity' AND pickup_lat > '-Infinity';
SELECT count(*) FROM rides WHERE pickup_lat BETWEEN 1e1 AND 4.1E1;
SELECT count(*) FROM rides WHERE dropoff_lat BETWEEN 40 AND 41 AND dropoff_lon BETWEEN -75 AND -73;
SELECT count(*) FROM rides WHERE region = 'us-west' AND pickup_lat BETWEEN 40 AND 41 AND pickup_lon BETWEEN -75 AND -73;
SELECT count(*) FROM users WHERE latitude > 45 AND longitude BETWEEN 0 AND 20;
-- params: 40 | 41 | -75 | -73
SELECT ride_id FROM rides WHERE pickup_lat BETWEEN $1 AND $2 AND pickup_lon BETWEEN $3 AND $4;
-- params: 41 | 40 | -75 | -73
SELECT ride_id FROM rides WHERE pickup_lat BETWEEN $1 AND $2 AND pickup_lon BETWEEN $3 AND $4;
-- params: NaN
SELECT count(*) FROM rides WHERE pickup_lat >= $1;
-- params: -Infinity
SELECT count(*) FROM rides WHERE pickup_lat >= $1;
-- params: null
SELECT count(*) FROM rides WHERE pickup_lat >= $1;
-- params: -100
SELECT count(*) FROM rides WHERE pickup_lon < $1;
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'dr5%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'd%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE '%5%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'dr_r%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'dr5';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE '9%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'DR5%';
SELECT count(*) FROM rides WHERE pickup_geohash ILIKE 'DR5%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'da%';
SELECT count(*) FROM rides WHERE pickup_geohash NOT LIKE 'd%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE '';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE '%';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE NULL;
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'dr5!%' ESCAPE '!';
SELECT count(*) FROM rides WHERE pickup_geohash LIKE 'dr5\%';
SELECT count(*) FROM rides WHERE pickup_geohash = 'dr5ru';
SELECT count(*) FROM rides WHERE pickup_geohash = '';
SELECT count(*) FROM rides WHERE pickup_geohash IN ('dr5ru', 'u33db');
SELECT count(*) FROM rides WHERE pickup_geohash >= 'dr5' AND pickup_geohash < 'dr6';
SELECT count(*) FROM rides WHERE pickup_geohash > 'u';
SELECT count(*) FROM rides WHERE pickup_geohash < 'a';
SELECT count(*) FROM rides WHERE pickup_geohash BETWEEN '9' AND 'dzzz';
SELECT count(*) FROM rides WHERE left(pickup_geohash, 3) = 'dr5';
SELECT count(*) FROM rides WHERE starts_with(pickup_geohash, 'dr5');
SELECT count(*) FROM rides WHERE pickup_geohash ^@ 'dr5';
SELECT count(*) FROM drivers WHERE geohash LIKE 't%' AND availability = 'available';
-- params: dr5%
SELECT count(*) FROM rides WHERE pickup_geohash LIKE $1;
-- params: %
SELECT count(*) FROM rides WHERE pickup_geohash LIKE $1;
-- params: dr5
SELECT count(*) FROM rides WHERE pickup_geohash LIKE $1 || '%';
-- params: dr5 | dr6
SELECT count(*) FROM rides WHERE pickup_geohash >= $1 AND pickup_geohash < $2;
SELECT driver_id, geohash FROM driver_locations WHERE latitude BETWEEN 24 AND 24.5;
SELECT count(*) FROM driver_locations WHERE longitude BETWEEN -100 AND -65;
SELECT count(*) FROM driver_locations WHERE geohash LIKE 'd%';
SELECT count(*) FROM driver_locations;
SELECT count(*) FROM driver_locations WHERE driver_id = '00000000-0000-4000-8000-000000000002';
-- nearest by arithmetic: not a box
SELECT driver_id FROM driver_locations ORDER BY (latitude - 40.7) ^ 2 + (longitude + 74) ^ 2, driver_id LIMIT 3;
SELECT count(*) FROM driver_locations WHERE (latitude - 40.7) ^ 2 + (longitude + 74) ^ 2 < 1;
SELECT count(*) FROM rides r WHERE r.pickup_lat BETWEEN 19 AND 20 AND r.pickup_lon BETWEEN 72 AND 73 AND r.status = 'completed';
SELECT count(*) FROM rides r JOIN driver_locations l ON l.driver_id = r.driver_id WHERE r.region = 'us-east';
SELECT count(*) FROM rides r LEFT JOIN driver_locations l ON l.driver_id = r.driver_id AND l.latitude BETWEEN 40 AND 41;
DELETE FROM driver_locations WHERE driver_id = '00000000-0000-4000-8000-000000000002' AND latitude = 24.0 AND longitude = -65.00000001;
SELECT count(*) FROM driver_locations;
