//! Window functions whose values do not depend on the order of equals: with frames, and with windows that have names.

use super::Grammar;
use super::from::Named;
use super::scope::{Field, Scope};
use super::select::{Body, Output};
use crate::tables::Type;
use crate::tree::{Node, seq};

/// How far the order of a window's rows is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sorted {
    Not,
    /// Equals are peers.
    Loosely,
    /// By one column of a type that can be counted in.
    By(Type),
    Totally,
}

/// What stands between the parentheses, but for a frame.
struct Order {
    node: Node,
    sorted: Sorted,
}

const EXCLUSIONS: &[&str] =
    &["", "", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE TIES", " EXCLUDE GROUP", " EXCLUDE NO OTHERS"];

impl Grammar {
    /// A call and its window.
    pub fn window(&mut self, scope: &Scope) -> Node {
        let partition = self.partition(scope);
        let order = self.order(scope);
        let frame = self.frame(order.sorted);
        let call = self.windowed_call(scope, order.sorted);
        seq![call, " OVER (", partition, order.node, frame, ")"]
    }

    fn partition(&mut self, scope: &Scope) -> Node {
        match self.random.below(6) {
            0..=2 => seq!["PARTITION BY ", scope.any(&mut self.random).sql.clone()].optional(),
            3 => {
                let (one, other) =
                    (scope.any(&mut self.random).sql.clone(), scope.any(&mut self.random).sql.clone());
                seq!["PARTITION BY ", one, seq![", ", other].optional()].optional()
            }
            _ => Node::empty(),
        }
    }

    fn order(&mut self, scope: &Scope) -> Order {
        let direction = *self.random.pick(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST", " USING >"]);
        match (self.random.below(10), scope.unique()) {
            (0..=4, Some(unique)) => {
                let direction = if unique.contains(',') { "" } else { direction };
                let loose = seq![scope.any(&mut self.random).sql.clone(), ", "].optional();
                let loose = if self.chance(30) { loose } else { Node::empty() };
                Order { node: seq![" ORDER BY ", loose, unique, direction], sorted: Sorted::Totally }
            }
            (5 | 6, _) => {
                let loose = scope.any(&mut self.random).sql.clone();
                Order { node: seq![" ORDER BY ", loose, direction], sorted: Sorted::Loosely }
            }
            (7 | 8, _) => match self.countable(scope) {
                Some(Field { sql, ty, .. }) => {
                    Order { node: seq![" ORDER BY ", sql, direction], sorted: Sorted::By(ty) }
                }
                None => Order { node: Node::empty(), sorted: Sorted::Not },
            },
            _ => Order { node: Node::empty(), sorted: Sorted::Not },
        }
    }

    /// A column that offsets in RANGE can be added to.
    fn countable(&mut self, scope: &Scope) -> Option<Field> {
        let is_countable = |field: &&Field| {
            field.ty.is_number()
                || matches!(field.ty, Type::Date | Type::Stamp | Type::Zoned | Type::Interval)
        };
        let fields: Vec<&Field> = scope.fields().filter(is_countable).collect();
        (!fields.is_empty()).then(|| (*self.random.pick(&fields)).clone())
    }

    fn frame(&mut self, sorted: Sorted) -> Node {
        if self.chance(45) {
            return Node::empty();
        }
        let mode = match sorted {
            Sorted::Totally => *self.random.pick(&[" ROWS ", " ROWS ", " GROUPS ", " RANGE "]),
            Sorted::By(_) => *self.random.pick(&[" RANGE ", " RANGE ", " GROUPS "]),
            Sorted::Loosely => *self.random.pick(&[" RANGE ", " GROUPS "]),
            Sorted::Not => " RANGE ",
        };
        let has_offsets = mode != " RANGE " || matches!(sorted, Sorted::By(_));
        let exclusion = Node::from(*self.random.pick(EXCLUSIONS)).optional();
        // From the first row to the last.
        let start = self.random.below(4);
        if start < 3 && self.chance(25) {
            return seq![mode, self.bound(start, has_offsets, mode, sorted), exclusion].optional();
        }
        let end = (start + self.random.below(5 - start)).max(1);
        let (start, end) =
            (self.bound(start, has_offsets, mode, sorted), self.bound(end, has_offsets, mode, sorted));
        seq![mode, "BETWEEN ", start, " AND ", end, exclusion].optional()
    }

    fn bound(&mut self, place: usize, has_offsets: bool, mode: &str, sorted: Sorted) -> Node {
        let offset = match (mode, sorted) {
            (" RANGE ", Sorted::By(ty)) => self.distance(ty),
            _ => self.number(&["0", "1", "2", "5"]),
        };
        match (place, has_offsets) {
            (0, _) => "UNBOUNDED PRECEDING".into(),
            (1, true) => seq![offset, " PRECEDING"].or(vec!["CURRENT ROW".into()]),
            (3, true) => seq![offset, " FOLLOWING"].or(vec!["CURRENT ROW".into()]),
            (4, _) => "UNBOUNDED FOLLOWING".into(),
            _ => "CURRENT ROW".into(),
        }
    }

    /// An offset in RANGE over a column of this type.
    fn distance(&mut self, ty: Type) -> Node {
        match ty {
            Type::Small | Type::Int | Type::Big => self.number(&["0", "1", "2", "10"]),
            Type::Num => self.number(&["0", "0.5", "1.00", "90"]),
            Type::Float | Type::Real => self.number(&["0", "0.25", "1.5", "1e300"]),
            _ => (*self.random.pick(&[
                "interval '1 day'",
                "'1 month'::interval",
                "'00:00'::interval",
                "interval '1 year 2 days'",
                "make_interval(hours => 1)",
            ]))
            .into(),
        }
    }

    fn windowed_call(&mut self, scope: &Scope, sorted: Sorted) -> Node {
        let ranks: &[&'static str] = &["rank()", "dense_rank()", "percent_rank()", "cume_dist()"];
        match (self.random.below(10), sorted) {
            (0..=3, Sorted::Totally) => self.placed_call(scope),
            (4 | 5, _) if sorted != Sorted::Not => (*self.random.pick(ranks)).into(),
            _ => {
                let call = self.aggregate_call(scope, sorted);
                match self.chance(20) {
                    true => seq![call, seq![" FILTER (WHERE ", self.condition(scope, 1), ")"].optional()],
                    false => call,
                }
            }
        }
    }

    /// Of rows one of which comes before the other.
    fn placed_call(&mut self, scope: &Scope) -> Node {
        let ty = self.a_type(scope);
        let value = self.leaf(scope, ty);
        match self.random.below(8) {
            0 => "row_number()".into(),
            1 => seq!["ntile(", self.number(&["1", "2", "3", "7"]), "::int)"],
            2 => seq![*self.random.pick(&["lag(", "lead("]), value, ")"],
            3 => {
                let other = self.leaf(scope, ty);
                seq![*self.random.pick(&["lag(", "lead("]), value, ", 2", seq![", ", other].optional(), ")"]
            }
            4 => seq!["first_value(", value, ")"],
            5 => seq!["last_value(", value, ")"],
            6 => seq!["nth_value(", value, ", ", *self.random.pick(&["1", "2", "4"]), ")"],
            _ => match self.chance(50) {
                true => seq!["string_agg(", self.leaf(scope, Type::Text), ", '/')"],
                false => seq!["array_agg(", self.leaf(scope, Type::Int), ")"],
            },
        }
    }

    fn aggregate_call(&mut self, scope: &Scope, sorted: Sorted) -> Node {
        let ty = *self.random.pick(&[Type::Int, Type::Int, Type::Num, Type::Float, Type::Small]);
        match self.random.below(10) {
            0 | 1 => "count(*)".into(),
            2 => seq!["count(", scope.any(&mut self.random).sql.clone(), ")"],
            3 => seq![*self.random.pick(&["min(", "max("]), self.leaf(scope, Type::Int), ")"],
            4 => seq![*self.random.pick(&["bool_and(", "bool_or("]), self.condition(scope, 1), ")"],
            5 => seq![*self.random.pick(&["bit_and(", "bit_or("]), self.leaf(scope, Type::Int), ")"],
            // Of exact numbers: what is left after an addition and a subtraction is no noise.
            6 if sorted == Sorted::Totally => {
                seq![*self.random.pick(&["stddev(", "var_pop("]), self.leaf(scope, Type::Int), ")"]
            }
            7 => seq!["avg(", self.leaf(scope, ty), ")"],
            _ => seq!["sum(", self.leaf(scope, ty), ")"],
        }
    }

    /// A query of windows, named and others, or the first rows of each of their partitions.
    pub fn windowed(&mut self, named: &Named) -> Body {
        if self.chance(20) {
            return self.first_of_each(named);
        }
        let (from, scope) = self.from(named, 1);
        let filter = self.filter(&scope, 1);
        let partition = self.partition(&scope);
        let (by, framed) = (self.order(&scope), self.order(&scope));
        let frame = self.frame(framed.sorted);
        let mut items = vec![seq![scope.any(&mut self.random).sql.clone(), " AS c1"]];
        for number in 2..=2 + self.random.below(3) {
            let item = match self.random.below(6) {
                0 => seq![self.windowed_call(&scope, Sorted::Not), " OVER w"],
                1 => seq![self.windowed_call(&scope, by.sorted), " OVER v"],
                2 => seq![self.windowed_call(&scope, framed.sorted), " OVER u"],
                3 => {
                    let frame = self.frame(by.sorted);
                    seq![self.windowed_call(&scope, by.sorted), " OVER (v", frame, ")"]
                }
                4 => {
                    let order = self.order(&scope);
                    let frame = self.frame(order.sorted);
                    seq![self.windowed_call(&scope, order.sorted), " OVER (w", order.node, frame, ")"]
                }
                _ => self.window(&scope),
            };
            items.push(seq![item, format!(" AS c{number}")]);
        }
        let outputs = (1..=items.len()).map(|n| Output { name: Some(format!("c{n}")) }).collect();
        let list = Node::List { head: "", between: ", ", tail: "", items, least: 1 };
        let windows =
            seq![" WINDOW w AS (", partition, "), v AS (w", by.node, "), u AS (w", framed.node, frame, ")"];
        let keys = vec![scope.any(&mut self.random).sql.clone().into()];
        let node = seq!["SELECT ", list, " FROM ", from, filter, windows];
        Body { node, outputs, keys, unique: scope.unique(), is_ordered: false }
    }

    /// `… WHERE row_number <= n`, or of groups by their sums.
    fn first_of_each(&mut self, named: &Named) -> Body {
        let (from, scope) = self.from(named, 1);
        let filter = self.filter(&scope, 1);
        let (one, other) = (scope.any(&mut self.random).sql.clone(), scope.any(&mut self.random).sql.clone());
        let count = *self.random.pick(&["1", "2", "3"]);
        let output = |name: &str| Output { name: Some(name.to_owned()) };
        let sum = seq!["sum(", self.leaf(&scope, Type::Int), ")"];
        let (items, group, outputs) = match (self.chance(50), scope.unique()) {
            (true, Some(unique)) => {
                let items = seq![
                    other,
                    " AS b, row_number() OVER (PARTITION BY ",
                    one.clone(),
                    " ORDER BY ",
                    unique,
                    ") AS n"
                ];
                (items, Node::empty(), vec![output("b"), output("n")])
            }
            // Of groups: windows over aggregates.
            _ => {
                let rank = *self.random.pick(&["rank()", "dense_rank()", "cume_dist()", "sum(count(*))"]);
                let partition = seq!["PARTITION BY ", one.clone(), " "].optional();
                let window = seq![rank, " OVER (", partition, "ORDER BY ", sum.clone(), " DESC)"];
                let items =
                    seq![one.clone(), " AS a, ", other.clone(), " AS b, ", sum, " AS s, ", window, " AS n"];
                let outputs = vec![output("a"), output("b"), output("s"), output("n")];
                (items, seq![" GROUP BY ", one, ", ", other], outputs)
            }
        };
        let inner = seq!["SELECT ", items, " FROM ", from, filter, group];
        // WITH stands once.
        let node = match !named.is_empty() || self.chance(60) {
            true => seq!["SELECT * FROM (", inner, ") q WHERE n <= ", count],
            false => seq!["WITH q AS (", inner, ") SELECT * FROM q WHERE n <= ", count],
        };
        Body { node, outputs, keys: Vec::new(), unique: None, is_ordered: false }
    }
}
