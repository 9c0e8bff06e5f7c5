//! Geohash cells: a prefix of 0 to 12 characters, kept as the bits that the characters stand for.
//!
//! A geohash halves the globe again and again, longitude first: each bit says which half, five bits make a character.
//! The 60 bits of a 12-character geohash are the cell's *code*; a shorter prefix has zeros below. So the cells inside a
//! cell are one interval of codes, and texts of valid geohashes sort as their codes do.
//!
//! ```text
//!   "dr5"  =  01100 10111 00101 0…0        codes  [dr5000000000, dr6000000000)
//! ```
//!
//! Used by areas (cells as parts), windows (intervals of codes) and by the check of written rows. A stored geohash is
//! plain text that SQL compares byte by byte, so only lower case is valid here.
//!
//! Invariants:
//! 1. Borders are multiples of 45 / 2^28 degrees, exact in `f64`; a position on a border is in the cell to the north or
//!    east of it; latitude 90 is in the last row.
//! 2. The children of a cell tile it.
//! 3. `Cell::of` is exact. (The `geohash` crate rounds: within some 1e-14 degrees of a border it may name the
//!    neighbour, and it puts the north pole at the south pole.)

use std::{fmt, str::FromStr};

use super::{GeoError, Position, rect::Rect};

/// Characters of the longest geohash.
const LENGTH_MAX: usize = 12;
/// Bits of the longest geohash.
pub(super) const CODE_BITS: u32 = 60;
/// One beyond the highest code.
pub(super) const CODE_END: u64 = 1 << CODE_BITS;
/// Halvings along one axis.
const AXIS_BITS: u32 = CODE_BITS / 2;
const AXIS_END: u32 = 1 << AXIS_BITS;

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A geohash prefix of 0 to 12 characters; the empty one is the globe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    code: u64,
    length: u8,
}

/// The borders of a cell in degrees: south and west are inside, north and east are not, except north at 90.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

impl Cell {
    /// The empty prefix.
    pub const GLOBE: Self = Self { code: 0, length: 0 };

    /// The cell of `length` characters (0 to 12) that holds the position.
    pub fn of(position: Position, length: usize) -> Result<Self, GeoError> {
        if length > LENGTH_MAX {
            return Err(GeoError::GeohashTooLong { length });
        }
        let (row, column) = grid_of(position);
        let code = spread(row) | (spread(column) << 1);
        let length = length as u8;
        Ok(Self { code: code & !(width(length) - 1), length })
    }

    /// Reads a geohash as text bytes; lower case only.
    pub fn parse(text: &str) -> Result<Self, GeoError> {
        let length = text.len();
        if length > LENGTH_MAX {
            return Err(GeoError::GeohashTooLong { length });
        }
        let mut code = 0;
        for (index, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.binary_search(&byte).map_err(|_| GeoError::not_a_geohash(text))?;
            code |= (digit as u64) << (55 - 5 * index);
        }
        Ok(Self { code, length: length as u8 })
    }

    /// Characters of the prefix, 0 to 12.
    pub const fn length(self) -> usize {
        self.length as usize
    }

    /// The borders of the cell.
    pub fn bounds(self) -> Bounds {
        let (south, north, west, east) = borders(self.code, 5 * u32::from(self.length));
        Bounds { south, north, west, east }
    }

    /// Whether `other` is this cell or lies in it.
    pub const fn contains_cell(self, other: Self) -> bool {
        self.length <= other.length && self.code <= other.code && other.code < self.end()
    }

    /// Whether the position lies in this cell.
    pub fn contains(self, position: Position) -> bool {
        self.rect().contains(position)
    }

    /// Whether a row at this position may carry this cell as its geohash.
    ///
    /// That is [`Cell::contains`], and for a position on the antimeridian also the cell on its western side: most
    /// geohash libraries put longitude 180 there.
    pub fn accepts(self, position: Position) -> bool {
        let rect = self.rect();
        rect.contains(position)
            || (position.longitude() == -180.0
                && rect.east == Rect::GLOBE.east
                && rect.south <= position.latitude()
                && position.latitude() <= rect.north)
    }

    /// The lowest code in the cell.
    pub(super) const fn start(self) -> u64 {
        self.code
    }

    /// One beyond the highest code in the cell.
    pub(super) const fn end(self) -> u64 {
        self.code + width(self.length)
    }

    pub(super) fn rect(self) -> Rect {
        code_rect(self.code, 5 * u32::from(self.length))
    }
}

impl FromStr for Cell {
    type Err = GeoError;

    fn from_str(text: &str) -> Result<Self, GeoError> {
        Self::parse(text)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LENGTH_MAX];
        for (index, character) in text.iter_mut().enumerate() {
            *character = ALPHABET[(self.code >> (55 - 5 * index)) as usize & 31];
        }
        let text = &text[..self.length()];
        formatter.pad(std::str::from_utf8(text).map_err(|_| fmt::Error)?)
    }
}

/// The lowest code of any valid geohash whose text is at or above `text`, compared as bytes; `text` may be anything.
pub(super) fn floor_code(text: &[u8]) -> u64 {
    let mut code = 0;
    for (index, byte) in text.iter().take(LENGTH_MAX).enumerate() {
        let rank = ALPHABET.partition_point(|character| character < byte);
        code += (rank as u64) << (55 - 5 * index);
        if ALPHABET.get(rank) != Some(byte) {
            break;
        }
    }
    code
}

/// The rectangle of the positions whose codes share their first `bits` bits with `code`.
pub(super) fn code_rect(code: u64, bits: u32) -> Rect {
    let (south, north, west, east) = borders(code, bits);
    Rect::half_open(south, north, west, east)
}

/// The row and column of a position in the finest grid, counted from the south-west.
pub(super) fn grid_of(position: Position) -> (u32, u32) {
    (axis_index(position.latitude(), 90.0), axis_index(position.longitude(), 180.0))
}

/// The rectangle of a square block of the finest grid: `row` and `column` are its lowest, `bits` its halvings per axis.
pub(super) fn grid_rect(row: u32, column: u32, row_bits: u32, column_bits: u32) -> Rect {
    let south = axis_border(row, 90.0);
    let north = axis_border(row + (AXIS_END >> row_bits), 90.0);
    let west = axis_border(column, 180.0);
    let east = axis_border(column + (AXIS_END >> column_bits), 180.0);
    Rect::half_open(south, north, west, east)
}

pub(super) const GRID_BITS: u32 = AXIS_BITS;

fn borders(code: u64, bits: u32) -> (f64, f64, f64, f64) {
    let (row, column) = (squash(code), squash(code >> 1));
    let rows = AXIS_END >> (bits / 2);
    let columns = AXIS_END >> bits.div_ceil(2);
    (
        axis_border(row, 90.0),
        axis_border(row + rows, 90.0),
        axis_border(column, 180.0),
        axis_border(column + columns, 180.0),
    )
}

/// The lower border of grid line `index` on an axis that reaches from `-reach` to `reach`; exact.
fn axis_border(index: u32, reach: f64) -> f64 {
    f64::from(index) * (2.0 * reach / f64::from(AXIS_END)) - reach
}

fn axis_index(value: f64, reach: f64) -> u32 {
    let guess = ((value + reach) * (f64::from(AXIS_END) / (2.0 * reach))) as u32;
    let guess = guess.min(AXIS_END - 1);
    // The sum rounds: a value just below a border may seem to be on it, never more than one line off.
    if value < axis_border(guess, reach) {
        guess.saturating_sub(1)
    } else if guess + 1 < AXIS_END && value >= axis_border(guess + 1, reach) {
        guess + 1
    } else {
        guess
    }
}

const fn width(length: u8) -> u64 {
    CODE_END >> (5 * length)
}

/// Puts the bits of `value` into the even places.
const fn spread(value: u32) -> u64 {
    let mut bits = value as u64;
    bits = (bits | (bits << 16)) & 0x0000_ffff_0000_ffff;
    bits = (bits | (bits << 8)) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | (bits << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | (bits << 2)) & 0x3333_3333_3333_3333;
    (bits | (bits << 1)) & 0x5555_5555_5555_5555
}

/// Gathers the bits in the even places.
const fn squash(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | (bits >> 1)) & 0x3333_3333_3333_3333;
    bits = (bits | (bits >> 2)) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | (bits >> 4)) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | (bits >> 8)) & 0x0000_ffff_0000_ffff;
    (bits | (bits >> 16)) as u32
}
