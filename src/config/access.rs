//! Who may come in, from where, to which database, and how they show who they are: `[[access]]`, in the manner of
//! `pg_hba.conf`.
//!
//! Made by `check/access.rs`, asked by `session` for every client once it has said who it is. Pure.
//!
//! ```text
//!   no rules at all          [proxy] auth decides
//!   the first rule that fits its method decides; "reject" turns the client away
//!   none fits                the client is turned away
//! ```
//!
//! Invariants:
//! 1. The order of the file counts; a rule that does not fit is as if it were not there.
//! 2. A client whose address is not known fits no rule that names addresses.
//! 3. An IPv4 address that came through an IPv6 socket (`::ffff:10.0.0.1`) is an IPv4 address.

use std::fmt;
use std::net::IpAddr;

use super::pattern::Pattern;
use super::settings::AuthMethod;

/// The rules in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRules(pub Vec<AccessRule>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    pub connection: ConnectionKind,
    pub addresses: Addresses,
    pub users: Names,
    pub databases: Names,
    pub method: AccessMethod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    Any,
    Tls,
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    All,
    Networks(Vec<Network>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    All,
    Named(Vec<Pattern>),
}

/// What a rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessMethod {
    Ask(AuthMethod),
    /// The certificate's common name is the user's; nothing else is asked.
    Certificate,
    Reject,
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Who stands at the door.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub address: Option<IpAddr>,
    pub encrypted: bool,
    pub user: &'a str,
    pub database: &'a str,
}

/// What the rules say of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are no rules.
    Unruled,
    /// The number of the rule, counted from 1, and its method.
    Ruled(usize, AccessMethod),
    /// There are rules, and none fits.
    Unknown,
}

impl AccessRules {
    pub fn judge(&self, arrival: &Arrival<'_>) -> Verdict {
        if self.0.is_empty() {
            return Verdict::Unruled;
        }
        match self.0.iter().position(|rule| rule.fits(arrival)) {
            Some(index) => Verdict::Ruled(index + 1, self.0[index].method),
            None => Verdict::Unknown,
        }
    }
}

impl AccessRule {
    fn fits(&self, arrival: &Arrival<'_>) -> bool {
        let connection = match self.connection {
            ConnectionKind::Any => true,
            ConnectionKind::Tls => arrival.encrypted,
            ConnectionKind::Plain => !arrival.encrypted,
        };
        let address = match &self.addresses {
            Addresses::All => true,
            Addresses::Networks(networks) => {
                arrival.address.is_some_and(|address| networks.iter().any(|network| network.holds(address)))
            }
        };
        connection && address && self.users.fit(arrival.user) && self.databases.fit(arrival.database)
    }

    /// Whether everybody whom `other` fits surely fits this one too, so that `other` behind it never decides.
    pub fn shadows(&self, other: &AccessRule) -> bool {
        let connection = self.connection == ConnectionKind::Any || self.connection == other.connection;
        let addresses = match (&self.addresses, &other.addresses) {
            (Addresses::All, _) => true,
            (Addresses::Networks(_), Addresses::All) => false,
            (Addresses::Networks(own), Addresses::Networks(others)) => {
                others.iter().all(|other| own.iter().any(|own| own.covers(other)))
            }
        };
        connection && addresses && self.users.cover(&other.users) && self.databases.cover(&other.databases)
    }
}

impl Names {
    pub fn none() -> Self {
        Self::Named(Vec::new())
    }

    pub fn fit(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(patterns) => patterns.iter().any(|pattern| pattern.fits(name)),
        }
    }

    fn cover(&self, other: &Names) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Named(own), Self::All) => own.iter().any(|pattern| pattern.covers(&Pattern::new("*"))),
            (Self::Named(own), Self::Named(others)) => {
                others.iter().all(|other| own.iter().any(|own| own.covers(other)))
            }
        }
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("\"{0}\" is not an address or a network, as \"10.0.0.0/8\" or \"fd00::/8\"")]
    Text(String),
    #[error("\"{text}\" has more than {bits} bits")]
    Prefix { text: String, bits: u8 },
    #[error("\"{text}\" has bits beyond its prefix; the network is \"{network}\"")]
    HostBits { text: String, network: Network },
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let no_network = || NetworkError::Text(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| no_network())?;
        let bits = bits_of(written);
        let digits =
            |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit()).then(|| prefix.parse().ok());
        let prefix: u8 = match prefix {
            None => bits,
            Some(prefix) => digits(prefix).flatten().ok_or_else(no_network)?,
        };
        if prefix > bits {
            return Err(NetworkError::Prefix { text: text.to_owned(), bits });
        }
        let network = Self { address: masked(written, prefix), prefix };
        if network.address != written {
            return Err(NetworkError::HostBits { text: text.to_owned(), network });
        }
        // ::ffff:10.0.0.0/104 means 10.0.0.0/8: its first 96 bits are set, so its prefix is at least as long.
        match written.to_canonical() {
            IpAddr::V4(address) if bits == V6_BITS => {
                Ok(Self { address: address.into(), prefix: prefix - (V6_BITS - V4_BITS) })
            }
            _ => Ok(network),
        }
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        bits_of(address) == bits_of(self.address) && masked(address, self.prefix) == self.address
    }

    fn covers(&self, other: &Network) -> bool {
        self.prefix <= other.prefix && self.holds(other.address)
    }

    /// Whether all of it is this machine.
    pub fn is_loopback(&self) -> bool {
        let is_wide = matches!(self.address, IpAddr::V4(_)) && self.prefix >= 8;
        self.address.is_loopback() && (is_wide || self.prefix == V6_BITS)
    }
}

const V4_BITS: u8 = 32;
const V6_BITS: u8 = 128;

fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => V4_BITS,
        IpAddr::V6(_) => V6_BITS,
    }
}

/// The address with all bits behind the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(V4_BITS.saturating_sub(prefix))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(V6_BITS.saturating_sub(prefix))).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl ConnectionKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Tls => "tls",
            Self::Plain => "plain",
        }
    }
}

impl AccessMethod {
    /// Whether somebody is let in by what is stored for them.
    pub fn asks_password(self) -> bool {
        match self {
            Self::Ask(auth) => auth != AuthMethod::Trust,
            Self::Certificate | Self::Reject => false,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask(auth) => auth.name(),
            Self::Certificate => "cert",
            Self::Reject => "reject",
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Networks(networks) => list(f, networks),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Named(patterns) => list(f, patterns),
        }
    }
}

/// In the order of a line of `pg_hba.conf`: connection, databases, users, addresses, method.
impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, addresses, users, databases, method } = self;
        write!(f, "{} {databases} {users} {addresses} {}", connection.name(), method.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    fn holds(text: &str, address: &str) -> bool {
        network(text).holds(address.parse().unwrap())
    }

    #[test]
    fn networks_hold_their_addresses_of_their_family() {
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00::/8", "fdab::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "10.0.0.1"));
        assert!(holds("::1", "::1") && !holds("::1", "127.0.0.1"));
        assert!(holds("192.0.2.128/25", "192.0.2.129") && !holds("192.0.2.128/25", "192.0.2.1"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6s_clothes_is_an_ipv4_address() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3") && !holds("::/0", "::ffff:10.1.2.3"));
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert!(holds("::ffff:10.0.0.0/104", "10.9.9.9"));
    }

    #[test]
    fn what_is_no_network_says_why() {
        let error = |text: &str| Network::parse(text).unwrap_err().to_string();
        for text in ["", "ten", "10.0.0", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/255.0.0.0", "host/8"] {
            assert!(error(text).contains("is not an address"), "{text}");
        }
        assert_eq!(error("10.0.0.0/33"), "\"10.0.0.0/33\" has more than 32 bits");
        assert_eq!(error("::/129"), "\"::/129\" has more than 128 bits");
        assert_eq!(
            error("10.0.0.1/8"),
            "\"10.0.0.1/8\" has bits beyond its prefix; the network is \"10.0.0.0/8\""
        );
        assert!(error("::ffff:0:0/90").contains("beyond its prefix"));
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_else() {
        assert!(network("127.0.0.0/8").is_loopback() && network("127.0.0.1").is_loopback());
        assert!(network("::1").is_loopback());
        assert!(!network("0.0.0.0/0").is_loopback() && !network("126.0.0.0/7").is_loopback());
        assert!(!network("::/127").is_loopback() && !network("10.0.0.0/8").is_loopback());
    }

    fn rule(
        connection: ConnectionKind,
        addresses: &[&str],
        users: &[&str],
        method: AccessMethod,
    ) -> AccessRule {
        AccessRule {
            connection,
            addresses: match addresses {
                [] => Addresses::All,
                some => Addresses::Networks(some.iter().map(|text| network(text)).collect()),
            },
            users: match users {
                [] => Names::All,
                some => Names::Named(some.iter().map(|text| Pattern::new(text)).collect()),
            },
            databases: Names::All,
            method,
        }
    }

    const SCRAM: AccessMethod = AccessMethod::Ask(AuthMethod::ScramSha256);

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = AccessRules(vec![
            rule(ConnectionKind::Any, &["10.0.0.13"], &[], AccessMethod::Reject),
            rule(ConnectionKind::Any, &["10.0.0.0/8"], &["app_*"], SCRAM),
            rule(ConnectionKind::Tls, &[], &[], SCRAM),
        ]);
        let judge = |address: &str, encrypted, user| {
            rules.judge(&Arrival { address: address.parse().ok(), encrypted, user, database: "d" })
        };
        assert_eq!(judge("10.0.0.13", true, "app_1"), Verdict::Ruled(1, AccessMethod::Reject));
        assert_eq!(judge("10.0.0.14", false, "app_1"), Verdict::Ruled(2, SCRAM));
        assert_eq!(judge("10.0.0.14", false, "ann"), Verdict::Unknown);
        assert_eq!(judge("10.0.0.14", true, "ann"), Verdict::Ruled(3, SCRAM));
        assert_eq!(judge("unknown", false, "app_1"), Verdict::Unknown);
        let nobody = Arrival { address: None, encrypted: false, user: "", database: "" };
        assert_eq!(AccessRules::default().judge(&nobody), Verdict::Unruled);
    }

    #[test]
    fn a_rule_that_never_decides_is_known() {
        let wide = rule(ConnectionKind::Any, &["10.0.0.0/8"], &["app*"], SCRAM);
        assert!(wide.shadows(&rule(ConnectionKind::Tls, &["10.1.0.0/16"], &["app1"], SCRAM)));
        assert!(!wide.shadows(&rule(ConnectionKind::Tls, &["11.0.0.0/8"], &["app1"], SCRAM)));
        assert!(!wide.shadows(&rule(ConnectionKind::Tls, &["10.1.0.0/16"], &[], SCRAM)));
        assert!(!wide.shadows(&rule(ConnectionKind::Tls, &[], &["app1"], SCRAM)));
        let tls = rule(ConnectionKind::Tls, &[], &[], SCRAM);
        assert!(!tls.shadows(&wide) && tls.shadows(&tls));
    }
}
