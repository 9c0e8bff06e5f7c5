//! What must not be scattered, and why not; and what must not be refused.
//!
//! One line per reason: joins that leave home, subqueries over sharded tables, functions that are unknown, volatile
//! or tell about one server, columns outside groups, names that cannot be resolved. A refusal is known by its number,
//! so that its words may be improved.

use super::fixture::{assert_refused, compile, plan};

#[test]
fn refusals_name_their_reason() {
    let cases = [
        ("SELECT * FROM rides FOR UPDATE", "S002"),
        ("SELECT * FROM notes", "S007"),
        ("SELECT * FROM nowhere", "S006"),
        ("SELECT * FROM riders", "S001"),
        ("SELECT * FROM rides, notes", "S007"),
        ("SELECT name FROM riders LEFT JOIN rides ON rider = id", "S009"),
        ("SELECT count(*) FROM rides a JOIN stops b ON a.id = b.ride", "S010"),
        ("SELECT count(*) FROM rides a, stops b", "S010"),
        ("SELECT * FROM rides WHERE id IN (SELECT ride FROM stops)", "S005"),
        ("SELECT * FROM (SELECT id FROM rides LIMIT 1) x", "S005"),
        ("SELECT nowhere(id) FROM rides", "S011"),
        ("SELECT reads_tables(id) FROM rides", "S012"),
        ("SELECT nextval('s') FROM rides", "S013"),
        ("SELECT current_database() FROM rides", "S014"),
        ("SELECT tip, count(*) FROM rides GROUP BY city", "S020"),
        ("SELECT id, random() AS r FROM rides ORDER BY r", "S013"),
        ("SELECT id FROM rides ORDER BY tip USING >", "S023"),
        ("SELECT id, city AS id FROM rides ORDER BY id", "S024"),
        // A CASE is called like the column behind its ELSE, an array element by nobody knows what.
        ("SELECT CASE WHEN ok THEN 'a' ELSE city END, id AS city FROM rides ORDER BY city", "S024"),
        ("SELECT city::varchar, id AS city FROM rides ORDER BY city", "S024"),
        ("SELECT (tip + 1)::some_type, id AS x FROM rides ORDER BY x", "S024"),
        ("SELECT id FROM rides ORDER BY 2", ""),
        ("SELECT id FROM rides LIMIT 1 + 1", "S026"),
        ("SELECT id FROM rides LIMIT 2.5", "S026"),
        ("SELECT city, (SELECT 1) FROM rides GROUP BY city", "S019"),
        ("SELECT meridian__p.id FROM rides meridian__p", "S029"),
    ];
    assert_refused(&cases);
}

#[test]
fn joins_that_keep_rows_at_home_are_allowed() {
    for sql in [
        "SELECT a.id FROM rides a JOIN stops b ON a.region = b.region",
        "SELECT rides.id, name FROM rides LEFT JOIN riders ON rider = id",
        "SELECT id FROM rides WHERE id IN (SELECT rider FROM riders)",
        "SELECT id FROM rides, (SELECT rider FROM riders) x",
        "SELECT id FROM rides ORDER BY random()",
    ] {
        assert!(compile(sql).is_ok(), "{sql}: {}", plan(sql));
    }
}
