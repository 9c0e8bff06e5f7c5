-- Positions at the edges: borders, poles, the antimeridian, swapped, infinite, not a number; and distances.

-- may be refused
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 'NaN', -80.0, 'dpp', '2024-01-01');
-- may be refused
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 40.0, 'Infinity', 'dpp', '2024-01-01');
-- may be refused
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', '-Infinity', '-Infinity', 'dpp', '2024-01-01');
-- refused with 23514
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', -80.0, 40.0, 'dpp', '2024-01-01');
-- refused with 23514
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 90.0, 0.0, 'dpp', '2024-01-01');
-- refused with 22003
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 40.0, 280.0, 'dpp', '2024-01-01');
-- refused with 22003
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 40.0, -440.0, 'dpp', '2024-01-01');
-- refused with 23502
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', NULL, NULL, 'dr5', '2024-01-01');
-- refused with 23514
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', NULL, -80.0, 'dpp', '2024-01-01');
-- refused with 22P02
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 40.0, -80.0, 'DPP', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-00000000001b', 40.0, -80.0, '', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000010', 40.0, -80.0, 'dpp5e', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000011', 4e1, -8.00E1, 'dpp5e', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000012', '40.5', ' -80.5 ', 'dpny2', '2024-01-01');
-- may be refused
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000013', 40.5::numeric, -80.5::float4, 'dpny2', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000014', 24.0, -99.99999999999999, '9u2bs', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000015', 24.0, -100.00000000000001, '9u2bs', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000016', 49.99999999999999, -99.99999999999999, 'cbbuk', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000017', 24.0, -100.000000000000001, '9u2bs', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000018', 0.0, 100.0, 'w0p05', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-000000000019', -0.0, 100.0, 'w0p05', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-00000000001a', 52.0, -0.0, 'u10pb', '2024-01-01');
INSERT INTO driver_locations VALUES ('00000000-0000-4000-8000-00000000001c', 41.0, -81.0, 'd', '2024-01-01');
SELECT driver_id, latitude, longitude FROM driver_locations WHERE longitude < -99.9 AND latitude < 24.1;
SELECT driver_id FROM driver_locations WHERE longitude = -100 AND latitude = 24;
SELECT driver_id FROM driver_locations WHERE longitude = -100.0::float4;
SELECT driver_id FROM driver_locations WHERE longitude >= -100 AND longitude < -99.99;
SELECT driver_id FROM driver_locations WHERE longitude > -100.1 AND longitude < -100;
SELECT driver_id FROM driver_locations WHERE latitude = 0;
SELECT driver_id FROM driver_locations WHERE latitude = -0.0;
SELECT driver_id FROM driver_locations WHERE latitude <= 0 AND longitude > 99;
SELECT driver_id FROM driver_locations WHERE latitude BETWEEN -0.0 AND 0.0;
SELECT driver_id FROM driver_locations WHERE longitude BETWEEN -0.0 AND 0.0;
SELECT count(*) FROM driver_locations WHERE longitude BETWEEN 170 AND -170;
SELECT count(*) FROM driver_locations WHERE longitude >= 170 OR longitude <= -99;
SELECT count(*) FROM driver_locations WHERE longitude NOT BETWEEN -99 AND 170;
SELECT count(*) FROM driver_locations WHERE longitude BETWEEN -540 AND 540;
SELECT count(*) FROM driver_locations WHERE latitude > 89;
SELECT count(*) FROM driver_locations WHERE latitude BETWEEN -90 AND -89;
SELECT count(*) FROM driver_locations WHERE latitude < 'Infinity' AND longitude = 'NaN';
SELECT count(*) FROM driver_locations WHERE latitude <> 'NaN';
SELECT count(*) FROM driver_locations WHERE latitude >= '-Infinity' AND longitude <= 'NaN';
SELECT count(*) FROM driver_locations WHERE latitude BETWEEN -80 AND -70 AND longitude BETWEEN 40 AND 41;
SELECT count(*) FROM driver_locations WHERE latitude IN (40, 40.5) AND longitude IN (-80, -80.5);
SELECT count(*) FROM driver_locations WHERE latitude = ANY ('{40,40.5,NaN}') AND longitude = ANY (ARRAY[-80, NULL, -80.5]);
SELECT count(*) FROM driver_locations WHERE (latitude, longitude) = (40, -80);
SELECT count(*) FROM driver_locations WHERE (latitude, longitude) IN ((40, -80), (40.5, -80.5));
SELECT count(*) FROM driver_locations WHERE (latitude, longitude) > (40, -80);
SELECT count(*) FROM driver_locations WHERE point(longitude, latitude) <@ box '((-81,39),(-79,41))';
SELECT driver_id FROM driver_locations WHERE latitude BETWEEN 39 AND 41 ORDER BY point(longitude, latitude) <-> point '(-80,40)', driver_id LIMIT 5;
SELECT driver_id FROM driver_locations ORDER BY point(longitude, latitude) <-> point '(-80,40)', driver_id LIMIT 5;
SELECT driver_id FROM driver_locations WHERE circle(point(longitude, latitude), 1) @> point '(-100,24)';
SELECT count(*) FROM driver_locations WHERE abs(longitude + 100) < 0.001;
SELECT count(*) FROM driver_locations WHERE -longitude > 99.99;
SELECT count(*) FROM driver_locations WHERE latitude BETWEEN SYMMETRIC 41 AND 39;
SELECT count(*) FROM driver_locations WHERE geohash = 'dpp' AND latitude IS NOT NULL;
SELECT count(*) FROM driver_locations WHERE geohash IS NULL;
SELECT count(*) FROM driver_locations WHERE geohash = '';
SELECT count(*) FROM driver_locations WHERE geohash <= '';
SELECT count(*) FROM driver_locations WHERE geohash < 'a';
SELECT count(*) FROM driver_locations WHERE geohash < '0';
SELECT count(*) FROM driver_locations WHERE geohash BETWEEN '' AND '1';
SELECT count(*) FROM driver_locations WHERE geohash LIKE '';
SELECT count(*) FROM driver_locations WHERE geohash = 'd';
SELECT count(*) FROM driver_locations WHERE geohash <= 'd';
SELECT count(*) FROM driver_locations WHERE geohash < 'd0';
SELECT count(*) FROM driver_locations WHERE geohash BETWEEN 'c' AND 'd';
SELECT count(*) FROM driver_locations WHERE geohash > 'czzzz' AND geohash < 'd0';
SELECT count(*) FROM driver_locations WHERE geohash LIKE 'd';
SELECT count(*) FROM driver_locations WHERE geohash LIKE 'd_';
SELECT count(*) FROM driver_locations WHERE geohash IN ('', 'd', 'x');
SELECT count(*) FROM driver_locations WHERE geohash >= 'd' AND geohash < 'd000';
SELECT count(*) FROM driver_locations WHERE geohash <> '';
SELECT count(*) FROM driver_locations WHERE geohash > '' AND geohash < 'dr';
SELECT count(*) FROM driver_locations WHERE geohash LIKE 'dp%' OR geohash IS NULL;
SELECT count(*) FROM driver_locations WHERE geohash LIKE U&'\0064pp%';
SELECT count(*) FROM driver_locations WHERE geohash = 'DPP';
SELECT count(*) FROM driver_locations WHERE lower(geohash) = 'dpp';
-- params: 40 | -80
SELECT driver_id FROM driver_locations WHERE latitude = $1 AND longitude = $2;
-- params: NaN | Infinity
SELECT count(*) FROM driver_locations WHERE latitude <= $1 AND longitude < $2;
-- params: 24 | -100.00000000000001
SELECT driver_id FROM driver_locations WHERE latitude = $1 AND longitude = $2;
UPDATE driver_locations SET latitude = 40.1, longitude = -80.1, geohash = 'dpph1' WHERE driver_id = '00000000-0000-4000-8000-000000000011' AND latitude = 40 AND longitude = -80;
-- may be refused
UPDATE driver_locations SET latitude = 19.1, longitude = 72.9, geohash = 'te7ud' WHERE driver_id = '00000000-0000-4000-8000-000000000011' AND latitude = 40.1 AND longitude = -80.1;
-- may be refused
UPDATE driver_locations SET longitude = -101 WHERE latitude = 24.0 AND longitude = -99.99999999999999;
-- may be refused
UPDATE driver_locations SET geohash = 'x' WHERE latitude = 24.0 AND longitude = -99.99999999999999;
-- may be refused
UPDATE driver_locations SET latitude = 'NaN', longitude = -80, geohash = 'x' WHERE latitude = 24.0 AND longitude = -99.99999999999999;
DELETE FROM driver_locations WHERE latitude = 24.0 AND longitude = -100.00000000000001 RETURNING driver_id;
DELETE FROM driver_locations WHERE latitude BETWEEN -1 AND 1 AND longitude BETWEEN 99 AND 101;
SELECT driver_id, latitude, longitude, geohash FROM driver_locations WHERE updated_at = '2024-01-01' ORDER BY driver_id;
DELETE FROM driver_locations WHERE latitude BETWEEN 24 AND 50 AND longitude BETWEEN -100 AND -66 AND updated_at = '2024-01-01';
