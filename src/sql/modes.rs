//! The modes of a transaction, as BEGIN and SET TRANSACTION write them.

use std::fmt;

/// Those modes of a transaction that are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modes {
    pub read_only: Option<bool>,
    pub isolation: Option<Isolation>,
    pub deferrable: Option<bool>,
}

/// As they stand behind BEGIN.
impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let isolation = self.isolation.map(|isolation| format!("ISOLATION LEVEL {}", isolation.name()));
        let read_only = self.read_only.map(|only| if only { "READ ONLY" } else { "READ WRITE" }.to_owned());
        let deferrable =
            self.deferrable.map(|is| if is { "DEFERRABLE" } else { "NOT DEFERRABLE" }.to_owned());
        let words: Vec<String> = [isolation, read_only, deferrable].into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// All statements of the transaction see the same.
    pub fn keeps_snapshot(self) -> bool {
        matches!(self, Self::RepeatableRead | Self::Serializable)
    }

    /// As `transaction_isolation` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }

    /// The one of this name, in lower case.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::ReadUncommitted, Self::ReadCommitted, Self::RepeatableRead, Self::Serializable];
        all.into_iter().find(|isolation| isolation.name() == name)
    }
}
