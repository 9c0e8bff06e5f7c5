//! A window: what a WHERE clause says about position, reduced to bounds that are easy to hold against areas.
//!
//! Made by `plan` from predicates that are joined by AND: it starts with [`Window::everywhere`] and narrows. Asked by
//! [`super::World::touching`] and [`super::Area::may_hold`]. OR is the union of what the windows touch, and is done
//! there.
//!
//! Every bound on latitude and longitude is taken as closed; one outside the legal range is moved to its end; one that
//! is NaN says nothing. A constraint on the geohash becomes an interval of codes (see `cell`), because rows are only
//! accepted when their geohash is a cell that holds their position:
//!
//! ```text
//!   geohash LIKE 'dr5%'                      [dr5000000000, dr6000000000)
//!   geohash = 'dr5ru'                        the cell dr5ru
//!   geohash >= 'dr5' AND geohash < 'dr6'     [dr5000000000, dr6000000000)
//!   geohash < 'dr6'                          [0, e00000000000): the row 'd' may be anywhere in cell d
//! ```
//!
//! Invariants:
//! 1. A row that satisfies the predicates has its position in one of the rectangles of [`Window::each_rect`]: with
//!    longitude 180 counted as -180, and with a geohash of any length from 1 to 12 that [`Cell::accepts`] it.
//! 2. A window is a copy of a few words; it never allocates.
//!
//! Text compares as bytes here. That is what PostgreSQL does under the collation "C"; whether a column's collation
//! allows a range to be used is for the planner to know.

use std::ops::Bound;

use super::{
    Cell,
    cell::{CODE_BITS, CODE_END, code_rect, floor_code},
    rect::{EAST_END, Rect},
};

/// Halvings below the smallest common cell after which an interval of codes is rounded to whole cells.
const HALVINGS_MAX: u32 = 12;

/// Bounds on latitude, on longitude and on the geohash, all of which hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    latitude: (f64, f64),
    longitude: (f64, f64),
    /// Codes of the geohash, half-open.
    codes: (u64, u64),
}

impl Default for Window {
    fn default() -> Self {
        Self::everywhere()
    }
}

impl Window {
    /// No bound at all.
    pub const fn everywhere() -> Self {
        Self { latitude: (-90.0, 90.0), longitude: (-180.0, 180.0), codes: (0, CODE_END) }
    }

    /// `latitude >= bound` (or `>`).
    pub fn latitude_at_least(&mut self, bound: f64) {
        self.latitude.0 = raise(self.latitude.0, bound, 90.0);
    }

    /// `latitude <= bound` (or `<`).
    pub fn latitude_at_most(&mut self, bound: f64) {
        self.latitude.1 = -raise(-self.latitude.1, -bound, 90.0);
    }

    /// `longitude >= bound` (or `>`), as SQL compares: 180 and -180 differ here.
    pub fn longitude_at_least(&mut self, bound: f64) {
        self.longitude.0 = raise(self.longitude.0, bound, 180.0);
    }

    /// `longitude <= bound` (or `<`), as SQL compares: 180 and -180 differ here.
    pub fn longitude_at_most(&mut self, bound: f64) {
        self.longitude.1 = -raise(-self.longitude.1, -bound, 180.0);
    }

    /// `geohash = text`. A text that is no geohash says nothing.
    pub fn geohash_equals(&mut self, text: &str) {
        // A text starts with itself, and whatever starts with it names a cell inside this one.
        self.geohash_starts_with(text);
    }

    /// `geohash LIKE 'text%'`. A text that is no geohash says nothing.
    pub fn geohash_starts_with(&mut self, text: &str) {
        if let Ok(cell) = Cell::parse(text) {
            self.narrow_codes(cell.start(), cell.end());
        }
    }

    /// `geohash` between two texts in the order of bytes; the texts need not be geohashes.
    pub fn geohash_between(&mut self, lower: Bound<&str>, upper: Bound<&str>) {
        let start = match lower {
            Bound::Included(text) | Bound::Excluded(text) => floor_code(text.as_bytes()),
            Bound::Unbounded => 0,
        };
        let end = match upper {
            Bound::Included(text) | Bound::Excluded(text) => {
                floor_code(text.as_bytes()).max(end_of_coarse(lower, upper, text))
            }
            Bound::Unbounded => CODE_END,
        };
        self.narrow_codes(start, end);
    }

    /// Narrows this window by another one.
    pub fn narrow(&mut self, other: &Self) {
        self.latitude_at_least(other.latitude.0);
        self.latitude_at_most(other.latitude.1);
        self.longitude_at_least(other.longitude.0);
        self.longitude_at_most(other.longitude.1);
        self.narrow_codes(other.codes.0, other.codes.1);
    }

    /// Whether no position satisfies the bounds.
    pub fn is_empty(&self) -> bool {
        self.latitude.0 > self.latitude.1
            || self.longitude.0 > self.longitude.1
            || self.codes.0 >= self.codes.1
    }

    /// Calls `visit` with rectangles that together hold all positions that the window admits.
    pub(super) fn each_rect(&self, mut visit: impl FnMut(&Rect)) {
        if self.is_empty() {
            return;
        }
        let (south, north) = self.latitude;
        let (west, east) = self.longitude;
        let band = Rect { south, north, ..Rect::GLOBE };
        let plain = (west <= EAST_END).then(|| Rect { west, east: east.min(EAST_END), ..band });
        let turned = (east >= 180.0).then_some(Rect { west: -180.0, east: -180.0, ..band });
        each_cell(self.codes, |cell| {
            for bounds in [plain, turned].into_iter().flatten() {
                if let Some(rect) = bounds.intersection(&cell) {
                    visit(&rect);
                }
            }
        });
    }

    fn narrow_codes(&mut self, start: u64, end: u64) {
        self.codes = (self.codes.0.max(start), self.codes.1.min(end));
    }
}

/// The higher of a bound and a new one, moved into `[-reach, reach]`; NaN changes nothing.
fn raise(bound: f64, new: f64, reach: f64) -> f64 {
    if new.is_nan() { bound } else { bound.max(new.clamp(-reach, reach)) }
}

/// The end of the coarsest cell that the bounds admit and whose text is the beginning of the upper one, or 0.
fn end_of_coarse(lower: Bound<&str>, upper: Bound<&str>, text: &str) -> u64 {
    let admitted = |prefix: &&str| {
        (match lower {
            Bound::Included(lower) => *prefix >= lower,
            Bound::Excluded(lower) => *prefix > lower,
            Bound::Unbounded => true,
        }) && (prefix.len() < text.len() || matches!(upper, Bound::Included(_)))
    };
    let prefixes = (1..=text.len()).map_while(|length| text.get(..length));
    let mut cells = prefixes.map_while(|prefix| Cell::parse(prefix).ok().map(|cell| (prefix, cell)));
    cells.find(|(prefix, _)| admitted(prefix)).map_or(0, |(_, cell)| cell.end())
}

/// Visits rectangles that together cover an interval of codes, with the antimeridian seen from both sides.
fn each_cell(codes: (u64, u64), mut visit: impl FnMut(Rect)) {
    let (start, end) = codes;
    let common = (start ^ (end - 1)).leading_zeros() - (u64::BITS - CODE_BITS);
    let finest = (common + HALVINGS_MAX).min(CODE_BITS);
    halve(codes, start & !((1 << (CODE_BITS - common)) - 1), common, finest, &mut visit);
}

fn halve(codes: (u64, u64), code: u64, bits: u32, finest: u32, visit: &mut impl FnMut(Rect)) {
    let size = 1_u64 << (CODE_BITS - bits);
    if code >= codes.1 || code + size <= codes.0 {
        return;
    }
    if bits < finest && (code < codes.0 || codes.1 < code + size) {
        halve(codes, code, bits + 1, finest, visit);
        halve(codes, code + size / 2, bits + 1, finest, visit);
        return;
    }
    let rect = code_rect(code, bits);
    visit(rect);
    if rect.east == EAST_END && rect.west != -180.0 {
        visit(Rect { west: -180.0, east: -180.0, ..rect });
    }
}
