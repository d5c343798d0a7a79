//! The table of operations: one definition per operation.
//!
//! Each file holds one operation: the request, its fields as a client writes them, the check from the one to the other, and
//! its [`Row`]. The table below is the only list of them. From it come [`Command`] and its parser, [`Reply`], the HTTP routes, the
//! OpenAPI document, the types of the web client, and the tables of `docs/PROTOCOL.md` and `docs/PERMISSIONS.md`.
//!
//! To add an operation: a file in this folder, its `mod` and `use`, and its line in the table.

mod fields;
mod history;
mod join;
mod leave;
mod ping;
mod read;
mod rename;
mod resume;
mod rooms;
mod row;
mod send;
mod set_topic;
mod typing;
mod who;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use fields::FieldType;
pub use history::History;
pub use join::Join;
pub use leave::Leave;
pub use ping::Ping;
pub use read::Read;
pub use rename::Rename;
pub use resume::Resume;
pub use rooms::Rooms;
pub use row::{Access, Method, Permission, RateClass, Route, Row, Slash};
pub use send::Send;
pub use set_topic::{InvalidTopic, SetTopic, Topic, TopicSet};
pub use typing::Typing;
pub use who::Who;

use crate::{FrameError, RoomName, RoomRef};

/// An operation that a client can request.
pub trait Operation: Serialize + Sized {
    /// The fields as the client sends them, before names and bodies are checked, so that each mistake gets its own error code.
    type Fields: DeserializeOwned + JsonSchema;
    /// The reply to a request that was carried out.
    type Reply: Serialize + DeserializeOwned + JsonSchema;
    /// The name, the route, the permission, the rate class and the documentation.
    const ROW: Row;

    /// Checks the fields and returns the request. `body_limit` is the longest message body in UTF-8 bytes.
    fn check(fields: Self::Fields, body_limit: u32) -> Result<Self, FrameError>;
}

/// A row together with the schemas of its request and its reply, in one type for all operations.
pub struct Definition {
    /// The operation's [`Operation::ROW`].
    pub row: &'static Row,
    /// The schema of [`Operation::Fields`].
    pub fields: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of [`Operation::Reply`].
    pub reply: fn(&mut SchemaGenerator) -> Schema,
}

macro_rules! operations {
    ($($name:ident,)*) => {
        /// A command of a client. Its fields are valid; whether the user has the permission is checked in `domain`.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum Command {
            $(#[doc = concat!("[`", stringify!($name), "`]")] $name($name),)*
        }

        /// The reply to a command that was carried out. Its JSON does not name the operation.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Reply {
            $(#[doc = concat!("To [`", stringify!($name), "`]")] $name(<$name as Operation>::Reply),)*
        }

        /// All operations, in the order in which the documents list them.
        pub const OPERATIONS: &[Definition] = &[$(
            Definition {
                row: &$name::ROW,
                fields: SchemaGenerator::subschema_for::<<$name as Operation>::Fields>,
                reply: SchemaGenerator::subschema_for::<<$name as Operation>::Reply>,
            },
        )*];

        impl Command {
            /// The row of the command's operation.
            #[must_use]
            pub fn row(&self) -> &'static Row {
                match self {
                    $(Command::$name(_) => &$name::ROW,)*
                }
            }

            /// Parses the fields of the operation `name`. Returns `None` if there is no such operation.
            pub(crate) fn read<R: FieldReader>(
                name: &str,
                reader: R,
                body_limit: u32,
            ) -> Option<Result<Self, FrameError>> {
                $(if name == $name::ROW.name {
                    return Some(read_fields::<$name, R>(reader, body_limit).map(Command::$name));
                })*
                None
            }
        }
    };
}

operations! {
    Join,
    Resume,
    Leave,
    Send,
    SetTopic,
    Typing,
    Who,
    Rename,
    Rooms,
    History,
    Read,
    Ping,
}

/// The source of fields: the text of a frame, or the parameters of an HTTP request.
pub(crate) trait FieldReader {
    /// Deserializes the fields; an error becomes `malformed`.
    fn fields<T: DeserializeOwned>(self) -> Result<T, serde_json::Error>;
}

impl FieldReader for &str {
    fn fields<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self)
    }
}

impl FieldReader for serde_json::Map<String, serde_json::Value> {
    fn fields<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(serde_json::Value::Object(self))
    }
}

fn read_fields<T: Operation, R: FieldReader>(reader: R, body_limit: u32) -> Result<T, FrameError> {
    let fields =
        reader.fields().map_err(|error| FrameError::malformed(format!("{}: {error}", T::ROW.name)))?;
    T::check(fields, body_limit)
}

/// Parses a room id or name. A text that is neither is `invalid_name`.
fn room_ref(text: &str) -> Result<RoomRef, FrameError> {
    match text.parse() {
        Ok(id) => Ok(RoomRef::Id(id)),
        Err(_) => Ok(RoomRef::Name(RoomName::new(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Seq;

    #[test]
    fn every_row_has_a_name_and_a_route_of_its_own() {
        let mut names = BTreeSet::new();
        let mut routes = BTreeSet::new();
        for Definition { row, .. } in OPERATIONS {
            assert!(names.insert(row.name), "{}", row.name);
            if let Some(route) = row.http {
                assert!(routes.insert((route.method, route.path)), "{}", row.name);
            }
        }
    }

    #[test]
    fn type_on_the_wire_is_the_row_name() {
        let room = || RoomRef::Name(RoomName::new("lobby").unwrap());
        for command in [
            Command::Leave(Leave { room: room() }),
            Command::Typing(Typing { room: room() }),
            Command::Read(Read { room: room(), seq: Seq(1) }),
            Command::Ping(Ping {}),
        ] {
            assert_eq!(serde_json::to_value(&command).unwrap()["type"], command.row().name);
        }
    }
}
