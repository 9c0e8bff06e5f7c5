//! The file as it is written: every section and key, with the place of each value, nothing judged yet.
//!
//! Only `check` looks at these. Keys are optional here where a default exists; the defaults are in `check`. A field
//! that is added here must be added to `config/meridian.toml` too: a test compares them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::value::{RawDuration, RawSize, Secret};

type Value<T> = Option<Spanned<T>>;
type Name = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub proxy: RawProxy,
    pub database: RawDatabase,
    pub server: RawServer,
    /// None: nobody is looked up.
    pub auth_query: Value<RawAuthQuery>,
    pub users: Vec<Spanned<RawUser>>,
    pub access: Vec<Spanned<RawAccess>>,
    pub pool: RawPool,
    pub health: RawHealth,
    pub limits: RawLimits,
    pub scratch: RawScratch,
    pub http: RawHttp,
    pub tls: RawTls,
    pub log: RawLog,
    pub geo: RawGeo,
    pub regions: Vec<Spanned<RawRegion>>,
    pub shards: Vec<Spanned<RawShard>>,
    pub tables: Vec<Spanned<RawTable>>,
    pub functions: RawFunctions,
    pub distances: BTreeMap<Name, BTreeMap<Name, Spanned<f64>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProxy {
    pub listen: Value<String>,
    pub region: Value<String>,
    pub workers: Value<i64>,
    pub clients_max: Value<i64>,
    pub auth: Value<String>,
    pub authentication_timeout: Value<RawDuration>,
    pub message_bytes_max: Value<RawSize>,
    pub plan_cache_bytes: Value<RawSize>,
    pub consistency: Value<String>,
    pub max_lag: Value<RawDuration>,
    pub primary_wait: Value<RawDuration>,
    pub idle_transaction_timeout: Value<RawDuration>,
    pub client_statements_max: Value<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDatabase {
    pub name: Value<String>,
    pub default_shard: Value<String>,
    pub connections_max: Value<i64>,
    pub pool_size: Value<i64>,
    pub aliases: Value<Vec<Name>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAuthQuery {
    pub query: Value<String>,
    pub shard: Value<String>,
    pub lifetime: Value<RawDuration>,
    pub unknown_lifetime: Value<RawDuration>,
    pub entries_max: Value<i64>,
    pub timeout: Value<RawDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServer {
    pub user: Value<String>,
    pub password: Value<Secret>,
    pub password_file: Value<String>,
    pub tls: Value<String>,
    pub tls_ca_file: Value<String>,
    pub tls_certificate_file: Value<String>,
    pub tls_key_file: Value<String>,
    pub connect_timeout: Value<RawDuration>,
    pub keepalive: Value<RawDuration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUser {
    pub name: Name,
    pub password: Value<Secret>,
    pub password_file: Value<String>,
    pub verifier: Value<Secret>,
    pub server_user: Value<String>,
    pub server_password: Value<Secret>,
    pub server_password_file: Value<String>,
    #[serde(default)]
    pub admin: bool,
    #[serde(default)]
    pub read_only: bool,
    pub regions: Value<Vec<Name>>,
    pub pool_size: Value<i64>,
    pub connections_max: Value<i64>,
}

/// One rule; lists that are not written mean all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccess {
    pub connection: Value<String>,
    pub addresses: Value<Vec<Name>>,
    pub users: Value<Vec<Name>>,
    pub databases: Value<Vec<Name>>,
    pub method: Name,
    pub trust_remote: Value<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPool {
    pub size: Value<i64>,
    pub idle_timeout: Value<RawDuration>,
    pub lifetime: Value<RawDuration>,
    pub wait_timeout: Value<RawDuration>,
    pub prepared_statements_max: Value<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHealth {
    pub interval: Value<RawDuration>,
    pub timeout: Value<RawDuration>,
    pub failures: Value<i64>,
    pub catalog_interval: Value<RawDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub merge_rows_max: Value<i64>,
    pub merge_bytes_max: Value<RawSize>,
    pub batch_bytes_max: Value<RawSize>,
    pub shard_buffer_bytes: Value<RawSize>,
    pub copy_row_bytes_max: Value<RawSize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawScratch {
    pub shard: Value<String>,
    pub rows_max: Value<i64>,
    pub bytes_max: Value<RawSize>,
    pub reduce_from_rows: Value<i64>,
    pub concurrent_max: Value<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp {
    pub listen: Value<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub mode: Value<String>,
    pub certificate_file: Value<String>,
    pub key_file: Value<String>,
    pub client_ca_file: Value<String>,
    pub client_certificates: Value<String>,
    pub client_name_is_user: Value<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLog {
    pub format: Value<String>,
    pub level: Value<String>,
    pub slow_statement: Value<RawDuration>,
    pub statements: Value<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGeo {
    pub outside: Value<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegion {
    pub name: Name,
    #[serde(default)]
    pub area: Vec<Spanned<RawArea>>,
}

/// One part of a region's area: a box, or geohash prefixes, or GeoJSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawArea {
    pub latitude: Option<[f64; 2]>,
    pub longitude: Option<[f64; 2]>,
    pub geohash: Option<Vec<Spanned<String>>>,
    pub geojson: Value<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShard {
    pub name: Name,
    pub region: Name,
    pub nodes: Spanned<Vec<Spanned<RawNode>>>,
    pub database: Value<String>,
}

/// `"host:port"` or `{ address = "host:port", region = "…" }`.
#[derive(Debug)]
pub(super) struct RawNode {
    pub address: String,
    pub region: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNodeTable {
    address: String,
    region: Option<String>,
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;

        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = RawNode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"host:port\" or { address = \"host:port\", region = \"…\" }")
            }

            fn visit_str<E>(self, address: &str) -> Result<RawNode, E> {
                Ok(RawNode { address: address.to_owned(), region: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawNode, A::Error> {
                let RawNodeTable { address, region } =
                    RawNodeTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawNode { address, region })
            }
        }

        deserializer.deserialize_any(NodeVisitor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    pub name: Name,
    pub placement: Name,
    pub key: Value<String>,
    pub key_type: Value<String>,
    pub position: Value<RawPosition>,
    pub null_key: Value<String>,
    pub slots: Value<i64>,
    pub virtual_nodes: Value<i64>,
    pub weights: Value<BTreeMap<Name, Spanned<i64>>>,
    pub values: Value<BTreeMap<Name, Vec<Spanned<toml::Value>>>>,
    pub otherwise: Value<String>,
    pub ranges: Value<Vec<Spanned<RawRange>>>,
    pub shard: Value<String>,
    pub residency: Value<Vec<Name>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFunctions {
    pub trusted: Vec<Name>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPosition {
    pub latitude: Value<String>,
    pub longitude: Value<String>,
    pub geohash: Value<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRange {
    pub from: Value<toml::Value>,
    pub to: Value<toml::Value>,
    pub shard: Name,
}

#[cfg(test)]
pub(super) mod keys {
    //! The keys of each section, asked from serde itself, so that the documented file can be compared with them.

    use serde::de::value::Error;
    use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

    pub fn of<'de, T: Deserialize<'de>>() -> Vec<&'static str> {
        let mut keys: &'static [&'static str] = &[];
        let _ = T::deserialize(KeysOnly(&mut keys));
        keys.to_vec()
    }

    struct KeysOnly<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for KeysOnly<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("not a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom("only the keys are wanted"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
}
