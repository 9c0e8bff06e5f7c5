-- Code that no statement shows: functions, triggers, rules, operators, casts, domains, defaults, policies.

-- a rule on a table of one shard
CREATE RULE also AS ON INSERT TO journal DO ALSO INSERT INTO tips (id, region, amount) VALUES (NEW.id, 'us-west', 1);
-- may be refused
INSERT INTO journal VALUES (2, 'with a rule');
SELECT count(*) FROM tips;
DROP RULE also ON journal;
CREATE RULE instead AS ON UPDATE TO journal DO INSTEAD UPDATE grades SET n = n + 1;
-- may be refused
UPDATE journal SET what = 'x' WHERE id = 1;
SELECT sum(n) FROM grades;
DROP RULE instead ON journal;
CREATE VIEW journal_view AS SELECT * FROM journal;
CREATE FUNCTION tip_too() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO tips (id, region, amount) VALUES (NEW.id, 'us-west', 1); RETURN NEW; END $$;
CREATE TRIGGER tip_too AFTER INSERT ON journal FOR EACH ROW EXECUTE FUNCTION tip_too();
-- may be refused
INSERT INTO journal VALUES (3, 'direct');
-- may be refused
INSERT INTO journal_view VALUES (4, 'through a view');
-- may be refused
WITH new AS (INSERT INTO journal VALUES (5, 'with') RETURNING *) SELECT * FROM new;
-- may be refused
COPY (INSERT INTO journal VALUES (6, 'copy') RETURNING id) TO STDOUT;
-- may be refused
MERGE INTO journal j USING (VALUES (7)) w (id) ON w.id = j.id WHEN NOT MATCHED THEN INSERT VALUES (7, 'merge');
-- may be refused
PREPARE p AS INSERT INTO journal VALUES (8, 'prepared');
-- may be refused
EXPLAIN ANALYZE INSERT INTO journal VALUES (9, 'explained');
-- may be refused
DO $$ BEGIN INSERT INTO journal VALUES (10, 'do'); END $$;
SELECT count(*) FROM tips;
DROP TRIGGER tip_too ON journal;
CREATE TRIGGER tip_too INSTEAD OF INSERT ON journal_view FOR EACH ROW EXECUTE FUNCTION tip_too();
-- may be refused
INSERT INTO journal_view VALUES (11, 'instead');
SELECT count(*) FROM tips;
DROP VIEW journal_view;
DROP FUNCTION tip_too() CASCADE;
-- functions
CREATE FUNCTION grade_up() RETURNS int LANGUAGE sql AS 'UPDATE grades SET n = n + 1; SELECT 1';
-- may be refused
SELECT grade_up();
SELECT sum(n) FROM grades;
CREATE PROCEDURE grade_all() LANGUAGE sql AS 'UPDATE grades SET n = n + 1';
-- may be refused
CALL grade_all();
SELECT sum(n) FROM grades;
CREATE FUNCTION log_line() RETURNS bigint LANGUAGE sql AS $$ INSERT INTO journal VALUES (20, 'line'); SELECT count(*) FROM journal $$;
SELECT log_line();
-- may be refused
SELECT log_line() FROM tips WHERE region = 'us-west';
SELECT log_line() FROM tips WHERE region = 'us-east';
CREATE FUNCTION lines() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM journal';
SELECT lines();
-- may be refused
SELECT lines() FROM tips WHERE region = 'eu-central';
-- may be refused
SELECT lines() FROM stock;
-- may be refused
UPDATE tips SET note = lines()::text WHERE region = 'eu-central';
SELECT note FROM tips ORDER BY id;
CREATE FUNCTION stocked() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(n) FROM stock';
SELECT stocked();
SELECT * FROM stocked();
SELECT stocked() FROM stock;
CREATE FUNCTION tipped() RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM public.tips';
-- may be refused
SELECT tipped();
-- may be refused
PREPARE p AS SELECT tipped();
-- may be refused
PREPARE p AS SELECT query_to_xml('SELECT count(*) FROM tips', true, true, '')::text;
-- may be refused
CREATE TEMP VIEW tipping AS SELECT tipped() AS n;
-- may be refused
CREATE TEMP TABLE tipping (n numeric DEFAULT tipped());
-- may be refused
CREATE TEMP TABLE tipping AS SELECT tipped();
-- may be refused
CREATE FUNCTION pg_temp.tipped_here() RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM tips';
CREATE VIEW tipped_view AS SELECT tipped() AS n;
-- may be refused
SELECT * FROM tipped_view;
DROP VIEW tipped_view;
CREATE MATERIALIZED VIEW tipped_view AS SELECT tipped() AS n;
-- may be refused
SELECT * FROM tipped_view;
DROP MATERIALIZED VIEW tipped_view;
CREATE MATERIALIZED VIEW tipped_view AS SELECT sum(amount) AS n FROM tips;
-- may be refused
SELECT * FROM tipped_view;
REFRESH MATERIALIZED VIEW tipped_view;
-- may be refused
SELECT * FROM tipped_view;
DROP MATERIALIZED VIEW tipped_view;
-- aggregates
CREATE FUNCTION step(a numeric, b int) RETURNS numeric LANGUAGE sql AS 'SELECT coalesce(a, 0) + (SELECT sum(amount) FROM tips)';
CREATE AGGREGATE tip_agg(int) (sfunc = step, stype = numeric);
-- may be refused
SELECT tip_agg(id) FROM journal;
-- may be refused
SELECT tip_agg(1);
-- may be refused
SELECT tip_agg(id) OVER () FROM journal WHERE id = 1;
CREATE AGGREGATE plain_agg(int) (sfunc = int4pl, stype = int, initcond = '0');
SELECT plain_agg(id) FROM journal WHERE id = 1;
SELECT plain_agg(id) FROM tips;
-- operators and casts
CREATE FUNCTION tips_above(a int, b int) RETURNS numeric LANGUAGE sql AS 'SELECT sum(amount) FROM tips WHERE id > a + b';
CREATE OPERATOR <+> (leftarg = int, rightarg = int, function = tips_above);
-- may be refused
SELECT 0 <+> 0;
-- may be refused
SELECT 0 OPERATOR(public.<+>) 0;
-- may be refused
SELECT id <+> 0 FROM journal WHERE id = 1;
-- may be refused
SELECT count(*) FROM tips WHERE region = 'us-west' AND 0 <+> 0 > 1;
-- may be refused
PREPARE p AS SELECT 0 <+> 0;
CREATE FUNCTION calls_operator() RETURNS numeric LANGUAGE sql AS 'SELECT 0 <+> 0';
-- may be refused
SELECT calls_operator();
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION pair_tips(p pair) RETURNS numeric LANGUAGE sql AS 'SELECT sum(amount) FROM tips';
CREATE CAST (pair AS numeric) WITH FUNCTION pair_tips(pair);
-- may be refused
SELECT ROW(1, 2)::pair::numeric;
-- may be refused
SELECT CAST(ROW(1, 2)::pair AS numeric);
CREATE DOMAIN tipping AS int CHECK (VALUE < (tipped() + 0));
-- may be refused
SELECT 9::tipping;
CREATE TABLE with_domain (a tipping);
-- may be refused
INSERT INTO with_domain VALUES (10);
DROP TABLE with_domain;
CREATE TABLE with_default (a int, b numeric DEFAULT tipped());
-- may be refused
INSERT INTO with_default VALUES (1);
-- may be refused
INSERT INTO with_default DEFAULT VALUES;
SELECT * FROM with_default;
DROP TABLE with_default;
CREATE TABLE with_check (a int CHECK (a < tipped()));
-- may be refused
INSERT INTO with_check VALUES (10);
DROP TABLE with_check;
-- may be refused
ALTER TABLE "odd-name" ADD COLUMN total numeric DEFAULT tipped();
-- may be refused
ALTER TABLE accounts ADD COLUMN seq serial;
-- may be refused
ALTER TABLE accounts ADD COLUMN seq int GENERATED ALWAYS AS IDENTITY;
-- computed fields: a function of a row, written as a column
CREATE FUNCTION all_tips(t tips) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM tips';
-- may be refused
SELECT t.all_tips FROM tips t WHERE t.region = 'us-west' AND t.id = 3;
-- may be refused
SELECT t.all_tips FROM tips t;
-- may be refused
SELECT (t).all_tips FROM tips t WHERE region = 'us-west';
-- may be refused
SELECT tips.all_tips FROM tips WHERE region = 'us-west' ORDER BY tips.all_tips;
-- may be refused
SELECT count(*) FROM tips t WHERE region = 'us-west' AND t.all_tips > 5;
CREATE FUNCTION journal_tips(j journal) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(amount) FROM tips';
-- may be refused
SELECT j.journal_tips FROM journal j WHERE j.id = 1;
-- row security
CREATE POLICY seen ON journal USING (EXISTS (SELECT FROM tips WHERE amount > 3));
CREATE POLICY seen ON tips USING (EXISTS (SELECT FROM stock));
ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal FORCE ROW LEVEL SECURITY;
-- may be refused
SELECT count(*) FROM journal;
-- may be refused
DELETE FROM journal WHERE id = -1;
ALTER TABLE journal NO FORCE ROW LEVEL SECURITY;
ALTER TABLE journal DISABLE ROW LEVEL SECURITY;
ALTER TABLE tips ENABLE ROW LEVEL SECURITY;
ALTER TABLE tips FORCE ROW LEVEL SECURITY;
-- may be refused
SELECT count(*) FROM tips;
-- may be refused
SELECT count(*) FROM tips WHERE region = 'us-west';
ALTER TABLE tips NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tips DISABLE ROW LEVEL SECURITY;
-- names in bodies
CREATE FUNCTION odd() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM "odd-name"';
-- may be refused
SELECT odd();
CREATE FUNCTION atomic() RETURNS numeric LANGUAGE sql BEGIN ATOMIC SELECT sum(amount) FROM tips; END;
-- may be refused
SELECT atomic();
CREATE FUNCTION by_child() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM tips_extra';
-- may be refused
SELECT by_child();
CREATE FUNCTION by_default(n numeric DEFAULT tipped()) RETURNS numeric LANGUAGE sql AS 'SELECT n';
-- may be refused
SELECT by_default();
-- may be refused
SELECT sum(amount) FILTER (WHERE tipped() > 1) FROM tips WHERE region = 'us-west';
-- may be refused
SELECT * FROM journal, LATERAL tipped();
-- may be refused
SELECT * FROM ROWS FROM (tipped(), lines()) AS r;
-- may be refused
VALUES (tipped());
-- may be refused
TABLE journal ORDER BY tipped(), id;
-- may be refused
INSERT INTO journal VALUES (tipped()::int, 'x');
-- may be refused
DELETE FROM journal WHERE id = tipped()::int;
-- may be refused
SELECT id FROM journal WHERE id < 2 LIMIT tipped()::int;
-- may be refused
SELECT 1 FROM journal GROUP BY tipped();
-- may be refused
SET LOCAL meridian.consistency = 'strong'; SELECT tipped();
-- may be refused
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT tipped();
DROP FUNCTION tipped() CASCADE;
DROP CAST (pair AS numeric);
DROP FUNCTION all_tips(tips), journal_tips(journal), tips_above(int, int) CASCADE;
DELETE FROM journal WHERE id = 20;
