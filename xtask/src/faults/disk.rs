//! A small disk of its own, and what fills it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::process;

/// What SQLite and the file system give out at a time.
pub(super) const PAGE: u64 = 4096;

/// Does `act` where `folder` is an empty disk of `mebibytes`. It is seen by the thread that acts and by what that starts, and is
/// gone when they are, however they end.
pub(super) fn with_small_disk<T: Send>(
    folder: &Path,
    mebibytes: u32,
    act: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let acting = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).context("no right to mount a disk of one's own")?;
            // What is mounted here must not be passed on to all the others.
            process::output(Command::new("mount").args(["--make-rprivate", "/"]))?;
            fs::create_dir_all(folder)?;
            let size = format!("size={mebibytes}m,mode=700");
            process::output(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder))?;
            act()
        });
        acting.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// A file that takes the room that others want.
pub(super) struct FillerFile(File);

impl FillerFile {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| format!("cannot write {}", path.display()))?))
    }

    /// Until nothing is free but so many pages.
    pub(super) fn fill(&mut self, but: u64) -> Result<()> {
        for chunk in [1 << 20, PAGE] {
            let chunk = vec![1; usize::try_from(chunk)?];
            loop {
                match self.0.write(&chunk) {
                    // Short: the next one says that it is full.
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("the ballast cannot be written"),
                }
            }
        }
        let len = self.0.metadata()?.len();
        Ok(self.0.set_len(len.saturating_sub(but * PAGE))?)
    }

    pub(super) fn empty(&mut self) -> Result<()> {
        Ok(self.0.set_len(0)?)
    }
}

/// Whether every page and index of a database that nobody has open is as it should be.
pub(super) fn check_integrity(database: &Path) -> Result<()> {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg(database).arg("PRAGMA integrity_check; PRAGMA foreign_key_check;");
    let said = process::output(&mut sqlite)?;
    if said.trim() != "ok" {
        bail!("{} is damaged: {}", database.display(), said.trim());
    }
    Ok(())
}
