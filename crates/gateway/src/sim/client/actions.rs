//! The commands of a client.

use std::collections::BTreeMap;

use history::Recorder;
use protocol::{ClientMessageId, MessageBody, RoomId, Seq};
use serde_json::json;

use super::super::rng::Rng;
use super::{Client, PendingCommand, PendingSend, ROOMS};

impl Client {
    /// Repeats what failed: sends, history requests, leaves, resumes.
    pub(in crate::sim) fn retry(&mut self, recorder: &mut Recorder) {
        if self.state.is_none() {
            return;
        }
        self.resend_unacknowledged(recorder);
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.fetch_gap(room);
            let is_pending =
                |command: &PendingCommand| matches!(command, PendingCommand::Leave(of) if *of == room);
            if self.rooms[&room].leaving && !self.state().pending.values().any(is_pending) {
                self.send_leave(room, recorder);
            }
        }
        // Rooms that are still closed have failed to resume.
        let state = self.state();
        let resumes = state.pending.values().any(|command| matches!(command, PendingCommand::Resume));
        if !resumes && self.rooms.values().any(|view| !view.open) {
            let closed = self.rooms.iter().filter(|(_, view)| !view.open);
            let closed: Vec<_> = closed.map(|(r, view)| (*r, view.cursor, view.epoch.clone())).collect();
            for (room, cursor, epoch) in closed {
                let command = json!({"type": "resume", "rooms": {room.to_string(): cursor}, "epoch": epoch});
                self.state().resuming.insert(room, cursor);
                self.send_command(PendingCommand::Resume, command);
            }
        }
    }

    pub(in crate::sim) fn act(&mut self, rng: &mut Rng, recorder: &mut Recorder) {
        self.retry(recorder);
        if self.state.is_none() {
            return;
        }
        let open: Vec<RoomId> =
            self.rooms.iter().filter(|(_, view)| view.open && !view.leaving).map(|(room, _)| *room).collect();
        if open.is_empty() {
            return self.send_join(rng);
        }
        let room = *rng.pick(&open);
        match rng.below(40) {
            0..=2 => self.send_join(rng),
            3 => {
                if let Some(view) = self.rooms.get_mut(&room) {
                    view.leaving = true;
                }
                self.send_leave(room, recorder);
            }
            4 => {
                self.send_command(PendingCommand::Other, json!({"type": "typing", "room": room}));
            }
            5 => {
                self.send_command(PendingCommand::Other, json!({"type": "who", "room": room}));
            }
            6 => {
                self.send_command(PendingCommand::Other, json!({"type": "rooms"}));
            }
            7 => {
                self.send_command(
                    PendingCommand::Other,
                    json!({"type": "history", "room": room, "limit": 5}),
                );
            }
            8 => {
                let name = format!("user {}", rng.below(50));
                self.send_command(PendingCommand::Other, json!({"type": "rename", "name": name}));
            }
            9 => {
                let seq = rng.below(50);
                self.send_command(PendingCommand::Other, json!({"type": "read", "room": room, "seq": seq}));
            }
            10 => {
                self.send_command(PendingCommand::Other, json!({"type": "ping"}));
            }
            _ => {
                let many = if rng.one_in(5) { 1 + rng.below(8) } else { 1 };
                for _ in 0..many {
                    self.queue_message(room, rng);
                }
                self.resend_unacknowledged(recorder);
            }
        }
    }

    fn send_leave(&mut self, room: RoomId, recorder: &mut Recorder) {
        let id = self.send_command(PendingCommand::Leave(room), json!({"type": "leave", "room": room}));
        let connection = self.state().connection;
        recorder.leave(connection, id, room);
    }

    /// Sends a message to one of its rooms, if it has any.
    pub(in crate::sim) fn send_message(&mut self, rng: &mut Rng, recorder: &mut Recorder) {
        let open: Vec<RoomId> = self.rooms.keys().copied().collect();
        if self.state.is_some() && !open.is_empty() {
            self.queue_message(*rng.pick(&open), rng);
            self.resend_unacknowledged(recorder);
        }
    }

    fn send_join(&mut self, rng: &mut Rng) {
        let name = *rng.pick(&ROOMS);
        let known = self.rooms.values().any(|view| view.name == name);
        let command =
            |command: &PendingCommand| matches!(command, PendingCommand::Join { name: of } if of == name);
        if !known && !self.state().pending.values().any(command) {
            self.send_command(
                PendingCommand::Join { name: name.to_owned() },
                json!({"type": "join", "room": name}),
            );
        }
    }

    fn queue_message(&mut self, room: RoomId, rng: &mut Rng) {
        self.next_key += 1;
        let key = format!("c{}-{}", self.number, self.next_key);
        let padding = *rng.pick(&[0, 0, 0, 50, 500, 8000]);
        let body = format!("{key} {}", "茶".repeat(padding / 3));
        let body = MessageBody::new(body, 8192).expect("a valid body");
        let key = ClientMessageId::new(key).expect("a valid key");
        self.unacknowledged.push_back(PendingSend { room, key, body, in_flight: false });
    }

    /// Resumes all rooms at their cursors, with one command per epoch of the cursors.
    pub(super) fn resume_rooms(&mut self) {
        let mut by_epoch: BTreeMap<String, BTreeMap<RoomId, Seq>> = BTreeMap::new();
        for (room, view) in &self.rooms {
            by_epoch.entry(view.epoch.0.clone()).or_default().insert(*room, view.cursor);
        }
        for (epoch, rooms) in by_epoch {
            let command = json!({"type": "resume", "rooms": &rooms, "epoch": epoch});
            self.state().resuming.extend(rooms);
            self.send_command(PendingCommand::Resume, command);
        }
    }

    /// Repeats the unacknowledged sends, unchanged and in order.
    pub(super) fn resend_unacknowledged(&mut self, recorder: &mut Recorder) {
        for at in 0..self.unacknowledged.len() {
            let send = &mut self.unacknowledged[at];
            if std::mem::replace(&mut send.in_flight, true) {
                continue;
            }
            let PendingSend { room, key, body, .. } = send.clone();
            let command = json!({
                "type": "send", "room": room, "client_message_id": key.as_str(), "body": body.as_str()
            });
            let id = self.send_command(PendingCommand::Send(key.clone()), command);
            let connection = self.state().connection;
            recorder.send(connection, id, room, &key, &body);
        }
    }

    /// Fetches the first missing range of a room.
    pub(super) fn fetch_gap(&mut self, room: RoomId) {
        let Some(&(from, _)) = self.rooms.get(&room).and_then(|view| view.gaps.front()) else { return };
        let is_pending =
            |command: &PendingCommand| matches!(command, PendingCommand::FetchGap(of) if *of == room);
        if self.state().pending.values().any(is_pending) {
            return;
        }
        let command = json!({"type": "history", "room": room, "after": from.0 - 1, "limit": 7});
        self.send_command(PendingCommand::FetchGap(room), command);
    }
}
