//! SELECTs over the groups of another one: what stands around the finishing text, and what is not of this kind.

use super::fixture::{compile, filled, gathered, plan, shard};
use crate::merge::types::oid;
use crate::plan::scatter::Combine;

fn final_text(sql: &str, types: &[u32]) -> String {
    match compile(sql).unwrap().combine {
        Combine::Finish(finish) => filled(&finish.final_text(types).unwrap(), sql),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_text_around_goes_around() {
    let sql = "SELECT 'x', sum(n) FROM (SELECT city, count(*) AS n FROM rides WHERE tip > 7 GROUP BY city) s WHERE n > 5";
    assert_eq!(shard(sql), "SELECT \"rides\".\"city\", count(*) FROM rides WHERE tip > 7 GROUP BY 1");
    let finished = final_text(sql, &[oid::TEXT, oid::INT8]);
    let (before, rest) = finished.split_once("SELECT meridian__p").unwrap();
    assert_eq!(before, "SELECT 'x', sum(n) FROM (");
    assert!(rest.ends_with("GROUP BY meridian__p.c1) s (\"city\", \"n\") WHERE n > 5"), "{rest}");
}

#[test]
fn columns_have_the_names_that_postgres_gives_them() {
    for (inner, alias, named) in [
        ("city, count(*)", "s", "s (\"city\", \"count\")"),
        ("upper(city), MAX(tip) + 1", "s", "s (\"upper\", \"?column?\")"),
        // What the list names is its own; the rest follows.
        ("city AS \"Town\", min(tip) AS \"Least\"", "s (a)", "s (a, \"Least\")"),
        ("city, sum(tip)", "s (a, b)", "s (a, b)"),
    ] {
        let sql = format!("SELECT * FROM (SELECT {inner} FROM rides GROUP BY 1) {alias}");
        let described = plan(&sql);
        assert!(described.contains(named), "{sql}: {described}");
    }
}

#[test]
fn part_of_with() {
    let sql = "WITH s AS (SELECT city, count(*) AS n FROM rides GROUP BY city), t AS (SELECT max(n) AS m FROM s) \
               SELECT s.city FROM s, t WHERE s.n = t.m";
    let finished = final_text(sql, &[oid::TEXT, oid::INT8]);
    assert!(finished.starts_with("WITH s (\"city\", \"n\") AS (SELECT meridian__p.c1"), "{finished}");
    assert!(
        finished.ends_with("), t AS (SELECT max(n) AS m FROM s) SELECT s.city FROM s, t WHERE s.n = t.m")
    );
}

#[test]
fn what_reads_more_is_gathered() {
    for sql in [
        "SELECT * FROM (SELECT city, count(*) FROM rides GROUP BY city) s, stops",
        "SELECT * FROM (SELECT city, count(*) AS n FROM rides GROUP BY city) s WHERE n > (SELECT count(*) FROM stops)",
        "SELECT * FROM (SELECT count(*) FROM rides) a, (SELECT count(*) FROM stops) b",
        "WITH a AS (SELECT count(*) FROM rides), b AS (SELECT count(*) FROM stops) SELECT * FROM a, b",
        "SELECT * FROM (SELECT city, rank() OVER (ORDER BY tip) FROM rides) s",
        // The type's name, or the function's: it depends on the version.
        "SELECT * FROM (SELECT '1'::int, count(*) FROM rides) s",
    ] {
        assert!(compile(sql).is_err(), "{sql}: {}", plan(sql));
        assert!(gathered(sql).is_some(), "{sql}");
    }
    let looked_up = "SELECT 'rides'::regclass::oid, n FROM (SELECT count(*) AS n FROM rides) s";
    assert!(compile(looked_up).is_err() && gathered(looked_up).is_none());
}
