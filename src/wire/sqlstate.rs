//! SQLSTATE, the five characters that programs match on, and the names of those that Meridian uses.
//!
//! Every room names its errors by these constants. Pure. The names are those of PostgreSQL's `errcodes.txt`, without
//! `ERRCODE_`; a code that a server sent and that has no name here is carried all the same.
//!
//! Invariant: the five bytes are ASCII digits and upper-case letters, so they can stand in any message.
//!
//! Not here: which error means what ([`super::error`] and the rooms).

use std::fmt;

/// An SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// Five digits or upper-case letters; anything else is none.
    pub fn parse(code: &[u8]) -> Option<SqlState> {
        let bytes: [u8; 5] = code.try_into().ok()?;
        let legal = bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        legal.then_some(SqlState(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// The first two characters: the class.
    pub fn class(&self) -> &str {
        self.as_str().get(..2).unwrap_or("XX")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

macro_rules! states {
    ($($name:ident = $code:literal,)*) => {
        impl SqlState {
            $(pub const $name: SqlState = SqlState(*$code);)*
        }

        #[cfg(test)]
        const ALL: &[SqlState] = &[$(SqlState::$name),*];
    };
}

states! {
    SUCCESSFUL_COMPLETION = b"00000",
    WARNING = b"01000",
    CONNECTION_EXCEPTION = b"08000",
    SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION = b"08001",
    CONNECTION_DOES_NOT_EXIST = b"08003",
    SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION = b"08004",
    CONNECTION_FAILURE = b"08006",
    TRANSACTION_RESOLUTION_UNKNOWN = b"08007",
    PROTOCOL_VIOLATION = b"08P01",
    FEATURE_NOT_SUPPORTED = b"0A000",
    CARDINALITY_VIOLATION = b"21000",
    DATA_EXCEPTION = b"22000",
    STRING_DATA_RIGHT_TRUNCATION = b"22001",
    NUMERIC_VALUE_OUT_OF_RANGE = b"22003",
    NULL_VALUE_NOT_ALLOWED = b"22004",
    INVALID_DATETIME_FORMAT = b"22007",
    DATETIME_FIELD_OVERFLOW = b"22008",
    DIVISION_BY_ZERO = b"22012",
    CHARACTER_NOT_IN_REPERTOIRE = b"22021",
    INVALID_PARAMETER_VALUE = b"22023",
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = b"2201W",
    INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE = b"2201X",
    INVALID_TEXT_REPRESENTATION = b"22P02",
    INVALID_BINARY_REPRESENTATION = b"22P03",
    BAD_COPY_FILE_FORMAT = b"22P04",
    UNTRANSLATABLE_CHARACTER = b"22P05",
    INTEGRITY_CONSTRAINT_VIOLATION = b"23000",
    NOT_NULL_VIOLATION = b"23502",
    FOREIGN_KEY_VIOLATION = b"23503",
    UNIQUE_VIOLATION = b"23505",
    CHECK_VIOLATION = b"23514",
    INVALID_CURSOR_STATE = b"24000",
    INVALID_TRANSACTION_STATE = b"25000",
    ACTIVE_SQL_TRANSACTION = b"25001",
    READ_ONLY_SQL_TRANSACTION = b"25006",
    NO_ACTIVE_SQL_TRANSACTION = b"25P01",
    IN_FAILED_SQL_TRANSACTION = b"25P02",
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03",
    INVALID_SQL_STATEMENT_NAME = b"26000",
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000",
    INVALID_PASSWORD = b"28P01",
    INVALID_CURSOR_NAME = b"34000",
    INVALID_CATALOG_NAME = b"3D000",
    INVALID_SCHEMA_NAME = b"3F000",
    INVALID_SAVEPOINT_SPECIFICATION = b"3B001",
    SERIALIZATION_FAILURE = b"40001",
    STATEMENT_COMPLETION_UNKNOWN = b"40003",
    DEADLOCK_DETECTED = b"40P01",
    INSUFFICIENT_PRIVILEGE = b"42501",
    SYNTAX_ERROR = b"42601",
    INVALID_NAME = b"42602",
    DUPLICATE_COLUMN = b"42701",
    AMBIGUOUS_COLUMN = b"42702",
    UNDEFINED_COLUMN = b"42703",
    UNDEFINED_OBJECT = b"42704",
    GROUPING_ERROR = b"42803",
    DATATYPE_MISMATCH = b"42804",
    UNDEFINED_FUNCTION = b"42883",
    UNDEFINED_TABLE = b"42P01",
    UNDEFINED_PARAMETER = b"42P02",
    DUPLICATE_CURSOR = b"42P03",
    DUPLICATE_PREPARED_STATEMENT = b"42P05",
    DUPLICATE_TABLE = b"42P07",
    AMBIGUOUS_PARAMETER = b"42P08",
    INVALID_COLUMN_REFERENCE = b"42P10",
    INDETERMINATE_DATATYPE = b"42P18",
    INDETERMINATE_COLLATION = b"42P22",
    INSUFFICIENT_RESOURCES = b"53000",
    DISK_FULL = b"53100",
    OUT_OF_MEMORY = b"53200",
    TOO_MANY_CONNECTIONS = b"53300",
    CONFIGURATION_LIMIT_EXCEEDED = b"53400",
    PROGRAM_LIMIT_EXCEEDED = b"54000",
    STATEMENT_TOO_COMPLEX = b"54001",
    TOO_MANY_COLUMNS = b"54011",
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000",
    OBJECT_IN_USE = b"55006",
    LOCK_NOT_AVAILABLE = b"55P03",
    OPERATOR_INTERVENTION = b"57000",
    QUERY_CANCELED = b"57014",
    ADMIN_SHUTDOWN = b"57P01",
    CRASH_SHUTDOWN = b"57P02",
    CANNOT_CONNECT_NOW = b"57P03",
    DATABASE_DROPPED = b"57P04",
    IDLE_SESSION_TIMEOUT = b"57P05",
    SYSTEM_ERROR = b"58000",
    IO_ERROR = b"58030",
    CONFIG_FILE_ERROR = b"F0000",
    INTERNAL_ERROR = b"XX000",
    DATA_CORRUPTED = b"XX001",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_code_is_legal_and_named_once() {
        let mut seen = std::collections::HashSet::new();
        for state in ALL {
            assert_eq!(SqlState::parse(state.as_str().as_bytes()), Some(*state));
            assert!(seen.insert(*state), "{state} twice");
        }
    }

    #[test]
    fn other_texts_are_not_codes() {
        assert_eq!(SqlState::parse(b"0800"), None);
        assert_eq!(SqlState::parse(b"08p01"), None);
        assert_eq!(SqlState::parse(b"08P011"), None);
        assert_eq!(SqlState::PROTOCOL_VIOLATION.class(), "08");
    }
}
