//! Window functions whose values do not depend on the order of equals.

use super::Grammar;
use super::scope::Scope;
use crate::tables::Type;
use crate::tree::{Node, seq};

impl Grammar {
    pub fn window(&mut self, scope: &Scope) -> Node {
        let partition = match self.chance(50) {
            true => seq!["PARTITION BY ", scope.any(&mut self.random).sql.clone()].optional(),
            false => Node::empty(),
        };
        let loose = scope.any(&mut self.random).sql.clone();
        match (self.random.below(6), scope.unique()) {
            (0, Some(unique)) => seq!["row_number() OVER (", partition, " ORDER BY ", unique, ")"],
            (1, Some(unique)) => {
                let value = self.leaf(scope, Type::Int);
                let name = *self.random.pick(&["lag(", "lead(", "first_value(", "sum("]);
                seq![name, value, ") OVER (", partition, " ORDER BY ", unique, ")"]
            }
            (2, _) => {
                let name = *self.random.pick(&["rank()", "dense_rank()"]);
                seq![name, " OVER (", partition, " ORDER BY ", loose, " DESC)"]
            }
            (3, _) => {
                seq!["sum(", self.leaf(scope, Type::Int), ") OVER (", partition, " ORDER BY ", loose, ")"]
            }
            (4, _) => seq!["count(*) OVER (", partition, ")"],
            _ => seq!["max(", self.leaf(scope, Type::Int), ") OVER (", partition, ")"],
        }
    }
}
