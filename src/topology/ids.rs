//! Numbers that must not be mixed up: shards, regions, nodes, LSNs, versions; and a set of shards.
//!
//! All are indexes into one [`super`] snapshot, except [`Lsn`], which is PostgreSQL's.

use std::fmt;

/// Most shards that one configuration may have: the size of [`ShardSet`].
pub const SHARDS_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionId(pub u16);

/// Unique over all shards of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopologyVersion(pub u64);

/// A position in a server's write-ahead log, in bytes (`pg_lsn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Lsn(pub u64);

/// A place in a primary's log that a read must not be behind: of a session's last write, or of a change of definitions.
/// A later timeline is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WriteToken {
    pub timeline: u32,
    pub position: Lsn,
}

impl Lsn {
    /// Reads PostgreSQL's text form `16/B374D848`.
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let high = u64::from(u32::from_str_radix(high, 16).ok()?);
        let low = u64::from(u32::from_str_radix(low, 16).ok()?);
        Some(Self(high << 32 | low))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// A set of shards; `Copy`, no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ShardSet([u64; SHARDS_MAX / 64]);

impl ShardSet {
    pub const EMPTY: Self = Self([0; SHARDS_MAX / 64]);

    pub fn one(shard: ShardId) -> Self {
        let mut set = Self::EMPTY;
        set.insert(shard);
        set
    }

    /// The first `count` shards.
    pub fn first(count: usize) -> Self {
        let mut set = Self::EMPTY;
        for index in 0..count.min(SHARDS_MAX) {
            set.0[index / 64] |= 1 << (index % 64);
        }
        set
    }

    pub fn insert(&mut self, shard: ShardId) {
        let index = usize::from(shard.0);
        debug_assert!(index < SHARDS_MAX);
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub fn contains(&self, shard: ShardId) -> bool {
        let index = usize::from(shard.0);
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    pub fn contains_all(&self, others: Self) -> bool {
        others.intersection(*self) == others
    }

    pub fn remove(&mut self, shard: ShardId) {
        let index = usize::from(shard.0);
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The only member, if there is exactly one.
    pub fn single(&self) -> Option<ShardId> {
        (self.len() == 1).then(|| self.iter().next()).flatten()
    }

    pub fn iter(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.0.iter().enumerate().flat_map(|(word_index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(ShardId((word_index * 64 + bit) as u16))
            })
        })
    }
}

impl FromIterator<ShardId> for ShardSet {
    fn from_iter<T: IntoIterator<Item = ShardId>>(iter: T) -> Self {
        let mut set = Self::EMPTY;
        for shard in iter {
            set.insert(shard);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_yields_members_in_order() {
        let set: ShardSet = [200, 3, 64].into_iter().map(ShardId).collect();
        assert_eq!(set.iter().map(|s| s.0).collect::<Vec<_>>(), [3, 64, 200]);
        assert_eq!(set.len(), 3);
        assert_eq!(set.single(), None);
        assert_eq!(ShardSet::one(ShardId(65)).single(), Some(ShardId(65)));
    }

    #[test]
    fn lsn_reads_and_prints_the_text_form() {
        assert_eq!(Lsn::parse("16/B374D848").map(|l| l.to_string()).as_deref(), Some("16/B374D848"));
        assert_eq!(Lsn::parse("x"), None);
    }
}
