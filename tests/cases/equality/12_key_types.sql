-- Keys of every type in every spelling, partitions, children, and collations that fold.

SELECT * FROM "odd-name" WHERE region = 'ap-south';
SELECT v FROM "odd-name" ORDER BY id;
SELECT * FROM badges WHERE badge = 'a';
SELECT * FROM badges WHERE badge = 'a  ';
SELECT * FROM badges WHERE badge = 'a        ';
SELECT * FROM badges WHERE badge = '';
SELECT * FROM badges WHERE badge = '   ';
SELECT * FROM badges WHERE badge = ' c';
SELECT * FROM badges WHERE badge = 'a'::text;
SELECT * FROM badges WHERE badge = 'a  '::text;
SELECT * FROM badges WHERE badge = 'a  '::varchar;
SELECT * FROM badges WHERE badge = 'a  '::char(3);
SELECT * FROM badges WHERE badge::text = 'a';
SELECT * FROM badges WHERE badge::varchar = 'a ';
SELECT * FROM badges WHERE badge LIKE 'a%';
SELECT * FROM badges WHERE badge LIKE 'a';
SELECT * FROM badges WHERE badge IN ('a', 'b ', '007');
SELECT * FROM badges WHERE badge = ANY ('{a,"b   "}');
SELECT * FROM badges WHERE badge = '7';
-- params: a
SELECT * FROM badges WHERE badge = $1;
-- params: a  
SELECT * FROM badges WHERE badge = $1;
-- params: a
SELECT * FROM badges WHERE badge = $1::text;
-- params: b  
SELECT * FROM badges WHERE badge = $1::text;
-- params: b  
SELECT * FROM badges WHERE badge = $1::char(4);
SELECT * FROM devices WHERE device = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
SELECT * FROM devices WHERE device = '{a0eebc999c0b4ef8bb6d6bb9bd380a11}';
SELECT * FROM devices WHERE device = 'b0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'::uuid;
SELECT * FROM devices WHERE device::text = 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
SELECT * FROM devices WHERE device::text = 'B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
SELECT * FROM devices WHERE device = ANY ('{c0eebc999c0b4ef8bb6d6bb9bd380a11,00000000-0000-0000-0000-000000000000}'::uuid[]);
SELECT * FROM devices WHERE device = uuid 'c0eebc999c0b4ef8bb6d6bb9bd380a11';
SELECT * FROM devices WHERE device > 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
-- params: c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
SELECT * FROM devices WHERE device = $1;
-- params: C0EEBC999c0b4ef8bb6d6bb9bd380a11
SELECT * FROM devices WHERE device = $1::text::uuid;
SELECT * FROM small WHERE k = 1;
SELECT * FROM small WHERE k = '007';
SELECT * FROM small WHERE k = 007;
SELECT * FROM small WHERE k = 4.0;
SELECT * FROM small WHERE k = 4.5;
SELECT * FROM small WHERE k = -0.0;
SELECT * FROM small WHERE k = 5;
SELECT * FROM small WHERE k = 40000;
SELECT * FROM small WHERE k = 3::bigint;
SELECT * FROM small WHERE k = '3'::numeric;
SELECT * FROM small WHERE k IN (1, 2, 100000);
SELECT * FROM small WHERE k = ANY ('{1,2}'::int8[]);
SELECT * FROM small WHERE k = ANY (ARRAY[1, 2.0]);
SELECT * FROM small WHERE k = ANY ('{}');
SELECT * FROM small WHERE k = ANY (NULL);
SELECT * FROM small WHERE k = ANY (NULL::int2[]);
SELECT * FROM small WHERE k = ALL ('{}');
SELECT * FROM small WHERE k = ALL ('{1}');
SELECT * FROM small WHERE k <> ALL ('{1}');
SELECT * FROM small WHERE k <> ANY ('{1,2}');
SELECT * FROM small WHERE k = ANY ('{{1,2},{3,4}}');
SELECT * FROM small WHERE k = ANY ('[5:6]={1,2}');
SELECT * FROM small WHERE (k, v) IN ((1, 'one'), (NULL, 'two'));
SELECT * FROM small WHERE (k, v) NOT IN ((1, 'one'), (2, NULL));
SELECT * FROM small WHERE (k, v) = (2, 'two');
SELECT * FROM small WHERE (k, v) > (2, 'two');
SELECT * FROM small WHERE ROW(k) = ROW(2);
SELECT * FROM small WHERE k IS DISTINCT FROM 2;
SELECT * FROM small WHERE k IS NOT DISTINCT FROM 2;
SELECT * FROM small WHERE k IS NOT DISTINCT FROM NULL;
SELECT * FROM small WHERE k IS DISTINCT FROM NULL;
SELECT * FROM small WHERE NOT (k IS DISTINCT FROM 2);
SELECT * FROM small WHERE coalesce(k, 1) = 1;
SELECT * FROM small WHERE nullif(k, 1) IS NULL;
SELECT * FROM small WHERE k = coalesce(NULL, 2);
SELECT * FROM small WHERE k = greatest(1, 2);
SELECT * FROM small WHERE k = CASE WHEN v = 'one' THEN 1 ELSE 2 END;
SELECT * FROM small WHERE k = k;
SELECT * FROM small WHERE k = 1 IS TRUE;
SELECT * FROM small WHERE NOT k = 1;
SELECT * FROM small WHERE k BETWEEN 1 AND 1;
SELECT * FROM small WHERE k NOT BETWEEN 1 AND 32767;
SELECT * FROM small WHERE k = (SELECT 2);
SELECT * FROM small WHERE k IN (SELECT 2);
SELECT * FROM small WHERE k IN (VALUES (1), (2));
SELECT * FROM small WHERE k OPERATOR(pg_catalog.=) 2;
SELECT * FROM small s WHERE s = ROW(2, 'two')::small;
SELECT * FROM small s WHERE (s).k = 2;
SELECT * FROM small s WHERE (s.*) = (2::int2, 'two'::text);
SELECT * FROM small WHERE small.k = 2;
SELECT * FROM small WHERE public.small.k = 2;
SELECT * FROM small s JOIN (VALUES (2)) w (k) ON w.k = s.k;
SELECT * FROM small s JOIN LATERAL (SELECT s.k = 2 AS yes) w ON w.yes;
SELECT * FROM small NATURAL JOIN (SELECT 2::int2 AS k) w;
SELECT * FROM (SELECT k AS kk, v AS k FROM small) s WHERE s.k = 'two';
SELECT * FROM small AS s (v, k) WHERE v = 2;
SELECT * FROM small AS s (v, k) WHERE k = 'two';
-- params: 2
SELECT * FROM small WHERE k = $1;
-- params: 2
SELECT * FROM small WHERE k = $1::int8;
-- params: 2
SELECT * FROM small WHERE k = $1::int4;
-- params: 2
SELECT * FROM small WHERE k = $1::float8;
-- params: null
SELECT * FROM small WHERE k = $1;
-- params: null
SELECT * FROM small WHERE k IS NOT DISTINCT FROM $1;
-- params: 2 | 2
SELECT * FROM small WHERE k = $1 AND v <> $2::text;
-- params: 40000
SELECT * FROM small WHERE k = $1::int4;
-- params: 2
SELECT * FROM small WHERE $1 = k;
-- params: 2
SELECT * FROM small WHERE k = -(-$1::int4);
-- params: 2
SELECT * FROM small WHERE k = -$1::int4;
SELECT * FROM bookings WHERE day = '2024-01-01';
SELECT * FROM bookings WHERE day = '20240101';
SELECT * FROM bookings WHERE day = date '2024-1-1';
SELECT * FROM bookings WHERE day = '2024-01-01'::timestamp;
SELECT * FROM bookings WHERE day = '2024-01-01 12:00'::timestamp;
SELECT * FROM bookings WHERE day = '2024-01-01 00:00'::timestamptz;
SELECT * FROM bookings WHERE day >= '2023-12-31 23:59'::timestamp AND day < '2024-01-01 12:00'::timestamp;
SELECT * FROM bookings WHERE day < '2024-01-01';
SELECT * FROM bookings WHERE day <= '2024-01-01' ORDER BY day, id;
SELECT * FROM bookings WHERE day > '2024-12-31';
SELECT * FROM bookings WHERE day >= '2024-12-31';
SELECT * FROM bookings WHERE day BETWEEN '2024-01-01' AND '2024-12-31';
SELECT * FROM bookings WHERE day BETWEEN SYMMETRIC '2024-12-31' AND '2024-01-01';
SELECT * FROM bookings WHERE day BETWEEN 'infinity' AND 'infinity';
SELECT * FROM bookings WHERE day < '-infinity' OR day = 'infinity';
SELECT * FROM bookings WHERE day = date '2024-02-28' + 1;
SELECT * FROM bookings WHERE day = date 'epoch';
SELECT * FROM bookings WHERE day > now();
SELECT * FROM bookings WHERE extract(year FROM day) = 2024;
SELECT * FROM bookings WHERE date_trunc('year', day) = '2024-01-01';
-- params: 2024-01-01
SELECT * FROM bookings WHERE day = $1;
-- params: 2024-01-01
SELECT * FROM bookings WHERE day >= $1::date;
-- params: 01/01/2024
SELECT * FROM bookings WHERE day = $1;
-- params: 2024-01-01
SELECT * FROM bookings WHERE day <= $1::timestamp;
SET DateStyle = 'ISO, DMY';
SELECT * FROM bookings WHERE day = '01/02/2024';
SELECT * FROM bookings WHERE day < '02/01/2024';
RESET DateStyle;
SELECT * FROM bookings WHERE day = '01/02/2024';
SELECT * FROM flags WHERE k;
SELECT * FROM flags WHERE NOT k;
SELECT * FROM flags WHERE k IS TRUE;
SELECT * FROM flags WHERE k IS NOT TRUE;
SELECT * FROM flags WHERE k = 'yes';
SELECT * FROM flags WHERE k = (1 = 1);
SELECT * FROM flags WHERE k IS UNKNOWN;
SELECT * FROM flags WHERE k IS NULL;
SELECT * FROM flags WHERE k < true;
SELECT * FROM flags WHERE (k = false) = false;
SELECT * FROM folded WHERE word = 'word';
SELECT * FROM folded WHERE word = 'WORD';
SELECT count(*) FROM folded GROUP BY word;
SELECT count(DISTINCT word) FROM folded;
SELECT DISTINCT upper(word) FROM folded;
-- Which of the equal words is shown, the order of the rows decides.
-- rows only
SELECT DISTINCT word FROM folded;
SELECT count(*) FROM (SELECT DISTINCT word FROM folded) d;
SELECT * FROM folded WHERE word IN ('woRd');
SELECT * FROM folded WHERE word = 'word' COLLATE "C";
SELECT upper(min(word)) FROM folded;
SELECT a.id, b.id FROM folded a JOIN folded b ON a.word = b.word;
SELECT DISTINCT ON (word) upper(word) FROM folded ORDER BY word;
SELECT upper(word), count(*) FROM folded GROUP BY 1;
SELECT upper(max(word)) FROM folded;
-- may be refused
SELECT count(*) FROM folded WHERE word LIKE 'wo%';
SELECT count(*) FROM folded GROUP BY word COLLATE "C";
SELECT array_agg(id ORDER BY word, id) FROM folded;
SELECT * FROM folded ORDER BY word, id;
SELECT * FROM events WHERE region = 'us-east' ORDER BY id;
SELECT * FROM events ORDER BY id;
SELECT * FROM events_2024 ORDER BY id;
SELECT * FROM events_2024_us WHERE region = 'us-east';
SELECT * FROM events_2024_rest;
SELECT count(*) FROM ONLY events;
SELECT count(*) FROM ONLY events_2024;
-- may be refused
SELECT tableoid::regclass, count(*) FROM events GROUP BY 1;
SELECT e.*, t.amount FROM events e JOIN tips t ON t.region = e.region ORDER BY e.id, t.id;
SELECT e.id, f.id FROM events e JOIN events_2024 f ON f.region = e.region ORDER BY 1, 2;
SELECT * FROM tips ORDER BY id;
SELECT * FROM ONLY tips ORDER BY id;
SELECT * FROM tips_extra ORDER BY id;
-- may be refused
SELECT * FROM tips* WHERE region = 'eu-central' ORDER BY id;
SELECT sum(doubled) FROM tips;
