//! Writing a history to a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use history::Recorder;
use nix::time::{ClockId, clock_gettime};

/// Bounds the records that are buffered.
const LINES: usize = 1_000;

/// A recorder with its file.
#[derive(Debug)]
pub(super) struct HistoryFile {
    recorder: Recorder,
    file: BufWriter<File>,
    lines: usize,
}

impl HistoryFile {
    pub(super) fn new(folder: &Path, number: u32) -> io::Result<Self> {
        let file = File::create(folder.join(format!("{number:03}.jsonl")))?;
        Ok(HistoryFile { recorder: Recorder::new(number), file: BufWriter::new(file), lines: 0 })
    }

    /// The recorder, with its time set to now.
    pub(super) fn now(&mut self) -> io::Result<&mut Recorder> {
        self.lines += 1;
        if self.lines.is_multiple_of(LINES) {
            history::write(&mut self.file, &self.recorder.take())?;
        }
        self.recorder.set_time(monotonic_now());
        Ok(&mut self.recorder)
    }

    pub(super) fn close(mut self) -> io::Result<()> {
        history::write(&mut self.file, &self.recorder.take())?;
        self.file.flush()
    }
}

/// The time of the clock that all processes of a machine share, so that their histories can be merged.
fn monotonic_now() -> history::Micros {
    // Cannot fail: every Linux has this clock, and its readings are positive.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
    let micros = Duration::from(now).as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX)
}
