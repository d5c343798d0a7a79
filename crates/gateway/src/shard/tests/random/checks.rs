//! The checks of a run: at quiescence, after the last connection has ended, and after a shutdown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::super::closing::Lifecycle;
use super::RandomRun;

impl RandomRun {
    pub(super) fn quiesce(&mut self) {
        self.trace.push("quiesce".into());
        self.world.bus_is_down = false;
        self.world.shard.services.overloaded = false;
        self.world.settle();
        for client in &self.clients {
            self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
        }
        self.world.wait(Duration::from_secs(8));
        for client in &mut self.clients {
            client.take(&mut self.acknowledged);
        }
    }

    pub(super) fn check_quiescent(&mut self) {
        assert_eq!(self.world.shard.pending_work(), None);
        let mut attached: BTreeSet<(u64, u64)> = BTreeSet::new();
        for at in 0..self.clients.len() {
            let client = &self.clients[at];
            let (key, user) = (client.peer.key, client.user);
            let Some(connection) = self.world.shard.connection(key) else { continue };
            let open: BTreeSet<usize> = connection.subscriptions.iter().map(|m| m.room).collect();
            if client.closed {
                continue;
            }
            let open: BTreeSet<u64> =
                open.into_iter().map(|room| self.world.shard.rooms[room].id.0).collect();
            attached.extend(open.iter().map(|room| (user, *room)));
            if client.is_text {
                assert!(open.len() <= 1, "u{user} has {open:?} open");
            } else {
                assert!(
                    client.pending.is_empty(),
                    "u{user} #{} has no reply to {:?}",
                    key.generation,
                    client.pending.keys()
                );
                let client_rooms: BTreeSet<u64> =
                    client.rooms.iter().filter(|(_, view)| view.open).map(|(room, _)| *room).collect();
                // A deleted room sends nothing more, and neither does a room whose gap contained the removal, see
                // `gap_does_not_hide_a_removal`.
                let mut gone = BTreeSet::new();
                for &room in client_rooms.difference(&open) {
                    let view = &client.rooms[&room];
                    let hidden = view.next.contains(&(view.gap_to + 1));
                    if self.world.events_of(room).is_empty() || hidden && !self.world.is_member(room, user) {
                        gone.insert(room);
                    }
                }
                let client_rooms: BTreeSet<u64> = client_rooms.difference(&gone).copied().collect();
                assert_eq!(
                    client_rooms, open,
                    "u{user} #{}: the rooms of the client and of the shard",
                    key.generation
                );
            }
            for room in open {
                assert!(
                    self.world.is_member(room, user),
                    "u{user} is not a member of r{room}, and has it open"
                );
                let head = self.world.events_of(room).len() as u64;
                if let Some(view) = self.clients[at].rooms.get(&room) {
                    assert!(
                        view.next.contains(&(head + 1)),
                        "u{user} #{} in r{room} of {head}: {view:?}",
                        key.generation
                    );
                }
            }
        }
        for room in 1..64 {
            let online = self.world.online(room);
            let here: BTreeSet<u64> =
                attached.iter().filter(|(_, r)| *r == room).map(|(user, _)| *user).collect();
            // Closing connections are detached, so they are not online either.
            assert_eq!(online, here, "who is online in r{room}");
        }
        self.check_store();
    }

    fn check_store(&mut self) {
        let mut keys: BTreeMap<(u64, String), u64> = BTreeMap::new();
        for room in 1..64 {
            for event in self.world.events_of(room) {
                if let protocol::EventKind::Message { client_message_id: Some(key), .. } = &event.kind {
                    let before = keys.insert((event.by.id.0, key.as_str().to_owned()), event.seq.0);
                    assert_eq!(before, None, "{key:?} is stored twice");
                }
            }
        }
        for (sent, seq) in &self.acknowledged {
            assert_eq!(keys.get(sent), Some(seq), "{sent:?} was acknowledged");
        }
    }

    pub(super) fn check_when_all_have_gone(&mut self) {
        let clients = std::mem::take(&mut self.clients);
        for client in &clients {
            self.world.disconnect_without_settling(&client.peer);
            self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
        }
        self.world.wait(Duration::from_secs(8));
        self.world.shard.check_empty();
        assert!(self.world.no_user_is_online());
        for user in std::mem::take(&mut self.transients) {
            for room in 1..64 {
                assert!(
                    !self.world.is_member(room, user),
                    "u{user} has departed, and is a member of r{room}"
                );
            }
        }
    }

    pub(super) fn check_stop(&mut self) {
        self.trace.push("stop".into());
        self.world.shard.handle_draining(self.world.now);
        self.world.settle();
        self.world.shard.handle_closing(self.world.now, Duration::from_millis(500));
        assert!(matches!(self.world.shard.lifecycle, Lifecycle::Closing { .. }));
        self.world.wait(Duration::from_secs(6));
        assert!(self.world.shard.is_empty(), "a connection is left");
        for client in &mut self.clients {
            client.take(&mut self.acknowledged);
        }
        self.check_store();
    }
}
