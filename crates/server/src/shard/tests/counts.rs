//! What a delivery may cost, counted exactly: allocations, reads and writes; and what an event, which is encoded once.
//!
//! The sockets here are counters that swallow what they get, so that nothing of the tests' own is counted, and rooms are
//! opened without a store. What is counted is from the writer's round to the last write of it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use bus::Delivery;
use protocol::{
    ClientMessageId, Event, EventKind, MessageBody, MessageCount, Person, RoomId, RoomName, Seq, Timestamp,
    UserId, UserName,
};

use super::super::{ConnKey, PendingSubscription, Shard, Transport};
use super::world::{self, World, send_in_lobby};
use crate::commit_batch::{BusMessage, Committed};
use crate::handoff::{Identity, WireProtocol};
use crate::metrics::Metrics;
use crate::operations::Attach;
use crate::sim::services::Memory;

/// Rounds, of so many messages each, after which a log has its lasting size: 256 KiB, in events of 300 bytes.
const WARM_UP: (u64, u64) = (24, 50);

/// What one socket saw.
#[derive(Default)]
struct Seen {
    reads: Cell<u64>,
    writes: Cell<u64>,
    bytes: Cell<u64>,
    is_full: Cell<bool>,
}

/// A socket that counts, takes everything unless it is full, and has nothing to read.
struct Counter(Rc<Seen>);

impl Transport for Counter {
    fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.reads.set(self.0.reads.get() + 1);
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.writes.set(self.0.writes.get() + 1);
        if self.0.is_full.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        self.0.bytes.set(self.0.bytes.get() + len as u64);
        Ok(len)
    }

    fn finish_writing(&mut self) {}
}

/// A shard whose every connection has every room open.
struct Crowd {
    shard: Shard<Counter, Memory>,
    now: Duration,
    members: Vec<(ConnKey, Rc<Seen>)>,
    rooms: u64,
    said: u64,
}

impl Crowd {
    fn of(members: u64, rooms: u64) -> Self {
        let mut shard = Shard::new(world::settings(), Memory::default(), Metrics::new());
        let now = Duration::from_secs(1);
        let members = (1..=members).map(|user| {
            let seen = Rc::<Seen>::default();
            let person = Person { id: UserId(user), name: UserName::new(&format!("guest {user}")).unwrap() };
            let identity = Identity { person, session: None, stored: true };
            let key = shard.handle_connect(now, Counter(Rc::clone(&seen)), identity, WireProtocol::Json);
            for room in 1..=rooms {
                let attach = Attach {
                    room: RoomId(room),
                    name: RoomName::new(&format!("hall-{room}")).unwrap(),
                    topic: protocol::Topic::default(),
                    head: Seq(0),
                    n: MessageCount(0),
                    read: None,
                    after: None,
                    epoch: None,
                    resume: None,
                };
                shard.subscribe(PendingSubscription { of: key, id: None, join: 0, attach });
            }
            (key, seen)
        });
        let members = members.collect();
        let mut crowd = Crowd { shard, now, members, rooms, said: 0 };
        crowd.work();
        for _ in 0..WARM_UP.0 {
            let round = crowd.round(WARM_UP.1);
            crowd.decode_input(&round);
        }
        crowd
    }

    /// What the writer says after a commit of so many messages in each room.
    fn round(&mut self, messages: u64) -> Arc<BusMessage> {
        let said = self.said;
        self.said += messages;
        let events =
            (said + 1..=said + messages).flat_map(|seq| (1..=self.rooms).map(move |room| (room, seq)));
        Arc::new(BusMessage::Committed(
            events.map(|(room, seq)| Committed::from(message(room, seq))).collect(),
        ))
    }

    /// The round comes to the shard, and all is written that follows from it.
    fn decode_input(&mut self, round: &Arc<BusMessage>) {
        self.hand_over(round);
        self.work();
    }

    fn hand_over(&mut self, round: &Arc<BusMessage>) {
        let message = Some(Arc::clone(round));
        self.shard.handle_commit(self.now, Delivery { message, replies: Vec::new() });
    }

    fn work(&mut self) {
        while self.shard.work(self.now) {}
    }

    /// Forgets what the sockets saw.
    fn forget(&self) {
        for (_, seen) in &self.members {
            seen.reads.set(0);
            seen.writes.set(0);
            seen.bytes.set(0);
        }
    }

    /// What each socket saw: reads, writes, bytes.
    fn seen(&self) -> Vec<(u64, u64, u64)> {
        self.members.iter().map(|(_, seen)| (seen.reads.get(), seen.writes.get(), seen.bytes.get())).collect()
    }
}

/// 128 characters, like those of the bench. All are of one length, also in their numbers.
fn message(room: u64, seq: u64) -> Arc<Event> {
    let key = ClientMessageId::new(format!("key-{seq:08}")).unwrap();
    let kind = EventKind::Message {
        client_message_id: Some(key),
        body: MessageBody::new(format!("{seq:0128}"), 8192).unwrap(),
    };
    let by = Person { id: UserId(1), name: UserName::new("guest 1").unwrap() };
    Arc::new(Event {
        kind,
        room: RoomId(room),
        seq: Seq(seq),
        n: MessageCount(seq),
        by,
        at: Timestamp(1_000_000),
    })
}

fn bytes_of(round: &BusMessage) -> u64 {
    match round {
        BusMessage::Committed(events) => events.iter().map(|event| event.frame.len() as u64).sum(),
        BusMessage::Ephemeral { frame, .. } => frame.len() as u64,
    }
}

/// Allocations while the shard takes these rounds in and writes them to everybody.
fn allocations(crowd: &mut Crowd, rounds: &[Arc<BusMessage>]) -> u64 {
    measure(|| rounds.iter().for_each(|round| crowd.decode_input(round))).count_total
}

#[test]
fn counting_allocator_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(vec![1_u8; 100]))).count_total, 1);
}

#[test]
fn event_encoding_allocates_five_times() {
    let event = message(1, 1);
    let first = Committed::from(Arc::clone(&event));
    let instruction_bench = measure(|| drop(std::hint::black_box(Committed::from(Arc::clone(&event)))));
    // The JSON as it grows to 128, 256 and 512 bytes, the time as text, the frame. Whoever needs fewer lowers the number.
    assert_eq!((first.frame.len(), instruction_bench.count_total), (287, 5), "{instruction_bench:?}");
}

#[test]
fn delivery_to_any_number_of_members_allocates_nothing() {
    for (members, rooms, messages) in [(10, 1, 1), (1000, 1, 1), (1000, 1, 50), (200, 5, 10)] {
        let mut crowd = Crowd::of(members, rooms);
        let rounds: Vec<_> = (0..20).map(|_| crowd.round(messages)).collect();
        crowd.forget();
        let allocations = allocations(&mut crowd, &rounds);
        let bytes: u64 = rounds.iter().map(|round| bytes_of(round)).sum();
        assert!(crowd.seen().iter().all(|&(_, _, got)| got == bytes), "else nothing was delivered");
        assert_eq!(allocations, 0, "{members} members in {rooms} rooms, {messages} messages a round");
    }
}

#[test]
fn unblocked_member_continues_without_allocation() {
    let mut crowd = Crowd::of(100, 1);
    let rounds: Vec<_> = (0..100).map(|_| crowd.round(1)).collect();
    crowd.forget();
    let allocations = measure(|| {
        // One behind the other, so that some are blocked in each of the rounds.
        for (nth, round) in rounds.iter().enumerate() {
            crowd.members[nth].1.is_full.set(true);
            crowd.decode_input(round);
        }
        for nth in 0..crowd.members.len() {
            let (key, seen) = &crowd.members[nth];
            seen.is_full.set(false);
            crowd.shard.handle_writable(crowd.now, key.index);
        }
        crowd.work();
    });
    let bytes: u64 = rounds.iter().map(|round| bytes_of(round)).sum();
    assert!(crowd.seen().iter().all(|&(_, _, got)| got == bytes), "everybody has everything");
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn batch_is_one_write_per_member_and_no_read() {
    for (members, rooms, messages) in [(1, 1, 1), (10, 1, 100), (1000, 1, 1), (1000, 1, 50), (300, 5, 10)] {
        let mut crowd = Crowd::of(members, rooms);
        let round = crowd.round(messages);
        crowd.forget();
        crowd.decode_input(&round);
        let all = (0, 1, bytes_of(&round));
        let other: Vec<_> = crowd.seen().into_iter().filter(|&seen| seen != all).collect();
        assert!(other.is_empty(), "{members} members in {rooms} rooms, {messages} messages: {other:?}");
    }
}

#[test]
fn two_batches_at_once_are_one_write() {
    let mut crowd = Crowd::of(300, 2);
    let rounds = [crowd.round(3), crowd.round(3)];
    crowd.forget();
    rounds.iter().for_each(|round| crowd.hand_over(round));
    crowd.work();
    let all = (0, 1, bytes_of(&rounds[0]) + bytes_of(&rounds[1]));
    assert!(crowd.seen().iter().all(|&seen| seen == all), "{:?}", crowd.seen());
}

#[test]
fn blocked_member_is_not_retried_before_writable() {
    let mut crowd = Crowd::of(10, 1);
    let rounds: Vec<_> = (0..20).map(|_| crowd.round(1)).collect();
    crowd.members[3].1.is_full.set(true);
    crowd.forget();
    rounds.iter().for_each(|round| crowd.decode_input(round));
    let bytes: u64 = rounds.iter().map(|round| bytes_of(round)).sum();
    for (nth, seen) in crowd.seen().into_iter().enumerate() {
        assert_eq!(seen, if nth == 3 { (0, 1, 0) } else { (0, 20, bytes) });
    }
}

#[test]
fn sender_gets_reply_and_event_in_one_write() {
    let mut world = World::new();
    let mut li = world.arrive_in_lobby(1);
    world.wait(Duration::from_secs(2));
    li.take();
    let before = li.writes();
    world.send_frame(&li, &send_in_lobby("a", "hello"));
    let mut types: Vec<_> = li.take().iter().map(|frame| frame["type"].clone()).collect();
    types.sort_by_key(ToString::to_string);
    assert_eq!(types, ["message", "ok"]);
    assert_eq!(li.writes() - before, 1);
}
