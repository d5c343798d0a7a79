//! Detection of a dead connection: without it, a client that only reads never notices a connection that was cut silently.

use std::time::{Duration, Instant};

/// The time since a connection received anything.
pub(super) struct Keepalive {
    last_received: Instant,
    ping_sent: bool,
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    Alive,
    /// Silence for the whole interval: the client sends `ping`.
    PingDue,
    /// No answer to the ping within another interval: the client gives up the connection.
    Dead,
}

impl Keepalive {
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        Keepalive { last_received: now, ping_sent: false, timeout }
    }

    pub(super) fn receive_event(&mut self, now: Instant) {
        self.last_received = now;
        self.ping_sent = false;
    }

    pub(super) fn check(&mut self, now: Instant) -> Liveness {
        let silent = now.saturating_duration_since(self.last_received);
        if silent < self.timeout {
            return Liveness::Alive;
        }
        if !self.ping_sent {
            // The reply has the whole interval, however late the ping is sent.
            self.ping_sent = true;
            self.last_received = now - self.timeout;
            return Liveness::PingDue;
        }
        if silent < 2 * self.timeout { Liveness::Alive } else { Liveness::Dead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn after(secs: u64) -> Instant {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BEGIN.get_or_init(|| Instant::now() + 10 * TIMEOUT) + Duration::from_secs(secs)
    }

    #[test]
    fn silence_leads_to_one_ping_and_then_to_dead() {
        let mut keepalive = Keepalive::new(after(0), TIMEOUT);
        let states = [1, 2, 3, 4].map(|secs| keepalive.check(after(secs)));
        assert_eq!(states, [Liveness::Alive, Liveness::PingDue, Liveness::Alive, Liveness::Dead]);
    }

    #[test]
    fn late_check_still_pings_before_giving_up() {
        let mut keepalive = Keepalive::new(after(0), TIMEOUT);
        let states = [9, 10, 11].map(|secs| keepalive.check(after(secs)));
        assert_eq!(states, [Liveness::PingDue, Liveness::Alive, Liveness::Dead]);
    }

    #[test]
    fn reply_restarts_the_timeout() {
        let mut keepalive = Keepalive::new(after(0), TIMEOUT);
        assert_eq!(keepalive.check(after(2)), Liveness::PingDue);
        keepalive.receive_event(after(3));
        let states = [4, 5, 6, 7].map(|secs| keepalive.check(after(secs)));
        assert_eq!(states, [Liveness::Alive, Liveness::PingDue, Liveness::Alive, Liveness::Dead]);
    }
}
