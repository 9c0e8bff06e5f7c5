//! The numbered list of what is refused while a statement runs: what only a session's state, a server's description or
//! the data of a COPY can show.
//!
//! `session` and `execute` make these refusals; `docs/limits.md` lists them beside those of planning.
//!
//! Invariant: a number is never used again for something else; a reason that is no longer needed leaves a gap.

use crate::plan::refusal::{Limit, limits};
use crate::wire::error::SqlError;

limits! {
    SECOND_WRITING_SHARD = "X001" "0A000",
        "transaction writes to more than one shard (\"{}\" besides an earlier one)",
        "Write to one shard per transaction.",
        "A transaction writes rows of one shard, unless it writes the same everywhere. Temporary tables, LOCK and DO count as \
         writes to the default shard; nextval(), NOTIFY, locks of rows and advisory locks of the transaction do not.";
    SNAPSHOT_OVER_SHARDS = "X002" "0A000",
        "this statement needs a shard that this REPEATABLE READ or SERIALIZABLE transaction does not see",
        "Begin a REPEATABLE READ transaction with a statement over several shards, or use READ COMMITTED.",
        "A snapshot is taken with the first statement: on the shard that it belongs to, else on all; SERIALIZABLE, on one.";
    SETTINGS_ON_ONE_SERVER = "X003" "0A000",
        "set_config() in a transaction that needs several shards is not supported",
        "Use SET or SET LOCAL, which are repeated on every shard.",
        "The function sets its parameter on the server that runs it.";
    OWN_PARAMETER = "X004" "0A000",
        "set_config() of this parameter, or of a computed name, is not supported",
        "Use SET or SET LOCAL, or write the name as a literal or a parameter.",
        "The session must know what was set: the transaction's modes, client_encoding and meridian.* are its own, and of a computed name no catalog tells.";
    EXPLAIN_FORM = "X005" "0A000",
        "EXPLAIN over several shards with parameters or in a format other than text is not supported",
        "Use EXPLAIN with FORMAT TEXT and literals.",
        "Plans of several servers are told line by line.";
    EXPLAIN_ANALYZE_WRITE = "X006" "0A000",
        "EXPLAIN ANALYZE of a statement that writes to several shards is not supported",
        "Leave ANALYZE out.",
        "It would write.";
    HINTED_REPLICA = "X007" "0A000",
        "a routing hint asks for a replica, but the statement needs the primary",
        "Leave role=replica out.",
        "A replica takes no writes.";
    HINTED_REPLICA_WHILE_PINNED = "X008" "0A000",
        "a routing hint asks for a replica, but the session is pinned to the primary",
        "Leave role=replica out.",
        "What pins the session is on its server only.";
    PRIMARY_IN_READ_ONLY = "X009" "0A000",
        "this statement needs the primary, but the transaction reads from a replica",
        "Run it outside of a READ ONLY transaction.",
        "A transaction stays on the server that it began on.";
    PIPELINE_OVER_SHARDS = "X010" "0A000",
        "a pipeline that writes to one shard and goes on to another before Sync is not supported",
        "Send Sync between them, or use a transaction.",
        "The writes of one pipeline are one transaction.";
    LATE_MODES = "X013" "0A000",
        "BEGIN with modes after other statements of the same message is not supported",
        "Send BEGIN first.",
        "The servers have begun without the modes.";
    PORTAL_ROW_LIMIT = "X016" "0A000",
        "the rows of this portal behind a row limit are not supported",
        "Fetch all rows, or use DECLARE and FETCH.",
        "The rest of the rows would have to wait where nothing is kept for the session.";
    TEMPORARY_WITH_SHARDED = "X018" "0A000",
        "a statement of a temporary table beside \"{}\", which is not wholly on its server, is not supported",
        "Read that table first, or put its rows into a temporary table.",
        "The temporary table is on one server.";
    CHANGED_BY_DDL = "X019" "0A000",
        "what \"{}\" is behind DDL of this transaction cannot be known",
        "Commit the DDL first, or run both under READ COMMITTED.",
        "Statements are planned by the catalogs as the transaction sees them; behind a snapshot it does not see what others define meanwhile.";
    NULL_EQUALS = "X020" "0A000",
        "transform_null_equals is not supported",
        "Write IS NULL.",
        "It changes what conditions on keys mean.";
    CLIENT_ENCODING = "X021" "0A000",
        "client encodings of several bytes other than UTF8 are not supported",
        "Set client_encoding to UTF8, or to an encoding of single bytes.",
        "Keys are compared as UTF-8, and only encodings of single bytes are converted.";
    OTHER_TYPES = "X022" "0A000",
        "the combined answer of several shards would have other types than the statement",
        "Cast the columns of the select list to their types.",
        "The answer must have the types that PostgreSQL gives it.";
    NO_ROWS_TO_COMBINE = "X023" "0A000",
        "a statement without rows cannot be combined over several shards",
        "Name one shard by a condition on the key.",
        "There is nothing to combine.";
    SHARDS_DISAGREE = "X024" "0A000",
        "the shards disagree about the columns of this statement",
        "Bring the tables to the same definition on every shard.",
        "Names or types of the columns differ between the shards' tables.";
    COPY_SPLIT = "X026" "0A000",
        "rows of this COPY cannot be split over shards",
        "Use the text or CSV format and client_encoding UTF8.",
        "Rows are read to be placed.";
    COPY_JOIN = "X027" "0A000",
        "this COPY cannot be joined from several shards",
        "Use the text or CSV format.",
        "The binary format has one header and one trailer.";
    EXECUTE_PARSED = "X028" "0A000",
        "EXECUTE of prepared statement \"{}\" is not supported",
        "Execute it by Bind and Execute messages, or declare the types of all its parameters.",
        "It came by a Parse message, and is a command, has data-modifying parts in WITH, or parameters whose types only its server knows.";
    RESULT_CHANGED = "X029" "0A000",
        "cached plan must not change result type",
        "",
        "PostgreSQL's own refusal, for a statement that was prepared before its tables changed.";
    SCRATCH_TOO_LARGE = "X030" "53400",
        "the rows of \"{}\" that this statement must gather are too many",
        "Add conditions on this table's columns, join it by its key, or raise scratch.rows_max and scratch.bytes_max.",
        "What is gathered from the shards is bounded.";
    SCRATCH_TYPE = "X031" "0A000",
        "\"{}\" has a column whose type cannot be carried to another server",
        "Leave the column out, or name one shard by a condition on the key.",
        "Gathered rows pass in PostgreSQL's binary format, where types of the user's own may not be the same on all servers.";
    SCRATCH_GROUPING = "X032" "0A000",
        "a column that follows from the group by a primary key must stand in GROUP BY over several shards",
        "Add the column to GROUP BY.",
        "Gathered rows have no primary key.";
    SCRATCH_IN_TRANSACTION = "X033" "0A000",
        "this statement cannot be answered over several shards inside of this transaction",
        "Run it outside of the transaction, or ask the tables one by one.",
        "It reads a view beside rows that are not committed, or the transaction's time from FROM or by a function of the user's name, or is behind DDL of types or functions.";
    EXPLAIN_GATHERED = "X034" "0A000",
        "EXPLAIN ANALYZE of a statement whose tables are gathered first is not supported",
        "Leave ANALYZE out.",
        "The plan is made where the rows are brought together, when they are there.";
    HELD_BY_MESSAGES = "X035" "0A000",
        "a cursor over several shards cannot be run by an Execute message",
        "Use FETCH.",
        "Its rows are gathered on one server, in a session that only FETCH reaches.";
    RESIDENCY = "X036" "0A000",
        "rows of this statement's tables must not be brought to shard \"{}\"",
        "Add a condition that leaves one shard, or name a shard of the tables' residency under [scratch].",
        "The residency of a table names the regions whose servers may be sent rows of the others.";
    TEMPORARY_WITH_LASTING = "X037" "0A000",
        "\"{}\" is not temporary, and stands in one list with what is",
        "Name temporary objects in a statement of their own.",
        "What is temporary is on one server; everything else is changed on every shard.";
    SEED = "X038" "0A000",
        "SET seed is not supported",
        "Use SELECT setseed(...), which keeps one server for the session.",
        "Server connections are shared: the next random() may be another server's.";
    FROM_TEMPORARY = "X039" "0A000",
        "making table \"{}\" from what is temporary is not supported",
        "Create the table, then insert the rows.",
        "What is temporary is on one server; the table is made on every shard.";
    BINARY_IN_ENCODING = "X040" "0A000",
        "{} is not supported with client_encoding {}",
        "Use text formats, or set client_encoding to UTF8.",
        "Text is converted for the client, and where it stands in a binary value is not known.";
    EXECUTE_ARGUMENT = "X041" "0A000",
        "this argument of EXECUTE is not supported",
        "Write a literal, or cast the value to the parameter's type.",
        "The session assigns arguments itself: those that change something, or whose assignment it does not know, it leaves.";
    LATE_READ_ONLY = "X042" "0A000",
        "a transaction that has written on several shards cannot become read-only",
        "Leave SET TRANSACTION READ ONLY out, or begin with it.",
        "The decision to commit it is itself written in the transaction.";
    EXPLAIN_EXECUTE = "X043" "0A000",
        "EXPLAIN of this EXECUTE is not supported",
        "Explain the statement that was prepared.",
        "The session keeps it, and no server has it under that name.";
    PREPARED_BY_SQL = "X044" "0A000",
        "Bind and Describe messages for prepared statement \"{}\" are not supported",
        "Use EXECUTE, or prepare it by a Parse message.",
        "It came by PREPARE, and a server keeps it that the session is pinned to.";
    UNNAMED_PORTAL = "X045" "0A000",
        "the unnamed portal is gone",
        "Execute it before others, or give it a name.",
        "Between its Bind and its Execute its server was asked something of ours, which takes its place.";
    READ_BY_OTHER_SETTINGS = "X046" "0A000",
        "prepared statement \"{}\" has a literal that was read by other settings",
        "Send the value as a parameter, or prepare the statement again.",
        "PostgreSQL reads literals once, when a statement is prepared; a server that is given its text now would read them by the DateStyle, TimeZone or standard_conforming_strings of now.";
    MADE_FROM_EXECUTE = "X047" "0A000",
        "making a table from EXECUTE of \"{}\" is not supported",
        "Make it from the statement that was prepared.",
        "The session keeps it, and no server has it under that name.";
    LISTED = "X048" "0A000",
        "\"{}\" cannot tell what this session has",
        "Leave it out, or deallocate prepared statements and close cursors first.",
        "The session keeps some itself, under names that servers do not have, or on several servers.";
    CHANGED_SINCE_BIND = "X049" "0A000",
        "a portal over several shards cannot be executed behind a write or a setting that follows its Bind",
        "Execute it before, or bind it afterwards.",
        "The shards are asked at Execute, and would show what PostgreSQL's portal does not: its rows, and what its text says, are those of the Bind.";
    READ_BY_THE_CLOCK = "X050" "0A000",
        "prepared statement \"{}\" has a literal that was read by the clock when it was prepared",
        "Use now() or current_date, or prepare the statement again.",
        "PostgreSQL reads 'now' and 'today' once, when a statement is prepared; a server that is given its text later would read them by the time of then.";
    PORTAL_BY_SQL = "X051" "0A000",
        "FETCH and MOVE of a portal over several shards are not supported",
        "Use Execute messages, or DECLARE a cursor.",
        "Its rows are gathered on one server, in a session that only Execute reaches.";
    TELLS_READ_ONLY = "X052" "0A000",
        "transaction_read_only beside rows of several shards is not supported",
        "Ask for it by itself, by SHOW.",
        "The rows are gathered in a transaction of ours, which is read-only at the end, and would tell of itself.";
    PRINTED_OTHERWISE = "X053" "0A000",
        "further rows of a portal over several shards are not supported behind a change of settings",
        "Fetch all rows before it, or use DECLARE and FETCH.",
        "PostgreSQL prints values by the settings of each Execute; the session in which the rows were gathered has those of the first.";
    EXPLAIN_ANALYZE_SETS = "X054" "0A000",
        "EXPLAIN ANALYZE of a statement over several shards whose code sets parameters is not supported",
        "Leave ANALYZE out.",
        "What was set on one server would have to hold on the others.";
    READ_WITH_ITS_MESSAGE = "X055" "0A000",
        "a backslash in a message behind a change of standard_conforming_strings is not supported",
        "Send the statement in a message of its own.",
        "PostgreSQL reads all strings of a message before its first statement runs; a server that is given the statements one by one would read them by the new setting.";
    PARAMETERS_OF_OTHERS = "X056" "0A000",
        "asking for a parameter of the application's own is not supported here: other sessions have set some on this connection",
        "Ask in a transaction, or set the parameter first.",
        "No server forgets a parameter that was set once: it would show an empty text, where the session has none.";
    EXPORT_OF_REPLICA = "X057" "0A000",
        "pg_export_snapshot() behind reads from a replica is not supported",
        "Export the snapshot with the transaction's first statement.",
        "Other sessions take a snapshot up on primaries, and a replica's is another server's.";
    COMPUTED_OTHERWISE = "X058" "0A000",
        "FETCH from a cursor over several shards is not supported behind a change of settings",
        "Change them before DECLARE, or behind the last FETCH.",
        "PostgreSQL computes rows by the settings of each FETCH, or of the commit for WITH HOLD; they were gathered by those of DECLARE.";
}

impl Limit {
    /// The error for a client.
    pub fn error(&self, names: &[&str]) -> SqlError {
        SqlError::from(self.naming(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_and_unique() {
        let codes: Vec<&str> = LIMITS.iter().map(|limit| limit.code).collect();
        assert!(codes.is_sorted_by(|one, next| one < next), "{codes:?}");
    }
}
