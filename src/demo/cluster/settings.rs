//! The configuration files of a node, as text.
//!
//! Servers are small, since a dozen of them share one machine, and reachable from this machine only. The
//! files are written anew before every start, so what is here is what runs: nothing is edited in place.
//!
//! Invariants:
//! 1. A node listens on 127.0.0.1 and on no Unix socket; every connection authenticates by SCRAM.
//! 2. A replica's settings that PostgreSQL compares with the primary's (connections, prepared
//!    transactions, workers) are equal to them: all nodes share `COMMON`.
//! 3. Only a primary has `synchronous_standby_names`: a promoted replica would otherwise wait for itself.

use std::fmt::Write;
use std::net::SocketAddr;

use super::template::SUPERUSER;

/// Whether servers survive a crash of the machine, or are as fast as they can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As PostgreSQL is shipped.
    Safe,
    /// No fsync and no full pages: survives the death of a server, not that of the machine. For tests.
    Fast,
}

/// What a node is for at its next start.
#[derive(Debug, Clone)]
pub enum Duty {
    /// `synchronous` is the replica that must have each commit before it is acknowledged.
    Primary {
        synchronous: Option<String>,
    },
    Replica {
        upstream: SocketAddr,
        password: String,
    },
}

/// Everything that the files of one node depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    pub node: String,
    pub port: u16,
    pub durability: Durability,
    pub duty: Duty,
    /// Later settings win over earlier ones, and all of these over the rest.
    pub extra: Vec<(String, String)>,
}

const COMMON: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 120
shared_buffers = '16MB'
dynamic_shared_memory_type = 'mmap'
jit = off
max_worker_processes = 4
max_parallel_workers = 2
autovacuum_max_workers = 1
max_prepared_transactions = 64
wal_level = 'replica'
max_wal_senders = 8
max_replication_slots = 8
max_slot_wal_keep_size = '1GB'
min_wal_size = '32MB'
max_wal_size = '128MB'
hot_standby = on
hot_standby_feedback = on
wal_receiver_status_interval = '1s'
wal_retrieve_retry_interval = '200ms'
logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] '
log_checkpoints = off
log_timezone = 'UTC'
timezone = 'UTC'
datestyle = 'iso, mdy'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'
";

const FAST: &str = "\
fsync = off
full_page_writes = off
max_wal_size = '64MB'
";

/// `pg_hba.conf` of every node.
pub const ACCESS: &str = "\
# Written by meridian before every start.
host all         all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
";

impl Settings {
    /// The text of `postgresql.conf`.
    pub fn render(&self) -> String {
        let mut text = String::from("# Written by meridian before every start.\n");
        text.push_str(COMMON);
        if self.durability == Durability::Fast {
            text.push_str(FAST);
        }
        let mut set = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        };
        set("port", &self.port.to_string());
        set("cluster_name", &self.node);
        match &self.duty {
            Duty::Primary { synchronous: None } => {}
            Duty::Primary { synchronous: Some(replica) } => {
                set("synchronous_standby_names", &format!("FIRST 1 (\"{replica}\")"));
            }
            Duty::Replica { upstream, password } => {
                set("primary_conninfo", &conninfo(&self.node, *upstream, password));
                set("primary_slot_name", &slot_name(&self.node));
            }
        }
        for (name, value) in &self.extra {
            set(name, value);
        }
        text
    }
}

fn conninfo(node: &str, upstream: SocketAddr, password: &str) -> String {
    format!(
        "host={} port={} user={SUPERUSER} password={password} application_name={node} connect_timeout=5",
        upstream.ip(),
        upstream.port(),
    )
}

/// The replication slot of a node: slot names have no dashes.
pub fn slot_name(node: &str) -> String {
    node.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(duty: Duty) -> Settings {
        Settings {
            node: "us-east-2".to_owned(),
            port: 5433,
            durability: Durability::Safe,
            duty,
            extra: vec![],
        }
    }

    #[test]
    fn primary_names_its_synchronous_replica() {
        let text = settings(Duty::Primary { synchronous: Some("us-east-2".to_owned()) }).render();
        assert!(text.contains("synchronous_standby_names = 'FIRST 1 (\"us-east-2\")'\n"), "{text}");
        assert!(!text.contains("primary_conninfo"));
    }

    #[test]
    fn replica_names_itself_and_its_slot() {
        let upstream = SocketAddr::from(([127, 0, 0, 1], 5432));
        let text = settings(Duty::Replica { upstream, password: "secret".to_owned() }).render();
        assert!(text.contains("application_name=us-east-2 "), "{text}");
        assert!(text.contains("primary_slot_name = 'us_east_2'\n"), "{text}");
        assert!(!text.contains("synchronous_standby_names"));
    }

    #[test]
    fn own_settings_come_last_and_are_quoted() {
        let mut settings = settings(Duty::Primary { synchronous: None });
        settings.durability = Durability::Fast;
        settings.extra = vec![("search_path".to_owned(), "it's".to_owned())];
        assert!(settings.render().ends_with("search_path = 'it''s'\n"));
        assert!(settings.render().contains("fsync = off\n"));
    }
}
