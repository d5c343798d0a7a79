//! When nothing goes wrong any more, all has to come right: what is checked then.

use std::collections::BTreeSet;
use std::time::Duration;

use history::RecordKind;
use protocol::{RoomId, UserId};

use super::client::observed_event;
use super::world::{Speaker, World};

/// Long enough for the server to find the dead, and for them to be buried.
const WAIT_TIMEOUT: Duration = Duration::from_secs(100);

/// When nothing is wrong. The store's heads are looked at once a second.
const SOON: Duration = Duration::from_secs(8);

impl World {
    /// Nothing goes wrong any more: waits until everybody has everything, and checks it. The `last` time the history says so.
    pub(super) fn quiesce(&mut self, last: bool) {
        self.tell(|| "nothing goes wrong any more".to_owned());
        self.calm();
        self.run_until_idle(WAIT_TIMEOUT);
        // Nothing is said after this that would wake somebody up: everybody has to hear of it, and not at the next ping.
        self.say_last_words();
        self.run_until_idle(SOON);
        // Some time later there is still nothing to be done, but for a ping that may be on its way.
        self.run(self.now + Duration::from_secs(3), |_| false);
        let until = self.now + Duration::from_secs(1);
        if !self.run(until, |world| world.pending_work().is_none()) {
            panic!(
                "promise 2: it was at rest, and is not any more: {}",
                self.pending_work().unwrap_or_default()
            );
        }
        self.check_quiescent(last);
    }

    fn run_until_idle(&mut self, patience: Duration) {
        let until = self.now + patience;
        let mut waits = None;
        if !self.run(until, |world| {
            waits = world.pending_work();
            waits.is_none()
        }) {
            panic!("promise 2: it does not come to rest: {}", waits.unwrap_or_default());
        }
    }

    /// What is still to be done.
    fn pending_work(&self) -> Option<String> {
        for (of, somebody) in self.people.iter().enumerate() {
            if let Speaker::Json(client) = &somebody.speaker
                && let Some(what) = client.waits_for(&self.store)
            {
                return Some(format!("client {of} waits for {what}"));
            }
            let Some(wire) = somebody.online else { return Some(format!("client {of} is not connected")) };
            if self.wires[wire].websocket_idle {
                return Some(format!("client {of} does not know that its connection is dead"));
            }
            if !self.wires[wire].pipe.0.to_client.borrow().is_empty() {
                return Some(format!("client {of} has something to read"));
            }
        }
        let Some(process) = &self.process else { return Some("there is no process".to_owned()) };
        if !process.is_idle() || !self.logouts.is_empty() {
            return Some("somebody in the process is asked for something".to_owned());
        }
        let connections: usize = process.desks.iter().map(|desk| desk.shard.connections.len()).sum();
        let online = self.people.iter().filter(|somebody| somebody.online.is_some()).count();
        if connections != online {
            return Some(format!("the server has {connections} connections, and there are {online}"));
        }
        process.desks.iter().find_map(|desk| desk.shard.pending_work())
    }

    fn check_quiescent(&mut self, last: bool) {
        // Nothing that was said is there twice.
        self.index();
        self.check_ended();
        self.check_names();
        let mut live: BTreeSet<(RoomId, UserId)> = BTreeSet::new();
        for of in 0..self.people.len() {
            let Some(wire) = self.people[of].online else { continue };
            let (at, key) = (self.wires[wire].shard, self.wires[wire].key);
            let Some(process) = &mut self.process else { continue };
            let shard = &mut process.desks[at].shard;
            let Some(connection) = shard.connection(key) else {
                panic!("client {of} is not known to its shard")
            };
            let user = connection.user;
            let open: Vec<usize> =
                connection.subscriptions.iter().map(|subscription| subscription.room).collect();
            let open: BTreeSet<RoomId> = open.into_iter().map(|room| shard.rooms[room].id).collect();
            live.extend(open.iter().map(|room| (*room, user)));
            for room in &open {
                let member = process.reader().is_member(*room, user).expect("memory does not fail here");
                assert!(member, "promise 6: {user} is no member of {room}, and hears it");
            }
            match &self.people[of].speaker {
                Speaker::Json(client) => {
                    let thinks = client.rooms();
                    assert_eq!(thinks, open, "promise 2: what client {of} thinks to hear, and what it hears");
                    if let Some(connection) = client.connection().filter(|_| last) {
                        self.recorder.quiescent(connection);
                    }
                }
                Speaker::Lines(lines) => {
                    assert!(open.len() <= 1, "a line client hears {open:?}");
                    let index = self.index();
                    if let Some((room, n)) = lines.last().and_then(|word| index.get(word))
                        && open.contains(room)
                    {
                        let head = self.store.event(*room, self.store.head(*room)).map(|event| event.n.0);
                        assert_eq!(Some(*n), head, "promise 2: what line client {of} heard last in {room}");
                    }
                    self.check_lines(of, false);
                }
            }
        }
        let Some(process) = &self.process else { return };
        let presence = process.presence.borrow();
        for room in (1..20).map(RoomId) {
            let online: BTreeSet<UserId> =
                presence.online(room, usize::MAX).iter().map(|person| person.id).collect();
            let here: BTreeSet<UserId> =
                live.iter().filter(|(of, _)| *of == room).map(|(_, user)| *user).collect();
            assert_eq!(online, here, "who is online in {room}");
        }
    }

    /// Who is there is called as the store has it, and no guest is kept as new whom it knows.
    fn check_names(&mut self) {
        let Some(process) = self.process.as_mut().filter(|_| !self.in_doubt) else { return };
        for desk in 0..process.desks.len() {
            let users = &process.desks[desk].shard.users;
            let users: Vec<_> = users.iter().map(|(user, it)| (*user, it.name.clone(), it.session)).collect();
            for (user, name, session) in users {
                let Some(session) = session else { continue };
                let stored = process.reader().person_of_session(&session).expect("memory does not fail here");
                let Some(stored) = stored else { continue };
                assert_eq!((user, name), (stored.id, stored.name), "as the shard and the store have it");
                assert_eq!(process.sessions.provisional(&session), None, "the store knows {user}");
            }
        }
    }

    pub(super) fn check_lines(&mut self, of: usize, forget: bool) {
        let index = self.index();
        if let Speaker::Lines(lines) = &mut self.people[of].speaker {
            lines.check(&index);
            if forget {
                lines.forget();
            }
        }
    }

    /// What this life of the store came to.
    pub(super) fn record_what_is_stored(&mut self) {
        for event in self.store.events() {
            self.recorder.record(RecordKind::Stored {
                room: event.room,
                event: observed_event(&event),
                timestamp: Some(event.at),
            });
        }
    }

    /// The history is held against all promises.
    pub(super) fn check_history(&mut self) {
        self.record_what_is_stored();
        let records = self.recorder.take();
        let verdict = history::check(|| records.iter().cloned());
        assert!(verdict.violation.is_none(), "{verdict}");
    }

    /// What the checker alone makes of all that was taken down until now. Whoever is `at_rest` is to have everything.
    #[cfg(feature = "fault-injection")]
    pub(super) fn judge_history(&mut self, is_quiescent: bool) -> Option<String> {
        for somebody in self.people.iter().filter(|_| is_quiescent) {
            if let Speaker::Json(client) = &somebody.speaker
                && let Some(connection) = client.connection()
            {
                self.recorder.quiescent(connection);
            }
        }
        self.record_what_is_stored();
        let records = self.recorder.take();
        let verdict = history::check(|| records.iter().cloned());
        verdict.violation.is_some().then(|| verdict.to_string())
    }

    /// All hang up, and nothing of them is left.
    pub(super) fn end(&mut self) {
        self.tell(|| "all hang up".to_owned());
        self.all_hang_up();
        self.run(self.now + Duration::from_secs(10), |_| false);
        let Some(process) = &mut self.process else { return };
        for desk in &process.desks {
            desk.shard.check_empty();
        }
        for user in self.gone.iter().copied() {
            for room in (1..20).map(RoomId) {
                let member = process.reader().is_member(room, user).expect("memory does not fail here");
                assert!(!member, "{user} has gone, and is in {room}");
            }
        }
    }
}
