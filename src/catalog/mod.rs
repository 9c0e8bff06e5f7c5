//! What the servers' catalogs say: relations, columns, types, functions' volatility, views, collations.
//!
//! Loaded by the control plane over tokio-postgres ([`load`](self)), kept as an immutable numbered snapshot
//! (`Arc<Catalog>`) that is swapped whole after DDL and when a poll finds a change. `plan` reads it.
//!
//! Invariants:
//! 1. A name that is not here is unknown: plan then treats it as it treats unknown things, never as harmless.
//! 2. Where overloads of a function differ, the most volatile one counts.
//! 3. The snapshot says whether all shards agree; a relation whose columns differ between shards is named in
//!    [`Catalog::drift`].

pub mod handle;
pub mod snapshot;

pub use handle::{CatalogHandle, RefreshRequest};
pub use snapshot::{
    Catalog, Collation, Column, FunctionInfo, FunctionKind, RelationInfo, RelationKind, Volatility,
};
