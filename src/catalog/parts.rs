//! What one server's catalogs say, before it is compared with the other shards'.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::defaults::SessionDefaults;
use super::drift::Drift;
use super::numbers::Objects;
use super::snapshot::{Catalog, Collation, FunctionInfo, HiddenCalls, RelationInfo};
use crate::sql::name::ObjectName;
use crate::topology::Lsn;

/// What one server's catalogs say.
#[derive(Debug, Default)]
pub struct CatalogParts {
    pub fingerprint: u64,
    pub relations: HashMap<ObjectName, RelationInfo>,
    pub functions: HashMap<ObjectName, FunctionInfo>,
    /// Words in the definitions of functions that are not PostgreSQL's own.
    pub function_words: HashMap<ObjectName, HashSet<String>>,
    pub hidden: HiddenCalls,
    pub user_types: HashMap<u32, ObjectName>,
    /// What this server calls its users' types and tables.
    pub objects: Arc<Objects>,
    /// Labels of enums, in their order.
    pub enums: BTreeMap<ObjectName, Vec<String>>,
    /// Name and version of the collation of each column that has one of its own, by relation and column.
    pub collations: BTreeMap<(ObjectName, String), String>,
    pub defaults: SessionDefaults,
    /// The connection has begun with settings that are no longer those of new ones: ask on another.
    pub outlived: bool,
    /// Locales by which values are shown, for comparing.
    pub value_locales: String,
    pub database_collation: Option<Collation>,
    pub compares_otherwise: bool,
    /// Something could not be shown at that time.
    pub incomplete: bool,
    /// The database's provider, locale and version, for comparing.
    pub database_locale: String,
    pub server_encoding: String,
    pub server_version: u32,
    /// Of the log, behind all that was read.
    pub position: Option<Lsn>,
}

impl CatalogParts {
    /// The snapshot that planning sees: the default shard's parts, and how other shards differ.
    pub fn into_catalog(self, version: u64, drift: &[Drift]) -> Catalog {
        let differs = |name: &ObjectName| drift.iter().any(|drift| drift.object.as_ref() == Some(name));
        let is_enum = |name: &ObjectName| self.enums.contains_key(name) && !differs(name);
        let enums = self.user_types.iter().filter(|(_, name)| is_enum(name));
        let enums = enums.map(|(number, name)| (*number, name.clone())).collect();
        Catalog {
            version,
            loaded: true,
            relations: self.relations,
            functions: self.functions,
            function_words: self.function_words,
            hidden: self.hidden,
            enums: Arc::new(enums),
            user_types: self.user_types,
            numbers: Vec::new(),
            defined_at: Vec::new(),
            defaults: Arc::new(self.defaults),
            database_collation: self.database_collation,
            compares_otherwise: self.compares_otherwise,
            other_encoding: self.server_encoding != "UTF8",
            server_version: self.server_version,
            drift: drift.iter().map(ToString::to_string).collect(),
        }
    }
}
