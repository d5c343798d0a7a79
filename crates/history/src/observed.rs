//! An event as a client received it: the fields that the checker needs, and hashes of the rest.

use std::fmt;
use std::io;

use protocol::{ClientMessageId, Event, EventKind, Seq, UserId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// FNV-1a of some bytes: equal in every process and on every machine. It keeps message texts out of a history.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub u64);

impl Hash {
    const EMPTY: Hash = Hash(0xcbf2_9ce4_8422_2325);

    /// Hashes these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = Self::EMPTY;
        hash.update(bytes);
        hash
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Hashes JSON while it is serialized, without a buffer.
impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Serialized as text, because JSON numbers are exact only up to 2^53.
impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Hash).map_err(serde::de::Error::custom)
    }
}

/// The kinds of events that the checker distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedKind {
    /// `user` sent a message.
    Message,
    /// `user` and `also_joined` became members.
    Joined,
    /// `user` is no longer a member.
    Left,
    /// Any other kind; only its number and its hash are compared.
    Other,
}

/// An event, as a client received it or as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedEvent {
    /// The number in the room.
    pub seq: Seq,
    /// The kind, as far as the checker distinguishes it.
    pub kind: ObservedKind,
    /// The user who sent, joined or left.
    pub user: UserId,
    /// The other users who joined with the same event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_joined: Vec<UserId>,
    /// The `client_message_id` of a message; `None` if it was sent in plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ClientMessageId>,
    /// The hash of a message's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Hash>,
    /// The hash of the whole event as JSON, which detects every other difference.
    pub hash: Hash,
}

impl ObservedEvent {
    /// Converts an event of the protocol.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let mut hash = Hash::EMPTY;
        // Cannot fail: all keys are strings, and the hash accepts every byte.
        serde_json::to_writer(&mut hash, event).expect("events are JSON by construction");
        let (mut key, mut body, mut also_joined) = (None, None, Vec::new());
        let kind = match &event.kind {
            EventKind::Message { client_message_id, body: text } => {
                key.clone_from(client_message_id);
                body = Some(Hash::of(text.as_str().as_bytes()));
                ObservedKind::Message
            }
            EventKind::MemberJoined { also_joined: others } => {
                also_joined = others.iter().map(|user| user.id).collect();
                ObservedKind::Joined
            }
            EventKind::MemberLeft {} => ObservedKind::Left,
            _ => ObservedKind::Other,
        };
        ObservedEvent { seq: event.seq, kind, user: event.by.id, also_joined, key, body, hash }
    }
}

impl fmt::Display for ObservedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ", self.seq)?;
        match self.kind {
            ObservedKind::Message => write!(f, "message by {}", self.user)?,
            ObservedKind::Joined => {
                write!(f, "{} joined", self.user)?;
                if !self.also_joined.is_empty() {
                    write!(f, " with {} more", self.also_joined.len())?;
                }
            }
            ObservedKind::Left => write!(f, "{} left", self.user)?,
            ObservedKind::Other => write!(f, "other event by {}", self.user)?,
        }
        if let Some(key) = &self.key {
            write!(f, ", key {key}")?;
        }
        if let Some(body) = &self.body {
            write!(f, ", body {body}")?;
        }
        write!(f, ", hash {}", self.hash)
    }
}
