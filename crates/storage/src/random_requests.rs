//! Random requests, asked of both adapters: they must answer, append and show the same.

use std::collections::BTreeSet;

use proptest::prelude::*;
use protocol::{EventKind, Limits, MessageBody, RoomId, RoomRef, Seq, Timestamp, UserId};

use crate::conformance::*;
use crate::{
    Actor, Batch, MemoryStore, Operation, PageBounds, Registration, Request, RequestId, RoomQuery,
    SqliteStore,
};

const LIMITS: domain::RoomLimits = domain::RoomLimits { rooms_per_person: 3 };

/// So many may come at once: more than can share an event.
const CROWD: u64 = 130;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Commit(i64, Vec<(Actor, Operation)>),
    Sweep,
    Ids(u32),
    Probe,
    Checkpoint,
    /// SQLite is closed and opened again.
    Reopen,
}

fn room() -> impl Strategy<Value = RoomRef> {
    prop_oneof![
        6 => prop_oneof![Just("lobby"), Just("tea"), Just("TEA"), Just("coffee"), Just("milk")].prop_map(named),
        2 => (0u64..6).prop_map(|id| RoomRef::Id(RoomId(id))),
        1 => Just(RoomRef::Id(RoomId(u64::MAX))),
    ]
}

/// People 1 to 3 have sessions, 4 and 5 have none. Seldom does the asker believe wrongly that they are stored.
fn actor() -> impl Strategy<Value = Actor> {
    (1u64..6, prop::bool::weighted(0.95)).prop_map(|(n, registers)| {
        let registration = registers.then_some(Registration { token: (n < 4).then(|| token(n)) });
        Actor { person: person(n), registration }
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let text = prop_oneof![Just("hello"), Just("你好"), Just(" a\n")];
    let body = text.prop_map(|text| MessageBody::new(text, 8192).unwrap());
    let under = prop_oneof![Just(None), (0u8..4).prop_map(|n| Some(key(&format!("k{n}"))))];
    prop_oneof![
        8 => (room(), prop::bool::weighted(0.9)).prop_map(|(room, create_if_missing)| Operation::Join { room, create_if_missing }),
        3 => (1u64..6).prop_map(|room| Operation::Open { room: RoomId(room) }),
        2 => (0u64..8).prop_map(|room| Operation::Open { room: RoomId(room) }),
        4 => room().prop_map(|room| Operation::Leave { room }),
        8 => (room(), under, body).prop_map(|(room, key, body)| Operation::Send { room, key, body }),
        2 => (0u8..3).prop_map(|n| rename(&format!("name {n}"))),
        3 => (room(), 0u64..12).prop_map(|(room, seq)| Operation::Read { room, seq: Seq(seq) }),
        1 => Just(Operation::LeaveAll),
        1 => (1u64..4).prop_map(|n| Operation::EndSession { token: token(n) }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let commit = (0i64..100, prop::collection::vec((actor(), operation()), 0..12));
    prop_oneof![
        20 => commit.prop_map(|(now, deeds)| Step::Commit(now, deeds)),
        3 => (0i64..100, crowd()).prop_map(|(now, deeds)| Step::Commit(now, deeds)),
        1 => Just(Step::Sweep),
        1 => (0u32..5).prop_map(Step::Ids),
        1 => Just(Step::Probe),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

/// People come to a room all at once, and whatever else happens happens between them. Some of them are there already.
fn crowd() -> impl Strategy<Value = Vec<(Actor, Operation)>> {
    let others =
        prop::collection::vec((prop::sample::select(vec![0, 50, 99, 100, 101]), actor(), operation()), 0..6);
    let (first, count) = (prop_oneof![Just(1), 1..CROWD], prop_oneof![Just(CROWD), 1..CROWD]);
    (prop_oneof![Just("tea"), Just("lobby")], first, count, others).prop_map(
        |(room, first, count, others)| {
            let people = first..=CROWD.min(first + count);
            let mut deeds: Vec<_> =
                people.map(|n| (if n % 3 == 0 { passer_by(n) } else { guest(n) }, join(room))).collect();
            for (at, actor, operation) in others {
                deeds.insert(at.min(deeds.len()), (actor, operation));
            }
            deeds
        },
    )
}

fn commit(house: &mut House, now: i64, deeds: Vec<(Actor, Operation)>) -> Batch {
    let numbered = deeds.into_iter().zip(7..);
    let requests = numbered
        .map(|((actor, operation), n)| Request { request_id: RequestId(n), actor, operation })
        .collect();
    house.writer.commit(Timestamp(now), requests)
}

/// All that can be seen of a store.
fn seen(house: &mut House) -> String {
    let mut seen = String::new();
    let rooms: Vec<RoomId> = (0..12).map(RoomId).collect();
    let reader = &mut house.reader;
    let mut note = |what: &dyn std::fmt::Debug| seen += &format!("{what:?}\n");
    note(&reader.heads(&rooms).unwrap());
    for user in (0..7).map(UserId) {
        note(&reader.open_rooms(user, &rooms).unwrap());
        for (joined, after, limit) in [(false, None, 100), (true, None, 2), (false, Some(RoomId(1)), 1)] {
            note(&reader.rooms(RoomQuery { user, joined, after, limit }).unwrap());
        }
    }
    for n in 0..6 {
        note(&reader.person_of_session(&token(n)).unwrap());
    }
    for room in rooms {
        note(&reader.events_after(room, Seq(0), None, ALL).unwrap());
        let bounds = PageBounds { limit: 4, max_bytes: 600 };
        note(&reader.events_after(room, Seq(2), Some(Seq(7)), bounds).unwrap());
        note(&reader.events_before(room, Seq(6), bounds).unwrap());
    }
    seen
}

fn sqlite(folder: tempfile::TempDir) -> House {
    House::new(Box::new(SqliteStore::open(folder.path(), LIMITS).unwrap()), Some(folder))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn both_adapters_do_the_same(steps in prop::collection::vec(step(), 1..16)) {
        let mut memory = House::new(Box::new(MemoryStore::new(LIMITS)), None);
        let mut disk = sqlite(tempfile::tempdir().unwrap());
        for step in steps {
            match step {
                Step::Commit(now, deeds) => {
                    let batch = commit(&mut memory, now, deeds.clone());
                    prop_assert_eq!(&batch, &commit(&mut disk, now, deeds));
                    prop_assert!(batch.internal.is_empty());
                }
                Step::Sweep => prop_assert_eq!(
                    memory.writer.cleanup_transient_users(Timestamp(50)).unwrap(),
                    disk.writer.cleanup_transient_users(Timestamp(50)).unwrap()
                ),
                Step::Ids(count) => prop_assert_eq!(
                    memory.writer.reserve_user_ids(count).unwrap(),
                    disk.writer.reserve_user_ids(count).unwrap()
                ),
                Step::Probe => disk.writer.probe(Timestamp(0)).unwrap(),
                Step::Checkpoint => disk.writer.checkpoint().unwrap(),
                Step::Reopen => {
                    let House { writer, reader, store, _folder, .. } = disk;
                    drop((writer, reader, store));
                    disk = sqlite(_folder.unwrap());
                }
            }
            prop_assert_eq!(seen(&mut memory), seen(&mut disk));
        }
        // Whatever happened: no hole, no number twice, `n` counts messages, and who is there is who came and did not go.
        for room in (1..12).map(RoomId) {
            let events = disk.events(room);
            let mut n = 0;
            let mut keys = BTreeSet::new();
            let mut members = BTreeSet::new();
            for (event, seq) in events.iter().zip(1..) {
                match &event.kind {
                    EventKind::Message { client_message_id, .. } => {
                        n += 1;
                        if let Some(key) = client_message_id {
                            prop_assert!(keys.insert((event.by.id, key.to_string())));
                        }
                    }
                    EventKind::MemberJoined { also_joined } => {
                        prop_assert!(also_joined.len() < Limits::JOINED_TOGETHER);
                        for person in std::iter::once(&event.by).chain(also_joined) {
                            prop_assert!(members.insert(person.id), "{} came twice", person.id);
                        }
                    }
                    EventKind::MemberLeft {} => prop_assert!(members.remove(&event.by.id)),
                    EventKind::Renamed { .. } => prop_assert!(members.contains(&event.by.id)),
                }
                prop_assert_eq!((event.seq.0, event.n.0), (seq, n));
            }
            for user in (0..=CROWD).map(UserId) {
                prop_assert_eq!(disk.reader.is_member(room, user).unwrap(), members.contains(&user));
            }
        }
    }
}
