//! A server that is too simple to violate a guarantee: rooms are vectors, and one thread executes each step completely.

use history::{ClientId, ConnectionId, Record, Recorder};
use protocol::{
    ClientMessageId, CommandId, Epoch, ErrorCode, Event, EventKind, MessageBody, MessageCount, RoomId, Seq,
    Timestamp, User, UserId, UserName,
};
use teahouse_history as history;

const ROOMS: usize = 2;
const CLIENTS: usize = 4;

/// A pseudorandom number derived from `number`.
pub(crate) fn scramble(number: u32) -> u32 {
    let mut it = number.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    it ^= it >> 16;
    it = it.wrapping_mul(0x7feb_352d);
    it ^= it >> 15;
    it = it.wrapping_mul(0x846c_a68b);
    it ^ (it >> 16)
}

struct Member {
    client: ClientId,
    user: UserId,
    connection: Option<ConnectionId>,
    /// The cursor in each room of which the client's user is a member, and the announced gap.
    rooms: [Option<Seq>; ROOMS],
    gap_range: [Option<(Seq, Seq)>; ROOMS],
    /// The rooms to which this connection is subscribed.
    open: [bool; ROOMS],
    /// Messages without a reply.
    unanswered: Vec<(usize, ClientMessageId)>,
    commands: u64,
    keys: u64,
}

pub(crate) struct SimulatedServer {
    recorder: Recorder,
    time: u64,
    logs: [Vec<Event>; ROOMS],
    members: Vec<Member>,
}

fn room(index: usize) -> RoomId {
    RoomId(index as u64 + 1)
}

fn body(key: &ClientMessageId) -> MessageBody {
    MessageBody::new(format!("body of {key}"), 100).unwrap()
}

impl SimulatedServer {
    /// Runs these choices until the server is quiescent. Returns the history.
    pub(crate) fn run(choices: &[u32]) -> Vec<Record> {
        let mut recorder = Recorder::new(0);
        let members = (0..CLIENTS).map(|number| Member {
            client: recorder.new_client(),
            user: UserId(number as u64 + 1),
            connection: None,
            rooms: [None; ROOMS],
            gap_range: [None; ROOMS],
            open: [false; ROOMS],
            unanswered: Vec::new(),
            commands: 0,
            keys: 0,
        });
        let members = members.collect();
        let mut server = SimulatedServer { recorder, time: 0, logs: Default::default(), members };
        for choice in choices {
            server.step(*choice);
        }
        server.quiesce();
        server.recorder.take()
    }

    fn step(&mut self, choice: u32) {
        self.time += 1;
        self.recorder.set_time(self.time);
        let (nth, room) = (choice as usize % CLIENTS, choice as usize / CLIENTS % ROOMS);
        let odds = choice / 64 % 100;
        if self.members[nth].connection.is_none() {
            return self.reconnect(nth, odds);
        }
        if !self.members[nth].open[room] {
            return self.join(nth, room);
        }
        match odds {
            0..5 => self.disconnect(nth),
            5..10 => self.leave(nth, room),
            10..20 => self.reject(nth, room),
            20..30 => self.send(nth, room, odds.is_multiple_of(2), false),
            30..65 => self.send(nth, room, true, true),
            65..72 => self.gap(nth, room),
            72..80 => self.fill_gap(nth, room),
            _ => self.receive(nth, room, odds as usize % 5 + 1),
        }
    }

    fn append(&mut self, room_index: usize, by: UserId, kind: EventKind) -> Seq {
        let log = &mut self.logs[room_index];
        let seq = Seq(log.len() as u64 + 1);
        let by = User { id: by, name: UserName::new("Li").unwrap() };
        let (n, at) = (MessageCount(seq.0), Timestamp(self.time as i64));
        log.push(Event { kind, room: room(room_index), seq, n, by, at });
        seq
    }

    fn head(&self, room: usize) -> Seq {
        Seq(self.logs[room].len() as u64)
    }

    fn reconnect(&mut self, nth: usize, odds: u32) {
        let member = &mut self.members[nth];
        let epoch = Epoch("e1".into());
        let connection = self.recorder.opened(member.client, member.user, &epoch);
        member.connection = Some(connection);
        member.commands = 0;
        member.open = [false; ROOMS];
        for index in 0..ROOMS {
            let member = &mut self.members[nth];
            let Some(at) = member.rooms[index] else { continue };
            // Occasionally the client has lost its last event.
            let after = Seq(at.0.saturating_sub(u64::from(odds.is_multiple_of(7))));
            let after = member.gap_range[index].map_or(after, |(from, _)| Seq(from.0 - 1).min(after));
            member.gap_range[index] = None;
            member.rooms[index] = Some(after);
            member.open[index] = true;
            let head = Seq(self.logs[index].len() as u64);
            self.recorder.joined(connection, room(index), Some(after), head);
        }
        for (index, key) in std::mem::take(&mut self.members[nth].unanswered) {
            if self.members[nth].open[index] {
                self.send_with_key(nth, index, key, true, true);
            }
        }
    }

    fn join(&mut self, nth: usize, index: usize) {
        let user = self.members[nth].user;
        let Some(connection) = self.members[nth].connection else { return };
        let head = self.append(index, user, EventKind::MemberJoined { also_joined: Vec::new() });
        self.recorder.joined(connection, room(index), None, head);
        self.members[nth].rooms[index] = Some(head);
        self.members[nth].gap_range[index] = None;
        self.members[nth].open[index] = true;
    }

    fn disconnect(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        if let Some(connection) = member.connection.take() {
            self.recorder.closed(connection, 1006);
        }
    }

    fn command(&mut self, nth: usize) -> CommandId {
        self.members[nth].commands += 1;
        CommandId(self.members[nth].commands)
    }

    fn new_key(&mut self, nth: usize) -> ClientMessageId {
        self.members[nth].keys += 1;
        ClientMessageId::new(format!("k{}", self.members[nth].keys)).unwrap()
    }

    fn send(&mut self, nth: usize, room: usize, stored: bool, answered: bool) {
        let key = self.new_key(nth);
        self.send_with_key(nth, room, key, stored, answered);
        if !answered {
            self.disconnect(nth);
        }
    }

    fn send_with_key(
        &mut self,
        nth: usize,
        index: usize,
        key: ClientMessageId,
        stored: bool,
        answered: bool,
    ) {
        let id = self.command(nth);
        let user = self.members[nth].user;
        let Some(connection) = self.members[nth].connection else { return };
        self.recorder.send(connection, id, room(index), &key, &body(&key));
        let of_key = |event: &&Event| {
            event.by.id == user
                && matches!(&event.kind, EventKind::Message { client_message_id: Some(it), .. } if *it == key)
        };
        let known = self.logs[index].iter().find(of_key).map(|event| event.seq);
        let seq = known.or_else(|| {
            let kind = EventKind::Message { client_message_id: Some(key.clone()), body: body(&key) };
            stored.then(|| self.append(index, user, kind))
        });
        match seq {
            Some(seq) if answered => self.recorder.ok(connection, id, seq),
            _ => self.members[nth].unanswered.push((index, key)),
        }
    }

    fn reject(&mut self, nth: usize, index: usize) {
        let (id, key) = (self.command(nth), self.new_key(nth));
        let Some(connection) = self.members[nth].connection else { return };
        self.recorder.send(connection, id, room(index), &key, &body(&key));
        self.recorder.rejected(connection, id, ErrorCode::RateLimited);
    }

    fn leave(&mut self, nth: usize, index: usize) {
        self.receive(nth, index, usize::MAX);
        self.fill_gap(nth, index);
        let (id, user) = (self.command(nth), self.members[nth].user);
        let Some(connection) = self.members[nth].connection else { return };
        self.recorder.leave(connection, id, room(index));
        let seq = self.append(index, user, EventKind::MemberLeft {});
        self.receive(nth, index, 1);
        self.recorder.ok(connection, id, seq);
        self.members[nth].rooms[index] = None;
        self.members[nth].open[index] = false;
    }

    fn receive(&mut self, nth: usize, index: usize, most: usize) {
        let member = &mut self.members[nth];
        let (Some(connection), Some(at)) = (member.connection, member.rooms[index]) else { return };
        for event in self.logs[index].iter().skip(at.0 as usize).take(most) {
            self.recorder.received(connection, event);
            member.rooms[index] = Some(event.seq);
        }
    }

    fn gap(&mut self, nth: usize, index: usize) {
        let head = self.head(index);
        let member = &mut self.members[nth];
        let (Some(connection), Some(at)) = (member.connection, member.rooms[index]) else { return };
        if at < head && member.gap_range[index].is_none() {
            self.recorder.gap(connection, room(index), at.next(), head);
            member.rooms[index] = Some(head);
            member.gap_range[index] = Some((at.next(), head));
        }
    }

    fn fill_gap(&mut self, nth: usize, index: usize) {
        let member = &mut self.members[nth];
        let Some(connection) = member.connection else { return };
        if let Some((from, to)) = member.gap_range[index].take() {
            self.recorder.history_page(
                connection,
                room(index),
                &self.logs[index][from.0 as usize - 1..to.0 as usize],
            );
        }
    }

    fn quiesce(&mut self) {
        for nth in 0..CLIENTS {
            self.time += 1;
            self.recorder.set_time(self.time);
            if self.members[nth].connection.is_none() {
                self.reconnect(nth, 1);
            }
        }
        for nth in 0..CLIENTS {
            for index in 0..ROOMS {
                self.receive(nth, index, usize::MAX);
                self.fill_gap(nth, index);
            }
            if let Some(connection) = self.members[nth].connection {
                self.recorder.quiescent(connection);
            }
        }
        for event in self.logs.iter().flatten() {
            self.recorder.stored(event);
        }
    }
}
