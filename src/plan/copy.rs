//! COPY into a sharded table: where the key and position columns stand in a row.

/// How the rows of a COPY FROM STDIN are placed.
#[derive(Debug, Clone)]
pub struct CopyIn {
    pub copy: crate::sql::facts::Copy,
    pub rule: crate::topology::TableRule,
    /// Names of the columns of a row, in the row's order.
    pub columns: Vec<String>,
}
