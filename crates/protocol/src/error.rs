//! The stable codes of errors. They are a contract: a code is never renamed, and its meaning never changes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $retryable:literal, $status:literal,
        message: $message:literal, en: $en:literal, zh: $zh:literal;)*) => {
        /// The stable code of an error. A client treats a code that it does not have as `internal`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, for the documentation's test.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// What it means, as a sentence for the documents.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$variant => concat!($($doc),+).trim_ascii(),)* }
            }

            /// Whether the same command, sent again later and unchanged, may succeed.
            #[must_use]
            pub fn is_retryable(self) -> bool {
                match self { $(ErrorCode::$variant => $retryable,)* }
            }

            /// A message for the author of a client, where there is none that says more.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message,)* }
            }

            /// A text for people in plain text, in English. The web client has texts of its own.
            #[must_use]
            pub fn text_en(self) -> &'static str {
                match self { $(ErrorCode::$variant => $en,)* }
            }

            /// The same text in Chinese.
            #[must_use]
            pub fn text_zh(self) -> &'static str {
                match self { $(ErrorCode::$variant => $zh,)* }
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
    /// Not JSON, not an object, or a field is missing or of the wrong type.
    Malformed = "malformed", false, 400,
        message: "the request is malformed",
        en: "this could not be understood",
        zh: "无法理解收到的内容";
    /// No command has this type.
    UnknownType = "unknown_type", false, 400,
        message: "there is no such command",
        en: "there is no such command",
        zh: "没有这个命令";
    /// Not a legal name for a room or a user.
    InvalidName = "invalid_name", false, 400,
        message: "this name is not allowed",
        en: "this name is not allowed",
        zh: "不能使用这个名字";
    /// The message is empty, or only white space.
    BodyEmpty = "body_empty", false, 400,
        message: "a message cannot be empty",
        en: "there is nothing in this message",
        zh: "消息内容为空";
    /// The message is longer than `limits.body_bytes`, or the HTTP body is too long.
    BodyTooLong = "body_too_long", false, 413,
        message: "the message is too long",
        en: "this message is too long",
        zh: "消息太长";
    /// The topic is longer than 250 characters.
    TopicTooLong = "topic_too_long", false, 400,
        message: "a topic has at most 250 characters",
        en: "this topic is too long; at most 250 characters",
        zh: "话题太长，最多 250 个字符";
    /// No room has this id or name.
    RoomNotFound = "room_not_found", false, 404,
        message: "there is no such room",
        en: "there is no such room",
        zh: "没有这个房间";
    /// Only members of the room may do this; `join` first.
    NotAMember = "not_a_member", false, 403,
        message: "you are not a member of this room",
        en: "only members can do this; /join the room first",
        zh: "只有房间成员才能这样做，请先用 /join 加入";
    /// The same `client_message_id` was used for another room or body.
    KeyConflict = "key_conflict", false, 409,
        message: "this client_message_id was used for another room or body",
        en: "another message was sent under the same key",
        zh: "另一条消息用过同一个标识";
    /// The user is a member of as many rooms as one user may be (200 unless configured).
    TooManyRooms = "too_many_rooms", false, 409,
        message: "you are in as many rooms as one user may be",
        en: "you are in as many rooms as one person can be; /leave one first",
        zh: "你加入的房间已达上限，请先用 /leave 离开一个";
    /// Too many of these; wait for `retry_after_ms`.
    RateLimited = "rate_limited", true, 429,
        message: "too many of these; wait a little",
        en: "too often; wait a moment",
        zh: "操作太频繁，请稍候";
    /// The server has more work than it can do; nothing was stored.
    Overloaded = "overloaded", true, 503,
        message: "the server has more work than it can do; try again soon",
        en: "the server is very busy; try again",
        zh: "服务器繁忙，请重试";
    /// The store failed. Whether the request was stored is not known; send it again, unchanged.
    Unavailable = "unavailable", true, 503,
        message: "the store failed; whether the request was stored is not known",
        en: "the server could not store this just now; it may or may not have been kept",
        zh: "服务器暂时无法保存，不确定是否已存下";
    /// The disk is full; nothing was stored.
    StorageFull = "storage_full", true, 507,
        message: "the server's disk is full; nothing was stored",
        en: "the server's disk is full; nothing was kept",
        zh: "服务器磁盘已满，内容未保存";
    /// The server is stopping.
    ShuttingDown = "shutting_down", true, 503,
        message: "the server is stopping; come back soon",
        en: "the server is stopping",
        zh: "服务器即将停止";
    /// No session, or one that has ended.
    Unauthorized = "unauthorized", false, 401,
        message: "there is no session, or it has ended",
        en: "you are not logged in any more",
        zh: "登录已失效";
    /// The page's origin is not allowed.
    ForbiddenOrigin = "forbidden_origin", false, 403,
        message: "this origin is not allowed",
        en: "this page may not connect here",
        zh: "不允许从这个页面连接";
    /// There is no such address.
    NotFound = "not_found", false, 404,
        message: "there is nothing at this address",
        en: "there is nothing here",
        zh: "这里什么也没有";
    /// A defect of the server, with details in its log.
    Internal = "internal", true, 500,
        message: "the server could not do this",
        en: "something went wrong in the server",
        zh: "服务器内部出错";
}

/// The body of an HTTP answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct HttpError<'a> {
    /// What a program acts on.
    pub code: ErrorCode,
    /// In English, for the author of the client.
    pub message: &'a str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long to wait before it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
