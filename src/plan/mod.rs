//! From facts to a plan: which shards a statement needs, whether a replica may answer, and what to do with the answers.
//!
//! Pure: facts + topology + catalog in, [`Plan`] out. A plan is made once per shape and [`Plan::bind`] is run per
//! execution: it looks at the literals and parameters that carry keys and returns the shards. `session` calls both,
//! `execute` follows the result, `EXPLAIN` and the plan cases print it.
//!
//! Invariants:
//! 1. A route never lacks a shard that may hold a row the statement reads or writes (tests/cases/plan, property tests).
//! 2. What cannot be proved right is [`Action::Refuse`] or a refusal from `bind`, never a narrower route.
//! 3. Every route carries its reason.

pub mod action;
pub mod alterations;
mod bind;
mod changes;
mod code;
mod commands;
mod computed;
pub mod copy;
pub mod explain;
mod fired;
mod functions;
mod home;
mod lists;
mod make;
mod place;
mod predicate;
mod reads;
pub mod refusal;
mod route;
mod rows;
pub mod scatter;
mod scope;
mod steady;
mod survey;
pub mod traces;
mod value;
mod writes;

pub use action::{Access, Action, Bound, Effect, Many, PlanningContext};
pub use bind::is_clock_word;
pub use fired::family;
pub use functions::{shard_of_code, shard_of_function};
pub use home::is_whole_on;
pub use make::{Combine, Plan};
pub use rows::misplaced;
pub use scope::key_type;
pub use value::{oid, own_oid};
