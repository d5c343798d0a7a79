//! Parsing of frames that were not recognized by their bytes.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of all frames that the generator uses. A field that a frame lacks is `None`.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    pub(crate) id: Option<u64>,
    #[serde(borrow)]
    pub(crate) room: Option<&'a str>,
    pub(crate) seq: Option<u64>,
    pub(crate) head: Option<u64>,
    pub(crate) from: Option<u64>,
    pub(crate) to: Option<u64>,
    pub(crate) body: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) retryable: bool,
    pub(crate) retry_after_ms: Option<u64>,
}

impl<'a> Frame<'a> {
    /// Parses the frame at the start of `text`. Returns it with its length.
    pub(crate) fn read(text: &'a str) -> Option<(Self, usize)> {
        let mut frames = serde_json::Deserializer::from_str(text).into_iter();
        let frame = frames.next()?.ok()?;
        Some((frame, frames.byte_offset()))
    }
}

/// The length of the JSON value at the start of `text`.
pub(crate) fn json_len(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_of_the_protocol_is_parsed() {
        let golden: Vec<&RawValue> =
            serde_json::from_str(include_str!("../../../protocol/golden/server.json")).unwrap();
        assert!(golden.len() > 10);
        for frame in golden {
            let followed = format!("{},{{}}]", frame.get());
            let (read, length) = Frame::read(&followed).unwrap();
            assert!(!read.kind.is_empty());
            assert_eq!(length, frame.get().len());
        }
    }

    #[test]
    fn json_length_excludes_what_follows() {
        assert_eq!(json_len(r#"{"a":"]}","b":[1]},{"c":2}]"#), Some(18));
        assert_eq!(json_len("{}"), Some(2));
        assert_eq!(json_len("{"), None);
        assert_eq!(json_len(""), None);
    }
}
