//! Sending joins and messages.

use websocket::Opcode;

use super::{ClientPool, JOIN_ID};
use crate::generator::channel::Channel;
use crate::generator::checker::Index;
use crate::generator::nats;
use crate::generator::payload::{Payload, write_number};

impl ClientPool {
    /// Requests all joins of a connection with one write.
    pub(super) fn join_all(&mut self, number: usize) {
        for join in 0..self.rooms_each {
            self.queue_join(number, join);
        }
        self.flush(number);
    }

    fn queue_join(&mut self, number: usize, join: usize) {
        let room = &self.rooms[self.memberships_of(number)[join].room() as usize];
        let json = format!(r#"{{"type":"join","id":{},"room":"{}"}}"#, JOIN_ID + join as u64, room.name);
        let key = self.next_mask();
        self.connections[number].queue(Opcode::Text, json.as_bytes(), key);
    }

    pub(super) fn retry_joins(&mut self) {
        if self.join_retries.is_empty() {
            return;
        }
        let now = self.micros();
        for (at, number, join) in std::mem::take(&mut self.join_retries) {
            if at <= now {
                self.queue_join(number, join);
                self.flush(number);
            } else {
                self.join_retries.push((at, number, join));
            }
        }
    }

    /// Queues `count` messages of a sender, and sends them with one write.
    pub(crate) fn send(&mut self, sender: Index, count: u32) {
        let state = &mut self.senders[sender as usize];
        let number = state.connection;
        let room = self.rooms[state.room as usize].id.as_deref().unwrap_or_default();
        let now_us = self.started.elapsed().as_micros() as u64;
        for _ in 0..count {
            let message = state.send(now_us);
            self.body_bytes.clear();
            Payload { sender, number: message, sent_us: now_us }.write(self.body, &mut self.body_bytes);
            let json = &mut self.json;
            json.clear();
            let key = self.rng.u32(..).to_le_bytes();
            if self.channels.is_some() {
                Channel::write(&self.body_bytes, json);
                if self.streams.is_none() {
                    self.connections[number].queue(Opcode::Text, json, key);
                    continue;
                }
                self.body_bytes.clear();
                nats::publish(&self.rooms[0].name, json, &mut self.body_bytes);
                self.connections[number].queue(Opcode::Binary, &self.body_bytes, key);
                continue;
            }
            json.extend_from_slice(br#"{"type":"send","id":"#);
            write_number(u64::from(message) + JOIN_ID + self.rooms_each as u64, json);
            json.extend_from_slice(br#","room":""#);
            json.extend_from_slice(room.as_bytes());
            json.extend_from_slice(br#"","client_message_id":""#);
            for part in [self.run, sender.into(), message.into()] {
                write_number(part, json);
                json.push(b'-');
            }
            json.pop();
            json.extend_from_slice(br#"","body":""#);
            json.extend_from_slice(&self.body_bytes);
            json.extend_from_slice(br#""}"#);
            self.connections[number].queue(Opcode::Text, json, key);
        }
        self.flush(number);
    }
}
