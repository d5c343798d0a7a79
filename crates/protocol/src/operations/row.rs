//! The row of an operation: everything about it but its types.

use crate::ErrorCode;

/// One operation, as the dispatcher, the HTTP routes, the OpenAPI document and the tables of the documents read it.
#[derive(Debug)]
pub struct Row {
    /// The name on the wire: `type` of the frame, `operationId` in OpenAPI.
    pub name: &'static str,
    /// One sentence for the documents.
    pub summary: &'static str,
    /// The reply over WebSocket, in Markdown.
    pub reply: &'static str,
    /// The HTTP form. Without one, the operation exists on a live connection only.
    pub http: Option<Route>,
    /// What the user needs in the room. Without one, a session is enough.
    pub permission: Option<Permission>,
    /// The token bucket that pays for it.
    pub rate: RateClass,
    /// Types of the events that it may append.
    pub events: &'static [&'static str],
    /// Error codes that it may return, in groups.
    pub errors: &'static [&'static [ErrorCode]],
    /// The line that requests it in plain text and in the page. Without one, there is no such line.
    pub slash: Option<Slash>,
    /// Requests as frames, for `golden/client.json`.
    pub requests: &'static [&'static str],
    /// Replies, and other frames with what it changes, for `golden/server.json`.
    pub replies: &'static [&'static str],
}

/// A line that begins with a slash: `/topic Tea, all day`. A field `room` is the room in which the line is written, unless the
/// argument is that field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slash {
    /// The word after the slash, in lower case.
    pub word: &'static str,
    /// The field that the rest of the line is the value of. Such a line without a rest is incomplete.
    pub argument: Option<&'static str>,
}

impl Row {
    /// Each error code that the operation may return, over either transport.
    pub fn error_codes(&self) -> impl Iterator<Item = ErrorCode> + use<'_> {
        ErrorCode::ALL.iter().copied().filter(|code| self.may_return(*code))
    }

    /// Whether an answer to this operation may bear `code`.
    #[must_use]
    pub fn may_return(&self, code: ErrorCode) -> bool {
        let http = self.http.as_ref().is_some_and(|route| route.may_return(code));
        http || self.errors.iter().any(|group| group.contains(&code))
    }

    /// Whether a reply over WebSocket may bear `code`.
    #[must_use]
    pub fn may_return_over_websocket(&self, code: ErrorCode) -> bool {
        self.errors.iter().any(|group| group.contains(&code))
    }
}

/// Groups of error codes that several operations share.
pub(crate) mod errors {
    use crate::ErrorCode::{self, *};

    /// Of every operation: its fields may be wrong, and it may come too often.
    pub(crate) const COMMON: &[ErrorCode] = &[Malformed, RateLimited];
    /// Of an operation that names a room.
    pub(crate) const ROOM: &[ErrorCode] = &[InvalidName, RoomNotFound];
    /// Of an operation that a reader of the store carries out.
    pub(crate) const READ: &[ErrorCode] = &[Overloaded, Unavailable, ShuttingDown, Internal];
    /// Of an operation that the writer of the store carries out.
    pub(crate) const WRITE: &[ErrorCode] =
        &[Overloaded, Unavailable, StorageFull, ShuttingDown, Unauthorized, Internal];
}

/// The HTTP form of an operation. Parameters of the path have the names of fields; the other fields are in the query of a
/// `GET`, and in the JSON body of any other method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters as `{room}`.
    pub path: &'static str,
    /// The answer is 201 if the request created something, and 200 if it was a repetition.
    pub creates: bool,
    /// Who may call it.
    pub access: Access,
    /// Fields that only a live connection has.
    pub omits: &'static [&'static str],
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A session: a bearer token or the cookie.
    Session,
    /// A session that may change something: a bearer token, or the cookie from a page of the server's own origin.
    Change,
}

impl Route {
    /// A route that reads.
    #[must_use]
    pub const fn get(path: &'static str) -> Self {
        Route { method: Method::Get, path, creates: false, access: Access::Session, omits: &[] }
    }

    /// A route that changes something.
    #[must_use]
    pub const fn change(method: Method, path: &'static str) -> Self {
        Route { method, path, creates: false, access: Access::Change, omits: &[] }
    }

    /// The same route, whose success is 201 when something was created.
    #[must_use]
    pub const fn creating(self) -> Self {
        Route { creates: true, ..self }
    }

    /// The same route, without some fields.
    #[must_use]
    pub const fn without(self, omits: &'static [&'static str]) -> Self {
        Route { omits, ..self }
    }

    /// The same route, open to anybody.
    #[must_use]
    pub const fn public(self) -> Self {
        Route { access: Access::Public, ..self }
    }

    /// The names of the parameters in the path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether the transport itself may answer with `code`.
    #[must_use]
    pub fn may_return(&self, code: ErrorCode) -> bool {
        match code {
            ErrorCode::Unauthorized | ErrorCode::ForbiddenOrigin => self.access != Access::Public,
            ErrorCode::Overloaded | ErrorCode::ShuttingDown | ErrorCode::Internal | ErrorCode::NotFound => {
                true
            }
            // Of the request's body, before anything in it is looked at.
            ErrorCode::BodyTooLong | ErrorCode::Malformed => self.method != Method::Get,
            _ => false,
        }
    }
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// What a user needs in a room for an operation. `domain::check` has the rule of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// A place for one more room, or a membership of this one.
    Join,
    /// A membership.
    Member,
}

/// The token bucket that pays for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RateClass {
    /// An operation that appends an event for all members of one room.
    Message,
    /// `join`
    Join,
    /// `typing`
    Typing,
    /// Every other operation.
    Other,
    /// A room that a `join` creates; the `join` itself is paid for, too.
    NewRoom,
}

impl RateClass {
    /// The name of its setting below `limits`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            RateClass::Message => "messages",
            RateClass::Join => "joins",
            RateClass::Typing => "typing",
            RateClass::Other => "commands",
            RateClass::NewRoom => "new_rooms",
        }
    }
}
