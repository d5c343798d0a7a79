//! Checks, in the history, the close frame that each client received at each stop, and the time of its reconnect.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use history::{Micros, Record, RecordKind};

use super::super::recorder_process::histories;

/// The start of the note that marks a stop; the number of the stop follows.
pub(super) const STOP_NOTE: &str = "stop ";
/// The note that marks the server's next opening.
pub(super) const OPEN_NOTE: &str = "opened again";

/// On a busy machine, a client may need this long to connect when its time has come, in microseconds.
const TOLERANCE: Micros = 1_000_000;
/// No tenth of the retry window may have more than this multiple of the mean.
const MAX_CONCENTRATION: usize = 2;
/// With fewer clients than these, chance may add this multiple of the root of the mean.
const MIN_CLIENTS_FOR_EVEN_SPREAD: usize = 1_000;
const CHANCE_FACTOR: f64 = 4.0;

/// One stop, as the clients observed it.
#[derive(Debug)]
struct Stop {
    stopped_at: Micros,
    open: Micros,
    closes: Vec<Close>,
}

/// One client's connection at the time of the stop.
#[derive(Debug)]
struct Close {
    at: Micros,
    code: u16,
    reason: String,
    /// The time at which the client was connected again.
    opened: Option<Micros>,
}

/// The extremes over all stops.
#[derive(Debug, PartialEq)]
pub(super) struct Summary {
    closes_seen: usize,
    /// The shortest and the longest retry window, in milliseconds.
    within_ms: (u64, u64),
    /// The longest time that a client was disconnected.
    longest: Micros,
    /// The longest time that the server was closed.
    longest_down: Micros,
    /// The fullest tenth of the retry window, in percent of the mean, over the stops after which the server opened early
    /// enough.
    fullest: usize,
    measured_stops: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { closes_seen, within_ms: (least, most), longest, longest_down, fullest, measured_stops } =
            self;
        write!(
            f,
            "{closes_seen} close frames, each 1001 with a window of {least} to {most} ms; all reconnected within {} ms (the server was \
             closed for at most {} ms); ",
            longest / 1_000,
            longest_down / 1_000
        )?;
        match measured_stops {
            0 => write!(f, "it was closed for too much of the window to measure the spread"),
            _ => write!(
                f,
                "in {measured_stops} stops the fullest tenth of the window had {fullest} % of the mean"
            ),
        }
    }
}

/// Checks that every client received the retry window at each stop, and reconnected.
pub(super) fn check_reconnects(history: &Path, clients: u32, connects: u32) -> Result<Summary> {
    let histories = histories(history)?;
    let (notes, client_histories) = histories.split_first().context("the history is empty")?;
    let mut stops = stops_from_notes(notes);
    for records in client_histories {
        add_client(&mut stops, records);
    }
    summarize(&stops, clients as usize, connects as usize)
}

/// The stops according to the notes, without the clients.
fn stops_from_notes(records: &[Record]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    for Record { at, kind } in records {
        let RecordKind::Note { text } = kind else { continue };
        if text.starts_with(STOP_NOTE) {
            stops.push(Stop { stopped_at: *at, open: *at, closes: Vec::new() });
        } else if text == OPEN_NOTE
            && let Some(stop) = stops.last_mut()
        {
            stop.open = *at;
        }
    }
    stops
}

/// Adds one client's records to the stops.
fn add_client(stops: &mut [Stop], records: &[Record]) {
    let mut last = None;
    for Record { at, kind } in records {
        match kind {
            RecordKind::Closed { code, reason, .. } => {
                last = stops.iter().rposition(|stop| stop.stopped_at <= *at);
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
            // The client itself closes its last connection.
            RecordKind::Quiescent { .. } => return,
            _ => {}
        }
    }
}

fn summarize(stops: &[Stop], clients: usize, connects: usize) -> Result<Summary> {
    let mut all = Summary {
        closes_seen: 0,
        within_ms: (u64::MAX, 0),
        longest: 0,
        longest_down: 0,
        fullest: 0,
        measured_stops: 0,
    };
    for (index, stop) in stops.iter().enumerate() {
        let number = index + 1;
        let within_ms = common_retry_window(stop).with_context(|| format!("stop {number}"))?;
        if stop.closes.len() != clients {
            bail!("stop {number}: {} connections of {clients} clients were closed", stop.closes.len());
        }
        // Five milliseconds per connection, as docs/PROTOCOL.md states. Clients that connected during the shutdown may be
        // included.
        let (least, most) = (5 * clients as u64, 5 * (clients + connects) as u64);
        if within_ms < least.max(500) || within_ms > most.max(500) {
            bail!(
                "stop {number}: {clients} clients and at most {connects} others got a retry window of {within_ms} ms"
            );
        }
        let down = stop.open.saturating_sub(stop.stopped_at);
        // A client that finds the port closed backs off, which takes at most about as long as the server is closed.
        let latest = (within_ms * 1_000).max(2 * down) + TOLERANCE;
        for close in &stop.closes {
            let Some(opened) = close.opened else { bail!("stop {number}: a client did not reconnect") };
            let away = opened.saturating_sub(close.at);
            if away > latest {
                bail!(
                    "stop {number}: a client with a window of {within_ms} ms reconnected only after {} ms",
                    away / 1_000
                );
            }
            all.longest = all.longest.max(away);
        }
        let tenths = tenths(stop, within_ms);
        let fullest = tenths.iter().max().copied().unwrap_or(0);
        // If the server opens later, all clients whose time came before connect at that moment.
        if down <= within_ms * 1_000 / 10 {
            if fullest > max_in_a_tenth(clients) {
                bail!(
                    "stop {number}: the clients reconnected all at once: per tenth of {within_ms} ms {tenths:?} of {clients}"
                );
            }
            all.measured_stops += 1;
            all.fullest = all.fullest.max(fullest * 1_000 / clients.max(1));
        }
        all.closes_seen += stop.closes.len();
        all.longest_down = all.longest_down.max(down);
        all.within_ms = (all.within_ms.0.min(within_ms), all.within_ms.1.max(within_ms));
    }
    Ok(all)
}

fn max_in_a_tenth(clients: usize) -> usize {
    let mean = clients / 10;
    let chance = if clients < MIN_CLIENTS_FOR_EVEN_SPREAD {
        (CHANCE_FACTOR * (mean as f64).sqrt()) as usize
    } else {
        0
    };
    MAX_CONCENTRATION * mean + chance
}

/// The retry window, which all clients must have received.
fn common_retry_window(stop: &Stop) -> Result<u64> {
    let describe = |close: &Close| format!("{} {:?}", close.code, close.reason);
    let within = |close: &Close| -> Option<u64> {
        close.reason.strip_prefix("retry_within_ms=").filter(|_| close.code == 1001)?.parse().ok()
    };
    let mut stopped_at = None;
    for close in &stop.closes {
        let Some(ms) = within(close) else {
            let others = stop.closes.iter().filter(|close| within(close).is_none()).count();
            bail!("{others} of {} clients got no retry window: {}", stop.closes.len(), describe(close));
        };
        if *stopped_at.get_or_insert(ms) != ms {
            bail!("clients got different windows: {:?} ms and {ms} ms", stopped_at.unwrap_or(0));
        }
    }
    stopped_at.context("no client was connected")
}

/// The number of clients that reconnected in each tenth of the window after the first close frame; the last one includes later
/// ones.
fn tenths(stop: &Stop, within_ms: u64) -> [usize; 10] {
    let mut tenths = [0; 10];
    let begin = stop.closes.iter().map(|close| close.at).min().unwrap_or(0);
    for opened in stop.closes.iter().filter_map(|close| close.opened) {
        let tenth = opened.saturating_sub(begin) / (within_ms * 100).max(1);
        // At most 9, because of the `min`.
        tenths[tenth.min(9) as usize] += 1;
    }
    tenths
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: u64 = 200;

    /// A stop with a window of one second, after which clients reconnect evenly.
    fn stop() -> Stop {
        let close = |nth| Close {
            at: 1_000 + nth,
            code: 1001,
            reason: "retry_within_ms=1000".into(),
            opened: Some(1_000 + nth * 5_000 + 2_500),
        };
        Stop { stopped_at: 0, open: 90_000, closes: (0..CLIENTS).map(close).collect() }
    }

    fn rejection(change: impl FnOnce(&mut Stop)) -> String {
        let mut stop = stop();
        change(&mut stop);
        format!("{:#}", summarize(&[stop], CLIENTS as usize, 64).unwrap_err())
    }

    #[test]
    fn evenly_spread_reconnects_are_accepted() {
        let summary = summarize(&[stop(), stop()], CLIENTS as usize, 64).unwrap();
        assert_eq!(
            (summary.closes_seen, summary.within_ms, summary.measured_stops),
            (400, (1_000, 1_000), 2)
        );
        assert!(summary.fullest <= 105, "{summary}");
    }

    #[test]
    fn each_broken_promise_is_named() {
        assert!(rejection(|it| it.closes[7].code = 1006).contains("1 of 200 clients got no"));
        assert!(rejection(|it| it.closes[7].reason.clear()).contains("1 of 200 clients got no"));
        assert!(rejection(|it| it.closes[7].reason = "retry_within_ms=900".into()).contains("different"));
        assert!(rejection(|it| drop(it.closes.pop())).contains("199 connections of 200"));
        assert!(rejection(|it| it.closes[7].opened = None).contains("did not reconnect"));
        assert!(rejection(|it| it.closes[7].opened = Some(9_000_000)).contains("reconnected only after"));
        let all_at_once = |it: &mut Stop| it.closes.iter_mut().for_each(|close| close.opened = Some(100_000));
        assert!(rejection(all_at_once).contains("all at once"));
        let too_soon = |it: &mut Stop| {
            it.closes.iter_mut().for_each(|close| close.reason = "retry_within_ms=500".into());
        };
        assert!(rejection(too_soon).contains("window of 500 ms"));
    }

    #[test]
    fn uneven_tenths_are_accepted_for_few_clients_only() {
        assert_eq!(max_in_a_tenth(200), 57);
        assert_eq!(max_in_a_tenth(2_000), 400);
    }

    #[test]
    fn reconnects_after_a_long_downtime_may_coincide() {
        let mut stop = stop();
        stop.open = 400_000;
        stop.closes.iter_mut().for_each(|close| close.opened = Some(450_000));
        assert_eq!(summarize(&[stop], CLIENTS as usize, 64).unwrap().measured_stops, 0);
    }

    #[test]
    fn closes_belong_to_the_stop_before_them() {
        let on = history::ConnectionId(1);
        let note = |at, text: String| Record { at, kind: RecordKind::Note { text } };
        let mut stops = stops_from_notes(&[
            note(10, format!("{STOP_NOTE}1")),
            note(20, OPEN_NOTE.into()),
            note(30, format!("{STOP_NOTE}2")),
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
        add_client(
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
            stops.iter().map(|it| (it.stopped_at, it.open, it.closes[0].at, it.closes[0].opened)).collect();
        assert_eq!(seen, [(10, 20, 12, Some(22)), (30, 40, 33, Some(44))]);
        assert!(stops.iter().all(|stop| stop.closes.len() == 1));
    }
}
