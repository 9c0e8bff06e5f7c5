//! Free ports for servers, out of the way of outgoing connections.
//!
//! A port that the kernel hands out (`bind` to port 0) is from the range it also uses for outgoing connections:
//! it may be taken again before the server binds it. So ports are drawn from below that range.
//!
//! Invariants:
//! 1. No port is given twice by one `Ports`, nor drawn that another one of this process has given.
//! 2. A port that was free at the time of asking is returned, or an error; never a loop without end.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{LazyLock, Mutex, PoisonError};

use rand::Rng;
use socket2::{Domain, Socket, Type};

use super::error::ClusterError;

/// Below the range of Linux (32768) and of macOS and the BSDs (49152).
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS_MAX: usize = 1000;

/// By every [`Ports`] of this process: what is to be listened on in a moment looks free until then.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// The ports of one cluster so far.
#[derive(Debug, Default)]
pub struct Ports {
    given: HashSet<u16>,
}

impl Ports {
    /// A port that nobody listens on now.
    pub fn next_free(&mut self) -> Result<u16, ClusterError> {
        let mut random = rand::rng();
        for _ in 0..ATTEMPTS_MAX {
            let port = random.random_range(RANGE);
            if is_free(port) && is_new(port) {
                self.given.insert(port);
                return Ok(port);
            }
        }
        Err(ClusterError::Invalid("no port from 20000 to 32000 is free".to_owned()))
    }

    /// This port if it is free, else another.
    pub fn keep_or_replace(&mut self, port: u16) -> Result<u16, ClusterError> {
        if is_free(port) && self.given.insert(port) {
            let _ = is_new(port);
            return Ok(port);
        }
        self.next_free()
    }
}

/// Notes it as given.
fn is_new(port: u16) -> bool {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port)
}

/// Bound, and never listened on: a process that is forked meanwhile has the socket until it executes its program, and nobody
/// could listen there so long.
fn is_free(port: u16) -> bool {
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).and_then(|socket| {
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())
    });
    bound.is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_given_once_and_a_taken_one_is_replaced() {
        let mut ports = Ports::default();
        let first = ports.next_free().unwrap();
        assert_ne!(ports.keep_or_replace(first).unwrap(), first);
        // Who has had it may have it again.
        assert_eq!(Ports::default().keep_or_replace(first).unwrap(), first);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(ports.keep_or_replace(port).unwrap(), port);
    }
}
