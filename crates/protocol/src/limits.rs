//! Sizes that both sides keep to. `welcome` has those that a client needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// The longest message body, in bytes of UTF-8. A longer one gets `body_too_long`.
    pub body_bytes: u32,
    /// Longest WebSocket message, in bytes. A longer one closes the connection with 1009.
    pub frame_bytes: u32,
    /// Longest room name, in characters.
    pub room_name_chars: u32,
    /// Longest name of a user, in characters.
    pub user_name_chars: u32,
    /// How many missed events a client receives at most; beyond that it gets a `gap`.
    pub catch_up_events: u32,
    /// How many events one page of history holds at most.
    pub history_events: u32,
}

impl Limits {
    /// Longest message body unless configured otherwise: 8 KiB.
    pub const BODY_BYTES: u32 = 8 * 1024;
    /// Longest WebSocket message: 64 KiB. It holds the longest configurable body even when every byte is escaped.
    pub const FRAME_BYTES: u32 = 64 * 1024;
    /// Longest body that may be configured: `\u0001` is six bytes for one, and 10 KiB of them fit a frame.
    pub const MAX_BODY_BYTES: u32 = 10 * 1024;
    /// Longest room name, in characters after NFKC.
    pub const ROOM_NAME_CHARS: u32 = 64;
    /// Longest name of a user, in characters after NFC.
    pub const USER_NAME_CHARS: u32 = 32;
    /// Beyond this many missed events the answer is `gap`.
    pub const CATCH_UP_EVENTS: u32 = 1_000;
    /// Longest page of history, in events.
    pub const HISTORY_EVENTS: u32 = 500;
    /// A page of history unless asked otherwise, in events.
    pub const HISTORY_EVENTS_DEFAULT: u32 = 100;
    /// A page of history ends early when its events come to more than this, in bytes of JSON.
    pub const HISTORY_BYTES: usize = 256 * 1024;
    /// Longest page of `who`, in users, and of `rooms`, in rooms.
    pub const PAGE: u32 = 100;
    /// How many users `joined` names at most.
    pub const JOINED_ONLINE: usize = 50;
    /// In rooms with more users online than this, `presence` gives the count alone.
    pub const PRESENCE_NAMES: u32 = 100;
    /// How many users one `member_joined` names at most. A name of 32 characters of four bytes, an id of 20 digits and what JSON
    /// puts around them come to 180 bytes, so the event stays below 20 KiB: far from what a frame may hold.
    pub const JOINED_TOGETHER: usize = 100;
    /// How many rooms one `resume` may name.
    pub const RESUME_ROOMS: usize = 500;
    /// How many commands one frame may hold, as a JSON array.
    pub const FRAME_COMMANDS: usize = 256;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: Self::BODY_BYTES,
            frame_bytes: Self::FRAME_BYTES,
            room_name_chars: Self::ROOM_NAME_CHARS,
            user_name_chars: Self::USER_NAME_CHARS,
            catch_up_events: Self::CATCH_UP_EVENTS,
            history_events: Self::HISTORY_EVENTS,
        }
    }
}
