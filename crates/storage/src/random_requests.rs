//! Random requests against several stores. All must answer, append and show the same as the first one, which is the
//! [model](crate::MemoryStore::model) of the rules.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use protocol::{EventKind, Limits, MessageBody, RoomId, RoomRef, Seq, Timestamp, Topic, UserId};

use crate::conformance::*;
use crate::{Actor, Batch, Operation, PageBounds, Registration, Request, RequestId, RoomQuery};

/// The limits of all compared stores: small, so that random requests reach them.
pub const LIMITS: domain::RoomLimits = domain::RoomLimits { rooms_per_user: 3 };

/// The most joins of one batch: more than can share one event.
const MANY_USERS: u64 = 130;

/// One step of a random history.
#[derive(Clone, Debug)]
pub enum Step {
    /// Commits a batch at this time, in milliseconds.
    Commit(i64, Vec<(Actor, Operation)>),
    /// Transient users leave their rooms, as after a restart.
    Cleanup,
    /// Reserves this many user ids.
    ReserveIds(u32),
    /// Probes the writer, which must not change anything visible.
    Probe,
    /// Checkpoints the log, which must not change anything visible.
    Checkpoint,
    /// Closes the stores and opens them again.
    Reopen,
}

fn room() -> impl Strategy<Value = RoomRef> {
    prop_oneof![
        6 => prop_oneof![Just("lobby"), Just("tea"), Just("TEA"), Just("coffee"), Just("milk")].prop_map(named),
        2 => (0u64..6).prop_map(|id| RoomRef::Id(RoomId(id))),
        1 => Just(RoomRef::Id(RoomId(u64::MAX))),
    ]
}

/// Users 1 to 3 have sessions, 4 and 5 have none. Occasionally the caller wrongly assumes that a user is stored.
fn actor() -> impl Strategy<Value = Actor> {
    (1u64..6, prop::bool::weighted(0.95)).prop_map(|(n, registers)| {
        let registration = registers.then_some(Registration { token: (n < 4).then(|| token(n)) });
        Actor { user: user(n), registration }
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let text = prop_oneof![Just("hello"), Just("你好"), Just(" a\n")];
    let body = text.prop_map(|text| MessageBody::new(text, 8192).unwrap());
    let keys = prop_oneof![Just(None), (0u8..4).prop_map(|n| Some(key(&format!("k{n}"))))];
    prop_oneof![
        8 => (room(), prop::bool::weighted(0.9)).prop_map(|(room, create_if_missing)| Operation::from(domain::Join { room, create_if_missing })),
        3 => (1u64..6).prop_map(|room| Operation::from(domain::Open { room: RoomId(room) })),
        2 => (0u64..8).prop_map(|room| Operation::from(domain::Open { room: RoomId(room) })),
        4 => room().prop_map(|room| Operation::from(protocol::Leave { room })),
        8 => (room(), keys, body).prop_map(|(room, key, body)| Operation::from(domain::Send { room, key, body })),
        2 => (0u8..3).prop_map(|n| rename(&format!("name {n}"))),
        3 => (room(), 0u64..12).prop_map(|(room, seq)| Operation::from(protocol::Read { room, seq: Seq(seq) })),
        2 => (room(), prop::sample::select(vec!["", "tea", "龙井"])).prop_map(|(room, topic)| Operation::from(protocol::SetTopic {
            room,
            topic: Topic::new(topic).unwrap(),
        })),
        1 => Just(Operation::from(domain::LeaveAll)),
        1 => (1u64..4).prop_map(|n| Operation::from(domain::EndSession { token: token(n) })),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let commit = (0i64..100, prop::collection::vec((actor(), operation()), 0..12));
    prop_oneof![
        20 => commit.prop_map(|(now, requests)| Step::Commit(now, requests)),
        3 => (0i64..100, crowd()).prop_map(|(now, requests)| Step::Commit(now, requests)),
        1 => Just(Step::Cleanup),
        1 => (0u32..5).prop_map(Step::ReserveIds),
        1 => Just(Step::Probe),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

/// Many users who join a room in one batch, some of them twice, with a few other requests in between.
fn crowd() -> impl Strategy<Value = Vec<(Actor, Operation)>> {
    let others =
        prop::collection::vec((prop::sample::select(vec![0, 50, 99, 100, 101]), actor(), operation()), 0..6);
    let (first, count) = (prop_oneof![Just(1), 1..MANY_USERS], prop_oneof![Just(MANY_USERS), 1..MANY_USERS]);
    (prop_oneof![Just("tea"), Just("lobby")], first, count, others).prop_map(
        |(room, first, count, others)| {
            let users = first..=MANY_USERS.min(first + count);
            let mut requests: Vec<_> =
                users.map(|n| (if n % 3 == 0 { transient_guest(n) } else { guest(n) }, join(room))).collect();
            for (at, actor, operation) in others {
                requests.insert(at.min(requests.len()), (actor, operation));
            }
            requests
        },
    )
}

fn commit(fixture: &mut Fixture, now: i64, requests: Vec<(Actor, Operation)>) -> Batch {
    let numbered = requests.into_iter().zip(7..);
    let requests = numbered
        .map(|((actor, operation), n)| Request { request_id: RequestId(n), actor, operation })
        .collect();
    fixture.writer.commit(Timestamp(now), requests)
}

/// Everything that a reader can return, as a text to compare.
fn visible(fixture: &mut Fixture) -> String {
    let mut visible = String::new();
    let rooms: Vec<RoomId> = (0..12).map(RoomId).collect();
    let reader = &mut fixture.reader;
    let mut note = |what: &dyn std::fmt::Debug| visible += &format!("{what:?}\n");
    note(&reader.heads(&rooms).unwrap());
    for user in (0..7).map(UserId) {
        note(&reader.open_rooms(user, &rooms).unwrap());
        for (joined, after, limit) in [(false, None, 100), (true, None, 2), (false, Some(RoomId(1)), 1)] {
            note(&reader.rooms(RoomQuery { user, joined, after, limit }).unwrap());
        }
    }
    for n in 0..6 {
        note(&reader.user_of_session(&token(n)).unwrap());
    }
    for room in rooms {
        note(&reader.events_after(room, Seq(0), None, ALL).unwrap());
        let bounds = PageBounds { limit: 4, max_bytes: 600 };
        note(&reader.events_after(room, Seq(2), Some(Seq(7)), bounds).unwrap());
        note(&reader.events_before(room, Seq(6), bounds).unwrap());
    }
    visible
}

/// A history of at most 15 steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..16)
}

/// Runs `steps` on all stores. Each function opens its store: once at the start, and again for each [`Step::Reopen`], after
/// the previous fixture is dropped. It must return the same content each time.
///
/// # Errors
///
/// A difference between the first store and another one, or a violated invariant.
pub fn compare(steps: Vec<Step>, open: &mut [&mut dyn FnMut() -> Fixture]) -> TestCaseResult {
    let mut fixtures: Vec<Fixture> = open.iter_mut().map(|open| open()).collect();
    for step in steps {
        if let Step::Reopen = step {
            fixtures.clear();
            fixtures.extend(open.iter_mut().map(|open| open()));
        }
        let (model, others) = fixtures.split_first_mut().expect("there is a model");
        let expected = run(model, &step);
        let expected_view = visible(model);
        for other in others {
            prop_assert_eq!(&expected, &run(other, &step));
            prop_assert_eq!(&expected_view, &visible(other));
        }
    }
    fixtures.iter_mut().try_for_each(check_invariants)
}

/// The visible outcome of a step.
fn run(fixture: &mut Fixture, step: &Step) -> String {
    let writer = &mut fixture.writer;
    match step {
        Step::Commit(now, requests) => {
            let batch = commit(fixture, *now, requests.clone());
            assert!(batch.internal.is_empty(), "{:?}", batch.internal);
            format!("{batch:?}")
        }
        Step::Cleanup => format!("{:?}", writer.cleanup_transient_users(Timestamp(50)).unwrap()),
        Step::ReserveIds(count) => format!("{:?}", writer.reserve_user_ids(*count).unwrap()),
        Step::Probe => format!("{:?}", writer.probe(Timestamp(0)).unwrap()),
        Step::Checkpoint => format!("{:?}", writer.checkpoint().unwrap()),
        Step::Reopen => String::new(),
    }
}

/// Checks that each room's numbers have no gap and no duplicate, `n` counts messages, and the members are the users who joined
/// and did not leave.
fn check_invariants(fixture: &mut Fixture) -> TestCaseResult {
    for room in (1..12).map(RoomId) {
        let events = fixture.events(room);
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
                    for user in std::iter::once(&event.by).chain(also_joined) {
                        prop_assert!(members.insert(user.id), "{} joined twice", user.id);
                    }
                }
                EventKind::MemberLeft {} => prop_assert!(members.remove(&event.by.id)),
                _ => prop_assert!(members.contains(&event.by.id)),
            }
            prop_assert_eq!((event.seq.0, event.n.0), (seq, n));
        }
        for user in (0..=MANY_USERS).map(UserId) {
            prop_assert_eq!(fixture.reader.is_member(room, user).unwrap(), members.contains(&user));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn memory_and_model_agree_on_random_requests(steps in steps()) {
            let (model, memory) = (MemoryStore::new(LIMITS), MemoryStore::new(LIMITS));
            compare(steps, &mut [
                &mut || Fixture::of_model(&model),
                &mut || Fixture::new(Box::new(memory.clone())),
            ])?;
        }
    }
}
