//! Histories as JSON lines, and the merge of several histories.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufRead, Write};

use crate::Record;

/// The error for a line that is not a record.
#[derive(Debug)]
pub struct InvalidLine {
    /// The number of the line, from 1.
    pub line: usize,
    /// The error of the file or of the parser.
    pub error: io::Error,
}

/// Writes one line for each record.
pub fn write(mut to: impl Write, records: &[Record]) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut to, record)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads records that [`write()`] wrote, one line at a time, so that the file may be larger than memory.
pub fn read(from: impl BufRead) -> impl Iterator<Item = Result<Record, InvalidLine>> {
    from.lines().enumerate().map(|(index, line)| {
        let read = || -> io::Result<Record> { Ok(serde_json::from_str(&line?)?) };
        read().map_err(|error| InvalidLine { line: index + 1, error })
    })
}

/// Merges several histories by time. The order within each history is kept.
pub fn merge<I: Iterator<Item = Record>>(mut histories: Vec<I>) -> impl Iterator<Item = Record> {
    let mut heads: Vec<Option<Record>> = histories.iter_mut().map(Iterator::next).collect();
    let mut waiting: BinaryHeap<Reverse<(u64, usize)>> = heads
        .iter()
        .enumerate()
        .filter_map(|(which, head)| Some(Reverse((head.as_ref()?.at, which))))
        .collect();
    std::iter::from_fn(move || {
        let Reverse((_, which)) = waiting.pop()?;
        let record = std::mem::replace(&mut heads[which], histories[which].next());
        waiting.extend(heads[which].as_ref().map(|head| Reverse((head.at, which))));
        record
    })
}
