//! Who sends, how much is unanswered, and when the next message is due.

use super::checker::Index;

/// Unanswered messages of one sender under a schedule, at most: a server that stopped answering is not sent more.
const MOST_UNANSWERED: u32 = 10_000;

/// One connection that sends.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Its connection, by number.
    pub(crate) connection: usize,
    pub(crate) room: Index,
    pub(crate) unanswered: u32,
    /// When each message was sent, in microseconds of the run; `None` once it is answered.
    sent_us: Vec<Option<u64>>,
    /// Not to send before: the server asked to wait.
    not_before_us: u64,
    pub(crate) gone: bool,
}

impl Sender {
    pub(crate) fn new(connection: usize, room: Index) -> Self {
        Sender { connection, room, unanswered: 0, sent_us: Vec::new(), not_before_us: 0, gone: false }
    }

    /// How many more it may send now with this window.
    pub(crate) fn allowance(&self, window: u32, now_us: u64) -> u32 {
        if self.gone || now_us < self.not_before_us { 0 } else { window.saturating_sub(self.unanswered) }
    }

    /// Whether it may send by a schedule.
    pub(crate) fn is_ready(&self, now_us: u64) -> bool {
        self.allowance(MOST_UNANSWERED, now_us) > 0
    }

    /// Notes one more message; returns its number.
    pub(crate) fn send(&mut self, now_us: u64) -> u32 {
        self.unanswered += 1;
        self.sent_us.push(Some(now_us));
        (self.sent_us.len() - 1) as u32
    }

    /// Notes the answer to a message; returns when it was sent, or `None` if nothing was asked or it was answered before.
    pub(crate) fn answered(&mut self, number: u32) -> Option<u64> {
        let sent = self.sent_us.get_mut(number as usize)?.take()?;
        self.unanswered -= 1;
        Some(sent)
    }

    pub(crate) fn wait_until(&mut self, moment_us: u64) {
        self.not_before_us = self.not_before_us.max(moment_us);
    }

    /// When it may send again, if it was asked to wait.
    pub(crate) fn waits_until(&self, now_us: u64) -> Option<u64> {
        (!self.gone && self.not_before_us > now_us).then_some(self.not_before_us)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent_us.len() as u64
    }
}

/// Messages at a steady rate, whatever the answers take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    begun_us: u64,
    per_second: f64,
    taken: u64,
}

impl Schedule {
    pub(crate) fn new(begun_us: u64, per_second: f64) -> Self {
        Schedule { begun_us, per_second, taken: 0 }
    }

    /// When the next one is due.
    pub(crate) fn next_us(&self) -> u64 {
        self.begun_us + (self.taken as f64 * 1e6 / self.per_second) as u64
    }

    /// Takes the next one, if it is due: how late it is.
    pub(crate) fn take(&mut self, now_us: u64) -> Option<u64> {
        let late = now_us.checked_sub(self.next_us())?;
        self.taken += 1;
        Some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_never_exceeded() {
        let mut sender = Sender::new(0, 0);
        assert_eq!((sender.send(1), sender.send(2)), (0, 1));
        assert_eq!(sender.allowance(2, 5), 0);
        assert_eq!(sender.answered(0), Some(1));
        assert_eq!(sender.allowance(2, 5), 1);
    }

    #[test]
    fn a_message_is_answered_once() {
        let mut sender = Sender::new(0, 0);
        sender.send(1);
        assert_eq!((sender.answered(0), sender.answered(0), sender.answered(9)), (Some(1), None, None));
        assert_eq!(sender.unanswered, 0);
    }

    #[test]
    fn whoever_is_asked_to_wait_waits() {
        let mut sender = Sender::new(0, 0);
        sender.wait_until(100);
        assert_eq!((sender.allowance(4, 99), sender.waits_until(99)), (0, Some(100)));
        assert_eq!((sender.allowance(4, 100), sender.waits_until(100)), (4, None));
    }

    #[test]
    fn a_schedule_keeps_its_rate_and_tells_how_late_it_is() {
        let mut schedule = Schedule::new(1_000_000, 4.0);
        assert_eq!(schedule.take(999_999), None);
        assert_eq!(schedule.take(1_000_000), Some(0));
        assert_eq!(schedule.take(1_249_999), None);
        assert_eq!(schedule.take(1_600_000), Some(350_000));
        assert_eq!(schedule.take(1_600_000), Some(100_000));
        assert_eq!((schedule.take(1_600_000), schedule.next_us()), (None, 1_750_000));
    }
}
