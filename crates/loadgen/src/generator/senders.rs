//! Who sends, how much is unanswered, and when the next message is due.

use super::checker::Index;

/// One connection that sends.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Its connection, by number.
    pub(crate) connection: usize,
    pub(crate) room: Index,
    /// How many hear each message of it, itself included.
    pub(crate) audience: u32,
    /// How many messages it has unanswered at a time; under a schedule, at most.
    pub(crate) window: u32,
    pub(crate) unanswered: u32,
    messages: Vec<Sent>,
    /// Not to send before: the server asked to wait.
    not_before_us: u64,
    pub(crate) gone: bool,
}

/// What became of one message.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// In microseconds of the run.
    at_us: u64,
    /// How many have not heard it yet. One number, however many they are: who has is the checker's business.
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

    /// How many more it may send now.
    pub(crate) fn allowance(&self, now_us: u64) -> u32 {
        self.within(self.window, now_us)
    }

    /// Whether it may send by a schedule.
    pub(crate) fn is_ready(&self, now_us: u64) -> bool {
        self.within(self.window, now_us) > 0
    }

    fn within(&self, window: u32, now_us: u64) -> u32 {
        if self.gone || now_us < self.not_before_us { 0 } else { window.saturating_sub(self.unanswered) }
    }

    /// Notes one more message; returns its number.
    pub(crate) fn send(&mut self, now_us: u64) -> u32 {
        self.unanswered += 1;
        self.messages.push(Sent { at_us: now_us, remaining: self.audience, answered: false });
        (self.messages.len() - 1) as u32
    }

    /// Notes the answer to a message; returns when it was sent, or `None` if nothing was asked or it was answered before.
    pub(crate) fn answered(&mut self, number: u32) -> Option<u64> {
        let message = self.messages.get_mut(number as usize).filter(|message| !message.answered)?;
        message.answered = true;
        self.unanswered -= 1;
        Some(message.at_us)
    }

    /// Notes that one more has heard a message for the first time; returns when it was sent, if that was the last one.
    pub(crate) fn on_received(&mut self, number: u32) -> Option<u64> {
        let message = self.messages.get_mut(number as usize)?;
        message.remaining = message.remaining.checked_sub(1)?;
        (message.remaining == 0).then_some(message.at_us)
    }

    pub(crate) fn wait_until(&mut self, moment_us: u64) {
        self.not_before_us = self.not_before_us.max(moment_us);
    }

    /// When it may send again, if it was asked to wait.
    pub(crate) fn waits_until(&self, now_us: u64) -> Option<u64> {
        (!self.gone && self.not_before_us > now_us).then_some(self.not_before_us)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.messages.len() as u64
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
        let mut sender = Sender::new(0, 0, 3, 2);
        assert_eq!((sender.send(1), sender.send(2)), (0, 1));
        assert_eq!(sender.allowance(5), 0);
        assert_eq!(sender.answered(0), Some(1));
        assert_eq!(sender.allowance(5), 1);
    }

    #[test]
    fn a_message_is_answered_once() {
        let mut sender = Sender::new(0, 0, 3, 2);
        sender.send(1);
        assert_eq!((sender.answered(0), sender.answered(0), sender.answered(9)), (Some(1), None, None));
        assert_eq!(sender.unanswered, 0);
    }

    #[test]
    fn a_message_is_complete_when_the_last_one_has_heard_it() {
        let mut sender = Sender::new(0, 0, 3, 2);
        assert_eq!((sender.send(70), sender.send(80)), (0, 1));
        assert_eq!([sender.on_received(1), sender.on_received(0), sender.on_received(1)], [None; 3]);
        assert_eq!(
            (sender.on_received(1), sender.on_received(0), sender.on_received(0)),
            (Some(80), None, Some(70))
        );
        // One too many is not the last one once more.
        assert_eq!((sender.on_received(0), sender.on_received(9)), (None, None));
    }

    #[test]
    fn whoever_is_asked_to_wait_waits() {
        let mut sender = Sender::new(0, 0, 3, 2);
        sender.wait_until(100);
        assert_eq!((sender.allowance(99), sender.waits_until(99)), (0, Some(100)));
        assert_eq!((sender.allowance(100), sender.waits_until(100)), (2, None));
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
