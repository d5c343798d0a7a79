//! How an event becomes the bytes that go to the sockets: once for each encoding that somebody in the room speaks.

use proto::{Event, EventKind};

use crate::arrival::Speaks;
use crate::plain_text::notice_line;
use crate::texts::{Language, texts};

/// The encodings that a room's log may be held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `teahouse.v1.json`
    Json,
    /// Plain text with notices in English.
    LinesEn,
    /// Plain text with notices in Chinese.
    LinesZh,
}

impl Encoding {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Encoding; Self::COUNT] = [Encoding::Json, Encoding::LinesEn, Encoding::LinesZh];
}

impl From<Speaks> for Encoding {
    fn from(speaks: Speaks) -> Self {
        match speaks {
            Speaks::Json => Encoding::Json,
            Speaks::PlainText(Language::En) => Encoding::LinesEn,
            Speaks::PlainText(Language::Zh) => Encoding::LinesZh,
            #[cfg(feature = "echo")]
            Speaks::Echo => Encoding::Json,
        }
    }
}

/// A frame of one JSON object, header included.
pub(crate) fn json_frame(frame: &impl serde::Serialize) -> Vec<u8> {
    // Maps with text keys, texts and numbers are all that frames hold; serde_json can fail on none of them.
    let payload = serde_json::to_vec(frame).expect("frames are JSON by construction");
    websocket::text_frame(&payload)
}

/// An event as a frame.
pub(crate) fn event_frame(event: &Event, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => json_frame(event),
        Encoding::LinesEn => websocket::text_frame(line(event, Language::En).as_bytes()),
        Encoding::LinesZh => websocket::text_frame(line(event, Language::Zh).as_bytes()),
    }
}

/// An event as a line. Whatever a person chose in it has been made one line, so that nobody can forge another's.
fn line(event: &Event, language: Language) -> String {
    let texts = texts(language);
    let name = event.by.name.as_str();
    match &event.kind {
        EventKind::Message { body, .. } => format!("{name}: {}", rules::one_line(body.as_str())),
        EventKind::MemberJoined {} => notice_line(&(texts.joined)(name)),
        EventKind::MemberLeft {} => notice_line(&(texts.left)(name)),
        EventKind::Renamed { was } => notice_line(&(texts.renamed)(was.as_str(), name)),
    }
}
