//! The consistent-hash ring: which shard owns each slot.
//!
//! Used by `config` when it builds a hash placement; nothing asks the ring for a row, only its table of slots. Every
//! shard stands on the ring at many points (virtual nodes); a slot belongs to the shard whose point follows it.
//!
//! ```text
//!   0 ──●a──slot 7──●c──●b──slot 2──●a────●b── 2^64
//!               └────▶ c         └────▶ a
//! ```
//!
//! Invariants, each with a property below:
//! 1. The order of the shards does not matter, only their names and weights.
//! 2. A new shard takes about its share of the slots, and no slot moves between old shards.
//! 3. The same names give the same table in every version of Meridian: data stands where the table says.

use super::hash::hash_bytes;
use super::ids::ShardId;

/// Most slots of a placement.
pub const SLOTS_MAX: usize = 1 << 16;
/// Most points that all shards of a ring may have together: sorting them takes well under a second.
pub const POINTS_MAX: usize = 1 << 20;

/// A shard's share of the ring.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub shard: ShardId,
    pub name: &'a str,
    /// Points on the ring: virtual nodes times the shard's weight.
    pub points: usize,
}

/// Slot to shard. `members` must have a point between them, else the table is empty.
pub fn assign_slots(members: &[Member<'_>], slots: usize) -> Vec<ShardId> {
    let mut points: Vec<(u64, &str, ShardId)> = members
        .iter()
        .flat_map(|member| {
            (0..member.points).map(|i| {
                let label = format!("{}#{i}", member.name);
                (scramble(hash_bytes(label.as_bytes())), member.name, member.shard)
            })
        })
        .collect();
    points.sort_unstable();
    let Some(first) = points.first() else { return Vec::new() };
    (0..slots)
        .map(|slot| {
            let place = scramble(hash_bytes(format!("slot#{slot}").as_bytes()));
            let next = points.partition_point(|(point, ..)| *point < place);
            points.get(next).unwrap_or(first).2
        })
        .collect()
}

/// Spreads a hash over the whole ring (the finaliser of splitmix64).
fn scramble(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLOTS: usize = 4096;

    fn members(names: &[String]) -> Vec<Member<'_>> {
        let numbered = names.iter().enumerate();
        numbered.map(|(i, name)| Member { shard: ShardId(i as u16), name, points: 256 }).collect()
    }

    fn names(count: usize, salt: u32) -> Vec<String> {
        (0..count).map(|i| format!("shard-{salt}-{i}")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_new_shard_takes_its_share_and_nothing_else_moves(count in 1_usize..24, salt: u32) {
            let all = names(count + 1, salt);
            let new = ShardId(count as u16);
            let before = assign_slots(&members(&all[..count]), SLOTS);
            let after = assign_slots(&members(&all), SLOTS);
            let moved = before.iter().zip(&after).filter(|(b, a)| b != a).count();
            prop_assert!(before.iter().zip(&after).all(|(b, a)| b == a || *a == new));
            let share = SLOTS / (count + 1);
            prop_assert!(moved > share / 2 && moved < share * 2, "{moved} of {SLOTS} moved, {share} expected");
        }

        #[test]
        fn the_order_of_shards_does_not_matter(count in 1_usize..16, salt: u32) {
            let all = names(count, salt);
            let forward = members(&all);
            let mut backward = forward.clone();
            backward.reverse();
            prop_assert_eq!(assign_slots(&forward, SLOTS), assign_slots(&backward, SLOTS));
        }
    }

    #[test]
    fn a_heavier_shard_owns_more() {
        let heavy = Member { shard: ShardId(0), name: "heavy", points: 768 };
        let light = Member { shard: ShardId(1), name: "light", points: 256 };
        let owned = assign_slots(&[heavy, light], SLOTS).iter().filter(|s| s.0 == 0).count();
        assert!((2700..3450).contains(&owned), "{owned}");
    }

    #[test]
    fn the_table_of_slots_never_changes_between_versions() {
        let shards = ["us-east", "us-west", "eu-central", "ap-south"].map(String::from);
        let table = assign_slots(&members(&shards), 16);
        assert_eq!(table.iter().map(|s| s.0).collect::<Vec<_>>(), GOLDEN);
    }

    const GOLDEN: [u16; 16] = [3, 1, 3, 1, 3, 3, 3, 0, 2, 3, 0, 0, 0, 3, 3, 1];
}
