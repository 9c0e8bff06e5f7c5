//! Queries put together from others: parts under UNION ALL, first rows joined to other tables, recursion.

use super::Grammar;
use super::scope::{Field, Scope, Source};
use super::select::{Body, Output};
use crate::tables::Type;
use crate::tree::{Node, seq};

const NAMES: &[&str] = &["'a'", "'b'", "'c'", "'d'"];

impl Grammar {
    /// `SELECT 'a' AS part, count(*) AS n FROM … UNION ALL …`, by itself or below an aggregate.
    pub fn parts(&mut self) -> Body {
        // Numbers of all types meet, or one type only.
        let only = self.chance(40).then(|| *self.random.pick(&[Type::Int, Type::Num]));
        let count = 2 + self.random.below(3);
        let items = (0..count).map(|number| self.part(NAMES[number], only)).collect();
        let list = Node::List { head: "", between: " UNION ALL ", tail: "", items, least: 1 };
        let output = |name: &str| Output { name: Some(name.to_owned()) };
        let (part, n) = (output("part"), output("n"));
        let (node, outputs, unique) = match self.random.below(7) {
            0 => (seq!["SELECT sum(n) AS n, count(*) AS part FROM (", list, ") q"], vec![n, part], None),
            1 => {
                let by = seq!["SELECT part, sum(n) AS n FROM (", list, ") q GROUP BY part"];
                (by, vec![part, n], Some("1".to_owned()))
            }
            2 => {
                (seq!["WITH q AS (", list, ") SELECT part, n FROM q"], vec![part, n], Some("1, 2".to_owned()))
            }
            3 => {
                let from = "SELECT q.part, q.n, c.word FROM (";
                let node = seq![from, list, ") q LEFT JOIN cats c ON c.id = q.n"];
                (node, vec![part, n, output("word")], Some("1, 2, c.id".to_owned()))
            }
            _ => (list, vec![part, n], Some("1, 2".to_owned())),
        };
        Body { node, outputs, keys: Vec::new(), unique, is_ordered: false }
    }

    fn part(&mut self, name: &'static str, only: Option<Type>) -> Node {
        let (from, scope) = self.from(&Vec::new(), 0);
        let filter = self.filter(&scope, 1);
        let ty = only.unwrap_or(*self.random.pick(&[Type::Int, Type::Int, Type::Num, Type::Small]));
        let value = self.leaf(&scope, ty);
        let (value, groups) = match self.random.below(8) {
            0 | 1 => ("count(*)".into(), Node::empty()),
            2 | 3 => (seq!["sum(", value, ")"], Node::empty()),
            4 => (seq![*self.random.pick(&["max(", "min(", "avg("]), value, ")"], Node::empty()),
            5 => {
                let field = scope.any(&mut self.random).sql.clone();
                (seq!["count(DISTINCT ", field, ")"], Node::empty())
            }
            6 => {
                let field = scope.any(&mut self.random).sql.clone();
                let having = seq![" HAVING count(*) > 1"].optional();
                ("count(*)".into(), seq![" GROUP BY ", field, having])
            }
            _ => (value, Node::empty()),
        };
        let is_plain = !groups.print(crate::tree::Style::Literals).text.contains("GROUP");
        let is_aggregate = value.print(crate::tree::Style::Literals).text.contains('(');
        let query = seq!["SELECT ", name, " AS part, ", value, " AS n FROM ", from, filter, groups];
        match scope.unique() {
            Some(unique) if is_plain && !is_aggregate && self.chance(70) => {
                seq!["(", query, " ORDER BY ", unique, self.first_rows(), ")"]
            }
            _ => query,
        }
    }

    /// LIMIT, and sometimes OFFSET, below the outermost query.
    pub fn first_rows(&mut self) -> Node {
        let rows = self.number(&["1", "3", "5", "10", "30"]);
        let node = match self.random.below(5) {
            0 => seq![" LIMIT ", rows, " OFFSET ", self.number(&["0", "1", "4"])],
            1 => seq![" OFFSET ", self.number(&["0", "2"]), " ROWS FETCH FIRST ", rows, " ROWS ONLY"],
            _ => seq![" LIMIT ", rows],
        };
        node.optional()
    }

    /// The first rows of a table, under a name.
    fn first_of(&mut self, alias: &str) -> (Node, Source) {
        let (from, scope) = self.one_table();
        let source = scope.sources[0].clone();
        let filter = self.filter(&scope, 0);
        let unique = source.unique.join(", ");
        let (mut items, mut fields) = (Vec::new(), Vec::new());
        for number in 1..=2 + self.random.below(3) {
            let field = match source.key().filter(|_| self.random.chance(40)) {
                Some(key) => key.clone(),
                None => scope.any(&mut self.random).clone(),
            };
            items.push(seq![field.sql.clone(), format!(" AS k{number}")]);
            fields.push(Field { sql: format!("{alias}.k{number}"), ..field });
        }
        items.push(seq![unique.clone(), " AS u"]);
        let least = items.len();
        let list = Node::List { head: "", between: ", ", tail: "", items, least };
        let order = match self.random.below(4) {
            0 => seq![" ORDER BY ", unique, " DESC"],
            1 => {
                let field = scope.any(&mut self.random).sql.clone();
                seq![" ORDER BY ", field, " DESC NULLS LAST, ", unique]
            }
            _ => seq![" ORDER BY ", unique],
        };
        let query = seq!["SELECT ", list, " FROM ", from, filter, order, self.first_rows()];
        let unique = vec![format!("{alias}.u")];
        (query, Source { alias: alias.to_owned(), fields, unique, table: None })
    }

    /// The first rows of a table joined to another table, or to the first rows of another.
    pub fn first_joined(&mut self) -> Body {
        let name = self.name("x");
        let (first, source) = self.first_of(&name);
        let (second, other) = match self.chance(25) {
            true => {
                let name = self.name("x");
                let (query, source) = self.first_of(&name);
                (seq!["(", query, ") ", name], source)
            }
            false => {
                let table = self.table();
                let alias = self.name("t");
                (format!("{} {alias}", table.name).into(), Source::of(table, alias))
            }
        };
        let scope = Scope { sources: vec![source.clone()] };
        let tie = self.tie(&scope, &other).unwrap_or("true".into());
        let scope = Scope { sources: vec![source, other] };
        let kind = *self.random.pick(&[" JOIN ", " JOIN ", " LEFT JOIN ", " RIGHT JOIN "]);
        let filter = self.filter(&scope, 1);
        let (from, head) = match self.chance(65) {
            true => (seq!["(", first, ") ", name.clone()], Node::empty()),
            false => {
                let how = *self.random.pick(&[" AS (", " AS MATERIALIZED (", " AS NOT MATERIALIZED ("]);
                (name.clone().into(), seq!["WITH ", name, how, first, ") "])
            }
        };
        let from = match self.chance(75) {
            true => seq![from, kind, second, " ON ", tie],
            // The other way round.
            false => seq![second, kind, from, " ON ", tie],
        };
        if self.chance(30) {
            let field = scope.any(&mut self.random).sql.clone();
            let items = seq![field.clone(), " AS c1, ", self.aggregate(&scope), " AS c2"];
            let node = seq![head, "SELECT ", items, " FROM ", from, filter, " GROUP BY ", field];
            let outputs = vec![Output { name: Some("c1".to_owned()) }, Output { name: None }];
            return Body { node, outputs, keys: Vec::new(), unique: Some("1".to_owned()), is_ordered: false };
        }
        let (list, outputs) = self.plain_items(&scope, None);
        let node = seq![head, "SELECT ", list, " FROM ", from, filter];
        Body { node, outputs, keys: Vec::new(), unique: scope.unique(), is_ordered: false }
    }

    /// WITH RECURSIVE: numbers joined to a table, or steps from row to row.
    pub fn recursive(&mut self) -> Body {
        let (from, scope) = self.one_table();
        let source = scope.sources[0].clone();
        let numbers: Vec<String> =
            scope.fields().filter(|f| f.ty.is_integer() && !f.is_wild).map(|f| f.sql.clone()).collect();
        let number = if numbers.is_empty() { "1".to_owned() } else { self.random.pick(&numbers).clone() };
        let (other, filter) = (scope.any(&mut self.random).sql.clone(), self.filter(&scope, 0));
        let id = source.unique.first().cloned().unwrap_or_default();
        let word = *self.random.pick(&[" UNION ALL ", " UNION "]);
        let steps = *self.random.pick(&["1", "2", "3"]);
        let output = |name: &str| Output { name: Some(name.to_owned()) };
        let (node, outputs, unique) = match self.random.below(5) {
            0 => {
                let made = "WITH RECURSIVE r (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM r WHERE n < 9) ";
                let items = seq![made, "SELECT r.n, count(", other, ") AS c FROM r LEFT JOIN ", from];
                let node = seq![items, " ON ", number, " = r.n", filter, " GROUP BY r.n"];
                (node, vec![output("n"), output("c")], Some("r.n".to_owned()))
            }
            1 => {
                // From what the first part of it found, by the number of a row, some steps further.
                let first =
                    seq!["SELECT ", number.clone(), "::bigint AS n, 0 AS step FROM ", from.clone(), filter];
                let next = seq!["SELECT ", id, "::text::int8, r.step + 1 FROM r JOIN ", from, " ON ", number];
                let first =
                    if numbers.is_empty() { "SELECT 1::bigint AS n, 0 AS step".into() } else { first };
                let next = match source.table.is_some_and(|table| table.unique[0] != "word") {
                    true => seq![next, " = r.n WHERE r.step < ", steps],
                    false => "SELECT n + 1, step + 1 FROM r WHERE step < 2".into(),
                };
                let made = seq!["WITH RECURSIVE r AS (", first, " UNION ", next, ") "];
                let node = seq![made, "SELECT n, step FROM r"];
                (node, vec![output("n"), output("step")], Some("1, 2".to_owned()))
            }
            2 => {
                let first = seq!["SELECT ", other.clone(), " AS f, 0 AS step FROM ", from, filter];
                let made =
                    seq!["WITH RECURSIVE r AS (", first, word, "SELECT f, step + 1 FROM r WHERE step < "];
                let node = seq![made, steps, ") SELECT f, count(*) AS c, max(step) AS m FROM r GROUP BY f"];
                (node, vec![output("f"), output("c"), output("m")], Some("1".to_owned()))
            }
            3 => {
                let first = seq!["SELECT ", id, " AS i, ", other, " AS f, 0 AS step FROM ", from, filter];
                let made = seq!["WITH RECURSIVE r AS (", first, word];
                let next = seq!["SELECT i, f, step + 1 FROM r WHERE step < ", steps, ") "];
                let set = *self.random.pick(&[
                    "SEARCH BREADTH FIRST BY i, step SET o ",
                    "SEARCH DEPTH FIRST BY i, step SET o ",
                    "CYCLE i SET is_cycle USING path ",
                ]);
                let node = seq![made, next, Node::from(set).optional(), "SELECT i, f, step FROM r"];
                (node, vec![output("i"), output("f"), output("step")], Some("i, step".to_owned()))
            }
            _ => {
                let made = "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) ";
                let item = seq!["(SELECT sum(n) FROM r WHERE n <= ", number, ") AS s"];
                let node = seq![made, "SELECT ", other, " AS f, ", item, " FROM ", from, filter];
                (node, vec![output("f"), output("s")], scope.unique())
            }
        };
        Body { node, outputs, keys: Vec::new(), unique, is_ordered: false }
    }
}
