//! Events of kinds that this version does not define.

use domain::Effect;
use protocol::{Event, EventKind, MessageCount, Seq, Timestamp};
use serde_json::json;

use super::fixture::*;

pub fn event_of_unknown_kind_is_stored_unchanged(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    for (seq, kind) in [
        (
            2,
            json!({"type": "pinned", "target": 1, "note": {"body": "茶 \"x\"", "list": [1, -2, null, true]}}),
        ),
        (3, json!({"type": "closed"})),
    ] {
        let kind: EventKind = serde_json::from_value(kind).unwrap();
        assert!(matches!(kind, EventKind::Unknown(_)));
        let event =
            Event { kind, room, seq: Seq(seq), n: MessageCount(0), by: user(1), at: Timestamp(1_000) };
        fixture.writer.commit_effects(fixture.now, vec![Effect::AppendEvent(event.clone())]).unwrap();
        assert_eq!(fixture.events(room).pop(), Some(event.clone()));
        assert_eq!(fixture.reader.events_before(room, Seq(9), ALL).unwrap().events.pop(), Some(event));
    }
    assert_eq!(fixture.send(1, "tea", "hello"), Seq(4), "the log continues");
}
