//! One message in another encoding, and where messages end in what is converted. Pure.
//!
//! Called by [`super::stream`]. A message holds text between its numbers: each kind is walked over once, text is converted
//! and everything else copied, and the length word is written anew. What cannot be walked over is left as it is, for the
//! reader behind it to judge.
//!
//! Invariants:
//! 1. A message without a byte above 0x7f is passed as it is.
//! 2. A byte of a client that is no character becomes 0xff, which is no UTF-8: the server refuses the text.
//! 3. A character that the client's encoding lacks is `?` in what is told about a statement, and an error in its answer.
//! 4. No more than one message within the limits is held back.

use bytes::{BufMut, BytesMut};

use super::Encoding;
use crate::wire::error::{SqlError, SqlState};
use crate::wire::frame::{FrameError, FrameHeader, HEADER_BYTES, body};
use crate::wire::reader::{DecodeError, Reader};

/// No byte of UTF-8.
const INVALID: u8 = 0xff;

/// Formats of the COPY under way, as the server has named them; text where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copies {
    binary_in: bool,
    binary_out: bool,
}

impl Copies {
    /// Heeds what the server says of a COPY that begins.
    fn on_backend(&mut self, frame: &[u8]) {
        let binary = body(frame).first() == Some(&1);
        match frame.first() {
            Some(b'G') => self.binary_in = binary,
            Some(b'H') => self.binary_out = binary,
            _ => {}
        }
    }
}

/// A character that the client's encoding lacks, in UTF-8; or bytes that are no character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untranslatable(Vec<u8>);

impl Untranslatable {
    /// In PostgreSQL's words (`report_untranslatable_char`). It ends the session: an answer that is half told cannot be taken
    /// back.
    pub fn into_sql(self, encoding: &Encoding) -> SqlError {
        let bytes: Vec<String> = self.0.iter().map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!(
            "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"{}\"",
            bytes.join(" "),
            encoding.name
        );
        SqlError::fatal(SqlState::UNTRANSLATABLE_CHARACTER, message)
    }
}

/// Why a message was not converted.
enum Stop {
    Malformed,
    Untranslatable(Untranslatable),
}

impl From<DecodeError> for Stop {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// Appends a client's message in UTF-8.
pub fn from_client(frame: &[u8], encoding: &Encoding, copies: Copies, out: &mut BytesMut) {
    let mark = begin(frame, out);
    let mut walk = Walk { reader: Reader::new(body(frame)), out, way: Way::In(encoding) };
    let walked = if frame.is_ascii() { Err(Stop::Malformed) } else { walk.frontend(frame[0], copies) };
    if walked.is_err() || !finish(mark, out) {
        out.truncate(mark);
        out.extend_from_slice(frame);
    }
}

/// Appends a message to a client in its encoding.
pub fn to_client(
    frame: &[u8],
    encoding: &Encoding,
    copies: &mut Copies,
    out: &mut BytesMut,
) -> Result<(), Untranslatable> {
    copies.on_backend(frame);
    // A parameter's value may be that of the client's encoding itself.
    if frame.is_ascii() && frame.first() != Some(&b'S') {
        out.extend_from_slice(frame);
        return Ok(());
    }
    let mark = begin(frame, out);
    let lossy = matches!(frame.first(), Some(b'E' | b'N' | b'S'));
    let way = if lossy { Way::OutLossy(encoding) } else { Way::Out(encoding) };
    let mut walk = Walk { reader: Reader::new(body(frame)), out, way };
    match walk.backend(frame[0], *copies) {
        Ok(()) if finish(mark, out) => Ok(()),
        Ok(()) | Err(Stop::Malformed) => {
            out.truncate(mark);
            out.extend_from_slice(frame);
            Ok(())
        }
        Err(Stop::Untranslatable(character)) => {
            out.truncate(mark);
            Err(character)
        }
    }
}

/// Appends a message that [`from_client`] has converted as the client sent it; what was no character is another byte that is
/// none.
pub fn back_to_client(frame: &[u8], encoding: &Encoding, copies: Copies, out: &mut BytesMut) {
    let mark = begin(frame, out);
    let mut walk = Walk { reader: Reader::new(body(frame)), out, way: Way::Back(encoding) };
    if walk.frontend(frame[0], copies).is_err() || !finish(mark, out) {
        out.truncate(mark);
        out.extend_from_slice(frame);
    }
}

/// Puts the header in; the length is not known yet.
fn begin(frame: &[u8], out: &mut BytesMut) -> usize {
    let mark = out.len();
    out.extend_from_slice(&frame[..HEADER_BYTES.min(frame.len())]);
    mark
}

/// Writes the length; false if there is none so large.
fn finish(mark: usize, out: &mut BytesMut) -> bool {
    let Ok(length) = u32::try_from(out.len() - mark - 1) else { return false };
    out[mark + 1..mark + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    true
}

#[derive(Clone, Copy)]
enum Way<'a> {
    /// To UTF-8.
    In(&'a Encoding),
    /// From UTF-8.
    Out(&'a Encoding),
    /// From UTF-8, with `?` for what is lacking.
    OutLossy(&'a Encoding),
    /// From UTF-8, with a byte that is no character for what was none.
    Back(&'a Encoding),
}

/// One message on its way.
struct Walk<'a> {
    reader: Reader<'a>,
    out: &'a mut BytesMut,
    way: Way<'a>,
}

impl Walk<'_> {
    fn frontend(&mut self, tag: u8, copies: Copies) -> Result<(), Stop> {
        match tag {
            b'Q' | b'f' => self.text_rest(),
            b'd' if !copies.binary_in => self.text_rest(),
            b'P' => {
                self.string()?;
                self.string()?;
                self.copy_rest()
            }
            b'B' => self.bind(),
            b'D' | b'C' => {
                self.copy(1)?;
                self.string()?;
                self.copy_rest()
            }
            b'E' => {
                self.string()?;
                self.copy_rest()
            }
            _ => self.copy_rest(),
        }
    }

    /// Two names, the formats, and the values, of which those in text are converted.
    fn bind(&mut self) -> Result<(), Stop> {
        self.string()?;
        self.string()?;
        let count = self.count()?;
        let formats = self.reader.bytes(count * 2)?;
        self.out.extend_from_slice(formats);
        let is_binary = |index: usize| match count {
            0 => false,
            1 => formats[1] == 1,
            _ => formats.get(index * 2 + 1) == Some(&1),
        };
        for index in 0..self.count()? {
            let value = self.reader.value()?;
            match value {
                Some(value) if is_binary(index) => {
                    self.out.put_u32(u32::try_from(value.len()).map_err(|_| Stop::Malformed)?);
                    self.out.extend_from_slice(value);
                }
                value => self.value(value)?,
            }
        }
        self.copy_rest()
    }

    fn backend(&mut self, tag: u8, copies: Copies) -> Result<(), Stop> {
        match tag {
            b'C' | b'E' | b'N' => self.text_rest(),
            b'd' if !copies.binary_out => self.text_rest(),
            b'A' => {
                self.copy(4)?;
                self.text_rest()
            }
            b'S' => self.parameter_status(),
            b'T' => {
                for _ in 0..self.count()? {
                    self.string()?;
                    self.copy(COLUMN_BYTES)?;
                }
                self.copy_rest()
            }
            b'D' => {
                for _ in 0..self.count()? {
                    let value = self.reader.value()?;
                    self.value(value)?;
                }
                self.copy_rest()
            }
            _ => self.copy_rest(),
        }
    }

    /// Servers say UTF8 of what the client has as its own.
    fn parameter_status(&mut self) -> Result<(), Stop> {
        let name = self.reader.cstr()?;
        self.out.extend_from_slice(name);
        self.out.put_u8(0);
        let Way::OutLossy(encoding) = self.way else { return self.copy_rest() };
        if name != b"client_encoding" {
            return self.text_rest();
        }
        self.out.extend_from_slice(encoding.name.as_bytes());
        self.out.put_u8(0);
        Ok(())
    }

    fn count(&mut self) -> Result<usize, Stop> {
        let count = self.reader.u16()?;
        self.out.put_u16(count);
        Ok(usize::from(count))
    }

    fn copy(&mut self, bytes: usize) -> Result<(), Stop> {
        self.out.extend_from_slice(self.reader.bytes(bytes)?);
        Ok(())
    }

    fn copy_rest(&mut self) -> Result<(), Stop> {
        self.out.extend_from_slice(self.reader.take_rest());
        Ok(())
    }

    fn string(&mut self) -> Result<(), Stop> {
        let text = self.reader.cstr()?;
        self.text(text)?;
        self.out.put_u8(0);
        Ok(())
    }

    fn text_rest(&mut self) -> Result<(), Stop> {
        let text = self.reader.take_rest();
        self.text(text)
    }

    fn value(&mut self, value: Option<&[u8]>) -> Result<(), Stop> {
        let mark = self.out.len();
        self.out.put_i32(-1);
        let Some(text) = value else { return Ok(()) };
        self.text(text)?;
        let length = i32::try_from(self.out.len() - mark - 4).map_err(|_| Stop::Malformed)?;
        self.out[mark..mark + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn text(&mut self, mut text: &[u8]) -> Result<(), Stop> {
        loop {
            let ascii = text.iter().position(|byte| !byte.is_ascii()).unwrap_or(text.len());
            self.out.extend_from_slice(&text[..ascii]);
            text = &text[ascii..];
            if text.is_empty() {
                return Ok(());
            }
            text = &text[self.character(text)?..];
        }
    }

    /// The first character, which is not ASCII; how many bytes it has.
    fn character(&mut self, text: &[u8]) -> Result<usize, Stop> {
        let (encoding, instead) = match self.way {
            Way::In(encoding) => {
                match encoding.character(text[0]) {
                    Some(character) => {
                        self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    None => self.out.put_u8(INVALID),
                }
                return Ok(1);
            }
            Way::Out(encoding) => (encoding, None),
            Way::OutLossy(encoding) => (encoding, Some(b'?')),
            Way::Back(encoding) => {
                (encoding, (0x80..=0xff).find(|byte| encoding.character(*byte).is_none()).or(Some(b'?')))
            }
        };
        let bytes = &text[..sequence(text[0]).min(text.len())];
        let character = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
        let taken = character.map_or(1, char::len_utf8);
        match character.and_then(|character| encoding.byte(character)).or(instead) {
            Some(byte) => self.out.put_u8(byte),
            None => return Err(Stop::Untranslatable(Untranslatable(text[..taken].to_vec()))),
        }
        Ok(taken)
    }
}

/// Of a column in RowDescription, behind its name.
const COLUMN_BYTES: usize = 18;

/// Bytes of the character in UTF-8 that begins so.
fn sequence(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// What comes next of the bytes that were gathered.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole message in which text may stand.
    Message(BytesMut),
    /// Not to be converted: a message without text or a part of one, or what is no message.
    Plain(BytesMut),
}

/// Bytes of one direction that were not converted yet.
#[derive(Debug, Default)]
pub struct Gathered {
    pub bytes: BytesMut,
    /// Bytes still to come of a message without text.
    passing: usize,
    /// A header was wrong: there are no messages any more.
    lost: bool,
}

impl Gathered {
    pub fn new(bytes: BytesMut) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// `peek`: the judge of headers; `has_text`: whether a message with this tag is to be converted.
    pub fn next(
        &mut self,
        peek: impl Fn(&[u8]) -> Result<Option<FrameHeader>, FrameError>,
        has_text: impl Fn(u8) -> bool,
    ) -> Option<Piece> {
        if self.bytes.is_empty() {
            return None;
        }
        if self.passing == 0 && !self.lost {
            match peek(&self.bytes) {
                Ok(None) => return None,
                Ok(Some(header)) if has_text(header.tag) => {
                    let whole = self.bytes.len() >= header.len;
                    return whole.then(|| Piece::Message(self.bytes.split_to(header.len)));
                }
                Ok(Some(header)) => self.passing = header.len,
                Err(_) => self.lost = true,
            }
        }
        if self.lost {
            return Some(Piece::Plain(self.bytes.split()));
        }
        let passed = self.bytes.split_to(self.passing.min(self.bytes.len()));
        self.passing -= passed.len();
        Some(Piece::Plain(passed))
    }
}

/// Whether text may stand in a client's message.
pub fn client_has_text(tag: u8, copies: Copies) -> bool {
    match tag {
        b'Q' | b'P' | b'B' | b'D' | b'C' | b'E' | b'f' => true,
        b'd' => !copies.binary_in,
        _ => false,
    }
}

/// Whether a server's message is to be looked into.
pub fn server_has_text(tag: u8, copies: Copies) -> bool {
    match tag {
        b'T' | b'D' | b'E' | b'N' | b'S' | b'A' | b'C' | b'G' | b'H' => true,
        b'd' => !copies.binary_out,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
