//! The bounds that clients and servers agree on. `welcome` contains those that a client needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits of a connection, as `welcome` announces them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// The longest message body, in UTF-8 bytes. A longer one gets `body_too_long`.
    pub body_bytes: u32,
    /// The longest WebSocket message, in bytes. A longer one closes the connection with 1009.
    pub frame_bytes: u32,
    /// The longest room name, in characters. A longer one gets `invalid_name`.
    pub room_name_chars: u32,
    /// The longest name of a user, in characters. A longer one gets `invalid_name`.
    pub user_name_chars: u32,
    /// The most missed events that a join or resume sends; a client that missed more gets a `gap`.
    pub catch_up_events: u32,
    /// The most events in one page of `history`.
    pub history_events: u32,
}

impl Limits {
    /// The longest message body unless configured otherwise, in UTF-8 bytes: 8 KiB.
    pub const BODY_BYTES: u32 = 8 * 1024;
    /// The longest WebSocket message in bytes: 64 KiB, enough for the longest configurable body even if every byte is escaped.
    pub const FRAME_BYTES: u32 = 64 * 1024;
    /// The longest body that may be configured, in bytes: `\u0001` is six bytes for one, so 10 KiB of them fit into a frame.
    pub const MAX_BODY_BYTES: u32 = 10 * 1024;
    /// The longest room name, in Unicode scalar values after NFKC.
    pub const ROOM_NAME_CHARS: u32 = 64;
    /// The longest name of a user, in Unicode scalar values after NFC.
    pub const USER_NAME_CHARS: u32 = 32;
    /// The most missed events that are sent without a `gap`: bounds what one resume reads from the store.
    pub const CATCH_UP_EVENTS: u32 = 1_000;
    /// The most events in a page of `history`.
    pub const HISTORY_EVENTS: u32 = 500;
    /// The events in a page of `history` without a `limit`.
    pub const HISTORY_EVENTS_DEFAULT: u32 = 100;
    /// A page of `history` ends early when its events exceed this, in bytes of JSON: 500 events of 8 KiB would be 4 MB.
    pub const HISTORY_BYTES: usize = 256 * 1024;
    /// The most users in a page of `who`, and the most rooms in a page of `rooms`.
    pub const PAGE: u32 = 100;
    /// The most users that `joined` names; without the bound, every join of a large room would send all names.
    pub const JOINED_ONLINE: usize = 50;
    /// In rooms with more users online than this, `presence` contains only the count.
    pub const PRESENCE_NAMES: u32 = 100;
    /// The most users that one `member_joined` names. A name of 32 characters of four bytes, an id of 20 digits and the JSON
    /// around them are at most 180 bytes, so the event stays below 20 KiB and fits into a frame.
    pub const JOINED_TOGETHER: usize = 100;
    /// The most rooms in one `resume`.
    pub const RESUME_ROOMS: usize = 500;
    /// The most commands in one frame, as a JSON array.
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
