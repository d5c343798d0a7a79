//! The users online in each room, and the frames that report changes: at most one per room and second.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use protocol::{Limits, RoomId, User, UserId, UserName, UserPage};

/// How long changes are coalesced into one frame. A user who reconnects within this interval never appears offline.
const COALESCE_INTERVAL: Duration = Duration::from_secs(1);

/// The users who are online, by room. A room without online users has no entry, so memory follows the open rooms.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    rooms: BTreeMap<RoomId, Room>,
    /// Rooms with unsent changes, by the time of their next frame: one entry for each room whose `frame_due` is set.
    due: BTreeSet<(Duration, RoomId)>,
}

#[derive(Clone, Debug, Default)]
struct Room {
    /// Sorted by id, so that enter, leave and paging are O(log n) under a flood of joins.
    users: BTreeMap<UserId, Online>,
    /// The users who came online or went offline since the last frame, and whether that frame had them as online. Each frame
    /// clears it, so one second of changes bounds it.
    changed: BTreeMap<UserId, bool>,
    /// The count in the last frame: a frame without a difference is not sent.
    last_count: u32,
    frame_due: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Online {
    name: UserName,
    /// The open connections of the user; more than one with several windows or devices.
    connections: u32,
}

impl Presence {
    /// Adds a connection of a user to a room. Returns whether it is the user's first one there.
    pub fn enter(&mut self, id: RoomId, user: User, now: Duration) -> bool {
        let room = self.rooms.entry(id).or_default();
        if let Some(online) = room.users.get_mut(&user.id) {
            online.connections += 1;
            online.name = user.name;
            return false;
        }
        room.users.insert(user.id, Online { name: user.name, connections: 1 });
        room.changed.entry(user.id).or_insert(false);
        schedule(&mut self.due, room, id, now);
        true
    }

    /// Removes a connection of a user from a room. Returns whether it was the user's last one there.
    pub fn leave(&mut self, id: RoomId, user: UserId, now: Duration) -> bool {
        let Some(room) = self.rooms.get_mut(&id) else { return false };
        let Some(online) = room.users.get_mut(&user) else { return false };
        online.connections -= 1;
        if online.connections > 0 {
            return false;
        }
        room.users.remove(&user);
        room.changed.entry(user).or_insert(true);
        if room.users.is_empty() {
            if let Some(frame_due) = room.frame_due {
                self.due.remove(&(frame_due, id));
            }
            self.rooms.remove(&id);
        } else {
            schedule(&mut self.due, room, id, now);
        }
        true
    }

    /// Changes the name of a user in `rooms`. No frame follows, because the members receive a `renamed` event from the log.
    pub fn renamed(&mut self, user: UserId, name: &UserName, rooms: impl IntoIterator<Item = RoomId>) {
        for id in rooms {
            if let Some(online) = self.rooms.get_mut(&id).and_then(|room| room.users.get_mut(&user)) {
                online.name = name.clone();
            }
        }
    }

    /// The number of users online in a room, not of connections.
    #[must_use]
    pub fn count(&self, room: RoomId) -> u32 {
        self.rooms.get(&room).map_or(0, Room::count)
    }

    /// At most `limit` users who are online in a room, those with the lowest ids.
    #[must_use]
    pub fn online(&self, room: RoomId, limit: usize) -> Vec<User> {
        self.rooms.get(&room).map_or_else(Vec::new, |room| room.after(None).take(limit).collect())
    }

    /// The page after the user `after`, who may have gone offline: at most `limit` and at most [`Limits::PAGE`] users.
    #[must_use]
    pub fn page(&self, room: RoomId, after: Option<UserId>, limit: u32) -> UserPage {
        let limit = limit.clamp(1, Limits::PAGE) as usize;
        let Some(room) = self.rooms.get(&room) else {
            return UserPage { count: 0, users: Vec::new(), next: None };
        };
        let mut users: Vec<User> = room.after(after).take(limit + 1).collect();
        let more = users.len() > limit;
        users.truncate(limit);
        let next = if more { users.last().map(|user| user.id) } else { None };
        UserPage { count: room.count(), users, next }
    }

    /// When [`poll_frames`](Self::poll_frames) will have a frame; `None` while nothing has changed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.due.first().map(|&(moment, _)| moment)
    }

    /// The frames that are due: for each room at most one per second, and only if its state differs from the last frame.
    pub fn poll_frames(&mut self, now: Duration) -> Vec<protocol::Presence> {
        let mut frames = Vec::new();
        while let Some(&(moment, id)) = self.due.first() {
            if moment > now {
                break;
            }
            self.due.pop_first();
            frames.extend(self.rooms.get_mut(&id).and_then(|room| room.take_frame(id)));
        }
        frames
    }
}

fn schedule(due: &mut BTreeSet<(Duration, RoomId)>, room: &mut Room, id: RoomId, now: Duration) {
    if room.frame_due.is_none() {
        room.frame_due = Some(now + COALESCE_INTERVAL);
        due.insert((now + COALESCE_INTERVAL, id));
    }
}

impl Room {
    fn count(&self) -> u32 {
        u32::try_from(self.users.len()).unwrap_or(u32::MAX)
    }

    fn after(&self, after: Option<UserId>) -> impl Iterator<Item = User> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.users
            .range((start, Bound::Unbounded))
            .map(|(&id, online)| User { id, name: online.name.clone() })
    }

    fn take_frame(&mut self, id: RoomId) -> Option<protocol::Presence> {
        self.frame_due = None;
        let changed = std::mem::take(&mut self.changed);
        let (before, count) = (self.last_count, self.count());
        self.last_count = count;
        let mut frame = protocol::Presence { room: id, count, online: Vec::new(), offline: Vec::new() };
        // A large room gets only the count, which bounds the frame when ten thousand users leave within a second.
        if before.max(count) > Limits::PRESENCE_NAMES {
            return (before != count).then_some(frame);
        }
        for (user, was_online) in changed {
            match (was_online, self.users.get(&user)) {
                (false, Some(online)) => frame.online.push(User { id: user, name: online.name.clone() }),
                (true, None) => frame.offline.push(user),
                (true, Some(_)) | (false, None) => {}
            }
        }
        (!frame.online.is_empty() || !frame.offline.is_empty()).then_some(frame)
    }
}

#[cfg(test)]
mod tests;
