-- What random statements have found (tests/oracle), made small.

-- Columns that depend on a primary key in GROUP BY: the rows that are gathered have no key.
SELECT *, count(*) OVER () AS n FROM measures m GROUP BY m.n;
SELECT n, v FROM measures GROUP BY n;
