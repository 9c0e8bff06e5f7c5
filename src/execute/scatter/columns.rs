//! RowDescriptions of a scatter: what the shards say of their rows, compared, and what the client is told of them.
//!
//! Pure. Used by the combiner, which may only begin once all shards have described the same columns.
//!
//! Invariants:
//! 1. Two descriptions agree only if they have the same number of columns, with equal names and type OIDs in order.
//! 2. Rows fill a table only if each column's values mean there what they meant where they come from.
//! 3. What the client gets is one server's description, cut to the visible columns, with the client's formats.

use bytes::{Bytes, BytesMut};

use crate::catalog::WireType;
use crate::merge::types::USER_TYPES_FROM;
use crate::wire::DecodeError;
use crate::wire::backend::{Field, RowDescription};
use crate::wire::encode;
use crate::wire::frontend::Formats;

/// `text` and `varchar`: the same bytes.
const TEXTS: [u32; 2] = [25, 1043];

/// A RowDescription, kept.
#[derive(Debug, Clone)]
pub struct Columns {
    body: Bytes,
    types: Vec<u32>,
}

impl Columns {
    /// From the body of a `T`.
    pub(super) fn read(body: Bytes) -> Result<Self, DecodeError> {
        let types = RowDescription::decode(&body)?.iter().map(|field| field.type_oid).collect();
        Ok(Self { body, types })
    }

    /// All of them, in text.
    pub fn tell(&self, out: &mut BytesMut) {
        self.put(out, self.len(), None);
    }

    /// Type OIDs in order.
    pub(super) fn types(&self) -> &[u32] {
        &self.types
    }

    pub(super) fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether rows of both are rows of one table.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.types == other.types && self.fields().map(|f| f.name).eq(other.fields().map(|f| f.name))
    }

    /// Whether rows in binary fill a table whose columns are of these types: four bytes may be an integer, a date or a
    /// float, and a numeric is rounded to its column's scale. Types of the users' own have other numbers on other shards;
    /// their values say what they are.
    pub(super) fn fill(&self, table: &[WireType]) -> bool {
        let texts = |one: u32, other: u32| TEXTS.contains(&one) && TEXTS.contains(&other);
        let of_user = |one: u32, other: u32| one >= USER_TYPES_FROM && other >= USER_TYPES_FROM;
        let fits = |(field, column): (Field<'_>, &WireType)| {
            let same = field.type_oid == column.oid && field.type_modifier == column.modifier;
            same || texts(field.type_oid, column.oid) || of_user(field.type_oid, column.oid)
        };
        self.len() == table.len() && self.fields().zip(table).all(fits)
    }

    /// Appends a RowDescription of the first `visible` columns. `formats`: the client's, where the server was asked
    /// for none (Describe of a statement).
    pub(super) fn put(&self, out: &mut BytesMut, visible: usize, formats: Option<Formats<'_>>) {
        let fields: Vec<Field<'_>> = self
            .fields()
            .take(visible)
            .enumerate()
            .map(|(index, field)| match formats {
                Some(formats) => Field { format: formats.of(index), ..field },
                None => field,
            })
            .collect();
        encode::server::row_description(out, &fields);
    }

    fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        // The body was decoded before.
        RowDescription::decode(&self.body).ok().into_iter().flat_map(|description| description.iter())
    }
}
