//! The client's view of the rooms, updated by the frames that it receives.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use websocket::{Decoder, Message};

use super::super::world::Peer;

#[derive(Clone, Debug, Default)]
pub(super) struct RoomView {
    pub(super) open: bool,
    /// The possible sequence numbers of the next event.
    pub(super) next: BTreeSet<u64>,
    /// The head of the last `joined`.
    pub(super) joined_at: u64,
    /// The end of the last gap, which may contain the end of the membership.
    pub(super) gap_to: u64,
}

pub(super) enum PendingCommand {
    Join { after: Option<u64> },
    Resume,
    Leave { room: Option<u64> },
    Send { key: String },
    Other,
}

/// A client, with what it expects to receive.
pub(super) struct Client {
    pub(super) peer: Peer,
    pub(super) decoder: Decoder,
    pub(super) user: u64,
    pub(super) transient: bool,
    pub(super) is_text: bool,
    pub(super) next_id: u64,
    pub(super) pending: HashMap<u64, PendingCommand>,
    /// The cursors of the pending `resume`.
    pub(super) resuming: BTreeMap<u64, u64>,
    pub(super) rooms: BTreeMap<u64, RoomView>,
    /// The rooms whose `joined` will follow a `reset`.
    pub(super) reset: BTreeSet<u64>,
    pub(super) names: HashMap<String, u64>,
    pub(super) closed: bool,
    pub(super) received: BTreeSet<String>,
    /// Whether the `ok` of a `resume` may precede rooms that are backfilled, see `resume_is_answered_after_all_its_rooms`.
    pub(super) is_exempt_from_resume_order: bool,
}

impl Client {
    pub(super) fn take(&mut self, acknowledged: &mut BTreeMap<(u64, String), u64>) {
        let mut bytes = self.peer.take_raw();
        assert!(bytes.is_empty() || !self.closed, "bytes after the close frame");
        let mut rest = &mut bytes[..];
        let mut texts = Vec::new();
        let mut closed = false;
        while !rest.is_empty() {
            match self.decoder.next(&mut rest).unwrap() {
                Some(Message::Text(text)) => texts.push(text.to_owned()),
                Some(Message::Close(_)) => {
                    closed = true;
                    break;
                }
                Some(_) => {}
                None => break,
            }
        }
        assert!(!closed || rest.is_empty(), "{} bytes after the close frame", rest.len());
        for text in texts {
            if self.is_text {
                self.apply_line(text);
            } else {
                self.apply_frame(&serde_json::from_str(&text).unwrap(), acknowledged);
            }
        }
        self.closed |= closed;
    }

    fn apply_line(&mut self, line: String) {
        if line.starts_with('*') {
            // The notice may be a change of room, whose stored read position may be older than the last line.
            self.received.clear();
        }
        // Every message contains a unique number.
        if let Some((_, sent)) = line.split_once(": ").filter(|_| !line.starts_with('*')) {
            assert!(self.received.insert(sent.to_owned()), "received twice: {line}");
        }
    }

    fn apply_frame(&mut self, frame: &Value, acknowledged: &mut BTreeMap<(u64, String), u64>) {
        let room = frame["room"].as_str().and_then(|room| room.strip_prefix('r')?.parse::<u64>().ok());
        let number = |field: &str| frame[field].as_u64();
        let pending = number("id").map(|id| {
            self.pending.remove(&id).unwrap_or_else(|| panic!("no command is pending for {frame}"))
        });
        match frame["type"].as_str().unwrap() {
            "welcome" | "presence" | "typing" => {}
            "reset" => {
                self.reset.insert(room.unwrap());
            }
            "joined" => {
                let room = room.unwrap();
                self.names.insert(frame["name"].as_str().unwrap().to_owned(), room);
                let head = number("head").unwrap();
                let after = match pending {
                    Some(PendingCommand::Join { after }) => after,
                    None => {
                        Some(self.resuming.remove(&room).unwrap_or_else(|| panic!("unrequested {frame}")))
                    }
                    Some(_) => panic!("{frame} is not a reply to that command"),
                };
                let view = self.rooms.entry(room).or_default();
                if self.reset.remove(&room) {
                    view.next = [head + 1].into();
                } else if let Some(after) = after {
                    assert!(after <= head, "no reset: {frame}");
                    view.next = [after + 1].into();
                } else if !view.open {
                    // After a leave, the connection may not be detached yet.
                    view.next.insert(head + 1);
                }
                (view.open, view.joined_at) = (true, head);
            }
            "ok" => match pending {
                Some(PendingCommand::Leave { .. }) => {
                    let seq = number("seq").unwrap();
                    // The reply does not contain the room, so the client keeps it with the command.
                    if let Some(PendingCommand::Leave { room: Some(room) }) = pending {
                        let view = self.rooms.entry(room).or_default();
                        if view.joined_at < seq {
                            view.open = false;
                            view.next.clear();
                        }
                    }
                }
                Some(PendingCommand::Send { key }) => {
                    let seq = number("seq").unwrap();
                    let before = acknowledged.insert((self.user, key), seq);
                    assert!(
                        before.is_none_or(|before| before == seq),
                        "two sequence numbers for one key: {frame}"
                    );
                }
                Some(PendingCommand::Resume) if !self.is_exempt_from_resume_order => {
                    assert!(self.resuming.is_empty(), "rooms without a reply: {frame}");
                }
                _ => {}
            },
            "error" => {
                if let (None, Some(room)) = (number("id"), room) {
                    self.resuming.remove(&room);
                }
            }
            "gap" => {
                let (from, to) = (number("from").unwrap(), number("to").unwrap());
                assert!(to >= from);
                self.step(room.unwrap(), from, to, frame);
                self.rooms.entry(room.unwrap()).or_default().gap_to = to;
            }
            _ => {
                let (room, seq) = (room.unwrap(), number("seq").unwrap());
                self.step(room, seq, seq, frame);
                let own = frame["by"]["id"] == format!("u{}", self.user);
                let view = self.rooms.entry(room).or_default();
                if frame["type"] == "member_left" && own && seq > view.joined_at {
                    view.open = false;
                }
            }
        }
    }

    fn step(&mut self, room: u64, from: u64, to: u64, frame: &Value) {
        let user = self.user;
        let view = self.rooms.entry(room).or_default();
        assert!(view.open, "u{user} is not in r{room}, and receives {frame}");
        assert!(view.next.contains(&from), "u{user} expected {:?} in r{room}: {frame}", view.next);
        view.next = [to + 1].into();
    }
}
