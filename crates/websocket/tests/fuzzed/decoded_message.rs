//! A decoded message that outlives the input, for comparisons.

use teahouse_websocket::{CloseCode, Message};

/// An owned [`Message`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecodedMessage {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(CloseCode, String)>),
}

impl From<Message<'_>> for DecodedMessage {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Message::Ping(bytes) => Self::Ping(bytes.to_owned()),
            Message::Pong(bytes) => Self::Pong(bytes.to_owned()),
            Message::Close(why) => Self::Close(why.map(|(code, reason)| (code, reason.to_owned()))),
        }
    }
}
