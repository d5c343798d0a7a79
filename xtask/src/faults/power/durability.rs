//! Compares what a power loss at any moment would leave on the disk with what clients had received by then.
//!
//! A file certainly holds what was written before the start of a sync of it that returned 0. So:
//!
//! - a message that is delivered or acknowledged must be in a synced transaction of the write-ahead log, together with its commit
//!   frame, and the log's name in its folder must be synced too;
//! - a page may go into the database only after its transaction is synced in the log;
//! - the log may be reset, truncated or removed only after all its pages are in the database, and that is synced.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result, bail};

use super::sockets::{SentFrame, Sockets};
use crate::faults::trace::Call;

const LOG: &str = ".db-wal";
const DATABASE: &str = ".db";
/// The bytes of the header of a log.
const LOG_HEADER: usize = 32;
/// The bytes of the header of each page in a log.
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4096;

/// The number of a line in the trace, which orders calls.
type Line = usize;
type Hash64 = u64;

/// The rule that a trace violates.
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
            Self::Delivered => "delivered before it was synced",
            Self::PageCheckpointed => "a page was checkpointed before the log was synced",
            Self::LogReset => "the log was reset before the database was synced",
        })
    }
}

/// The counts and violations of a trace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DurabilityReport {
    /// The `ok`s to messages, each checked against the sync of its message.
    pub(super) acknowledged: u64,
    /// The deliveries of messages, counted per socket.
    pub(super) delivered: u64,
    pub(super) log_syncs: u64,
    pub(super) database_syncs: u64,
    /// The number of times that a log with content was reset.
    pub(super) log_resets: u64,
    /// The number of violations of each rule, and the first one.
    pub(super) violations: BTreeMap<Violation, (u64, String)>,
}

/// Checks the calls of a trace, one by one.
#[derive(Default)]
pub(super) struct DurabilityChecker {
    sockets: Sockets,
    log: Log,
    database: Database,
    /// For each message, the line after which it survives a power loss.
    durable: HashMap<String, Line>,
    messages: HashMap<(String, u64), Option<String>>,
    oks: Vec<(String, u64, Line)>,
    report: DurabilityReport,
}

/// The write-ahead log since its last reset.
#[derive(Default)]
struct Log {
    header: Option<FrameHeader>,
    /// The frames that are not committed yet, with their offsets.
    open: Vec<(u64, Page)>,
    /// The committed transactions that are not synced, with the line of the write of their commit frame.
    waiting: Vec<(Line, Vec<Page>)>,
    /// The latest contents of each page in the log, synced or not.
    last: HashMap<u32, Hash64>,
    /// For each version of a page, the line after which it survives a power loss.
    durable: HashMap<(u32, Hash64), Line>,
    /// The log's folder, and the line of the first write to the log.
    created: Option<(String, Line)>,
    /// Whether that folder was synced after the first write.
    is_name_synced: bool,
}

struct FrameHeader {
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
    /// The latest content of each page, and the line on which its write ended.
    pages: HashMap<u32, (Hash64, Line)>,
    /// The line on which the latest successful sync started.
    synced: Option<Line>,
}

impl DurabilityChecker {
    pub(super) fn check(&mut self, call: &Call) -> Result<()> {
        if call.on.ends_with(LOG) {
            return self.log_call(call);
        }
        if call.on.ends_with(DATABASE) {
            self.database_call(call);
        } else if call.is_sync() && call.returned == 0 {
            let created = self.log.created.as_ref();
            self.log.is_name_synced |=
                created.is_some_and(|(folder, created)| *folder == call.on && *created < call.first_line);
        }
        let sent_frames =
            self.sockets.take(call).with_context(|| format!("line {} of the trace", call.first_line))?;
        for (sent_frame, line) in sent_frames {
            self.sent_frame(sent_frame, line);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<DurabilityReport> {
        for (room, seq, line) in std::mem::take(&mut self.oks) {
            match self.messages.get(&(room.clone(), seq)) {
                Some(Some(key)) => {
                    let key = key.clone();
                    self.report.acknowledged += 1;
                    self.require_durable(Violation::Acknowledged, &key, line);
                }
                // An event other than a message, such as a member who left.
                Some(None) => {}
                None => bail!(
                    "line {line}: {room} #{seq} was acknowledged but never delivered, so its message is unknown"
                ),
            }
        }
        Ok(self.report)
    }

    fn sent_frame(&mut self, sent_frame: SentFrame, line: Line) {
        match sent_frame {
            SentFrame::Ok { room, seq } => self.oks.push((room, seq, line)),
            SentFrame::Event { room, seq } => drop(self.messages.insert((room, seq), None)),
            SentFrame::Message { room, seq, key } => {
                self.report.delivered += 1;
                self.require_durable(Violation::Delivered, &key, line);
                self.messages.insert((room, seq), Some(key));
            }
        }
    }

    fn require_durable(&mut self, violations: Violation, key: &str, line: Line) {
        let since = self.durable.get(key).copied();
        if since.is_none_or(|since| since >= line) {
            let since = since.map_or("never".into(), |since| format!("on line {since}"));
            self.note(violations, || format!("{key}: sent on line {line} of the trace, synced {since}"));
        }
    }

    fn note(&mut self, violations: Violation, describe: impl FnOnce() -> String) {
        self.report.violations.entry(violations).or_insert_with(|| (0, describe())).0 += 1;
    }

    fn log_call(&mut self, call: &Call) -> Result<()> {
        match call.name.as_str() {
            _ if call.is_sync() => {
                if call.returned == 0 {
                    self.report.log_syncs += 1;
                    self.log_synced(call);
                }
            }
            "pwrite64" if call.returned < 0 => {}
            "pwrite64" => self.log_write(call)?,
            "ftruncate" if call.returned == 0 => {
                self.reset_log(call.first_line);
                self.log.open.clear();
            }
            "unlink" | "unlinkat" if call.returned == 0 => {
                self.reset_log(call.first_line);
                self.log = Log::default();
            }
            "ftruncate" | "unlink" | "unlinkat" => {}
            other => bail!("line {}: the log is written with {other}", call.first_line),
        }
        Ok(())
    }

    fn log_write(&mut self, call: &Call) -> Result<()> {
        let bytes = call.taken();
        let folder = || call.on.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        self.log.created.get_or_insert_with(|| (folder(), call.last_line));
        match bytes.len() {
            LOG_HEADER if call.at == 0 => {
                self.reset_log(call.first_line);
                self.log.open.clear();
            }
            FRAME_HEADER => {
                self.log.header = Some(FrameHeader {
                    at: call.at,
                    page: big_endian(bytes),
                    commits: big_endian(&bytes[4..]) != 0,
                });
            }
            PAGE => {
                let header =
                    self.log.header.take().filter(|header| header.at + FRAME_HEADER as u64 == call.at);
                let Some(header) = header else { bail!("line {}: a page without a header", call.first_line) };
                self.log.open.retain(|(at, _)| *at < header.at);
                self.log
                    .open
                    .push((header.at, Page { number: header.page, hash: hash(bytes), keys: keys(bytes) }));
                if header.commits {
                    let pages: Vec<Page> = self.log.open.drain(..).map(|(_, page)| page).collect();
                    self.log.last.extend(pages.iter().map(|page| (page.number, page.hash)));
                    self.log.waiting.push((call.last_line, pages));
                }
            }
            // A short write on a full or failing disk: the page is written again or given up.
            _ if call.returned < call.bytes.len() as i64 => {}
            other => bail!(
                "line {}: {other} bytes at {} of the log are neither header nor page",
                call.first_line,
                call.at
            ),
        }
        Ok(())
    }

    /// At the end of a sync, everything that was committed before its start is durable, provided that the log's name is.
    fn log_synced(&mut self, sync: &Call) {
        if !self.log.is_name_synced {
            return;
        }
        let (synced, waiting) = std::mem::take(&mut self.log.waiting)
            .into_iter()
            .partition(|(written, _)| *written < sync.first_line);
        self.log.waiting = waiting;
        let synced: Vec<(Line, Vec<Page>)> = synced;
        for page in synced.into_iter().flat_map(|(_, pages)| pages) {
            self.log.durable.entry((page.number, page.hash)).or_insert(sync.last_line);
            for key in page.keys {
                self.durable.entry(key).or_insert(sync.last_line);
            }
        }
    }

    /// Handles a call after which the log has no content.
    fn reset_log(&mut self, line: Line) {
        let last = std::mem::take(&mut self.log.last);
        self.log.durable.clear();
        self.log.waiting.clear();
        self.report.log_resets += u64::from(!last.is_empty());
        let is_safe = |(number, hash): (&u32, &Hash64)| {
            self.database.pages.get(number).is_some_and(|(there, written)| {
                there == hash && self.database.synced.is_some_and(|synced| *written < synced)
            })
        };
        if let Some((number, _)) = last.iter().find(|(number, hash)| !is_safe((number, hash))) {
            let number = *number;
            self.note(Violation::LogReset, || {
                format!("line {line} of the trace: page {number} is not yet durable in the database")
            });
        }
    }

    fn database_call(&mut self, call: &Call) {
        if call.is_sync() && call.returned == 0 {
            self.report.database_syncs += 1;
            self.database.synced = self.database.synced.max(Some(call.first_line));
        }
        if call.name != "pwrite64" || call.taken().len() != PAGE {
            return;
        }
        let number = u32::try_from(call.at / PAGE as u64 + 1).unwrap_or(u32::MAX);
        let page = (number, hash(call.taken()));
        self.database.pages.insert(number, (page.1, call.last_line));
        // Before the first log exists, the database is created with a rollback journal.
        let is_synced = self.log.durable.get(&page).is_some_and(|since| *since < call.first_line);
        if self.log.created.is_some() && !is_synced {
            self.note(Violation::PageCheckpointed, || {
                format!("line {} of the trace: page {number}", call.first_line)
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

/// The keys of the messages whose bodies start on this page: a body starts with its key and a space, and no key is a prefix or
/// suffix of another (`w6-25 `).
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
