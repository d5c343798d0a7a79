//! The deadlines of a connection, as a pure function of the time.

use super::Settings;
use super::wheel::Tick;

/// What the deadlines of a connection are measured from.
///
/// **Invariant:** a connection without activity ends after `websocket_idle`, and is pinged before
/// (`silent_connection_is_pinged_once_then_expires`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// The last time when the peer sent bytes, or accepted bytes into a full socket.
    last_activity: Tick,
    /// When the first byte of the incomplete message arrived.
    message_started: Tick,
    closing_since: Option<Tick>,
    /// A ping was sent since the last activity.
    is_pinged: bool,
}

/// The state of a connection that its deadlines depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity {
    pub(super) has_incomplete_message: bool,
    /// The connection may be read; otherwise backpressure leaves its input in the socket.
    pub(super) can_read: bool,
    /// Backpressure of a room leaves input of this connection unread.
    pub(super) has_unread_input: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing has expired. The next check is due at `next`; `ping` if a ping is due now.
    Alive { next: Tick, ping: bool },
    /// The peer is silent, or has not answered the close frame: the connection ends.
    Expired,
    /// The peer has not completed a message in time.
    IncompleteMessage,
}

impl Deadlines {
    pub(super) fn new(now: Tick) -> Self {
        Deadlines { last_activity: now, message_started: now, closing_since: None, is_pinged: false }
    }

    pub(super) fn on_read(&mut self, now: Tick) {
        self.last_activity = now;
        self.is_pinged = false;
    }

    /// The peer accepted bytes into a socket that had been full.
    pub(super) fn on_resumed_write(&mut self, now: Tick) {
        self.last_activity = now;
    }

    pub(super) fn on_message_start(&mut self, now: Tick) {
        self.message_started = now;
    }

    pub(super) fn on_close(&mut self, now: Tick) {
        self.closing_since = Some(now);
    }

    pub(super) fn check(&mut self, now: Tick, activity: Activity, settings: &Settings) -> Check {
        if let Some(since) = self.closing_since {
            return match since.is_older_than(settings.close, now) {
                true => Check::Expired,
                false => Check::Alive { next: since.after(settings.close), ping: false },
            };
        }
        if activity.has_unread_input {
            self.last_activity = now;
        }
        if self.last_activity.is_older_than(settings.websocket_idle, now) {
            return Check::Expired;
        }
        if !activity.can_read {
            // The rest of the message may be in the socket, unread because of backpressure.
            self.message_started = now;
        }
        let incomplete = activity.has_incomplete_message.then_some(self.message_started);
        if incomplete.is_some_and(|started| started.is_older_than(settings.message_assembly, now)) {
            return Check::IncompleteMessage;
        }
        let mut next = self.last_activity.after(settings.websocket_idle);
        let mut ping = false;
        if !self.is_pinged {
            if self.last_activity.is_older_than(settings.ping_interval, now) {
                (self.is_pinged, ping) = (true, true);
                // By then the peer has most likely replied, and the next ping is due.
                next = next.min(now.after(settings.ping_interval));
            } else {
                next = next.min(self.last_activity.after(settings.ping_interval));
            }
        }
        if let Some(started) = incomplete {
            next = next.min(started.after(settings.message_assembly));
        }
        Check::Alive { next, ping }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shard::tests::world::settings;

    const READABLE: Activity =
        Activity { has_incomplete_message: false, can_read: true, has_unread_input: false };

    fn at(seconds: u64) -> Tick {
        Tick::of(Duration::from_secs(seconds))
    }

    fn is_ping(check: Check) -> bool {
        matches!(check, Check::Alive { ping: true, .. })
    }

    #[test]
    fn silent_connection_is_pinged_once_then_expires() {
        let mut deadlines = Deadlines::new(at(0));
        let mut check = |seconds| deadlines.check(at(seconds), READABLE, &settings());
        assert!(!is_ping(check(30)) && is_ping(check(31)) && !is_ping(check(74)));
        assert_eq!(check(76), Check::Expired);
    }

    #[test]
    fn read_restarts_ping_and_idle_deadlines() {
        let mut deadlines = Deadlines::new(at(0));
        assert!(is_ping(deadlines.check(at(31), READABLE, &settings())));
        deadlines.on_read(at(40));
        assert!(!is_ping(deadlines.check(at(70), READABLE, &settings())));
        assert!(is_ping(deadlines.check(at(71), READABLE, &settings())));
        assert_eq!(deadlines.check(at(116), READABLE, &settings()), Check::Expired);
    }

    #[test]
    fn incomplete_message_expires_unless_reading_is_paused() {
        let incomplete = Activity { has_incomplete_message: true, ..READABLE };
        let mut deadlines = Deadlines::new(at(0));
        deadlines.on_message_start(at(5));
        assert_ne!(deadlines.check(at(35), incomplete, &settings()), Check::IncompleteMessage);
        let paused = Activity { can_read: false, ..incomplete };
        assert_ne!(deadlines.check(at(36), paused, &settings()), Check::IncompleteMessage);
        assert_ne!(deadlines.check(at(66), incomplete, &settings()), Check::IncompleteMessage);
        assert_eq!(deadlines.check(at(67), incomplete, &settings()), Check::IncompleteMessage);
    }

    #[test]
    fn unread_input_keeps_a_connection_alive() {
        let mut deadlines = Deadlines::new(at(0));
        let unread = Activity { can_read: false, has_unread_input: true, ..READABLE };
        assert_ne!(deadlines.check(at(80), unread, &settings()), Check::Expired);
        assert_eq!(deadlines.check(at(156), READABLE, &settings()), Check::Expired);
    }

    #[test]
    fn closing_connection_expires_after_the_close_timeout() {
        let mut deadlines = Deadlines::new(at(0));
        deadlines.on_close(at(10));
        let next = at(10).after(settings().close);
        assert_eq!(deadlines.check(at(11), READABLE, &settings()), Check::Alive { next, ping: false });
        assert_eq!(deadlines.check(at(16), READABLE, &settings()), Check::Expired);
    }
}
