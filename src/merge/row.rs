//! DataRow frames, borrowed: where the fields are, and rewriting a row without its last columns.
//!
//! A frame is `'D'`, a big-endian 32-bit length (itself included, the tag not), a 16-bit count of columns, and for
//! each column a 32-bit length (-1 for NULL) and that many bytes. Nothing here allocates.
//!
//! Invariant: whatever the bytes are, walking a row ends with its fields or an error, and never panics.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::error::MergeError;

const HEADER: usize = 7;

/// A checked frame: tag, length and count agree with the bytes given.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    frame: &'a [u8],
    columns: usize,
}

impl<'a> Row<'a> {
    /// Reads the head of a whole DataRow frame; fields are checked as they are walked.
    pub fn parse(frame: &'a [u8]) -> Result<Self, MergeError> {
        let [b'D', a, b, c, d, high, low, ..] = *frame else {
            return Err(MergeError::Malformed("not a whole DataRow"));
        };
        if u32::from_be_bytes([a, b, c, d]) as usize != frame.len() - 1 {
            return Err(MergeError::Malformed("DataRow length"));
        }
        let columns = i16::from_be_bytes([high, low]);
        let columns = usize::try_from(columns).map_err(|_| MergeError::Malformed("DataRow column count"))?;
        Ok(Self { frame, columns })
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The fields in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields { frame: self.frame, at: HEADER, left: self.columns }
    }
}

/// Walks the fields of a row. Yields each field's place in the frame, None for NULL.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    frame: &'a [u8],
    at: usize,
    left: usize,
}

impl Fields<'_> {
    /// Offset in the frame of the next field's length word; of the frame's end when none is left.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next field's bytes in the frame. Err when the row ends early; Ok(None) past the last field.
    pub fn next_field(&mut self) -> Result<Option<Option<Range<usize>>>, MergeError> {
        if self.left == 0 {
            return Ok(None);
        }
        let truncated = MergeError::Malformed("DataRow ends within a field");
        let word = self.frame.get(self.at..self.at + 4).ok_or_else(|| truncated.clone())?;
        let length = i32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        self.left -= 1;
        self.at += 4;
        if length == -1 {
            return Ok(Some(None));
        }
        let length = usize::try_from(length).map_err(|_| MergeError::Malformed("DataRow field length"))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.frame.len()).ok_or(truncated)?;
        let range = self.at..end;
        self.at = end;
        Ok(Some(Some(range)))
    }

    /// Err unless every byte of the frame was walked.
    pub fn finish(&self) -> Result<(), MergeError> {
        if self.left == 0 && self.at == self.frame.len() {
            Ok(())
        } else {
            Err(MergeError::Malformed("DataRow with trailing bytes"))
        }
    }
}

/// Writes the frame's first `columns` fields, which end at byte `end`, as a frame of its own.
pub fn put_leading_columns(frame: &[u8], columns: usize, end: usize, out: &mut BytesMut) {
    let body = frame.get(HEADER..end).unwrap_or_default();
    out.reserve(HEADER + body.len());
    out.put_u8(b'D');
    // Within one frame, whose own length is a u32, and fewer columns than an i16 counted.
    out.put_u32((HEADER - 1 + body.len()) as u32);
    out.put_u16(columns as u16);
    out.put_slice(body);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Builds a DataRow frame.
    pub(crate) fn frame(fields: &[Option<&[u8]>]) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u8(b'D');
        out.put_u32(0);
        out.put_u16(fields.len() as u16);
        for field in fields {
            match field {
                None => out.put_i32(-1),
                Some(bytes) => {
                    out.put_i32(bytes.len() as i32);
                    out.put_slice(bytes);
                }
            }
        }
        let length = (out.len() - 1) as u32;
        out[1..5].copy_from_slice(&length.to_be_bytes());
        out
    }

    #[test]
    fn fields_are_found_and_columns_cut() {
        let whole = frame(&[Some(b"ab"), None, Some(b""), Some(b"hidden")]);
        let row = Row::parse(&whole).unwrap();
        let mut fields = row.fields();
        assert_eq!(&whole[fields.next_field().unwrap().unwrap().unwrap()], b"ab");
        assert_eq!(fields.next_field().unwrap(), Some(None));
        assert!(fields.next_field().unwrap().unwrap().unwrap().is_empty());
        let end = fields.offset();
        let mut out = BytesMut::new();
        put_leading_columns(&whole, 3, end, &mut out);
        assert_eq!(out, frame(&[Some(b"ab"), None, Some(b"")]));
        fields.next_field().unwrap();
        assert_eq!(fields.next_field().unwrap(), None);
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn truncated_rows_are_errors() {
        let mut short = frame(&[Some(b"abcdef")]);
        short.truncate(short.len() - 3);
        let length = (short.len() - 1) as u32;
        assert!(Row::parse(&short).is_err());
        short[1..5].copy_from_slice(&length.to_be_bytes());
        assert!(Row::parse(&short).unwrap().fields().next_field().is_err());
        assert!(Row::parse(b"").is_err());
        assert!(Row::parse(b"D\0\0\0\x06\xff\xff").is_err());
    }

    proptest! {
        #[test]
        fn stranger_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), columns in 0u16..6) {
            let mut forged = vec![b'D'];
            forged.extend(((bytes.len() + 6) as u32).to_be_bytes());
            forged.extend(columns.to_be_bytes());
            forged.extend(&bytes);
            let row = Row::parse(&forged).unwrap();
            let mut fields = row.fields();
            while let Ok(Some(_)) = fields.next_field() {}
            let _ = fields.finish();
        }
    }
}
