//! Subqueries that are tied to the row around them by columns that are no key: as conditions, values and LATERAL.

use super::Grammar;
use super::scope::{Scope, Source};
use super::select::{Body, Output};
use crate::tables::Type;
use crate::tree::{Node, seq};

const COMPARISONS: &[&str] = &[" = ", " <> ", " < ", " <= ", " > ", " >= "];

/// A subquery's table, and what ties it to the row around it.
struct Inner {
    scope: Scope,
    from: Node,
    /// The tie and other conditions, behind WHERE.
    filter: Node,
}

impl Grammar {
    pub fn correlated(&mut self) -> Body {
        let (from, outer) = match self.chance(70) {
            true => self.one_table(),
            false => self.from(&Vec::new(), 0),
        };
        match self.random.below(10) {
            0..=3 => self.with_condition(from, &outer),
            4..=6 => self.with_value(from, &outer),
            _ => self.with_lateral(from, &outer),
        }
    }

    /// A table under a new name, tied to what is around it.
    fn inner(&mut self, outer: &Scope) -> Inner {
        let table = self.table();
        let source = Source::of(table, self.name("s"));
        let from = Node::from(format!(" FROM {} {}", table.name, source.alias));
        let tie = self.loose_tie(outer, &source);
        let mut items = vec![tie];
        let scope = Scope { sources: vec![source] };
        for _ in 0..self.random.weighted(&[40, 45, 15]) {
            items.push(match self.random.below(8) {
                // About both sides, or the outer row alone.
                0 => self.condition(
                    &Scope { sources: [scope.sources.clone(), outer.sources.clone()].concat() },
                    1,
                ),
                1 => self.predicate(outer, 0),
                _ => self.predicate(&scope, 0),
            });
        }
        let filter = Node::List { head: " WHERE ", between: " AND ", tail: "", items, least: 0 };
        Inner { scope, from, filter }
    }

    /// Mostly an equality of columns that are no keys.
    fn loose_tie(&mut self, outer: &Scope, source: &Source) -> Node {
        for _ in 0..8 {
            let field = &source.fields[self.random.below(source.fields.len())];
            if field.is_wild || field.is_collated || field.is_key && self.random.chance(85) {
                continue;
            }
            let Some(own) = outer.column(field.ty, &mut self.random) else { continue };
            let theirs = field.sql.clone();
            let ordered = !matches!(field.ty, Type::Json);
            return match self.random.below(12) {
                0 if ordered => seq![theirs, " < ", own],
                1 if ordered => seq![theirs, " >= ", own],
                2 => seq![theirs, " IS NOT DISTINCT FROM ", own],
                3 => seq![theirs, " <> ", own],
                4..=6 => seq![own, " = ", theirs],
                _ => seq![theirs, " = ", own],
            };
        }
        "true".into()
    }

    fn with_condition(&mut self, from: Node, outer: &Scope) -> Body {
        let condition = self.correlated_condition(outer, 1);
        let condition = match self.random.below(6) {
            0 => seq!["(", condition, " OR ", self.predicate(outer, 0), ")"],
            1 => seq!["(", condition, ") IS NOT TRUE"],
            _ => condition,
        };
        let mut items = vec![condition];
        for _ in 0..self.random.weighted(&[40, 45, 15]) {
            items.push(match self.chance(15) {
                true => self.correlated_condition(outer, 0),
                false => self.predicate(outer, 0),
            });
        }
        let filter = Node::List { head: " WHERE ", between: " AND ", tail: "", items, least: 1 };
        if self.chance(25) {
            let field = outer.any(&mut self.random).sql.clone();
            let items = seq![field.clone(), " AS c1, ", self.aggregate(outer), " AS c2"];
            let node = seq!["SELECT ", items, " FROM ", from, filter, " GROUP BY ", field];
            let outputs = vec![Output { name: Some("c1".to_owned()) }, Output { name: None }];
            return Body { node, outputs, keys: Vec::new(), unique: Some("1".to_owned()), is_ordered: false };
        }
        let (list, outputs) = self.plain_items(outer, None);
        let node = seq!["SELECT ", list, " FROM ", from, filter];
        Body { node, outputs, keys: Vec::new(), unique: outer.unique(), is_ordered: false }
    }

    fn correlated_condition(&mut self, outer: &Scope, depth: usize) -> Node {
        let Inner { scope, from, filter } = self.inner(outer);
        let no = if self.chance(40) { "NOT " } else { "" };
        let field = scope.any(&mut self.random).clone();
        let unsuited = field.is_wild || field.is_collated;
        let own = outer.column(field.ty, &mut self.random).filter(|_| !unsuited);
        let ordered = field.ty != Type::Json;
        match (self.random.below(9), own) {
            (0, Some(own)) => seq![own, " ", no, "IN (SELECT ", field.sql, from, filter, ")"],
            (1, Some(own)) if ordered => {
                let word = *self.random.pick(&["ANY", "ALL"]);
                let operator = *self.random.pick(COMPARISONS);
                seq![own, operator, word, " (SELECT ", field.sql, from, filter, ")"]
            }
            (2 | 3, _) => {
                let ty = *self.random.pick(&[Type::Int, Type::Num]);
                let (value, compared) = (self.leaf(&scope, ty), self.leaf(outer, ty));
                let name = *self.random.pick(&["max(", "min(", "avg(", "sum(", "count("]);
                let operator = *self.random.pick(COMPARISONS);
                seq![compared, operator, "(SELECT ", name, value, ")", from, filter, ")"]
            }
            (4, _) if depth > 0 => {
                // One that is tied to both around it.
                let wide = Scope { sources: [scope.sources.clone(), outer.sources.clone()].concat() };
                let inner = self.correlated_condition(&wide, 0);
                let head = if self.chance(50) { "NOT EXISTS (SELECT 1" } else { "EXISTS (SELECT 1" };
                seq![head, from, self.also(filter, inner), ")"]
            }
            (5, _) => {
                let field = field.sql.clone();
                let having = seq![" GROUP BY ", field.clone(), " HAVING count(*) > 1"];
                seq![no, "EXISTS (SELECT ", field, from, filter, having, ")"]
            }
            _ => seq![no, "EXISTS (SELECT 1", from, filter, ")"],
        }
    }

    fn also(&mut self, filter: Node, more: Node) -> Node {
        match filter {
            Node::List { head, between, tail, mut items, least } => {
                items.push(more);
                Node::List { head, between, tail, items, least }
            }
            other => other,
        }
    }

    /// A scalar subquery, or several rows as an array.
    fn correlated_value(&mut self, outer: &Scope) -> Node {
        let Inner { scope, from, filter } = self.inner(outer);
        let unique = scope.unique().unwrap_or_default();
        let field = scope.any(&mut self.random).sql.clone();
        match self.random.below(7) {
            0 => seq!["(SELECT ", field, from, filter, " ORDER BY ", unique, " LIMIT 1)"],
            1 => seq!["ARRAY(SELECT ", self.leaf(&scope, Type::Int), from, filter, " ORDER BY ", unique, ")"],
            2 => {
                let text = self.leaf(&scope, Type::Text);
                seq!["(SELECT string_agg(", text, ", ',' ORDER BY ", unique, ")", from, filter, ")"]
            }
            3 => seq!["EXISTS (SELECT ", field, from, filter, ")"],
            4 => {
                let both = Scope { sources: [scope.sources.clone(), outer.sources.clone()].concat() };
                seq!["(SELECT sum(", self.expression(&both, Type::Int, 1), ")", from, filter, ")"]
            }
            5 => {
                seq!["coalesce((SELECT ", self.number_aggregate(&scope), "::text", from, filter, "), 'none')"]
            }
            _ => seq!["(SELECT ", self.aggregate(&scope), from, filter, ")"],
        }
    }

    fn with_value(&mut self, from: Node, outer: &Scope) -> Body {
        let value = self.correlated_value(outer);
        let filter = self.filter(outer, 0);
        let (list, outputs) = self.plain_items(outer, Some(value));
        let node = seq!["SELECT ", list, " FROM ", from, filter];
        // What it computes may be noise, which has no order.
        let outputs = outputs.into_iter().map(|_| Output { name: None }).collect();
        let keys = vec![outer.any(&mut self.random).sql.clone().into()];
        Body { node, outputs, keys, unique: outer.unique(), is_ordered: false }
    }

    fn with_lateral(&mut self, from: Node, outer: &Scope) -> Body {
        let Inner { scope, from: below, filter } = self.inner(outer);
        let unique = scope.unique().unwrap_or_default();
        let (field, other) = (scope.any(&mut self.random).clone(), scope.any(&mut self.random).sql.clone());
        let (query, total) = match self.random.below(5) {
            0 => (seq!["SELECT ", self.aggregate(&scope), " AS v", below, filter], true),
            1 => {
                let by = seq![" GROUP BY ", other.clone()];
                (seq!["SELECT ", other, " AS v, count(*) AS n", below, filter, by], false)
            }
            2 => (seq!["SELECT DISTINCT ", other, " AS v", below, filter], false),
            _ => {
                let first = seq![" ORDER BY ", unique.clone(), self.first_rows()];
                (seq!["SELECT ", field.sql, " AS v, ", unique, " AS u", below, filter, first], false)
            }
        };
        let own = self.predicate(outer, 0);
        let join = match self.random.below(4) {
            0 => seq![", LATERAL (", query, ") l"],
            1 => seq![" LEFT JOIN LATERAL (", query, ") l ON ", own],
            2 => seq![" LEFT JOIN LATERAL (", query, ") l ON true"],
            _ => seq![" CROSS JOIN LATERAL (", query, ") l"],
        };
        let where_ = self.filter(outer, 0);
        if self.chance(25) {
            let items = seq!["count(*) AS c1, count(l.v) AS c2"];
            let node = seq!["SELECT ", items, " FROM ", from, join, where_];
            let outputs =
                vec![Output { name: Some("c1".to_owned()) }, Output { name: Some("c2".to_owned()) }];
            return Body { node, outputs, keys: Vec::new(), unique: None, is_ordered: false };
        }
        let (list, outputs) = self.plain_items(outer, Some("l.v".into()));
        let outputs = outputs.into_iter().map(|_| Output { name: None }).collect();
        let unique = outer.unique().filter(|_| total);
        let node = seq!["SELECT ", list, " FROM ", from, join, where_];
        Body { node, outputs, keys: Vec::new(), unique, is_ordered: false }
    }
}
