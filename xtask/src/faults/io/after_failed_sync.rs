//! After a sync that failed nothing goes into that file: the next sync would succeed without what the kernel has dropped. (What is
//! acknowledged then is for the history: an `ok` may still be on its way, for what an earlier sync holds.)

use anyhow::{Result, bail};

use crate::faults::trace::Call;

/// A trace is held against it call by call.
#[derive(Default)]
pub(super) struct FailedSyncCheck {
    /// Which file, and the line on which the failed sync ended.
    since: Option<(String, usize)>,
}

impl FailedSyncCheck {
    pub(super) fn take(&mut self, call: &Call) -> Result<()> {
        let is_data = call.on.ends_with(".db") || call.on.ends_with(".db-wal");
        match &self.since {
            None if is_data && call.is_sync() && call.returned < 0 => {
                self.since = Some((call.on.clone(), call.ended));
            }
            // What another thread had begun on another file ends there.
            Some((file, since)) if call.begun > *since && call.on == *file && call.returned >= 0 => {
                bail!(
                    "line {} of the trace: {} after the sync of line {since} had failed",
                    call.begun,
                    call.name
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a sync failed at all.
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

    fn judge(calls: &str) -> Result<bool> {
        let mut silence = FailedSyncCheck::default();
        trace::read(calls.as_bytes(), |call| silence.take(&call))?;
        Ok(silence.saw_failed_sync())
    }

    #[test]
    fn what_was_written_before_the_sync_failed_is_no_finding() {
        assert!(judge(&format!("{WRITE}{FAILED}")).unwrap());
    }

    #[test]
    fn write_or_sync_of_the_file_whose_sync_failed_is_seen() {
        judge(&format!("{FAILED}{WRITE}")).unwrap_err();
        judge(&format!("{FAILED}3 fdatasync(14</d/teahouse.db-wal>) = 0\n")).unwrap_err();
    }

    #[test]
    fn trace_without_a_failed_sync_is_no_proof() {
        assert!(!judge(WRITE).unwrap());
    }
}
