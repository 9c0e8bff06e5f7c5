//! RowDescriptions of a scatter: what the shards say of their rows, compared, and what the client is told of them.
//!
//! Pure. Used by the combiner, which may only begin once all shards have described the same columns.
//!
//! Invariants:
//! 1. Two descriptions agree only if they have the same number of columns, with equal names and type OIDs in order.
//! 2. Of rows that fill a table, types that are read in another way in binary do not agree either.
//! 3. What the client gets is one server's description, cut to the visible columns, with the client's formats.

use bytes::{Bytes, BytesMut};

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

    /// Whether rows of both, in binary, are rows of one table: four bytes may be an integer, a date or a float. Types of
    /// the users' own have other numbers on other shards; their values say what they are.
    pub(super) fn fills_with(&self, other: &Self) -> bool {
        let of_user = |one: u32, other: u32| one >= USER_TYPES_FROM && other >= USER_TYPES_FROM;
        let texts = |one: u32, other: u32| TEXTS.contains(&one) && TEXTS.contains(&other);
        let same = |one: u32, other: u32| one == other || of_user(one, other) || texts(one, other);
        let mut types = self.types.iter().zip(&other.types);
        self.len() == other.len() && types.all(|(one, other)| same(*one, *other))
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
