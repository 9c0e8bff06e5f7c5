//! What the servers' catalogs say: relations, columns, types, functions' volatility, views, collations.
//!
//! Loaded by the control plane over tokio-postgres (`load`), kept as an immutable numbered snapshot
//! (`Arc<Catalog>`) that is swapped whole after DDL and when a poll finds a change. `plan` reads it.
//!
//! Invariants:
//! 1. A name that is not here is unknown: plan then treats it as it treats unknown things, never as harmless.
//! 2. Where overloads of a function differ, the most volatile one counts.
//! 3. The snapshot says whether all shards agree; a relation whose columns differ between shards is named in
//!    [`Catalog::drift`].
//!
//! The way of a load: `load` on every shard ([`CatalogParts`]), [`compare`] what they say, make the default shard's
//! parts the [`Catalog`], [`check_tables`] the configuration against it. [`CatalogReader::fingerprint`] tells cheaply whether any of
//! it changed.

mod cells;
pub mod defaults;
pub mod drift;
pub mod handle;
pub mod load;
pub mod numbers;
pub mod parts;
mod queries;
pub mod reading;
mod rows;
mod settings;
pub mod snapshot;
pub mod tables;
pub mod within;

pub use defaults::{Defaults, SessionDefaults};
pub use drift::{Drift, compare};
pub use handle::{CatalogHandle, RefreshRequest};
pub use load::{CatalogReader, LoadError};
pub use numbers::{Numbers, Objects, Shape};
pub use parts::CatalogParts;
pub use snapshot::{
    CastCall, Catalog, Collation, Column, ForeignKey, FunctionInfo, FunctionKind, HiddenCalls, OnDelete,
    OnUpdate, RelationInfo, RelationKind, Volatility, WireType,
};
pub use tables::{Severity, TableFinding, check_tables};
