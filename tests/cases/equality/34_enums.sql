-- Enums sort by their own order, and have other numbers on every server.

CREATE TYPE other."Mood" AS ENUM ('zen', 'angry', 'ok', 'Über');
CREATE TABLE moods (id int PRIMARY KEY, mood other."Mood", was other."Mood", n int);
INSERT INTO moods VALUES (1, 'ok', 'zen', 5);
INSERT INTO moods VALUES (2, 'zen', 'zen', 7);
INSERT INTO moods VALUES (3, 'angry', NULL, 1);
INSERT INTO moods VALUES (4, 'Über', 'angry', 2);
INSERT INTO moods VALUES (5, NULL, 'ok', 3);
INSERT INTO moods VALUES (6, 'ok', 'ok', 4);
INSERT INTO moods VALUES (7, 'zen', 'Über', NULL);
INSERT INTO moods VALUES (8, 'angry', 'angry', 9);
SELECT mood, count(*), sum(n) FROM moods GROUP BY mood;
SELECT mood, was, max(n) FROM moods GROUP BY 1, 2 ORDER BY 1 DESC, 2 NULLS FIRST;
SELECT id, mood FROM moods ORDER BY mood, id;
SELECT id, mood FROM moods ORDER BY mood DESC, id LIMIT 3;
SELECT DISTINCT mood FROM moods ORDER BY mood;
SELECT max(mood), min(was), count(DISTINCT was), array_agg(DISTINCT mood)::text[] FROM moods;
SELECT was FROM moods GROUP BY was HAVING max(mood) > 'zen' ORDER BY was;
SELECT DISTINCT ON (mood) mood, id FROM moods ORDER BY mood, id;
SELECT mood, rank() OVER (ORDER BY mood, id) FROM moods ORDER BY id;
SELECT mood FROM moods UNION ALL SELECT was FROM moods ORDER BY mood;
SELECT string_agg(DISTINCT mood::text, ','), max(n) FROM moods WHERE was >= 'angry';
