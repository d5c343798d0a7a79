//! Fault injection, and the end of faults.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::{Epoch, RoomId, Seq};

use super::process::BusFaults;
use super::schedule::{Action, Fault};
use super::world::{ActorClient, World};

impl World {
    /// Ends the process at once. The clients may still receive the bytes in its sockets.
    pub(super) fn crash(&mut self) {
        self.log(|| "the process crashes".to_owned());
        self.recorder.note("the process crashes");
        self.process = None;
        self.logouts.clear();
        for conn in 0..self.connections.len() {
            if self.connections[conn].incarnation == self.incarnation
                && self.actors[self.connections[conn].actor].online == Some(conn)
            {
                let wait = self.rng.millis(0, 300);
                self.schedule_in(wait, 0, Action::ClientDisconnects(conn, 1006));
            }
        }
        self.incarnation = 0;
        let wait = self.rng.millis(1, 1500);
        self.schedule_in(wait, 0, Action::Start);
    }

    /// Stops the process in the steps of `Gateway::stop`.
    pub(super) fn stop(&mut self) {
        let (now, wall_clock) = (self.now, self.wall_clock());
        let Some(process) = self.process.as_mut().filter(|_| !self.stopping) else { return };
        self.stopping = true;
        let shards = process.shards.len();
        for at in 0..shards {
            process.shards[at].shard.work(now);
            process.shards[at].shard.handle_draining(now);
            process.collect_output(at);
        }
        let fatal = process.commit(wall_clock);
        for at in 0..shards {
            process.run_shard(at, now, &mut self.rng);
            process.shards[at].shard.handle_closing(now, Duration::from_millis(500));
            process.collect_output(at);
        }
        self.log(|| "the process stops".to_owned());
        match fatal {
            Some(_) => self.crash(),
            None => self.schedule_in(Duration::from_secs(5), self.incarnation, Action::CompleteStop),
        }
        self.schedule_pending_work();
    }

    /// Injects a random fault and schedules the next one.
    pub(super) fn inject_fault(&mut self) {
        if !self.faults_enabled {
            return;
        }
        let wait = self.rng.millis(100, 4000);
        self.schedule_in(wait, 0, Action::InjectFault);
        let duration = self.rng.millis(50, 4000);
        let start_fault = |world: &mut Self, fault: Fault| {
            world.log(|| format!("{fault:?} for {duration:?}"));
            world.faults.insert(fault as u8);
            world.apply_faults();
            world.schedule_in(duration, 0, Action::EndFault(fault));
        };
        match self.rng.below(26) {
            0..=4 => {
                let actor = self.rng.below(self.actors.len() as u64) as usize;
                if let Some(conn) = self.actors[actor].online {
                    self.cut_connection(conn);
                }
            }
            5..=8 => {
                let actor = self.rng.below(self.actors.len() as u64) as usize;
                let until = self.now + self.rng.millis(100, 8000);
                self.log(|| format!("client {actor} stalls until {until:?}"));
                self.actors[actor].stalls_until = until;
            }
            9 | 10 if self.process.is_some() => self.crash(),
            22 => self.stop(),
            23..=25 => {
                let actor = self.rng.below(self.actors.len() as u64) as usize;
                self.start_logout(actor);
            }
            11 if self.backup.is_none() => self.backup = Some(self.store.backup()),
            11 if self.rng.one_in(2) => self.restore(),
            12 => start_fault(self, Fault::Overloaded),
            13..=15 => start_fault(self, Fault::Bus),
            16 => start_fault(self, Fault::SlowWriter),
            17 => start_fault(self, Fault::SlowReaders),
            18 | 19 => start_fault(self, Fault::FailingCommits),
            20 => start_fault(self, Fault::FullDisk),
            21 => {
                self.wall_clock_offset +=
                    *self.rng.pick(&[-3_600_000, 3_600_000, -2_592_000_000, 2_592_000_000])
            }
            _ => {}
        }
    }

    /// Ends all faults and injects no further ones.
    pub(super) fn disable_faults(&mut self) {
        self.faults_enabled = false;
        self.faults.clear();
        self.apply_faults();
        if let Some(process) = &mut self.process {
            process.clear_bus_faults();
        }
    }

    pub(super) fn enable_faults(&mut self) {
        self.faults_enabled = true;
        self.schedule_in(Duration::from_millis(1), 0, Action::InjectFault);
    }

    /// Disconnects every client permanently.
    pub(super) fn disconnect_all(&mut self) {
        self.is_closing_down = true;
        for actor in 0..self.actors.len() {
            if let Some(conn) = self.actors[actor].online {
                self.disconnect_client(conn, 1006);
            }
        }
        // This includes connections whose end the server has not detected.
        for conn in 0..self.connections.len() {
            self.schedule_in(
                Duration::ZERO,
                self.connections[conn].incarnation,
                Action::ServerDisconnects(conn),
            );
        }
    }

    pub(super) fn end_fault(&mut self, fault: Fault) {
        self.faults.remove(&(fault as u8));
        self.apply_faults();
    }

    pub(super) fn apply_faults(&mut self) {
        let (overloaded, bus) = (self.has_fault(Fault::Overloaded), self.has_fault(Fault::Bus));
        let Some(process) = &mut self.process else { return };
        for sim_shard in &mut process.shards {
            sim_shard.shard.services.overloaded = overloaded;
        }
        process.bus_faults =
            if bus { BusFaults { drop: 3, delay: 4, duplicate: 5 } } else { BusFaults::default() };
    }

    /// Cuts a connection. One side may detect it long after the other, or only by a timeout.
    pub(super) fn cut_connection(&mut self, conn: usize) {
        self.log(|| format!("connection {conn} is cut"));
        let incarnation = self.connections[conn].incarnation;
        let is_silent = self.rng.one_in(4);
        self.connections[conn].is_dead |= is_silent || self.rng.one_in(2);
        let (server, client) = if is_silent {
            // Neither side is notified: the client and the server time out.
            (None, self.rng.millis(25_000, 36_000))
        } else {
            (Some(self.rng.millis(0, 2000)), self.rng.millis(0, 2000))
        };
        if let Some(server) = server {
            self.schedule_in(server, incarnation, Action::ServerDisconnects(conn));
        }
        self.schedule_in(client, 0, Action::ClientDisconnects(conn, 1006));
    }

    pub(super) fn restore(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        self.log(|| "restore".to_owned());
        if self.process.is_some() {
            self.crash();
        }
        // The bytes in sockets belong to the old process and are lost.
        for conn in &mut self.connections {
            conn.is_dead = true;
        }
        self.record_stored_events();
        self.epochs += 1;
        let epoch = Epoch(format!("e{}", self.epochs + 1));
        self.store.restore(&backup, epoch.clone());
        // The store no longer has the users created since the backup, and assigns their ids again.
        self.departed_users.clear();
        // Sessions that have ended since the backup are valid again.
        self.ended_sessions.clear();
        let kept: BTreeMap<RoomId, Seq> =
            self.store.events().iter().map(|event| (event.room, event.seq)).collect();
        self.recorder.record(history::RecordKind::Restored { epoch, kept });
        for actor in &mut self.actors {
            if let ActorClient::Lines(lines) = &mut actor.client {
                lines.clear_received();
            }
        }
    }
}
