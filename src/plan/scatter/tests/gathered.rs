//! Which rows and columns are gathered where a SELECT cannot be merged, and which statements are not answered so.

use super::fixture::{gathered, links};

/// `rides` and `stops` are sharded, `riders` is everywhere, `notes` on the default shard.
fn asked(sql: &str) -> Vec<String> {
    gathered(sql).unwrap_or_else(|| vec!["not gathered".to_owned()])
}

#[test]
fn columns_that_the_text_names_are_gathered() {
    assert_eq!(
        asked("SELECT r.city, s.place FROM rides r JOIN stops s ON s.ride = r.id"),
        [r#"SELECT "id", "city" FROM "public"."rides""#, r#"SELECT "ride", "place" FROM "public"."stops""#]
    );
    assert_eq!(
        asked("SELECT count(*) FROM stops a, notes"),
        [r#"SELECT "ride" FROM "public"."stops""#],
        "at least one, and single tables are read in place"
    );
    let all = [r#"SELECT "ride", "region", "place" FROM "public"."stops""#];
    for sql in [
        "SELECT * FROM stops UNION SELECT 1, 'a', 'b'",
        "SELECT s FROM stops s UNION SELECT NULL",
        "SELECT row_to_json(stops) FROM stops",
        "SELECT s.a FROM stops s(a, b, c), notes",
        "SELECT 1 FROM stops NATURAL JOIN notes",
        "SELECT stops.lower FROM stops, notes",
    ] {
        assert_eq!(asked(sql), all, "{sql}");
    }
}

#[test]
fn conditions_on_one_table_are_asked_of_the_shards() {
    let cases = [
        (
            "SELECT 1 FROM rides r JOIN stops s ON s.ride = r.id AND s.place > 'x' WHERE r.tip > 5 AND r.city = 'a' || 'b'",
            vec!["((tip > 5) AND (city = 'a' || 'b'))", "((place > 'x'))"],
        ),
        // A bare name of one table only, an IN list, a function that computes.
        (
            "SELECT 1 FROM rides, stops WHERE tip IN (1, 2) AND lower(place) LIKE 'a%'",
            vec!["((tip IN (1, 2)))", "((lower(place) LIKE 'a%'))"],
        ),
        // Either place may need the row.
        (
            "SELECT 1 FROM stops a, stops b WHERE a.place = 'x' AND b.ride > 3",
            vec!["((place = 'x')) OR ((ride > 3))"],
        ),
        (
            "SELECT 1 FROM stops WHERE ride = 1 UNION SELECT 2 FROM stops WHERE ride = 2",
            vec!["((ride = 1)) OR ((ride = 2))"],
        ),
        // The condition of a left join holds of its right side; WHERE does not.
        ("SELECT 1 FROM notes LEFT JOIN stops s ON s.ride = 7 WHERE s.place IS NULL", vec!["((ride = 7))"]),
        ("SELECT 1 FROM stops s LEFT JOIN notes ON true WHERE s.place IS NULL", vec!["((place IS NULL))"]),
    ];
    for (sql, conditions) in cases {
        let asked = asked(sql);
        let found: Vec<&str> = asked
            .iter()
            .map(|text| text.split_once(" WHERE ").map_or("", |(_, condition)| condition))
            .collect();
        assert_eq!(found, conditions, "{sql}");
    }
}

/// What follows the table, in the order of the tables' names.
fn tails(sql: &str) -> Vec<String> {
    let after = |text: String| text.split_once(r#"."stops""#).map(|(_, tail)| tail.trim().to_owned());
    asked(sql).into_iter().filter_map(after).collect()
}

#[test]
fn no_more_rows_are_asked_of_the_shards_than_a_limit_keeps() {
    let cases = [
        ("SELECT * FROM stops LIMIT 5", "LIMIT 5"),
        ("SELECT * FROM stops s WHERE s.ride > 3 LIMIT 5 OFFSET 2", "WHERE ((ride > 3)) LIMIT 7"),
        ("SELECT * FROM stops OFFSET 2 FETCH FIRST ROW ONLY", "LIMIT 3"),
        (
            "SELECT place AS p FROM stops s ORDER BY p DESC, s.ride NULLS FIRST LIMIT 1",
            "ORDER BY place DESC NULLS FIRST, ride ASC NULLS FIRST LIMIT 1",
        ),
        (
            "SELECT lower(place), ride FROM stops ORDER BY 1 LIMIT 2",
            "ORDER BY lower(place) ASC NULLS LAST LIMIT 2",
        ),
        ("SELECT ride AS place FROM stops ORDER BY place LIMIT 2", "ORDER BY ride ASC NULLS LAST LIMIT 2"),
        (
            "SELECT n.*, s.ride FROM notes n, (SELECT * FROM stops ORDER BY ride * 2 LIMIT 3) s",
            "ORDER BY ride * 2 ASC NULLS LAST LIMIT 3",
        ),
        ("WITH s AS (SELECT * FROM stops LIMIT 3) SELECT * FROM s JOIN notes ON true", "LIMIT 3"),
        ("(SELECT ride FROM stops LIMIT 1) UNION ALL SELECT id FROM notes LIMIT 9", "LIMIT 1"),
        ("SELECT (SELECT ride FROM stops ORDER BY ride LIMIT 1)", "ORDER BY ride ASC NULLS LAST LIMIT 1"),
    ];
    for (sql, tail) in cases {
        assert_eq!(tails(sql), [tail], "{sql}");
    }
}

#[test]
fn all_rows_are_asked_of_the_shards_where_a_limit_counts_others() {
    for sql in [
        "SELECT DISTINCT place FROM stops LIMIT 5",
        "SELECT place FROM stops GROUP BY place LIMIT 5",
        "SELECT count(*) FROM stops LIMIT 5",
        "SELECT (SELECT count(s.ride) FROM notes) FROM stops s LIMIT 5",
        "SELECT rank() OVER (ORDER BY ride) FROM stops LIMIT 5",
        "SELECT unnest(ARRAY[place, 'x']) FROM stops LIMIT 5",
        "SELECT strange(place) FROM stops LIMIT 5",
        "SELECT place FROM stops ORDER BY random() LIMIT 5",
        "SELECT lower(place) FROM stops ORDER BY lower LIMIT 5 OFFSET 2 + 3",
        "SELECT place FROM stops, notes LIMIT 5",
        "SELECT place FROM stops WHERE ride IN (SELECT id FROM notes) LIMIT 5",
        "SELECT n.id, (SELECT place FROM stops WHERE ride = n.id LIMIT 1) FROM notes n",
        "SELECT place FROM stops TABLESAMPLE system (50) LIMIT 5",
        "(SELECT ride FROM stops LIMIT 1) UNION ALL SELECT ride FROM stops",
        "SELECT ride FROM stops UNION ALL SELECT id FROM notes LIMIT 5",
        "SELECT place FROM stops WHERE place > now()::text LIMIT 5",
        "SELECT place || now() AS n FROM stops ORDER BY n LIMIT 5",
        "SELECT place FROM stops WHERE place::timestamptz < ' Now' LIMIT 5",
        "SELECT place FROM stops LIMIT NULL",
        "SELECT place FROM stops OFFSET 3",
    ] {
        assert!(tails(sql).iter().all(|tail| !tail.contains("LIMIT")), "{sql}: {:?}", asked(sql));
    }
}

#[test]
fn other_conditions_are_not() {
    for sql in [
        "SELECT 1 FROM notes LEFT JOIN stops s ON true WHERE s.place = 'x'",
        "SELECT 1 FROM stops s RIGHT JOIN notes ON s.place = 'x'",
        "SELECT 1 FROM stops s FULL JOIN notes ON s.place = 'x' WHERE s.ride = 1",
        "SELECT 1 FROM stops s LEFT JOIN notes ON s.ride = 1",
        "SELECT 1 FROM stops s, notes n WHERE s.place = n.note",
        "SELECT 1 FROM stops s, notes WHERE s.ride = 1 OR note = 'x'",
        "SELECT 1 FROM stops s, notes WHERE reads_tables(s.ride) = 1",
        "SELECT 1 FROM stops s, notes WHERE s.place = (SELECT max(note) FROM notes)",
        "SELECT 1 FROM stops s, notes WHERE random() < 0.5",
        "SELECT 1 FROM stops a, stops b WHERE a.place = 'x'",
        "SELECT 1 FROM stops WHERE ride = 1 UNION SELECT 2 FROM stops",
        "WITH stops AS (SELECT * FROM stops WHERE ride = 1) SELECT * FROM stops",
        "SELECT 1 FROM (stops s JOIN notes ON true) WHERE s.ride = 1",
        "SELECT (SELECT 1 FROM notes WHERE stops.ride = 1) FROM stops, notes",
    ] {
        let asked = asked(sql);
        assert!(
            asked.iter().all(|text| text.starts_with("SELECT") && !text.contains("WHERE")),
            "{sql}: {asked:?}"
        );
    }
}

#[test]
fn what_would_mean_something_else_is_not_gathered() {
    for sql in [
        "SELECT 1 FROM rides FOR UPDATE",
        "SELECT 1 INTO copy FROM rides",
        "SELECT ctid FROM rides, notes",
        "SELECT 'rides'::regclass FROM rides, notes",
        "SELECT to_regclass('rides') FROM rides, notes",
        "SELECT 1 FROM rides, nowhere",
        "SELECT public.rides FROM (SELECT 1 AS rides) AS public, rides",
        "SELECT 1 FROM riders, notes",
    ] {
        assert_eq!(gathered(sql), None, "{sql}");
    }
}

#[test]
fn equal_columns_of_two_tables_may_limit_either() {
    let both = [r#"rides: "id" = "ride""#, r#"stops: "ride" = "id""#];
    for sql in [
        "SELECT 1 FROM rides r JOIN stops s ON s.ride = r.id",
        "SELECT 1 FROM rides r, stops s WHERE r.id = s.ride AND place = 'x'",
        "SELECT 1 FROM rides, stops WHERE id = ride",
        "SELECT 1 FROM notes LEFT JOIN (SELECT 1 FROM rides r JOIN stops s ON s.ride = r.id) x ON true",
    ] {
        assert_eq!(links(sql), both, "{sql}");
    }
    let right = "SELECT 1 FROM rides r LEFT JOIN stops s ON s.ride = r.id";
    assert_eq!(links(right), [r#"stops: "ride" = "id""#], "rides without a stop stay");
    // Another equality of the same rows.
    let text = "SELECT 1 FROM rides r JOIN stops s ON s.place = r.city";
    assert_eq!(links(text), [r#"rides: "city" = "place""#, r#"stops: "place" = "city""#]);
}

#[test]
fn other_equalities_limit_nothing() {
    for sql in [
        "SELECT 1 FROM rides r RIGHT JOIN stops s ON s.ride = r.id",
        "SELECT 1 FROM rides r FULL JOIN stops s ON s.ride = r.id",
        "SELECT 1 FROM rides r, stops s WHERE s.ride = r.id OR r.tip = 1",
        "SELECT 1 FROM rides r, stops s WHERE s.ride <> r.id",
        "SELECT 1 FROM rides r, stops s WHERE s.ride = r.id + 1",
        // Of other types.
        "SELECT 1 FROM rides r, stops s WHERE s.ride = r.fare",
        "SELECT 1 FROM rides r, stops s WHERE s.place = r.code",
        // Named once more, where every row may be needed.
        "SELECT 1 FROM rides r JOIN stops s ON s.ride = r.id, rides, stops",
        "WITH rides AS (SELECT 1 AS id), stops AS (SELECT 2 AS ride) \
         SELECT 1 FROM rides r JOIN stops s ON s.ride = r.id, public.rides x, public.stops y",
        "SELECT 1 FROM rides a, rides b WHERE a.id = b.big",
    ] {
        assert_eq!(links(sql), Vec::<String>::new(), "{sql}");
    }
    // The other may be named as often as it likes.
    let twice = "SELECT 1 FROM rides a, rides b, stops s WHERE a.id = s.ride AND b.tip = 1";
    assert_eq!(links(twice), [r#"stops: "ride" = "id""#]);
}

#[test]
fn subqueries_that_are_tied_to_the_row_around_limit_what_is_gathered() {
    let (rides, stops) = (r#"rides: "id" = "ride""#, r#"stops: "ride" = "id""#);
    let cases: &[(&str, &[&str])] = &[
        ("SELECT 1 FROM rides r WHERE EXISTS (SELECT FROM stops s WHERE s.ride = r.id)", &[rides, stops]),
        (
            "SELECT 1 FROM rides WHERE tip > 1 AND EXISTS (SELECT * FROM stops WHERE ride = id)",
            &[rides, stops],
        ),
        ("SELECT 1 FROM rides r WHERE r.id IN (SELECT ride FROM stops WHERE place = 'x')", &[rides, stops]),
        ("SELECT 1 FROM rides r WHERE r.id IN (SELECT ride FROM stops GROUP BY ride)", &[]),
        ("SELECT 1 FROM rides r WHERE r.id IN (SELECT ride FROM stops LIMIT 5)", &[]),
        // Only what is inside.
        ("SELECT 1 FROM rides r WHERE NOT EXISTS (SELECT FROM stops s WHERE s.ride = r.id)", &[stops]),
        ("SELECT (SELECT max(s.place) FROM stops s WHERE s.ride = r.id) FROM rides r", &[stops]),
        ("SELECT 1 FROM rides r WHERE EXISTS (SELECT count(*) FROM stops s WHERE s.ride = r.id)", &[stops]),
        ("SELECT 1 FROM rides r WHERE tip = 1 OR EXISTS (SELECT FROM stops s WHERE s.ride = r.id)", &[stops]),
        ("SELECT 1 FROM rides r, LATERAL (SELECT FROM stops s WHERE s.ride = r.id LIMIT 1) x", &[stops]),
        (
            "SELECT 1 FROM rides r WHERE EXISTS (SELECT FROM notes WHERE EXISTS (SELECT FROM stops s WHERE s.ride = r.id))",
            &[stops],
        ),
        // Neither.
        ("SELECT 1 FROM rides r WHERE r.id NOT IN (SELECT ride FROM stops)", &[]),
        ("SELECT 1 FROM rides r WHERE r.id IN (SELECT max(ride) FROM stops)", &[]),
        ("SELECT 1 FROM notes LEFT JOIN rides r ON true WHERE r.id IN (SELECT ride FROM stops)", &[]),
        (
            "SELECT 1 FROM rides r WHERE EXISTS (SELECT FROM stops s WHERE s.ride = r.id OR s.place = 'x')",
            &[],
        ),
        ("SELECT (SELECT 1 FROM notes LEFT JOIN stops s ON true WHERE s.ride = r.id) FROM rides r", &[]),
        (
            "SELECT 1 FROM rides r WHERE EXISTS (SELECT FROM (SELECT 1 AS id) r, stops s WHERE s.ride = r.id)",
            &[],
        ),
        ("SELECT 1 FROM rides WHERE EXISTS (SELECT FROM stops, (SELECT 1 AS id) x WHERE ride = id)", &[]),
    ];
    for (sql, expected) in cases {
        assert_eq!(links(sql), *expected, "{sql}");
    }
}
