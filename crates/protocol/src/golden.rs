//! The files of `golden/`: frames that this crate, the server, the load generator and the web client read in their tests.
//!
//! `control.json` is written by hand. The other two are generated, so that the example of an operation or of an event is
//! next to its definition.

use crate::EVENT_EXAMPLES;
use crate::operations::OPERATIONS;

/// The content of `golden/client.json`: every example of a request, one frame per line.
#[must_use]
pub fn client() -> String {
    list(OPERATIONS.iter().flat_map(|definition| definition.row.requests).copied())
}

/// The content of `golden/server.json`, one frame per line: frames that are neither an event nor a reply, events, replies.
#[must_use]
pub fn server() -> String {
    let replies = OPERATIONS.iter().flat_map(|definition| definition.row.replies);
    list(control().chain(EVENT_EXAMPLES.iter().chain(replies).copied()))
}

/// The frames of `golden/control.json`: those that are neither an event nor a reply.
pub fn control() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../golden/control.json").lines();
    lines.map(str::trim).filter(|line| line.starts_with('{')).map(|line| line.trim_end_matches(','))
}

fn list<'a>(frames: impl Iterator<Item = &'a str>) -> String {
    let frames: Vec<String> = frames.map(|frame| format!("  {frame}")).collect();
    format!("[\n{}\n]\n", frames.join(",\n"))
}
