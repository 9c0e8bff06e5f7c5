CREATE FUNCTION pg_temp.f() RETURNS int8 LANGUAGE sql AS 'SELECT count(*) FROM rides'
