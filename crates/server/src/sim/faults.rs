//! What goes wrong, and how it is mended.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::{Epoch, RoomId, Seq};

use super::process::Losses;
use super::world::{Due, Fault, Speaker, World};

impl World {
    /// The process ends at once; what was in its sockets may still come to the clients.
    pub(super) fn die(&mut self) {
        self.tell(|| "the process dies".to_owned());
        self.recorder.note("the process dies");
        self.process = None;
        self.logouts.clear();
        for wire in 0..self.wires.len() {
            if self.wires[wire].life == self.life && self.people[self.wires[wire].of].online == Some(wire) {
                let wait = self.rng.millis(0, 300);
                self.plan_in(wait, 0, Due::ClientLoses(wire, 1006));
            }
        }
        self.life = 0;
        let wait = self.rng.millis(1, 1500);
        self.plan_in(wait, 0, Due::Start);
    }

    /// The operator stops the process, as `AppState::stop` does it.
    pub(super) fn stop(&mut self) {
        let (now, wall_clock) = (self.now, self.wall_clock());
        let Some(process) = self.process.as_mut().filter(|_| !self.stopping) else { return };
        self.stopping = true;
        let shards = process.desks.len();
        for at in 0..shards {
            process.desks[at].shard.work(now);
            process.desks[at].shard.handle_draining(now);
            process.gather(at);
        }
        let fatal = process.commit(wall_clock);
        for at in 0..shards {
            process.turn(at, now, &mut self.rng);
            process.desks[at].shard.handle_closing(now, Duration::from_millis(500));
            process.gather(at);
        }
        self.tell(|| "the process is stopped".to_owned());
        match fatal {
            Some(_) => self.die(),
            None => self.plan_in(Duration::from_secs(5), self.life, Due::Stopped),
        }
        self.after();
    }

    /// Something goes wrong, and something else later.
    pub(super) fn go_wrong(&mut self) {
        if !self.faulty {
            return;
        }
        let wait = self.rng.millis(100, 4000);
        self.plan_in(wait, 0, Due::Fault);
        let for_a_while = self.rng.millis(50, 4000);
        let begin = |world: &mut Self, fault: Fault| {
            world.tell(|| format!("{fault:?} for {for_a_while:?}"));
            world.faults.insert(fault as u8);
            world.set_faults();
            world.plan_in(for_a_while, 0, Due::Mended(fault));
        };
        match self.rng.below(26) {
            0..=4 => {
                let whose = self.rng.below(self.people.len() as u64) as usize;
                if let Some(wire) = self.people[whose].online {
                    self.cut(wire);
                }
            }
            5..=8 => {
                let whose = self.rng.below(self.people.len() as u64) as usize;
                let until = self.now + self.rng.millis(100, 8000);
                self.tell(|| format!("client {whose} stalls until {until:?}"));
                self.people[whose].stalls_until = until;
            }
            9 | 10 if self.process.is_some() => self.die(),
            22 => self.stop(),
            23..=25 => {
                let whose = self.rng.below(self.people.len() as u64) as usize;
                self.log_out(whose);
            }
            11 if self.backup.is_none() => self.backup = Some(self.store.backup()),
            11 if self.rng.one_in(2) => self.restore(),
            12 => begin(self, Fault::Overloaded),
            13..=15 => begin(self, Fault::Bus),
            16 => begin(self, Fault::SlowWriter),
            17 => begin(self, Fault::SlowReaders),
            18 | 19 => begin(self, Fault::FailingCommits),
            20 => begin(self, Fault::FullDisk),
            21 => self.clock += *self.rng.of(&[-3_600_000, 3_600_000, -2_592_000_000, 2_592_000_000]),
            _ => {}
        }
    }

    /// Nothing goes wrong from now on.
    pub(super) fn calm(&mut self) {
        self.faulty = false;
        self.faults.clear();
        self.set_faults();
        if let Some(process) = &mut self.process {
            process.settle_bus();
        }
    }

    /// Things go wrong again.
    pub(super) fn trouble(&mut self) {
        self.faulty = true;
        self.plan_in(Duration::from_millis(1), 0, Due::Fault);
    }

    /// Everybody goes, and nobody comes back.
    pub(super) fn all_hang_up(&mut self) {
        self.deserted = true;
        for of in 0..self.people.len() {
            if let Some(wire) = self.people[of].online {
                self.client_loses(wire, 1006);
            }
        }
        // Also those that nobody had told.
        for wire in 0..self.wires.len() {
            self.plan_in(Duration::ZERO, self.wires[wire].life, Due::ServerLoses(wire));
        }
    }

    pub(super) fn mend(&mut self, fault: Fault) {
        self.faults.remove(&(fault as u8));
        self.set_faults();
    }

    pub(super) fn set_faults(&mut self) {
        let (overloaded, bus) = (self.has(Fault::Overloaded), self.has(Fault::Bus));
        let Some(process) = &mut self.process else { return };
        for desk in &mut process.desks {
            desk.shard.services.overloaded = overloaded;
        }
        process.losses = if bus { Losses { lost: 3, late: 4, twice: 5 } } else { Losses::default() };
    }

    /// The connection is gone. One side may learn it long after the other, or only by waiting in vain.
    pub(super) fn cut(&mut self, wire: usize) {
        self.tell(|| format!("connection {wire} is cut"));
        let life = self.wires[wire].life;
        let silence = self.rng.one_in(4);
        self.wires[wire].websocket_idle |= silence || self.rng.one_in(2);
        let (server, client) = if silence {
            // Neither is told: the client gives up, the server counts to 75.
            (None, self.rng.millis(25_000, 36_000))
        } else {
            (Some(self.rng.millis(0, 2000)), self.rng.millis(0, 2000))
        };
        if let Some(server) = server {
            self.plan_in(server, life, Due::ServerLoses(wire));
        }
        self.plan_in(client, 0, Due::ClientLoses(wire, 1006));
    }

    /// The operator takes the store back to the backup.
    pub(super) fn restore(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        self.tell(|| "restore".to_owned());
        if self.process.is_some() {
            self.die();
        }
        // What is still in sockets is of the old life, and comes to nobody.
        for wire in &mut self.wires {
            wire.websocket_idle = true;
        }
        self.record_what_is_stored();
        self.epochs += 1;
        let epoch = Epoch(format!("e{}", self.epochs + 1));
        self.store.restore(&backup, epoch.clone());
        // Who has come since the backup is not known any more, and their ids are given anew.
        self.gone.clear();
        // And sessions that have ended since are good again.
        self.ended.clear();
        let kept: BTreeMap<RoomId, Seq> =
            self.store.events().iter().map(|event| (event.room, event.seq)).collect();
        self.recorder.record(history::RecordKind::Restored { epoch, kept });
        for somebody in &mut self.people {
            if let Speaker::Lines(lines) = &mut somebody.speaker {
                lines.forget();
            }
        }
    }
}
