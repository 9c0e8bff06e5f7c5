//! How fresh a read must be: the setting `meridian.consistency` of a session.
//!
//! Read by `session` (SET), `config` (the default) and `execute` (which node may answer).

use std::fmt;
use std::str::FromStr;

/// Which nodes may answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Consistency {
    /// Only the primary.
    Strong,
    /// A replica that has replayed this session's last write to the shard.
    #[default]
    Session,
    /// Any replica within the bound on lag.
    Eventual,
}

impl Consistency {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Session => "session",
            Self::Eventual => "eventual",
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("consistency is one of \"strong\", \"session\", \"eventual\"")]
pub struct UnknownConsistency;

impl FromStr for Consistency {
    type Err = UnknownConsistency;

    /// As PostgreSQL reads enumerated settings: case does not matter.
    fn from_str(text: &str) -> Result<Self, UnknownConsistency> {
        [Self::Strong, Self::Session, Self::Eventual]
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownConsistency)
    }
}
