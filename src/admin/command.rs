//! From the text of a console statement to what is asked. Pure.
//!
//! Called by `conversation`. Words are read by the same lexer as all SQL, so comments, case and blanks do not matter.
//! Beside the `SHOW` commands stands what drivers send unasked: transaction control is followed, settings are accepted
//! and forgotten.
//!
//! Invariants:
//! 1. Everything else is refused with the list of commands as the hint; nothing is guessed.
//! 2. A [`Command`] is a few words long, however long the text was.

use crate::sql::lexer::{LexOptions, Lexer, Token, TokenKind};
use crate::sql::split::split;
use crate::wire::error::{SqlError, SqlState};

use super::order::{ORDERS, Order};
use super::show::Topic;

/// One statement of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Show(Topic),
    Order(Order),
    Begin,
    Commit,
    Rollback,
    /// Accepted and without effect; the tag of its answer.
    Courtesy(&'static str),
    /// Forgets a prepared statement; None: all of them.
    Deallocate {
        name: Option<Box<str>>,
        tag: &'static str,
    },
    Empty,
}

/// Statements in one Query message: more is a mistake, and each holds its whole answer.
pub const STATEMENTS_MAX: usize = 64;
/// Words that are looked at: no command has more that matter.
const WORDS_MAX: usize = 8;
/// PostgreSQL's identifiers end here.
const NAME_MAX: usize = 63;

/// The statements of a Query message, in order. One of nothing is [`Command::Empty`].
pub fn parse_all(text: &[u8]) -> Result<Vec<Result<Command, SqlError>>, SqlError> {
    let mut pieces = Vec::new();
    split(text, LexOptions::default(), &mut pieces);
    if pieces.len() > STATEMENTS_MAX {
        let message = format!("the console takes at most {STATEMENTS_MAX} statements at once");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let piece = |range: &std::ops::Range<u32>| text.get(range.start as usize..range.end as usize);
    Ok(pieces.iter().map(|range| parse(piece(range).unwrap_or_default())).collect())
}

/// The only statement of a Parse message.
pub fn parse_one(text: &[u8]) -> Result<Command, SqlError> {
    let mut commands = parse_all(text)?;
    match (commands.pop(), commands.is_empty()) {
        (Some(command), true) => command,
        (None, _) => Ok(Command::Empty),
        (Some(_), false) => Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}

/// One statement; a semicolon behind it does not matter.
fn parse(text: &[u8]) -> Result<Command, SqlError> {
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        [] => Command::Empty,
        ["show", name] => Command::Show(Topic::named(name).ok_or_else(|| unknown_topic(name))?),
        ["show"] => return Err(syntax_error("SHOW needs the name of what to show")),
        ["show", ..] => return Err(syntax_error("SHOW takes one word")),
        ["reload"] => Command::Order(Order::Reload),
        ["reconnect"] => Command::Order(Order::Reconnect),
        ["pause"] => Command::Order(Order::Pause(None)),
        ["pause", ..] => Command::Order(Order::Pause(Some(shard(text, &words)?))),
        ["resume"] => Command::Order(Order::Resume(None)),
        ["resume", ..] => Command::Order(Order::Resume(Some(shard(text, &words)?))),
        ["disable", ..] => Command::Order(Order::Disable(address(text)?)),
        ["enable", ..] => Command::Order(Order::Enable(address(text)?)),
        ["kill", rest @ ..] => Command::Order(Order::Kill(client(rest)?)),
        ["help"] => Command::Show(Topic::Help),
        ["begin", ..] | ["start", "transaction", ..] => Command::Begin,
        ["commit" | "end"] | ["commit" | "end", "work" | "transaction"] => Command::Commit,
        ["rollback" | "abort"] | ["rollback" | "abort", "work" | "transaction"] => Command::Rollback,
        ["set", _, ..] => Command::Courtesy("SET"),
        ["reset", _, ..] => Command::Courtesy("RESET"),
        ["discard", "all"] => Command::Deallocate { name: None, tag: "DISCARD ALL" },
        ["unlisten", ..] => Command::Courtesy("UNLISTEN"),
        ["close", "all"] => Command::Courtesy("CLOSE CURSOR ALL"),
        ["deallocate", "all"] | ["deallocate", "prepare", "all"] => {
            Command::Deallocate { name: None, tag: "DEALLOCATE ALL" }
        }
        ["deallocate", name] | ["deallocate", "prepare", name] => {
            Command::Deallocate { name: Some((*name).into()), tag: "DEALLOCATE" }
        }
        [first, ..] => return Err(no_such_command(first)),
    })
}

/// A shard's name: in quotes, or as the file has it, hyphens and all.
fn shard(text: &[u8], words: &[&str]) -> Result<Box<str>, SqlError> {
    match (argument(text), words) {
        (Some(name), _) if !name.starts_with(['\'', '"']) => Ok(name),
        (_, [_, word]) => Ok(word.trim_matches('\'').into()),
        _ => Err(syntax_error("this command takes one shard; a name with blanks is written in quotes")),
    }
}

/// A node's address: `'host:port'`, or without quotes.
fn address(text: &[u8]) -> Result<Box<str>, SqlError> {
    let name = argument(text).map(|name| name.trim_matches('\'').into());
    name.ok_or_else(|| syntax_error("this command takes one node, as 'host:port'"))
}

fn client(words: &[&str]) -> Result<u32, SqlError> {
    let id = if let [word] = words { word.parse().ok() } else { None };
    id.ok_or_else(|| syntax_error("KILL takes the id of a client; SHOW CLIENTS has it"))
}

/// What stands behind the first word, where it is one word as blanks divide it.
fn argument(text: &[u8]) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(text);
    let mut words = text.trim().trim_end_matches(';').split_whitespace().skip(1);
    let word = words.next()?;
    words.next().is_none().then(|| word.into())
}

/// The first words of a statement: keywords and names in lower case, quoted names as they are, anything else as written.
fn words(text: &[u8]) -> Vec<String> {
    let spoken = |token: &Token| !token.kind.is_trivia() && !token.is_punctuation(text, b';');
    let word = |token: Token| {
        let bytes = token.bytes(text);
        match token.kind {
            TokenKind::Word => shortened(bytes).to_ascii_lowercase(),
            TokenKind::QuotedIdentifier => {
                let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default();
                shortened(inner).replace("\"\"", "\"")
            }
            _ => shortened(bytes),
        }
    };
    Lexer::new(text, LexOptions::default()).filter(spoken).take(WORDS_MAX).map(word).collect()
}

fn shortened(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..NAME_MAX).unwrap_or(bytes)).into_owned()
}

fn unknown_topic(name: &str) -> SqlError {
    syntax_error(format!("the console cannot show \"{name}\""))
}

fn syntax_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message).hint(commands_hint())
}

fn no_such_command(first: &str) -> SqlError {
    if let Some(topic) = Topic::named(first) {
        return syntax_error(format!("a table is shown by SHOW {}", topic.name()));
    }
    let message = format!("the console has no command \"{first}\"");
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).hint(commands_hint())
}

fn commands_hint() -> String {
    let names: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    let orders: Vec<_> = ORDERS.iter().map(|(order, _)| *order).collect();
    format!("The commands are SHOW {}; {}.", names.join(" | "), orders.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Command {
        parse_one(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn case_blanks_comments_and_semicolons_do_not_matter() {
        for text in ["SHOW POOLS", "show pools;", "  Show /* which? */ Pools ; ", "-- now\nshow pools"] {
            assert_eq!(one(text), Command::Show(Topic::Pools), "{text}");
        }
    }

    #[test]
    fn every_topic_is_found_by_its_name() {
        for topic in Topic::ALL {
            assert_eq!(one(&format!("SHOW {}", topic.name())), Command::Show(topic));
        }
    }

    #[test]
    fn orders_take_names_with_and_without_quotes() {
        assert_eq!(one("reload;"), Command::Order(Order::Reload));
        assert_eq!(one("PAUSE"), Command::Order(Order::Pause(None)));
        for text in ["PAUSE \"us-east\"", "pause 'us-east';", "PAUSE us-east", "pause us-east ;"] {
            assert_eq!(one(text), Command::Order(Order::Pause(Some("us-east".into()))), "{text}");
        }
        assert_eq!(one("RESUME 'far away'"), Command::Order(Order::Resume(Some("far away".into()))));
        assert_eq!(one("RESUME EU"), Command::Order(Order::Resume(Some("EU".into()))));
        for text in ["DISABLE '10.0.0.1:5432'", "disable 10.0.0.1:5432 ;"] {
            assert_eq!(one(text), Command::Order(Order::Disable("10.0.0.1:5432".into())), "{text}");
        }
        assert_eq!(one("KILL 42"), Command::Order(Order::Kill(42)));
        for (text, message) in [
            ("KILL me", "KILL takes the id of a client; SHOW CLIENTS has it"),
            ("KILL", "KILL takes the id of a client; SHOW CLIENTS has it"),
            ("KILL 1 2", "KILL takes the id of a client; SHOW CLIENTS has it"),
            ("DISABLE", "this command takes one node, as 'host:port'"),
            ("ENABLE a b", "this command takes one node, as 'host:port'"),
            ("PAUSE far away", "this command takes one shard; a name with blanks is written in quotes"),
            ("CLIENTS", "a table is shown by SHOW CLIENTS"),
        ] {
            let error = parse_one(text.as_bytes()).expect_err(text);
            assert_eq!((error.sqlstate, error.message.as_str()), (SqlState::SYNTAX_ERROR, message));
        }
        assert_eq!(one("HELP;"), Command::Show(Topic::Help));
    }

    #[test]
    fn what_drivers_send_unasked_is_accepted() {
        assert_eq!(one("BEGIN"), Command::Begin);
        assert_eq!(one("START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"), Command::Begin);
        assert_eq!(one("commit"), Command::Commit);
        assert_eq!(one("ROLLBACK;"), Command::Rollback);
        assert_eq!(one("SET application_name = 'x'"), Command::Courtesy("SET"));
        assert_eq!(one("DISCARD ALL"), Command::Deallocate { name: None, tag: "DISCARD ALL" });
        let named = Command::Deallocate { name: Some("P 1".into()), tag: "DEALLOCATE" };
        assert_eq!(one("deallocate \"P 1\""), named);
        for nothing in ["", "  ", ";", "-- only a comment"] {
            assert_eq!(one(nothing), Command::Empty, "{nothing:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_commands_as_hint() {
        for (text, state) in [
            ("SELECT 1", SqlState::FEATURE_NOT_SUPPORTED),
            ("SHUTDOWN", SqlState::FEATURE_NOT_SUPPORTED),
            ("ROLLBACK TO SAVEPOINT a", SqlState::FEATURE_NOT_SUPPORTED),
            ("SHOW server_version", SqlState::SYNTAX_ERROR),
            ("SHOW", SqlState::SYNTAX_ERROR),
            ("SHOW POOLS NOW", SqlState::SYNTAX_ERROR),
            ("'", SqlState::FEATURE_NOT_SUPPORTED),
        ] {
            let error = parse_one(text.as_bytes()).expect_err(text);
            assert_eq!(error.sqlstate, state, "{text}");
            let hint = error.hint.unwrap_or_default();
            assert!(hint.starts_with("The commands are SHOW REGIONS | SHARDS | "), "{hint}");
        }
    }

    #[test]
    fn statements_of_one_message_come_in_order_and_are_bounded() {
        let commands = parse_all(b"SHOW STATS; nonsense; SHOW HELP;").expect("three statements");
        assert_eq!(commands.len(), 3);
        assert!(commands[1].is_err());
        assert_eq!(commands[2], Ok(Command::Show(Topic::Help)));
        let many = "SHOW STATS;".repeat(STATEMENTS_MAX + 1);
        assert!(parse_all(many.as_bytes()).is_err());
        assert!(parse_one(b"SHOW STATS; SHOW HELP").is_err());
    }
}
