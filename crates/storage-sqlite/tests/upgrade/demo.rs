//! The demo data: an example of everything that a store contains, in two languages.

use std::path::Path;

use domain::{Effect, RoomLimits};
use protocol::{
    ClientMessageId, Event, EventKind, MessageBody, MessageCount, RoomId, RoomName, RoomRef, Seq, Timestamp,
    User, UserId, UserName,
};
use storage::{
    Actor, Batch, Operation, PageBounds, Reader, Registration, Request, RequestId, Store, TokenHash, Writer,
    attributes_from_json,
};
use teahouse_storage_sqlite::SqliteStore;

pub(crate) const LIMITS: RoomLimits = RoomLimits { rooms_per_user: 10 };
pub(crate) const LOBBY: RoomId = storage::LOBBY;
pub(crate) const TEA: RoomId = RoomId(2);

/// Writes the demo data into a new folder, and closes the store.
pub(crate) fn build_demo(folder: &Path) {
    let store = SqliteStore::open(folder, LIMITS).unwrap();
    let mut writer = store.writer().unwrap();
    writer.reserve_user_ids(100).unwrap();
    let (li, han, bob) = (guest(1, "李雷"), guest(2, "Han Meimei"), guest(3, "Bob"));
    let passer_by = Actor { user: user(4, "Passer-by"), registration: Some(Registration { token: None }) };
    let ann = guest(5, "Ann");
    let batches: Vec<Vec<(&Actor, Operation)>> = vec![
        vec![(&li, join("lobby")), (&han, join("lobby")), (&bob, join("lobby"))],
        vec![
            (&li, send("lobby", Some("k1"), "你好，茶馆 👩‍🚀")),
            (&li, protocol::Read { room: RoomRef::Id(LOBBY), seq: Seq(u64::MAX >> 1) }.into()),
            (&han, send("lobby", None, "Hello, everybody\nand a second line")),
        ],
        vec![(&li, join("茶馆")), (&han, join("茶馆"))],
        vec![(&li, send("茶馆", Some("k2"), "今天喝龙井")), (&han, send("茶馆", None, "me too"))],
        vec![(&han, rename("韩梅梅")), (&bob, leave("lobby"))],
        vec![(&han, protocol::Read { room: named("茶馆"), seq: Seq(u64::MAX >> 1) }.into())],
        vec![(&bob, join("gone"))],
        vec![(&bob, leave("gone"))],
        vec![(&passer_by, join("lobby")), (&passer_by, send("lobby", None, "路过而已"))],
        vec![(&ann, join("lobby")), (&ann, domain::EndSession { token: token(5) }.into())],
    ];
    for (at, batch) in (1..).zip(batches) {
        let batch = commit(
            &mut *writer,
            at * 1_000,
            batch.into_iter().map(|(who, operation)| (who.clone(), operation)),
        );
        assert!(batch.replies.iter().all(|(_, answer)| answer.is_ok()), "{:?}", batch.replies);
    }
    writer.commit_effects(Timestamp(20_000), attribute_effects(Timestamp(20_000))).unwrap();
    writer.checkpoint().unwrap();
}

/// The last event of the demo data, which changes an attribute of a room.
fn attribute_effects(at: Timestamp) -> Vec<Effect> {
    let kind = serde_json::from_str(r#"{"type":"topic_changed","topic":"今天喝龙井"}"#).unwrap();
    let by = user(2, "韩梅梅");
    let event = Event { kind, room: TEA, seq: Seq(5), n: MessageCount(2), by, at };
    let attributes = attributes_from_json(r#"{"topic":"今天喝龙井"}"#).unwrap();
    vec![Effect::AppendEvent(event), Effect::SetRoomAttributes { room: TEA, attributes }]
}

pub(crate) fn commit(
    writer: &mut dyn Writer,
    at: i64,
    operations: impl IntoIterator<Item = (Actor, Operation)>,
) -> Batch {
    let numbered = operations.into_iter().zip(0..);
    let requests =
        numbered.map(|((actor, operation), n)| Request { request_id: RequestId(n), actor, operation });
    writer.commit(Timestamp(at), requests.collect())
}

/// All events of a room, one line each.
pub(crate) fn event_lines(reader: &mut dyn Reader, room: RoomId) -> Vec<String> {
    let bounds = PageBounds { limit: 10_000, max_bytes: usize::MAX };
    let events = reader.events_after(room, Seq(0), None, bounds).unwrap().events;
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!(event.seq, Seq(seq), "a hole");
    }
    let messages = events.iter().map(|event| matches!(event.kind, EventKind::Message { .. }));
    let so_far = messages.scan(0, |n, message| {
        Some({
            *n += u64::from(message);
            *n
        })
    });
    assert!(events.iter().zip(so_far).all(|(event, n)| event.n.0 == n), "messages are miscounted");
    assert!(events.is_sorted_by_key(|event| event.at));
    events.iter().map(line).collect()
}

pub(crate) fn line(event: &Event) -> String {
    let who = |user: &User| format!("{} {}", user.id, user.name);
    let by = who(&event.by);
    match &event.kind {
        EventKind::Message { client_message_id: Some(key), body } => {
            format!("{by} [{key}]: {}", body.as_str())
        }
        EventKind::Message { client_message_id: None, body } => format!("{by}: {}", body.as_str()),
        EventKind::MemberJoined { also_joined } if also_joined.is_empty() => format!("{by} joined"),
        EventKind::MemberJoined { also_joined } => {
            format!("{by} joined with {}", also_joined.iter().map(who).collect::<Vec<_>>().join(", "))
        }
        EventKind::MemberLeft {} => format!("{by} left"),
        EventKind::Renamed { old_name } => format!("{by} was {old_name}"),
        other => format!("{by} {}", serde_json::to_string(other).unwrap()),
    }
}

pub(crate) fn user(id: u64, name: &str) -> User {
    User { id: UserId(id), name: UserName::new(name).unwrap() }
}

pub(crate) fn guest(id: u64, name: &str) -> Actor {
    Actor { user: user(id, name), registration: Some(Registration { token: Some(token(id)) }) }
}

pub(crate) fn token(id: u64) -> TokenHash {
    TokenHash([u8::try_from(id).unwrap(); 32])
}

pub(crate) fn named(name: &str) -> RoomRef {
    RoomRef::Name(RoomName::new(name).unwrap())
}

pub(crate) fn join(name: &str) -> Operation {
    domain::Join { room: named(name), create_if_missing: true }.into()
}

pub(crate) fn leave(name: &str) -> Operation {
    protocol::Leave { room: named(name) }.into()
}

pub(crate) fn send(name: &str, key: Option<&str>, text: &str) -> Operation {
    let key = key.map(|key| ClientMessageId::new(key).unwrap());
    domain::Send { room: named(name), key, body: MessageBody::new(text, 8192).unwrap() }.into()
}

pub(crate) fn rename(name: &str) -> Operation {
    protocol::Rename { name: UserName::new(name).unwrap() }.into()
}

pub(crate) fn read(name: &str, seq: u64) -> Operation {
    protocol::Read { room: named(name), seq: Seq(seq) }.into()
}
