//! A world: the named areas of all regions, proven not to overlap, and the answers about who owns what.
//!
//! Built by `topology` from the configuration, immutable afterwards. `topology` asks it for the owner of a row's
//! position or cell; `plan` asks which owners a window touches.
//!
//! [`World::owner`] looks into a grid of tiles first. A tile that one part covers, or that none touches, has its answer
//! at once; in the others the parts that touch the tile are tried in the order of the areas:
//!
//! ```text
//!   ┌──┬──┬──┬──┐
//!   │ a│ a│ab│ b│     a: whole   ab: try a, then b   ·: the default owner
//!   ├──┼──┼──┼──┤
//!   │ a│a·│b·│ b│
//! ```
//!
//! Invariants:
//! 1. An owner is the index of its area, in the order in which the areas were given.
//! 2. `owner(p)` is in `touching(w)` for every position `p` that the window `w` admits, the default owner included.
//! 3. `owner_of_cell` says `One` only if `owner` gives this owner for every position in the cell.
//! 4. No look-up allocates, except when `touching` or `owner_of_cell` must show that areas leave no gap.

use super::{
    AREAS_MAX, Area, Cell, GeoError, PARTS_MAX, Position, Window,
    area::Part,
    cell::{GRID_BITS, grid_of, grid_rect},
    overlap,
    rect::Rect,
};

/// Halvings of latitude and of longitude that make a tile.
const TILE_ROW_BITS: u32 = 5;
const TILE_COLUMN_BITS: u32 = 6;

/// Comparisons that one statement spends to show that areas leave no gap in a window.
const GAP_STEPS_MAX: usize = 512;
/// The same for a world as a whole, once.
const GAP_STEPS_BUILD_MAX: usize = 1 << 20;

/// The index of an area in its world; below [`AREAS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub u16);

/// A set of owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OwnerSet {
    words: [u64; AREAS_MAX / 64],
}

/// An area and the name by which errors speak of it.
#[derive(Clone, Debug)]
pub struct NamedArea {
    pub name: String,
    pub area: Area,
}

/// Who owns the positions of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellOwner {
    /// All of them have this owner.
    One(Owner),
    /// They may have any of these owners, or none: the cell alone does not say which.
    Several(OwnerSet),
    /// None of them has an owner.
    Nobody,
}

/// Named areas that do not overlap, and the owner of what lies outside all of them.
#[derive(Clone, Debug)]
pub struct World {
    names: Vec<String>,
    parts: Vec<OwnedPart>,
    default: Option<Owner>,
    /// The areas are proven to leave no gap, so the default owner owns nothing.
    gapless: bool,
    tiles: Box<[Tile]>,
    /// Indexes into `parts`, for [`Tile::Mixed`].
    candidates: Vec<u32>,
}

#[derive(Clone, Debug)]
struct OwnedPart {
    owner: Owner,
    part: Part,
}

#[derive(Clone, Copy, Debug)]
enum Tile {
    Whole(Owner),
    Outside,
    Mixed { first: u32, beyond: u32 },
}

impl World {
    /// Checks that no two areas overlap. `default` owns the positions that are in no area; it need not have an area.
    pub fn new(areas: Vec<NamedArea>, default: Option<Owner>) -> Result<Self, GeoError> {
        if areas.len() > AREAS_MAX {
            return Err(GeoError::TooMany { what: "areas", count: areas.len(), limit: AREAS_MAX });
        }
        if let Some(Owner(index)) = default.filter(|owner| usize::from(owner.0) >= AREAS_MAX) {
            return Err(GeoError::TooMany { what: "areas", count: usize::from(index) + 1, limit: AREAS_MAX });
        }
        let count = areas.iter().map(|named| named.area.parts().len()).sum();
        if count > PARTS_MAX {
            return Err(GeoError::TooMany { what: "boxes, cells and polygons", count, limit: PARTS_MAX });
        }
        let mut names = Vec::with_capacity(areas.len());
        let mut parts = Vec::with_capacity(count);
        for (index, NamedArea { name, area }) in areas.into_iter().enumerate() {
            let owner = Owner(index as u16);
            names.push(name);
            parts.extend(area.into_parts().into_iter().map(|part| OwnedPart { owner, part }));
        }
        refuse_overlaps(&names, &parts)?;
        let (tiles, candidates) = tile(&parts);
        let gapless = are_gapless(&parts, Rect::GLOBE, GAP_STEPS_BUILD_MAX);
        Ok(Self { names, parts, default, gapless, tiles, candidates })
    }

    /// The owner of a position: the area that holds it, else the default owner.
    pub fn owner(&self, position: Position) -> Option<Owner> {
        let (row, column) = grid_of(position);
        match self.tiles.get(tile_index(row, column)) {
            Some(Tile::Whole(owner)) => Some(*owner),
            Some(Tile::Mixed { first, beyond }) => self
                .candidates
                .get(*first as usize..*beyond as usize)
                .unwrap_or_default()
                .iter()
                .filter_map(|index| self.parts.get(*index as usize))
                .find(|owned| owned.part.contains(position))
                .map(|owned| owned.owner)
                .or(self.default),
            Some(Tile::Outside) | None => self.default,
        }
    }

    /// The owner of all positions in a cell, as for a row that is placed by its geohash alone.
    pub fn owner_of_cell(&self, cell: Cell) -> CellOwner {
        let rect = cell.rect();
        let mut owners = OwnerSet::default();
        self.add_areas(&rect, &mut owners);
        if owners.is_empty() {
            return self.default.map_or(CellOwner::Nobody, CellOwner::One);
        }
        let complete = self.gapless || are_gapless(&self.parts, rect, GAP_STEPS_MAX);
        if let (false, Some(default)) = (complete, self.default) {
            owners.insert(default);
        }
        match owners.single() {
            Some(owner) if complete || self.default == Some(owner) => CellOwner::One(owner),
            _ => CellOwner::Several(owners),
        }
    }

    /// The owners of all positions that the window admits: never one too few, sometimes one too many.
    pub fn touching(&self, window: &Window) -> OwnerSet {
        let mut owners = OwnerSet::default();
        window.each_rect(|rect| {
            self.add_areas(rect, &mut owners);
            let Some(default) = self.default else { return };
            let known = self.gapless || owners.contains(default);
            if !known && !are_gapless(&self.parts, *rect, GAP_STEPS_MAX) {
                owners.insert(default);
            }
        });
        owners
    }

    /// The name of an owner's area.
    pub fn name(&self, owner: Owner) -> Option<&str> {
        self.names.get(usize::from(owner.0)).map(String::as_str)
    }

    /// The owner of what lies in no area.
    pub const fn default_owner(&self) -> Option<Owner> {
        self.default
    }

    /// Whether the areas are proven to hold every position. (Boxes and cells are; slanted edges leave it open.)
    pub const fn is_gapless(&self) -> bool {
        self.gapless
    }

    fn add_areas(&self, rect: &Rect, owners: &mut OwnerSet) {
        for owned in &self.parts {
            if !owners.contains(owned.owner) && owned.part.touches(rect) {
                owners.insert(owned.owner);
            }
        }
    }
}

impl OwnerSet {
    /// Adds an owner; one at or above [`AREAS_MAX`] does not exist and is not added.
    pub fn insert(&mut self, owner: Owner) {
        if let Some(word) = self.words.get_mut(usize::from(owner.0 / 64)) {
            *word |= 1 << (owner.0 % 64);
        }
    }

    /// Whether the owner is in the set.
    pub fn contains(&self, owner: Owner) -> bool {
        self.words.get(usize::from(owner.0 / 64)).is_some_and(|word| word & (1 << (owner.0 % 64)) != 0)
    }

    /// The number of owners.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The only owner, if there is just one.
    pub fn single(&self) -> Option<Owner> {
        let mut owners = self.iter();
        owners.next().filter(|_| owners.next().is_none())
    }

    /// The owners in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Owner> + '_ {
        (0..AREAS_MAX as u16).map(Owner).filter(|owner| self.contains(*owner))
    }

    /// The owners of both sets.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.words.iter_mut().zip(other.words).for_each(|(word, more)| *word |= more);
        self
    }

    /// The owners that are in both sets.
    #[must_use]
    pub fn intersection(mut self, other: Self) -> Self {
        self.words.iter_mut().zip(other.words).for_each(|(word, also)| *word &= also);
        self
    }
}

fn refuse_overlaps(names: &[String], parts: &[OwnedPart]) -> Result<(), GeoError> {
    for (index, one) in parts.iter().enumerate() {
        // Parts stand in the order of their areas, so the rest of the same area comes first.
        for other in parts.iter().skip(index + 1).skip_while(|other| other.owner == one.owner) {
            let Some(position) = overlap::witness(&one.part, &other.part) else { continue };
            let name = |owner: Owner| names.get(usize::from(owner.0)).cloned().unwrap_or_default();
            return Err(GeoError::Overlap { first: name(one.owner), second: name(other.owner), position });
        }
    }
    Ok(())
}

/// The tiles, row by row from the south-west, and the candidates of the mixed ones.
fn tile(parts: &[OwnedPart]) -> (Box<[Tile]>, Vec<u32>) {
    let mut tiles = Vec::with_capacity(1 << (TILE_ROW_BITS + TILE_COLUMN_BITS));
    let mut candidates = Vec::new();
    for row in 0..1_u32 << TILE_ROW_BITS {
        for column in 0..1_u32 << TILE_COLUMN_BITS {
            let (low_row, low_column) =
                (row << (GRID_BITS - TILE_ROW_BITS), column << (GRID_BITS - TILE_COLUMN_BITS));
            let rect = grid_rect(low_row, low_column, TILE_ROW_BITS, TILE_COLUMN_BITS);
            let first = candidates.len();
            let touching = parts.iter().enumerate().filter(|(_, owned)| owned.part.touches(&rect));
            candidates.extend(touching.map(|(index, _)| index as u32));
            let here = candidates.get(first..).unwrap_or_default();
            let only = match here {
                [index] => parts.get(*index as usize).filter(|owned| owned.part.covers(&rect)),
                _ => None,
            };
            let tile = match only {
                Some(owned) => Tile::Whole(owned.owner),
                None if here.is_empty() => Tile::Outside,
                None => Tile::Mixed { first: first as u32, beyond: candidates.len() as u32 },
            };
            tiles.push(tile);
        }
    }
    (tiles.into(), candidates)
}

fn tile_index(row: u32, column: u32) -> usize {
    let row = row >> (GRID_BITS - TILE_ROW_BITS);
    let column = column >> (GRID_BITS - TILE_COLUMN_BITS);
    ((row << TILE_COLUMN_BITS) | column) as usize
}

/// Whether the parts together are proven to hold every position of the rectangle, within a number of comparisons.
///
/// Rectangles are cut out one by one; what remains in the end must lie in single polygons.
fn are_gapless(parts: &[OwnedPart], rect: Rect, steps_max: usize) -> bool {
    let mut steps = 0;
    let mut remaining = vec![(rect, 0)];
    'pieces: while let Some((piece, from)) = remaining.pop() {
        for (index, owned) in parts.iter().enumerate().skip(from) {
            steps += 1;
            if steps > steps_max {
                return false;
            }
            if let Part::Rect(cut) = &owned.part
                && cut.intersects(&piece)
            {
                remaining.extend(piece.minus(cut).map(|rest| (rest, index + 1)));
                continue 'pieces;
            }
        }
        steps += parts.len();
        let in_polygon =
            |owned: &OwnedPart| matches!(owned.part, Part::Polygon(_)) && owned.part.covers(&piece);
        if steps > steps_max || !parts.iter().any(in_polygon) {
            return false;
        }
    }
    true
}
