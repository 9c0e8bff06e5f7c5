-- What the other files need beside the standing example.

CREATE TABLE kinds (
  id int, region varchar(50) NOT NULL, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(10,2),
  t text, vc varchar(20), ch char(6), b boolean, by bytea, d date, ts timestamp, tz timestamptz, iv interval, u uuid,
  j jsonb, a int[], ip inet, bt bit(4), ti time, PRIMARY KEY (region, id)
);
CREATE TABLE maybe (id int, region varchar(50), v text);
CREATE TABLE accounts (id bigint PRIMARY KEY, owner text, balance numeric(12,2) NOT NULL DEFAULT 0);
CREATE TABLE codes (code text PRIMARY KEY, meaning text);
CREATE TABLE tenants (tenant text, id int, v int, PRIMARY KEY (tenant, id));
CREATE TABLE measures (n int PRIMARY KEY, v double precision);
CREATE TABLE "Mixed" ("Id" int, "Region" varchar(50) NOT NULL, "Select" text, PRIMARY KEY ("Region", "Id"));
CREATE TABLE fares (region varchar(50) PRIMARY KEY, base numeric(6,2), per_km numeric(6,2));
CREATE TABLE notes (id int PRIMARY KEY, region varchar(50), body text);
CREATE SCHEMA other;
CREATE TABLE other.rides (id int PRIMARY KEY, region varchar(50), label text);

INSERT INTO kinds (id, region, i2, i8, f4, f8, n, n2, t, vc, ch, b, by, d, ts, tz, iv, u, j, a, ip, bt, ti) VALUES (1, 'us-east', 1, 9223372036854775806, 1.5, 0.1, 1.10, 10.00, 'alpha', 'alpha', 'ab', true, '\x00ff', '2020-02-29', '2020-02-29 12:00', '2020-02-29 12:00+00', '1 mon', '00000000-0000-0000-0000-000000000001', '{"a": 1}', '{1,2}', '10.0.0.1', B'0101', '12:00');
INSERT INTO kinds (id, region, i2, i8, f4, f8, n, n2, t, vc, ch, b, by, d, ts, tz, iv, u, j, a, ip, bt, ti) VALUES (2, 'us-west', 2, 9223372036854775806, -0.0, '-0', 1.1, 20.50, 'Alpha', 'Beta', 'ab    ', false, '\x', '-infinity', '-infinity', 'infinity', '30 days', '00000000-0000-0000-0000-000000000002', '{"b": [1, null]}', '{NULL,3}', '10.0.0.2/8', B'1111', '00:00');
INSERT INTO kinds (id, region, i2, i8, f4, f8, n, n2, t, vc, ch, b, by, d, ts, tz, iv, u, j, a, ip, bt, ti) VALUES (3, 'eu-central', -3, 1, 'NaN', 'NaN', 'NaN', -0.01, 'ärger', '', 'b', NULL, '\x41', '0044-03-15 BC', '1969-07-20 20:17:40.123456', '2020-03-29 02:30+01', '720 hours', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null', '{}', '::1', B'0000', '23:59:59.999999');
INSERT INTO kinds (id, region, i2, i8, f4, f8, n, n2, t, vc, ch, b, by, d, ts, tz, iv, u, j, a, ip, bt, ti) VALUES (4, 'ap-south', 32767, -9223372036854775808, 'Infinity', '-Infinity', '123456789012345678901234567890.123456789', 99999999.99, 'zebra', 'zebra', '', true, '\xffff', 'infinity', 'infinity', '-infinity', '-1 days', '12345678-1234-1234-1234-123456789abc', '[]', '{{1,2},{3,4}}', '192.168.1.0/24', B'1000', '24:00');
INSERT INTO kinds (id, region) VALUES (5, 'us-east');
INSERT INTO kinds (id, region, t, n) VALUES (6, 'us-west', '', 0.00);
INSERT INTO kinds (id, region, t, n, f8) VALUES (7, 'eu-central', 'alpha', 1.100, 0);
INSERT INTO maybe VALUES (1, 'us-east', 'a');
INSERT INTO maybe VALUES (2, NULL, 'b');
INSERT INTO maybe VALUES (3, 'eu-central', NULL);
INSERT INTO maybe VALUES (4, NULL, NULL);
INSERT INTO maybe VALUES (5, 'ap-south', 'c');
INSERT INTO accounts VALUES (1, 'ann', 10.00);
INSERT INTO accounts VALUES (2, 'bob', 20.50);
INSERT INTO accounts VALUES (3, 'cat', 0.00);
INSERT INTO accounts VALUES (4, 'dan', -5.25);
INSERT INTO accounts VALUES (5, 'eve', 99.99);
INSERT INTO accounts VALUES (6, 'fay', 1.00);
INSERT INTO accounts VALUES (-1, 'gus', 3.00);
INSERT INTO accounts VALUES (0, 'hal', 7.77);
INSERT INTO accounts VALUES (9223372036854775807, 'ida', 1.01);
INSERT INTO accounts VALUES (-9223372036854775808, 'jan', 2.02);
INSERT INTO accounts VALUES (1000, 'kim', 5);
INSERT INTO accounts VALUES (1001, 'leo', 6);
INSERT INTO codes VALUES ('007', 'agent');
INSERT INTO codes VALUES ('7', 'seven');
INSERT INTO codes VALUES ('7 ', 'seven and a blank');
INSERT INTO codes VALUES ('', 'empty');
INSERT INTO codes VALUES ('ABC', 'upper');
INSERT INTO codes VALUES ('abc', 'lower');
INSERT INTO codes VALUES ('it''s', 'quoted');
INSERT INTO codes VALUES (E'tab\tnewline\nback\\slash', 'escapes');
INSERT INTO codes VALUES ('äöü', 'umlauts');
INSERT INTO tenants VALUES ('acme', 1, 10);
INSERT INTO tenants VALUES ('007', 1, 20);
INSERT INTO tenants VALUES ('Straße', 1, 30);
INSERT INTO tenants VALUES ('', 1, 40);
INSERT INTO tenants VALUES ('anyone', 1, 50);
INSERT INTO tenants VALUES ('Acme', 2, 60);
INSERT INTO measures VALUES (-1, 1.5);
INSERT INTO measures VALUES (0, 2.5);
INSERT INTO measures VALUES (99, 3.5);
INSERT INTO measures VALUES (100, 4.5);
INSERT INTO measures VALUES (-2147483648, 5.5);
INSERT INTO measures VALUES (2147483647, 6.5);
INSERT INTO "Mixed" VALUES (1, 'us-east', 'a');
INSERT INTO "Mixed" VALUES (2, 'ap-south', 'b');
INSERT INTO fares VALUES ('us-east', 2.50, 1.60), ('us-west', 2.75, 1.70), ('eu-central', 3.00, 1.90), ('ap-south', 0.80, 0.35), ('nowhere', 1, 1);
INSERT INTO notes SELECT i, (ARRAY['us-east','us-west','eu-central','ap-south'])[i % 4 + 1], 'note ' || i FROM generate_series(1, 40) i;
INSERT INTO other.rides VALUES (1, 'us-east', 'not a ride');
INSERT INTO other.rides VALUES (2, 'ap-south', 'nor this');
