//! The outermost query: plain bodies, set operations, WITH, ORDER BY and LIMIT.

use super::Grammar;
use super::from::Named;
use super::scope::{Scope, Source};
use crate::tables::Type;
use crate::tree::{Mark, Node, Value, seq};

/// How deep FROM and WHERE may nest.
const DEPTH: usize = 2;

/// An output column.
#[derive(Debug, Clone)]
pub struct Output {
    /// None: it has the name that PostgreSQL gives it.
    pub name: Option<String>,
}

/// A body and what its ORDER BY may name.
pub struct Body {
    pub node: Node,
    pub outputs: Vec<Output>,
    /// What ORDER BY may compute with besides outputs.
    pub keys: Vec<Node>,
    /// Sort keys without ties.
    pub unique: Option<String>,
    /// ORDER BY is written already.
    pub is_ordered: bool,
}

impl Grammar {
    pub fn query(&mut self) -> Node {
        let (with, named) = self.with();
        let body = match self.random.weighted(&[36, 26, 7, 4, 10, 9, 10, 7, 6, 2]) {
            4 if named.is_empty() => self.colocated(),
            5 => self.windowed(&named),
            6 if named.is_empty() => self.correlated(),
            7 if named.is_empty() => self.first_joined(),
            8 if named.is_empty() => self.parts(),
            9 if named.is_empty() => self.recursive(),
            0 | 4 | 6.. => self.plain(&named),
            1 => self.grouped(&named),
            2 => self.set_operation(&named),
            _ => self.distinct_on(&named),
        };
        let tail = self.tail(&body);
        seq![with, body.node, tail]
    }

    fn with(&mut self) -> (Node, Named) {
        let mut named = Named::new();
        if !self.chance(9) {
            return (Node::empty(), named);
        }
        for _ in 0..1 + self.random.below(2) {
            let name = self.name("w");
            let (query, source) = self.subquery(&name, 1);
            let how = *self.random.pick(&[" AS (", " AS (", " AS MATERIALIZED ("]);
            named.push((seq![name, how, query, ")"], source));
        }
        let items = named.iter().map(|(node, _)| node.clone()).collect();
        (Node::List { head: "WITH ", between: ", ", tail: " ", items, least: 0 }, named)
    }

    fn plain(&mut self, named: &Named) -> Body {
        let (from, scope) = self.from(named, DEPTH);
        let filter = self.filter(&scope, 1);
        let distinct = self.chance(16);
        let (items, outputs) = self.items(&scope);
        let count = outputs.len();
        let keys = match distinct {
            true => Vec::new(),
            false => (0..2).map(|_| self.sort_expression(&scope)).collect(),
        };
        let is_star = outputs.is_empty();
        let unique = match distinct {
            true if is_star => None,
            true => Some(ordinals(count)),
            false => scope.unique(),
        };
        let least = if distinct { count } else { 1 };
        let list = Node::List { head: "", between: ", ", tail: "", items, least };
        let word = if distinct { "SELECT DISTINCT " } else { "SELECT " };
        Body { node: seq![word, list, " FROM ", from, filter], outputs, keys, unique, is_ordered: false }
    }

    /// The select list; no outputs: it has a star.
    fn items(&mut self, scope: &Scope) -> (Vec<Node>, Vec<Output>) {
        if self.chance(7) {
            let star = match self.chance(60) {
                true => "*".to_owned(),
                false => format!("{}.*", self.random.pick(&scope.sources).alias),
            };
            return (vec![star.into()], Vec::new());
        }
        let (mut items, mut outputs) = (Vec::new(), Vec::new());
        for number in 1..=1 + self.random.below(4) {
            let expression = match self.random.weighted(&[48, 41, 8, 4]) {
                3 => scope.collated(&mut self.random).unwrap_or("1".into()),
                0 => scope.any(&mut self.random).sql.clone().into(),
                1 => {
                    let ty = self.a_type(scope);
                    self.expression(scope, ty, 2)
                }
                _ => self.window(scope),
            };
            let (item, output) = self.output(expression, number, scope);
            items.push(item);
            outputs.push(output);
        }
        (items, outputs)
    }

    /// An item with a name of its own, a column's name, or none.
    pub fn output(&mut self, expression: Node, number: usize, scope: &Scope) -> (Node, Output) {
        let name = match self.random.below(20) {
            0 => {
                let field = scope.any(&mut self.random);
                Some(field.sql.rsplit('.').next().unwrap_or_default().to_owned())
            }
            1..=4 => None,
            _ => Some(format!("c{number}")),
        };
        match &name {
            Some(name) => (seq![expression, format!(" AS {name}")], Output { name: Some(name.clone()) }),
            None => (expression, Output { name: None }),
        }
    }

    fn sort_expression(&mut self, scope: &Scope) -> Node {
        if let Some(collated) = scope.collated(&mut self.random).filter(|_| self.random.chance(12)) {
            return collated;
        }
        match self.chance(70) {
            true => scope.any(&mut self.random).sql.clone().into(),
            false => {
                let ty = self.a_type(scope);
                // A constant is no sort key.
                match scope.column(ty, &mut self.random) {
                    Some(column) => seq!["coalesce(", column, ", ", self.leaf(scope, ty), ")"],
                    None => scope.any(&mut self.random).sql.clone().into(),
                }
            }
        }
    }

    fn distinct_on(&mut self, named: &Named) -> Body {
        let (from, scope) = self.from(named, 1);
        let filter = self.filter(&scope, 1);
        let on = match scope.collated(&mut self.random).filter(|_| self.random.chance(15)) {
            Some(collated) => collated,
            None => scope.any(&mut self.random).sql.clone().into(),
        };
        let (items, outputs) = self.items(&scope);
        let list = Node::List { head: "", between: ", ", tail: "", items, least: 1 };
        let head = seq!["SELECT DISTINCT ON (", on.clone(), ") "].marked(Mark::Choice);
        let node = seq![head, list, " FROM ", from, filter, " ORDER BY ", on.marked(Mark::OrderKey(None))];
        let unique = scope.unique();
        let node = match unique {
            Some(unique) if self.chance(85) => {
                seq![node, seq![", ", unique].marked(Mark::Unique).optional()]
            }
            _ => node,
        };
        Body { node, outputs, keys: Vec::new(), unique: None, is_ordered: true }
    }

    fn set_operation(&mut self, named: &Named) -> Body {
        let types: Vec<Type> = (0..1 + self.random.below(3)).map(|_| *self.random.pick(&Type::ALL)).collect();
        let mut node = self.branch(named, &types);
        for _ in 0..1 + self.random.below(2) {
            let word = *self.random.pick(&[
                " UNION ",
                " UNION ALL ",
                " UNION ALL ",
                " INTERSECT ",
                " INTERSECT ALL ",
                " EXCEPT ",
                " EXCEPT ALL ",
            ]);
            let other = self.branch(named, &types);
            node = seq![node.clone(), word, other.clone()].or(vec![node, other]);
        }
        let outputs: Vec<_> = (1..=types.len()).map(|n| Output { name: Some(format!("c{n}")) }).collect();
        Body { node, unique: Some(ordinals(outputs.len())), outputs, keys: Vec::new(), is_ordered: false }
    }

    fn branch(&mut self, named: &Named, types: &[Type]) -> Node {
        let (from, scope) = self.from(named, 1);
        let filter = self.filter(&scope, 0);
        let mut items = Vec::new();
        for (index, ty) in types.iter().enumerate() {
            items.push(seq![self.expression(&scope, *ty, 1), format!(" AS c{}", index + 1)]);
        }
        let least = items.len();
        let list = Node::List { head: "", between: ", ", tail: "", items, least };
        let query = seq!["SELECT ", list, " FROM ", from, filter];
        match (scope.unique(), self.chance(8)) {
            (Some(unique), true) => seq!["(", query, " ORDER BY ", unique, " LIMIT 5)"],
            _ => query,
        }
    }

    /// ORDER BY and LIMIT.
    fn tail(&mut self, body: &Body) -> Node {
        let mut keys = Vec::new();
        let named = body.outputs.iter().any(|output| output.name.is_some());
        if !body.is_ordered && (named || !body.keys.is_empty()) && self.chance(60) {
            for _ in 0..self.random.weighted(&[15, 60, 25]) {
                keys.extend(self.key(body));
            }
        }
        let limited = self.chance(30);
        let is_total = body.unique.clone().filter(|_| self.chance(if limited { 85 } else { 30 }));
        if let Some(unique) = is_total {
            let direction = if unique.contains(',') { "" } else { self.random.pick(&["", " DESC"]) };
            keys.push(seq![unique, direction].marked(Mark::Unique));
        }
        let is_ordered = !keys.is_empty();
        let order = Node::List { head: " ORDER BY ", between: ", ", tail: "", items: keys, least: 0 };
        let limit = if limited { self.limit(is_ordered || body.is_ordered) } else { Node::empty() };
        seq![order, limit]
    }

    fn key(&mut self, body: &Body) -> Option<Node> {
        let direction = *self.random.pick(&[
            "",
            "",
            "",
            " DESC",
            " DESC",
            " ASC",
            " NULLS FIRST",
            " DESC NULLS LAST",
            " ASC NULLS LAST",
            " USING <",
            " USING >",
            " USING > NULLS LAST",
        ]);
        if !body.keys.is_empty() && self.chance(40) {
            let key = self.random.pick(&body.keys).clone();
            return Some(seq![key, direction].marked(Mark::OrderKey(None)));
        }
        let names: Vec<_> = body.outputs.iter().filter_map(|output| output.name.clone()).collect();
        let name = names.get(self.random.below(names.len().max(1)))?.clone();
        Some(seq![name.clone(), direction].marked(Mark::OrderKey(Some(name))))
    }

    fn limit(&mut self, is_ordered: bool) -> Node {
        let (rows, skipped) = (
            self.number(&["0", "1", "2", "5", "20", "1000", "NULL"]),
            self.number(&["0", "1", "3", "50", "NULL"]),
        );
        let node = match self.random.below(15) {
            0 => seq![" LIMIT ", rows, " OFFSET ", skipped],
            1 => seq![" OFFSET ", skipped, " LIMIT ", rows],
            2 => seq![" OFFSET ", skipped],
            3 => seq![" OFFSET ", skipped, " ROWS FETCH NEXT 4 ROWS ONLY"],
            4 => {
                return (*self.random.pick(&[
                    " LIMIT NULL",
                    " LIMIT ALL",
                    " OFFSET 0",
                    " LIMIT NULL OFFSET NULL",
                ]))
                .into();
            }
            5 if is_ordered => {
                let first = match self.chance(70) {
                    true => seq![" FETCH FIRST ", self.number(&["1", "3", "10"]), " ROWS WITH TIES"],
                    false => " FETCH FIRST ROW WITH TIES".into(),
                };
                // Which of equals are skipped is open.
                return match self.chance(30) {
                    true => seq![" OFFSET 1 ROW", first].marked(Mark::Limit).optional(),
                    false => first.marked(Mark::Ties).optional(),
                };
            }
            6 | 7 => self.odd_limit(),
            8 => seq![" LIMIT ", rows, " + 1 OFFSET ", self.number(&["1", "2"]), " * 2"],
            9 => seq![" OFFSET (", skipped, "::bigint) FETCH FIRST (1 + ", rows, ") ROWS ONLY"],
            _ => seq![" LIMIT ", rows],
        };
        node.marked(Mark::Limit).optional()
    }

    fn odd_limit(&mut self) -> Node {
        let texts: &[&'static str] = &[
            " LIMIT 2.5",
            " LIMIT '3'",
            " LIMIT 1 + 1",
            " LIMIT (SELECT 2)",
            " LIMIT -1",
            " OFFSET -1",
            " LIMIT 3::smallint",
            " LIMIT (SELECT count(*) FROM cats)",
            " LIMIT (SELECT max(qty) FROM lines) OFFSET 1",
            " LIMIT length('abc') OFFSET (SELECT 1)",
            " FETCH FIRST ROW ONLY",
            " LIMIT CASE WHEN 1 = 1 THEN 2 END",
            " LIMIT nullif(1, 1) OFFSET coalesce(NULL, 2)",
        ];
        (*self.random.pick(texts)).into()
    }

    pub fn number(&mut self, from: &[&'static str]) -> Node {
        let value = (*self.random.pick(from)).to_owned();
        let is_parameter = self.parameters && self.chance(60);
        let raw = (value != "NULL").then(|| value.clone());
        Node::Value(Value { literal: value, raw, cast: "", type_oid: 0, is_parameter })
    }

    /// A scope of one table, and its FROM.
    pub fn one_table(&mut self) -> (Node, Scope) {
        let table = self.table();
        let alias = self.name("t");
        let scope = Scope { sources: vec![Source::of(table, alias.clone())] };
        (format!("{} {alias}", table.name).into(), scope)
    }
}

fn ordinals(count: usize) -> String {
    (1..=count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}
