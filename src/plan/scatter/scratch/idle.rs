//! Parts of WITH that nothing reads: PostgreSQL does not run them, so that nothing is needed for them and no mistake of
//! theirs is ever met.
//!
//! ```text
//! WITH a AS (SELECT 1 / n FROM t), b AS (SELECT x FROM u) SELECT x FROM b        a is idle
//! ```

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, Query, SetExpr, Visit, Visitor};

use super::super::expression::{folded, object_name};

/// Takes them out of the query's own WITH. A name that is found anywhere counts as read, whatever it means there.
pub(super) fn take(query: &mut Query) -> Vec<Query> {
    let mut idle = Vec::new();
    while let Some(part) = take_one(query) {
        idle.push(part);
    }
    idle
}

fn take_one(query: &mut Query) -> Option<Query> {
    let with = query.with.as_ref()?;
    let mut read = Read::default();
    // Not to be read on: taken for a reader of everything.
    if Visit::visit(&*query, &mut read).is_break() {
        return None;
    }
    let own = |at: usize| {
        let mut own = Read::default();
        let _ = Visit::visit(&with.cte_tables[at].query, &mut own);
        own
    };
    let is_idle = |at: &usize| {
        let name = folded(&with.cte_tables[*at].alias.name);
        // A recursive part reads itself.
        read.times(&name) == own(*at).times(&name)
    };
    let at = (0..with.cte_tables.len()).find(is_idle)?;
    let part = query.with.as_mut()?.cte_tables.remove(at);
    if query.with.as_ref().is_some_and(|with| with.cte_tables.is_empty()) {
        query.with = None;
    }
    Some(*part.query)
}

/// Names in FROM, and how often each stands there.
#[derive(Default)]
struct Read(HashMap<String, usize>);

impl Read {
    fn times(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }
}

impl Visitor for Read {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        match &*query.body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) => {
                ControlFlow::Continue(())
            }
            // TABLE t, and whatever writes.
            _ => ControlFlow::Break(()),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let Some(name) = object_name(relation) else { return ControlFlow::Break(()) };
        if name.schema.is_none() {
            *self.0.entry(name.name).or_default() += 1;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse_tree;
    use sqlparser::ast::Statement;

    fn idle(text: &str) -> Vec<String> {
        let mut tree = parse_tree(text).unwrap();
        let Statement::Query(query) = &mut *tree else { panic!("{text}") };
        take(query).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn parts_that_nothing_reads_are_idle_and_so_is_what_only_they_read() {
        let cases: [(&str, &[&str]); 6] = [
            ("WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM b", &["SELECT 1"]),
            ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT 3", &["SELECT * FROM a", "SELECT 1"]),
            ("WITH a AS (SELECT 1) SELECT (SELECT x FROM \"a\")", &[]),
            ("WITH a AS (SELECT 1) SELECT * FROM public.a", &["SELECT 1"]),
            (
                "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT 2",
                &["SELECT 1 UNION ALL SELECT * FROM a"],
            ),
            ("WITH a AS (SELECT 1) TABLE a", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(idle(text), expected, "{text}");
        }
    }
}
