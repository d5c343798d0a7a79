//! What belongs to a violation: of the room, the person and the message that it is about.

use std::collections::VecDeque;

use crate::verdict::About;
use crate::{Record, Violation, What};

/// Lines before it, and after it.
const BEFORE: usize = 14;
const AFTER: usize = 8;

/// The lines of the history that concern it, with their places.
pub(super) fn of(violation: &Violation, history: impl IntoIterator<Item = Record>) -> Vec<(usize, Record)> {
    let mut before = VecDeque::with_capacity(BEFORE + 1);
    let mut rest = Vec::new();
    for (index, record) in history.into_iter().enumerate() {
        if index != violation.index && !concerns(&violation.about, &record.what) {
            continue;
        }
        if index < violation.index {
            before.push_back((index, record));
            if before.len() > BEFORE {
                before.pop_front();
            }
        } else {
            rest.push((index, record));
            if rest.len() > AFTER {
                break;
            }
        }
    }
    before.into_iter().chain(rest).collect()
}

fn concerns(about: &About, what: &What) -> bool {
    let same_connection = about.connection.is_some() && what.connection() == about.connection;
    let same_room = about.room.is_some() && what.room() == about.room;
    let near = |seq: protocol::Seq| about.seq.is_some_and(|of| of.0.abs_diff(seq.0) <= 1);
    let same_key = |key: &protocol::ClientMessageId| about.key.as_ref() == Some(key);
    match what {
        What::Opened { .. } | What::Closed { .. } | What::AtRest { .. } => same_connection,
        What::Joined { .. }
        | What::Gap { .. }
        | What::Filled { .. }
        | What::Reset { .. }
        | What::Gone { .. }
        | What::Leave { .. } => same_connection && same_room,
        What::Send { id, key, .. } => same_key(key) || same_connection && about.id == Some(*id),
        What::Ok { id, seq, .. } => same_connection && (about.id == Some(*id) || near(*seq)),
        What::Failed { id, .. } | What::Unknown { id, .. } => same_connection && about.id == Some(*id),
        What::Heard { event, .. } => {
            same_room && near(event.seq) && (same_connection || about.connection.is_none())
        }
        What::Stored { event, .. } => {
            same_room && near(event.seq) || event.key.as_ref().is_some_and(same_key)
        }
        What::Restored { .. } | What::Note { .. } => true,
    }
}
