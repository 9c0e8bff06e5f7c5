//! Whose fault an error is, by its SQLSTATE and by who spoke it. Pure.
//!
//! For whoever counts errors: an alert on `server` or `meridian` wakes somebody, one on `client` does not.
//!
//! Invariants:
//! 1. Every SQLSTATE has a class of [`CLASSES`]; one that PostgreSQL's appendix does not list is "other".

use super::sqlstate::SqlState;

/// PostgreSQL's classes of errors (appendix A of its manual), and the place of all others, sorted.
pub const CLASSES: [&str; 44] = [
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22", "23",
    "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44",
    "53", "54", "55", "57", "58", "72", "F0", "HV", "P0", "XX",
];
/// The label of what is in none of them, and its index.
pub const OTHER: (&str, usize) = ("XX", CLASSES.len() - 1);

/// Who must do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The statement, its data or its transaction.
    Client,
    /// Meridian: what it does not support, its limits, its mistakes.
    Meridian,
    /// A server: its resources, its disk, its shutdown.
    Server,
    /// A server that cannot be reached, or that is not there: no primary, no connection.
    Topology,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Client, Self::Meridian, Self::Server, Self::Topology];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Meridian => "meridian",
            Self::Server => "server",
            Self::Topology => "topology",
        }
    }

    /// Of an error that a server sent and that was passed on.
    pub fn of_server(state: &SqlState) -> Self {
        match state.class() {
            "08" | "53" | "58" | "F0" | "XX" => Self::Server,
            "57" if *state != SqlState::QUERY_CANCELED => Self::Server,
            _ => Self::Client,
        }
    }

    /// Of an error that Meridian told by itself.
    pub fn of_meridian(state: &SqlState) -> Self {
        match state.class() {
            "0A" | "53" | "54" | "58" | "F0" | "XX" => Self::Meridian,
            "08" => Self::Topology,
            "57" if *state != SqlState::QUERY_CANCELED => Self::Topology,
            _ => Self::Client,
        }
    }
}

/// Index of a state's class in [`CLASSES`].
pub fn class_index(state: &SqlState) -> usize {
    CLASSES.binary_search(&state.class()).unwrap_or(OTHER.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_sorted_so_that_each_is_found() {
        assert!(CLASSES.is_sorted());
        assert_eq!(CLASSES[class_index(&SqlState::SYNTAX_ERROR)], "42");
        assert_eq!(CLASSES[class_index(&SqlState::FEATURE_NOT_SUPPORTED)], "0A");
        let unknown = SqlState::parse(b"ZZ999").expect("five characters");
        assert_eq!(CLASSES[class_index(&unknown)], OTHER.0);
    }

    #[test]
    fn the_same_state_is_another_fault_from_another_mouth() {
        assert_eq!(Fault::of_server(&SqlState::FEATURE_NOT_SUPPORTED), Fault::Client);
        assert_eq!(Fault::of_meridian(&SqlState::FEATURE_NOT_SUPPORTED), Fault::Meridian);
        assert_eq!(Fault::of_server(&SqlState::ADMIN_SHUTDOWN), Fault::Server);
        assert_eq!(Fault::of_meridian(&SqlState::CONNECTION_FAILURE), Fault::Topology);
        for fault in [Fault::of_server, Fault::of_meridian] {
            assert_eq!(fault(&SqlState::UNIQUE_VIOLATION), Fault::Client);
            assert_eq!(fault(&SqlState::QUERY_CANCELED), Fault::Client);
        }
    }
}
