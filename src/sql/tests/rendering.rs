//! Printing, splicing and the guard.

use crate::sql::lexer::LexOptions;
use crate::sql::parse::{parse, parse_tree};
use crate::sql::render::{Template, extra_placeholder, same_tokens};
use crate::sql::shape::{ShapeBuffers, shape};

/// Parses, prints and fills again.
fn round_trip(sql: &str) -> Option<String> {
    let parsed = parse(sql.as_bytes(), LexOptions::default());
    let text = parsed.text?;
    let printed = parse_tree(&text)?.to_string();
    if !same_tokens(&text, &printed) {
        return None;
    }
    let mut buffers = ShapeBuffers::default();
    let shaped = shape(sql.as_bytes(), LexOptions::default(), &mut buffers);
    let filled = Template::new(&printed)?.fill(sql.as_bytes(), shaped.literals, &[])?;
    Some(String::from_utf8(filled).unwrap())
}

#[test]
fn clients_bytes_survive_rewriting() {
    let hostile = r"SELECT * FROM t WHERE n = '\''; DROP TABLE users; --' AND m = 'a''''b' AND o = E'\'' AND p = $q$'$q$";
    assert_eq!(round_trip(hostile).as_deref(), Some(hostile));
    let cases = [
        ("select a from only t where k=-1", "SELECT a FROM ONLY t WHERE k = -1"),
        ("select a from only (s.t) where k<>-1", "SELECT a FROM ONLY s.t WHERE k <> -1"),
        ("select x'1f', 1.50, 12345678901234567890", "SELECT x'1f', 1.50, 12345678901234567890"),
        ("select interval '1 day', date '2020-01-01'", "SELECT INTERVAL '1 day', DATE '2020-01-01'"),
        ("select a b from t order by 1 asc", "SELECT a AS b FROM t ORDER BY 1 ASC"),
        ("select a from t limit 5 offset 6", "SELECT a FROM t LIMIT 5 OFFSET 6"),
        ("select 'a'\n'b'", "SELECT 'a'\n'b'"),
        ("select \"a\"\"b\" from \"T\"", "SELECT \"a\"\"b\" FROM \"T\""),
        ("select a::varchar(3), b::numeric(10,2) from t", "SELECT a::VARCHAR(3), b::NUMERIC(10,2) FROM t"),
    ];
    for (sql, expected) in cases {
        assert_eq!(round_trip(sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn common_statements_can_be_rewritten() {
    let cases = [
        "select count(*), sum(a), avg(b) from t where k = 1 group by c having count(*) > 5 order by 2 desc nulls last limit 5",
        "select distinct on (a) a, b from t join u using (k) left outer join v on v.a = u.a order by a, b desc",
        "select * from t where k in (1, 2) and j = any($1) and a between 1 and 2 and b is not null and c like 'x%'",
        "with x as materialized (select 1) select * from x union all select 2 from t",
        "select case when a = 1 then 'x' else 'y' end, coalesce(a, 0), cast(a as text), extract(year from d) from t",
        "select rank() over (partition by a order by b rows between unbounded preceding and current row) from t",
        "select a -> 'b' ->> 'c', a @> '{}', not (x and y or z), a || b, -a, a ^ 2, a % 2 from t",
        "select count(*) filter (where a > 1), array_agg(distinct a order by b), percentile_cont(0.5) within group (order by c) from t",
        "select a[1], (a + b) * c, array[1, 2], row(1, 2), (1, 2) = (a, b) from t for update skip locked",
        "select * from (select a from t) as d, lateral (select 1) e, generate_series(1, 5) as g(n)",
        "select current_date, now() at time zone 'utc', position('a' in b), substring(a from 1 for 2), trim(both 'x' from a) from t",
        "select a from t where exists (select 1 from u where u.k = t.k) offset 5 rows fetch first 3 rows only",
    ];
    let failed: Vec<_> = cases.iter().filter(|sql| round_trip(sql).is_none()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn computed_values_fill_their_places() {
    let template = Template::new(&format!("SELECT a FROM t LIMIT {}", extra_placeholder(0))).unwrap();
    assert_eq!(template.fill(b"", &[], &[b"15"]).unwrap(), b"SELECT a FROM t LIMIT 15");
    assert!(template.fill(b"", &[], &[]).is_none());
    assert!(Template::new("SELECT 'mine'").is_none());
}

#[test]
fn a_changed_statement_is_not_the_same() {
    assert!(same_tokens("select a as b from t", "SELECT a b FROM t"));
    assert!(!same_tokens("select a from t", "select b from t"));
    assert!(!same_tokens("select a from t union all select 1", "select a from t union select 1"));
    assert!(!same_tokens("select \"A\" from t", "select \"a\" from t"));
}
