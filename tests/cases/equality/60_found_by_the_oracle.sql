-- What random statements have found (tests/oracle), made small.

-- Columns that depend on a primary key in GROUP BY: the rows that are gathered have no key.
-- may be refused
SELECT *, count(*) OVER () AS n FROM measures m GROUP BY m.n;
-- may be refused
SELECT n, v FROM measures GROUP BY n;
