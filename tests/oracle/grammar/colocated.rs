//! Queries whose rows meet by their keys: what each shard can answer of them by itself, and what only seems so.

use super::Grammar;
use super::scope::{Field, Scope, Source};
use super::select::{Body, Output};
use crate::tables::Table;
use crate::tree::{Node, seq};

/// Two tables with keys of one type: the same placement, mostly.
struct Pair {
    a: Source,
    b: &'static Table,
    key: Field,
}

impl Grammar {
    pub fn colocated(&mut self) -> Body {
        let Some(pair) = self.pair() else { return self.within_key() };
        match self.random.below(9) {
            0 | 1 => self.joined_by_key(&pair),
            2 | 3 => self.filtered_by_key(&pair),
            4 => self.counted_by_key(&pair),
            5 => self.grouped_below(&pair),
            6 => self.sets_of_keys(&pair),
            _ => self.within_key(),
        }
    }

    fn pair(&mut self) -> Option<Pair> {
        let a = self.table();
        let b = match (self.random.below(3), a.partners.first()) {
            (0 | 1, Some(name)) => self.tables.iter().find(|table| table.name == *name)?,
            (2, _) if self.chance(20) => self.table(),
            _ => a,
        };
        let a = Source::of(a, self.name("t"));
        let key = a.key()?.clone();
        let theirs = b.key.first().and_then(|name| b.columns.iter().find(|column| column.name == *name))?;
        (key.ty == theirs.ty).then_some(Pair { a, b, key })
    }

    /// The other table under a new name, and the equality of the keys, or nearly.
    fn partner_of(&mut self, pair: &Pair) -> (Source, Node) {
        let b = Source::of(pair.b, self.name("t"));
        let theirs = b.key().map(|field| field.sql.clone()).unwrap_or_default();
        let own = pair.key.sql.clone();
        let tie = match self.random.below(14) {
            0 => seq![theirs, " <= ", own],
            1 => seq!["(", theirs, " = ", own, " OR ", self.condition(&scope_of(&b), 0), ")"],
            2 => seq!["NOT (", theirs, " <> ", own, ")"],
            3 => seq![theirs, " IS NOT DISTINCT FROM ", own],
            4..=8 => seq![own, " = ", theirs],
            _ => seq![theirs, " = ", own],
        };
        (b, tie)
    }

    pub fn plain_items(&mut self, scope: &Scope, more: Option<Node>) -> (Node, Vec<Output>) {
        let (mut items, mut outputs) = (Vec::new(), Vec::new());
        let count = 1 + self.random.below(3);
        let fields: Vec<Node> =
            (0..count).map(|_| Node::from(scope.any(&mut self.random).sql.clone())).chain(more).collect();
        for (index, field) in fields.into_iter().enumerate() {
            items.push(seq![field, format!(" AS c{}", index + 1)]);
            outputs.push(Output { name: Some(format!("c{}", index + 1)) });
        }
        (Node::List { head: "", between: ", ", tail: "", items, least: 1 }, outputs)
    }

    fn joined_by_key(&mut self, pair: &Pair) -> Body {
        let (b, tie) = self.partner_of(pair);
        let scope = Scope { sources: vec![pair.a.clone(), b.clone()] };
        let kind =
            *self.random.pick(&[" LEFT JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ", " JOIN "]);
        let more = match self.chance(60) {
            true => seq![" AND ", self.condition(&scope, 1)].optional(),
            false => Node::empty(),
        };
        let third = match self.chance(25) {
            true => {
                let (c, tie) = self.partner_of(pair);
                seq![" LEFT JOIN ", pair.b.name, " ", c.alias, " ON ", tie].optional()
            }
            false => Node::empty(),
        };
        let filter = self.filter(&scope, 1);
        let (list, outputs) = self.plain_items(&scope, None);
        let table = pair.a.table.map_or("", |table| table.name);
        let on = seq![kind, pair.b.name, " ", b.alias, " ON ", tie, more];
        let node = seq!["SELECT ", list, " FROM ", table, " ", pair.a.alias.clone(), on, third, filter];
        Body { node, outputs, keys: Vec::new(), unique: scope.unique(), is_ordered: false }
    }

    fn filtered_by_key(&mut self, pair: &Pair) -> Body {
        let (b, tie) = self.partner_of(pair);
        let inner = scope_of(&b);
        let outer = scope_of(&pair.a);
        let theirs = b.key().map(|field| field.sql.clone()).unwrap_or_default();
        let (field, own) = (inner.any(&mut self.random).clone(), outer.column_like(&mut self.random, &inner));
        let more = self.predicate(&inner, 0);
        let from = seq![" FROM ", pair.b.name, " ", b.alias];
        let no = if self.chance(40) { "NOT " } else { "" };
        let condition = match (self.random.below(5), own) {
            (0, _) => seq![pair.key.sql.clone(), " ", no, "IN (SELECT ", theirs, from, " WHERE ", more, ")"],
            (1, Some((own, like))) => {
                let tuple = seq!["(", pair.key.sql.clone(), ", ", own, ")"];
                seq![tuple, " ", no, "IN (SELECT ", theirs, ", ", like, from, " WHERE ", more, ")"]
            }
            (2, Some((own, like))) => {
                seq![own, " ", no, "IN (SELECT ", like, from, " WHERE ", tie, " AND ", more, ")"]
            }
            _ => {
                let more = seq![" AND ", more].optional();
                seq![no, "EXISTS (SELECT ", field.sql, from, " WHERE ", tie, more, ")"]
            }
        };
        let condition = match self.chance(15) {
            true => seq!["(", condition, ") IS NOT FALSE"],
            false => condition,
        };
        let also = seq![" AND ", self.predicate(&outer, 0)].optional();
        let (list, outputs) = self.plain_items(&outer, None);
        let table = pair.a.table.map_or("", |table| table.name);
        let node =
            seq!["SELECT ", list, " FROM ", table, " ", pair.a.alias.clone(), " WHERE ", condition, also];
        Body { node, outputs, keys: Vec::new(), unique: outer.unique(), is_ordered: false }
    }

    /// A number of the rows that go with a row, as a value or as a row of its own.
    fn counted_by_key(&mut self, pair: &Pair) -> Body {
        let (b, tie) = self.partner_of(pair);
        let (inner, outer) = (scope_of(&b), scope_of(&pair.a));
        let value = match self.chance(50) {
            true => Node::from("count(*)"),
            false => seq!["max(", self.leaf(&inner, crate::tables::Type::Int), ")"],
        };
        let more = seq![" AND ", self.predicate(&inner, 0)].optional();
        let query =
            seq!["(SELECT ", value, " AS n FROM ", pair.b.name, " ", b.alias, " WHERE ", tie, more, ")"];
        let table = pair.a.table.map_or("", |table| table.name);
        let from = seq![table, " ", pair.a.alias.clone()];
        let filter = self.filter(&outer, 0);
        let (item, from) = match self.chance(60) {
            true => (query, from),
            false => (Node::from("x.n"), seq![from, " CROSS JOIN LATERAL ", query, " x"]),
        };
        let (list, outputs) = self.plain_items(&outer, Some(item));
        let node = seq!["SELECT ", list, " FROM ", from, filter];
        Body { node, outputs, keys: Vec::new(), unique: outer.unique(), is_ordered: false }
    }

    /// Groups by the key, or by something else, in FROM or in WITH.
    fn grouped_below(&mut self, pair: &Pair) -> Body {
        let b = Source::of(pair.b, self.name("t"));
        let inner = scope_of(&b);
        let theirs = b.key().map(|field| field.sql.clone()).unwrap_or_default();
        let other = inner.any(&mut self.random).sql.clone();
        let by = match self.random.below(4) {
            0 => seq![theirs.clone(), ", ", other],
            1 => Node::from("1"),
            _ => theirs.clone().into(),
        };
        let query = seq![
            "SELECT ",
            theirs,
            " AS k, ",
            self.aggregate(&inner),
            " AS n FROM ",
            pair.b.name,
            " ",
            b.alias,
            self.filter(&inner, 0),
            " GROUP BY ",
            by
        ];
        let kind = *self.random.pick(&[" JOIN ", " LEFT JOIN ", " FULL JOIN "]);
        let on = seq![" ON x.k = ", pair.key.sql.clone()];
        let outer = scope_of(&pair.a);
        let filter = self.filter(&outer, 0);
        let (list, outputs) = self.plain_items(&outer, Some("x.n".into()));
        let table = pair.a.table.map_or("", |table| table.name);
        let from = seq![" FROM ", table, " ", pair.a.alias.clone(), kind];
        let node = match self.chance(50) {
            true => seq!["SELECT ", list, from, "(", query, ") x", on, filter],
            false => seq!["WITH x AS (", query, ") SELECT ", list, from, "x", on, filter],
        };
        Body { node, outputs, keys: Vec::new(), unique: None, is_ordered: false }
    }

    fn sets_of_keys(&mut self, pair: &Pair) -> Body {
        let b = Source::of(pair.b, self.name("t"));
        let (outer, inner) = (scope_of(&pair.a), scope_of(&b));
        let theirs = b.key().map(|field| field.sql.clone()).unwrap_or_default();
        let word = *self.random.pick(&[" UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT ", " EXCEPT ALL "]);
        let table = pair.a.table.map_or("", |table| table.name);
        let (left, right) = (self.filter(&outer, 0), self.filter(&inner, 0));
        let node = seq![
            seq!["SELECT ", pair.key.sql.clone(), " AS c1 FROM ", table, " ", pair.a.alias.clone(), left],
            word,
            seq!["SELECT ", theirs, " FROM ", pair.b.name, " ", b.alias, right]
        ];
        let outputs = vec![Output { name: Some("c1".to_owned()) }];
        Body { node, outputs, keys: Vec::new(), unique: Some("1".to_owned()), is_ordered: false }
    }

    /// Groups, distinct rows and windows of one table, by its key and by others.
    fn within_key(&mut self) -> Body {
        let (from, scope) = self.one_table();
        let key = scope.key(&mut self.random).cloned().unwrap_or_else(|| scope.any(&mut self.random).clone());
        let other = scope.any(&mut self.random).sql.clone();
        let filter = self.filter(&scope, 1);
        let output = |number: usize| Output { name: Some(format!("c{number}")) };
        let by = seq![key.sql.clone(), seq![", ", other.clone()].optional()];
        let (node, count, unique) = match self.random.below(4) {
            0 => {
                let having = seq![" HAVING count(*) > 1"].optional();
                let items = seq![key.sql.clone(), " AS c1, ", self.aggregate(&scope), " AS c2"];
                let group = seq![" GROUP BY ", by, having];
                (seq!["SELECT ", items, " FROM ", from, filter, group], 2, None)
            }
            1 => {
                let items = seq![key.sql.clone(), " AS c1, ", other, " AS c2"];
                (seq!["SELECT DISTINCT ", items, " FROM ", from, filter], 2, Some("1, 2".to_owned()))
            }
            _ => {
                let value = *self.random.pick(&["count(*)", "rank()", "dense_rank()"]);
                let order = if value == "count(*)" { "" } else { " ORDER BY " };
                let order = if order.is_empty() { Node::empty() } else { seq![order, other.clone()] };
                let window = seq![value, " OVER (PARTITION BY ", by, order, ")"];
                let (second, count) = match self.chance(20) {
                    true => (seq![", ", self.window(&scope), " AS c3"], 3),
                    false => (Node::empty(), 2),
                };
                let items = seq![other, " AS c1, ", window, " AS c2", second];
                (seq!["SELECT ", items, " FROM ", from, filter], count, scope.unique())
            }
        };
        let outputs = (1..=count).map(output).collect();
        // Under DISTINCT and in groups mostly an error.
        let keys = vec![scope.any(&mut self.random).sql.clone().into()];
        Body { node, outputs, keys, unique, is_ordered: false }
    }
}

fn scope_of(source: &Source) -> Scope {
    Scope { sources: vec![source.clone()] }
}

impl Scope {
    /// A column here, and one of the same type there.
    fn column_like(&self, random: &mut crate::random::Random, there: &Scope) -> Option<(String, String)> {
        let plain = |field: &&Field| !field.is_wild && !field.is_collated;
        let own: Vec<&Field> = self.fields().filter(plain).collect();
        let own = *own.get(random.below(own.len().max(1)))?;
        let like = there.fields().filter(plain).find(|field| field.ty == own.ty)?;
        Some((own.sql.clone(), like.sql.clone()))
    }
}
