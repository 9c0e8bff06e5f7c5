//! Which joins, subqueries and set operations leave each shard its own part of the answer, and which do not.

use super::fixture::{assert_refused, compile, plan, shard};

/// What is not certain must be refused, so that the tables are gathered.
#[test]
fn rows_that_may_need_another_shard_are_not_taken_apart() {
    let cases = [
        // Rows without a partner, on another shard or on each.
        ("SELECT * FROM riders LEFT JOIN rides r ON r.id = rider", "S009"),
        ("SELECT * FROM rides r LEFT JOIN stops s ON s.ride = r.id", "S009"),
        ("SELECT * FROM rides r RIGHT JOIN riders ON rider = r.id", "S009"),
        ("SELECT * FROM rides r FULL JOIN riders ON rider = r.id", "S009"),
        ("SELECT * FROM rides r FULL JOIN stops s ON s.ride = r.id", "S009"),
        // Equal keys in WHERE come after the rows without a partner were made.
        ("SELECT * FROM rides r LEFT JOIN stops s ON s.ride = r.id WHERE s.region = r.region", "S009"),
        // ON of an outer join decides nothing about the sources of its left side.
        (
            "SELECT * FROM rides r CROSS JOIN rides x LEFT JOIN stops s \
             ON s.region = r.region AND x.region = r.region",
            "S010",
        ),
        // Equal, but under OR or NOT, or of a cast.
        ("SELECT 1 FROM rides r, stops s WHERE r.region = s.region OR r.tip = 1", "S010"),
        ("SELECT 1 FROM rides r, stops s WHERE NOT r.region = s.region", "S010"),
        ("SELECT 1 FROM rides r, stops s WHERE r.region = s.region::text", "S010"),
        ("SELECT 1 FROM rides r NATURAL JOIN stops s", "S010"),
        // Not the key.
        ("SELECT 1 FROM rides r WHERE EXISTS (SELECT 1 FROM stops s WHERE s.ride = r.id)", "S005"),
        ("SELECT 1 FROM rides r WHERE region IN (SELECT place FROM stops)", "S005"),
        ("SELECT 1 FROM rides r WHERE city IN (SELECT region FROM stops)", "S005"),
        // NULL among the others' rows would make it unknown.
        ("SELECT 1 FROM rides WHERE region NOT IN (SELECT region FROM stops)", "S005"),
        ("SELECT region IN (SELECT region FROM stops) FROM rides", "S005"),
        ("SELECT 1 FROM rides WHERE (region IN (SELECT region FROM stops)) IS NULL", "S005"),
        // A name that may be another's.
        (
            "SELECT 1 FROM rides r WHERE EXISTS (SELECT 1 FROM stops s, rides x WHERE s.region = region)",
            "S010",
        ),
        ("SELECT 1 FROM rides r WHERE EXISTS (SELECT 1 FROM stops r WHERE r.region = r.region)", "S005"),
        // Cut or computed over rows of several shards.
        ("SELECT 1 FROM rides WHERE region IN (SELECT region FROM stops ORDER BY place LIMIT 3)", "S005"),
        ("SELECT 1 FROM rides WHERE region IN (SELECT max(region) FROM stops)", "S005"),
        ("SELECT r.id, x.* FROM rides r, (SELECT place, count(*) FROM stops GROUP BY place) x", "S005"),
        ("SELECT r.id FROM rides r JOIN (SELECT DISTINCT place FROM stops) x ON place = city", "S005"),
        ("SELECT * FROM (SELECT id, rank() OVER (ORDER BY tip) FROM rides) x", "S005"),
        ("SELECT * FROM (SELECT DISTINCT ON (region) city AS region FROM rides) x", "S005"),
        ("WITH c AS (SELECT ride FROM stops LIMIT 1) SELECT * FROM rides, c", "S005"),
        // A count that only all shards together know, and a value that each would make for itself.
        ("SELECT city FROM rides ORDER BY city LIMIT (SELECT count(*) FROM stops)", "S005"),
        ("SELECT id FROM rides, (SELECT random() AS x) r", "S013"),
        // NULL of the one is not where NULL of the other is.
        (
            "SELECT region FROM rides UNION SELECT s.region FROM rides r LEFT JOIN stops s ON s.region = r.region",
            "S004",
        ),
        (
            "SELECT 1 FROM riders, (SELECT region, count(*) FROM (SELECT region FROM rides UNION ALL SELECT s.region \
             FROM rides r LEFT JOIN stops s ON s.region = r.region) u GROUP BY region) x",
            "S005",
        ),
        // Which of the copies' rows, and in which order.
        ("SELECT id FROM rides, (SELECT rider FROM riders LIMIT 3) x", "S005"),
        ("SELECT id, (SELECT string_agg(name, '') FROM riders) FROM rides", "S005"),
        ("WITH few AS (SELECT rider FROM riders LIMIT 3) SELECT id FROM rides, few", "S005"),
        // A partial group, and a subquery that only the row's own shard can answer.
        (
            "SELECT array_agg(id), (SELECT count(*) FROM stops s WHERE s.region = max(r.region)) FROM rides r",
            "S005",
        ),
        ("SELECT region FROM rides UNION SELECT place FROM stops", "S004"),
        ("SELECT region, tip FROM rides EXCEPT SELECT place, ride FROM stops", "S004"),
        ("SELECT name FROM riders UNION ALL SELECT place FROM stops", "S004"),
    ];
    assert_refused(&cases);
}

#[test]
fn what_meets_by_equal_keys_is_taken_apart() {
    let merged = [
        "SELECT * FROM rides r LEFT JOIN stops s ON s.region = r.region AND s.ride = r.id",
        "SELECT * FROM rides r LEFT JOIN stops s USING (region)",
        "SELECT * FROM stops s RIGHT JOIN rides r ON r.region = s.region AND s.ride = r.id",
        "SELECT r.id, s.place FROM rides r FULL JOIN stops s ON r.region = s.region AND s.ride = r.id",
        "SELECT * FROM (rides r JOIN stops s ON s.region = r.region) JOIN rides x ON x.region = s.region",
        "SELECT * FROM rides r LEFT JOIN (stops s JOIN rides x ON x.region = s.region) ON s.region = r.region",
        "SELECT 1 FROM rides r, riders, stops s WHERE rider = r.id AND s.region = r.region",
        "SELECT 1 FROM rides r WHERE EXISTS (SELECT 1 FROM stops s WHERE s.region = r.region AND s.ride = r.id)",
        "SELECT 1 FROM rides r WHERE NOT EXISTS (SELECT 1 FROM stops s WHERE r.region = s.region LIMIT 1)",
        "SELECT 1 FROM rides r WHERE id NOT IN (SELECT ride FROM stops s WHERE s.region = r.region)",
        "SELECT 1 FROM rides r WHERE region IN (SELECT region FROM stops)",
        "SELECT 1 FROM rides r WHERE (id, region) IN (SELECT ride, region FROM stops WHERE place > 'a')",
        "SELECT id, (SELECT count(*) FROM stops s WHERE s.region = r.region AND s.ride = r.id) FROM rides r",
        "SELECT * FROM (SELECT region, count(*) AS n FROM stops GROUP BY region) x WHERE n > 1",
        "SELECT r.id, x.n FROM rides r JOIN (SELECT region, count(*) AS n FROM stops GROUP BY 1) x \
         ON x.region = r.region",
        "WITH x AS (SELECT region, count(*) AS n FROM stops GROUP BY region) \
         SELECT r.id, x.n FROM rides r LEFT JOIN x ON x.region = r.region",
        "SELECT r.id, x.place FROM rides r, LATERAL (SELECT place FROM stops s WHERE s.region = r.region \
         ORDER BY place LIMIT 2) x",
        "SELECT 1 FROM rides r WHERE EXISTS (SELECT 1 FROM riders WHERE rider = r.id AND EXISTS \
         (SELECT 1 FROM stops s WHERE s.region = r.region))",
        "SELECT region FROM rides UNION ALL SELECT place FROM stops",
        "SELECT region, tip FROM rides EXCEPT SELECT region, ride::int FROM stops",
        "SELECT region FROM rides INTERSECT SELECT region FROM stops",
    ];
    let refused: Vec<String> = merged
        .iter()
        .filter(|sql| compile(sql).is_err())
        .map(|sql| format!("{sql}: {}", plan(sql)))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn parts_of_a_union_all_are_answered_one_after_the_other() {
    let both =
        plan("SELECT 'r', count(*) FROM rides UNION ALL (SELECT place, 2 FROM stops ORDER BY ride LIMIT 3)");
    for line in [
        "part 1: each shard: SELECT count(*) FROM rides",
        "part 1: combine: gather, then finish by one server",
        "part 2: each shard: SELECT place, 2, ride AS meridian__k1 FROM stops ORDER BY meridian__k1 ASC NULLS LAST \
         LIMIT $1::bigint",
        "part 2: limit: 3",
    ] {
        assert!(both.lines().any(|other| other == line), "{line}: {both}");
    }
    for sql in [
        "SELECT count(*) FROM rides UNION ALL SELECT 1",
        "SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM riders",
        "SELECT count(*) FROM rides UNION SELECT count(*) FROM stops",
        "SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM stops ORDER BY 1",
        "SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM stops LIMIT 1",
        "WITH r AS (SELECT * FROM rides) SELECT count(*) FROM r UNION ALL SELECT count(*) FROM r",
        "SELECT count(*) FROM rides UNION ALL SELECT count(*) FROM rides JOIN stops ON ride = id",
    ] {
        assert!(plan(sql).starts_with("S0"), "{sql}: {}", plan(sql));
    }
}

#[test]
fn what_is_computed_within_a_key_is_computed_by_its_shard() {
    for sql in [
        "SELECT region, count(*) FROM rides GROUP BY region",
        "SELECT count(*) FROM rides GROUP BY 1, region HAVING count(*) > 1",
        "SELECT DISTINCT region, tip FROM rides",
        "SELECT DISTINCT ON (region) region, tip FROM rides",
        "SELECT id, rank() OVER (PARTITION BY region ORDER BY tip) FROM rides",
        "SELECT region, count(DISTINCT city), array_agg(tip) FROM rides GROUP BY region",
        "SELECT r.region, (SELECT count(*) FROM stops s WHERE s.region = r.region) FROM rides r GROUP BY r.region",
    ] {
        assert_eq!(shard(sql), "original", "{sql}: {}", plan(sql));
        assert!(plan(sql).contains("rows as they come"), "{sql}: {}", plan(sql));
    }
    assert_eq!(
        plan(
            "SELECT region, count(*) AS n FROM rides GROUP BY region HAVING sum(tip) > 3 ORDER BY n DESC LIMIT 2"
        ),
        "each shard: SELECT region, count(*) AS n, count(*) AS meridian__k1 FROM rides GROUP BY region \
         HAVING sum(tip) > 3 ORDER BY meridian__k1 DESC NULLS FIRST LIMIT $1::bigint\n\
         combine: merge in order by 1 hidden column\n\
         combine: by one server if a key is text not in byte order\n\
         limit: 2"
    );
    assert_eq!(
        shard("SELECT region FROM rides UNION ALL SELECT region FROM stops LIMIT 5"),
        "SELECT region FROM rides UNION ALL SELECT region FROM stops LIMIT $1::bigint"
    );
    assert_eq!(
        shard(
            "SELECT region, 1 AS n FROM rides UNION ALL SELECT region, 2 FROM stops ORDER BY n DESC, 1 LIMIT 5"
        ),
        "SELECT meridian__u.*, meridian__v.c2 AS meridian__k1, meridian__v.c1 AS meridian__k2 \
         FROM (SELECT region, 1 AS n FROM rides UNION ALL SELECT region, 2 FROM stops) AS meridian__u, \
         LATERAL (SELECT meridian__u.*) AS meridian__v(c1, c2) \
         ORDER BY meridian__k1 DESC NULLS FIRST, meridian__k2 ASC NULLS LAST LIMIT $1::bigint"
    );
}

#[test]
fn what_is_computed_over_keys_is_finished_by_one_server() {
    for sql in [
        "SELECT tip, count(*) FROM rides GROUP BY tip",
        "SELECT DISTINCT fare FROM rides",
        "SELECT DISTINCT region FROM rides ORDER BY region || 'x'",
        "SELECT s.region, count(*) FROM rides r LEFT JOIN stops s ON s.region = r.region GROUP BY s.region",
        "SELECT DISTINCT ON (region) region, tip FROM rides ORDER BY region, tip",
        "SELECT rank() OVER (PARTITION BY tip), rank() OVER (PARTITION BY region) FROM rides",
    ] {
        assert!(!plan(sql).contains("rows as they come"), "{sql}: {}", plan(sql));
        assert!(compile(sql).is_ok(), "{sql}: {}", plan(sql));
    }
}

/// A level is looked at once, however deep.
#[test]
fn deep_nesting_costs_no_more_than_its_length() {
    let deep = (0..40).fold("SELECT rider FROM riders".to_owned(), |inner, _| {
        format!("SELECT rider FROM riders WHERE rider IN ({inner})")
    });
    assert!(compile(&format!("SELECT id FROM rides WHERE id IN ({deep})")).is_ok());
}

#[test]
fn offset_may_stand_before_limit() {
    let bounds = "\ncombine: rows as they come\noffset: 2\nlimit: 5";
    assert!(plan("SELECT id FROM rides OFFSET 2 LIMIT 5").ends_with(bounds));
    assert!(plan("SELECT id FROM rides OFFSET 2 ROWS FETCH NEXT 5 ROWS ONLY").ends_with(bounds));
}
