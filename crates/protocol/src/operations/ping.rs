//! `ping`: lets a page detect a dead connection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Operation, RateClass, Row};
use crate::{Done, FrameError};

/// Check that the server answers: a page cannot send the ping frame of WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ping {}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PingRequest")]
pub struct Fields {}

impl Operation for Ping {
    type Fields = Fields;
    type Reply = Done;
    const ROW: Row = Row {
        name: "ping",
        summary: "Checks that the server answers on this connection.",
        reply: "`ok`, also without an `id`",
        http: None,
        permission: None,
        rate: RateClass::Command,
        events: &[],
        errors: &[errors::COMMON],
        slash: None,
        requests: &[r#"{"type":"ping","id":10}"#],
        replies: &[r#"{"type":"ok","id":2}"#],
    };

    fn check(Fields {}: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(Ping {})
    }
}
