//! The counters of a run, in total and for the measured time.

use std::collections::BTreeMap;
use std::ops::Range;

use super::checker::Content;
use super::histogram::Histogram;
use super::senders::Sender;

const SECOND_US: u64 = 1_000_000;

/// The counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) deliveries: u64,
    pub(crate) acknowledged: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) closed: BTreeMap<u16, u64>,
    pub(crate) measured: Measured,
    measuring: bool,
    /// The measured time, in microseconds of the run.
    span_us: Range<u64>,
}

/// The counters of the measured time.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) deliveries: u64,
    /// Messages acknowledged in each second; the last second may be incomplete.
    pub(crate) acknowledged: Vec<u64>,
    pub(crate) rejected: u64,
    /// From the write of a message to its read by each member.
    pub(crate) latency: Histogram,
    /// From the write of a message to the read of its reply.
    pub(crate) acknowledge: Histogram,
    /// From the write of a message to its read by the last member, even after the measured time.
    pub(crate) complete: Histogram,
}

impl Counters {
    pub(crate) fn start_measuring(&mut self, now_us: u64) {
        self.measuring = true;
        self.span_us = now_us..u64::MAX;
    }

    pub(crate) fn stop_measuring(&mut self, now_us: u64) {
        self.measuring = false;
        self.span_us.end = now_us;
    }

    /// Counts the first receipt of an event by a member.
    pub(crate) fn delivered(&mut self, content: Content, senders: &mut [Sender], now_us: u64) {
        self.received += 1;
        let Content::Message(payload) = content else { return };
        self.deliveries += 1;
        if self.measuring {
            self.measured.deliveries += 1;
            self.measured.latency.record(now_us.saturating_sub(payload.sent_us));
        }
        let sender = senders.get_mut(payload.sender as usize);
        if let Some(sent_us) = sender.and_then(|sender| sender.on_received(payload.number))
            && self.span_us.contains(&sent_us)
        {
            // The last member to read a message determines its time to completion.
            self.measured.complete.record(now_us.saturating_sub(sent_us));
        }
    }

    pub(crate) fn rejected(&mut self, code: String) {
        self.measured.rejected += u64::from(self.measuring);
        *self.errors.entry(code).or_default() += 1;
    }

    /// Counts the reply to a message that was sent at `sent_us`.
    pub(crate) fn answered(&mut self, sent_us: u64, now_us: u64) {
        self.acknowledged += 1;
        if self.measuring {
            let second = (now_us.saturating_sub(self.span_us.start) / SECOND_US) as usize;
            let seconds = &mut self.measured.acknowledged;
            seconds.resize(seconds.len().max(second + 1), 0);
            seconds[second] += 1;
            self.measured.acknowledge.record(now_us.saturating_sub(sent_us));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::payload::Payload;

    /// One sender in a room of two, with messages at these times.
    fn sender(moments: &[u64]) -> [Sender; 1] {
        let mut sender = Sender::new(0, 0, 2, 1);
        for &moment in moments {
            sender.send(moment);
        }
        [sender]
    }

    fn message(number: u32, sent_us: u64) -> Content {
        Content::Message(Payload { sender: 0, number, sent_us })
    }

    #[test]
    fn message_is_complete_once_when_the_last_member_reads_it() {
        let (mut counters, mut senders) = (Counters::default(), sender(&[100]));
        counters.start_measuring(50);
        counters.delivered(message(0, 100), &mut senders, 110);
        assert_eq!((counters.measured.complete.count(), counters.measured.latency.max()), (0, 10));
        counters.delivered(message(0, 100), &mut senders, 140);
        assert_eq!((counters.measured.complete.count(), counters.measured.complete.max()), (1, 40));
        assert_eq!((counters.measured.deliveries, counters.received), (2, 2));
    }

    #[test]
    fn message_may_complete_after_the_measured_time() {
        let (mut counters, mut senders) = (Counters::default(), sender(&[10, 60, 90]));
        counters.start_measuring(50);
        for now_us in [70, 71] {
            counters.delivered(message(0, 10), &mut senders, now_us);
        }
        counters.stop_measuring(80);
        for (number, sent_us) in [(1, 60), (2, 90)] {
            counters.delivered(message(number, sent_us), &mut senders, 95);
            counters.delivered(message(number, sent_us), &mut senders, 99);
        }
        let measured = &counters.measured;
        assert_eq!((measured.complete.count(), measured.complete.max()), (1, 39));
        assert_eq!((measured.deliveries, counters.deliveries), (2, 6));
    }

    #[test]
    fn acknowledgements_are_counted_for_each_second() {
        let mut counters = Counters::default();
        counters.answered(1, 2);
        counters.start_measuring(500_000);
        for now_us in [500_000, 1_499_999, 2_600_000] {
            counters.answered(now_us - 1, now_us);
        }
        counters.rejected("overloaded".to_owned());
        assert_eq!((counters.acknowledged, &*counters.measured.acknowledged), (4, &[2, 0, 1][..]));
        assert_eq!((counters.measured.rejected, counters.errors["overloaded"]), (1, 1));
    }

    #[test]
    fn events_of_others_are_counted_and_not_timed() {
        let (mut counters, mut senders) = (Counters::default(), sender(&[]));
        counters.start_measuring(0);
        counters.delivered(Content::Notice, &mut senders, 5);
        counters.delivered(message(3, 1), &mut senders, 5);
        assert_eq!((counters.received, counters.deliveries, counters.measured.complete.count()), (2, 1, 0));
    }
}
