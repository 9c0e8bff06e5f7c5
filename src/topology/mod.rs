//! Regions, shards, nodes, and the placements of tables: an immutable, numbered snapshot that is swapped whole.
//!
//! Built by `config` (checked once), read by `plan`, `backend`, `health`, `admin`. What changes from second to second
//! (roles, lag) is in [`NodeState`], atomics that `health` writes and everybody reads without a lock.
//!
//! Invariants:
//! 1. A placement is a total function on the keys it accepts: the same key gives the same shard whatever its
//!    spelling (text or binary, literal or parameter, cast or not).
//! 2. A snapshot never changes; `TopologyVersion` grows with every swap.
//! 3. Roles are found by asking the servers; nothing here configures them.

pub mod consistency;
pub mod hash;
pub mod ids;
pub mod key;
pub mod node;
pub mod placement;
pub mod ring;
pub mod signals;
pub mod snapshot;

pub use consistency::{Consistency, UnknownConsistency};
pub use ids::{Lsn, NodeId, RegionId, ShardId, ShardSet, TopologyVersion, WriteToken};
pub use key::{Key, KeyType, Unsure};
pub use node::{NodeRole, NodeState};
pub use placement::{
    HashPlacement, KeyRange, ListPlacement, NullKey, Placement, PlacementError, PositionColumns,
    RangePlacement, RowPosition, TableRule,
};
pub use signals::Signals;
pub use snapshot::{Node, Region, Shard, Topology};
