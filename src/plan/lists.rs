//! Views of PostgreSQL's that list what a session has on its server: of what Meridian keeps for a session they know nothing,
//! or by other names.

use crate::sql::facts::{Block, Facts, Relation};

/// What a statement reads of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lists {
    /// `pg_prepared_statements`.
    pub statements: bool,
    /// `pg_cursors`.
    pub cursors: bool,
}

impl Lists {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut lists = Self::default();
        lists.add(&facts.block);
        lists
    }

    pub fn any(self) -> bool {
        self.statements || self.cursors
    }

    fn add(&mut self, block: &Block) {
        let is = |relation: &Relation, name: &str| relation.name.name == name;
        self.statements |= block.relations.iter().any(|relation| is(relation, "pg_prepared_statements"));
        self.cursors |= block.relations.iter().any(|relation| is(relation, "pg_cursors"));
        block.children.iter().for_each(|child| self.add(child));
    }
}
