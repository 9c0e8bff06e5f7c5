//! PostgreSQL's own types by OID: the constants, and the names under which they travel in an array parameter.
//!
//! OIDs below 16384 are the same on every server (`pg_type.dat`); those above are a database's own and never stand
//! here. Used by the comparators, by `plan::scatter` for final texts, and for types of LIMIT parameters.
//!
//! Not here: text forms of values; nothing in this room reads them.

/// Types of users' own begin here: their OIDs differ from server to server.
pub const USER_TYPES_FROM: u32 = 16384;

/// OIDs of `pg_type.dat`.
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const MACADDR8: u32 = 774;
    pub const MONEY: u32 = 790;
    pub const MACADDR: u32 = 829;
    pub const CIDR: u32 = 650;
    pub const INET: u32 = 869;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const TIMETZ: u32 = 1266;
    pub const BIT: u32 = 1560;
    pub const VARBIT: u32 = 1562;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const PG_LSN: u32 = 3220;
    pub const JSONB: u32 = 3802;
    pub const INT4RANGE: u32 = 3904;
    pub const NUMRANGE: u32 = 3906;
    pub const TSRANGE: u32 = 3908;
    pub const TSTZRANGE: u32 = 3910;
    pub const DATERANGE: u32 = 3912;
    pub const INT8RANGE: u32 = 3926;
}

/// The SQL name of a type whose binary values may travel as elements of a one-dimensional array parameter.
/// None: arrays, composites, user-defined types and everything whose binary form is not known to stand by itself.
pub fn array_element_name(type_oid: u32) -> Option<&'static str> {
    Some(match type_oid {
        oid::BOOL => "boolean",
        oid::BYTEA => "bytea",
        oid::CHAR => "\"char\"",
        oid::NAME => "name",
        oid::INT8 => "bigint",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::TEXT => "text",
        oid::OID => "oid",
        oid::JSON => "json",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::MACADDR8 => "macaddr8",
        oid::MONEY => "money",
        oid::MACADDR => "macaddr",
        oid::CIDR => "cidr",
        oid::INET => "inet",
        oid::BPCHAR => "bpchar",
        oid::VARCHAR => "varchar",
        oid::DATE => "date",
        oid::TIME => "time",
        oid::TIMESTAMP => "timestamp",
        oid::TIMESTAMPTZ => "timestamptz",
        oid::INTERVAL => "interval",
        oid::TIMETZ => "timetz",
        oid::BIT => "\"bit\"",
        oid::VARBIT => "varbit",
        oid::NUMERIC => "numeric",
        oid::UUID => "uuid",
        oid::PG_LSN => "pg_lsn",
        oid::JSONB => "jsonb",
        oid::INT4RANGE => "int4range",
        oid::NUMRANGE => "numrange",
        oid::TSRANGE => "tsrange",
        oid::TSTZRANGE => "tstzrange",
        oid::DATERANGE => "daterange",
        oid::INT8RANGE => "int8range",
        _ => return None,
    })
}
