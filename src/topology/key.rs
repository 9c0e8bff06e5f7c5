//! Keys: the values that name a shard, in one canonical form for each type.
//!
//! `plan` and `execute` decode literals, parameters (text and binary) and COPY fields to a [`Key`] with
//! [`KeyType`]; placements compare and hash keys only in this form, so spelling cannot matter.

/// The column types that may be keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    SmallInt,
    Integer,
    BigInt,
    /// text and varchar under a deterministic collation.
    Text,
    /// char(n): trailing blanks do not count.
    Char,
    Uuid,
    Bool,
    Date,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// smallint, integer, bigint.
    Integer(i64),
    Text(Box<str>),
    Uuid([u8; 16]),
    Bool(bool),
    /// Days since 2000-01-01, PostgreSQL's own count.
    Date(i32),
}
