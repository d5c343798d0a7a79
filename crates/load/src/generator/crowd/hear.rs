//! What becomes of each frame that a connection hears.

use super::{Crowd, JOIN_ID};
use crate::generator::LoadError;
use crate::generator::checker::{Content, Index};
use crate::generator::connection::Stage;
use crate::generator::said::Said;
use crate::generator::wire::{Frame, value_len};

impl Crowd {
    /// What a bare hub says. A hub may put several messages into one, each on its line.
    pub(super) fn hear_hall(&mut self, number: usize, text: &str) {
        for line in text.split('\n') {
            let Some(said) = self.hall.as_mut().and_then(|hall| hall.hear(number, line)) else { continue };
            self.delivered(Content::Message(said));
            // A hub answers nothing: what came back to its sender counts as answered.
            if self.connections[number].sender == Some(said.sender)
                && let Some(sent_us) = self.senders[said.sender as usize].answered(said.number)
            {
                self.count_answer(sent_us);
            }
        }
    }

    /// One object, or an array of them.
    pub(super) fn hear(&mut self, number: usize, text: &str) -> Result<(), LoadError> {
        let Some(mut rest) = text.strip_prefix('[') else {
            return self.hear_object(number, text).map(|length| {
                if length != text.len() {
                    self.checker.unexpected();
                }
            });
        };
        loop {
            let length = self.hear_object(number, rest)?;
            match rest.as_bytes().get(length) {
                Some(b',') => rest = &rest[length + 1..],
                Some(b']') if rest.len() == length + 1 => return Ok(()),
                _ => {
                    self.checker.unexpected();
                    return Ok(());
                }
            }
        }
    }

    /// The object at the beginning of `text`: its length.
    fn hear_object(&mut self, number: usize, text: &str) -> Result<usize, LoadError> {
        let member = &mut self.connections[number].member;
        if let Some((length, content)) = self.checker.hear_same(member, text.as_bytes()) {
            self.delivered(content);
            return Ok(length);
        }
        let Some(length) = value_len(text) else { return Ok(usize::MAX) };
        match serde_json::from_str::<Frame<'_>>(&text[..length]) {
            Ok(frame) => self.hear_frame(number, &frame, &text.as_bytes()[..length])?,
            Err(_) => self.checker.unexpected(),
        }
        Ok(length)
    }

    fn hear_frame(&mut self, number: usize, frame: &Frame<'_>, bytes: &[u8]) -> Result<(), LoadError> {
        match &*frame.kind {
            "message" | "member_joined" | "member_left" | "renamed" => self.hear_event(number, frame, bytes),
            "ok" => self.hear_ok(number, frame),
            "error" => return self.hear_error(number, frame),
            "joined" => self.hear_joined(number, frame),
            "welcome" => self.join(number),
            "gap" => match (frame.from, frame.to) {
                (Some(from), Some(to)) => self.checker.gap(&mut self.connections[number].member, from, to),
                _ => self.checker.unexpected(),
            },
            "presence" | "typing" => {}
            _ => self.checker.unexpected(),
        }
        Ok(())
    }

    fn hear_event(&mut self, number: usize, frame: &Frame<'_>, bytes: &[u8]) {
        let connection = &mut self.connections[number];
        let room = &self.rooms[connection.member.room() as usize];
        let Some(seq) = frame.seq.filter(|_| frame.room.is_some() && frame.room == room.id.as_deref()) else {
            return self.checker.unexpected();
        };
        let content = match &frame.body {
            None => Content::Notice,
            Some(body) => Said::read(body.as_bytes(), self.body).map_or(Content::Altered, Content::Message),
        };
        if self.checker.hear(&mut connection.member, seq, content, bytes) {
            self.delivered(content);
        }
    }

    fn delivered(&mut self, content: Content) {
        self.counts.heard += 1;
        let Content::Message(said) = content else { return };
        self.counts.deliveries += 1;
        if let Some(measured) = &mut self.measured {
            measured.deliveries += 1;
            measured.latency.record(self.now_us.saturating_sub(said.sent_us));
        }
    }

    /// The message that a reply's `id` stands for, and when it was sent.
    fn answered(&mut self, number: usize, id: Option<u64>) -> Option<(Index, u32, u64)> {
        let sender = self.connections[number].sender?;
        let message = u32::try_from(id?.checked_sub(JOIN_ID + 1)?).ok()?;
        Some((sender, message, self.senders[sender as usize].answered(message)?))
    }

    fn hear_ok(&mut self, number: usize, frame: &Frame<'_>) {
        let (Some((sender, message, sent_us)), Some(seq)) = (self.answered(number, frame.id), frame.seq)
        else {
            return self.checker.unexpected();
        };
        let room = self.senders[sender as usize].room;
        self.checker.acknowledged(room, sender, message, seq);
        self.count_answer(sent_us);
    }

    fn count_answer(&mut self, sent_us: u64) {
        self.counts.acknowledged += 1;
        if let Some(measured) = &mut self.measured {
            measured.acknowledge.record(self.now_us.saturating_sub(sent_us));
        }
    }

    fn hear_error(&mut self, number: usize, frame: &Frame<'_>) -> Result<(), LoadError> {
        let code = frame.code.clone().unwrap_or_default();
        // Half a second where the server does not say.
        let again_us = self.now_us + frame.retry_after_ms.unwrap_or(500).saturating_mul(1000);
        let joining = matches!(self.connections[number].stage, Stage::Joining) && frame.id == Some(JOIN_ID);
        if joining && frame.retryable {
            self.rejoin.push((again_us, number));
        } else if joining {
            let why = format!("{code}: {}", frame.message.as_deref().unwrap_or_default());
            return Err(LoadError::Join { number, why });
        } else if let Some((sender, ..)) = self.answered(number, frame.id) {
            // Not sent again: it was not acknowledged, so nothing is owed.
            if frame.retryable {
                self.senders[sender as usize].wait_until(again_us);
            }
        } else {
            self.checker.unexpected();
        }
        *self.counts.errors.entry(code).or_default() += 1;
        Ok(())
    }

    fn hear_joined(&mut self, number: usize, frame: &Frame<'_>) {
        let connection = &mut self.connections[number];
        let room = &mut self.rooms[connection.member.room() as usize];
        let (Some(id), Some(head), Stage::Joining) = (frame.room, frame.head, &connection.stage) else {
            return self.checker.unexpected();
        };
        if room.id.get_or_insert_with(|| id.to_owned()) != id {
            return self.checker.unexpected();
        }
        connection.stage = Stage::Member;
        self.joined += 1;
        self.checker.joined(&mut connection.member, head);
    }

    /// Whether this member has heard all that it should have by now.
    pub(crate) fn is_caught_up(&self, number: usize) -> bool {
        match &self.hall {
            Some(hall) => hall.is_caught_up(number, &self.senders),
            None => self.checker.is_caught_up(&self.connections[number].member),
        }
    }
}
