//! Verifies what each member of each room received.
//!
//! The first member that receives an event defines it. Every other member must receive the same event with the same number,
//! once, in order, and without a missing range that no `gap` announced. An acknowledged message must have the number of its
//! `ok`. The checker is pure: it uses neither a socket nor a clock.

use super::payload::Payload;
use super::recent_frames::RecentFrames;

/// The violations and the announced gaps of a run. Everything except the gaps must be 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Events that a member never received and that no `gap` announced, counted for each member.
    pub lost: u64,
    /// Events that a member received twice, and messages with two numbers.
    pub duplicated: u64,
    /// Events received after one with a greater number, and messages of one sender that are not in the order of sending.
    pub out_of_order: u64,
    /// Bodies that differ from what was sent, and events that differ from what another member received with the same number.
    pub altered: u64,
    /// Acknowledged messages whose event has another number.
    pub wrong_seq: u64,
    /// Events of a room before `joined`, or of another room; frames that are not in the protocol.
    pub unexpected: u64,
    /// `gap` frames to connections that never paused reading.
    pub gaps: u64,
    /// Events that these `gap` frames announced as missing.
    pub gap_events: u64,
    /// `gap` frames to stalled connections, which are expected.
    pub stalled_gaps: u64,
}

impl Findings {
    /// Whether there is no violation; an announced gap is not one.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let Findings {
            lost,
            duplicated,
            out_of_order,
            altered,
            wrong_seq,
            unexpected,
            gaps: _,
            gap_events: _,
            stalled_gaps: _,
        } = self;
        [lost, duplicated, out_of_order, altered, wrong_seq, unexpected].iter().all(|&&count| count == 0)
    }
}

/// The index of a room or a sender, from 0.
pub(crate) type Index = u32;

/// The events of one room that one connection has received.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    room: Index,
    /// Whether the connection pauses reading.
    is_stalled: bool,
    /// The number of the last received event; `None` before `joined`.
    cursor: Option<u64>,
    /// The missing ranges before the cursor; almost always empty.
    gaps: Vec<(u64, u64)>,
}

impl Member {
    /// A member that has not joined yet.
    #[must_use]
    pub(crate) fn new(room: Index) -> Self {
        Member { room, is_stalled: false, cursor: None, gaps: Vec::new() }
    }

    /// A member that has not joined yet, of a connection that will pause reading: gaps are expected, and events that have not
    /// arrived at the end are not lost.
    #[must_use]
    pub(crate) fn stalled(room: Index) -> Self {
        Member { is_stalled: true, ..Member::new(room) }
    }

    #[must_use]
    pub(crate) fn is_joined(&self) -> bool {
        self.cursor.is_some()
    }

    #[must_use]
    pub(crate) fn room(&self) -> Index {
        self.room
    }

    /// Removes `seq` from the missing ranges. Returns `false` if it is in none.
    fn fill(&mut self, seq: u64) -> bool {
        let Some(at) = self.gaps.iter().position(|&(from, to)| (from..=to).contains(&seq)) else {
            return false;
        };
        let (from, to) = self.gaps.swap_remove(at);
        self.gaps.extend([(from, seq - 1), (seq + 1, to)].into_iter().filter(|(from, to)| from <= to));
        true
    }

    fn missing(&self) -> u64 {
        self.gaps.iter().map(|(from, to)| to - from + 1).sum()
    }
}

/// The content of an event, as far as it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// No member has received the event yet.
    Unknown,
    /// A message of one of our senders.
    Message(Payload),
    /// A message that none of our senders sent with this body.
    Altered,
    /// A join, leave or rename.
    Notice,
}

/// Bounds the events of a room in a load run. A greater number is a defect of the server, and must not cost memory.
const MAX_EVENTS: usize = 1 << 26;

#[derive(Debug, Default)]
struct Room {
    /// The number before `contents[0]`, because events before the run are not kept.
    base: u64,
    contents: Vec<Content>,
    recent_frames: RecentFrames,
    members: u32,
    /// The greatest received or acknowledged number.
    last: u64,
}

impl Room {
    fn content(&mut self, seq: u64) -> Option<&mut Content> {
        let at = usize::try_from(seq.checked_sub(self.base + 1)?).ok().filter(|&at| at < MAX_EVENTS)?;
        if at >= self.contents.len() {
            self.contents.resize(at + 1, Content::Unknown);
        }
        Some(&mut self.contents[at])
    }
}

/// Verifies what all members of all rooms receive.
#[derive(Debug)]
pub(crate) struct Checker {
    rooms: Vec<Room>,
    /// For each sender, the acknowledged number of each of its messages; 0 without one.
    acknowledged: Vec<Vec<u64>>,
    findings: Findings,
}

impl Checker {
    /// A checker for this many rooms and senders. `recent_bytes` bounds the recent frames of all rooms, which are kept to
    /// compare bytes instead of parsing JSON.
    #[must_use]
    pub(crate) fn new(rooms: u32, senders: u32, recent_bytes: usize) -> Self {
        let room = || Room {
            recent_frames: RecentFrames::new(recent_bytes / rooms.max(1) as usize),
            ..Room::default()
        };
        Checker {
            rooms: (0..rooms).map(|_| room()).collect(),
            acknowledged: vec![Vec::new(); senders as usize],
            findings: Findings::default(),
        }
    }

    /// The member has joined its room at this head.
    pub(crate) fn joined(&mut self, member: &mut Member, head: u64) {
        let room = &mut self.rooms[member.room as usize];
        if room.members == 0 {
            room.base = head;
        } else if head < room.base {
            // The member that joined first need not be the first to receive `joined`.
            let before = usize::try_from(room.base - head).unwrap_or(usize::MAX).min(MAX_EVENTS);
            room.contents.splice(0..0, std::iter::repeat_n(Content::Unknown, before));
            room.base = head;
        }
        room.members += 1;
        room.last = room.last.max(head);
        member.cursor = Some(head);
    }

    /// Consumes the frames at the start of `bytes` that equal the next known events of this member. Calls `on_frame` for each,
    /// and returns their length. Almost all deliveries take this path, at the cost of one comparison.
    pub(crate) fn receive_known_frames(
        &self,
        member: &mut Member,
        bytes: &[u8],
        mut on_frame: impl FnMut(Content),
    ) -> usize {
        let Some(cursor) = &mut member.cursor else { return 0 };
        let room = &self.rooms[member.room as usize];
        let mut used = 0;
        while let Some(known) = room.recent_frames.frame(*cursor + 1)
            && bytes[used..].starts_with(known)
        {
            used += known.len();
            on_frame(room.contents[(*cursor - room.base) as usize]);
            *cursor += 1;
        }
        used
    }

    /// Like `receive_known_frames`, for one event that is in an array. If its JSON is at the start of `bytes`, returns its
    /// length and content.
    pub(crate) fn receive_known(&self, member: &mut Member, bytes: &[u8]) -> Option<(usize, Content)> {
        let seq = member.cursor? + 1;
        let room = &self.rooms[member.room as usize];
        let length = room.recent_frames.json(seq).filter(|known| bytes.starts_with(known))?.len();
        member.cursor = Some(seq);
        Some((length, room.contents[(seq - room.base - 1) as usize]))
    }

    /// Handles an event that the member received, with its JSON. Returns whether it is new to the member.
    pub(crate) fn receive(&mut self, member: &mut Member, seq: u64, content: Content, bytes: &[u8]) -> bool {
        let room = &mut self.rooms[member.room as usize];
        let (Some(cursor), Some(known)) = (member.cursor, room.content(seq)) else {
            self.findings.unexpected += 1;
            return false;
        };
        if *known == Content::Unknown {
            *known = content;
            self.findings.altered += u64::from(content == Content::Altered);
            room.recent_frames.offer(seq, bytes);
        } else if *known != content {
            self.findings.altered += 1;
        }
        room.last = room.last.max(seq);
        if seq > cursor {
            if seq > cursor + 1 {
                member.gaps.push((cursor + 1, seq - 1));
            }
            member.cursor = Some(seq);
            return true;
        }
        let was_missing = member.fill(seq);
        if was_missing {
            self.findings.out_of_order += 1;
        } else {
            self.findings.duplicated += 1;
        }
        was_missing
    }

    /// The member received `gap`.
    pub(crate) fn gap(&mut self, member: &mut Member, from: u64, to: u64) {
        if member.is_stalled {
            self.findings.stalled_gaps += 1;
        } else {
            self.findings.gaps += 1;
        }
        let Some(cursor) = member.cursor.filter(|_| (1..=to).contains(&from)) else {
            self.findings.unexpected += 1;
            return;
        };
        let (before, mut excused) = (member.missing(), 0);
        let mut gaps = Vec::new();
        for &(a, b) in &member.gaps {
            gaps.extend([(a, b.min(from - 1)), (a.max(to + 1), b)].into_iter().filter(|(a, b)| a <= b));
        }
        member.gaps = gaps;
        excused += before - member.missing();
        if to > cursor {
            if from > cursor + 1 {
                member.gaps.push((cursor + 1, from - 1));
            }
            excused += to - from.max(cursor + 1) + 1;
            member.cursor = Some(to);
        }
        if !member.is_stalled {
            self.findings.gap_events += excused;
        }
        let room = &mut self.rooms[member.room as usize];
        room.last = room.last.max(to);
    }

    /// The sender's message was acknowledged with this number.
    pub(crate) fn acknowledged(&mut self, room: Index, sender: Index, number: u32, seq: u64) {
        let room = &mut self.rooms[room as usize];
        if room.content(seq).is_none() {
            self.findings.wrong_seq += 1;
            return;
        }
        room.last = room.last.max(seq);
        let seqs = &mut self.acknowledged[sender as usize];
        if seqs.len() <= number as usize {
            seqs.resize(number as usize + 1, 0);
        }
        seqs[number as usize] = seq;
    }

    /// A frame arrived that the protocol does not allow here.
    pub(crate) fn unexpected(&mut self) {
        self.findings.unexpected += 1;
    }

    /// Whether the member has received, or was announced as a gap, every known event of its room.
    #[must_use]
    pub(crate) fn is_caught_up(&self, member: &Member) -> bool {
        member.cursor.is_some_and(|cursor| cursor >= self.rooms[member.room as usize].last)
    }

    /// Returns the findings. `members` includes whether the connection was open at the end. If not, later events are not lost,
    /// since the client would request them on reconnect. `room_of` maps a sender to its room.
    #[must_use]
    pub(crate) fn finish<'m>(
        mut self,
        members: impl IntoIterator<Item = (&'m Member, bool)>,
        room_of: impl Fn(Index) -> Index,
    ) -> Findings {
        for (member, is_alive) in members {
            let Some(cursor) = member.cursor else { continue };
            self.findings.lost += member.missing();
            if is_alive && !member.is_stalled {
                self.findings.lost += self.rooms[member.room as usize].last.saturating_sub(cursor);
            }
        }
        for (sender, seqs) in self.acknowledged.iter().enumerate() {
            let sender = sender as Index;
            let room = &self.rooms[room_of(sender) as usize];
            for (number, &seq) in seqs.iter().enumerate().filter(|&(_, &seq)| seq > 0) {
                match room.contents[(seq - room.base - 1) as usize] {
                    Content::Message(payload)
                        if (payload.sender, payload.number as usize) == (sender, number) => {}
                    // No member received it: counted as lost, for each member.
                    Content::Unknown => {}
                    _ => self.findings.wrong_seq += 1,
                }
            }
        }
        let mut last_of = vec![None; self.acknowledged.len()];
        let mut seen: Vec<Vec<bool>> = vec![Vec::new(); self.acknowledged.len()];
        for content in self.rooms.iter().flat_map(|room| &room.contents) {
            let Content::Message(payload) = content else { continue };
            let (Some(last), Some(seen)) =
                (last_of.get_mut(payload.sender as usize), seen.get_mut(payload.sender as usize))
            else {
                self.findings.altered += 1;
                continue;
            };
            if seen.len() <= payload.number as usize {
                seen.resize(payload.number as usize + 1, false);
            }
            if std::mem::replace(&mut seen[payload.number as usize], true) {
                self.findings.duplicated += 1;
            } else if last.is_some_and(|last| payload.number < last) {
                self.findings.out_of_order += 1;
            }
            *last = Some(last.map_or(payload.number, |last: u32| last.max(payload.number)));
        }
        self.findings
    }
}

#[cfg(test)]
mod tests;
