//! After a failed sync of a file, the server must not write to it: the next sync would succeed without the pages that the kernel has
//! dropped. (Acknowledgements after it are the history's business: an `ok` may still be in transit, covered by an earlier sync.)

use anyhow::{Result, bail};

use crate::faults::trace::Call;

/// Checks the calls of a trace, one by one.
#[derive(Default)]
pub(super) struct FailedSyncCheck {
    /// The file, and the line on which the failed sync ended.
    since: Option<(String, usize)>,
}

impl FailedSyncCheck {
    pub(super) fn check(&mut self, call: &Call) -> Result<()> {
        let is_data = call.on.ends_with(".db") || call.on.ends_with(".db-wal");
        match &self.since {
            None if is_data && call.is_sync() && call.returned < 0 => {
                self.since = Some((call.on.clone(), call.last_line));
            }
            // Calls of other threads on other files that started before may end later.
            Some((file, since)) if call.first_line > *since && call.on == *file && call.returned >= 0 => {
                bail!(
                    "line {} of the trace: {} after the sync on line {since} had failed",
                    call.first_line,
                    call.name
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the trace contains a failed sync.
    pub(super) fn saw_failed_sync(&self) -> bool {
        self.since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::trace;

    const FAILED: &str = "1 fdatasync(13</d/teahouse.db-wal>) = -1 EIO (Input/output error) (INJECTED)\n";
    const WRITE: &str = "2 pwrite64(13</d/teahouse.db-wal>, \"x\", 1, 0) = 1\n";

    fn check_trace(calls: &str) -> Result<bool> {
        let mut silence = FailedSyncCheck::default();
        trace::read(calls.as_bytes(), |call| silence.check(&call))?;
        Ok(silence.saw_failed_sync())
    }

    #[test]
    fn write_before_the_failed_sync_is_allowed() {
        assert!(check_trace(&format!("{WRITE}{FAILED}")).unwrap());
    }

    #[test]
    fn write_or_sync_after_the_failed_sync_is_detected() {
        check_trace(&format!("{FAILED}{WRITE}")).unwrap_err();
        check_trace(&format!("{FAILED}3 fdatasync(14</d/teahouse.db-wal>) = 0\n")).unwrap_err();
    }

    #[test]
    fn trace_without_a_failed_sync_proves_nothing() {
        assert!(!check_trace(WRITE).unwrap());
    }
}
