//! Statement, then the printed facts: `tests/cases/sql/*.txt`. `MERIDIAN_REWRITE_CASES=1` writes what is printed now.

use std::path::Path;

use proptest::prelude::*;

use super::printing;
use crate::sql::lexer::LexOptions;
use crate::sql::parse::parse;

fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sql").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut rewritten = String::new();
    for case in text.split("\n\n").map(str::trim).filter(|case| !case.is_empty()) {
        let sql = case.split("\n----").next().unwrap_or(case);
        let statement: Vec<_> = sql.lines().filter(|line| !line.starts_with('#')).collect();
        let facts = parse(statement.join("\n").as_bytes(), LexOptions::default()).facts;
        rewritten.push_str(&format!("{sql}\n----\n{}\n", printing::facts(&facts)));
    }
    if std::env::var_os("MERIDIAN_REWRITE_CASES").is_some() {
        std::fs::write(&path, &rewritten).unwrap();
    }
    similar(&text, &rewritten, file);
}

fn similar(expected: &str, found: &str, file: &str) {
    if std::env::var_os("MERIDIAN_REWRITE_CASES").is_some() {
        return;
    }
    let blocks = |text: &str| {
        text.split("\n\n").map(|b| b.trim().to_owned()).filter(|b| !b.is_empty()).collect::<Vec<_>>()
    };
    for (expected, found) in blocks(expected).into_iter().zip(blocks(found)) {
        assert_eq!(expected, found, "in {file}");
    }
}

#[test]
fn queries() {
    check("queries.txt");
}

#[test]
fn predicates() {
    check("predicates.txt");
}

#[test]
fn writes() {
    check("writes.txt");
}

#[test]
fn commands() {
    check("commands.txt");
}

#[test]
fn shadows() {
    check("shadows.txt");
}

#[test]
fn long_chains_need_no_deep_stack() {
    let or = format!("select * from t where {}", vec!["k = 1"; 4_000].join(" or "));
    let union = vec!["select k from t where k = 1"; 1_500].join(" union all ");
    let casts = format!("select * from t where k = 1{}", "::int".repeat(5_000));
    let plus = format!("select {} from t", vec!["1"; 9_000].join(" + "));
    let nots = format!("select * from t where {} k = 1", "not ".repeat(9_000));
    let parentheses = format!("select {}1{}", "(".repeat(140), ")".repeat(140));
    let subqueries = format!("select {}1{}", "(select ".repeat(60), ")".repeat(60));
    let run = move || {
        for sql in [&or, &union, &casts, &plus, &nots, &parentheses, &subqueries] {
            drop(parse(sql.as_bytes(), LexOptions::default()));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn long_inserts_are_read_without_the_parser() {
    use crate::sql::facts::{InsertSource, Kind};
    let sql = format!("insert into t (a, b) values {} returning a", vec!["(1, 'x')"; 30_000].join(", "));
    let parsed = parse(sql.as_bytes(), LexOptions::default());
    let Kind::Insert(insert) = parsed.facts.kind else { panic!("not an insert") };
    let InsertSource::Rows(rows) = insert.source else { panic!("no rows") };
    assert_eq!(rows.len(), 30_000);
    assert_eq!(printing::cell(&rows[29_999][1]), "L59999");
    assert!(insert.returning && !parsed.cacheable);
}

#[test]
fn layouts_give_the_bytes_of_each_row() {
    let sql = "insert into t (a) values (1, ')'), /* c */ ( f((2)) ,3) on conflict do nothing";
    let layout = crate::sql::rows::layout(sql.as_bytes(), LexOptions::default()).unwrap();
    let piece = |range: &std::ops::Range<u32>| &sql[range.start as usize..range.end as usize];
    assert_eq!(piece(&layout.head), "insert into t (a) values");
    assert_eq!(layout.rows.iter().map(piece).collect::<Vec<_>>(), ["(1, ')')", "( f((2)) ,3)"]);
    assert_eq!(piece(&layout.tail), "on conflict do nothing");
    assert!(crate::sql::rows::layout(b"insert into t select 1", LexOptions::default()).is_none());
    assert!(
        crate::sql::rows::layout(b"insert into t values (1) order by 1", LexOptions::default()).is_none()
    );
}

#[test]
fn facts_of_one_shape_are_equal() {
    let pairs = [
        (
            "select * from t where k = 'a' and j=5 limit 3",
            "SELECT *  FROM t WHERE k=$$b$$ AND j = 7 LIMIT 10",
        ),
        ("insert into t values (1, 'a')", "insert into T /* c */ values (2,E'\\n')"),
        ("update t set a = 1.5 where k in (1, 2)", "update t set a=2.25 where k in (3,4)"),
    ];
    for (a, b) in pairs {
        let facts = |sql: &str| {
            let parsed = parse(sql.as_bytes(), LexOptions::default());
            assert!(parsed.cacheable);
            (printing::facts(&parsed.facts), parsed.text)
        };
        assert_eq!(facts(a), facts(b));
    }
}

#[test]
fn long_identifiers_are_cut_as_postgresql_cuts_them() {
    let long = "é".repeat(40);
    let facts = parse(format!("select * from {long}").as_bytes(), LexOptions::default()).facts;
    assert_eq!(facts.block.relations[0].name.name, "é".repeat(31));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_text_panics(words in proptest::collection::vec(proptest::sample::select(vec![
        "select", "from", "t", "where", "k", "=", "5", "'x'", "and", "or", "not", "(", ")", "(", ")", ",", "*", ".", "only",
        "insert", "into", "values", "update", "set", "delete", "with", "as", "on", "conflict", "do", "nothing", "[", "]",
        "join", "left", "using", "union", "all", "order", "by", "limit", "$1", "::", "int", "explain", "copy", "begin",
        "commit", "declare", "c", "cursor", "for", "prepare", "create", "table", "temp", "index", "truncate", "lock",
        "fetch", "set", "to", "default", "reset", "show", "E'", "$$", "U&\"x\"", "\"q\"", "-", "collate", "variadic",
        "exclude", "current", "of", "overriding", "system", "value", "reindex", "end", "case", "when", "then", "exists",
        "notify", "close", "deallocate", "execute", "discard", "uescape", "''", "stdin", "format", "csv", "is", "null",
    ]), 0..25)) {
        let text = words.join(" ");
        let parsed = parse(text.as_bytes(), LexOptions::default());
        let _ = crate::sql::rows::layout(text.as_bytes(), LexOptions::default());
        if let Some(text) = &parsed.text && let Some(tree) = crate::sql::parse::parse_tree(text) {
            let printed = tree.to_string();
            let _ = crate::sql::render::same_tokens(text, &printed);
            let _ = crate::sql::render::Template::new(&printed);
        }
    }
}
