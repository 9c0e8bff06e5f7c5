//! Why a SELECT over several shards is not answered: one entry per reason, each with its message and hint.
//!
//! All are SQLSTATE 0A000 except those that PostgreSQL itself raises (negative LIMIT, malformed parameters, ordinals
//! out of range), which carry its code and words.
//!
//! Invariant: numbers are never reused; a reason that is no longer needed leaves a gap.

use crate::plan::refusal::Refusal;

/// A reason; the texts are in [`Reason::refusal`].
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
        let (code, message, hint) = self.texts();
        let message = if about.is_empty() { message.to_owned() } else { format!("{message}: {about}") };
        Refusal { code, sqlstate: "0A000", message, detail: None, hint: Some(hint.to_owned()) }
    }

    fn texts(self) -> (&'static str, &'static str, &'static str) {
        const ONE_SHARD: &str = "Name one shard by a condition on the key.";
        match self {
            Self::NotASelect => ("S001", "statement cannot be answered from several shards", ONE_SHARD),
            Self::Locking => ("S002", "rows of several shards cannot be locked by one SELECT", ONE_SHARD),
            Self::Into => ("S003", "SELECT INTO over several shards is not supported", ONE_SHARD),
            Self::SetOperation => ("S004", "set operation over several shards is not supported", ONE_SHARD),
            Self::Subquery => (
                "S005",
                "subquery that reads a sharded table over several shards is not supported",
                ONE_SHARD,
            ),
            Self::UnknownRelation => {
                ("S006", "relation is not known", "Qualify its name, or wait until the catalog is read.")
            }
            Self::SingleTable => (
                "S007",
                "table that lives on one shard cannot be joined over several shards",
                "Make it a reference table.",
            ),
            Self::View => (
                "S008",
                "view over sharded tables cannot be read from several shards",
                "Write out its query.",
            ),
            Self::OuterJoin => (
                "S009",
                "sharded table on the nullable side of an outer join over several shards is not supported",
                "Put the sharded table on the preserved side.",
            ),
            Self::NotColocated => (
                "S010",
                "join of sharded tables over several shards must equate their keys",
                "Add an equality of both keys with the same placement.",
            ),
            Self::UnknownFunction => {
                ("S011", "function is not known", "Qualify its name, or wait until the catalog is read.")
            }
            Self::UserFunction => (
                "S012",
                "function that may read tables cannot run over several shards",
                "Declare it IMMUTABLE if it is.",
            ),
            Self::VolatileFunction => {
                ("S013", "volatile function over several shards is not supported", ONE_SHARD)
            }
            Self::ServerDependent => {
                ("S014", "function that tells about one server has no answer over several shards", ONE_SHARD)
            }
            Self::Window => ("S015", "window function over several shards is not supported", ONE_SHARD),
            Self::GroupingSets => (
                "S017",
                "grouping sets over several shards are not supported",
                "Write one statement per set.",
            ),
            Self::Aggregate => ("S018", "aggregate over several shards is not supported", ONE_SHARD),
            Self::GroupedSubquery => (
                "S019",
                "subquery outside WHERE and FROM of a grouped SELECT over several shards is not supported",
                ONE_SHARD,
            ),
            Self::UngroupedColumn => (
                "S020",
                "column of a grouped SELECT over several shards must stand in GROUP BY or in an aggregate",
                "Add the column to GROUP BY.",
            ),
            Self::GroupName => {
                ("S021", "GROUP BY name may mean a column or an output column", "Qualify the column.")
            }
            Self::Wildcard => ("S022", "* is not supported here over several shards", "Name the columns."),
            Self::OrderUsing => {
                ("S023", "ORDER BY USING over several shards is not supported", "Use ASC or DESC.")
            }
            Self::OrderName => {
                ("S024", "ORDER BY name cannot be resolved over several shards", "Qualify the column.")
            }
            Self::OrderType => (
                "S025",
                "rows of several shards cannot be ordered by a value of this type",
                "Order by a number, a time, or text COLLATE \"C\".",
            ),
            Self::Limit => (
                "S026",
                "LIMIT and OFFSET over several shards must be integers or parameters",
                "Compute the value before sending the statement.",
            ),
            Self::Clause => ("S027", "clause is not supported over several shards", ONE_SHARD),
            Self::PartialType => (
                "S028",
                "value of this type cannot be combined over several shards",
                "Cast it to a built-in scalar type.",
            ),
            Self::RoundTrip => ("S029", "statement cannot be rewritten for several shards", ONE_SHARD),
            Self::UnresolvedColumn => (
                "S031",
                "column cannot be resolved over several shards",
                "Qualify the column with its table's name.",
            ),
            Self::LiteralsDiffer => (
                "S030",
                "grouped expressions over several shards must be written with the same constants",
                "Write the expression in GROUP BY exactly as in the select list.",
            ),
        }
    }
}

/// PostgreSQL's own error.
pub fn postgres_error(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code: "S000", sqlstate, message: message.into(), detail: None, hint: None }
}
