//! Detects short writes in a trace. SQLite writes the rest with another call and does not report it, so only a trace shows them.

use crate::faults::disk::PAGE;
use crate::faults::trace::Call;

/// The header of a write-ahead log in bytes. Each frame after it consists of a header and a page.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// Whether the write ends where no complete write of SQLite ends: after neither a header nor a page.
pub(super) fn is_short_write(call: &Call) -> bool {
    let end = call.at + call.bytes.len() as u64;
    if call.name != "pwrite64" {
        false
    } else if call.on.ends_with(".db-wal") {
        let in_frame = end.checked_sub(LOG_HEADER).map(|offset| offset % (FRAME_HEADER + PAGE));
        !matches!(in_frame, Some(0 | FRAME_HEADER))
    } else {
        call.on.ends_with(".db") && !end.is_multiple_of(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::trace;

    fn is_short(file: &str, len: usize, at: u64) -> bool {
        let mut short_write = false;
        let line = format!("1 pwrite64(13</d/{file}>, \"{}\", {len}, {at}) = {len}\n", "x".repeat(len));
        let read = trace::read(line.as_bytes(), |call| {
            short_write = is_short_write(&call);
            Ok(())
        });
        read.unwrap();
        short_write
    }

    #[test]
    fn complete_headers_and_pages_are_not_short() {
        for (len, at) in [(32, 0), (24, 32), (4096, 56), (24, 4152), (4096, 4176)] {
            assert!(!is_short("teahouse.db-wal", len, at), "{len} at {at}");
        }
        assert!(!is_short("teahouse.db", 4096, 8192));
    }

    #[test]
    fn part_of_a_header_or_a_page_is_short() {
        for (len, at) in [(31, 0), (23, 32), (4095, 56), (1, 4152)] {
            assert!(is_short("teahouse.db-wal", len, at), "{len} at {at}");
        }
        assert!(is_short("teahouse.db", 100, 8192));
    }

    #[test]
    fn rest_of_a_page_and_other_files_are_not_short() {
        assert!(!is_short("teahouse.db-wal", 4000, 152));
        assert!(!is_short("server.log", 7, 0));
    }
}
