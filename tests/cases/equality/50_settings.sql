-- Settings of the session on the connections of several shards.

-- What a failing statement rolls back is not taken for done.
SET datestyle = 'SQL, DMY';
-- simple
SELECT user_id FROM rides ORDER BY ride_id;
RESET datestyle;
-- simple
-- error 42703
SELECT nothing FROM rides ORDER BY ride_id;
-- simple
SELECT timestamp FROM rides ORDER BY ride_id;
SET datestyle = 'SQL, DMY';
-- simple
-- error 42703
SELECT nothing FROM rides ORDER BY ride_id;
-- simple
SELECT timestamp FROM rides ORDER BY ride_id;
RESET datestyle;
-- may be refused
SELECT current_setting('transaction_read_only'), count(*) FROM rides GROUP BY 1;
SELECT current_setting('transaction_isolation'), count(*) FROM rides GROUP BY 1;
