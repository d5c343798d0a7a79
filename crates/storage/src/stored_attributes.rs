//! The attributes of a room as a JSON column, so that a new attribute needs neither a migration nor code here (docs/adr/0007).

use protocol::RoomAttributes;

use crate::StoreError;

/// The column of a room without attributes, which most rooms are. It is not parsed.
const NONE: &str = "{}";

/// Encodes `attributes` for the column. The error is [`StoreError::Defect`].
pub fn attributes_to_json(attributes: &RoomAttributes) -> Result<String, StoreError> {
    serde_json::to_string(attributes).map_err(|error| StoreError::Defect(error.to_string()))
}

/// Decodes a column that [`attributes_to_json`] wrote. Unknown attributes are kept.
pub fn attributes_from_json(json: &str) -> Result<RoomAttributes, StoreError> {
    if json == NONE {
        return Ok(RoomAttributes::default());
    }
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_the_column() {
        let json = r#"{"future":"今天喝 \"龙井\""}"#;
        let attributes = attributes_from_json(json).unwrap();
        assert_ne!(attributes, RoomAttributes::default());
        assert_eq!(attributes_to_json(&attributes).unwrap(), json);
    }

    #[test]
    fn room_without_attributes_has_an_empty_object() {
        assert_eq!(attributes_to_json(&RoomAttributes::default()).unwrap(), NONE);
        assert_eq!(attributes_from_json(NONE).unwrap(), RoomAttributes::default());
    }

    #[test]
    fn attributes_that_cannot_be_read_are_corrupt() {
        for json in ["", "7", "{"] {
            assert!(matches!(attributes_from_json(json), Err(StoreError::Corrupt(_))), "{json}");
        }
    }
}
