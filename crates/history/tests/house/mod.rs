//! A house so small that it can only be honest: rooms are vectors, and everything is done by one thread, at once.

use history::{Client, Connection, Record, Recorder};
use protocol::{
    ClientMessageId, CommandId, Epoch, ErrorCode, Event, EventKind, MessageBody, MessageCount, Person,
    RoomId, Seq, Timestamp, UserId, UserName,
};
use teahouse_history as history;

const ROOMS: usize = 2;
const PEOPLE: usize = 4;

/// Numbers that look random.
pub(crate) fn mixed(number: u32) -> u32 {
    let mut it = number.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    it ^= it >> 16;
    it = it.wrapping_mul(0x7feb_352d);
    it ^= it >> 15;
    it = it.wrapping_mul(0x846c_a68b);
    it ^ (it >> 16)
}

struct Member {
    client: Client,
    person: UserId,
    connection: Option<Connection>,
    /// What it has of each room where it is a member, with the hole that it was told of.
    rooms: [Option<Seq>; ROOMS],
    hole: [Option<(Seq, Seq)>; ROOMS],
    /// Where it is open on this connection.
    open: [bool; ROOMS],
    /// What it sent and knows nothing of.
    unanswered: Vec<(usize, ClientMessageId)>,
    commands: u64,
    keys: u64,
}

pub(crate) struct House {
    recorder: Recorder,
    time: u64,
    logs: [Vec<Event>; ROOMS],
    members: Vec<Member>,
}

fn room(index: usize) -> RoomId {
    RoomId(index as u64 + 1)
}

fn body(key: &ClientMessageId) -> MessageBody {
    MessageBody::new(format!("words of {key}"), 100).unwrap()
}

impl House {
    /// What these choices lead to, up to the day after.
    pub(crate) fn live(choices: &[u32]) -> Vec<Record> {
        let mut recorder = Recorder::new(0);
        let members = (0..PEOPLE).map(|number| Member {
            client: recorder.new_client(),
            person: UserId(number as u64 + 1),
            connection: None,
            rooms: [None; ROOMS],
            hole: [None; ROOMS],
            open: [false; ROOMS],
            unanswered: Vec::new(),
            commands: 0,
            keys: 0,
        });
        let members = members.collect();
        let mut house = House { recorder, time: 0, logs: Default::default(), members };
        for choice in choices {
            house.step(*choice);
        }
        house.rest();
        house.recorder.take()
    }

    fn step(&mut self, choice: u32) {
        self.time += 1;
        self.recorder.now(self.time);
        let (who, room) = (choice as usize % PEOPLE, choice as usize / PEOPLE % ROOMS);
        let odds = choice / 64 % 100;
        if self.members[who].connection.is_none() {
            return self.come_back(who, odds);
        }
        if !self.members[who].open[room] {
            return self.join(who, room);
        }
        match odds {
            0..5 => self.cut(who),
            5..10 => self.leave(who, room),
            10..20 => self.refuse(who, room),
            20..30 => self.send(who, room, odds.is_multiple_of(2), false),
            30..65 => self.send(who, room, true, true),
            65..72 => self.gap(who, room),
            72..80 => self.fill(who, room),
            _ => self.hear(who, room, odds as usize % 5 + 1),
        }
    }

    fn append(&mut self, room_index: usize, by: UserId, kind: EventKind) -> Seq {
        let log = &mut self.logs[room_index];
        let seq = Seq(log.len() as u64 + 1);
        let by = Person { id: by, name: UserName::new("Li").unwrap() };
        let (n, at) = (MessageCount(seq.0), Timestamp(self.time as i64));
        log.push(Event { kind, room: room(room_index), seq, n, by, at });
        seq
    }

    fn head(&self, room: usize) -> Seq {
        Seq(self.logs[room].len() as u64)
    }

    fn come_back(&mut self, who: usize, odds: u32) {
        let member = &mut self.members[who];
        let epoch = Epoch("e1".into());
        let connection = self.recorder.opened(member.client, member.person, &epoch);
        member.connection = Some(connection);
        member.commands = 0;
        member.open = [false; ROOMS];
        for index in 0..ROOMS {
            let member = &mut self.members[who];
            let Some(at) = member.rooms[index] else { continue };
            // Now and then it has forgotten the last it saw.
            let after = Seq(at.0.saturating_sub(u64::from(odds.is_multiple_of(7))));
            let after = member.hole[index].map_or(after, |(from, _)| Seq(from.0 - 1).min(after));
            member.hole[index] = None;
            member.rooms[index] = Some(after);
            member.open[index] = true;
            let head = Seq(self.logs[index].len() as u64);
            self.recorder.joined(connection, room(index), Some(after), head);
        }
        for (index, key) in std::mem::take(&mut self.members[who].unanswered) {
            if self.members[who].open[index] {
                self.say(who, index, key, true, true);
            }
        }
    }

    fn join(&mut self, who: usize, index: usize) {
        let person = self.members[who].person;
        let Some(connection) = self.members[who].connection else { return };
        let head = self.append(index, person, EventKind::MemberJoined { also_joined: Vec::new() });
        self.recorder.joined(connection, room(index), None, head);
        self.members[who].rooms[index] = Some(head);
        self.members[who].hole[index] = None;
        self.members[who].open[index] = true;
    }

    fn cut(&mut self, who: usize) {
        let member = &mut self.members[who];
        if let Some(connection) = member.connection.take() {
            self.recorder.closed(connection, 1006);
        }
    }

    fn command(&mut self, who: usize) -> CommandId {
        self.members[who].commands += 1;
        CommandId(self.members[who].commands)
    }

    fn new_key(&mut self, who: usize) -> ClientMessageId {
        self.members[who].keys += 1;
        ClientMessageId::new(format!("k{}", self.members[who].keys)).unwrap()
    }

    fn send(&mut self, who: usize, room: usize, stored: bool, answered: bool) {
        let key = self.new_key(who);
        self.say(who, room, key, stored, answered);
        if !answered {
            self.cut(who);
        }
    }

    fn say(&mut self, who: usize, index: usize, key: ClientMessageId, stored: bool, answered: bool) {
        let id = self.command(who);
        let person = self.members[who].person;
        let Some(connection) = self.members[who].connection else { return };
        self.recorder.send(connection, id, room(index), &key, &body(&key));
        let of_key = |event: &&Event| {
            event.by.id == person
                && matches!(&event.kind, EventKind::Message { client_message_id: Some(it), .. } if *it == key)
        };
        let known = self.logs[index].iter().find(of_key).map(|event| event.seq);
        let seq = known.or_else(|| {
            let kind = EventKind::Message { client_message_id: Some(key.clone()), body: body(&key) };
            stored.then(|| self.append(index, person, kind))
        });
        match seq {
            Some(seq) if answered => self.recorder.ok(connection, id, seq),
            _ => self.members[who].unanswered.push((index, key)),
        }
    }

    fn refuse(&mut self, who: usize, index: usize) {
        let (id, key) = (self.command(who), self.new_key(who));
        let Some(connection) = self.members[who].connection else { return };
        self.recorder.send(connection, id, room(index), &key, &body(&key));
        self.recorder.refused(connection, id, ErrorCode::RateLimited);
    }

    fn leave(&mut self, who: usize, index: usize) {
        self.hear(who, index, usize::MAX);
        self.fill(who, index);
        let (id, person) = (self.command(who), self.members[who].person);
        let Some(connection) = self.members[who].connection else { return };
        self.recorder.leave(connection, id, room(index));
        let seq = self.append(index, person, EventKind::MemberLeft {});
        self.hear(who, index, 1);
        self.recorder.ok(connection, id, seq);
        self.members[who].rooms[index] = None;
        self.members[who].open[index] = false;
    }

    fn hear(&mut self, who: usize, index: usize, most: usize) {
        let member = &mut self.members[who];
        let (Some(connection), Some(at)) = (member.connection, member.rooms[index]) else { return };
        for event in self.logs[index].iter().skip(at.0 as usize).take(most) {
            self.recorder.heard(connection, event);
            member.rooms[index] = Some(event.seq);
        }
    }

    fn gap(&mut self, who: usize, index: usize) {
        let head = self.head(index);
        let member = &mut self.members[who];
        let (Some(connection), Some(at)) = (member.connection, member.rooms[index]) else { return };
        if at < head && member.hole[index].is_none() {
            self.recorder.gap(connection, room(index), at.next(), head);
            member.rooms[index] = Some(head);
            member.hole[index] = Some((at.next(), head));
        }
    }

    fn fill(&mut self, who: usize, index: usize) {
        let member = &mut self.members[who];
        let Some(connection) = member.connection else { return };
        if let Some((from, to)) = member.hole[index].take() {
            self.recorder.filled(
                connection,
                room(index),
                &self.logs[index][from.0 as usize - 1..to.0 as usize],
            );
        }
    }

    fn rest(&mut self) {
        for who in 0..PEOPLE {
            self.time += 1;
            self.recorder.now(self.time);
            if self.members[who].connection.is_none() {
                self.come_back(who, 1);
            }
        }
        for who in 0..PEOPLE {
            for index in 0..ROOMS {
                self.hear(who, index, usize::MAX);
                self.fill(who, index);
            }
            if let Some(connection) = self.members[who].connection {
                self.recorder.at_rest(connection);
            }
        }
        for event in self.logs.iter().flatten() {
            self.recorder.stored(event);
        }
    }
}
