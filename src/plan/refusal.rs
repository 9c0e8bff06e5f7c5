//! The numbered list of what Meridian refuses, each with its message and hint.
//!
//! Everything that plans or binds makes its refusals from a [`Limit`] of this file; `session` writes them to clients.
//! A refusal is SQLSTATE 0A000 unless it says otherwise. `docs/limits.md` is generated from [`LIMITS`] and the two other
//! lists: the test in `tests/plan_cases.rs` compares them, and rewrites the document with `UPDATE=1`.
//!
//! Invariants:
//! 1. A number is never used again for something else.
//! 2. Messages are lower case without a stop; hints are sentences.
//!
//! Not here: why a SELECT cannot be combined over several shards (`scatter::refusals`, numbers S), and what only the
//! execution of a statement can know (`execute::refusals`, numbers X).

/// One reason not to run a statement. The texts are PostgreSQL's manner: message in lower case without a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable number, "M001" …
    pub code: &'static str,
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

/// One row of the list. `{}` in the message stands for what the statement names, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub code: &'static str,
    pub sqlstate: &'static str,
    pub message: &'static str,
    pub hint: &'static str,
    /// Why it is so, for the document.
    pub reason: &'static str,
}

impl Limit {
    pub fn refuse(&self) -> Refusal {
        self.naming(&[])
    }

    /// Fills the places of the message.
    pub fn naming(&self, names: &[&str]) -> Refusal {
        let mut message = String::with_capacity(self.message.len());
        let mut names = names.iter();
        for (index, piece) in self.message.split("{}").enumerate() {
            if index > 0 {
                message.push_str(names.next().copied().unwrap_or("?"));
            }
            message.push_str(piece);
        }
        Refusal {
            code: self.code,
            sqlstate: self.sqlstate,
            message,
            detail: None,
            hint: Some(self.hint).filter(|hint| !hint.is_empty()).map(str::to_owned),
        }
    }
}

impl Refusal {
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The document of lists of limits, each with its title.
pub fn document(lists: &[(&str, &[Limit])]) -> String {
    let mut text = String::from(
        "# Limits\n\nWhat Meridian refuses instead of answering wrongly. Generated from the lists in `src/plan/refusal.rs`, \
         `src/plan/scatter/refusals.rs` and `src/execute/refusals.rs`; a test keeps it equal (`UPDATE=1` rewrites it).\n",
    );
    for (title, limits) in lists {
        let head = format!(
            "\n## {title}\n\n| number | SQLSTATE | message | hint | why |\n| --- | --- | --- | --- | --- |\n"
        );
        text.push_str(&head);
        for limit in *limits {
            let message = limit.message.replace("{}", "…");
            let row = format!(
                "| {} | {} | {message} | {} | {} |\n",
                limit.code, limit.sqlstate, limit.hint, limit.reason
            );
            text.push_str(&row);
        }
    }
    text.push_str(NOT_REFUSED);
    text
}

/// Differences that are not refusals, for the same document.
const NOT_REFUSED: &str = "
## Not refused, but good to know

- A unique constraint that does not contain the key is enforced by each shard for itself.
- A function of the user's own that runs alone (`SELECT f()`) runs on the shard of the tables that it names, else on the
  default shard; on its primary if it is volatile.
- Catalogs, `information_schema`, sizes (`pg_relation_size` …), sequences, advisory locks and `NOTIFY` are the default
  shard's. A hint (`/* meridian: shard=… */`) asks another shard's catalogs.
- Triggers and foreign-key actions run on the shard of the row that fires them. A trigger must not change a column
  that names the row's shard. Actions are looked at for the tables that a statement names (M063), not within functions, DO and
  `PREPARE`. A trigger of which a table name or `EXECUTE` can be read refuses the write (M050, M051).
- Functions are looked into by the words of their bodies, also where an operator, a cast, a default, a CHECK constraint
  or a row security policy calls them. A body in another language than SQL and PL/pgSQL counts as one that runs
  anything, but for immutable functions in C and those of well-known extensions.
- `now()` in a statement over several shards is each shard's own clock.
- A Query or FunctionCall behind messages of the extended protocol without a Sync ends their transaction, as before
  PostgreSQL 18, where it goes on to the Sync. A pipeline is no block for DECLARE.
- Writers of one reference table come one after the other, to the end of their transactions.
- Sessions that wait for each other on several servers are found within seconds, and one of them is told `40P01`.
  A table has a lock on each shard: DDL can meet in such a ring a transaction that only reads.
- A statement that waits for another session's DDL is planned anew by the new definitions, and run again if it still goes to
  the same shard, or only reads. Otherwise it fails with `40001`: run it again. DDL through another Meridian is noticed a moment
  later, DDL past all of them after `[health] catalog_interval`.
- `FOR UPDATE` and its like lock a row of a reference table on one shard: to keep others from changing it, change it.
- A sequence is the default shard's, but for one that a `serial` or identity column of a `single` table has made, or that is
  OWNED BY one: it is where the table is. If that is another shard, `nextval()` and `setval()` are for a SELECT of their own
  (M066), which names the sequence by a literal or a parameter (M067).
- Names are looked up in every schema of `search_path`, also in one that the role may not use.
- A view is read with the rights of the role that asks, where rows of several shards are combined: the role needs SELECT on
  its tables, on the columns that the statement names.
- `pg_dump` takes the schema `meridian_internal` along, and every role may: leave it out by `-N meridian_internal` where the
  dump is for a plain PostgreSQL. `--serializable-deferrable` needs a snapshot that is serializable over several servers, which
  none is.
- Programs that ask for the databases `postgres` or `template1` (`createuser`, `dropuser`, `pg_dumpall`, `vacuumdb -a`) are for
  servers, one by one: Meridian has one database.
- A replication connection (`replication=database` or `true`) is passed through to one primary, the default shard's or that
  of the shard in `options='-c meridian.shard=…'`: whatever is said on it, SQL too, is said to that server alone. A backup or
  a subscription through it has the rows of that shard; make one of each.
- A message of a client's may have `[proxy] message_bytes_max` bytes (64 MiB unless configured): a larger one ends the
  session with `08P01`.
- Sessions in transactions that hold server connections of one shard, and wait for those of another whose holders wait the other
  way round, wait for `[pool] wait_timeout`: pools larger than the transactions of that kind keep them apart.
- A foreign key is enforced by each shard against the rows that it has: from a sharded table to one that is placed otherwise
  it misses rows that are there. Make the other table a reference table, or place both by the same key.
- Rows of several shards are combined in temporary tables: where that is done (EXPLAIN says `gather`), the role needs
  TEMPORARY on the database, and USAGE on the types of the columns.
- A trigger that reads its own sharded table sees the rows of its shard.
- A statement of more than 24,000 words, numbers and signs (a list of more than 10,000 values), of more than a megabyte, or
  nested more than 150 deep, is not looked into: it is refused where it names a table whose rows are not all on the
  default shard (M032). An array as one parameter (`= ANY ($1)`) may be of any length.
";

/// A list of limits: constants, and `LIMITS` with all of them in order.
macro_rules! limits {
    ($($name:ident = $code:literal $state:literal, $message:literal, $hint:expr, $reason:literal;)*) => {
        $(pub const $name: $crate::plan::refusal::Limit = $crate::plan::refusal::Limit {
            code: $code, sqlstate: $state, message: $message, hint: $hint, reason: $reason,
        };)*
        /// Every limit, in the order of the numbers.
        pub const LIMITS: &[$crate::plan::refusal::Limit] = &[$($name),*];
    };
}
pub(crate) use limits;

limits! {
    WRITE_OVER_SHARDS = "M001" "0A000",
        "a write to rows of \"{}\" on several shards is not supported",
        "Add a condition on the key that leaves one shard, or run one statement for each shard.",
        "Rows on several shards are not yet written by one statement.";
    ROWS_OVER_SHARDS = "M002" "0A000",
        "the rows of this INSERT into \"{}\" belong to several shards",
        "Send one INSERT for each shard, or use COPY.",
        "An INSERT is not yet split.";
    KEY_MISSING = "M003" "0A000",
        "a row of \"{}\" needs a value for \"{}\", which names its shard",
        "Give the column a value in the statement.",
        "The servers would compute the default after the row has been placed.";
    KEY_COMPUTED = "M004" "0A000",
        "the value of \"{}\" in \"{}\" names the row's shard and must be a literal or a parameter",
        "Compute the value first and send it.",
        "Only the servers can compute expressions, and which server depends on the value.";
    KEY_NULL = "M005" "23502",
        "null value in column \"{}\" of relation \"{}\" names no shard",
        "Send a value, or configure a shard for null keys.",
        "A row must have one home.";
    KEY_WITHOUT_SHARD = "M006" "23514",
        "no shard holds rows of \"{}\" with {}",
        "SHOW TABLES tells how the table's rows are placed.",
        "A row must have one home.";
    POSITION_CONTRADICTS = "M007" "23514",
        "new row for relation \"{}\" is in region \"{}\" by its position, but says region \"{}\"",
        "Send the region in which the position lies.",
        "Rows stay at home: a key and a position that disagree would hide the row from reads by position.";
    POSITION_NOWHERE = "M008" "23514",
        "new row for relation \"{}\" has no position in one region",
        "Send a position inside a region, or configure an area that holds it.",
        "A row must have one home.";
    GEOHASH_CONTRADICTS = "M009" "23514",
        "new row for relation \"{}\" has a geohash that does not hold its position",
        "Send the geohash of the position, in lower case, or none.",
        "Reads by geohash would miss the row.";
    KEY_UNREADABLE = "M010" "0A000",
        "the value of \"{}\" in \"{}\" is not understood, so the row has no shard",
        "Send it as a plain literal or as a parameter of the column's type.",
        "A value that may mean something else on the server must not choose the shard.";
    INSERT_QUERY = "M011" "0A000",
        "INSERT … SELECT into \"{}\" is not supported",
        "Read the rows and insert them, or use COPY.",
        "Each row of the query may belong to another shard.";
    KEY_CHANGE = "M012" "0A000",
        "this statement may change \"{}\", which names the shard of a row of \"{}\"",
        "Delete the row and insert it anew, or set the column to a literal that stays on the shard.",
        "Rows are not yet moved by UPDATE.";
    POSITION_CHANGE = "M013" "0A000",
        "this statement may move a row of \"{}\" to another shard",
        "Set latitude, longitude and geohash together, as literals or parameters inside the row's region.",
        "The position must go on to agree with the row's home.";
    REFERENCE_FUNCTION = "M014" "0A000",
        "function {}() in a write to reference table \"{}\" may differ between shards",
        "Compute the value first and send it.",
        "Every shard would compute its own value, and the copies would differ.";
    REFERENCE_DEFAULT = "M015" "0A000",
        "the default of \"{}\" in reference table \"{}\" may differ between shards",
        "Send a value for the column.",
        "Every shard would compute its own value, and the copies would differ.";
    REFERENCE_READS = "M016" "0A000",
        "a write to reference table \"{}\" that reads \"{}\" is not supported",
        "Read the values first and send them.",
        "The shards may read different rows, or the same rows in another order.";
    MIXED_HOMES = "M017" "0A000",
        "\"{}\" and \"{}\" live on different shards",
        "Make it a reference table, or ask for the tables one by one.",
        "Rows of different shards are not yet brought together for this statement.";
    VIEW_OVER_SHARDS = "M018" "0A000",
        "\"{}\" reads sharded tables and needs several shards",
        "Ask the tables themselves, or name the shard in a hint.",
        "What a view does with the rows of one shard need not be what it does with all rows.";
    USER_FUNCTION_OVER_SHARDS = "M019" "0A000",
        "function {}() may read tables and cannot be used over several shards",
        "Add a condition that leaves one shard, or write out what the function does.",
        "On each shard it would see that shard's rows only.";
    VOLATILE_OVER_SHARDS = "M020" "0A000",
        "function {}() cannot be used over several shards",
        "Add a condition that leaves one shard, or call the function by itself.",
        "It changes or reads the state of one server.";
    FUNCTION_RUNS_SQL = "M021" "0A000",
        "function {}() runs SQL that Meridian cannot see",
        "Send the statement itself.",
        "The statement in its arguments may name sharded tables.";
    SEQUENCE_STATE = "M022" "0A000",
        "function {}() depends on the server that was used before",
        "Use INSERT … RETURNING, or nextval().",
        "Server connections are shared between clients.";
    FUNCTION_READS_SHARDED = "M023" "0A000",
        "function {}() names a sharded table and cannot be run",
        "Send its statements themselves.",
        "It would see the rows of one shard as if they were all.";
    CREATE_TABLE_AS = "M024" "0A000",
        "making table \"{}\" from a query is not supported",
        "Create the table, then insert the rows.",
        "The table is made on every shard, and has its rows on the default shard: the query must read them there.";
    TEMPORARY_SHADOWS = "M025" "0A000",
        "a temporary table named \"{}\" would hide a configured table",
        "Choose another name.",
        "Statements are routed by the configured table's name.";
    SQL_PREPARE = "M026" "0A000",
        "PREPARE of this statement is not supported",
        "Use the driver's prepared statements (the extended protocol), which are routed.",
        "Of sharded tables and reference tables, what reads or changes rows is kept by the session, and nothing else.";
    CURSOR_OVER_SHARDS = "M027" "0A000",
        "this cursor over \"{}\" needs one shard",
        "Leave BINARY and FOR UPDATE out, or add a condition that leaves one shard.",
        "Over several shards a cursor reads gathered tables, which are there for the time of a transaction.";
    COPY_FORM = "M028" "0A000",
        "COPY of \"{}\" in this format or with these options is not supported",
        "Use text or CSV without FORCE_NULL, FORCE_NOT_NULL, ENCODING, WHERE, ON_ERROR or DEFAULT; from STDIN, binary goes, too.",
        "Rows are read to be placed, and must be read as the server would.";
    COPY_SERVER_FILE = "M029" "0A000",
        "COPY of \"{}\" with a server's file or program is not supported",
        "Use COPY … FROM STDIN or TO STDOUT.",
        "Each server has its own files.";
    QUERY_OVER_SHARDS = "M030" "0A000",
        "this form of a query over several shards of \"{}\" is not supported",
        "Add a condition that leaves one shard, or send the SELECT by itself.",
        "Only a plain SELECT whose tables can be gathered is copied from several shards.";
    CODE_NAMES_TABLE = "M031" "0A000",
        "code that names \"{}\" cannot be sent to one server",
        "Send the statements themselves.",
        "DO and CALL run on the default shard only.";
    NOT_UNDERSTOOD = "M032" "0A000",
        "this statement is not understood, and it names \"{}\"",
        "Write it in a simpler form.",
        "What is not parsed goes to the default shard, which must then hold everything that it names.";
    HINT_CONTRADICTS = "M033" "0A000",
        "the hint names shard \"{}\", but the statement needs {}",
        "Leave out the hint or correct the condition.",
        "A hint does not change where rows live.";
    HINT_UNKNOWN = "M034" "22023",
        "the hint names \"{}\", which is not a shard",
        "SHOW SHARDS lists them.",
        "A misspelt hint must not go anywhere else.";
    MODIFYING_WITH = "M035" "0A000",
        "a WITH that changes data is not supported with \"{}\"",
        "Send its parts one by one, in a transaction.",
        "Its parts may belong to different shards.";
    MERGE = "M036" "0A000",
        "MERGE into or from \"{}\" is not supported",
        "Use INSERT, UPDATE and DELETE.",
        "Its rows may belong to different shards.";
    LOCKS_OVER_SHARDS = "M037" "0A000",
        "row locks over several shards of \"{}\" are not supported",
        "Add a condition that leaves one shard.",
        "LIMIT and SKIP LOCKED would lock more rows than are returned.";
    RULES = "M038" "0A000",
        "writes to \"{}\", which has rules, are not supported",
        "Use triggers instead of rules.",
        "A rule turns a write into other statements.";
    CONFLICT_WITHOUT_KEY = "M039" "0A000",
        "ON CONFLICT on \"{}\" needs unique constraints that contain \"{}\"",
        "Add the key to the primary key and to every unique constraint.",
        "A conflicting row may be on another shard, where it would not be seen.";
    SEQUENCE_DEFAULT = "M040" "0A000",
        "\"{}\" of sharded table \"{}\" takes its value from a sequence",
        "Send a value, or use gen_random_uuid() as the default.",
        "Each shard has its own sequence, and the values would repeat.";
    CATALOG_UNKNOWN = "M041" "0A000",
        "the columns of \"{}\" are not known yet",
        "Try again in a moment; if the table is missing on a shard, create it.",
        "A row is placed by its columns.";
    CLIENT_TWO_PHASE = "M042" "0A000",
        "PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED are not supported",
        "Use COMMIT; Meridian commits on several shards by itself.",
        "Meridian uses two-phase commit for its own transactions.";
    REFERENCE_TRIGGERS = "M043" "0A000",
        "writes to reference table \"{}\", which has triggers, are not supported",
        "Drop the triggers, or make it a table of one shard.",
        "A trigger may write something else on each shard.";
    WRITE_TO_VIEW = "M044" "0A000",
        "writes through \"{}\" are not supported",
        "Write to the table itself.",
        "The rows behind the view are placed by their table's rule.";
    CLOCK_WORD = "M045" "0A000",
        "'{}' in a write to a reference table is each server's own clock",
        "Send the time itself.",
        "Every shard would store its own time.";
    DDL_VALUES = "M046" "0A000",
        "{} in a change of reference table \"{}\" may give each shard other values",
        "Add the column without a default, fill it, then set the default.",
        "A default that is computed while the table is changed differs between shards.";
    RENAME = "M047" "0A000",
        "\"{}\" is configured under its name and cannot be renamed",
        "Change the configuration together with the table's name, on the servers.",
        "Under another name it would be taken for a table of the default shard.";
    COPY_COLUMN = "M048" "0A000",
        "COPY into \"{}\" needs column \"{}\"",
        "Name the column in COPY's list and send it.",
        "The column names the row's shard.";
    HINTED_EVERYWHERE = "M049" "0A000",
        "a hint for one shard does not go with a statement that belongs to every shard",
        "Leave out the hint.",
        "The shards' schemas and reference tables must stay the same.";
    FUNCTION_BUILDS_SQL = "M050" "0A000",
        "function {}() puts SQL together when it runs",
        "Send the statements themselves, or name the function under [functions] trusted if they stay on its shard.",
        "What it will run cannot be seen beforehand; it would see the rows of one shard as if they were all.";
    TRIGGER_NAMES_TABLE = "M051" "0A000",
        "a write to \"{}\" fires trigger function {}(), which names \"{}\"",
        "Write to both tables yourself, or name the function under [functions] trusted if what it does stays on the row's shard.",
        "A trigger runs on the shard of its row, and would meet there another part of the other table, or none.";
    CAST_DIFFERS = "M052" "0A000",
        "a cast to {} in a write to reference table \"{}\" may differ between shards",
        "Compute the value first and send it.",
        "It may read the server's clock, or numbers of its catalog, and the copies would differ.";
    SYSTEM_COLUMN_WRITTEN = "M053" "0A000",
        "\"{}\" in a write to reference table \"{}\" differs between shards",
        "Name rows by their own columns.",
        "Where a row lies is each server's own matter.";
    SYSTEM_COLUMN_OVER_SHARDS = "M054" "0A000",
        "\"{}\" of rows on several shards is not supported",
        "Add a condition that leaves one shard.",
        "Where a row lies is each server's own matter, and numbers of different servers say nothing together.";
    FUNCTION_WRITES_REFERENCE = "M055" "0A000",
        "function {}() may write a reference table and cannot be run",
        "Send its statements themselves, or name the function under [functions] trusted if it only reads.",
        "It would write the copy of one shard, and the copies would differ.";
    POLICY_READS = "M056" "0A000",
        "the row security policy of \"{}\" reads \"{}\", whose rows are not all on the same shard",
        "Make that a reference table.",
        "On each shard the policy would judge by that shard's rows only.";
    NUMBERED_ROWS = "M057" "0A000",
        "numbering the rows of sharded table \"{}\" is not supported",
        "Add the column without a sequence, and fill it with values that do not repeat.",
        "Each shard has its own sequence, and the values would repeat.";
    ADOPTED_ROWS = "M058" "0A000",
        "\"{}\" has rows, which are not where those of \"{}\" are looked for",
        "Attach it empty, and insert its rows through its parent.",
        "A table without a rule has its rows on the default shard; as a part of a table that has one they would be looked for elsewhere.";
    FAMILY = "M059" "0A000",
        "\"{}\" is placed by another rule than \"{}\"",
        "Configure both with the same placement and key.",
        "Rows of a part are looked for by the rule of the whole.";
    PARTING = "M060" "0A000",
        "\"{}\" is placed as a part of \"{}\", and cannot leave it",
        "Drop it, or configure it with the placement and key of its parent.",
        "By itself it would be a table of the default shard, and its rows on other shards would be seen no more.";
    KEY_TYPE = "M061" "0A000",
        "the type of \"{}\", by which rows of \"{}\" are placed, cannot be changed in this way",
        "Change it to a type of the same kind without USING, or make a new table and copy the rows.",
        "The new values may belong to other shards than those that have the rows.";
    KEY_DROPPED = "M062" "0A000",
        "column \"{}\", by which rows of \"{}\" are placed, cannot be dropped",
        "Drop the table, or make a new one and copy the rows.",
        "Rows are looked for by what the column of this name says.";
    FOREIGN_KEY_ACTION = "M063" "0A000",
        "a foreign key has a change of \"{}\" change rows of \"{}\" that would then be on another shard, or on one of several",
        "Use NO ACTION, or leave the columns that rows are placed by out of the foreign key.",
        "Actions of foreign keys run on the shard of the row that is referred to.";
    CODE_DEFINES = "M064" "0A000",
        "DO with DDL beside other statements is not supported",
        "Send the DDL by itself, or in a DO of its own.",
        "DDL is for every shard, and what else code does for one.";
    PLACING_COLUMN_ABSENT = "M065" "42703",
        "table \"{}\" has no column \"{}\", which its placement needs",
        "Add the column, or correct the table's entry in the configuration.",
        "A row is placed by its columns.";
    SEQUENCE_ELSEWHERE = "M066" "0A000",
        "sequence \"{}\" numbers rows of a table on another shard than the default one",
        "Call the function in a SELECT of its own, or leave the column out of INSERT.",
        "The function would ask the default shard's sequence of that name, which numbers nothing.";
    SEQUENCE_UNSURE = "M067" "0A000",
        "it cannot be seen which sequence is meant",
        "Name it by a literal or a parameter: nextval('orders_id_seq').",
        "Some sequences number tables of other shards than the default one, where the function would be run.";
    CATALOG_NOT_READ = "M068" "57P03",
        "the catalogs of the default shard have not been read yet, which this statement needs",
        "Try again when SHOW NODES shows a primary of the default shard.",
        "After a start while the default shard is down, the columns and functions are not known.";
    TIMED_DEFAULT = "M069" "0A000",
        "the default {} would keep another time on every shard",
        "Write now() for the time of each row, or the time itself.",
        "PostgreSQL keeps the time of the definition as a constant; each server would keep its own.";
    TABLE_ABSENT = "M070" "42P01",
        "relation \"{}\" does not exist",
        "The configuration has its placement: create it, through Meridian, and it is made on every shard.",
        "PostgreSQL's own error, of a table that is configured and that the default shard does not have.";
    MAKES_NOT_UNDERSTOOD = "M071" "0A000",
        "this statement makes a table, a prepared statement or a cursor WITH HOLD, and its query is not understood",
        "Write the query in a simpler form; a table can be created with its columns, and filled by INSERT.",
        "What is not parsed goes to the default shard; what it makes would be there alone, or on a connection that others use.";
    READ_OTHERWISE = "M072" "0A000",
        "PostgreSQL {} reads a part of this statement otherwise than later versions do",
        "Put a blank behind each number, and an operator in front of its operand.",
        "Before PostgreSQL 15 `1from t` is the number and FROM; before 14 an operator may end an expression, as in `5 !`.";
    FUNCTION_DEFINES = "M073" "0A000",
        "function {}() runs DDL, which is for every shard",
        "Send the DDL itself, or in a DO; or name the function under [functions] trusted if it needs one shard only.",
        "A function runs on one shard: the others would not have what it makes.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_and_unique() {
        for (index, limit) in LIMITS.iter().enumerate() {
            assert_eq!(limit.code, format!("M{:03}", index + 1));
        }
    }

    #[test]
    fn names_fill_the_message() {
        assert_eq!(
            KEY_MISSING.naming(&["rides", "region"]).message,
            "a row of \"rides\" needs a value for \"region\", which names its shard"
        );
    }

    #[test]
    fn messages_have_no_stop_and_hints_do() {
        for limit in LIMITS {
            assert!(!limit.message.ends_with('.'), "{}", limit.code);
            assert!(limit.hint.ends_with('.'), "{}", limit.code);
        }
    }
}
