//! Verifies what the members of a hub, or the subscribers of NATS, received. Such a server has no event numbers, so less is
//! required than of Teahouse: each message once, unaltered, and the messages of one sender in order.

use std::collections::HashSet;

use super::Findings;
use super::checker::Index;
use super::payload::Payload;
use super::recent_frames::RecentFrames;
use super::senders::Sender;

const BEFORE: &[u8] = br#"{"body":""#;
const AFTER: &[u8] = br#""}"#;

/// The size of the log that is kept: some seconds of a busy hub.
const LOG_BYTES: usize = 32 * 1024 * 1024;

/// The verification of one room without event numbers.
#[derive(Debug)]
pub(crate) struct Channel {
    /// The index among `channels`, to which senders are assigned in turn.
    index: Index,
    channels: Index,
    senders: usize,
    /// The number of members that never pause reading: the first ones.
    readers: usize,
    body: usize,
    /// The texts in the order in which the first member received them. Most other members receive the same order, so their
    /// texts need not be parsed again.
    log: RecentFrames,
    /// The payloads of the messages in the log.
    messages: Vec<LoggedMessage>,
    /// For each member, the position up to which its order equals that of the log.
    position: Vec<usize>,
    /// For each member and sender of this channel, the number of the next message.
    next: Vec<Index>,
    /// For each member, the number of distinct messages received.
    received: Vec<u64>,
    /// Member, sender and number of skipped messages; almost always empty.
    gaps: HashSet<(usize, Index, u32)>,
    findings: Findings,
}

/// A message with the index of its sender in the channel, computed once instead of for each member.
#[derive(Clone, Copy, Debug)]
struct LoggedMessage {
    payload: Payload,
    sender: Index,
}

impl Channel {
    /// A single channel with this many members and senders.
    pub(crate) fn new(readers: u32, stalled: u32, senders: u32, body: usize) -> Self {
        let (members, senders) = ((readers + stalled) as usize, senders as usize);
        Channel {
            index: 0,
            channels: 1,
            senders,
            readers: readers as usize,
            body,
            log: RecentFrames::new(LOG_BYTES),
            messages: Vec::new(),
            position: vec![0; members],
            next: vec![0; members * senders],
            received: vec![0; members],
            gaps: HashSet::new(),
            findings: Findings::default(),
        }
    }

    /// Makes this channel one of several, which share the memory.
    pub(crate) fn among(self, index: Index, channels: Index) -> Self {
        Channel { index, channels, log: RecentFrames::new(LOG_BYTES / channels as usize), ..self }
    }

    /// The senders that send to this channel.
    fn own<'a>(&self, senders: &'a [Sender]) -> impl Iterator<Item = &'a Sender> + Clone + use<'a> {
        senders.iter().skip(self.index as usize).step_by(self.channels as usize)
    }

    /// Appends the text of a message with this body.
    pub(crate) fn write(body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(BEFORE);
        out.extend_from_slice(body);
        out.extend_from_slice(AFTER);
    }

    /// Consumes the frames at the start of `bytes` that equal the next ones of the log and are their senders' next messages.
    /// Returns their length.
    pub(crate) fn receive_known_frames(
        &mut self,
        member: usize,
        bytes: &[u8],
        mut on_message: impl FnMut(Payload),
    ) -> usize {
        let mut used = 0;
        let position = &mut self.position[member];
        while let Some(known) = self.log.frame(*position as u64)
            && bytes[used..].starts_with(known)
        {
            let LoggedMessage { payload, sender } = self.messages[*position];
            let next = &mut self.next[member * self.senders + sender as usize];
            if *next != payload.number {
                break;
            }
            *next += 1;
            *position += 1;
            used += known.len();
            self.received[member] += 1;
            on_message(payload);
        }
        used
    }

    /// Parses a text. Returns `None`, and counts a finding, if no sender of this channel sent it.
    fn read(&mut self, member: usize, text: &[u8]) -> Option<LoggedMessage> {
        let position = self.position[member];
        if self.log.json(position as u64) == Some(text) {
            self.position[member] += 1;
            return Some(self.messages[position]);
        }
        let body = text.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
        let Some(payload) = body.and_then(|body| Payload::read(body, self.body)) else {
            self.findings.altered += 1;
            return None;
        };
        if payload.sender % self.channels != self.index {
            self.findings.unexpected += 1;
            return None;
        }
        let message = LoggedMessage { payload, sender: payload.sender / self.channels };
        if (message.sender as usize) >= self.senders {
            self.findings.altered += 1;
            return None;
        }
        if position == self.messages.len() {
            self.log.offer(position as u64, text);
            self.messages.push(message);
            self.position[member] += 1;
        }
        Some(message)
    }

    /// Handles a text that the member received. Returns its payload if it is new to the member.
    pub(crate) fn receive(&mut self, member: usize, text: &[u8]) -> Option<Payload> {
        let LoggedMessage { payload, sender } = self.read(member, text)?;
        let next = &mut self.next[member * self.senders + sender as usize];
        if payload.number < *next {
            if !self.gaps.remove(&(member, sender, payload.number)) {
                self.findings.duplicated += 1;
                return None;
            }
            self.findings.out_of_order += 1;
        } else {
            if member >= self.readers {
                // A hub may skip messages for a member that does not read, and has no way to announce it.
                self.findings.stalled_gaps += u64::from(payload.number > *next);
            } else {
                self.gaps.extend((*next..payload.number).map(|number| (member, sender, number)));
            }
            *next = payload.number + 1;
        }
        self.received[member] += 1;
        Some(payload)
    }

    /// Whether the member has received every message of the channel.
    pub(crate) fn is_caught_up(&self, member: usize, senders: &[Sender]) -> bool {
        self.received[member] >= self.own(senders).map(Sender::sent).sum()
    }

    /// Adds the findings. `is_alive` is whether each member's connection was open at the end: if not, later messages are not
    /// lost, but the closed connection is counted.
    pub(crate) fn finish(
        self,
        is_alive: impl Iterator<Item = bool>,
        senders: &[Sender],
        findings: &mut Findings,
    ) {
        findings.altered += self.findings.altered;
        findings.duplicated += self.findings.duplicated;
        findings.out_of_order += self.findings.out_of_order;
        findings.unexpected += self.findings.unexpected;
        findings.stalled_gaps += self.findings.stalled_gaps;
        findings.lost += self.gaps.len() as u64;
        let own = self.own(senders);
        let members = self.next.chunks(self.senders.max(1)).zip(is_alive).take(self.readers);
        for (next, _) in members.filter(|&(_, is_alive)| is_alive) {
            let missing = next.iter().zip(own.clone()).map(|(&next, sender)| sender.sent() - u64::from(next));
            findings.lost += missing.sum::<u64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sender: u32, number: u32) -> Vec<u8> {
        let (mut body, mut out) = (Vec::new(), Vec::new());
        Payload { sender, number, sent_us: 5 }.write(80, &mut body);
        Channel::write(&body, &mut out);
        out
    }

    /// Findings for two members and two senders with three messages each, of which the second member received these.
    fn findings(received: &[(u32, u32)]) -> Findings {
        let mut channel = Channel::new(2, 0, 2, 80);
        let mut senders = [Sender::new(0, 0, 2, 1), Sender::new(1, 0, 2, 1)];
        for (sender, number) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            assert_eq!(senders[sender as usize].send(5), number);
            assert!(channel.receive(0, &text(sender, number)).is_some());
        }
        assert!(channel.is_caught_up(0, &senders) && !channel.is_caught_up(1, &senders));
        for &(sender, number) in received {
            channel.receive(1, &text(sender, number));
        }
        let mut findings = Findings::default();
        channel.finish([true, true].into_iter(), &senders, &mut findings);
        findings
    }

    #[test]
    fn messages_of_each_sender_must_keep_their_order() {
        let clean = Findings::default();
        assert_eq!(findings(&[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]), clean);
        assert_eq!(findings(&[(1, 0), (0, 0), (1, 1), (0, 1), (1, 2), (0, 2)]), clean);
        let swapped = findings(&[(0, 1), (0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(swapped, Findings { out_of_order: 1, ..clean });
    }

    #[test]
    fn missing_and_duplicated_messages_are_counted() {
        let clean = Findings::default();
        assert_eq!(findings(&[(0, 0), (0, 2), (1, 0), (1, 1)]), Findings { lost: 2, ..clean.clone() });
        let duplicated = findings(&[(0, 0), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(duplicated, Findings { duplicated: 1, ..clean });
    }

    #[test]
    fn text_that_was_not_sent_counts_as_altered() {
        let mut channel = Channel::new(1, 0, 1, 80);
        let mut changed = text(0, 0);
        changed[70] ^= 1;
        for received in [b"", &b"{}"[..], &text(1, 0), &changed, &text(0, 0)[1..]] {
            assert!(channel.receive(0, received).is_none());
        }
        assert_eq!(channel.findings.altered, 5);
    }

    #[test]
    fn message_of_another_channel_is_unexpected() {
        let mut channel = Channel::new(1, 0, 2, 80).among(1, 3);
        let mut senders: Vec<_> =
            (0..6).map(|sender| Sender::new(sender, sender as Index % 3, 1, 1)).collect();
        for sender in &mut senders {
            sender.send(5);
        }
        for (sender, is_own) in [(1, true), (3, false), (5, false), (4, true)] {
            assert!(!channel.is_caught_up(0, &senders));
            assert_eq!(channel.receive(0, &text(sender, 0)).is_some(), is_own);
        }
        assert!(channel.is_caught_up(0, &senders));
        senders[0].send(6);
        assert!(channel.is_caught_up(0, &senders));
        senders[4].send(6);
        assert!(!channel.is_caught_up(0, &senders));
        let mut findings = Findings::default();
        channel.finish([true].into_iter(), &senders, &mut findings);
        assert_eq!(findings, Findings { unexpected: 2, lost: 1, ..Findings::default() });
    }

    #[test]
    fn stalled_member_may_miss_messages_but_not_duplicate_them() {
        let mut channel = Channel::new(1, 1, 1, 80);
        let mut senders = [Sender::new(0, 0, 1, 1)];
        for number in 0..5 {
            senders[0].send(5);
            channel.receive(0, &text(0, number));
        }
        for number in [0, 3, 3] {
            channel.receive(1, &text(0, number));
        }
        let mut findings = Findings::default();
        channel.finish([true, true].into_iter(), &senders, &mut findings);
        assert_eq!(findings, Findings { stalled_gaps: 1, duplicated: 1, ..Findings::default() });
    }

    /// The messages that a second member recognizes in `bytes` by comparison with what the first received.
    fn by_frames(first_numbers: &[u32], bytes: &[u8]) -> (Vec<u32>, usize) {
        let mut channel = Channel::new(2, 0, 1, 80);
        for &number in first_numbers {
            channel.receive(0, &text(0, number));
        }
        let mut message = Vec::new();
        let used = channel.receive_known_frames(1, bytes, |payload| message.push(payload.number));
        assert_eq!(channel.received[1], message.len() as u64);
        (message, used)
    }

    #[test]
    fn frames_another_member_received_are_recognized() {
        let frames: Vec<_> = (0..3).map(|number| websocket::text_frame(&text(0, number))).collect();
        let (all, one) = (frames.concat(), frames[0].len());
        assert_eq!(by_frames(&[0, 1, 2], &all), (vec![0, 1, 2], 3 * one));
        assert_eq!(by_frames(&[0, 1], &all), (vec![0, 1], 2 * one));
        assert_eq!(by_frames(&[0, 1, 2], &all[..all.len() - 1]), (vec![0, 1], 2 * one));
        assert_eq!(by_frames(&[0, 1, 2], &all[one..]), (vec![], 0));
        assert_eq!(by_frames(&[], &all), (vec![], 0));
    }

    #[test]
    fn duplicate_to_all_members_is_counted_for_each() {
        let frames: Vec<_> = [0, 0, 1].map(|number| websocket::text_frame(&text(0, number))).into();
        assert_eq!(by_frames(&[0, 0, 1], &frames.concat()), (vec![0], frames[0].len()));
        let duplicated = findings(&[(0, 0), (0, 1), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(duplicated, Findings { duplicated: 1, ..Findings::default() });
    }
}
