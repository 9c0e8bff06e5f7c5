//! Two labels of a statement: what it is, and the way it took. Pure.
//!
//! Invariants:
//! 1. Every kind of statement has one verb; the label values are few and never change with what clients send.

use crate::sql::facts::Kind;

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Select,
    Insert,
    Update,
    Delete,
    Copy,
    Ddl,
    Control,
    Other,
}

impl Verb {
    pub const ALL: [Self; 8] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Copy,
        Self::Ddl,
        Self::Control,
        Self::Other,
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Ddl => "ddl",
            Self::Control => "control",
            Self::Other => "other",
        }
    }

    pub const fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Select { .. } => Self::Select,
            Kind::Insert(_) => Self::Insert,
            Kind::Update(_) => Self::Update,
            Kind::Delete(_) => Self::Delete,
            Kind::Copy(_) => Self::Copy,
            Kind::Ddl { .. } | Kind::CreateTableAs { .. } | Kind::Truncate { .. } => Self::Ddl,
            Kind::Transaction(_) | Kind::Setting(_) | Kind::Show { .. } | Kind::Session(_) => Self::Control,
            Kind::Empty
            | Kind::Merge { .. }
            | Kind::ModifyingWith
            | Kind::Maintenance { .. }
            | Kind::LockTable
            | Kind::Do
            | Kind::Call
            | Kind::Explain(_)
            | Kind::Unparsed { .. } => Self::Other,
        }
    }
}

/// The way a statement took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// Answered by Meridian itself, or refused.
    #[default]
    Local,
    /// One shard.
    Relay,
    /// Several shards, combined.
    Scatter,
    /// Every shard or none.
    Everywhere,
    /// Each shard, one after the other.
    Each,
    /// Rows of a COPY, placed or gathered.
    Copy,
}

impl Route {
    pub const ALL: [Self; 6] =
        [Self::Local, Self::Relay, Self::Scatter, Self::Everywhere, Self::Each, Self::Copy];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Relay => "relay",
            Self::Scatter => "scatter",
            Self::Everywhere => "everywhere",
            Self::Each => "each",
            Self::Copy => "copy",
        }
    }
}
