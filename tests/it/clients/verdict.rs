//! What became of a feature: as PostgreSQL, refused under a number, or different for a known reason.

use std::fmt;

use meridian::plan::refusal::Limit;

/// Results that differ and may: program, feature, why.
pub const KNOWN: &[(&str, &str, &str)] = &[
    ("psycopg", "connection: backend pid", PID),
    ("asyncpg", "connection: backend pid", PID),
    ("pg", "connection: process id", PID),
    ("libpq", "connection: process id", PID),
    ("psycopg", "connection: options at the start", PATH),
    ("pg", "connection: options and application name", PATH),
];

const PID: &str = "pg_backend_pid() is the server's, BackendKeyData the session's own";
const PATH: &str = "SHOW search_path has a blank behind every comma, however the start-up packet had it";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    AsPostgres,
    Refused(Vec<&'static str>),
    Differs(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsPostgres => formatter.write_str("as PostgreSQL"),
            Self::Refused(numbers) => write!(formatter, "refused {}", numbers.join(" ")),
            Self::Differs(reason) => write!(formatter, "differs: {reason}"),
        }
    }
}

impl Verdict {
    /// The error says what is wrong with this pair of results.
    pub fn of(client: &str, feature: &str, plain: &str, meridian: &str) -> Result<Self, &'static str> {
        if plain.contains("broken: ") {
            return Err("the program itself is wrong");
        }
        if plain == meridian {
            return Ok(Self::AsPostgres);
        }
        let known = KNOWN.iter().find(|(name, known, _)| *name == client && *known == feature);
        if let Some((_, _, reason)) = known {
            return Ok(Self::Differs(reason));
        }
        match numbers(meridian) {
            numbers if numbers.is_empty() => Err("different"),
            numbers => Ok(Self::Refused(numbers)),
        }
    }
}

/// The numbers of the refusals whose messages stand in a result.
fn numbers(result: &str) -> Vec<&'static str> {
    // Quotes that the program's language has escaped.
    let result = result.replace('\\', "");
    let refusals = result.split("error 0A000 ").skip(1);
    let lists = [
        meridian::plan::refusal::LIMITS,
        meridian::plan::scatter::refusals::LIMITS,
        meridian::execute::refusals::LIMITS,
    ];
    let number = |refusal: &str| {
        // One of them is PostgreSQL's own error, which must come when PostgreSQL gives it.
        let listed = lists.iter().copied().flatten().filter(|limit| limit.code != "X029");
        listed.into_iter().find(|limit| begins(refusal, limit)).map(|limit| limit.code)
    };
    let mut numbers: Vec<_> = refusals.filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Whether a text begins with this message, whatever its places are filled with.
fn begins(text: &str, limit: &Limit) -> bool {
    let mut pieces = limit.message.split("{}");
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}
