//! Aggregates, GROUP BY, HAVING.

use std::collections::BTreeSet;

use super::Grammar;
use super::from::Named;
use super::scope::{Field, Scope};
use super::select::{Body, Output};
use crate::tables::Type;
use crate::tree::{Node, Style, seq};

impl Grammar {
    pub fn grouped(&mut self, named: &Named) -> Body {
        let (from, scope) = self.from(named, 1);
        let filter = self.filter(&scope, 1);
        let groups: Vec<Node> =
            (0..self.random.weighted(&[30, 45, 20, 5])).map(|_| self.group(&scope)).collect();
        let (mut items, mut outputs) = (Vec::new(), Vec::new());
        let mut written = Vec::new();
        for group in &groups {
            let number = items.len() + 1;
            written.push(self.written_group(group, number));
            items.push(seq![group.clone(), format!(" AS c{number}")]);
            outputs.push(Output { name: Some(format!("c{number}")) });
        }
        let texts: BTreeSet<String> = groups.iter().map(|group| group.print(Style::Literals).text).collect();
        // Of a column that is the same in all rows PostgreSQL before 18 forgets that grouping sets make it null: DISTINCT,
        // ORDER BY and HAVING go wrong. With one column twice, so does the order.
        let sets = !groups.is_empty() && texts.len() == groups.len() && self.chance(16);
        let mut keys = Vec::new();
        if sets {
            outputs.iter_mut().for_each(|output| output.name = None);
            let grouping =
                Node::List { head: "grouping(", between: ", ", tail: ")", items: groups.clone(), least: 1 };
            keys = vec![grouping.clone(), "count(*)".into()];
            if self.chance(50) {
                items.push(grouping);
                outputs.push(Output { name: None });
            }
        }
        let aggregates = self.random.weighted(&[if groups.is_empty() { 0 } else { 12 }, 45, 30, 13]);
        for _ in 0..aggregates {
            let expression = self.over_aggregates(&scope, &groups);
            let (item, output) = self.output(expression, items.len() + 1, &scope);
            items.push(item);
            outputs.push(if sets { Output { name: None } } else { output });
        }
        // Groups are found by their place.
        let least = if groups.is_empty() { 1 } else { items.len() };
        let list = Node::List { head: "", between: ", ", tail: "", items, least };
        let having = match !sets && self.chance(22) {
            true => seq![" HAVING ", self.having(&scope, &groups)].optional(),
            false => Node::empty(),
        };
        let word = if !sets && self.chance(6) { "SELECT DISTINCT " } else { "SELECT " };
        let is_single = groups.is_empty();
        let by = self.group_by(written, sets);
        let ordinals = (1..=outputs.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        if word == "SELECT " && !sets {
            keys = vec![self.key_aggregate(&scope)];
        }
        let node = seq![word, list, " FROM ", from, filter, by, having];
        Body { node, outputs, keys, unique: (!is_single && !sets).then_some(ordinals), is_ordered: false }
    }

    fn group(&mut self, scope: &Scope) -> Node {
        match self.random.weighted(&[65, 28, 7, 7]) {
            3 => scope.collated(&mut self.random).unwrap_or("(1 + 0)".into()),
            0 => scope.any(&mut self.random).sql.clone().into(),
            1 => {
                let ty = self.a_type(scope);
                self.expression(scope, ty, 1)
            }
            _ => (*self.random.pick(&["'all'::text", "(1 + 0)", "NULL::int", "(1 = 1)"])).into(),
        }
    }

    /// A group as GROUP BY names it.
    fn written_group(&mut self, group: &Node, number: usize) -> Node {
        match self.random.weighted(&[50, 35, 15]) {
            0 => group.clone(),
            1 => number.to_string().into(),
            _ => format!("c{number}").into(),
        }
    }

    fn group_by(&mut self, mut written: Vec<Node>, sets: bool) -> Node {
        let several = written.len() > 1;
        let (head, tail) = match self.random.below(7) {
            _ if !sets => (" GROUP BY ", ""),
            0 => (" GROUP BY ROLLUP (", ")"),
            1 => (" GROUP BY CUBE (", ")"),
            2 => (" GROUP BY GROUPING SETS (", ")"),
            3 if several => {
                let first = written.remove(0);
                let words = *self.random.pick(&[", ROLLUP (", ", CUBE (", ", GROUPING SETS ((), "]);
                let rest = Node::List { head: "", between: ", ", tail: ")", items: written, least: 1 };
                return seq![" GROUP BY ", first, words, rest];
            }
            4 if several => {
                let all =
                    Node::List { head: "((", between: ", ", tail: "), ", items: written.clone(), least: 1 };
                let each = Node::List { head: "", between: ", ", tail: ", ())", items: written, least: 1 };
                return seq![" GROUP BY GROUPING SETS ", all, each];
            }
            5 => (" GROUP BY GROUPING SETS (ROLLUP (", "), ())"),
            _ => (" GROUP BY GROUPING SETS (", ", ())"),
        };
        Node::List { head, between: ", ", tail, items: written, least: 0 }
    }

    fn having(&mut self, scope: &Scope, groups: &[Node]) -> Node {
        let number = *self.random.pick(&["0", "1", "2", "5"]);
        let operator = *self.random.pick(&[" > ", " >= ", " < ", " = ", " <> "]);
        match self.random.below(4) {
            0 if !groups.is_empty() => seq![self.random.pick(groups).clone(), " IS NOT NULL"],
            1 => {
                let field = scope.any(&mut self.random).sql.clone();
                seq!["count(DISTINCT ", field, ")", operator, number]
            }
            2 => seq!["max(", self.leaf(scope, Type::Int), ")", operator, number],
            _ => seq!["count(*)", operator, number],
        }
    }

    /// An aggregate by itself or inside of an expression.
    fn over_aggregates(&mut self, scope: &Scope, groups: &[Node]) -> Node {
        let number = |grammar: &mut Self| grammar.number_aggregate(scope);
        match self.random.below(12) {
            0 => {
                let (a, b) = (number(self), number(self));
                seq!["(", a.clone(), " + ", b.clone(), ")"].or(vec![a, b])
            }
            1 => {
                let a = number(self);
                seq!["coalesce(", a.clone(), ", 0)"].or(vec![a])
            }
            2 => seq!["CASE WHEN count(*) > 3 THEN 'many' ELSE 'few' END"],
            3 => seq!["(", number(self), ")::text"],
            4 if !groups.is_empty() => {
                let group = self.random.pick(groups).clone();
                seq!["(", group, " IS NULL)"]
            }
            5 => seq!["round(avg(", self.leaf(scope, Type::Int), "), 3)"],
            _ => self.aggregate(scope),
        }
    }

    /// Whole and exact.
    pub fn number_aggregate(&mut self, scope: &Scope) -> Node {
        match self.random.below(4) {
            0 => seq!["sum(", self.leaf(scope, Type::Int), ")"],
            1 => seq!["max(", self.leaf(scope, Type::Int), ")"],
            2 => seq!["count(", scope.any(&mut self.random).sql.clone(), ")"],
            _ => "count(*)".into(),
        }
    }

    pub fn aggregate(&mut self, scope: &Scope) -> Node {
        let call = self.call(scope);
        match self.chance(15) {
            true => {
                let filter = seq![" FILTER (WHERE ", self.condition(scope, 1), ")"].optional();
                seq![call, filter]
            }
            false => call,
        }
    }

    /// The deviation of equal floats is noise, which has no order.
    fn key_aggregate(&mut self, scope: &Scope) -> Node {
        let aggregate = self.aggregate(scope);
        let text = aggregate.print(Style::Literals).text;
        match ["regr_", "covar_", "corr(", "stddev", "var"].iter().any(|name| text.contains(name)) {
            true => self.number_aggregate(scope),
            false => aggregate,
        }
    }

    fn call(&mut self, scope: &Scope) -> Node {
        let distinct = if self.chance(12) { "DISTINCT " } else { "" };
        match self.random.weighted(&[12, 12, 25, 17, 9, 6, 9, 9, 8, 4]) {
            0 => "count(*)".into(),
            1 if self.chance(15) => match scope.collated(&mut self.random) {
                Some(text) => seq![*self.random.pick(&["count(DISTINCT ", "min(", "max("]), text, ")"],
                None => "count(*)".into(),
            },
            1 => seq!["count(", distinct, scope.any(&mut self.random).sql.clone(), ")"],
            2 => self.sum(scope, distinct),
            3 => self.extreme(scope),
            4 => {
                let name = *self.random.pick(&["bool_and(", "bool_or(", "every("]);
                seq![name, self.condition(scope, 1), ")"]
            }
            5 => {
                let name = *self.random.pick(&["bit_and(", "bit_or(", "bit_xor("]);
                seq![name, self.leaf(scope, Type::Int), ")"]
            }
            6 => self.spread(scope),
            7 => self.listed(scope),
            8 => self.percentile(scope),
            _ => {
                let field = self.without_lookalikes(scope);
                seq!["mode() WITHIN GROUP (ORDER BY ", field, ")"]
            }
        }
    }

    fn sum(&mut self, scope: &Scope, distinct: &'static str) -> Node {
        let name = *self.random.pick(&["sum(", "sum(", "avg("]);
        let wild: Vec<&Field> =
            scope.fields().filter(|f| f.is_wild && matches!(f.ty, Type::Num | Type::Big)).collect();
        if !wild.is_empty() && self.chance(25) {
            let field = self.random.pick(&wild);
            return summed(name, distinct, field.ty, seq![field.sql.clone()]);
        }
        let types = [Type::Int, Type::Num, Type::Float, Type::Small, Type::Interval, Type::Real, Type::Big];
        let ty = *self.random.pick(&types);
        let argument = self.expression(scope, ty, 1);
        summed(name, distinct, ty, argument)
    }

    fn extreme(&mut self, scope: &Scope) -> Node {
        let name = *self.random.pick(&["min(", "max("]);
        let has_extremes = |field: &&Field| {
            !matches!(field.ty, Type::Bool | Type::Uuid | Type::Bytes | Type::Json | Type::Range)
        };
        let fields: Vec<&Field> = scope.fields().filter(has_extremes).collect();
        if fields.is_empty() || self.chance(30) {
            return seq![name, self.expression(scope, Type::Text, 1), ")"];
        }
        seq![name, self.random.pick(&fields).sql.clone(), ")"]
    }

    fn spread(&mut self, scope: &Scope) -> Node {
        let types = [Type::Int, Type::Num, Type::Float];
        if self.chance(45) {
            // A slope through noise would be noise: of whole numbers and eighths there is none.
            let exact = [Type::Int, Type::Float, Type::Small];
            let (names, of): (&[&'static str], _) = match self.chance(50) {
                true => (&["regr_count(", "regr_avgx(", "regr_avgy(", "regr_sxx(", "covar_pop("], types),
                false => (
                    &[
                        "corr(",
                        "covar_samp(",
                        "regr_slope(",
                        "regr_intercept(",
                        "regr_r2(",
                        "regr_syy(",
                        "regr_sxy(",
                    ],
                    exact,
                ),
            };
            let name = *self.random.pick(names);
            let (one, other) = (*self.random.pick(&of), *self.random.pick(&of));
            return seq![name, self.leaf(scope, one), ", ", self.leaf(scope, other), ")"];
        }
        let names = ["stddev(", "variance(", "var_pop(", "stddev_pop(", "stddev_samp(", "var_samp("];
        let (name, ty) = (*self.random.pick(&names), *self.random.pick(&types));
        seq![name, self.leaf(scope, ty), ")"]
    }

    /// Rows put one behind the other, in an order without ties.
    fn listed(&mut self, scope: &Scope) -> Node {
        if self.chance(25) {
            return self.listed_once(scope);
        }
        let Some(unique) = scope.unique() else { return "count(*)".into() };
        let ty = self.a_type(scope);
        let loose = seq![scope.any(&mut self.random).sql.clone(), " DESC NULLS LAST, "].optional();
        let order = match self.chance(25) {
            true => seq![" ORDER BY ", loose, unique.clone(), ")"],
            false => seq![" ORDER BY ", unique.clone(), ")"],
        };
        let plain = |field: &&Field| !matches!(field.ty, Type::Ints | Type::Texts);
        match self.random.below(6) {
            0 | 1 => seq!["string_agg(", self.expression(scope, Type::Text, 1), ", ','", order],
            2 => seq!["array_agg(", self.leaf(scope, Type::Int), order],
            3 => {
                let fields: Vec<&Field> = scope.fields().filter(plain).collect();
                let field = if fields.is_empty() { "1" } else { &self.random.pick(&fields).sql };
                seq!["array_agg(", field.to_owned(), order]
            }
            4 if !unique.contains(',') && scope.sources.len() == 1 => {
                seq!["jsonb_object_agg(", unique, "::text, ", self.leaf(scope, ty), order]
            }
            _ => seq!["jsonb_agg(", self.leaf(scope, ty), order],
        }
    }

    /// Each value once, in the order of the values.
    fn listed_once(&mut self, scope: &Scope) -> Node {
        let plain = |field: &&Field| {
            let is_listed =
                matches!(field.ty, Type::Int | Type::Big | Type::Text | Type::Date | Type::Uuid | Type::Mood);
            is_listed && !field.is_collated
        };
        let fields: Vec<Field> = scope.fields().filter(plain).cloned().collect();
        let Some(field) = fields.get(self.random.below(fields.len().max(1))) else {
            return "count(*)".into();
        };
        let sql = field.sql.clone();
        let direction = *self.random.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        let order = seq![" ORDER BY ", sql.clone(), direction];
        match (self.random.below(3), field.ty) {
            (0, Type::Text) => {
                let sql = format!("{sql}::text");
                let order = seq![" ORDER BY ", sql.clone(), direction].optional();
                seq!["string_agg(DISTINCT ", sql, ", ','", order, ")"]
            }
            (1, _) => seq!["jsonb_agg(DISTINCT ", sql, order.optional(), ")"],
            _ => seq!["array_agg(DISTINCT ", sql, order.optional(), ")"],
        }
    }

    /// Ordered sets: one value of them, several, and the place of one that is not there.
    fn percentile(&mut self, scope: &Scope) -> Node {
        let types = [Type::Int, Type::Num, Type::Float, Type::Date, Type::Text, Type::Mood];
        let ty = *self.random.pick(&types);
        let order = *self.random.pick(&["", "", " DESC"]);
        let (name, value) = match self.random.below(6) {
            0 => ("percentile_disc(0.25)".into(), self.expression(scope, ty, 1)),
            1 => {
                let ty = *self.random.pick(&[Type::Int, Type::Date, Type::Text]);
                ("percentile_disc(ARRAY[0.1, 0.5, NULL, 1])".into(), self.leaf(scope, ty))
            }
            2 => ("percentile_cont(ARRAY[0.25, 0.75])".into(), self.leaf(scope, Type::Int)),
            3 => {
                let name = *self.random.pick(&["rank(", "dense_rank(", "percent_rank(", "cume_dist("]);
                (seq![name, self.number(&["0", "2", "3", "NULL"]), ")"], self.leaf(scope, Type::Int))
            }
            _ => ("percentile_cont(0.5)".into(), self.expression(scope, Type::Float, 1)),
        };
        seq![name, " WITHIN GROUP (ORDER BY ", value, order, ")"]
    }

    pub fn without_lookalikes(&mut self, scope: &Scope) -> Node {
        let plain = |field: &&Field| !field.ty.has_lookalikes() && !field.is_collated;
        let fields: Vec<&Field> = scope.fields().filter(plain).collect();
        match fields.is_empty() {
            true => "1".into(),
            false => self.random.pick(&fields).sql.clone().into(),
        }
    }
}

/// A call of sum or avg. Of numerics that are equal and differ in their scale, DISTINCT keeps whichever comes first, and the
/// scale of the result follows from it.
fn summed(name: &'static str, distinct: &'static str, ty: Type, argument: Node) -> Node {
    match ty {
        Type::Num if !distinct.is_empty() => seq![name, distinct, "trim_scale(", argument, "))"],
        _ => seq![name, distinct, argument, ")"],
    }
}
