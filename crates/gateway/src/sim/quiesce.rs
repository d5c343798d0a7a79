//! The checks at quiescence, when faults have ended.

use std::collections::BTreeSet;
use std::time::Duration;

use history::RecordKind;
use protocol::{RoomId, UserId};

use super::client::observed_event;
use super::world::{ActorClient, World};

/// Long enough for the server to detect dead connections by timeout and to clean up.
const QUIESCE_TIMEOUT: Duration = Duration::from_secs(100);

/// The time limit without faults. The shards compare their heads with the store once per second.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);

impl World {
    /// Ends the faults, waits until every client has every event, and checks it. The `last` time, the history records it.
    pub(super) fn quiesce(&mut self, last: bool) {
        self.log(|| "faults end".to_owned());
        self.disable_faults();
        self.run_until_idle(QUIESCE_TIMEOUT);
        // No later message wakes a connection: these must be delivered without one, and before the next ping.
        self.send_final_messages();
        self.run_until_idle(RESPONSE_TIMEOUT);
        // The system stays quiescent, apart from a ping that may be in transit.
        self.run(self.now + Duration::from_secs(3), |_| false);
        let until = self.now + Duration::from_secs(1);
        if !self.run(until, |world| world.pending_work().is_none()) {
            panic!("promise 2: it did not stay quiescent: {}", self.pending_work().unwrap_or_default());
        }
        self.check_quiescent(last);
    }

    fn run_until_idle(&mut self, timeout: Duration) {
        let until = self.now + timeout;
        let mut waits = None;
        if !self.run(until, |world| {
            waits = world.pending_work();
            waits.is_none()
        }) {
            panic!("promise 2: it does not quiesce: {}", waits.unwrap_or_default());
        }
    }

    /// The pending work; `None` at quiescence.
    fn pending_work(&self) -> Option<String> {
        for (number, actor) in self.actors.iter().enumerate() {
            if let ActorClient::Json(client) = &actor.client
                && let Some(what) = client.pending_work(&self.store)
            {
                return Some(format!("client {number} waits for {what}"));
            }
            let Some(conn) = actor.online else { return Some(format!("client {number} is not connected")) };
            if self.connections[conn].is_dead {
                return Some(format!("client {number} has not detected that its connection is dead"));
            }
            if !self.connections[conn].pipe.0.to_client.borrow().is_empty() {
                return Some(format!("client {number} has unread bytes"));
            }
        }
        let Some(process) = &self.process else { return Some("no process is running".to_owned()) };
        if !process.is_idle() || !self.logouts.is_empty() {
            return Some("the process has pending requests".to_owned());
        }
        let connections: usize =
            process.shards.iter().map(|sim_shard| sim_shard.shard.connections.len()).sum();
        let online = self.actors.iter().filter(|actor| actor.online.is_some()).count();
        if connections != online {
            return Some(format!("the server has {connections} connections, the clients have {online}"));
        }
        process.shards.iter().find_map(|sim_shard| sim_shard.shard.pending_work())
    }

    fn check_quiescent(&mut self, last: bool) {
        // Asserts that no message is stored twice.
        self.message_index();
        self.check_ended_sessions();
        self.check_names();
        let mut attached: BTreeSet<(RoomId, UserId)> = BTreeSet::new();
        for actor in 0..self.actors.len() {
            let Some(conn) = self.actors[actor].online else { continue };
            let (at, key) = (self.connections[conn].shard, self.connections[conn].key);
            let Some(process) = &mut self.process else { continue };
            let shard = &mut process.shards[at].shard;
            let Some(connection) = shard.connection(key) else { panic!("the shard lacks client {actor}") };
            let user = connection.user;
            let open: Vec<usize> =
                connection.subscriptions.iter().map(|subscription| subscription.room).collect();
            let open: BTreeSet<RoomId> = open.into_iter().map(|room| shard.rooms[room].id).collect();
            attached.extend(open.iter().map(|room| (*room, user)));
            for room in &open {
                let member = process.reader().is_member(*room, user).expect("memory does not fail here");
                assert!(member, "promise 6: {user} is not a member of {room}, and has it open");
            }
            match &self.actors[actor].client {
                ActorClient::Json(client) => {
                    let client_rooms = client.rooms();
                    assert_eq!(
                        client_rooms, open,
                        "promise 2: the rooms of client {actor} and of its connection"
                    );
                    if let Some(connection) = client.connection().filter(|_| last) {
                        self.recorder.quiescent(connection);
                    }
                }
                ActorClient::Lines(lines) => {
                    assert!(open.len() <= 1, "a text client has {open:?} open");
                    let index = self.message_index();
                    if let Some((room, n)) = lines.last_received().and_then(|key| index.get(key))
                        && open.contains(room)
                    {
                        let head = self.store.event(*room, self.store.head(*room)).map(|event| event.n.0);
                        assert_eq!(
                            Some(*n),
                            head,
                            "promise 2: the last message that text client {actor} received in {room}"
                        );
                    }
                    self.check_lines(actor, false);
                }
            }
        }
        let Some(process) = &self.process else { return };
        let presence = process.presence.borrow();
        for room in (1..20).map(RoomId) {
            let online: BTreeSet<UserId> =
                presence.online(room, usize::MAX).iter().map(|user| user.id).collect();
            let here: BTreeSet<UserId> =
                attached.iter().filter(|(open, _)| *open == room).map(|(_, user)| *user).collect();
            assert_eq!(online, here, "who is online in {room}");
        }
    }

    /// Checks that the names in the shards equal those in the store, and that no stored user is provisional.
    fn check_names(&mut self) {
        let Some(process) = self.process.as_mut().filter(|_| !self.commit_outcome_unknown) else { return };
        for sim_shard in 0..process.shards.len() {
            let users = process.shards[sim_shard].shard.connections.users();
            let users: Vec<_> =
                users.map(|(user, state)| (user, state.name.clone(), state.session)).collect();
            for (user, name, session) in users {
                let Some(session) = session else { continue };
                let stored = process.reader().user_of_session(&session).expect("memory does not fail here");
                let Some(stored) = stored else { continue };
                assert_eq!((user, name), (stored.id, stored.name), "in the shard and in the store");
                assert_eq!(process.sessions.provisional(&session), None, "{user} is stored and provisional");
            }
        }
    }

    pub(super) fn check_lines(&mut self, actor: usize, forget: bool) {
        let index = self.message_index();
        if let ActorClient::Lines(lines) = &mut self.actors[actor].client {
            lines.check(&index);
            if forget {
                lines.clear_received();
            }
        }
    }

    pub(super) fn record_stored_events(&mut self) {
        for event in self.store.events() {
            self.recorder.record(RecordKind::Stored {
                room: event.room,
                event: observed_event(&event),
                timestamp: Some(event.at),
            });
        }
    }

    /// Checks the history against all promises.
    pub(super) fn check_history(&mut self) {
        self.record_stored_events();
        let records = self.recorder.take();
        let verdict = history::check(|| records.iter().cloned());
        assert!(verdict.violation.is_none(), "{verdict}");
    }

    /// Checks the history up to now. If `is_quiescent`, every client must have every event.
    #[cfg(feature = "fault-injection")]
    pub(super) fn check_partial_history(&mut self, is_quiescent: bool) -> Option<String> {
        for actor in self.actors.iter().filter(|_| is_quiescent) {
            if let ActorClient::Json(client) = &actor.client
                && let Some(connection) = client.connection()
            {
                self.recorder.quiescent(connection);
            }
        }
        self.record_stored_events();
        let records = self.recorder.take();
        let verdict = history::check(|| records.iter().cloned());
        verdict.violation.is_some().then(|| verdict.to_string())
    }

    /// Disconnects every client and checks that no state is left.
    pub(super) fn check_shutdown(&mut self) {
        self.log(|| "all clients disconnect".to_owned());
        self.disconnect_all();
        self.run(self.now + Duration::from_secs(10), |_| false);
        let Some(process) = &mut self.process else { return };
        for sim_shard in &process.shards {
            sim_shard.shard.check_empty();
        }
        for user in self.departed_users.iter().copied() {
            for room in (1..20).map(RoomId) {
                let member = process.reader().is_member(room, user).expect("memory does not fail here");
                assert!(!member, "{user} has departed, and is a member of {room}");
            }
        }
    }
}
