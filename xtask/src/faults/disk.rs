//! A small disk in a mount namespace, and a file that fills it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::process;

/// The allocation unit of SQLite and of the file system.
pub(super) const PAGE: u64 = 4096;

/// Runs `act` with an empty disk of `mebibytes` mounted on `folder`. Only the thread that runs it and its children see the disk, and
/// the kernel removes it when they end.
pub(super) fn with_small_disk<T: Send>(
    folder: &Path,
    mebibytes: u32,
    act: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let acting = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).context("cannot create a mount namespace")?;
            // Mounts made here must not propagate to the rest of the system.
            process::output(Command::new("mount").args(["--make-rprivate", "/"]))?;
            fs::create_dir_all(folder)?;
            let size = format!("size={mebibytes}m,mode=755");
            process::output(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder))?;
            act()
        });
        acting.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// A file that occupies the free space.
pub(super) struct FillerFile(File);

impl FillerFile {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| format!("cannot write {}", path.display()))?))
    }

    /// Grows the file until only `free_pages` pages are free.
    pub(super) fn fill(&mut self, free_pages: u64) -> Result<()> {
        for chunk in [1 << 20, PAGE] {
            let chunk = vec![1; usize::try_from(chunk)?];
            loop {
                match self.0.write(&chunk) {
                    // After a short write, the next one returns the error of a full disk.
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("the filler file cannot be written"),
                }
            }
        }
        let len = self.0.metadata()?.len();
        Ok(self.0.set_len(len.saturating_sub(free_pages * PAGE))?)
    }

    pub(super) fn empty(&mut self) -> Result<()> {
        Ok(self.0.set_len(0)?)
    }
}

/// Checks every page and index of a database that no process has open.
pub(super) fn check_integrity(database: &Path) -> Result<()> {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg(database).arg("PRAGMA integrity_check; PRAGMA foreign_key_check;");
    let result = process::output(&mut sqlite)?;
    if result.trim() != "ok" {
        bail!("{} is damaged: {}", database.display(), result.trim());
    }
    Ok(())
}
