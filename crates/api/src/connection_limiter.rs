//! The limits of connections, in total and per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway::SlotGuard;
use protocol::ErrorCode;

use crate::ApiError;
use crate::metrics::Metrics;

/// The address for which a connection counts: an IPv4 address, or the /64 network of an IPv6 one, all of whose addresses belong
/// to one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Address {
    /// Includes mapped addresses such as `::ffff:192.0.2.1`.
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Address::V4(ip),
            // The upper half of 128 bits: the cast is lossless.
            IpAddr::V6(ip) => Address::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

/// The limits, and the connections that count towards them.
#[derive(Debug)]
pub(crate) struct ConnectionLimiter {
    max_total: u32,
    max_per_address: u32,
    metrics: Metrics,
    // owner: the accept loop, and each task that drops a permit; held for one map operation; bounded by `max_total` entries.
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: u32,
    by_address: HashMap<Address, u32>,
}

impl ConnectionLimiter {
    pub(crate) fn new(max_total: u32, max_per_address: u32, metrics: Metrics) -> Arc<Self> {
        Arc::new(ConnectionLimiter { max_total, max_per_address, metrics, taken: Mutex::default() })
    }

    /// Takes a slot for a connection. The error is the response to a connection beyond a limit.
    pub(crate) fn admit(self: &Arc<Self>, address: Address) -> Result<Permit, ApiError> {
        let mut taken = self.taken();
        if taken.total >= self.max_total {
            return Err(ApiError::new(
                ErrorCode::Overloaded,
                "the server has as many connections as it accepts",
            ));
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.max_per_address {
            let wait = Duration::from_secs(5);
            return Err(ApiError::rate_limited(
                "your address has as many connections as one address may have",
                wait,
            ));
        }
        *of_address += 1;
        taken.total += 1;
        self.metrics.tcp_opened();
        Ok(Permit { slot: Arc::new(Slot { connection_limiter: Arc::clone(self), address }) })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // No critical section can panic between its changes.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's slot. It moves with the connection through an upgrade, and is freed when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    slot: Arc<Slot>,
}

impl From<Permit> for SlotGuard {
    fn from(permit: Permit) -> Self {
        permit.slot
    }
}

#[derive(Debug)]
struct Slot {
    connection_limiter: Arc<ConnectionLimiter>,
    address: Address,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection_limiter.metrics.tcp_closed();
        let mut taken = self.connection_limiter.taken();
        taken.total -= 1;
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_of_one_network_count_once() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn one_address_cannot_take_all_slots() {
        let connection_limiter = ConnectionLimiter::new(3, 2, Metrics::default());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let first = connection_limiter.admit(one).unwrap();
        let _second = connection_limiter.admit(one).unwrap();
        assert_eq!(connection_limiter.admit(one).unwrap_err().code, ErrorCode::RateLimited);
        let _third = connection_limiter.admit(other).unwrap();
        assert_eq!(connection_limiter.admit(other).unwrap_err().code, ErrorCode::Overloaded);
        drop(first);
        assert!(connection_limiter.admit(one).is_ok());
    }

    #[test]
    fn slot_is_taken_until_the_last_clone_is_dropped() {
        let connection_limiter = ConnectionLimiter::new(1, 1, Metrics::default());
        let permit = connection_limiter.admit(address("::1")).unwrap();
        let upgraded = permit.clone();
        drop(permit);
        assert!(connection_limiter.admit(address("::1")).is_err());
        drop(upgraded);
        assert!(connection_limiter.taken().by_address.is_empty());
        assert!(connection_limiter.admit(address("::1")).is_ok());
    }
}
