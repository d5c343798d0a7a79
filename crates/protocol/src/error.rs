//! The stable codes of errors. They are a contract: a code is never renamed, and its meaning never changes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $retryable:literal, $status:literal,
        message: $message:literal;)*) => {
        /// The stable code of an error. A client treats an unknown code as `internal`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documents.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code on the wire: snake case, never renamed after a release.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// The meaning of the code: one or two sentences for the documents.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => concat!($($doc),+).trim_ascii(),)* }
            }

            /// Whether the same command, sent again later and unchanged, may succeed.
            #[must_use]
            pub fn is_retryable(self) -> bool {
                match self { $(ErrorCode::$variant => $retryable,)* }
            }

            /// The English message for the author of a client, used where the error has no more specific one.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message,)* }
            }

            /// The HTTP status of an answer with this code.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// The request is not JSON or not an object, or a field is missing or has the wrong type.
    Malformed = "malformed", false, 400,
        message: "the request is malformed";
    /// No command has this `type`.
    UnknownType = "unknown_type", false, 400,
        message: "there is no such command";
    /// The text is not a valid name for a room or a user.
    InvalidName = "invalid_name", false, 400,
        message: "this name is not allowed";
    /// The message is empty or only white space.
    BodyEmpty = "body_empty", false, 400,
        message: "a message cannot be empty";
    /// The message is longer than `limits.body_bytes`, or the HTTP body is too long.
    BodyTooLong = "body_too_long", false, 413,
        message: "the message is too long";
    /// The topic is longer than 250 characters.
    TopicTooLong = "topic_too_long", false, 400,
        message: "a topic has at most 250 characters";
    /// No room has this id or name.
    RoomNotFound = "room_not_found", false, 404,
        message: "there is no such room";
    /// Only members of the room may do this; `join` first.
    NotAMember = "not_a_member", false, 403,
        message: "you are not a member of this room";
    /// The same `client_message_id` was already used for another room or another body.
    KeyConflict = "key_conflict", false, 409,
        message: "this client_message_id was used for another room or body";
    /// The user is already a member of as many rooms as one user may be (200 unless configured).
    TooManyRooms = "too_many_rooms", false, 409,
        message: "the limit of rooms per user is reached";
    /// The rate limit is exceeded; wait for `retry_after_ms`.
    RateLimited = "rate_limited", true, 429,
        message: "rate limit exceeded; retry after retry_after_ms";
    /// The server has more work than it can do; nothing was stored.
    Overloaded = "overloaded", true, 503,
        message: "the server has more work than it can do; try again soon";
    /// The store failed, and the request may or may not have been stored; send it again, unchanged.
    Unavailable = "unavailable", true, 503,
        message: "the store failed; whether the request was stored is not known";
    /// The disk is full; nothing was stored.
    StorageFull = "storage_full", true, 507,
        message: "the server's disk is full; nothing was stored";
    /// The server is stopping.
    ShuttingDown = "shutting_down", true, 503,
        message: "the server is stopping; retry later";
    /// The request has no session, or one that has ended.
    Unauthorized = "unauthorized", false, 401,
        message: "there is no session, or it has ended";
    /// The request comes from a page whose origin is not allowed.
    ForbiddenOrigin = "forbidden_origin", false, 403,
        message: "this origin is not allowed";
    /// No route has this path.
    NotFound = "not_found", false, 404,
        message: "there is nothing at this address";
    /// A defect of the server, with details in its log.
    Internal = "internal", true, 500,
        message: "the server could not do this";
}

/// The body of an HTTP answer with an error status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct HttpError<'a> {
    /// The stable code, for programs. Clients treat an unknown one as `internal`.
    pub code: ErrorCode,
    /// An English message for the author of the client; not for users, and not stable.
    pub message: &'a str,
    /// Whether the same request, sent again unchanged, may succeed later.
    pub retryable: bool,
    /// The time to wait before that, in milliseconds. Present with `rate_limited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
