//! The row of an operation: everything except its types.

use crate::ErrorCode;

/// One operation, as the dispatcher, the HTTP routes, the OpenAPI document and the tables of the documents use it.
#[derive(Debug)]
pub struct Row {
    /// The name on the wire: `type` of the frame, `operationId` in OpenAPI.
    pub name: &'static str,
    /// One or two sentences for the documents, in the third person.
    pub summary: &'static str,
    /// The reply over WebSocket, in Markdown.
    pub reply: &'static str,
    /// The HTTP route. `None`: the operation needs a live connection.
    pub http: Option<Route>,
    /// The permission that the user needs in the room. `None`: a session is sufficient.
    pub permission: Option<Permission>,
    /// The token bucket from which the request is paid, one per user.
    pub rate: RateClass,
    /// The `type`s of the events that the operation may append.
    pub events: &'static [&'static str],
    /// The error codes that the operation may return, in groups. A debug assertion compares every reply with them.
    pub errors: &'static [&'static [ErrorCode]],
    /// The slash command in plain text and in the web client. `None`: there is no slash command.
    pub slash: Option<Slash>,
    /// Examples of requests as frames, for `golden/client.json`.
    pub requests: &'static [&'static str],
    /// Examples of replies, and of other frames that carry what the operation changes, for `golden/server.json`.
    pub replies: &'static [&'static str],
}

/// A slash command, such as `/topic Tea, all day`. A field `room` is the room in which the line is written, unless it is the
/// argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slash {
    /// The word after the slash, in lower case, the same in every language.
    pub word: &'static str,
    /// The field that takes the rest of the line. A line without a rest is then incomplete.
    pub argument: Option<&'static str>,
}

impl Row {
    /// The error codes that the operation may return, over either transport, each once, in the order of [`ErrorCode::ALL`].
    pub fn error_codes(&self) -> impl Iterator<Item = ErrorCode> + use<'_> {
        ErrorCode::ALL.iter().copied().filter(|code| self.may_return(*code))
    }

    /// Whether a reply to this operation, over either transport, may have `code`.
    #[must_use]
    pub fn may_return(&self, code: ErrorCode) -> bool {
        let http = self.http.as_ref().is_some_and(|route| route.may_return(code));
        http || self.errors.iter().any(|group| group.contains(&code))
    }

    /// Whether a reply over WebSocket may have `code`.
    #[must_use]
    pub fn may_return_over_websocket(&self, code: ErrorCode) -> bool {
        self.errors.iter().any(|group| group.contains(&code))
    }
}

/// Groups of error codes that several operations share.
pub(crate) mod errors {
    use crate::ErrorCode::{self, *};

    /// For every operation: its fields may be wrong, and the rate limit may be exceeded.
    pub(crate) const COMMON: &[ErrorCode] = &[Malformed, RateLimited];
    /// For an operation that names a room.
    pub(crate) const ROOM: &[ErrorCode] = &[InvalidName, RoomNotFound];
    /// For an operation that a reader of the store carries out.
    pub(crate) const READ: &[ErrorCode] = &[Overloaded, Unavailable, ShuttingDown, Internal];
    /// For an operation that the writer of the store carries out.
    pub(crate) const WRITE: &[ErrorCode] =
        &[Overloaded, Unavailable, StorageFull, ShuttingDown, Unauthorized, Internal];
}

/// The HTTP form of an operation. Path parameters have the names of fields; the other fields are in the query of a `GET`, and
/// in the JSON body of every other method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method; `GET` exactly if the operation changes nothing.
    pub method: Method,
    /// The path with its parameters in braces: `/api/v1/rooms/{room}`.
    pub path: &'static str,
    /// Whether a success is 201 if the request created something, and 200 if it was a repetition.
    pub creates: bool,
    /// The credentials that the route requires.
    pub access: Access,
    /// The fields that only exist over WebSocket, and are therefore not parameters.
    pub omits: &'static [&'static str],
}

/// The credentials that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// None.
    Public,
    /// A session: a bearer token or the cookie.
    Session,
    /// A session that may change something: a bearer token, or the cookie from a page of the server's own origin.
    Change,
}

impl Route {
    /// A route that reads, with a session.
    #[must_use]
    pub const fn get(path: &'static str) -> Self {
        Route { method: Method::Get, path, creates: false, access: Access::Session, omits: &[] }
    }

    /// A route that changes something, with a session and, for cookies, an allowed origin.
    #[must_use]
    pub const fn change(method: Method, path: &'static str) -> Self {
        Route { method, path, creates: false, access: Access::Change, omits: &[] }
    }

    /// The same route, with the status 201 when something was created.
    #[must_use]
    pub const fn creating(self) -> Self {
        Route { creates: true, ..self }
    }

    /// The same route without these fields, which only exist over WebSocket.
    #[must_use]
    pub const fn without(self, omits: &'static [&'static str]) -> Self {
        Route { omits, ..self }
    }

    /// The same route, without credentials.
    #[must_use]
    pub const fn public(self) -> Self {
        Route { access: Access::Public, ..self }
    }

    /// The names of the path parameters, in order.
    pub(crate) fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether the transport itself, before the operation is reached, may answer with `code`.
    #[must_use]
    pub fn may_return(&self, code: ErrorCode) -> bool {
        match code {
            ErrorCode::Unauthorized | ErrorCode::ForbiddenOrigin => self.access != Access::Public,
            ErrorCode::Overloaded | ErrorCode::ShuttingDown | ErrorCode::Internal | ErrorCode::NotFound => {
                true
            }
            // Errors of the request's body, which are found before its fields are read.
            ErrorCode::BodyTooLong | ErrorCode::Malformed => self.method != Method::Get,
            _ => false,
        }
    }
}

/// The HTTP methods in use.
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
    /// The method in upper case, as in an HTTP request.
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

/// The permission that an operation requires in a room; the rule of each is in `domain::check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// The user is a member of the room, or of fewer rooms than one user may be.
    Join,
    /// The user is a member of the room.
    Member,
}

/// The token bucket from which an operation is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RateClass {
    /// An operation that appends an event for all members of one room.
    Message,
    /// `join`, which may create a membership.
    Join,
    /// `typing`, which is sent on every few keystrokes and fanned out.
    Typing,
    /// Every other operation.
    Command,
    /// A room that a `join` creates, charged in addition to the `join`.
    NewRoom,
}

impl RateClass {
    /// The name of the class's setting in the table `limits`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            RateClass::Message => "messages",
            RateClass::Join => "joins",
            RateClass::Typing => "typing",
            RateClass::Command => "commands",
            RateClass::NewRoom => "new_rooms",
        }
    }
}
