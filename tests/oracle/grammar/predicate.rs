//! Conditions: on keys in every form in which they name shards or seem to, on columns, on expressions, on subqueries.

use super::Grammar;
use super::scope::{Field, Scope, Source};
use super::value;
use crate::tables::Type;
use crate::tree::{Node, seq};

const COMPARISONS: &[&str] = &[" = ", " <> ", " < ", " <= ", " > ", " >= "];
const EITHER_WAY: &[&str] =
    &[" = ", " = ", " < ", " > ", " <= ", " >= ", " IS DISTINCT FROM ", " IS NOT DISTINCT FROM "];

impl Grammar {
    /// ` WHERE …`, or nothing.
    pub fn filter(&mut self, scope: &Scope, depth: usize) -> Node {
        let count = self.random.weighted(&[27, 45, 22, 6]);
        let items = (0..count).map(|_| self.predicate(scope, depth)).collect();
        Node::List { head: " WHERE ", between: " AND ", tail: "", items, least: 0 }
    }

    /// One condition, in parentheses where it needs them.
    pub fn predicate(&mut self, scope: &Scope, depth: usize) -> Node {
        match self.random.weighted(&[35, 25, 20, if depth > 0 { 12 } else { 0 }, 8]) {
            0 => match scope.key(&mut self.random).cloned() {
                Some(key) if self.chance(40) => self.misleading(&key),
                Some(key) => self.on_key(&key, scope),
                None => self.on_column(scope),
            },
            1 => self.on_column(scope),
            2 => self.condition(scope, 2),
            3 => self.on_subquery(scope, depth - 1),
            _ => self.connected(scope, depth),
        }
    }

    fn connected(&mut self, scope: &Scope, depth: usize) -> Node {
        let (a, b) = (self.predicate(scope, depth.min(1)), self.predicate(scope, 0));
        let simpler = vec![a.clone(), b.clone()];
        match self.random.below(6) {
            0 | 1 => seq!["(", a, " OR ", b, ")"].or(simpler),
            2 => seq!["NOT (", a, ")"].or(simpler),
            3 => seq!["(", a, ") IS TRUE"].or(simpler),
            4 => seq!["(", a, ") IS NOT FALSE"].or(simpler),
            _ => seq!["NOT (", a, " AND ", b, ")"].or(simpler),
        }
    }

    /// A usual value of a column, as an application writes it.
    pub fn usual(&mut self, field: &Field) -> Node {
        let value = if field.values.is_empty() { "1" } else { *self.random.pick(field.values) };
        match self.chance(75) {
            true => value::bare(&mut self.random, value, field.ty, self.parameters),
            false => value::of(&mut self.random, value, field.ty, self.parameters),
        }
    }

    fn on_column(&mut self, scope: &Scope) -> Node {
        let field = scope.any(&mut self.random).clone();
        self.on_field(&field)
    }

    pub fn on_field(&mut self, field: &Field) -> Node {
        let sql = || Node::from(field.sql.clone());
        let value = self.usual(field);
        match self.random.below(8) {
            0 => seq![sql(), " IS NULL"],
            1 => seq![sql(), " IS NOT NULL"],
            2 => seq![sql(), " IN (", value, ", ", self.usual(field), ")"],
            3 => seq![sql(), " BETWEEN ", value, " AND ", self.usual(field)],
            4 if field.ty == Type::Bool => sql(),
            5 if field.ty == Type::Text && !field.is_collated => {
                let pattern = *self.random.pick(&["'a%'", "'%a'", "'_'", "'us-%'", "'%''%'"]);
                let word = *self.random.pick(&[" LIKE ", " NOT LIKE ", " ILIKE "]);
                seq![sql(), word, pattern]
            }
            _ => {
                let operator = *self.random.pick(EITHER_WAY);
                seq![sql(), operator, value]
            }
        }
    }

    /// Something about the key that a router may understand, or think that it does.
    pub fn on_key(&mut self, key: &Field, scope: &Scope) -> Node {
        let sql = || Node::from(key.sql.clone());
        let (a, b) = (self.usual(key), self.usual(key));
        match self.random.below(27) {
            0..=6 => seq![sql(), " = ", a],
            7 => seq![a, " = ", sql()],
            8 | 9 => seq![sql(), " IN (", a, ", ", b, ")"],
            10 => seq![sql(), " = ANY (ARRAY[", a, ", ", b, "])"],
            11 => seq![sql(), " BETWEEN ", a, " AND ", b],
            12 => seq!["(", sql(), " = ", a, " OR ", sql(), " = ", b, ")"],
            13 => seq!["NOT (", sql(), " = ", a, ")"],
            14 => seq![sql(), " NOT IN (", a, ", ", b, ")"],
            15 => seq!["(", sql(), " = ", a, ") IS TRUE"],
            16 => seq!["(", sql(), " = ", a, ") IS NOT TRUE"],
            17 => seq!["CASE WHEN ", sql(), " = ", a, " THEN ", self.condition(scope, 1), " ELSE false END"],
            18 => seq![sql(), " IS NOT DISTINCT FROM ", a],
            19 => seq![sql(), " = ", a, " AND ", sql(), " = ", b],
            20 => seq!["(", sql(), ", 1) IN ((", a, ", 1), (", b, ", 2))"],
            21 => seq!["(", sql(), " = ", a, " AND ", self.condition(scope, 1), " OR ", sql(), " = ", b, ")"],
            22 => seq!["coalesce(", sql(), ", ", a, ") = ", b],
            23 => {
                let operator = *self.random.pick(COMPARISONS);
                seq![sql(), operator, a]
            }
            24 => seq![sql(), " = (SELECT ", a, key.ty.cast(), ")"],
            25 => seq![sql(), " >= ", a, " AND ", sql(), " < ", b],
            _ => self.converted_key(key),
        }
    }

    /// The key changed before it is compared.
    fn converted_key(&mut self, key: &Field) -> Node {
        let sql = || Node::from(key.sql.clone());
        let (a, b) = (self.usual(key), self.usual(key));
        match key.ty {
            Type::Int | Type::Big => match self.random.below(6) {
                0 => seq![sql(), " + 1 = ", a],
                1 => seq![sql(), " % 2 = 0"],
                2 => seq!["- ", sql(), " < ", a],
                3 => seq![sql(), "::text = ", "'1'"],
                4 => seq![sql(), "::numeric = 1.0"],
                _ => seq![sql(), " = 1.5"],
            },
            Type::Text => match self.random.below(6) {
                0 => seq!["lower(", sql(), ") = ", a],
                1 => seq![sql(), " LIKE 'us-%'"],
                2 => seq![sql(), " || '' = ", a],
                3 => seq![sql(), "::varchar(3) = ", a],
                4 => seq![sql(), "::char(10) = ", a],
                _ => seq![sql(), " = ANY (string_to_array('us-east,007,apple', ','))"],
            },
            Type::Float => seq![sql(), " BETWEEN ", a, " AND ", b],
            Type::Date => seq![sql(), " + 1 > ", "'2020-01-01'"],
            _ => seq![sql(), " = ", a],
        }
    }

    /// A boolean expression over the columns that can be computed with.
    pub fn condition(&mut self, scope: &Scope, depth: usize) -> Node {
        let deeper = depth.saturating_sub(1);
        match self.random.below(8) {
            0 if depth > 0 => {
                let (a, b) = (self.condition(scope, deeper), self.condition(scope, deeper));
                let word = *self.random.pick(&[" AND ", " OR "]);
                seq!["(", a.clone(), word, b.clone(), ")"].or(vec![a, b])
            }
            1 if depth > 0 => {
                let a = self.condition(scope, deeper);
                seq!["(NOT ", a.clone(), ")"].or(vec![a])
            }
            2 => {
                let ty = self.a_type(scope);
                seq!["(", self.expression(scope, ty, deeper), " IS NULL)"]
            }
            3 => self.field_condition(scope),
            4 => self.special_condition(scope),
            _ => {
                let ty = self.a_type(scope);
                let operator =
                    *self.random.pick(if ty == Type::Json { &[" = ", " <> "] } else { COMPARISONS });
                seq!["(", self.expression(scope, ty, deeper), operator, self.leaf(scope, ty), ")"]
            }
        }
    }

    fn field_condition(&mut self, scope: &Scope) -> Node {
        let field = scope.any(&mut self.random).clone();
        seq!["(", self.on_field(&field), ")"]
    }

    /// Operators of the types that have more than an order.
    fn special_condition(&mut self, scope: &Scope) -> Node {
        match self.random.below(5) {
            0 => seq!["(", self.leaf(scope, Type::Range), " && int4range(1, 4))"],
            1 => seq!["(", self.leaf(scope, Type::Ints), " @> ARRAY[1])"],
            2 => seq!["(", self.leaf(scope, Type::Json), " ? 'a')"],
            3 => seq!["(", self.leaf(scope, Type::Int), " = ANY (", self.leaf(scope, Type::Ints), "))"],
            _ => seq!["('a' = ANY (", self.leaf(scope, Type::Texts), "))"],
        }
    }

    /// A type of some column that can be computed with.
    pub fn a_type(&mut self, scope: &Scope) -> Type {
        let types: Vec<_> = scope.fields().filter(|field| !field.is_wild).map(|field| field.ty).collect();
        if types.is_empty() || self.chance(10) { Type::Int } else { *self.random.pick(&types) }
    }

    /// EXISTS, IN and scalar subqueries over another table, with or without a tie to this query.
    fn on_subquery(&mut self, scope: &Scope, depth: usize) -> Node {
        // Those over sharded tables are mostly refused.
        let table = match self.reference_table() {
            Some(table) if self.chance(45) => table,
            _ => self.table(),
        };
        let name = self.name("s");
        let inner = Scope { sources: vec![Source::of(table, name.clone())] };
        let field = inner.any(&mut self.random).clone();
        let tie = scope.column(field.ty, &mut self.random);
        let key_tie = inner.sources[0].key().zip(scope.key(&mut self.random));
        let key_tie = key_tie.filter(|(a, b)| a.ty == b.ty).map(|(a, b)| format!("{} = {}", a.sql, b.sql));
        let mut conditions = Vec::new();
        if let Some(outer) = tie.clone().filter(|_| self.random.chance(50) && !field.is_collated) {
            conditions.push(seq![field.sql.clone(), " = ", outer]);
        }
        conditions.extend(key_tie.filter(|_| self.random.chance(60)).map(Node::from));
        if self.chance(50) {
            conditions.push(self.predicate(&inner, depth));
        }
        let filter = Node::List { head: " WHERE ", between: " AND ", tail: "", items: conditions, least: 0 };
        let from = format!(" FROM {} {name}", table.name);
        let no = if self.chance(25) { "NOT " } else { "" };
        match (self.random.below(3), tie) {
            (0, Some(outer)) if !field.is_collated => {
                seq![outer, " ", no, "IN (SELECT ", field.sql, from, filter, ")"]
            }
            (1, Some(outer)) if !field.is_collated && field.ty.is_number() => {
                let name = *self.random.pick(&["max", "min"]);
                let operator = *self.random.pick(COMPARISONS);
                seq![outer, operator, "(SELECT ", name, "(", field.sql, ")", from, filter, ")"]
            }
            _ => seq![no, "EXISTS (SELECT 1", from, filter, ")"],
        }
    }
}
