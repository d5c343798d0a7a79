//! The folder of a run, which is kept if the run fails.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

pub(super) struct RunDir {
    folder: PathBuf,
}

impl RunDir {
    /// Creates an empty folder, after removing that of an earlier run of the same name.
    pub(super) fn create(workspace: &Workspace, name: &str) -> Result<Self> {
        let folder = workspace.target.join("faults").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot remove what an earlier run left")?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    pub(super) fn history(&self) -> PathBuf {
        self.folder.join("history")
    }

    pub(super) fn clear(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}
