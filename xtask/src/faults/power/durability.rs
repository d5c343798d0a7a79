//! What a loss of power at any instant would leave, held against what had been said by then.
//!
//! A file holds for certain what had been written before a sync of it began that has returned 0. So:
//!
//! - what is told or acknowledged lies in a transaction of the write-ahead log that is synced, together with the frame that
//!   commits it, and the log's name in its folder is synced too;
//! - a page goes into the database only when the transaction it comes from is synced in the log;
//! - the log is begun anew, cut or removed only when all that it holds is in the database, and that is synced.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result, bail};

use super::sockets::{SentFrame, Sockets};
use crate::faults::trace::Call;

const LOG: &str = ".db-wal";
const DATABASE: &str = ".db";
/// What SQLite writes before the first page of a log, and before each page.
const LOG_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
const PAGE: usize = 4096;

/// A line of the trace.
type Line = usize;
type Hash64 = u64;

/// What may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Violation {
    Acknowledged,
    Delivered,
    PageCheckpointed,
    LogReset,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledged => "acknowledged before it was synced",
            Self::Delivered => "told to others before it was synced",
            Self::PageCheckpointed => "a page went into the database before the log was synced",
            Self::LogReset => "the log was given up before the database was synced",
        })
    }
}

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `ok`s to messages, each held against the sync of its message.
    pub(super) acknowledged: u64,
    /// Messages told, each time on each socket.
    pub(super) told: u64,
    pub(super) log_syncs: u64,
    pub(super) database_syncs: u64,
    /// How often a log that held something was begun anew.
    pub(super) begun_anew: u64,
    /// How often, and the first time.
    pub(super) violations: BTreeMap<Violation, (u64, String)>,
}

/// Takes in call after call.
#[derive(Default)]
pub(super) struct DurabilityChecker {
    sockets: Sockets,
    log: Log,
    database: Database,
    /// Since when each message is certain to be there after a loss of power.
    durable: HashMap<String, Line>,
    messages: HashMap<(String, u64), Option<String>>,
    oks: Vec<(String, u64, Line)>,
    verdict: Verdict,
}

/// The write-ahead log since it was last begun.
#[derive(Default)]
struct Log {
    head: Option<FrameHead>,
    /// Not committed yet: where it lies, and what.
    open: Vec<(u64, Page)>,
    /// Committed and not synced, with the line on which the commit was written.
    waiting: Vec<(Line, Vec<Page>)>,
    /// What the log holds of each page at the last, synced or not.
    last: HashMap<u32, Hash64>,
    /// Since when a page as it was at some time is certain.
    durable: HashMap<(u32, Hash64), Line>,
    /// The folder in which it lies, and the line on which something was first written to it.
    made: Option<(String, Line)>,
    /// That folder has been synced since.
    is_named: bool,
}

struct FrameHead {
    at: u64,
    page: u32,
    commits: bool,
}

struct Page {
    number: u32,
    hash: Hash64,
    keys: Vec<String>,
}

#[derive(Default)]
struct Database {
    /// What was last written to each page, and until when.
    pages: HashMap<u32, (Hash64, Line)>,
    /// The latest beginning of a sync that has succeeded.
    synced: Option<Line>,
}

impl DurabilityChecker {
    pub(super) fn take(&mut self, call: &Call) -> Result<()> {
        if call.on.ends_with(LOG) {
            return self.log_call(call);
        }
        if call.on.ends_with(DATABASE) {
            self.database_call(call);
        } else if call.is_sync() && call.returned == 0 {
            let made = self.log.made.as_ref();
            self.log.is_named |= made.is_some_and(|(folder, made)| *folder == call.on && *made < call.begun);
        }
        let sent_frames =
            self.sockets.take(call).with_context(|| format!("line {} of the trace", call.begun))?;
        for (sent_frame, line) in sent_frames {
            self.sent_frame(sent_frame, line);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Verdict> {
        for (room, seq, line) in std::mem::take(&mut self.oks) {
            match self.messages.get(&(room.clone(), seq)) {
                Some(Some(key)) => {
                    let key = key.clone();
                    self.verdict.acknowledged += 1;
                    self.demand_durable(Violation::Acknowledged, &key, line);
                }
                // Somebody's leaving.
                Some(None) => {}
                None => bail!(
                    "line {line}: {room} #{seq} was acknowledged, and nobody heard it: it cannot be judged"
                ),
            }
        }
        Ok(self.verdict)
    }

    fn sent_frame(&mut self, sent_frame: SentFrame, line: Line) {
        match sent_frame {
            SentFrame::Ok { room, seq } => self.oks.push((room, seq, line)),
            SentFrame::Event { room, seq } => drop(self.messages.insert((room, seq), None)),
            SentFrame::Message { room, seq, key } => {
                self.verdict.told += 1;
                self.demand_durable(Violation::Delivered, &key, line);
                self.messages.insert((room, seq), Some(key));
            }
        }
    }

    fn demand_durable(&mut self, violations: Violation, key: &str, line: Line) {
        let since = self.durable.get(key).copied();
        if since.is_none_or(|since| since >= line) {
            let since = since.map_or("never".into(), |since| format!("on line {since}"));
            self.note(violations, || format!("{key}: said on line {line} of the trace, synced {since}"));
        }
    }

    fn note(&mut self, violations: Violation, say: impl FnOnce() -> String) {
        self.verdict.violations.entry(violations).or_insert_with(|| (0, say())).0 += 1;
    }

    fn log_call(&mut self, call: &Call) -> Result<()> {
        match call.name.as_str() {
            _ if call.is_sync() => {
                if call.returned == 0 {
                    self.verdict.log_syncs += 1;
                    self.log_synced(call);
                }
            }
            "pwrite64" if call.returned < 0 => {}
            "pwrite64" => self.log_write(call)?,
            "ftruncate" if call.returned == 0 => {
                self.give_up(call.begun);
                self.log.open.clear();
            }
            "unlink" | "unlinkat" if call.returned == 0 => {
                self.give_up(call.begun);
                self.log = Log::default();
            }
            "ftruncate" | "unlink" | "unlinkat" => {}
            other => bail!("line {}: the log is written with {other}", call.begun),
        }
        Ok(())
    }

    fn log_write(&mut self, call: &Call) -> Result<()> {
        let bytes = call.taken();
        let folder = || call.on.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        self.log.made.get_or_insert_with(|| (folder(), call.ended));
        match bytes.len() {
            LOG_HEAD if call.at == 0 => {
                self.give_up(call.begun);
                self.log.open.clear();
            }
            FRAME_HEAD => {
                self.log.head = Some(FrameHead {
                    at: call.at,
                    page: big_endian(bytes),
                    commits: big_endian(&bytes[4..]) != 0,
                });
            }
            PAGE => {
                let head = self.log.head.take().filter(|head| head.at + FRAME_HEAD as u64 == call.at);
                let Some(head) = head else { bail!("line {}: a page without a head", call.begun) };
                self.log.open.retain(|(at, _)| *at < head.at);
                self.log
                    .open
                    .push((head.at, Page { number: head.page, hash: hash(bytes), keys: keys(bytes) }));
                if head.commits {
                    let pages: Vec<Page> = self.log.open.drain(..).map(|(_, page)| page).collect();
                    self.log.last.extend(pages.iter().map(|page| (page.number, page.hash)));
                    self.log.waiting.push((call.ended, pages));
                }
            }
            // Cut short by a full or failing disk; what it was is written again or given up.
            _ if call.returned < call.bytes.len() as i64 => {}
            other => bail!("line {}: {other} bytes at {} of the log are nothing known", call.begun, call.at),
        }
        Ok(())
    }

    /// What was committed before the sync began is certain when it ends, if the log's name is.
    fn log_synced(&mut self, sync: &Call) {
        if !self.log.is_named {
            return;
        }
        let (synced, waiting) =
            std::mem::take(&mut self.log.waiting).into_iter().partition(|(written, _)| *written < sync.begun);
        self.log.waiting = waiting;
        let synced: Vec<(Line, Vec<Page>)> = synced;
        for page in synced.into_iter().flat_map(|(_, pages)| pages) {
            self.log.durable.entry((page.number, page.hash)).or_insert(sync.ended);
            for key in page.keys {
                self.durable.entry(key).or_insert(sync.ended);
            }
        }
    }

    /// From here on the log does not hold what it held.
    fn give_up(&mut self, line: Line) {
        let last = std::mem::take(&mut self.log.last);
        self.log.durable.clear();
        self.log.waiting.clear();
        self.verdict.begun_anew += u64::from(!last.is_empty());
        let is_safe = |(number, hash): (&u32, &Hash64)| {
            self.database.pages.get(number).is_some_and(|(there, written)| {
                there == hash && self.database.synced.is_some_and(|synced| *written < synced)
            })
        };
        if let Some((number, _)) = last.iter().find(|(number, hash)| !is_safe((number, hash))) {
            let number = *number;
            self.note(Violation::LogReset, || {
                format!("line {line} of the trace: page {number} is not yet certain in the database")
            });
        }
    }

    fn database_call(&mut self, call: &Call) {
        if call.is_sync() && call.returned == 0 {
            self.verdict.database_syncs += 1;
            self.database.synced = self.database.synced.max(Some(call.begun));
        }
        if call.name != "pwrite64" || call.taken().len() != PAGE {
            return;
        }
        let number = u32::try_from(call.at / PAGE as u64 + 1).unwrap_or(u32::MAX);
        let page = (number, hash(call.taken()));
        self.database.pages.insert(number, (page.1, call.ended));
        // Before the first log the database is made under a journal.
        let is_synced = self.log.durable.get(&page).is_some_and(|since| *since < call.begun);
        if self.log.made.is_some() && !is_synced {
            self.note(Violation::PageCheckpointed, || {
                format!("line {} of the trace: page {number}", call.begun)
            });
        }
    }
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn hash(bytes: &[u8]) -> Hash64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The keys of the messages whose bodies begin on this page: a body begins with its key and a space, and no key is the end or
/// the beginning of another (`w6-25 `).
fn keys(page: &[u8]) -> Vec<String> {
    let mut keys = Vec::new();
    for (at, _) in page.iter().enumerate().filter(|(_, byte)| **byte == b'w') {
        let rest = &page[at + 1..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        if len > 0 && rest.get(len) == Some(&b' ') {
            keys.push(String::from_utf8_lossy(&page[at..=at + len]).into_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests;
