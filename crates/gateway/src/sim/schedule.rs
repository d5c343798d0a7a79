//! The schedule: the actions of the simulation in the order of their times.

use std::cmp::Reverse;
use std::time::Duration;

use super::process::Process;
use super::world::{SimConnection, World};
use crate::handoff::Identity;
use crate::shard::QueryResult;

pub(super) enum Action {
    Tick(usize),
    RunShard(usize),
    Commit,
    Read,
    QueryResult(usize, QueryResult),
    /// Bytes arrive at the server.
    ServerReceives(usize, Vec<u8>),
    ClientReads(usize),
    ServerDisconnects(usize),
    /// A client detects the end of its connection, with a close code.
    ClientDisconnects(usize, u16),
    /// An upgraded connection reaches its shard, if the process of that incarnation is running.
    CompleteUpgrade(usize, u64, Identity),
    ContinueLogouts,
    ActorStep(usize),
    InjectFault,
    EndFault(Fault),
    Start,
    /// The end of a stopping process.
    CompleteStop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Overloaded,
    Bus,
    SlowWriter,
    SlowReaders,
    FailingCommits,
    FullDisk,
}

pub(super) struct Scheduled {
    at: Duration,
    /// Breaks ties between actions at the same time, in the order in which they were scheduled.
    nth: u64,
    /// The incarnation of the process that the action belongs to; 0 for none.
    incarnation: u64,
    action: Action,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.nth == other.nth
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

impl World {
    pub(super) fn schedule_in(&mut self, wait: Duration, incarnation: u64, action: Action) {
        self.scheduled_count += 1;
        self.schedule.push(Reverse(Scheduled {
            at: self.now + wait,
            nth: self.scheduled_count,
            incarnation,
            action,
        }));
    }

    /// Runs until the given time, or until `done` returns `true` after a tick of shard 0.
    pub(super) fn run(&mut self, until: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        while self.schedule.peek().is_some_and(|Reverse(next)| next.at <= until) {
            let Some(Reverse(Scheduled { at, incarnation, action, .. })) = self.schedule.pop() else { break };
            self.now = at;
            if incarnation == 0 || incarnation == self.incarnation {
                self.recorder.set_time(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
                let ticked = matches!(action, Action::Tick(0));
                self.step(action);
                if ticked && done(self) {
                    return true;
                }
            }
        }
        self.now = until;
        false
    }

    fn step(&mut self, action: Action) {
        let now = self.now;
        match action {
            Action::ActorStep(actor) => self.actor_step(actor),
            Action::CompleteUpgrade(actor, incarnation, identity) => {
                self.complete_upgrade(actor, incarnation, identity)
            }
            Action::ContinueLogouts => self.continue_logouts(),
            Action::InjectFault => self.inject_fault(),
            Action::EndFault(fault) => self.end_fault(fault),
            Action::Start => self.start(),
            Action::CompleteStop => self.crash(),
            Action::ClientReads(conn) => self.client_reads(conn),
            Action::ServerReceives(conn, bytes) => self.deliver_to_server(conn, &bytes),
            Action::ClientDisconnects(conn, code) => self.disconnect_client(conn, code),
            Action::ServerDisconnects(conn) => {
                let SimConnection { pipe, shard, key, .. } = &self.connections[conn];
                pipe.0.broken.set(true);
                let (at, index) = (*shard, key.index);
                self.with_connection(conn, |process| process.shards[at].shard.handle_readable(now, index));
            }
            Action::Tick(at) => {
                if let Some(process) = &mut self.process {
                    process.shards[at].shard.handle_timeout(now);
                    self.run_shard(at);
                    self.schedule_in(Duration::from_millis(100), self.incarnation, Action::Tick(at));
                }
            }
            Action::RunShard(at) => {
                if let Some(process) = &mut self.process {
                    process.shards[at].is_scheduled = false;
                    self.run_shard(at);
                }
            }
            Action::Commit => self.commit(),
            Action::Read => {
                self.read_scheduled = false;
                let Some(process) = &mut self.process else { return };
                if let Some((at, found)) = process.read() {
                    let wait = self.rng.millis(0, 10);
                    self.schedule_in(wait, self.incarnation, Action::QueryResult(at, found));
                }
                self.schedule_pending_work();
            }
            Action::QueryResult(at, found) => {
                let Some(process) = &mut self.process else { return };
                process.shards[at].shard.handle_query_result(now, found);
                self.run_shard(at);
            }
        }
    }

    /// Applies `what` to the process of an open connection and schedules a run of its shard.
    pub(super) fn with_connection(&mut self, conn: usize, what: impl FnOnce(&mut Process)) {
        let SimConnection { incarnation, shard, key, .. } = &self.connections[conn];
        let (at, key) = (*shard, *key);
        if *incarnation != self.incarnation {
            return;
        }
        let Some(process) = &mut self.process else { return };
        if process.shards[at].shard.connection(key).is_some() {
            what(process);
            self.schedule_shard(at, 0, 3);
        }
    }

    pub(super) fn schedule_shard(&mut self, at: usize, from: u64, to: u64) {
        let Some(process) = &mut self.process else { return };
        if !std::mem::replace(&mut process.shards[at].is_scheduled, true) {
            let wait = self.rng.millis(from, to);
            self.schedule_in(wait, self.incarnation, Action::RunShard(at));
        }
    }

    fn run_shard(&mut self, at: usize) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        if process.run_shard(at, now, &mut self.rng) {
            self.schedule_shard(at, 0, 1);
        }
        if let Some(process) = &self.process {
            process.shards[at].shard.check_bounds(|room| self.store.head(room));
        }
        self.schedule_pending_work();
    }

    /// Schedules the commits, queries, shard runs and reads that are pending.
    pub(super) fn schedule_pending_work(&mut self) {
        let Some(process) = &mut self.process else { return };
        let woken: Vec<usize> = process.take_woken().collect();
        let (writes, reads) = (!process.requests.is_empty(), !process.queries.is_empty());
        for at in woken {
            self.schedule_shard(at, 0, 5);
        }
        if writes && !std::mem::replace(&mut self.commit_scheduled, true) {
            let slowest = if self.has_fault(Fault::SlowWriter) { 1500 } else { 8 };
            let wait = self.rng.millis(0, slowest);
            self.schedule_in(wait, self.incarnation, Action::Commit);
        }
        if reads && !std::mem::replace(&mut self.read_scheduled, true) {
            let slowest = if self.has_fault(Fault::SlowReaders) { 900 } else { 5 };
            let wait = self.rng.millis(0, slowest);
            self.schedule_in(wait, self.incarnation, Action::Read);
        }
        for conn in 0..self.connections.len() {
            let SimConnection { pipe, is_dead, client_read_scheduled, actor, .. } =
                &mut self.connections[conn];
            let waits = !pipe.0.to_client.borrow().is_empty()
                || self.actors[*actor].online == Some(conn) && pipe.is_hung_up();
            if !*is_dead && !*client_read_scheduled && waits {
                *client_read_scheduled = true;
                let wait = self.rng.millis(0, 20);
                self.schedule_in(wait, 0, Action::ClientReads(conn));
            }
        }
    }
}
