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

-- Keys of other types, partitions, children, and a table of another shard.

CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE "odd-name" (id int, region varchar(50) NOT NULL, v text, PRIMARY KEY (region, id));
CREATE TABLE badges (badge char(6) PRIMARY KEY, owner text);
CREATE TABLE devices (device uuid PRIMARY KEY, label text);
CREATE TABLE folded (id int PRIMARY KEY, word text COLLATE folding);
CREATE TABLE small (k smallint PRIMARY KEY, v text);
CREATE TABLE bookings (day date, id int, v text, PRIMARY KEY (day, id));
CREATE TABLE flags (k boolean, v int);
CREATE TABLE events (day date NOT NULL, region varchar(50) NOT NULL, id int, v text) PARTITION BY RANGE (day);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (region);
CREATE TABLE events_2024_us PARTITION OF events_2024 FOR VALUES IN ('us-east', 'us-west');
CREATE TABLE events_2024_rest PARTITION OF events_2024 DEFAULT;
CREATE TABLE tips (id int, region varchar(50) NOT NULL, amount numeric(8,2), doubled numeric GENERATED ALWAYS AS (amount * 2) STORED, note text DEFAULT 'none', PRIMARY KEY (region, id));
CREATE TABLE tips_extra (bonus int) INHERITS (tips);
CREATE TABLE journal (id int, what text);
CREATE TABLE grades (code varchar(10) PRIMARY KEY, title text, n int DEFAULT 1);
CREATE TABLE stock (item text PRIMARY KEY, n int);

INSERT INTO "odd-name" VALUES (1, 'us-east', 'a');
INSERT INTO "odd-name" VALUES (2, 'ap-south', 'b');
INSERT INTO badges VALUES ('a', 'ann');
INSERT INTO badges VALUES ('a     ', 'x') ON CONFLICT DO NOTHING;
INSERT INTO badges VALUES ('b  ', 'bob');
INSERT INTO badges VALUES ('', 'empty');
INSERT INTO badges VALUES (' c', 'blank before');
INSERT INTO badges VALUES ('007', 'agent');
INSERT INTO devices VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'plain');
INSERT INTO devices VALUES ('{B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}', 'braces and capitals');
INSERT INTO devices VALUES ('c0eebc999c0b4ef8bb6d6bb9bd380a11', 'without hyphens');
INSERT INTO devices VALUES ('00000000-0000-0000-0000-000000000000', 'nil');
INSERT INTO small VALUES (1, 'one');
INSERT INTO small VALUES (-1, 'minus one');
INSERT INTO small VALUES (32767, 'most');
INSERT INTO small VALUES ('-32768', 'least');
-- may be refused
INSERT INTO small VALUES (+2, 'two');
INSERT INTO small VALUES (' 3 ', 'three');
INSERT INTO small VALUES ('007', 'seven');
INSERT INTO small VALUES (4.0, 'four');
-- may be refused
INSERT INTO small VALUES (5.4, 'five');
INSERT INTO bookings VALUES ('2023-12-31', 1, 'before');
INSERT INTO bookings VALUES ('2024-01-01', 1, 'first');
INSERT INTO bookings VALUES ('2024-02-29', 1, 'leap');
INSERT INTO bookings VALUES ('2025-01-01', 1, 'after');
-- may be refused
INSERT INTO bookings VALUES ('01/02/2024', 2, 'spelt otherwise');
-- may be refused
INSERT INTO bookings VALUES ('Jan 3, 2024', 3, 'spelt otherwise');
-- may be refused
INSERT INTO bookings VALUES ('infinity', 4, 'never');
-- may be refused
INSERT INTO bookings VALUES ('-infinity', 4, 'ever');
-- may be refused
INSERT INTO bookings VALUES ('0044-03-15 BC', 5, 'ides');
INSERT INTO flags VALUES (true, 1);
INSERT INTO flags VALUES ('f', 2);
INSERT INTO flags VALUES ('no', 3);
INSERT INTO flags VALUES ('ON', 4);
INSERT INTO flags VALUES (NULL, 5);
INSERT INTO folded VALUES (1, 'word');
INSERT INTO folded VALUES (2, 'Word');
INSERT INTO folded VALUES (3, 'WORD');
INSERT INTO folded VALUES (4, 'other');
INSERT INTO folded VALUES (5, 'Other');
INSERT INTO folded VALUES (6, NULL);
INSERT INTO events VALUES ('2023-05-05', 'us-east', 1, 'a');
INSERT INTO events VALUES ('2024-05-05', 'us-west', 2, 'b');
INSERT INTO events VALUES ('2024-05-05', 'eu-central', 3, 'c');
INSERT INTO events_2024 VALUES ('2024-06-05', 'ap-south', 4, 'd');
INSERT INTO events_2024_us VALUES ('2024-06-05', 'us-east', 5, 'e');
INSERT INTO tips VALUES (1, 'us-east', 1.50);
INSERT INTO tips VALUES (2, 'eu-central', 2.50);
INSERT INTO tips_extra (id, region, amount, bonus) VALUES (3, 'us-west', 3.50, 9);
INSERT INTO tips_extra (id, region, amount, bonus) VALUES (4, 'eu-central', 4.50, 8);
INSERT INTO journal VALUES (1, 'begin');
INSERT INTO grades (code, title) VALUES ('a', 'first'), ('b', 'second');
INSERT INTO stock VALUES ('bolt', 5), ('nut', 7);
