//! From the history: what every client was told at each stop, and when it was back.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use history::{Micros, Record, RecordKind};

use super::super::recorder_process::histories;

/// How a note begins that says that the server was told to stop.
pub(super) const STOP_NOTE: &str = "told to stop for the ";
/// The note that says that it is open again.
pub(super) const OPEN_NOTE: &str = "open again";

/// A client whose moment comes takes so long to be let in at the most, on a busy machine.
const TOLERANCE: Micros = 1_000_000;
/// No tenth of the time that they are given may see more than so many times the mean.
const CROWDING: usize = 2;
/// Of fewer clients than these a tenth may have more by chance: so many times the root of the mean.
const MANY: usize = 1_000;
const CHANCE: f64 = 4.0;

/// One stop, as the clients saw it.
#[derive(Debug)]
struct Stop {
    told: Micros,
    open: Micros,
    closes: Vec<Close>,
}

/// One client's connection, when the server stopped.
#[derive(Debug)]
struct Close {
    at: Micros,
    code: u16,
    reason: String,
    /// When it was back.
    opened: Option<Micros>,
}

/// Over all stops.
#[derive(Debug, PartialEq)]
pub(super) struct Summary {
    goodbyes: usize,
    /// What they were told, the least and the most.
    within_ms: (u64, u64),
    /// The longest that any was away.
    longest: Micros,
    /// The longest that the server was away.
    longest_down: Micros,
    /// The fullest tenth, in percent of the mean; of so many stops after which the server was open soon enough to tell.
    fullest: usize,
    told_apart: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goodbyes, within_ms: (least, most), longest, longest_down, fullest, told_apart } = self;
        write!(
            f,
            "{goodbyes} goodbyes, each 1001 with N from {least} to {most} ms; back after {} ms at the latest (the server was \
             away for {} ms at the longest); ",
            longest / 1_000,
            longest_down / 1_000
        )?;
        match told_apart {
            0 => write!(f, "it was away for too much of N to say how they were spread"),
            _ => write!(f, "in {told_apart} stops the fullest tenth of N had {fullest} % of the mean"),
        }
    }
}

/// Every client was told at each stop when to come back, and did.
pub(super) fn check_reconnects(history: &Path, clients: u32, connects: u32) -> Result<Summary> {
    let histories = histories(history)?;
    let (notes, clients_own) = histories.split_first().context("there is no history")?;
    let mut stops = noted(notes);
    for records in clients_own {
        take(&mut stops, records);
    }
    summarize(&stops, clients as usize, connects as usize)
}

/// The stops, without the clients yet.
fn noted(records: &[Record]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    for Record { at, kind } in records {
        let RecordKind::Note { text } = kind else { continue };
        if text.starts_with(STOP_NOTE) {
            stops.push(Stop { told: *at, open: *at, closes: Vec::new() });
        } else if text == OPEN_NOTE
            && let Some(stop) = stops.last_mut()
        {
            stop.open = *at;
        }
    }
    stops
}

/// What one client saw.
fn take(stops: &mut [Stop], records: &[Record]) {
    let mut last = None;
    for Record { at, kind } in records {
        match kind {
            RecordKind::Closed { code, reason, .. } => {
                last = stops.iter().rposition(|stop| stop.told <= *at);
                if let Some(stop) = last {
                    let close = Close { at: *at, code: *code, reason: reason.clone(), opened: None };
                    stops[stop].closes.push(close);
                }
            }
            RecordKind::Opened { .. } => {
                if let Some(close) = last.and_then(|stop| stops[stop].closes.last_mut()) {
                    close.opened = Some(*at);
                }
            }
            // The connection that is open at the end is closed by the client.
            RecordKind::Quiescent { .. } => return,
            _ => {}
        }
    }
}

fn summarize(stops: &[Stop], clients: usize, connects: usize) -> Result<Summary> {
    let mut all = Summary {
        goodbyes: 0,
        within_ms: (u64::MAX, 0),
        longest: 0,
        longest_down: 0,
        fullest: 0,
        told_apart: 0,
    };
    for (index, stop) in stops.iter().enumerate() {
        let number = index + 1;
        let within_ms = common_retry_window(stop).with_context(|| format!("stop {number}"))?;
        if stop.closes.len() != clients {
            bail!("stop {number}: {} connections of {clients} clients ended", stop.closes.len());
        }
        // Five milliseconds a connection, as docs/PROTOCOL.md has it; those who came meanwhile may be counted or not.
        let (least, most) = (5 * clients as u64, 5 * (clients + connects) as u64);
        if within_ms < least.max(500) || within_ms > most.max(500) {
            bail!(
                "stop {number}: {clients} clients and at most {connects} others were told N = {within_ms} ms"
            );
        }
        let down = stop.open.saturating_sub(stop.told);
        // Who finds it closed waits, longer each time: at most about as long again as it is closed.
        let latest = (within_ms * 1_000).max(2 * down) + TOLERANCE;
        for close in &stop.closes {
            let Some(opened) = close.opened else { bail!("stop {number}: a client did not come back") };
            let away = opened.saturating_sub(close.at);
            if away > latest {
                bail!(
                    "stop {number}: a client that was told {within_ms} ms was back after {} ms only",
                    away / 1_000
                );
            }
            all.longest = all.longest.max(away);
        }
        let tenths = tenths(stop, within_ms);
        let fullest = tenths.iter().max().copied().unwrap_or(0);
        // If it opens later, all who wanted to come before come then.
        if down <= within_ms * 1_000 / 10 {
            if fullest > most_in_a_tenth(clients) {
                bail!(
                    "stop {number}: they came back all at once: in each tenth of {within_ms} ms {tenths:?} of {clients}"
                );
            }
            all.told_apart += 1;
            all.fullest = all.fullest.max(fullest * 1_000 / clients.max(1));
        }
        all.goodbyes += stop.closes.len();
        all.longest_down = all.longest_down.max(down);
        all.within_ms = (all.within_ms.0.min(within_ms), all.within_ms.1.max(within_ms));
    }
    Ok(all)
}

fn most_in_a_tenth(clients: usize) -> usize {
    let mean = clients / 10;
    let chance = if clients < MANY { (CHANCE * (mean as f64).sqrt()) as usize } else { 0 };
    CROWDING * mean + chance
}

/// What all of them were told.
fn common_retry_window(stop: &Stop) -> Result<u64> {
    let said = |close: &Close| format!("{} {:?}", close.code, close.reason);
    let within = |close: &Close| -> Option<u64> {
        close.reason.strip_prefix("retry_within_ms=").filter(|_| close.code == 1001)?.parse().ok()
    };
    let mut told = None;
    for close in &stop.closes {
        let Some(ms) = within(close) else {
            let others = stop.closes.iter().filter(|close| within(close).is_none()).count();
            bail!("{others} of {} were not told when to come back: {}", stop.closes.len(), said(close));
        };
        if *told.get_or_insert(ms) != ms {
            bail!("clients were told different things: {:?} ms and {ms} ms", told.unwrap_or(0));
        }
    }
    told.context("nobody was there")
}

/// How many came back in each tenth of the time that they were given, from the first goodbye on; who came later, in the last.
fn tenths(stop: &Stop, within_ms: u64) -> [usize; 10] {
    let mut tenths = [0; 10];
    let begin = stop.closes.iter().map(|close| close.at).min().unwrap_or(0);
    for opened in stop.closes.iter().filter_map(|close| close.opened) {
        let tenth = opened.saturating_sub(begin) / (within_ms * 100).max(1);
        // Below 10 by the `min`.
        tenths[tenth.min(9) as usize] += 1;
    }
    tenths
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: u64 = 200;

    /// Told N, and back at even distances.
    fn stop() -> Stop {
        let close = |nth| Close {
            at: 1_000 + nth,
            code: 1001,
            reason: "retry_within_ms=1000".into(),
            opened: Some(1_000 + nth * 5_000 + 2_500),
        };
        Stop { told: 0, open: 90_000, closes: (0..CLIENTS).map(close).collect() }
    }

    fn refused(change: impl FnOnce(&mut Stop)) -> String {
        let mut stop = stop();
        change(&mut stop);
        format!("{:#}", summarize(&[stop], CLIENTS as usize, 64).unwrap_err())
    }

    #[test]
    fn those_who_come_back_evenly_are_as_promised() {
        let summary = summarize(&[stop(), stop()], CLIENTS as usize, 64).unwrap();
        assert_eq!((summary.goodbyes, summary.within_ms, summary.told_apart), (400, (1_000, 1_000), 2));
        assert!(summary.fullest <= 105, "{summary}");
    }

    #[test]
    fn each_broken_promise_is_named() {
        assert!(refused(|it| it.closes[7].code = 1006).contains("1 of 200 were not told"));
        assert!(refused(|it| it.closes[7].reason.clear()).contains("1 of 200 were not told"));
        assert!(refused(|it| it.closes[7].reason = "retry_within_ms=900".into()).contains("different"));
        assert!(refused(|it| drop(it.closes.pop())).contains("199 connections of 200"));
        assert!(refused(|it| it.closes[7].opened = None).contains("did not come back"));
        assert!(refused(|it| it.closes[7].opened = Some(9_000_000)).contains("was back after"));
        let all_at_once = |it: &mut Stop| it.closes.iter_mut().for_each(|close| close.opened = Some(100_000));
        assert!(refused(all_at_once).contains("all at once"));
        let too_soon = |it: &mut Stop| {
            it.closes.iter_mut().for_each(|close| close.reason = "retry_within_ms=500".into());
        };
        assert!(refused(too_soon).contains("N = 500 ms"));
    }

    #[test]
    fn few_may_come_together_by_chance_and_many_not() {
        assert_eq!(most_in_a_tenth(200), 57);
        assert_eq!(most_in_a_tenth(2_000), 400);
    }

    #[test]
    fn whoever_finds_it_closed_for_long_may_come_together() {
        let mut stop = stop();
        stop.open = 400_000;
        stop.closes.iter_mut().for_each(|close| close.opened = Some(450_000));
        assert_eq!(summarize(&[stop], CLIENTS as usize, 64).unwrap().told_apart, 0);
    }

    #[test]
    fn a_client_s_ends_belong_to_the_stops_before_them() {
        let on = history::ConnectionId(1);
        let note = |at, text: String| Record { at, kind: RecordKind::Note { text } };
        let mut stops = noted(&[
            note(10, format!("{STOP_NOTE}1. time")),
            note(20, OPEN_NOTE.into()),
            note(30, format!("{STOP_NOTE}2. time")),
            note(40, OPEN_NOTE.into()),
        ]);
        let close = |at, code| Record {
            at,
            kind: RecordKind::Closed { connection: on, code, reason: String::new() },
        };
        let open = |at| Record {
            at,
            kind: RecordKind::Opened {
                connection: on,
                client: history::ClientId(1),
                user: serde_json::from_str("\"u1\"").unwrap(),
                epoch: serde_json::from_str("\"e1\"").unwrap(),
            },
        };
        let rest = Record { at: 50, kind: RecordKind::Quiescent { connection: on } };
        take(
            &mut stops,
            &[
                open(1),
                close(2, 1006),
                open(3),
                close(12, 1001),
                open(22),
                close(33, 1001),
                open(44),
                rest,
                close(51, 1000),
            ],
        );
        let seen: Vec<_> =
            stops.iter().map(|it| (it.told, it.open, it.closes[0].at, it.closes[0].opened)).collect();
        assert_eq!(seen, [(10, 20, 12, Some(22)), (30, 40, 33, Some(44))]);
        assert!(stops.iter().all(|stop| stop.closes.len() == 1));
    }
}
