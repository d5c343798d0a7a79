//! Senders, with their messages and windows, and the schedule that they share.

use super::checker::Index;

/// A connection that sends.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) connection: usize,
    pub(crate) room: Index,
    /// The number of members that receive each message, including the sender.
    pub(crate) audience: u32,
    /// Bounds the unanswered messages.
    pub(crate) window: u32,
    pub(crate) unanswered: u32,
    messages: Vec<Sent>,
    /// The earliest time of the next message, after `retry_after_ms`.
    not_before_us: u64,
    pub(crate) gone: bool,
}

/// The state of one message until every member has received it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The time of the write, in microseconds of the run.
    at_us: u64,
    /// The number of members that have not received it. The checker tracks which ones.
    remaining: u32,
    answered: bool,
}

impl Sender {
    pub(crate) fn new(connection: usize, room: Index, audience: u32, window: u32) -> Self {
        Sender {
            connection,
            room,
            audience,
            window,
            unanswered: 0,
            messages: Vec::new(),
            not_before_us: 0,
            gone: false,
        }
    }

    /// The number of messages that the sender may send now.
    pub(crate) fn allowance(&self, now_us: u64) -> u32 {
        self.within(self.window, now_us)
    }

    pub(crate) fn is_ready(&self, now_us: u64) -> bool {
        self.within(self.window, now_us) > 0
    }

    fn within(&self, window: u32, now_us: u64) -> u32 {
        if self.gone || now_us < self.not_before_us { 0 } else { window.saturating_sub(self.unanswered) }
    }

    /// Adds a message that is sent now. Returns its number.
    pub(crate) fn send(&mut self, now_us: u64) -> u32 {
        self.unanswered += 1;
        self.messages.push(Sent { at_us: now_us, remaining: self.audience, answered: false });
        (self.messages.len() - 1) as u32
    }

    /// Handles the reply to a message. Returns when it was sent; `None` if it was not, or already has a reply.
    pub(crate) fn answered(&mut self, number: u32) -> Option<u64> {
        let message = self.messages.get_mut(number as usize).filter(|message| !message.answered)?;
        message.answered = true;
        self.unanswered -= 1;
        Some(message.at_us)
    }

    /// Counts the first receipt of a message by a member. Returns when it was sent if this was the last member.
    pub(crate) fn on_received(&mut self, number: u32) -> Option<u64> {
        let message = self.messages.get_mut(number as usize)?;
        message.remaining = message.remaining.checked_sub(1)?;
        (message.remaining == 0).then_some(message.at_us)
    }

    pub(crate) fn wait_until(&mut self, moment_us: u64) {
        self.not_before_us = self.not_before_us.max(moment_us);
    }

    /// When the sender may send again; `None` if it need not wait, or waits for a reply.
    pub(crate) fn waits_until(&self, now_us: u64) -> Option<u64> {
        (!self.gone && self.not_before_us > now_us).then_some(self.not_before_us)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.messages.len() as u64
    }
}

/// A steady rate of messages, independent of replies, so that a slow server cannot slow the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start_us: u64,
    per_second: f64,
    taken: u64,
}

impl Schedule {
    pub(crate) fn new(start_us: u64, per_second: f64) -> Self {
        Schedule { start_us, per_second, taken: 0 }
    }

    pub(crate) fn next_us(&self) -> u64 {
        self.start_us + (self.taken as f64 * 1e6 / self.per_second) as u64
    }

    /// Takes the next message if it is due. Returns its delay.
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
    fn window_is_never_exceeded() {
        let mut sender = Sender::new(0, 0, 3, 2);
        assert_eq!((sender.send(1), sender.send(2)), (0, 1));
        assert_eq!(sender.allowance(5), 0);
        assert_eq!(sender.answered(0), Some(1));
        assert_eq!(sender.allowance(5), 1);
    }

    #[test]
    fn second_reply_to_a_message_is_ignored() {
        let mut sender = Sender::new(0, 0, 3, 2);
        sender.send(1);
        assert_eq!((sender.answered(0), sender.answered(0), sender.answered(9)), (Some(1), None, None));
        assert_eq!(sender.unanswered, 0);
    }

    #[test]
    fn message_is_complete_when_the_last_member_received_it() {
        let mut sender = Sender::new(0, 0, 3, 2);
        assert_eq!((sender.send(70), sender.send(80)), (0, 1));
        assert_eq!([sender.on_received(1), sender.on_received(0), sender.on_received(1)], [None; 3]);
        assert_eq!(
            (sender.on_received(1), sender.on_received(0), sender.on_received(0)),
            (Some(80), None, Some(70))
        );
        // A further delivery does not complete it again.
        assert_eq!((sender.on_received(0), sender.on_received(9)), (None, None));
    }

    #[test]
    fn sender_waits_for_retry_after() {
        let mut sender = Sender::new(0, 0, 3, 2);
        sender.wait_until(100);
        assert_eq!((sender.allowance(99), sender.waits_until(99)), (0, Some(100)));
        assert_eq!((sender.allowance(100), sender.waits_until(100)), (2, None));
    }

    #[test]
    fn schedule_keeps_its_rate_and_returns_the_delay() {
        let mut schedule = Schedule::new(1_000_000, 4.0);
        assert_eq!(schedule.take(999_999), None);
        assert_eq!(schedule.take(1_000_000), Some(0));
        assert_eq!(schedule.take(1_249_999), None);
        assert_eq!(schedule.take(1_600_000), Some(350_000));
        assert_eq!(schedule.take(1_600_000), Some(100_000));
        assert_eq!((schedule.take(1_600_000), schedule.next_us()), (None, 1_750_000));
    }
}
