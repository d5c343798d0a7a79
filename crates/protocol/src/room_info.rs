//! The description of a room that its members receive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{EventKind, RoomId, RoomName, Topic};

/// A room: its identity, and its attributes at one position of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomInfo {
    /// The id, which never changes and is not reused.
    pub room: RoomId,
    /// The display name. Names are compared without case and width.
    pub name: RoomName,
    /// The attributes that events can change. On the wire they are in the same object.
    #[serde(flatten)]
    pub attributes: RoomAttributes,
}

impl RoomInfo {
    /// A room whose attributes all have their defaults.
    #[must_use]
    pub fn new(room: RoomId, name: RoomName) -> Self {
        RoomInfo { room, name, attributes: RoomAttributes::default() }
    }
}

/// The attributes of a room that events can change. Stores keep them as this JSON, so a new attribute needs no migration: a
/// field with its default is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomAttributes {
    /// The topic; absent if there is none.
    #[serde(default, skip_serializing_if = "Topic::is_empty")]
    pub topic: Topic,
    /// Attributes that this version does not define, because a newer version set them. They are carried unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: Map<String, Value>,
}

impl RoomAttributes {
    /// Applies an event of the room; events that change no attribute have no effect.
    pub fn apply(&mut self, kind: &EventKind) {
        if let EventKind::TopicChanged { topic } = kind {
            self.topic = topic.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic_changed(topic: &str) -> EventKind {
        EventKind::TopicChanged { topic: Topic::new(topic).unwrap() }
    }

    #[test]
    fn event_changes_its_attribute_only() {
        let mut attributes = RoomAttributes::default();
        attributes.apply(&topic_changed("龙井"));
        attributes.apply(&EventKind::MemberLeft {});
        assert_eq!(attributes.topic.as_str(), "龙井");
        attributes.apply(&topic_changed(""));
        assert_eq!(attributes, RoomAttributes::default());
    }

    #[test]
    fn unknown_attributes_encode_to_what_was_read() {
        let json = serde_json::json!({"room": "r5", "name": "tea", "picture": {"id": 7}});
        let mut info: RoomInfo = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&info).unwrap(), json);
        info.attributes.apply(&topic_changed("龙井"));
        assert_eq!(serde_json::to_value(&info).unwrap()["picture"], json["picture"]);
    }

    #[test]
    fn default_attributes_are_an_empty_object() {
        assert_eq!(serde_json::to_string(&RoomAttributes::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<RoomAttributes>("{}").unwrap(), RoomAttributes::default());
    }
}
