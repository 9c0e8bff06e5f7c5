//! Aggregates, GROUP BY, DISTINCT, and rows that are gathered whole.
//!
//! Each case looks at the text for the shards, the final text for given partial types, or both: groups are cut
//! after they are whole, averages are sums over counts, filters stay with the rows, names mean what PostgreSQL takes
//! them to mean, and literals reach the servers as they were written.

use super::fixture::{MOOD, compile, filled, plan, shard, with_arguments};
use crate::merge::types::oid;
use crate::plan::scatter::Combine;

fn final_text(sql: &str, types: &[u32]) -> Result<String, &'static str> {
    match compile(sql).unwrap().combine {
        Combine::Finish(finish) => {
            finish.final_text(types).map(|text| filled(&text, sql)).map_err(|refusal| refusal.code)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn top_groups_are_cut_after_they_are_whole() {
    let sql = "SELECT city, count(*) FROM rides GROUP BY city ORDER BY 2 DESC, city LIMIT 5";
    assert_eq!(shard(sql), "SELECT \"rides\".\"city\", count(*) FROM rides GROUP BY 1");
    assert_eq!(
        final_text(sql, &[oid::TEXT, oid::INT8]).unwrap(),
        "SELECT meridian__p.c1, (coalesce(sum(meridian__p.c2), 0)::bigint) \
         FROM (SELECT \"rides\".\"city\", count(*) FROM rides WHERE false GROUP BY 1 HAVING false \
         UNION ALL SELECT * FROM unnest($1::text[], $2::bigint[])) AS meridian__p(c1, c2) \
         GROUP BY meridian__p.c1 ORDER BY 2 DESC NULLS FIRST, 1 ASC NULLS LAST LIMIT 5"
    );
}

#[test]
fn sums_and_averages_follow_the_partial_types() {
    let sql = "SELECT sum(tip), avg(tip) FROM rides";
    assert_eq!(
        shard(sql),
        "SELECT sum(\"rides\".\"tip\"), sum(\"rides\".\"tip\"), count(\"rides\".\"tip\") FROM rides"
    );
    let list =
        |types: &[u32]| final_text(sql, types).map(|text| text.split(" FROM ").next().unwrap().to_owned());
    assert_eq!(
        list(&[oid::INT8, oid::INT8, oid::INT8]).unwrap(),
        "SELECT (sum(meridian__p.c1)::bigint), (sum(meridian__p.c2) / nullif(sum(meridian__p.c3), 0))"
    );
    assert_eq!(
        list(&[oid::NUMERIC, oid::FLOAT8, oid::INT8]).unwrap(),
        "SELECT sum(meridian__p.c1), ((sum(meridian__p.c2) + 0) / nullif(sum(meridian__p.c3), 0)::double precision)"
    );
    assert_eq!(list(&[oid::MONEY, oid::INT8, oid::INT8]), Err("S028"));
    assert_eq!(list(&[oid::FLOAT4, oid::FLOAT4, oid::INT8]), Err("S028"));
    assert_eq!(list(&[16_400, oid::INT8, oid::INT8]), Err("S028"));
}

/// A field of a value, and the name of an argument, may be called as a column is.
#[test]
fn names_within_expressions_that_are_no_columns_stay() {
    let fields = shard("SELECT (weight).city, sum((weight).tip) FROM rides GROUP BY (weight).city");
    assert_eq!(
        fields,
        "SELECT (\"rides\".\"weight\").city, sum((\"rides\".\"weight\").tip) FROM rides GROUP BY 1"
    );
    let named = shard("SELECT max(lower(tip => tip)) FROM rides");
    assert!(named.contains("lower(tip => \"rides\".\"tip\")"), "{named}");
}

#[test]
fn averages_of_real_columns_are_summed_in_double_precision() {
    assert!(shard("SELECT avg(weight) FROM rides").contains("sum((\"rides\".\"weight\")::double precision)"));
}

#[test]
fn filters_go_to_the_shards() {
    assert_eq!(
        shard("SELECT avg(tip) FILTER (WHERE ok) FROM rides"),
        "SELECT sum(\"rides\".\"tip\") FILTER (WHERE \"rides\".\"ok\"), \
         count(\"rides\".\"tip\") FILTER (WHERE \"rides\".\"ok\") FROM rides"
    );
}

#[test]
fn equal_aggregates_are_computed_once() {
    let sql = "SELECT city, count(*) FROM rides GROUP BY city HAVING count(*) > 1 ORDER BY COUNT(*)";
    assert_eq!(shard(sql), "SELECT \"rides\".\"city\", count(*) FROM rides GROUP BY 1");
}

#[test]
fn distinct_arguments_become_groups() {
    assert_eq!(
        shard("SELECT ok, count(DISTINCT city), sum(tip) FROM rides GROUP BY ok"),
        "SELECT \"rides\".\"ok\", \"rides\".\"city\", sum(\"rides\".\"tip\") FROM rides GROUP BY 1, 2"
    );
}

#[test]
fn group_names_mean_input_columns_first() {
    assert_eq!(
        shard("SELECT upper(city) AS c, tag AS city FROM rides GROUP BY c, city, tag"),
        "SELECT upper(\"rides\".\"city\"), \"rides\".\"city\", \"rides\".\"tag\" FROM rides GROUP BY 1, 2, 3"
    );
}

#[test]
fn rows_whose_equality_is_that_of_bytes_pass_once() {
    let passes = |sql: &str| matches!(compile(sql).unwrap().combine, Combine::Distinct);
    assert_eq!(
        plan("SELECT DISTINCT city AS c, r.day, ok, u FROM rides r WHERE tip > 5"),
        "each shard: the statement as it is\ncombine: rows as they come, equal ones once"
    );
    assert!(passes("SELECT DISTINCT * FROM stops"));
    for column in ["fare", "ratio", "at", "span", "code", "folded", "lower(city)", "city COLLATE \"C\"", "1"]
    {
        assert!(!passes(&format!("SELECT DISTINCT tip, {column} FROM rides")), "{column}");
    }
    for tail in [
        "ORDER BY tip",
        "LIMIT 5",
        "OFFSET 1",
        "FETCH FIRST ROW ONLY",
        "GROUP BY tip",
        "GROUP BY tip HAVING true",
    ] {
        assert!(!passes(&format!("SELECT DISTINCT tip FROM rides {tail}")), "{tail}");
    }
}

#[test]
fn distinct_groups_by_the_select_list() {
    let sql = "SELECT DISTINCT city, day FROM rides ORDER BY day";
    assert_eq!(shard(sql), "SELECT \"rides\".\"city\", \"rides\".\"day\" FROM rides GROUP BY 1, 2");
    let text = final_text(sql, &[oid::TEXT, oid::DATE]).unwrap();
    assert!(text.starts_with("SELECT DISTINCT meridian__p.c1, meridian__p.c2 FROM (SELECT"));
    assert!(text.ends_with("AS meridian__p(c1, c2) ORDER BY 2 ASC NULLS LAST"));
}

#[test]
fn parameters_keep_their_numbers_and_arrays_follow() {
    let sql = "SELECT city FROM rides WHERE tip > $1 GROUP BY city HAVING count(*) > $2";
    let text = final_text(sql, &[oid::TEXT, oid::INT8]).unwrap();
    assert!(text.contains("unnest($3::text[], $4::bigint[])"));
    assert!(text.ends_with("HAVING (coalesce(sum(meridian__p.c2), 0)::bigint) > $2"));
    assert!(compile(sql).unwrap().learn_parameters);
}

#[test]
fn windows_and_whole_aggregates_gather_the_columns_they_name() {
    assert_eq!(
        shard("SELECT city, row_number() OVER (PARTITION BY ok ORDER BY at) FROM rides WHERE tip > 3"),
        "SELECT \"rides\".\"city\", \"rides\".\"ok\", \"rides\".\"at\" FROM rides WHERE tip > 3"
    );
    let sql = "SELECT ok AS k, array_agg(id ORDER BY at) FROM rides GROUP BY k ORDER BY k";
    assert_eq!(shard(sql), "SELECT \"rides\".\"ok\", \"rides\".\"id\", \"rides\".\"at\" FROM rides");
    let text = final_text(sql, &[oid::BOOL, oid::INT8, oid::TIMESTAMPTZ]).unwrap();
    assert!(
        text.starts_with(
            "SELECT meridian__p.c1 AS k, array_agg(meridian__p.c2 ORDER BY meridian__p.c3) FROM"
        )
    );
    assert!(text.ends_with("GROUP BY 1 ORDER BY 1 ASC NULLS LAST"));
}

#[test]
fn clocks_in_the_select_list_are_read_once() {
    assert_eq!(
        shard("SELECT id, now() - at FROM rides"),
        "SELECT \"rides\".\"id\", \"rides\".\"at\" FROM rides"
    );
    assert_eq!(
        plan("SELECT count(*) FROM rides WHERE at < now()").lines().next().unwrap(),
        "each shard: SELECT count(*) FROM rides WHERE at < now()"
    );
}

#[test]
fn literals_in_groups_must_be_equal_at_run_time() {
    let by = |a: &str, b: &str| {
        format!("SELECT date_trunc('{a}', at), count(*) FROM rides GROUP BY date_trunc('{b}', at)")
    };
    let check = |sql: &str| {
        let scatter = compile(&by("day", "day")).unwrap();
        assert_eq!(scatter.equal_literals, [(1, 0)]);
        with_arguments(sql, |arguments| scatter.check(arguments).map_err(|refusal| refusal.code))
    };
    assert_eq!(check(&by("day", "day")), Ok(()));
    assert_eq!(check(&by("day", "week")), Err("S030"));
}

#[test]
fn literals_of_a_client_are_sent_as_they_were_written() {
    let sql =
        r"SELECT city, count(*) FROM rides WHERE city <> 'a''''b\' GROUP BY city HAVING min(tag) > E'\'x'";
    assert!(shard(sql).contains(r"city <> 'a''''b\' GROUP BY 1"));
    let text = final_text(sql, &[oid::TEXT, oid::INT8, oid::TEXT]).unwrap();
    assert!(text.ends_with(r"HAVING min(meridian__p.c3) > E'\'x'"), "{text}");
}

#[test]
fn distinct_keys_are_counted_by_each_shard() {
    let counted = [
        (
            "count(DISTINCT region), avg(DISTINCT region) FROM rides",
            "count(DISTINCT \"rides\".\"region\"), sum(DISTINCT \"rides\".\"region\"), count(DISTINCT \"rides\".\"region\") FROM rides",
        ),
        // Within groups by other values a key comes more than once.
        (
            "count(DISTINCT region), sum(DISTINCT tip) FROM rides",
            "\"rides\".\"region\", \"rides\".\"tip\" FROM rides GROUP BY 1, 2",
        ),
        (
            "city, count(DISTINCT (region)) FILTER (WHERE ok) FROM rides GROUP BY city",
            "\"rides\".\"city\", count(DISTINCT (\"rides\".\"region\")) FILTER (WHERE \"rides\".\"ok\") FROM rides GROUP BY 1",
        ),
        (
            "count(DISTINCT s.region) FROM rides r LEFT JOIN stops s ON s.region = r.region",
            "count(DISTINCT \"s\".\"region\") FROM rides r LEFT JOIN stops s ON s.region = r.region",
        ),
        // What is computed of a key, or folds, may be the same on two shards.
        ("count(DISTINCT region || '') FROM rides", "\"rides\".\"region\" || '' FROM rides GROUP BY 1"),
        ("count(DISTINCT folded) FROM labels", "\"labels\".\"folded\" FROM labels GROUP BY 1"),
        ("count(DISTINCT rider) FROM rides, riders", "\"riders\".\"rider\" FROM rides, riders GROUP BY 1"),
    ];
    for (sql, asked) in counted {
        assert_eq!(shard(&format!("SELECT {sql}")), format!("SELECT {asked}"));
    }
    assert_eq!(
        final_text("SELECT count(DISTINCT region) FROM rides", &[oid::INT8]).unwrap().split(" FROM").next(),
        Some("SELECT (coalesce(sum(meridian__p.c1), 0)::bigint)")
    );
}

#[test]
fn equal_rows_are_gathered_once_where_no_aggregate_counts_them_twice() {
    let cases = [
        ("string_agg(DISTINCT city, ',')", r#"SELECT DISTINCT "rides"."city" FROM rides"#),
        (
            "string_agg(DISTINCT city, ','), max(tip)",
            r#"SELECT DISTINCT "rides"."city", "rides"."tip" FROM rides"#,
        ),
        // One of these counts, or what is equal may be written in two ways.
        ("string_agg(DISTINCT city, ','), count(*)", r#"SELECT "rides"."city" FROM rides"#),
        ("string_agg(city, ',')", r#"SELECT "rides"."city" FROM rides"#),
        ("string_agg(DISTINCT fare::text, ',')", r#"SELECT "rides"."fare" FROM rides"#),
        ("percentile_cont(0.5) WITHIN GROUP (ORDER BY tip)", r#"SELECT "rides"."tip" FROM rides"#),
    ];
    for (list, asked) in cases {
        assert_eq!(shard(&format!("SELECT {list} FROM rides")), asked, "{list}");
    }
}

#[test]
fn variances_are_asked_for_by_their_state_where_the_type_is_known() {
    assert_eq!(
        shard("SELECT stddev(tip) FILTER (WHERE ok) FROM rides"),
        "SELECT count(\"rides\".\"tip\") FILTER (WHERE \"rides\".\"ok\"), sum(\"rides\".\"tip\") FILTER (WHERE \"rides\".\"ok\"), \
         sum((\"rides\".\"tip\")::pg_catalog.numeric * (\"rides\".\"tip\")::pg_catalog.numeric) FILTER (WHERE \"rides\".\"ok\") FROM rides"
    );
    assert!(
        shard("SELECT variance(ratio) FROM rides")
            .contains("var_pop((\"rides\".\"ratio\")::pg_catalog.float8) * count(")
    );
    let exact = [oid::INT8, oid::INT8, oid::NUMERIC];
    let float = [oid::INT8, oid::FLOAT8, oid::FLOAT8];
    let pair = [oid::INT8, oid::FLOAT8, oid::FLOAT8, oid::FLOAT8, oid::FLOAT8, oid::FLOAT8];
    for (call, types) in [
        ("stddev(tip)", &exact[..]),
        ("stddev_pop(fare)", &exact),
        ("var_samp(big)", &exact),
        ("variance(ratio)", &float),
        ("stddev(weight)", &float),
        ("corr(tip, ratio)", &pair),
        ("regr_intercept(ratio, fare)", &pair),
    ] {
        let text = final_text(&format!("SELECT {call} FROM rides"), types);
        assert!(text.is_ok_and(|text| text.starts_with("SELECT (SELECT ")), "{call}");
    }
    for sql in ["SELECT variance(tip + tip) FROM rides", "SELECT variance(DISTINCT tip) FROM rides"] {
        assert_eq!(shard(sql).matches("count(").count(), 0, "its values are gathered: {sql}");
    }
}

#[test]
fn enums_travel_as_their_labels() {
    let text = final_text("SELECT city, count(*) FROM rides GROUP BY city", &[MOOD, oid::INT8]).unwrap();
    assert!(text.contains("unnest($1::text[]::\"public\".\"mood\"[], $2::bigint[])"), "{text}");
    assert_eq!(
        final_text("SELECT city, count(*) FROM rides GROUP BY city", &[MOOD + 1, oid::INT8]),
        Err("S028")
    );
}
