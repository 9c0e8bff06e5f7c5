//! The console's side of the protocol: one message in, its answers out. Pure.
//!
//! `console` feeds it whole messages and sends what it appended. Both protocols end in [`Conversation::obey`] or in a
//! portal; a SHOW's table is asked of the caller at the moment of its execution.
//!
//! Invariants:
//! 1. A Query and a Sync end in exactly one ReadyForQuery; after an error in the extended protocol everything up to
//!    Sync is skipped.
//! 2. A transaction block is followed by its letter only: in a failed one nothing runs but its end.
//! 3. Statements and portals are bounded in number, and hold commands, not texts.
//!
//! Not here: the greeting (`console`), the meaning of texts (`command`).

use std::collections::HashMap;

use bytes::BytesMut;

use super::command::{Command, parse_all, parse_one};
use super::order::Order;
use super::show::Topic;
use super::table::{self, Formats, Table};
use crate::wire::backend::TransactionStatus;
use crate::wire::encode::server as say;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frontend::{Bind, Close, Describe, Execute, Parse, Query, Target};

/// Prepared statements, and portals, of one client.
const NAMES_MAX: usize = 256;

/// What a conversation asks of the process that it is about.
pub trait Process {
    fn show(&self, topic: Topic) -> Table;
    fn carry_out(&self, order: &Order) -> Result<(), SqlError>;
}

/// Whether the client stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Stay,
    Leave,
}

/// What one client has prepared, and where its transaction stands.
#[derive(Debug)]
pub struct Conversation {
    statements: HashMap<Box<[u8]>, Command>,
    portals: HashMap<Box<[u8]>, Portal>,
    status: TransactionStatus,
    /// An extended message failed: all is skipped up to Sync.
    skipping: bool,
}

#[derive(Debug)]
struct Portal {
    command: Command,
    formats: Formats,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Bound,
    /// A row limit stopped it: the table, and how many of its rows are sent.
    Suspended(Table, usize),
    Done,
}

impl Conversation {
    pub fn new() -> Self {
        Self {
            statements: HashMap::new(),
            portals: HashMap::new(),
            status: TransactionStatus::Idle,
            skipping: false,
        }
    }

    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Answers one message. `show` makes the table of a topic as it is now.
    pub fn on_message(&mut self, tag: u8, body: &[u8], process: &dyn Process, out: &mut BytesMut) -> Next {
        match tag {
            b'X' => return Next::Leave,
            b'S' => {
                self.skipping = false;
                if self.status == TransactionStatus::Idle {
                    self.portals.clear();
                }
                say::ready_for_query(out, self.status);
            }
            _ if self.skipping => {}
            b'Q' | b'F' => {
                let outcome =
                    if tag == b'Q' { self.query(body, process, out) } else { Err(no_function_call()) };
                if let Err(error) = outcome {
                    self.fail(&error, out);
                }
                say::ready_for_query(out, self.status);
            }
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                let outcome = match tag {
                    b'P' => self.parse(body, out),
                    b'B' => self.bind(body, out),
                    b'D' => self.describe(body, out),
                    b'E' => self.execute(body, process, out),
                    _ => self.close(body, out),
                };
                if let Err(error) = outcome {
                    self.fail(&error, out);
                    self.skipping = true;
                }
            }
            // Flush: everything is sent at once anyway. COPY messages belong to nothing.
            _ => {}
        }
        Next::Stay
    }

    fn fail(&mut self, error: &SqlError, out: &mut BytesMut) {
        say::error_response(out, error);
        if self.status == TransactionStatus::InTransaction {
            self.status = TransactionStatus::Failed;
        }
    }

    fn query(&mut self, body: &[u8], process: &dyn Process, out: &mut BytesMut) -> Result<(), SqlError> {
        let query = Query::decode(body)?;
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
        for command in parse_all(query.sql)? {
            let command = command?;
            self.may_run(&command)?;
            match command {
                Command::Show(topic) => {
                    let table = process.show(topic);
                    let formats = Formats::default();
                    table::describe(table.columns, &formats, out);
                    for row in &table.rows {
                        table::data_row(table.columns, row, &formats, out);
                    }
                    say::command_complete(out, b"SHOW");
                }
                Command::Order(order) => {
                    process.carry_out(&order)?;
                    say::command_complete(out, order.tag().as_bytes());
                }
                other => self.obey(&other, out),
            }
        }
        Ok(())
    }

    /// In a failed transaction only its end may run.
    fn may_run(&self, command: &Command) -> Result<(), SqlError> {
        let ends = matches!(command, Command::Commit | Command::Rollback | Command::Empty);
        if self.status == TransactionStatus::Failed && !ends {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Does a command that returns no rows, and says so.
    fn obey(&mut self, command: &Command, out: &mut BytesMut) {
        let tag = match command {
            Command::Begin => {
                self.status = TransactionStatus::InTransaction;
                "BEGIN"
            }
            Command::Commit | Command::Rollback => {
                let failed = self.status == TransactionStatus::Failed;
                self.status = TransactionStatus::Idle;
                if failed || *command == Command::Rollback { "ROLLBACK" } else { "COMMIT" }
            }
            Command::Courtesy(tag) => tag,
            Command::Deallocate { name, tag } => {
                match name {
                    Some(name) => drop(self.statements.remove(name.as_bytes())),
                    None => self.statements.clear(),
                }
                tag
            }
            Command::Empty => return say::empty_query_response(out),
            Command::Show(_) => "SHOW",
            Command::Order(order) => order.tag(),
        };
        say::command_complete(out, tag.as_bytes());
    }

    fn parse(&mut self, body: &[u8], out: &mut BytesMut) -> Result<(), SqlError> {
        let parse = Parse::decode(body)?;
        let command = parse_one(parse.sql)?;
        self.may_run(&command)?;
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            let name = String::from_utf8_lossy(parse.name);
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        self.statements.remove(parse.name);
        bounded(self.statements.len(), "prepared statements")?;
        self.statements.insert(parse.name.into(), command);
        say::parse_complete(out);
        Ok(())
    }

    fn bind(&mut self, body: &[u8], out: &mut BytesMut) -> Result<(), SqlError> {
        let bind = Bind::decode(body)?;
        let Some(command) = self.statements.get(bind.statement) else {
            return Err(unknown_statement(bind.statement));
        };
        let given = bind.parameters.len();
        if given > 0 {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!("bind message supplies {given} parameters, but the prepared statement requires 0"),
            ));
        }
        self.may_run(command)?;
        let formats: Vec<i16> = bind.result_formats.iter().collect();
        let columns = columns(command).len();
        if formats.len() > 1 && formats.len() != columns {
            let message =
                format!("bind message has {} result formats but query has {columns} columns", formats.len());
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
        }
        if let Some(code) = formats.iter().find(|code| !matches!(code, 0 | 1)) {
            let message = format!("unsupported format code: {code}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            let message = format!("portal \"{}\" already exists", String::from_utf8_lossy(bind.portal));
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        self.portals.remove(bind.portal);
        bounded(self.portals.len(), "portals")?;
        let portal =
            Portal { command: command.clone(), formats: Formats(formats), progress: Progress::Bound };
        self.portals.insert(bind.portal.into(), portal);
        say::bind_complete(out);
        Ok(())
    }

    fn describe(&mut self, body: &[u8], out: &mut BytesMut) -> Result<(), SqlError> {
        let describe = Describe::decode(body)?;
        match describe.target {
            Target::Statement => {
                let command = self.statements.get(describe.name);
                let command = command.ok_or_else(|| unknown_statement(describe.name))?;
                say::parameter_description(out, &[]);
                describe_rows(command, &Formats::default(), out);
            }
            Target::Portal => {
                let portal = self.portals.get(describe.name);
                let portal = portal.ok_or_else(|| unknown_portal(describe.name))?;
                describe_rows(&portal.command, &portal.formats, out);
            }
        }
        Ok(())
    }

    fn execute(&mut self, body: &[u8], process: &dyn Process, out: &mut BytesMut) -> Result<(), SqlError> {
        let execute = Execute::decode(body)?;
        let Some(portal) = self.portals.get_mut(execute.portal) else {
            return Err(unknown_portal(execute.portal));
        };
        let command = portal.command.clone();
        let rows_max = usize::try_from(execute.max_rows).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX);
        let progress = std::mem::replace(&mut portal.progress, Progress::Done);
        let (table, sent) = match (progress, &command) {
            (Progress::Done, Command::Show(_)) => {
                say::command_complete(out, b"SHOW");
                return Ok(());
            }
            (Progress::Suspended(table, sent), _) => (table, sent),
            (Progress::Bound, Command::Show(topic)) if self.status != TransactionStatus::Failed => {
                (process.show(*topic), 0)
            }
            (Progress::Bound, Command::Order(order)) => {
                self.may_run(&command)?;
                process.carry_out(order)?;
                say::command_complete(out, order.tag().as_bytes());
                return Ok(());
            }
            (Progress::Bound, _) => {
                self.may_run(&command)?;
                self.obey(&command, out);
                return Ok(());
            }
            (Progress::Done, _) => {
                let message = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(execute.portal));
                return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
            }
        };
        let until = sent.saturating_add(rows_max).min(table.rows.len());
        for row in &table.rows[sent..until] {
            table::data_row(table.columns, row, &portal.formats, out);
        }
        // PostgreSQL suspends as soon as the limit is reached, and finds only later that nothing was left.
        if until - sent == rows_max {
            portal.progress = Progress::Suspended(table, until);
            say::portal_suspended(out);
        } else {
            say::command_complete(out, b"SHOW");
        }
        Ok(())
    }

    fn close(&mut self, body: &[u8], out: &mut BytesMut) -> Result<(), SqlError> {
        let close = Close::decode(body)?;
        match close.target {
            Target::Statement => drop(self.statements.remove(close.name)),
            Target::Portal => drop(self.portals.remove(close.name)),
        }
        say::close_complete(out);
        Ok(())
    }
}

/// The columns of the command's answer; none where it has no rows.
fn columns(command: &Command) -> &'static [table::Column] {
    match command {
        Command::Show(topic) => topic.columns(),
        Command::Order(_)
        | Command::Begin
        | Command::Commit
        | Command::Rollback
        | Command::Courtesy(_)
        | Command::Deallocate { .. }
        | Command::Empty => &[],
    }
}

fn describe_rows(command: &Command, formats: &Formats, out: &mut BytesMut) {
    match columns(command) {
        [] => say::no_data(out),
        columns => table::describe(columns, formats, out),
    }
}

fn bounded(count: usize, what: &str) -> Result<(), SqlError> {
    if count < NAMES_MAX {
        return Ok(());
    }
    let message = format!("the console keeps at most {NAMES_MAX} {what} of one client");
    Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message))
}

fn no_function_call() -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "the console has no functions")
}

fn unknown_statement(name: &[u8]) -> SqlError {
    let message = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

fn unknown_portal(name: &[u8]) -> SqlError {
    let message = format!("portal \"{}\" does not exist", String::from_utf8_lossy(name));
    SqlError::new(SqlState::INVALID_CURSOR_NAME, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::table::Cell;
    use crate::wire::encode::client as ask;
    use crate::wire::frame::{Limits, Phase, next_backend, next_frontend};

    /// Three rows, whatever is asked for.
    struct Shown;

    impl Process for Shown {
        fn show(&self, topic: Topic) -> Table {
            let row = || topic.columns().iter().map(|_| Cell::Null).collect();
            Table { columns: topic.columns(), rows: vec![row(), row(), row()] }
        }

        fn carry_out(&self, order: &Order) -> Result<(), SqlError> {
            match order {
                Order::Reload => Err(SqlError::new(SqlState::CONFIG_FILE_ERROR, "no file")),
                _ => Ok(()),
            }
        }
    }

    fn send(conversation: &mut Conversation, messages: impl FnOnce(&mut BytesMut)) -> String {
        let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
        messages(&mut input);
        while let Ok(Some(frame)) = next_frontend(&mut input, Phase::Query, &Limits::default()) {
            assert_eq!(conversation.on_message(frame.tag, frame.body(), &Shown, &mut out), Next::Stay);
        }
        letters(out)
    }

    /// The tags of the answers; ReadyForQuery with its status.
    fn letters(mut out: BytesMut) -> String {
        let mut letters = String::new();
        while let Ok(Some(frame)) = next_backend(&mut out, &Limits::default()) {
            letters.push(char::from(frame.tag));
            if frame.tag == b'Z' {
                letters.push(char::from(frame.body()[0]));
            }
        }
        letters
    }

    fn query(conversation: &mut Conversation, sql: &str) -> String {
        send(conversation, |buffer| ask::query(buffer, sql.as_bytes()))
    }

    #[test]
    fn a_query_is_answered_statement_by_statement_up_to_the_first_error() {
        let mut talk = Conversation::new();
        assert_eq!(query(&mut talk, "SHOW VERSION"), "TDDDCZI");
        assert_eq!(query(&mut talk, "show stats; SHOW HELP;"), "TDDDCTDDDCZI");
        assert_eq!(query(&mut talk, "SHOW VERSION; nonsense; SHOW HELP"), "TDDDCEZI");
        assert_eq!(query(&mut talk, ""), "IZI");
        assert_eq!(query(&mut talk, "SET a TO b"), "CZI");
    }

    #[test]
    fn a_transaction_is_followed_and_fails_as_a_whole() {
        let mut talk = Conversation::new();
        assert_eq!(query(&mut talk, "BEGIN"), "CZT");
        assert_eq!(query(&mut talk, "SHOW VERSION"), "TDDDCZT");
        assert_eq!(query(&mut talk, "nonsense"), "EZE");
        assert_eq!(query(&mut talk, "SHOW VERSION"), "EZE");
        assert_eq!(query(&mut talk, "COMMIT"), "CZI");
        assert_eq!(query(&mut talk, "SHOW VERSION"), "TDDDCZI");
    }

    #[test]
    fn a_prepared_show_is_described_and_run() {
        let mut talk = Conversation::new();
        let prepare = send(&mut talk, |buffer| {
            ask::parse(buffer, b"s", b"SHOW POOLS", &[]);
            ask::describe(buffer, Target::Statement, b"s");
            ask::sync(buffer);
        });
        assert_eq!(prepare, "1tTZI");
        let run = send(&mut talk, |buffer| {
            let bind = ask::Bind { statement: b"s", result_formats: &[1], ..ask::Bind::default() };
            ask::bind(buffer, &bind);
            ask::describe(buffer, Target::Portal, b"");
            ask::execute(buffer, b"", 0);
            ask::close(buffer, Target::Statement, b"s");
            ask::sync(buffer);
        });
        assert_eq!(run, "2TDDDC3ZI");
    }

    #[test]
    fn a_row_limit_suspends_the_portal() {
        let mut talk = Conversation::new();
        let answers = send(&mut talk, |buffer| {
            ask::parse(buffer, b"", b"SHOW POOLS", &[]);
            ask::bind(buffer, &ask::Bind::default());
            ask::execute(buffer, b"", 2);
            ask::execute(buffer, b"", 1);
            ask::execute(buffer, b"", 1);
            ask::execute(buffer, b"", 1);
            ask::sync(buffer);
        });
        assert_eq!(answers, "12DDsDsCCZI");
    }

    #[test]
    fn after_an_error_everything_up_to_sync_is_skipped() {
        let mut talk = Conversation::new();
        let answers = send(&mut talk, |buffer| {
            ask::parse(buffer, b"", b"SELECT 1", &[]);
            ask::bind(buffer, &ask::Bind::default());
            ask::execute(buffer, b"", 0);
            ask::query(buffer, b"SHOW VERSION");
            ask::sync(buffer);
            ask::bind(buffer, &ask::Bind { statement: b"unknown", ..ask::Bind::default() });
            ask::sync(buffer);
        });
        assert_eq!(answers, "EZIEZI");
    }

    #[test]
    fn wrong_formats_parameters_and_doubled_names_are_refused() {
        let mut talk = Conversation::new();
        let mut refused = |bind: &ask::Bind<'_>| {
            let answers = send(&mut talk, |buffer| {
                ask::parse(buffer, b"", b"SHOW VERSION", &[]);
                ask::bind(buffer, bind);
                ask::sync(buffer);
            });
            assert_eq!(answers, "1EZI", "{bind:?}");
        };
        refused(&ask::Bind { parameters: &[Some(b"1")], ..ask::Bind::default() });
        refused(&ask::Bind { result_formats: &[0, 0], ..ask::Bind::default() });
        refused(&ask::Bind { result_formats: &[7], ..ask::Bind::default() });
        let twice = send(&mut talk, |buffer| {
            ask::parse(buffer, b"s", b"SHOW VERSION", &[]);
            ask::parse(buffer, b"s", b"SHOW VERSION", &[]);
            ask::sync(buffer);
        });
        assert_eq!(twice, "1EZI");
        assert_eq!(query(&mut talk, "DEALLOCATE s"), "CZI");
        let again = send(&mut talk, |buffer| {
            ask::parse(buffer, b"s", b"SHOW VERSION", &[]);
            ask::sync(buffer);
        });
        assert_eq!(again, "1ZI");
    }

    #[test]
    fn prepared_statements_are_bounded() {
        let mut talk = Conversation::new();
        let answers = send(&mut talk, |buffer| {
            for name in 0..=NAMES_MAX {
                ask::parse(buffer, name.to_string().as_bytes(), b"SHOW VERSION", &[]);
            }
            ask::sync(buffer);
        });
        assert_eq!(answers, format!("{}EZI", "1".repeat(NAMES_MAX)));
    }

    #[test]
    fn terminate_ends_the_conversation() {
        let mut out = BytesMut::new();
        assert_eq!(Conversation::new().on_message(b'X', b"", &Shown, &mut out), Next::Leave);
        assert!(out.is_empty());
    }
}
