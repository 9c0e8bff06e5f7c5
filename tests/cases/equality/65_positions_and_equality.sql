-- Parentheses that mean nothing, equalities of the user's own, what settings make of NULL, types that are the session's own.

-- positions and names of output columns in parentheses
SELECT code FROM codes ORDER BY (1) LIMIT 3;
SELECT meaning, code FROM codes ORDER BY ((2)), (1) LIMIT 4;
SELECT -k::int AS k FROM small ORDER BY (k) LIMIT 3;
WITH w AS (SELECT -k::int AS k FROM small ORDER BY (k) LIMIT 2) SELECT * FROM w ORDER BY 1;
SELECT code FROM codes ORDER BY (1) FETCH FIRST 2 ROWS WITH TIES;
SELECT id AS balance, balance AS id FROM accounts ORDER BY (id), (balance) LIMIT 2;
SELECT DISTINCT ON ((tenant)) tenant, -v AS v FROM tenants ORDER BY (tenant), (v);
SELECT region, count(*) FROM kinds GROUP BY (1) ORDER BY (2), (1) LIMIT 2;
SELECT region, count(*) c FROM kinds GROUP BY (region) HAVING count(*) > 0 ORDER BY (c) DESC, (region) LIMIT 1;
SELECT code COLLATE "C" n FROM codes ORDER BY (n) LIMIT 2;
SELECT * FROM small ORDER BY (1) LIMIT 1;
SELECT * FROM small ORDER BY (1) DESC NULLS LAST OFFSET 1 LIMIT 2;
SELECT region AS id, max(id) AS region FROM kinds GROUP BY region ORDER BY (id), (region);
SELECT region FROM kinds UNION SELECT region FROM maybe ORDER BY (1);
SELECT region, count(*), sum(count(*)) OVER (ORDER BY (region)) FROM kinds GROUP BY (region) ORDER BY (1);
-- error 42P10
SELECT code FROM codes ORDER BY (9);
-- error 42P10
SELECT code FROM codes ORDER BY (0);
-- error 42601
SELECT code FROM codes ORDER BY ('a');
-- error 42P10
SELECT code FROM codes ORDER BY -(1);
-- error 42P10
SELECT code FROM codes ORDER BY (-1);
-- may be refused
SELECT code FROM codes ORDER BY -(-(1)) LIMIT 2;

-- a null between braces
INSERT INTO codes VALUES ('NULL', 'the word');
SELECT meaning FROM codes WHERE code = ANY ('{NULL}') ORDER BY 1;
SELECT meaning FROM codes WHERE code = ANY ('{NULL,abc}') ORDER BY 1;
SET array_nulls = off;
SELECT meaning FROM codes WHERE code = ANY ('{NULL}') ORDER BY 1;
SELECT meaning FROM codes WHERE code = ANY ('{NULL,abc}') ORDER BY 1;
PREPARE by_code (text[]) AS SELECT meaning FROM codes WHERE code = ANY ($1) ORDER BY 1;
EXECUTE by_code ('{NULL,abc}');
DEALLOCATE by_code;
BEGIN;
-- may be refused
UPDATE codes SET meaning = 'x' WHERE code = ANY ('{NULL}');
ROLLBACK;
RESET array_nulls;
DELETE FROM codes WHERE code = 'NULL';

-- = NULL
SELECT count(*) FROM flags WHERE k = NULL;
SELECT count(*) FROM flags WHERE NULL = k;
SELECT count(*) FROM maybe WHERE region = NULL;
SELECT set_config('transform_null_equals', 'on', false);
SELECT count(*) FROM flags WHERE k = NULL;
SELECT count(*) FROM flags WHERE NULL = k AND v > 0;
SELECT count(*) FROM maybe WHERE region = NULL;
BEGIN;
-- may be refused
UPDATE flags SET v = v + 1 WHERE k = NULL;
ROLLBACK;
RESET transform_null_equals;

-- an equality of the user's
CREATE FUNCTION alike(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) OPERATOR(pg_catalog.=) length($2)';
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = alike);
SET search_path = public, pg_catalog;
-- may be refused
SELECT count(*) FROM codes x JOIN codes y USING (code);
-- may be refused
SELECT count(*) FROM codes x JOIN codes y ON x.code = y.code;
-- may be refused
SELECT count(*) FROM codes x WHERE EXISTS (SELECT FROM codes y WHERE y.code = x.code AND y.meaning <> x.meaning);
-- may be refused
SELECT count(*) FROM codes WHERE code IN (SELECT code FROM codes WHERE meaning = 'agent');
-- may be refused
SELECT count(*) FROM codes x LEFT JOIN codes y ON x.code = y.code AND y.meaning <> x.meaning;
-- may be refused
SELECT count(*) FROM codes x, codes y WHERE x.code = y.code AND x.code = 'abc';
-- may be refused
SELECT count(*) FROM codes x JOIN tenants y ON x.code = y.tenant;
SELECT count(*) FROM codes;
RESET search_path;
DROP OPERATOR public.= (text, text);
DROP FUNCTION alike(text, text);
SELECT count(*) FROM codes x JOIN codes y USING (code);

-- types of the session's own
CREATE DOMAIN rounded AS numeric;
CREATE TYPE place_mark AS (x int, y int);
CREATE DOMAIN pg_temp.rounded AS numeric(4,1);
-- may be refused
SELECT sum(2.55::rounded) FROM codes;
-- may be refused
SELECT k, 2.55::rounded FROM small WHERE k = 1;
-- may be refused
SELECT k, 2.55::rounded FROM small ORDER BY k;
SELECT 2.55::rounded;
BEGIN;
-- may be refused
INSERT INTO codes VALUES ('r', 2.55::rounded) RETURNING *;
ROLLBACK;
BEGIN;
-- may be refused
UPDATE codes SET meaning = 2.55::rounded WHERE code = 'abc';
ROLLBACK;
SELECT meaning FROM codes WHERE code = 'abc';
CREATE TEMP TABLE place_mark (x text, y text);
-- may be refused
SELECT (jsonb_populate_record(NULL::place_mark, '{"x":"01"}')).x, count(*) FROM codes GROUP BY 1;
SELECT (jsonb_populate_record(NULL::place_mark, '{"x":"01"}')).x;
DISCARD TEMP;
SELECT sum(2.55::rounded) FROM codes;
DROP DOMAIN rounded;
DROP TYPE place_mark;
