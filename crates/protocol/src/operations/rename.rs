//! `rename`: changes the user's name, which appends one event to each room of the user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, RateClass, Route, Row, Slash};
use crate::{ErrorCode, FrameError, Named, UserName};

/// Change the user's name in every room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rename {
    /// The new name; it need not be unique.
    pub name: UserName,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RenameRequest")]
pub struct Fields {
    /// The new name, 1 to 32 characters.
    #[schemars(with = "UserName")]
    name: String,
}

impl Operation for Rename {
    type Fields = Fields;
    type Reply = Named;
    const ROW: Row = Row {
        name: "rename",
        summary: "Changes the user's name in every room. If the name is unchanged, nothing is appended.",
        reply: "`ok {name}`",
        http: Some(Route::change(Method::Put, "/api/v1/name")),
        permission: None,
        rate: RateClass::Command,
        events: &["renamed"],
        errors: &[errors::COMMON, errors::WRITE, &[ErrorCode::InvalidName]],
        slash: Some(Slash { word: "name", argument: Some("name") }),
        requests: &[r#"{"type":"rename","id":6,"name":"李雷"}"#],
        replies: &[r#"{"type":"ok","id":6,"name":"李雷"}"#],
    };

    fn check(Fields { name }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Rename { name: UserName::new(&name)? })
    }
}
