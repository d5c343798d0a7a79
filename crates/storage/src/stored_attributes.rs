//! The attributes of a room as a column: JSON, so that a new attribute needs no migration and no code here (docs/adr/0007).

use protocol::RoomAttributes;

use crate::StoreError;

/// A room without attributes: most rooms. It is not parsed.
const NONE: &str = "{}";

/// The column for `attributes`.
pub fn attributes_to_json(attributes: &RoomAttributes) -> Result<String, StoreError> {
    serde_json::to_string(attributes).map_err(|error| StoreError::Defect(error.to_string()))
}

/// The attributes in a column that [`attributes_to_json`] wrote.
pub fn attributes_from_json(json: &str) -> Result<RoomAttributes, StoreError> {
    if json == NONE {
        return Ok(RoomAttributes::default());
    }
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use protocol::Topic;

    use super::*;

    #[test]
    fn attributes_survive_the_column() {
        for topic in ["", "今天喝 \"龙井\""] {
            let attributes = RoomAttributes { topic: Topic::new(topic).unwrap() };
            let json = attributes_to_json(&attributes).unwrap();
            assert_eq!(json == NONE, topic.is_empty());
            assert_eq!(attributes_from_json(&json).unwrap(), attributes);
        }
    }

    #[test]
    fn attributes_that_cannot_be_read_are_corrupt() {
        for json in ["", "7", r#"{"topic": 3}"#] {
            assert!(matches!(attributes_from_json(json), Err(StoreError::Corrupt(_))), "{json}");
        }
    }
}
