//! Reads sqlparser's tree into facts.
//!
//! `parse` calls [`facts`] on a big stack. A file per concern: `query` (levels and their scopes), `from` (relations and
//! joins), `writes` (INSERT, UPDATE, DELETE, MERGE), `predicate`, `value`, `calls`, `names`, `types`.
//!
//! Invariants:
//! 1. A part of the tree that PostgreSQL's grammar does not have, or that is not followed here, is [`Unfollowed`]:
//!    the statement becomes `Unparsed` as a whole. sqlparser reads other databases' syntax where PostgreSQL would
//!    read an alias.
//! 2. Every relation that sqlparser's own visitor sees has been placed in a block, found to be a CTE or a function,
//!    or is a target: they are counted.
//!
//! Not here: commands (`commands`), placeholders (`parser_text`).

mod calls;
mod from;
mod marks;
mod names;
mod predicate;
mod query;
pub(super) mod types;
pub mod value;
mod writes;

pub use query::has_foreign_clauses;

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName as SqlName, Statement, Visit, Visitor};

use super::facts::{Facts, FunctionUse, InsertSource, Kind, OnConflict};
use super::name::ObjectName;

/// A tree with a node that is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfollowed;

/// What is gathered over a whole statement.
#[derive(Default)]
struct Extractor {
    functions: Vec<FunctionUse>,
    seen_functions: HashSet<FunctionUse>,
    /// CTE names in scope, innermost last.
    scope: Vec<String>,
    locking: bool,
    /// A CTE that modifies data.
    modifying: bool,
    /// The target of SELECT INTO.
    into: Option<Into>,
    /// The tree may differ from PostgreSQL's in names only: not to be printed.
    shadowed: bool,
    relations_seen: usize,
}

struct Into {
    name: ObjectName,
    temporary: bool,
}

pub(super) fn facts(statement: &Statement) -> Result<Facts, Unfollowed> {
    let mut extractor = Extractor::default();
    let (kind, block) = extractor.statement(statement)?;
    if extractor.relations_seen != count_relations(statement) {
        return Err(Unfollowed);
    }
    let marks = marks::of(statement);
    Ok(Facts {
        kind,
        block,
        words: Vec::new(),
        objects: Vec::new(),
        targets: Vec::new(),
        functions: extractor.functions,
        casts: marks.casts,
        operators: Vec::new(),
        attributes: marks.attributes,
        system_column: marks.system_column,
        param_count: 0,
        repeated_params: Vec::new(),
        computes_values: marks.computes_values,
        shadowed: extractor.shadowed,
        read_since: 0,
    })
}

/// For statements whose targets the shadow text simplified: which columns are written, and with what, is not known.
pub(super) fn forget_targets(kind: &mut Kind) {
    match kind {
        Kind::Update(update) => update.sets = None,
        Kind::Insert(insert) => {
            if let InsertSource::Rows(rows) = &mut insert.source {
                for cell in rows.iter_mut().flatten() {
                    *cell = super::facts::Cell::Expression;
                }
            }
            if let Some(OnConflict::DoUpdate(sets)) = &mut insert.on_conflict {
                for (_, cell) in sets {
                    *cell = super::facts::Cell::Expression;
                }
            }
        }
        _ => {}
    }
}

fn count_relations(statement: &Statement) -> usize {
    struct Counter(usize);
    impl Visitor for Counter {
        type Break = ();

        fn pre_visit_relation(&mut self, _relation: &SqlName) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
    }
    let mut counter = Counter(0);
    let _ = statement.visit(&mut counter);
    counter.0
}
