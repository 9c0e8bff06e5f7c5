//! The catalog snapshot's types and look-ups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::defaults::SessionDefaults;
use super::numbers::Numbers;
use crate::sql::name::ObjectName;
use crate::topology::{ShardId, WriteToken};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    Sequence,
    ForeignTable,
    /// Composite types, indexes and so on: never in FROM.
    Other,
}

/// How values of a column compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collation {
    /// The type has none.
    None,
    /// Byte order: C, POSIX, C.UTF-8, ucs_basic, pg_c_utf8.
    Bytes,
    /// Equality is byte equality; the order is the server's.
    Deterministic,
    Nondeterministic,
}

/// How RowDescriptions tell the type of a value: as that of the base, if it is a domain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireType {
    /// OID on the server that tells it.
    pub oid: u32,
    /// −1 where the type has none.
    pub modifier: i32,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// OID of the type on the default shard; below 16384 it is the same everywhere.
    pub type_oid: u32,
    /// `format_type` with its modifier.
    pub type_name: String,
    pub type_modifier: i32,
    pub wire_type: WireType,
    pub collation: Collation,
    /// For a COLLATE clause, qualified and quoted; None where the column has its type's own.
    pub collation_name: Option<String>,
    pub not_null: bool,
    /// The text of the default, or of a generated column's expression.
    pub default: Option<String>,
    /// The default calls something volatile (random(), nextval(), gen_random_uuid() …).
    pub volatile_default: bool,
    /// Like `now()`: one value for a statement, but not the same on two servers.
    pub stable_default: bool,
    pub generated: bool,
    pub identity: bool,
}

impl Column {
    /// Whether two servers may compute other values for a row that is given none. What is generated is immutable.
    pub fn default_may_differ(&self) -> bool {
        !self.generated && (self.volatile_default || self.stable_default) || self.identity
    }

    /// One of which nothing is known but its type.
    pub fn new(name: &str, type_oid: u32, type_name: &str) -> Self {
        Self {
            name: name.to_owned(),
            type_oid,
            type_name: type_name.to_owned(),
            type_modifier: -1,
            wire_type: WireType { oid: type_oid, modifier: -1 },
            collation: Collation::None,
            collation_name: None,
            not_null: false,
            default: None,
            volatile_default: false,
            stable_default: false,
            generated: false,
            identity: false,
        }
    }
}

/// A foreign key that has rows of another table changed or removed with those that they refer to.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub child: ObjectName,
    /// Those of the child that refer.
    pub columns: Vec<String>,
    /// Those that are referred to, one for each.
    pub referenced: Vec<String>,
    pub on_update: OnUpdate,
    pub on_delete: OnDelete,
}

/// What a foreign key does to the rows that refer to one whose columns are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUpdate {
    /// NO ACTION, RESTRICT.
    Nothing,
    /// What was changed is changed there, too.
    Cascade,
    /// SET NULL and SET DEFAULT, of all columns.
    Sets,
}

/// What a foreign key does to the rows that refer to one that is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDelete {
    /// NO ACTION, RESTRICT.
    Nothing,
    Cascade,
    /// SET NULL and SET DEFAULT, of these columns.
    Sets(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct RelationInfo {
    pub name: ObjectName,
    pub kind: RelationKind,
    pub columns: Vec<Column>,
    /// For views: the query, every name of a user's schema qualified.
    pub definition: Option<String>,
    /// For views: every relation that it reads, through other views too. For tables: what their row security reads.
    pub reads: Vec<ObjectName>,
    /// For views: the functions in their definitions that are not built in, or are volatile; through other views too.
    /// For tables: those of their row security.
    pub calls: Vec<ObjectName>,
    /// The user's functions that a write calls: in defaults, generated columns, CHECK constraints, indexes, WHEN.
    pub write_calls: Vec<ObjectName>,
    /// Partition parent or inheritance parents.
    pub parents: Vec<ObjectName>,
    /// Partitions or inheriting tables.
    pub children: Vec<ObjectName>,
    /// Functions of the triggers that fire.
    pub triggers: Vec<ObjectName>,
    /// Rules or row security: writes may do more than they say.
    pub has_rules: bool,
    pub row_security: bool,
    /// Replicas have no rows of it, and do not read it.
    pub unlogged: bool,
    /// Its definition, its row security, or what a write calls, calls `current_setting()` itself.
    pub reads_parameters: bool,
    /// Column sets of the primary key and of every unique constraint or index.
    pub unique_sets: Vec<Vec<String>>,
    /// The same of indexes of some rows, of expressions and of exclusion constraints too, with the columns of which two rows that
    /// conflict have equal values.
    pub conflict_sets: Vec<Vec<String>>,
    /// Foreign keys with actions, of tables that refer to this one.
    pub referenced_by: Vec<ForeignKey>,
    /// Columns of the primary key, unless it is deferrable: on such a one a column can follow from its group.
    pub primary_key: Vec<String>,
    /// For sequences: the table whose column it numbers (`serial`, identity, OWNED BY).
    pub owner: Option<ObjectName>,
}

impl RelationInfo {
    /// One of which nothing is known but what it is.
    pub fn new(name: ObjectName, kind: RelationKind) -> Self {
        Self {
            name,
            kind,
            columns: Vec::new(),
            definition: None,
            reads: Vec::new(),
            calls: Vec::new(),
            write_calls: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
            triggers: Vec::new(),
            has_rules: false,
            row_security: false,
            unlogged: false,
            reads_parameters: false,
            unique_sets: Vec::new(),
            conflict_sets: Vec::new(),
            referenced_by: Vec::new(),
            primary_key: Vec::new(),
            owner: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// The later one decides where overloads are of several kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionKind {
    Function,
    Window,
    Aggregate,
    Procedure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionInfo {
    /// The most volatile of the overloads.
    pub volatility: Volatility,
    pub kind: FunctionKind,
    /// Of any overload.
    pub returns_set: bool,
    /// In pg_catalog, written in C or internal: known not to read tables unless it is in plan's own list.
    pub built_in: bool,
    /// Some overload of the user's takes a row, of whatever type.
    pub takes_rows: bool,
}

impl FunctionInfo {
    /// Of two overloads together.
    pub fn beside(self, other: Self) -> Self {
        Self {
            volatility: self.volatility.max(other.volatility),
            kind: self.kind.max(other.kind),
            returns_set: self.returns_set || other.returns_set,
            built_in: self.built_in && other.built_in,
            takes_rows: self.takes_rows || other.takes_rows,
        }
    }
}

/// The user's functions that are called without their names.
#[derive(Debug, Default)]
pub struct HiddenCalls {
    /// By the operator.
    pub operators: HashMap<String, Vec<ObjectName>>,
    pub casts: Vec<CastCall>,
    /// Those of a domain's CHECK constraints, by its name; of the domains below it too.
    pub domains: HashMap<String, Vec<ObjectName>>,
    /// The texts of domains' defaults, by their names.
    pub domain_defaults: HashMap<String, String>,
    /// The functions of event triggers.
    pub event_triggers: Vec<ObjectName>,
}

impl HiddenCalls {
    /// All of them.
    pub fn functions(&self) -> impl Iterator<Item = &ObjectName> {
        let of_operators = self.operators.values().chain(self.domains.values()).flatten();
        of_operators.chain(self.casts.iter().map(|cast| &cast.function)).chain(&self.event_triggers)
    }
}

/// A cast that calls a function, with the types' names without their schemas.
#[derive(Debug)]
pub struct CastCall {
    pub source: String,
    pub target: String,
    /// Made where nobody wrote it.
    pub implicit: bool,
    pub function: ObjectName,
}

#[derive(Debug, Default)]
pub struct Catalog {
    pub version: u64,
    /// Nothing was loaded yet: no relation may be taken for absent.
    pub loaded: bool,
    pub relations: HashMap<ObjectName, RelationInfo>,
    /// By schema-qualified name.
    pub functions: HashMap<ObjectName, FunctionInfo>,
    /// Words in the definitions of functions that are not PostgreSQL's own, those that they call included.
    pub function_words: HashMap<ObjectName, HashSet<String>>,
    pub hidden: HiddenCalls,
    /// Names of user-defined types and domains, by OID on the default shard.
    pub user_types: HashMap<u32, ObjectName>,
    /// Those of them that are enums of the same labels on every shard, by the same numbers.
    pub enums: Arc<HashMap<u32, ObjectName>>,
    /// Numbers of types and tables by shard, where they are not those of the default shard.
    pub numbers: Vec<Option<Arc<Numbers>>>,
    /// By shard, where definitions have changed since the first load: a replica that has not come so far has others.
    pub defined_at: Vec<Option<WriteToken>>,
    /// What sessions begin with on every server.
    pub defaults: Arc<SessionDefaults>,
    /// The database's own collation.
    pub database_collation: Option<Collation>,
    /// Somebody has made operators that compare values of PostgreSQL's own types: which one is meant depends on the types.
    pub compares_otherwise: bool,
    /// The servers do not store text as UTF-8: the order of their bytes is not that of ours.
    pub other_encoding: bool,
    /// Server version number of the default shard's primary, as in `server_version_num`.
    pub server_version: u32,
    /// Relations whose definition differs between shards, with what differs.
    pub drift: Vec<String>,
}

impl Catalog {
    /// Finds a relation as PostgreSQL would: `pg_catalog` first unless it is named in the path, then the path.
    pub fn resolve(&self, name: &ObjectName, search_path: &[String]) -> Option<&RelationInfo> {
        if name.schema.is_some() {
            return self.relations.get(name);
        }
        let implicit = if search_path.iter().any(|s| s == "pg_catalog") { None } else { Some("pg_catalog") };
        implicit
            .into_iter()
            .chain(search_path.iter().map(String::as_str))
            .find_map(|schema| self.relations.get(&ObjectName::qualified(schema, name.name.as_str())))
    }

    /// What the shard calls types and tables, where it is not what the default shard calls them.
    pub fn numbers_of(&self, shard: ShardId) -> Option<Arc<Numbers>> {
        self.numbers.get(usize::from(shard.0)).cloned().flatten()
    }

    /// The functions that the name may mean, with the words of their definitions.
    pub fn definitions<'a>(
        &'a self,
        name: &'a ObjectName,
        search_path: &'a [String],
    ) -> impl Iterator<Item = (&'a ObjectName, &'a HashSet<String>)> {
        let schemas = match &name.schema {
            Some(schema) => std::slice::from_ref(schema),
            None => search_path,
        };
        schemas.iter().filter_map(|schema| {
            self.function_words.get_key_value(&ObjectName::qualified(schema.as_str(), name.name.as_str()))
        })
    }

    /// The most volatile function that the name may mean; None where no such function is known.
    pub fn function(&self, name: &ObjectName, search_path: &[String]) -> Option<FunctionInfo> {
        if name.schema.is_some() {
            return self.functions.get(name).copied();
        }
        std::iter::once("pg_catalog")
            .chain(search_path.iter().map(String::as_str))
            .filter_map(|schema| {
                self.functions.get(&ObjectName::qualified(schema, name.name.as_str())).copied()
            })
            .max_by_key(|info| info.volatility)
    }
}
