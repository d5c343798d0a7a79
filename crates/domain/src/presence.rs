//! Who is online in which room, told to each room at most once a second.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use protocol::{Limits, PeoplePage, Person, RoomId, UserId, UserName};

/// How long changes are gathered before a room is told: a user who reconnects within it never counts as gone.
const GATHER: Duration = Duration::from_secs(1);

/// Who is online, in all rooms. A room in which nobody is costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    rooms: BTreeMap<RoomId, Room>,
    /// Rooms that have something to be told, by when: one entry for each room whose `tell_at` is set.
    due: BTreeSet<(Duration, RoomId)>,
}

#[derive(Clone, Debug, Default)]
struct Room {
    /// By id, so that each comes, goes and is paged to in O(log n), however many come at once.
    people: BTreeMap<UserId, Online>,
    /// Who came or went since the last frame, and whether the last frame had them as online. Emptied with each frame, so it
    /// holds what one second brings.
    changed: BTreeMap<UserId, bool>,
    /// How many the last frame spoke of.
    told: u32,
    tell_at: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Online {
    name: UserName,
    /// Several windows, several devices.
    connections: u32,
}

impl Presence {
    /// One connection of this person opened the room. True if it is their first one here.
    pub fn enter(&mut self, id: RoomId, person: Person, now: Duration) -> bool {
        let room = self.rooms.entry(id).or_default();
        if let Some(online) = room.people.get_mut(&person.id) {
            online.connections += 1;
            online.name = person.name;
            return false;
        }
        room.people.insert(person.id, Online { name: person.name, connections: 1 });
        room.changed.entry(person.id).or_insert(false);
        schedule(&mut self.due, room, id, now);
        true
    }

    /// One connection of this person closed the room. True if it was their last one here.
    pub fn leave(&mut self, id: RoomId, user: UserId, now: Duration) -> bool {
        let Some(room) = self.rooms.get_mut(&id) else { return false };
        let Some(online) = room.people.get_mut(&user) else { return false };
        online.connections -= 1;
        if online.connections > 0 {
            return false;
        }
        room.people.remove(&user);
        room.changed.entry(user).or_insert(true);
        if room.people.is_empty() {
            if let Some(tell_at) = room.tell_at {
                self.due.remove(&(tell_at, id));
            }
            self.rooms.remove(&id);
        } else {
            schedule(&mut self.due, room, id, now);
        }
        true
    }

    /// This person is called something else now; `rooms` are those they may be online in. The rooms learn it from their logs.
    pub fn renamed(&mut self, user: UserId, name: &UserName, rooms: impl IntoIterator<Item = RoomId>) {
        for id in rooms {
            if let Some(online) = self.rooms.get_mut(&id).and_then(|room| room.people.get_mut(&user)) {
                online.name = name.clone();
            }
        }
    }

    /// How many people are online in this room.
    #[must_use]
    pub fn count(&self, room: RoomId) -> u32 {
        self.rooms.get(&room).map_or(0, Room::count)
    }

    /// Whether this person is online in this room.
    #[must_use]
    pub fn is_online(&self, room: RoomId, user: UserId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.people.contains_key(&user))
    }

    /// At most `limit` of the people online in this room, by id.
    #[must_use]
    pub fn online(&self, room: RoomId, limit: usize) -> Vec<Person> {
        self.rooms.get(&room).map_or_else(Vec::new, |room| room.after(None).take(limit).collect())
    }

    /// The page after somebody (who may be gone by now), of at most `limit` and [`Limits::PAGE`] people.
    #[must_use]
    pub fn page(&self, room: RoomId, after: Option<UserId>, limit: u32) -> PeoplePage {
        let limit = limit.clamp(1, Limits::PAGE) as usize;
        let Some(room) = self.rooms.get(&room) else {
            return PeoplePage { count: 0, people: Vec::new(), next: None };
        };
        let mut people: Vec<Person> = room.after(after).take(limit + 1).collect();
        let more = people.len() > limit;
        people.truncate(limit);
        let next = if more { people.last().map(|person| person.id) } else { None };
        PeoplePage { count: room.count(), people, next }
    }

    /// When the next frame is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.due.first().map(|&(moment, _)| moment)
    }

    /// The frames that are due: for each room at most one a second, and only if something is other than it was told.
    pub fn poll_frames(&mut self, now: Duration) -> Vec<protocol::Presence> {
        let mut frames = Vec::new();
        while let Some(&(moment, id)) = self.due.first() {
            if moment > now {
                break;
            }
            self.due.pop_first();
            frames.extend(self.rooms.get_mut(&id).and_then(|room| room.tell(id)));
        }
        frames
    }
}

fn schedule(due: &mut BTreeSet<(Duration, RoomId)>, room: &mut Room, id: RoomId, now: Duration) {
    if room.tell_at.is_none() {
        room.tell_at = Some(now + GATHER);
        due.insert((now + GATHER, id));
    }
}

impl Room {
    fn count(&self) -> u32 {
        u32::try_from(self.people.len()).unwrap_or(u32::MAX)
    }

    fn after(&self, after: Option<UserId>) -> impl Iterator<Item = Person> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.people
            .range((start, Bound::Unbounded))
            .map(|(&id, online)| Person { id, name: online.name.clone() })
    }

    fn tell(&mut self, id: RoomId) -> Option<protocol::Presence> {
        self.tell_at = None;
        let changed = std::mem::take(&mut self.changed);
        let (before, count) = (self.told, self.count());
        self.told = count;
        let mut frame = protocol::Presence { room: id, count, online: Vec::new(), offline: Vec::new() };
        // A room that was or is large is told the count alone: so no frame names more than PRESENCE_NAMES twice, also when
        // ten thousand leave within a second.
        if before.max(count) > Limits::PRESENCE_NAMES {
            return (before != count).then_some(frame);
        }
        for (user, was_online) in changed {
            match (was_online, self.people.get(&user)) {
                (false, Some(online)) => frame.online.push(Person { id: user, name: online.name.clone() }),
                (true, None) => frame.offline.push(user),
                (true, Some(_)) | (false, None) => {}
            }
        }
        (!frame.online.is_empty() || !frame.offline.is_empty()).then_some(frame)
    }
}

#[cfg(test)]
mod tests;
