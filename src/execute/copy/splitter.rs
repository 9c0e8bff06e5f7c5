//! Where rows end in COPY data that arrives in pieces cut anywhere.
//!
//! Called by `copy_in` with each piece; pure. It follows `CopyReadLineText` of PostgreSQL's
//! `commands/copyfromparse.c`: the first line's newline decides the style of all, in the text format a backslash
//! takes the next byte with it, in CSV newlines between quotes belong to the row.
//!
//! ```text
//!   piece  …,berlin\n│7,"a\nb",osl│        carry  7,"a\nb",osl
//!   piece  o\n8,…                          the row is put together in `carry`; all others are slices of the piece
//! ```
//!
//! Invariants:
//! 1. The rows, put together, are the data up to the end-of-copy marker, whatever the cuts.
//! 2. A row that lies in one piece is not copied.
//! 3. `carry` holds at most one row, and at most `row_bytes_max`.
//! 4. All rows end with one style of newline, or the data is refused: shards that see some of the rows cannot judge.

use super::rows::{Marker, RowError, RowFormat, Syntax};

/// A line of the data, with its newline if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    pub raw: &'a [u8],
    /// Without the newline.
    pub content: &'a [u8],
    /// As PostgreSQL counts for its error contexts: from 1, the header included.
    pub line: u64,
    pub is_header: bool,
}

#[derive(Debug)]
pub struct Splitter {
    format: RowFormat,
    row_bytes_max: usize,
    newline: Option<Newline>,
    state: State,
    /// The beginning of a row whose end has not come yet.
    carry: Vec<u8>,
    /// What `carry` holds has been handed out.
    carry_taken: bool,
    line: u64,
    /// Newlines inside the row that is being read.
    inner_lines: u64,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newline {
    Lf,
    Cr,
    CrLf,
}

/// What the next byte follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    /// Text: a backslash, which takes the next byte with it.
    Backslash,
    /// Text: `\.`
    Marker,
    /// Text: `\.` and a carriage return.
    MarkerReturn,
    /// CSV: inside quotes.
    Quoted,
    /// CSV: an escape inside quotes.
    Escape,
    /// A carriage return that ends the row, whose line feed may follow.
    Return,
}

/// What the scan of a piece came to.
enum Scan {
    /// The piece ends inside the row.
    More,
    /// The row ends before this offset of the piece.
    End(usize),
    /// The row was the end-of-copy marker.
    Marker,
}

impl Splitter {
    pub fn new(format: RowFormat, row_bytes_max: usize) -> Self {
        Self {
            format,
            row_bytes_max,
            newline: None,
            state: State::Plain,
            carry: Vec::new(),
            carry_taken: false,
            line: 0,
            inner_lines: 0,
            ended: false,
        }
    }

    /// The line that was handed out last, or that was wrong.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next whole row. None: `piece` is used up.
    pub fn next_row<'a, 'p: 'a>(&'a mut self, piece: &mut &'p [u8]) -> Result<Option<Row<'a>>, RowError> {
        self.forget_taken();
        let bytes = std::mem::take(piece);
        if self.ended || bytes.is_empty() {
            return Ok(None);
        }
        let end = match self.scan(bytes) {
            Ok(Scan::End(end)) => end,
            Ok(Scan::More) => return self.keep(bytes).map(|()| None),
            Ok(Scan::Marker) => return Ok(self.end()),
            Err(error) => {
                self.count_line();
                return Err(error);
            }
        };
        let (row, rest) = bytes.split_at(end);
        *piece = rest;
        let newline_bytes = if self.newline == Some(Newline::CrLf) { 2 } else { 1 };
        if self.carry.is_empty() {
            if self.is_csv_marker(&row[..end.saturating_sub(newline_bytes)]) {
                *piece = &[];
                return Ok(self.end());
            }
            return Ok(Some(self.hand_out(row, newline_bytes)));
        }
        self.keep(row)?;
        if self.is_csv_marker(&self.carry[..self.carry.len().saturating_sub(newline_bytes)]) {
            *piece = &[];
            return Ok(self.end());
        }
        Ok(Some(self.hand_out_carry(newline_bytes)))
    }

    /// The last row, if the data did not end with a newline. Call once, when the client says that it is done.
    pub fn finish(&mut self) -> Result<Option<Row<'_>>, RowError> {
        self.forget_taken();
        if self.ended || self.carry.is_empty() {
            return Ok(None);
        }
        let wrong = match self.state {
            State::Return if self.newline.is_some() => Some(RowError::CarriageReturn { csv: self.is_csv() }),
            State::Marker | State::MarkerReturn => Some(RowError::MarkerCorrupt),
            // Of a header the servers read nothing but its end.
            State::Quoted | State::Escape if self.format.header && self.line == 0 => None,
            State::Quoted | State::Escape => Some(RowError::UnterminatedQuote),
            State::Plain | State::Backslash | State::Return => None,
        };
        if let Some(error) = wrong {
            self.count_line();
            return Err(error);
        }
        let newline_bytes = usize::from(self.state == State::Return);
        Ok(Some(self.hand_out_carry(newline_bytes)))
    }

    fn is_csv(&self) -> bool {
        matches!(self.format.syntax, Syntax::Csv { .. })
    }

    fn is_csv_marker(&self, content: &[u8]) -> bool {
        content == b"\\." && self.is_csv() && self.format.marker == Marker::Ends
    }

    fn end<'a>(&mut self) -> Option<Row<'a>> {
        self.ended = true;
        self.carry = Vec::new();
        None
    }

    fn forget_taken(&mut self) {
        if self.carry_taken {
            self.carry.clear();
            self.carry.shrink_to(CARRY_KEEP_BYTES);
            self.carry_taken = false;
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), RowError> {
        if bytes.len() > self.row_bytes_max.saturating_sub(self.carry.len()) {
            self.count_line();
            return Err(RowError::TooLarge(self.row_bytes_max));
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    fn count_line(&mut self) {
        self.line += 1 + self.inner_lines;
        self.inner_lines = 0;
    }

    fn hand_out<'a>(&mut self, raw: &'a [u8], newline_bytes: usize) -> Row<'a> {
        let is_header = self.format.header && self.line == 0;
        self.count_line();
        let content = &raw[..raw.len().saturating_sub(newline_bytes)];
        Row { raw, content, line: self.line, is_header }
    }

    fn hand_out_carry(&mut self, newline_bytes: usize) -> Row<'_> {
        let is_header = self.format.header && self.line == 0;
        self.count_line();
        self.carry_taken = true;
        let raw = self.carry.as_slice();
        let content = &raw[..raw.len().saturating_sub(newline_bytes)];
        Row { raw, content, line: self.line, is_header }
    }

    /// Reads on from where the last piece ended, to the end of the row or of the piece.
    fn scan(&mut self, bytes: &[u8]) -> Result<Scan, RowError> {
        let mut at = 0;
        loop {
            if self.state == State::Return && bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                // The row ended before this byte.
                return self.end_with_return(at);
            }
            let Some(found) = self.next_special(&bytes[at..]) else { return Ok(Scan::More) };
            let byte = bytes[at + found];
            at += found + 1;
            self.state = match (self.state, byte) {
                (State::Plain, b'\r') => match self.newline {
                    None | Some(Newline::CrLf) => State::Return,
                    Some(Newline::Cr) => return self.end_of_row(Newline::Cr, at),
                    Some(Newline::Lf) => return Err(RowError::CarriageReturn { csv: self.is_csv() }),
                },
                (State::Plain, b'\n') => match self.newline {
                    None | Some(Newline::Lf) => return self.end_of_row(Newline::Lf, at),
                    Some(Newline::Cr | Newline::CrLf) => {
                        return Err(RowError::Newline { csv: self.is_csv() });
                    }
                },
                (State::Return, _) => return self.end_of_row(Newline::CrLf, at),
                (State::Plain, _) if self.is_csv() => State::Quoted,
                (State::Plain, _) => State::Backslash,
                (State::Backslash, b'.') => {
                    if self.carry.len() + at > 2 {
                        return Err(RowError::MarkerNotAlone);
                    }
                    State::Marker
                }
                (State::Backslash, _) => State::Plain,
                (State::Marker | State::MarkerReturn, byte) => match self.after_marker(byte)? {
                    Some(state) => state,
                    None => return Ok(Scan::Marker),
                },
                (State::Quoted, byte) => self.inside_quotes(byte),
                // The byte after an escape is itself, whatever it is.
                (State::Escape, byte) => {
                    self.count_inner_line(byte);
                    State::Quoted
                }
            };
        }
    }

    /// Offset of the next byte that can change the state.
    fn next_special(&self, bytes: &[u8]) -> Option<usize> {
        match (self.state, self.format.syntax) {
            (State::Plain, Syntax::Text) => memchr::memchr3(b'\n', b'\r', b'\\', bytes),
            (State::Plain, Syntax::Csv { quote, .. }) => memchr::memchr3(b'\n', b'\r', quote, bytes),
            (State::Quoted, Syntax::Csv { quote, escape }) => {
                let newline = self.counted_newline();
                memchr::memchr3(quote, escape.unwrap_or(quote), newline, bytes)
            }
            (
                State::Backslash
                | State::Marker
                | State::MarkerReturn
                | State::Escape
                | State::Return
                | State::Quoted,
                _,
            )
            // Lines have no binary format.
            | (State::Plain, Syntax::Binary) => (!bytes.is_empty()).then_some(0),
        }
    }

    fn inside_quotes(&mut self, byte: u8) -> State {
        let Syntax::Csv { quote, escape } = self.format.syntax else { return State::Plain };
        if escape == Some(byte) {
            return State::Escape;
        }
        if byte == quote {
            return State::Plain;
        }
        self.count_inner_line(byte);
        State::Quoted
    }

    /// The byte that counts as a line inside quotes, in PostgreSQL's own rough way.
    fn counted_newline(&self) -> u8 {
        if self.newline == Some(Newline::Lf) { b'\n' } else { b'\r' }
    }

    fn count_inner_line(&mut self, byte: u8) {
        if byte == self.counted_newline() {
            self.inner_lines += 1;
        }
    }

    fn end_with_return(&mut self, at: usize) -> Result<Scan, RowError> {
        if self.newline == Some(Newline::CrLf) {
            return Err(RowError::CarriageReturn { csv: self.is_csv() });
        }
        self.end_of_row(Newline::Cr, at)
    }

    fn end_of_row(&mut self, newline: Newline, at: usize) -> Result<Scan, RowError> {
        self.newline = Some(newline);
        self.state = State::Plain;
        Ok(Scan::End(at))
    }

    /// Text: what follows `\.` must be a newline of the style of the lines before. None: that is the end.
    fn after_marker(&self, byte: u8) -> Result<Option<State>, RowError> {
        let after_return = self.state == State::MarkerReturn;
        match (self.newline, byte, after_return) {
            (Some(Newline::CrLf), b'\r', false) => Ok(Some(State::MarkerReturn)),
            (Some(Newline::CrLf), b'\n', true) => Ok(None),
            (Some(Newline::CrLf), b'\n', false) | (Some(Newline::CrLf), b'\r', true) => {
                Err(RowError::MarkerNewline)
            }
            (None | Some(Newline::Lf), b'\n', _) | (None | Some(Newline::Cr), b'\r', _) => Ok(None),
            (Some(Newline::Lf), b'\r', _) | (Some(Newline::Cr), b'\n', _) => Err(RowError::MarkerNewline),
            (None | Some(Newline::Lf | Newline::Cr | Newline::CrLf), _, _) => Err(RowError::MarkerCorrupt),
        }
    }
}

/// A row that was put together leaves a buffer of at most this.
const CARRY_KEEP_BYTES: usize = 64 * 1024;
