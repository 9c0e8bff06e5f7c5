//! Why a SELECT over several shards is not answered: one entry per reason, each with its message and hint.
//!
//! All are SQLSTATE 0A000 except those that PostgreSQL itself raises (negative LIMIT, malformed parameters, ordinals
//! out of range), which carry its code and words.
//!
//! Invariant: numbers are never reused; a reason that is no longer needed leaves a gap.

use crate::plan::refusal::{Limit, Refusal, limits};

const ONE_SHARD: &str = "Name one shard by a condition on the key.";

limits! {
    NOT_A_SELECT = "S001" "0A000",
        "statement cannot be answered from several shards",
        ONE_SHARD,
        "Only a SELECT is combined from the answers of several shards.";
    LOCKING = "S002" "0A000",
        "rows of several shards cannot be locked by one SELECT",
        ONE_SHARD,
        "Each shard would lock rows of its own; LIMIT and SKIP LOCKED would lock more than are returned.";
    INTO = "S003" "0A000",
        "SELECT INTO over several shards is not supported",
        ONE_SHARD,
        "The new table would hold the rows of one shard.";
    SET_OPERATION = "S004" "0A000",
        "set operation over several shards is not supported",
        ONE_SHARD,
        "Equal rows may be on different shards.";
    SUBQUERY = "S005" "0A000",
        "subquery that reads a sharded table over several shards is not supported",
        ONE_SHARD,
        "Each shard would look at its own rows only.";
    UNKNOWN_RELATION = "S006" "0A000",
        "relation is not known",
        "Qualify its name, or wait until the catalog is read.",
        "What a name stands for decides where its rows are.";
    SINGLE_TABLE = "S007" "0A000",
        "table that lives on one shard cannot be joined over several shards",
        "Make it a reference table.",
        "The other shards do not have its rows.";
    VIEW = "S008" "0A000",
        "view over sharded tables cannot be read from several shards",
        "Write out its query.",
        "What a view does with the rows of one shard need not be what it does with all rows.";
    OUTER_JOIN = "S009" "0A000",
        "sharded table on the nullable side of an outer join over several shards is not supported",
        "Put the sharded table on the preserved side.",
        "A row without a partner on its shard may have one on another.";
    NOT_COLOCATED = "S010" "0A000",
        "join of sharded tables over several shards must equate their keys",
        "Add an equality of both keys with the same placement.",
        "Rows that belong together may be on different shards.";
    UNKNOWN_FUNCTION = "S011" "0A000",
        "function is not known",
        "Qualify its name, or wait until the catalog is read.",
        "A function may read tables.";
    USER_FUNCTION = "S012" "0A000",
        "function that may read tables cannot run over several shards",
        "Declare it IMMUTABLE if it is.",
        "On each shard it would see the rows of that shard only.";
    VOLATILE_FUNCTION = "S013" "0A000",
        "volatile function over several shards is not supported",
        ONE_SHARD,
        "Each shard would compute its own value.";
    SERVER_DEPENDENT = "S014" "0A000",
        "function that tells about one server has no answer over several shards",
        ONE_SHARD,
        "One PostgreSQL would give one answer.";
    WINDOW = "S015" "0A000",
        "window function over several shards is not supported",
        ONE_SHARD,
        "The frame of a row reaches over shards.";
    GROUPING_SETS = "S017" "0A000",
        "grouping sets over several shards are not supported",
        "Write one statement per set.",
        "Partial groups of several sets are not told apart.";
    AGGREGATE = "S018" "0A000",
        "aggregate over several shards is not supported",
        ONE_SHARD,
        "Its value over all rows does not follow from its values over the rows of each shard.";
    GROUPED_SUBQUERY = "S019" "0A000",
        "subquery outside WHERE and FROM of a grouped SELECT over several shards is not supported",
        ONE_SHARD,
        "It would be computed from rows of one shard.";
    UNGROUPED_COLUMN = "S020" "0A000",
        "column of a grouped SELECT over several shards must stand in GROUP BY or in an aggregate",
        "Add the column to GROUP BY.",
        "PostgreSQL can prove that it depends on the group; partial rows of several shards cannot show it.";
    GROUP_NAME = "S021" "0A000",
        "GROUP BY name may mean a column or an output column",
        "Qualify the column.",
        "PostgreSQL prefers the column, and what is a column is not known with certainty.";
    WILDCARD = "S022" "0A000",
        "* is not supported here over several shards",
        "Name the columns.",
        "Its columns are not known with certainty.";
    ORDER_USING = "S023" "0A000",
        "ORDER BY USING over several shards is not supported",
        "Use ASC or DESC.",
        "The operator decides the order, and only PostgreSQL knows it.";
    ORDER_NAME = "S024" "0A000",
        "ORDER BY name cannot be resolved over several shards",
        "Qualify the column.",
        "An output name and a column of the same name may differ.";
    ORDER_TYPE = "S025" "0A000",
        "rows of several shards cannot be ordered by a value of this type",
        "Order by a number, a time, or text COLLATE \"C\".",
        "Their order is not reproduced byte for byte outside of PostgreSQL.";
    LIMIT = "S026" "0A000",
        "LIMIT and OFFSET over several shards must be integers or parameters",
        "Compute the value before sending the statement.",
        "The bound must be known before the rows are.";
    CLAUSE = "S027" "0A000",
        "clause is not supported over several shards",
        ONE_SHARD,
        "What it means over several shards is not defined here.";
    PARTIAL_TYPE = "S028" "0A000",
        "value of this type cannot be combined over several shards",
        "Cast it to a built-in scalar type.",
        "Its values pass through another server, where the type may not be the same.";
    ROUND_TRIP = "S029" "0A000",
        "statement cannot be rewritten for several shards",
        ONE_SHARD,
        "The text that would be sent is not surely the statement that was meant.";
    LITERALS_DIFFER = "S030" "0A000",
        "grouped expressions over several shards must be written with the same constants",
        "Write the expression in GROUP BY exactly as in the select list.",
        "With other constants they may be other expressions.";
    UNRESOLVED_COLUMN = "S031" "0A000",
        "column cannot be resolved over several shards",
        "Qualify the column with its table's name.",
        "A name that is not resolved may name something on one shard only.";
}

/// A reason of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotASelect,
    Locking,
    Into,
    SetOperation,
    Subquery,
    UnknownRelation,
    SingleTable,
    View,
    OuterJoin,
    NotColocated,
    UnknownFunction,
    UserFunction,
    VolatileFunction,
    ServerDependent,
    Window,
    GroupingSets,
    Aggregate,
    GroupedSubquery,
    UngroupedColumn,
    GroupName,
    Wildcard,
    OrderUsing,
    OrderName,
    OrderType,
    Limit,
    Clause,
    PartialType,
    RoundTrip,
    LiteralsDiffer,
    UnresolvedColumn,
}

impl Reason {
    /// The refusal with its numbered texts; `about` names the thing that is refused, where there is one.
    pub fn refusal(self, about: &str) -> Refusal {
        let mut refusal = self.limit().refuse();
        if !about.is_empty() {
            refusal.message = format!("{}: {about}", refusal.message);
        }
        refusal
    }

    fn limit(self) -> &'static Limit {
        match self {
            Self::NotASelect => &NOT_A_SELECT,
            Self::Locking => &LOCKING,
            Self::Into => &INTO,
            Self::SetOperation => &SET_OPERATION,
            Self::Subquery => &SUBQUERY,
            Self::UnknownRelation => &UNKNOWN_RELATION,
            Self::SingleTable => &SINGLE_TABLE,
            Self::View => &VIEW,
            Self::OuterJoin => &OUTER_JOIN,
            Self::NotColocated => &NOT_COLOCATED,
            Self::UnknownFunction => &UNKNOWN_FUNCTION,
            Self::UserFunction => &USER_FUNCTION,
            Self::VolatileFunction => &VOLATILE_FUNCTION,
            Self::ServerDependent => &SERVER_DEPENDENT,
            Self::Window => &WINDOW,
            Self::GroupingSets => &GROUPING_SETS,
            Self::Aggregate => &AGGREGATE,
            Self::GroupedSubquery => &GROUPED_SUBQUERY,
            Self::UngroupedColumn => &UNGROUPED_COLUMN,
            Self::GroupName => &GROUP_NAME,
            Self::Wildcard => &WILDCARD,
            Self::OrderUsing => &ORDER_USING,
            Self::OrderName => &ORDER_NAME,
            Self::OrderType => &ORDER_TYPE,
            Self::Limit => &LIMIT,
            Self::Clause => &CLAUSE,
            Self::PartialType => &PARTIAL_TYPE,
            Self::RoundTrip => &ROUND_TRIP,
            Self::LiteralsDiffer => &LITERALS_DIFFER,
            Self::UnresolvedColumn => &UNRESOLVED_COLUMN,
        }
    }
}

/// PostgreSQL's own error.
pub fn postgres_error(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code: "", sqlstate, message: message.into(), detail: None, hint: None }
}
