//! Makes statements: a grammar that composes what PostgreSQL's SELECT can do over the tables of `tables`.
//!
//! ```text
//! query        WITH, a body, ORDER BY, LIMIT                     select
//!   body       plain, grouped, set operation                     select, grouped
//!     FROM     tables, joins, subqueries                         from
//!     WHERE    conditions on the key, on columns, subqueries     predicate, key
//!     items    typed expressions, aggregates, windows            expression, grouped, window
//! oddities     forms that are rare and easily got wrong          oddity
//! changes      INSERT, UPDATE, DELETE of one row or shard        change
//! ```
//!
//! What is kept out, because PostgreSQL itself may answer it in several ways: errors that depend on the rows that are
//! looked at, sums that overflow, choices among equals below the outermost query, text of values with lookalikes.

mod change;
mod expression;
mod from;
mod grouped;
mod key;
mod oddity;
mod predicate;
mod scope;
mod select;
mod value;
mod window;

use crate::random::Random;
use crate::tables::Table;
use crate::tree::Node;

/// Of how many statements in a hundred.
const CHANGES: usize = 12;
const ODDITIES: usize = 14;

/// What is to be run.
#[derive(Debug, Clone)]
pub enum Work {
    Read(Node),
    /// In a transaction that is rolled back; the second looks at what was done.
    Change(Node, String),
}

impl Work {
    /// The statement under test.
    pub fn node(&self) -> &Node {
        let (Self::Read(node) | Self::Change(node, _)) = self;
        node
    }

    /// The same with another statement.
    pub fn with(&self, node: Node) -> Self {
        match self {
            Self::Read(_) => Self::Read(node),
            Self::Change(_, look) => Self::Change(node, look.clone()),
        }
    }
}

pub struct Grammar {
    random: Random,
    tables: &'static [Table],
    /// Values may be sent as parameters.
    parameters: bool,
    names: usize,
}

impl Grammar {
    pub fn new(random: Random, tables: &'static [Table], parameters: bool) -> Self {
        Self { random, tables, parameters, names: 0 }
    }

    pub fn work(&mut self) -> Work {
        match self.random.weighted(&[CHANGES, ODDITIES, 100 - CHANGES - ODDITIES]) {
            0 => {
                let (change, look) = self.change();
                Work::Change(change, look)
            }
            1 => Work::Read(self.oddity()),
            _ => Work::Read(self.query()),
        }
    }

    /// A name that no other part of the statement has.
    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.random.chance(percent)
    }

    fn table(&mut self) -> &'static Table {
        let index = self.random.below(self.tables.len());
        &self.tables[index]
    }
}
