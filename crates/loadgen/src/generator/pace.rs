//! Who sends when.

use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::process::MemoryPeak;
use super::senders::Schedule;
use super::{LoadError, Plan};

/// Messages that go out before what came is read: who is late, and makes up for it all at once, would hear nothing for as long.
const AT_ONCE: usize = 256;

/// Whose turn it is, and how well the schedule is kept.
pub(crate) struct Pace {
    /// Without one, each sender keeps its window full.
    schedule: Option<Schedule>,
    /// Whose turn it is.
    next: usize,
    pub(crate) late_us: u64,
    pub(crate) skipped: u64,
}

impl Pace {
    pub(crate) fn new(crowd: &Crowd, plan: &Plan) -> Self {
        let schedule = plan.rate.map(|rate| Schedule::new(crowd.micros(), rate));
        Pace { schedule, next: 0, late_us: 0, skipped: 0 }
    }

    pub(crate) fn send_for(
        &mut self,
        crowd: &mut Crowd,
        time: Duration,
        peak: &mut MemoryPeak,
    ) -> Result<(), LoadError> {
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            let until = until.min(peak.look(now).unwrap_or(until));
            let next_us = self.send_due(crowd);
            let wait = next_us.map(|next| Duration::from_micros(next.saturating_sub(crowd.micros())));
            crowd.turn(wait.map_or(until, |wait| until.min(now + wait)))?;
        }
    }

    /// Sends what is due; when to look again, if not only after an answer.
    fn send_due(&mut self, crowd: &mut Crowd) -> Option<u64> {
        let now_us = crowd.micros();
        if crowd.senders.is_empty() {
            return None;
        }
        let Some(schedule) = &mut self.schedule else {
            return fill_windows(crowd, now_us);
        };
        for _ in 0..AT_ONCE {
            let Some(late) = schedule.take(now_us) else { break };
            self.late_us = self.late_us.max(late);
            let ready = |at: &usize| crowd.senders[*at].is_ready(now_us);
            let mut turns = (self.next..crowd.senders.len()).chain(0..self.next);
            match turns.find(ready) {
                Some(sender) => {
                    crowd.send(sender as u32, 1);
                    self.next = (sender + 1) % crowd.senders.len();
                }
                None => self.skipped += 1,
            }
        }
        Some(schedule.next_us())
    }
}

fn fill_windows(crowd: &mut Crowd, now_us: u64) -> Option<u64> {
    let mut look_again: Option<u64> = None;
    for sender in 0..crowd.senders.len() {
        let state = &crowd.senders[sender];
        if let Some(moment) = state.waits_until(now_us) {
            look_again = Some(look_again.map_or(moment, |soonest| soonest.min(moment)));
        }
        let allowance = state.allowance(now_us);
        if allowance > 0 && !crowd.connections[state.connection].is_blocked() {
            crowd.send(sender as u32, allowance);
        }
    }
    look_again
}
