//! Sending messages by windows or on a schedule.

use std::time::{Duration, Instant};

use super::client_pool::ClientPool;
use super::process::MemoryPeak;
use super::senders::Schedule;
use super::{LoadError, Plan};

/// Bounds the messages between two polls. A late sender that sent all overdue messages at once would read nothing meanwhile.
const MAX_BATCH: usize = 256;

/// The send loop: the next sender, and the delay against the schedule.
pub(crate) struct SendLoop {
    /// `None`: each sender keeps its window full.
    schedule: Option<Schedule>,
    next: usize,
    pub(crate) late_us: u64,
    pub(crate) skipped: u64,
}

impl SendLoop {
    pub(crate) fn new(pool: &ClientPool, plan: &Plan) -> Self {
        let schedule = plan.rate.map(|rate| Schedule::new(pool.micros(), rate));
        SendLoop { schedule, next: 0, late_us: 0, skipped: 0 }
    }

    pub(crate) fn send_for(
        &mut self,
        pool: &mut ClientPool,
        time: Duration,
        peak: &mut MemoryPeak,
    ) -> Result<(), LoadError> {
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            let until = until.min(peak.sample(now).unwrap_or(until));
            let next_us = self.send_due(pool);
            let wait = next_us.map(|next| Duration::from_micros(next.saturating_sub(pool.micros())));
            pool.poll_events(wait.map_or(until, |wait| until.min(now + wait)))?;
        }
    }

    /// Sends what is due. Returns when to send again; `None` to wait for replies.
    fn send_due(&mut self, pool: &mut ClientPool) -> Option<u64> {
        let now_us = pool.micros();
        if pool.senders.is_empty() {
            return None;
        }
        let Some(schedule) = &mut self.schedule else {
            return fill_windows(pool, now_us);
        };
        for _ in 0..MAX_BATCH {
            let Some(late) = schedule.take(now_us) else { break };
            self.late_us = self.late_us.max(late);
            let ready = |at: &usize| pool.senders[*at].is_ready(now_us);
            let mut turns = (self.next..pool.senders.len()).chain(0..self.next);
            match turns.find(ready) {
                Some(sender) => {
                    pool.send(sender as u32, 1);
                    self.next = (sender + 1) % pool.senders.len();
                }
                None => self.skipped += 1,
            }
        }
        Some(schedule.next_us())
    }
}

fn fill_windows(pool: &mut ClientPool, now_us: u64) -> Option<u64> {
    let mut look_again: Option<u64> = None;
    for sender in 0..pool.senders.len() {
        let state = &pool.senders[sender];
        if let Some(moment) = state.waits_until(now_us) {
            look_again = Some(look_again.map_or(moment, |soonest| soonest.min(moment)));
        }
        let allowance = state.allowance(now_us);
        if allowance > 0 && !pool.connections[state.connection].is_blocked() {
            pool.send(sender as u32, allowance);
        }
    }
    look_again
}
