//! The stable codes of refusals. They are a contract: a code is never renamed, and what it means never changes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $retryable:literal, $status:literal;)*) => {
        /// Why something was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, for the documentation's test.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// Whether the same command, sent again later and unchanged, may succeed.
            #[must_use]
            pub fn is_retryable(self) -> bool {
                match self { $(ErrorCode::$variant => $retryable,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// Not JSON, not an object, a field missing or of the wrong kind.
    Malformed = "malformed", false, 400;
    /// No command has this type.
    UnknownType = "unknown_type", false, 400;
    /// No name for a room, or for a person.
    InvalidName = "invalid_name", false, 400;
    /// A message with nothing in it.
    BodyEmpty = "body_empty", false, 400;
    /// A message longer than `limits.body_bytes`.
    BodyTooLong = "body_too_long", false, 413;
    /// No room has this id, or (where no room is made) this name.
    RoomNotFound = "room_not_found", false, 404;
    /// Only members may.
    NotAMember = "not_a_member", false, 403;
    /// The same `client_message_id` was used for another room or body.
    KeyConflict = "key_conflict", false, 409;
    /// One person can be in so many rooms and no more.
    TooManyRooms = "too_many_rooms", false, 409;
    /// Too often; `retry_after_ms` says how long to wait.
    RateLimited = "rate_limited", true, 429;
    /// More than the server can take at the moment.
    Overloaded = "overloaded", true, 503;
    /// The store did not answer as it should: whether it was stored is not known.
    Unavailable = "unavailable", true, 503;
    /// The disk is full: nothing was stored.
    StorageFull = "storage_full", true, 507;
    /// The server is stopping.
    ShuttingDown = "shutting_down", true, 503;
    /// No session, or one that has ended.
    Unauthorized = "unauthorized", false, 401;
    /// A page of this origin may not do this here.
    ForbiddenOrigin = "forbidden_origin", false, 403;
    /// No such address.
    NotFound = "not_found", false, 404;
    /// A defect of the server; its log says more.
    Internal = "internal", true, 500;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
