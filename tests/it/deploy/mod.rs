//! What is handed to operators: the entry script of PostgreSQL's containers on real servers, and the files that name
//! one another.
//!
//! There is no container engine in a test: `deploy/postgres/node` runs as it would inside of one, with the servers of
//! this machine, and what a container engine reads is held against the tree (`files`).

mod files;
mod node;
