//! Which columns of a gathered table the text may mean: the others are not fetched.
//!
//! A column is meant where its name stands anywhere in the text. All are, where rows are asked for as such: by `*`, by
//! the relation's own name as a value, by a list of column aliases, or by a function called as if it were a column.
//!
//! Invariant: what is not wanted cannot be seen in the answer.

use crate::catalog::{Column, RelationInfo};
use crate::merge::types::USER_TYPES_FROM;
use crate::plan::PlanningContext;
use crate::sql::name::ObjectName;
use crate::sql::words::{Word, Words};

use super::Found;

/// OIDs that are types which say an object by its number: other numbers on other servers.
const BY_NUMBER: &[u32] = &[
    24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 1008, 2207, 2208, 2209, 2210, 2211, 3735,
    3770, 4090, 4097, 4192,
];

/// Whether rows may be asked for as a whole.
pub(super) fn asks_for_rows(words: &Words, found: &[Found<'_>], ctx: &PlanningContext) -> bool {
    if words.wildcard {
        return true;
    }
    let relations = || found.iter().flat_map(|found| &found.relations);
    if relations().any(|relation| relation.opaque_columns) {
        return true;
    }
    let declared = |name: &str| {
        let alias = relations().filter(|relation| relation.alias.as_deref() == Some(name)).count();
        alias + relations().filter(|relation| relation.name.name == name).count()
    };
    let as_value = relations().any(|relation| {
        let name = relation.alias.as_deref().unwrap_or(&relation.name.name);
        words.bare(name) > declared(name)
    });
    let is_column = |name: &str| found.iter().any(|found| found.info.columns.iter().any(|c| c.name == name));
    let as_function = |word: &Word| {
        let name = ObjectName::unqualified(word.name.as_str());
        word.after_dot && !is_column(&word.name) && ctx.catalog.function(&name, &ctx.search_path).is_some()
    };
    as_value || words.words.iter().any(as_function)
}

/// The columns to gather, at least one; None where one cannot be carried to another server.
pub(super) fn wanted<'a>(
    info: &'a RelationInfo,
    words: &Words,
    whole: bool,
    ctx: &PlanningContext,
) -> Option<Vec<&'a Column>> {
    // A domain may not take the NULL of a column that was left out.
    let is_user_type = |column: &Column| {
        column.type_oid >= USER_TYPES_FROM || ctx.catalog.user_types.contains_key(&column.type_oid)
    };
    let mut wanted: Vec<&Column> = info
        .columns
        .iter()
        .filter(|column| whole || words.contains(&column.name) || is_user_type(column))
        .collect();
    if wanted.is_empty() {
        wanted.extend(info.columns.first());
    }
    let carried = |column: &&Column| !BY_NUMBER.contains(&column.type_oid);
    (!wanted.is_empty() && wanted.iter().all(carried)).then_some(wanted)
}
