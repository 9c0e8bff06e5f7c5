//! Statement, then the printed facts: `tests/cases/sql/*.txt`. `MERIDIAN_REWRITE_CASES=1` writes what is printed now.

use std::path::Path;

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
