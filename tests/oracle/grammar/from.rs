//! FROM: one table, joins, subqueries, and what WITH names.

use super::Grammar;
use super::scope::{Field, Scope, Source};
use super::value;
use crate::tables::{Table, Type};
use crate::tree::{Node, seq};

/// A WITH list to come, its text and what it makes.
pub type Named = Vec<(Node, Source)>;

impl Grammar {
    /// The items of FROM and what they offer.
    pub fn from(&mut self, named: &Named, depth: usize) -> (Node, Scope) {
        let joins = self.random.weighted(&[60, 33, 7]);
        let (first, source) = match joins == 0 && self.chance(22) {
            true => self.unqualified(),
            false => self.item(named, depth),
        };
        let mut scope = Scope { sources: vec![source] };
        let mut parts = vec![first];
        for number in 1..=joins {
            parts.push(self.join(named, &mut scope, depth, number == joins).optional());
        }
        (Node::Seq(parts), scope)
    }

    fn item(&mut self, named: &Named, depth: usize) -> (Node, Source) {
        if !named.is_empty() && self.chance(70) {
            let chosen = self.random.below(named.len());
            let alias = self.name("t");
            let source = renamed(&named[chosen].1, &alias);
            return (format!("{} {alias}", named[chosen].1.alias).into(), source);
        }
        if depth > 0 && self.chance(10) {
            let alias = self.name("t");
            let (query, source) = self.subquery(&alias, depth - 1);
            return (seq!["(", query, ") ", alias], source);
        }
        if self.chance(5) {
            return self.made_rows();
        }
        let table = self.table();
        self.named_table(table)
    }

    /// Rows that are written out or made by a function.
    fn made_rows(&mut self) -> (Node, Source) {
        let alias = self.name("v");
        let field = |name: &str, ty: Type, values: &'static [&'static str]| Field {
            sql: format!("{alias}.{name}"),
            ty,
            values,
            is_wild: false,
            is_collated: false,
            is_key: false,
        };
        let (numbers, texts) = (&["1", "2", "3", "7"], &["a", "us-east", "apple", "zebra"]);
        let mut fields = vec![field("a", Type::Int, numbers), field("b", Type::Text, texts)];
        let text = match self.random.below(4) {
            0 => {
                fields.truncate(1);
                format!("generate_series(1, 5) {alias} (a)")
            }
            1 => {
                fields.swap(0, 1);
                format!("unnest(ARRAY['us-east', 'a', NULL]) WITH ORDINALITY {alias} (b, c)")
            }
            _ => {
                let mut rows = Vec::new();
                for number in 1..=1 + self.random.below(4) {
                    let text = value::of(&mut self.random, texts[number - 1], Type::Text, self.parameters);
                    let number = value::of(&mut self.random, &number.to_string(), Type::Int, self.parameters);
                    rows.push(seq!["(", number, ", ", text, ")"]);
                }
                let rows = Node::List { head: "(VALUES ", between: ", ", tail: ") ", items: rows, least: 1 };
                let source =
                    Source { alias: alias.clone(), fields, unique: vec![format!("{alias}.a")], table: None };
                return (seq![rows, format!("{alias} (a, b)")], source);
            }
        };
        let mut unique = format!("{alias}.a");
        if text.contains("ORDINALITY") {
            fields.truncate(1);
            unique = format!("{alias}.c");
        }
        (text.into(), Source { alias, fields, unique: vec![unique], table: None })
    }

    /// A table whose columns are named without it.
    fn unqualified(&mut self) -> (Node, Source) {
        let table = self.table();
        let schema = *self.random.pick(&["", "", "public.", "ONLY "]);
        let source = Source::of(table, table.name.to_owned()).unqualified();
        (format!("{schema}{}", table.name).into(), source)
    }

    fn named_table(&mut self, table: &'static Table) -> (Node, Source) {
        let alias = self.name("t");
        (format!("{} {alias}", table.name).into(), Source::of(table, alias))
    }

    /// A query whose columns are `k1`, `k2`, … of a table below it.
    pub fn subquery(&mut self, alias: &str, depth: usize) -> (Node, Source) {
        let (from, scope) = self.from(&Vec::new(), depth.min(1));
        let count = 1 + self.random.below(4);
        let mut fields = Vec::new();
        let mut items = Vec::new();
        for number in 1..=count {
            let field = scope.any(&mut self.random).clone();
            items.push(seq![field.sql.clone(), format!(" AS k{number}")]);
            fields.push(Field { sql: format!("{alias}.k{number}"), ..field });
        }
        let unique = match scope.unique() {
            Some(keys) if scope.sources.len() == 1 && self.chance(60) => {
                items.push(seq![keys, " AS u"]);
                vec![format!("{alias}.u")]
            }
            _ => Vec::new(),
        };
        let filter = self.filter(&scope, 0);
        let limit = match scope.unique() {
            Some(keys) if self.chance(20) => seq![" ORDER BY ", keys, self.first_rows()],
            _ => Node::empty(),
        };
        let list = Node::List { head: "", between: ", ", tail: "", items, least: 1 };
        let distinct = if unique.is_empty() && self.chance(15) { "DISTINCT " } else { "" };
        let limit = if distinct.is_empty() { limit } else { Node::empty() };
        let query = seq!["SELECT ", distinct, list, " FROM ", from, filter, limit];
        (query, Source { alias: alias.to_owned(), fields, unique, table: None })
    }

    fn join(&mut self, named: &Named, scope: &mut Scope, depth: usize, is_last: bool) -> Node {
        let partner = self.partner(scope).filter(|_| self.random.chance(80));
        let (item, source) = match partner {
            Some(table) => self.named_table(table),
            None => self.item(named, depth),
        };
        let kind = self.random.weighted(&[45, 25, 8, 6, 6, 10]);
        let condition = self.tie(scope, &source);
        let mut conditions: Vec<Node> = condition.into_iter().collect();
        scope.sources.push(source);
        if conditions.is_empty() || self.chance(25) {
            let wide = scope.clone();
            conditions.push(self.condition(&wide, 1));
        }
        let on = Node::List { head: " ON ", between: " AND ", tail: "", items: conditions, least: 1 };
        match kind {
            0 => seq![" JOIN ", item, on],
            1 => seq![" LEFT JOIN ", item, on],
            2 => seq![" RIGHT JOIN ", item, on],
            // Conditions that cannot be merged or hashed are refused for FULL JOIN.
            3 => seq![" FULL JOIN ", item, on],
            // A comma binds less than JOIN does.
            5 if is_last => seq![", ", item],
            _ => seq![" CROSS JOIN ", item],
        }
    }

    /// A table that goes with one in scope: colocated, the same, or a reference table.
    fn partner(&mut self, scope: &Scope) -> Option<&'static Table> {
        let table = scope.sources.iter().find_map(|source| source.table)?;
        let wanted = match self.random.below(4) {
            0 => table.name,
            1 => *table.partners.first()?,
            _ => return self.reference_table(),
        };
        self.tables.iter().find(|table| table.name == wanted)
    }

    /// An equality between what is in scope and what comes.
    pub fn tie(&mut self, scope: &Scope, source: &Source) -> Option<Node> {
        let keys = scope.key(&mut self.random).zip(source.key()).filter(|(a, b)| a.ty == b.ty);
        if let Some((a, b)) = keys.filter(|_| self.random.chance(65)) {
            return Some(format!("{} = {}", a.sql, b.sql).into());
        }
        for _ in 0..4 {
            let field = &source.fields[self.random.below(source.fields.len())];
            let unsuited = field.is_wild || field.is_collated || field.ty == Type::Bool;
            if let Some(other) = scope.column(field.ty, &mut self.random).filter(|_| !unsuited) {
                return Some(seq![field.sql.clone(), " = ", other]);
            }
        }
        None
    }
}

fn renamed(source: &Source, alias: &str) -> Source {
    let rename = |sql: &str| format!("{alias}.{}", sql.rsplit('.').next().unwrap_or_default());
    Source {
        alias: alias.to_owned(),
        fields: source.fields.iter().map(|f| Field { sql: rename(&f.sql), ..f.clone() }).collect(),
        unique: source.unique.iter().map(|name| rename(name)).collect(),
        table: None,
    }
}
