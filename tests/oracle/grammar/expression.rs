//! Typed expressions over the columns in scope, none of which fails.

use super::Grammar;
use super::scope::Scope;
use super::value;
use crate::tables::Type;
use crate::tree::{Node, seq};

impl Grammar {
    /// An expression of this type; with no column of it in scope, a value.
    pub fn expression(&mut self, scope: &Scope, ty: Type, depth: usize) -> Node {
        if depth == 0 || self.chance(25) {
            return self.leaf(scope, ty);
        }
        match self.random.below(10) {
            0 => self.case(scope, ty, depth),
            1 => {
                let (a, b) = (self.expression(scope, ty, depth - 1), self.leaf(scope, ty));
                seq!["coalesce(", a.clone(), ", ", b.clone(), ")"].or(vec![a, b])
            }
            2 if ty != Type::Json => {
                let (a, b) = (self.expression(scope, ty, depth - 1), self.leaf(scope, ty));
                seq!["nullif(", a.clone(), ", ", b, ")"].or(vec![a])
            }
            3 if !matches!(ty, Type::Json | Type::Texts | Type::Ints) => {
                let (a, b) = (self.expression(scope, ty, depth - 1), self.leaf(scope, ty));
                let name = *self.random.pick(&["greatest(", "least("]);
                seq![name, a.clone(), ", ", b.clone(), ")"].or(vec![a, b])
            }
            _ => self.operation(scope, ty, depth),
        }
    }

    pub fn leaf(&mut self, scope: &Scope, ty: Type) -> Node {
        match scope.column(ty, &mut self.random) {
            Some(column) if self.chance(85) => column,
            Some(column) => value::typed(&mut self.random, ty, self.parameters).or(vec![column]),
            None => value::typed(&mut self.random, ty, self.parameters),
        }
    }

    fn case(&mut self, scope: &Scope, ty: Type, depth: usize) -> Node {
        let condition = self.condition(scope, depth - 1);
        let (a, b) = (self.expression(scope, ty, depth - 1), self.leaf(scope, ty));
        let otherwise = match self.chance(80) {
            true => seq![" ELSE ", b.clone()].optional(),
            false => Node::empty(),
        };
        seq!["CASE WHEN ", condition, " THEN ", a.clone(), otherwise, " END"].or(vec![a, b])
    }

    fn operation(&mut self, scope: &Scope, ty: Type, depth: usize) -> Node {
        let deeper = depth - 1;
        match ty {
            Type::Bool => self.condition(scope, depth),
            Type::Small => self.leaf(scope, ty),
            Type::Int => self.integer(scope, deeper),
            Type::Big => match self.random.below(3) {
                0 => seq!["(", self.expression(scope, Type::Int, deeper), ")::bigint"],
                1 => self.binary(scope, ty, &[" + ", " - "], deeper),
                _ => seq!["length(", self.expression(scope, Type::Text, deeper), ")::bigint"],
            },
            Type::Num => self.numeric(scope, deeper),
            Type::Float => match self.random.below(4) {
                0 => seq!["abs(", self.expression(scope, ty, deeper), ")"],
                1 => seq!["(", self.expression(scope, Type::Int, deeper), ")::float8"],
                2 => seq!["(", self.expression(scope, ty, deeper), " / 4)"],
                _ => self.binary(scope, ty, &[" + ", " - ", " * "], deeper),
            },
            Type::Real => seq!["(- ", self.expression(scope, ty, deeper), ")"],
            Type::Text => self.text(scope, deeper),
            Type::Char => self.leaf(scope, ty),
            Type::Date => match self.random.below(3) {
                0 => seq!["(", self.expression(scope, ty, deeper), " + ", self.small_number(), ")"],
                1 => seq!["(", self.expression(scope, Type::Stamp, deeper), ")::date"],
                _ => self.leaf(scope, ty),
            },
            Type::Stamp => self.stamp(scope, deeper),
            Type::Zoned => match self.random.below(3) {
                0 => seq!["(", self.leaf(scope, Type::Stamp), " AT TIME ZONE 'Europe/Berlin')"],
                1 => seq!["(", self.leaf(scope, ty), " + interval '1 day')"],
                _ => seq!["date_trunc('day', ", self.leaf(scope, ty), ", 'America/New_York')"],
            },
            Type::Interval => match self.random.below(3) {
                0 => seq!["(", self.leaf(scope, Type::Stamp), " - ", self.leaf(scope, Type::Stamp), ")"],
                1 => seq!["(", self.leaf(scope, ty), " * 2)"],
                _ => seq!["(", self.leaf(scope, ty), " + ", self.leaf(scope, ty), ")"],
            },
            Type::Uuid => self.leaf(scope, ty),
            Type::Bytes => seq!["(", self.leaf(scope, ty), " || ", self.leaf(scope, ty), ")"],
            Type::Json => seq!["jsonb_build_object('k', ", self.expression(scope, Type::Int, deeper), ")"],
            Type::Ints => match self.random.below(2) {
                0 => seq![
                    "ARRAY[",
                    self.expression(scope, Type::Int, deeper),
                    ", ",
                    self.leaf(scope, Type::Int),
                    "]"
                ],
                // A matrix takes no further element: an error that depends on which rows are looked at.
                _ => seq!["array_replace(", self.leaf(scope, ty), ", 1, ", self.leaf(scope, Type::Int), ")"],
            },
            Type::Texts => seq!["ARRAY[", self.expression(scope, Type::Text, deeper), "]"],
            Type::Range => seq!["(", self.leaf(scope, ty), " * ", self.leaf(scope, ty), ")"],
            Type::Mood => self.leaf(scope, ty),
        }
    }

    fn small_number(&mut self) -> &'static str {
        const NUMBERS: &[&str] = &["1", "2", "3", "7"];
        self.random.pick::<&str>(NUMBERS)
    }

    fn binary(&mut self, scope: &Scope, ty: Type, operators: &[&'static str], depth: usize) -> Node {
        let (a, b) = (self.expression(scope, ty, depth), self.leaf(scope, ty));
        let operator = *self.random.pick(operators);
        seq!["(", a.clone(), operator, b.clone(), ")"].or(vec![a, b])
    }

    fn integer(&mut self, scope: &Scope, depth: usize) -> Node {
        let number = self.small_number();
        match self.random.below(9) {
            0 => {
                let a = self.expression(scope, Type::Int, depth);
                seq!["(", a.clone(), " % ", number, ")"].or(vec![a])
            }
            1 => {
                let a = self.expression(scope, Type::Int, depth);
                seq!["(", a.clone(), " / ", number, ")"].or(vec![a])
            }
            2 => seq!["length(", self.expression(scope, Type::Text, depth), ")"],
            3 => seq!["cardinality(", self.leaf(scope, Type::Ints), ")"],
            4 => seq!["extract(year FROM ", self.expression(scope, Type::Date, depth), ")::int"],
            5 => seq!["position('a' IN ", self.leaf(scope, Type::Text), ")"],
            6 => {
                let a = self.expression(scope, Type::Int, depth);
                seq!["(- ", a.clone(), ")"].or(vec![a])
            }
            _ => self.binary(scope, Type::Int, &[" + ", " - "], depth),
        }
    }

    fn numeric(&mut self, scope: &Scope, depth: usize) -> Node {
        match self.random.below(6) {
            0 => {
                let a = self.expression(scope, Type::Num, depth);
                seq!["round(", a.clone(), ", 1)"].or(vec![a])
            }
            1 => seq!["(", self.expression(scope, Type::Int, depth), ")::numeric"],
            2 => seq!["(", self.expression(scope, Type::Num, depth), " / 4)"],
            3 => seq!["trunc(", self.expression(scope, Type::Num, depth), ")"],
            _ => self.binary(scope, Type::Num, &[" + ", " - ", " * "], depth),
        }
    }

    fn text(&mut self, scope: &Scope, depth: usize) -> Node {
        let a = self.expression(scope, Type::Text, depth);
        match self.random.below(8) {
            0 => seq!["upper(", a.clone(), ")"].or(vec![a]),
            1 => seq!["lower(", a.clone(), ")"].or(vec![a]),
            2 => seq!["substr(", a.clone(), ", 2, 3)"].or(vec![a]),
            3 => seq!["(", self.expression(scope, Type::Int, depth), ")::text"],
            4 => seq!["replace(", a.clone(), ", 'a', 'o')"].or(vec![a]),
            5 => seq!["concat(", a.clone(), ", ", self.leaf(scope, Type::Int), ")"].or(vec![a]),
            6 => seq!["(", self.expression(scope, Type::Bool, depth), ")::text"],
            _ => {
                let b = self.leaf(scope, Type::Text);
                seq!["(", a.clone(), " || ", b.clone(), ")"].or(vec![a, b])
            }
        }
    }

    fn stamp(&mut self, scope: &Scope, depth: usize) -> Node {
        match self.random.below(4) {
            0 => seq!["date_trunc('month', ", self.expression(scope, Type::Stamp, depth), ")"],
            1 => seq!["(", self.leaf(scope, Type::Stamp), " + interval '1 month')"],
            2 => seq!["(", self.leaf(scope, Type::Zoned), " AT TIME ZONE 'America/New_York')"],
            _ => self.leaf(scope, Type::Stamp),
        }
    }
}
