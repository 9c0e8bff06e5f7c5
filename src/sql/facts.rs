//! What a statement says, as far as routing needs to know it: the types that `sql` promises to `plan`.
//!
//! Facts are made once per shape. Values are therefore not in them: a [`Value`] says *where* a value stands (the
//! n-th literal that was cut out, or a parameter), and [`super::arguments`] finds it for each execution.
//!
//! Invariants:
//! 1. Every relation that the text names, in any clause and at any depth, stands in exactly one [`Block`]
//!    (or is the target of a write). A name that is a CTE in scope is not a relation.
//! 2. [`Block::filter`] is implied by WHERE and by the ON/USING of inner joins of that block, and by nothing else:
//!    not by select lists, HAVING, FILTER, outer joins' ON, or nested queries.
//! 3. A predicate that is not understood exactly is [`Predicate::Unknown`], which narrows nothing.
//! 4. Every function call anywhere in the text is in [`Facts::functions`], but for those that operators, casts and the
//!    notation of columns (`row.function`) make: [`Facts::operators`], [`Facts::casts`], [`Facts::attributes`].

use super::name::ObjectName;

pub use super::modes::{Isolation, Modes};

/// Where a value of a statement stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Index into the literals that the lexer cut out.
    Literal(u32),
    /// Zero-based: `$1` is `Param(0)`.
    Param(u32),
    Null,
    Bool(bool),
    /// `- literal` written with a separate sign.
    Negative(Box<Value>),
    /// `value::type`, `CAST(value AS type)`, `type 'literal'`; the type's name as in pg_type (`int4`, `varchar`,
    /// `timestamptz`), without modifiers; an array as the element's name and `[]`.
    Cast {
        value: Box<Value>,
        type_name: ObjectName,
        has_modifier: bool,
    },
    /// `ARRAY[…]`; an array written as a string is a `Literal`.
    Array(Vec<Value>),
}

/// A column as it is written: by qualifier (alias or table name) or bare.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    pub qualifier: Option<ObjectName>,
    pub column: String,
    /// The column stood under a cast to this type (`region::text = …`); plan decides whether it may be looked through.
    pub cast: Option<ObjectName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition in negation normal form. Three-valued logic: a row passes only where the whole is TRUE.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// Understood to prove nothing, or not understood.
    Unknown,
    /// A constant: `WHERE true`, `WHERE false`.
    Constant(bool),
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Compare {
        column: ColumnRef,
        comparison: Comparison,
        value: Value,
    },
    /// `column IN (v, …)`; also `= ANY (ARRAY[…])` with a written array.
    In {
        column: ColumnRef,
        values: Vec<Value>,
    },
    /// `column = ANY (array)` with the array in one value (a parameter or a literal such as '{a,b}').
    EqualAny {
        column: ColumnRef,
        array: Value,
    },
    /// `column LIKE pattern` (case-sensitive, no ESCAPE clause).
    Like {
        column: ColumnRef,
        pattern: Value,
    },
    /// `column ^@ prefix` or `starts_with(column, prefix)`.
    StartsWith {
        column: ColumnRef,
        prefix: Value,
    },
    /// True, too, of a row that an outer join made for a [`Relation::nullable`] one.
    IsNull {
        column: ColumnRef,
    },
    /// Equality of two columns: feeds the equality classes.
    ColumnsEqual(ColumnRef, ColumnRef),
}

/// A relation named in FROM, or the target of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    pub name: ObjectName,
    pub alias: Option<String>,
    /// The relation stands on the side of an outer join whose rows may be missing.
    pub nullable: bool,
    /// `ONLY t`.
    pub only: bool,
    /// TABLESAMPLE, column aliases `t(a, b)`: the columns are not what the catalog says, or not all rows are read.
    pub opaque_columns: bool,
}

/// One query level: its named relations, what its own conditions prove, and the query levels inside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub relations: Vec<Relation>,
    pub filter: Predicate,
    /// Names merged by USING/NATURAL of outer joins: bare references to them prove nothing.
    pub merged_columns: Vec<String>,
    /// A NATURAL join is present: equality classes by name are for plan to resolve, or to give up on.
    pub natural_join: bool,
    /// A join has USING: `*` has fewer columns than its tables.
    pub joins_using: bool,
    /// FROM holds something that is not a named relation: a derived table, CTE, function, VALUES.
    pub opaque_sources: bool,
    pub children: Vec<Block>,
}

/// A function call by name. Aggregates and window functions are here too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionUse {
    pub name: ObjectName,
    pub argument_count: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Value(Value),
    Default,
    /// The column's own value, or that of the row that was to be inserted.
    Own,
    /// Anything that the servers must compute.
    Expression,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InsertSource {
    DefaultValues,
    Rows(Vec<Vec<Cell>>),
    /// The block is among the children of the statement's block.
    Query,
}

#[derive(Debug, Clone, PartialEq)]
pub enum OnConflict {
    DoNothing,
    /// Columns that DO UPDATE sets.
    DoUpdate(Vec<(String, Cell)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    pub target: Relation,
    /// As written; None means every column in the table's order.
    pub columns: Option<Vec<String>>,
    pub source: InsertSource,
    pub on_conflict: Option<OnConflict>,
    /// OVERRIDING USER VALUE: identity columns take their own values, whatever is given.
    pub overrides_user: bool,
    pub returning: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub target: Relation,
    /// None where a set clause has a form that is not followed (a row, a subscript).
    pub sets: Option<Vec<(String, Cell)>>,
    pub returning: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    pub target: Relation,
    pub returning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyDirection {
    FromStdin,
    ToStdout,
    /// A server file or program: only the servers' own user may.
    ServerSide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyHeader {
    No,
    Yes,
    Match,
}

/// COPY with what splitting its rows needs. Options that the splitter must not guess at make `plain` false.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// None for COPY (query).
    pub table: Option<Relation>,
    /// Where the query stands in the statement's text, in bytes.
    pub query: Option<std::ops::Range<u32>>,
    pub columns: Option<Vec<String>>,
    pub direction: CopyDirection,
    pub format: CopyFormat,
    pub header: CopyHeader,
    /// Single bytes, as PostgreSQL demands; the format's default where not written.
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    /// FORCE_NULL, FORCE_NOT_NULL, ENCODING, WHERE, ON_ERROR, DEFAULT and whatever is unknown.
    pub other_options: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TransactionCommand {
    /// BEGIN / START TRANSACTION; the modes as raw text live in the statement's own bytes.
    Begin(Modes),
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// SET TRANSACTION …
    SetTransaction(Modes),
    /// SET TRANSACTION SNAPSHOT '…'; the identifier lives in the statement's own bytes.
    SetSnapshot,
    /// SET SESSION CHARACTERISTICS AS TRANSACTION …
    SetCharacteristics(Modes),
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    TwoPhase,
    /// SET CONSTRAINTS: for every server of the transaction.
    SetConstraints,
}

/// SET and RESET of a configuration parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// `SET [SESSION|LOCAL] name TO value`. `name` is folded ("time zone" is `timezone`, "role" and
    /// "session_authorization" are names too). `value` is the byte range of the value in the statement's text,
    /// literals included; None for `TO DEFAULT`.
    Set {
        name: String,
        local: bool,
        value: Option<(u32, u32)>,
    },
    Reset {
        name: String,
    },
    ResetAll,
}

/// Session objects that bind a session to one server.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionObject {
    Listen,
    Unlisten,
    Notify,
    /// SQL-level PREPARE name AS …
    Prepare {
        name: String,
    },
    Execute {
        name: String,
    },
    /// None: ALL.
    Deallocate {
        name: Option<String>,
    },
    DeclareCursor {
        name: String,
        hold: bool,
        /// FETCH answers in binary whatever the client asks for.
        binary: bool,
        /// FOR UPDATE and its like.
        locking: bool,
        /// Byte offset in the statement's text where the query begins.
        query: u32,
    },
    /// FETCH and MOVE.
    Fetch {
        name: String,
        moves: bool,
    },
    CloseCursor {
        name: Option<String>,
    },
    Load,
    Discard(Discard),
    /// `SELECT pg_cancel_backend(n)` or `pg_terminate_backend(n)`, and nothing else.
    Signal {
        ends: bool,
        process: Value,
    },
    /// `SELECT pg_export_snapshot()` and nothing else, with the column's name.
    ExportSnapshot {
        label: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    pub analyze: bool,
    /// FORMAT TEXT, the default.
    pub text_format: bool,
    /// Byte offset in the statement's text where the explained statement begins.
    pub inner_start: u32,
    /// The explained statement's own facts; its literals are counted from the EXPLAIN's first.
    pub inner: Box<Facts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlScope {
    /// May run inside a transaction.
    Transactional,
    /// CREATE INDEX CONCURRENTLY, VACUUM, REINDEX CONCURRENTLY, CREATE DATABASE, ALTER SYSTEM …
    OutsideTransaction,
    /// May run inside a transaction, which then cannot be prepared: REFRESH MATERIALIZED VIEW CONCURRENTLY uses a temporary
    /// table.
    Unpreparable,
    /// Of large objects, which are data and not schema: one server has them.
    LargeObjects,
}

/// What the other table is to the one that ALTER TABLE is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Relative {
    Child(ObjectName),
    Parent(ObjectName),
}

/// What ALTER does to what rows are placed by.
#[derive(Debug, Clone, PartialEq)]
pub enum Alteration {
    RenameSchema(String),
    /// ATTACH PARTITION, INHERIT.
    Joins(Relative),
    /// DETACH PARTITION, NO INHERIT.
    Leaves(Relative),
    /// DROP COLUMN.
    Drops(String),
    /// CREATE TABLE … INHERITS, PARTITION OF.
    Born(Vec<ObjectName>),
    /// ALTER COLUMN … TYPE.
    Retypes {
        column: String,
        /// The new type's name, without what stands in parentheses.
        words: Vec<String>,
        /// USING.
        converted: bool,
        /// What it is computed with.
        computed: Computed,
    },
    /// ADD COLUMN, and constraints, which are checked for the rows that are there.
    Adds {
        /// As for `Retypes`; none for a constraint.
        words: Vec<String>,
        /// It has a default of its own, or is generated.
        filled: bool,
        computed: Computed,
    },
    /// DEFAULT of a table that is created, a column or a domain, in which a string may mean the present time: the time of the
    /// definition is kept.
    Defaults {
        /// What stands before it: the column's name and type.
        words: Vec<String>,
        clock: String,
    },
    /// `LIKE table INCLUDING DEFAULTS` in a table that is created.
    Copies(ObjectName),
}

/// What stands in an expression of DDL, as far as its tokens tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Computed {
    /// Functions that are called with parentheses; without what stands where a type does.
    pub calls: Vec<ObjectName>,
    /// All other unquoted words: columns, types, keywords such as CURRENT_DATE.
    pub words: Vec<String>,
    pub operators: Vec<String>,
    /// A string, as written, that may mean the present time where it is read as one: `'now'`, `'today'`.
    pub clock: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Only blanks and comments.
    Empty,
    /// SELECT, VALUES, TABLE, WITH … SELECT without data-modifying parts.
    Select {
        locking: bool,
        into: bool,
    },
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Merge {
        target: Relation,
    },
    /// A SELECT (or another statement) whose WITH modifies data.
    ModifyingWith,
    Copy(Copy),
    Truncate {
        targets: Vec<Relation>,
        cascade: bool,
    },
    /// CREATE, ALTER, DROP, GRANT, COMMENT, REINDEX, REFRESH …; `temporary`: of what is in the session only.
    Ddl {
        scope: DdlScope,
        temporary: bool,
        creates: Option<ObjectName>,
        /// RENAME of the object itself, and not of a column, constraint or the like within it.
        renames: bool,
        alters: Vec<Alteration>,
    },
    /// CREATE TABLE AS / SELECT INTO.
    CreateTableAs {
        name: ObjectName,
        temporary: bool,
        /// Of rows that are read, by a query that is followed: not those of EXECUTE, nor of what also writes.
        reads: bool,
    },
    /// VACUUM, ANALYZE, CLUSTER, CHECKPOINT: for each server.
    Maintenance {
        scope: DdlScope,
    },
    LockTable,
    Do,
    Call,
    Transaction(TransactionCommand),
    Setting(Setting),
    /// SHOW name ("all" for SHOW ALL).
    Show {
        name: String,
    },
    Session(SessionObject),
    Explain(Explain),
    /// Neither sqlparser nor the shadow text could be parsed: only the words are known.
    Unparsed {
        makes: Makes,
    },
}

/// What a statement that is not parsed makes, besides changing rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    Nothing,
    /// CREATE TABLE AS.
    Table,
    /// What may be its session's alone: a temporary table, what SELECT INTO names, a prepared statement, a cursor WITH HOLD.
    OfSession,
}

impl Kind {
    /// The target of a write.
    pub fn target(&self) -> Option<&Relation> {
        match self {
            Self::Insert(insert) => Some(&insert.target),
            Self::Update(update) => Some(&update.target),
            Self::Delete(delete) => Some(&delete.target),
            Self::Merge { target } => Some(target),
            _ => None,
        }
    }

    /// Whether Describe of it gives columns, as far as is certain.
    pub fn returns_rows(&self) -> bool {
        match self {
            Self::Select { into, .. } => !into,
            Self::Insert(insert) => insert.returning,
            Self::Update(update) => update.returning,
            Self::Delete(delete) => delete.returning,
            Self::Show { .. } | Self::Explain(_) => true,
            _ => false,
        }
    }
}

/// Everything that `plan` may know about a statement's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub kind: Kind,
    /// The outermost query level. For INSERT: an empty block whose children are its source query and the subqueries
    /// of its other clauses. For UPDATE and DELETE: the relations of FROM and USING (not the target), and the filter
    /// over target and relations. For DECLARE, PREPARE, COPY (query) and CREATE TABLE AS: that of the query. For LOCK: the
    /// tables. For a statement with modifying CTEs: each target is among the relations of its own block.
    pub block: Block,
    /// For `Unparsed` and for DDL: every identifier in the text, for the lexical scan.
    pub words: Vec<String>,
    /// For DDL: the names that stand where a table, view, index or sequence is named, but for what it creates. For DO: those that
    /// stand where its code reads.
    pub objects: Vec<ObjectName>,
    /// For DDL that changes or drops: which relations and types. What is not listed here is of another kind.
    pub targets: Vec<ObjectName>,
    /// Each once. Not here: forms of the grammar that call only pg_catalog's own immutable and stable functions
    /// (COALESCE, NULLIF, GREATEST, LEAST, EXTRACT, SUBSTRING, TRIM, AT TIME ZONE …). Here: CURRENT_TIMESTAMP,
    /// CURRENT_USER and the like, with no arguments; and `current_of` for WHERE CURRENT OF.
    pub functions: Vec<FunctionUse>,
    /// Casts at any depth, each once.
    pub casts: Vec<CastUse>,
    /// Operators of the text, each once: any of them may be the user's own, and call a function.
    pub operators: Vec<String>,
    /// What stands behind a point: a column, or a function of the whole row.
    pub attributes: Vec<String>,
    /// A column that tells where a row lies: `tableoid`, `ctid`, `xmin` …
    pub system_column: Option<&'static str>,
    /// One more than the highest `$n`.
    pub param_count: u32,
    /// Parameters that stand more than once, from 0, in order, and not as cells of rows alone: where no type was declared,
    /// the first place decides it.
    pub repeated_params: Vec<u32>,
    /// Something holds no column and is not a bare value either: a server may compute it before it looks at a row.
    pub computes_values: bool,
    /// Parsed only as a shadow text: routing facts hold, rewriting is not possible.
    pub shadowed: bool,
    /// The first `server_version_num` that reads the text as it was read here; 0: every one does.
    pub read_since: u32,
}

/// A cast of something to a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastUse {
    /// As in `pg_type`, without its schema; None for a spelling that is not understood.
    pub type_name: Option<String>,
    /// What is cast is a literal or a parameter.
    pub of_value: bool,
}

impl Block {
    pub fn empty() -> Self {
        Self {
            relations: Vec::new(),
            filter: Predicate::Constant(true),
            merged_columns: Vec::new(),
            natural_join: false,
            joins_using: false,
            opaque_sources: false,
            children: Vec::new(),
        }
    }
}
