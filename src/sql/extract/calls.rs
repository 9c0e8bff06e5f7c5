//! Function calls and nested queries inside expressions, at any depth and in any clause.
//!
//! `query` and `writes` hand it every part of a statement that is not FROM: it records each call and makes a block of
//! each nested query, through sqlparser's visitor, which sees every field of the tree.
//!
//! Invariants:
//! 1. A nested query is handed over once, to the level that holds it; what is inside it is not looked at again.
//! 2. Grammar forms that are no functions in the catalog (COALESCE and its like) are not recorded.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Visit, Visitor,
};

use super::{Extractor, Unfollowed, names};
use crate::sql::facts::{Block, FunctionUse};
use crate::sql::name::ObjectName;

/// Words that call a function without parentheses.
pub(super) fn is_value_function(word: &str) -> bool {
    const WORDS: [&str; 12] = [
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_user",
        "current_role",
        "session_user",
        "user",
        "current_catalog",
        "current_schema",
        "system_user",
    ];
    WORDS.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Spelt like functions, but made by the grammar.
fn is_grammar(name: &ObjectName) -> bool {
    const NAMES: [&str; 8] =
        ["coalesce", "nullif", "greatest", "least", "grouping", "row", "array", "exists"];
    name.schema.is_none() && NAMES.contains(&name.name.as_str())
}

impl Extractor {
    /// Records the calls in `node` and adds a child to `block` for each query in it.
    pub(super) fn walk<V: Visit>(&mut self, node: &V, block: &mut Block) -> Result<(), Unfollowed> {
        let mut walker = Walker { extractor: self, block, depth: 0 };
        match node.visit(&mut walker) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(unfollowed) => Err(unfollowed),
        }
    }

    pub(super) fn record_call(&mut self, name: ObjectName, argument_count: usize) {
        let call = FunctionUse { name, argument_count };
        if self.seen_functions.insert(call.clone()) {
            self.functions.push(call);
        }
    }

    fn on_function(&mut self, function: &Function) -> Result<(), Unfollowed> {
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return Err(Unfollowed);
        }
        let name = names::object(&function.name).ok_or(Unfollowed)?;
        if !is_grammar(&name) || names::is_quoted(&function.name) {
            self.record_call(name, argument_count(function));
        }
        Ok(())
    }
}

fn argument_count(function: &Function) -> usize {
    match &function.args {
        FunctionArguments::None => 0,
        FunctionArguments::Subquery(_) => 1,
        FunctionArguments::List(list) => {
            let wildcard =
                |arg: &&FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
            list.args.iter().filter(|arg| !wildcard(arg)).count()
                // The ordered arguments of percentile_cont and its like count too.
                + function.within_group.len()
        }
    }
}

struct Walker<'e> {
    extractor: &'e mut Extractor,
    block: &'e mut Block,
    /// Queries that the walk is inside of.
    depth: u32,
}

impl Visitor for Walker<'_> {
    type Break = Unfollowed;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Unfollowed> {
        if self.depth == 0 {
            match self.extractor.query(query) {
                Ok(child) => self.block.children.push(child),
                Err(unfollowed) => return ControlFlow::Break(unfollowed),
            }
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Unfollowed> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Unfollowed> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Function(function) => {
                if let Err(unfollowed) = self.extractor.on_function(function) {
                    return ControlFlow::Break(unfollowed);
                }
            }
            Expr::Identifier(ident) if ident.quote_style.is_none() && is_value_function(&ident.value) => {
                self.extractor.record_call(ObjectName::unqualified(ident.value.to_ascii_lowercase()), 0);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
