//! Makes statements: a grammar that composes what PostgreSQL's SELECT can do over the tables of `tables`.
//!
//! ```text
//! query        WITH, a body, ORDER BY, LIMIT                     select
//!   body       plain, grouped, set operation                     select, grouped
//!     FROM     tables, joins, subqueries                         from
//!     WHERE    conditions on the key, on columns, subqueries     predicate, key
//!     items    typed expressions, aggregates                     expression, grouped
//!   windows    frames, named windows, first rows of each         window
//!   colocated  rows that meet by their keys                      colocated
//!   correlated subqueries tied by columns that are no key        correlated
//!   parts      UNION ALL, first rows joined, recursion           parts
//! oddities     forms that are rare and easily got wrong          oddity
//! changes      INSERT, UPDATE, DELETE of one row or shard        change, rare_change
//! ```
//!
//! What is kept out, because PostgreSQL itself may answer it in several ways: errors that depend on the rows that are
//! looked at, sums that overflow, choices among equals below the outermost query, text of values with lookalikes.

mod change;
mod colocated;
mod correlated;
mod expression;
mod from;
mod grouped;
mod key;
mod oddity;
mod parts;
mod predicate;
mod rare_change;
mod scope;
mod select;
mod value;
mod window;

use crate::random::Random;
use crate::tables::Table;
use crate::tree::{Node, Style};

/// Of how many statements in a hundred.
const CHANGES: usize = 14;
const ODDITIES: usize = 14;
const SETTINGS: usize = 8;

/// What changes how values are read or shown.
const SETTINGS_LIST: &[&str] = &[
    "SET timezone = 'America/New_York'",
    "SET timezone = 'Asia/Kolkata'",
    "SET datestyle = 'SQL, DMY'",
    "SET datestyle = 'German'",
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'iso_8601'",
    "SET extra_float_digits = 0",
    "SET bytea_output = 'escape'",
    "SET standard_conforming_strings = off",
    "SET escape_string_warning = off",
    "SET array_nulls = off",
    "SET search_path = pg_catalog, public",
    "SET client_min_messages = error",
    "SET enable_hashagg = off",
    "SET enable_sort = off",
    "SET enable_hashjoin = off",
    "SET quote_all_identifiers = on",
    "SET default_transaction_read_only = on",
    "SET row_security = off",
    "SET plan_cache_mode = force_generic_plan",
];

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Work {
    /// Put in force before, and reset afterwards.
    pub settings: Vec<&'static str>,
    /// One, or several in a transaction.
    pub statements: Vec<Node>,
    /// Which is rolled back.
    pub in_transaction: bool,
}

impl Work {
    fn of(statement: Node) -> Self {
        Self { settings: Vec::new(), statements: vec![statement], in_transaction: false }
    }

    /// This work with its `step`-th simplification made, counted in the order of printing; None: it has fewer.
    pub fn simplified(&self, step: usize) -> Option<Self> {
        let mut simpler = self.clone();
        if step < self.settings.len() {
            simpler.settings.remove(step);
            return Some(simpler);
        }
        let mut left = step - self.settings.len();
        if self.statements.len() > 1 {
            if left < self.statements.len() {
                simpler.statements.remove(left);
                return Some(simpler);
            }
            left -= self.statements.len();
        }
        simpler.statements.iter_mut().any(|statement| statement.simplify(&mut left)).then_some(simpler)
    }

    /// For people.
    pub fn print(&self, style: Style) -> String {
        let statement = |node: &Node| {
            let printed = node.print(style);
            match printed.parameters.is_empty() {
                true => printed.text,
                false => format!("{} {:?} {:?}", printed.text, printed.parameters, printed.types),
            }
        };
        let mut parts: Vec<String> = self.settings.iter().map(|setting| (*setting).to_owned()).collect();
        parts.extend(self.in_transaction.then(|| "BEGIN".to_owned()));
        parts.extend(self.statements.iter().map(statement));
        parts.join(";\n    ")
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
        let work = match self.random.weighted(&[CHANGES, ODDITIES, 100 - CHANGES - ODDITIES]) {
            0 => self.transaction(),
            1 => Work::of(self.oddity()),
            _ => Work::of(self.query()),
        };
        match self.chance(SETTINGS) {
            true => Work { settings: vec![*self.random.pick(SETTINGS_LIST)], ..work },
            false => work,
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

    fn reference_table(&self) -> Option<&'static Table> {
        self.tables.iter().find(|table| table.is_reference())
    }

    fn table(&mut self) -> &'static Table {
        let mut table = self.random.pick(self.tables);
        // Views are mostly refused.
        if !table.is_writable() && self.chance(75) {
            table = self.random.pick(self.tables);
        }
        table
    }
}
