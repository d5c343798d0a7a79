//! Building the web client in `web/` if it is stale.
//!
//! The server's `build.rs` never runs npm, so that `cargo build` works without Node; these commands do.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// The folders of `web/` that do not affect the page. All others count as sources: an unnecessary build costs a second, a
/// stale page misleads a developer.
const NOT_SOURCES: &[&str] = &["coverage", "dist", "e2e", "node_modules", "test-results"];

/// The command that runs an npm script of the web client.
pub(crate) fn npm_run(workspace: &Workspace, script: &str) -> Command {
    let mut npm = npm(workspace);
    npm.args(["run", script]);
    npm
}

fn npm(workspace: &Workspace) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(workspace.web());
    npm
}

/// Installs the dependencies and builds the page, each only if it is missing or stale.
pub(crate) fn build_if_stale(workspace: &Workspace) -> Result<()> {
    install_if_stale(workspace)?;
    let web = workspace.web();
    // Vite empties `dist` before it builds, so an interrupted build leaves no page that seems fresh.
    let page = web.join("dist/index.html");
    if !is_stale(modified(&page)?, newest_source(&web)?) {
        println!("the web client is up to date");
        return Ok(());
    }
    process::run(&mut npm_run(workspace, "build"))?;
    if !page.is_file() {
        bail!("`npm run build` wrote no {}", page.display());
    }
    Ok(())
}

/// Runs `npm ci`, unless it has run since the lock file changed.
pub(crate) fn install_if_stale(workspace: &Workspace) -> Result<()> {
    let web = workspace.web();
    let lock = modified(&web.join("package-lock.json"))?;
    if lock.is_none() {
        bail!("{} has no package-lock.json", web.display());
    }
    // npm writes this file last.
    let installed = modified(&web.join("node_modules/.package-lock.json"))?;
    if is_stale(installed, lock) {
        process::run(npm(workspace).args(["ci", "--no-audit", "--no-fund"]))?;
    }
    Ok(())
}

/// Whether an output is missing or older than its source.
fn is_stale(built: Option<SystemTime>, source: Option<SystemTime>) -> bool {
    match (built, source) {
        (None, _) => true,
        (Some(built), source) => source.is_some_and(|source| source > built),
    }
}

/// The latest modification of the sources. Folders count as well, because removing a file modifies its folder.
fn newest_source(web: &Path) -> Result<Option<SystemTime>> {
    let mut newest = None;
    for entry in entries(web)?.iter().filter(|entry| is_source(entry)) {
        newest = newest.max(newest_below(entry)?);
    }
    Ok(newest)
}

/// Whether a file or folder in `web/` affects the page; tools also write other files there.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if name.starts_with('.') {
        return false;
    }
    if path.is_dir() {
        return !NOT_SOURCES.contains(&&*name);
    }
    [".html", ".json", ".ts", ".js", ".mjs"].iter().any(|ending| name.ends_with(ending))
}

fn newest_below(path: &Path) -> Result<Option<SystemTime>> {
    let mut newest = modified(path)?;
    if path.is_dir() {
        for entry in entries(path)? {
            newest = newest.max(newest_below(&entry)?);
        }
    }
    Ok(newest)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn modified(path: &Path) -> Result<Option<SystemTime>> {
    fs::metadata(path).ok().map(|found: Metadata| Ok(found.modified()?)).transpose()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    fn moment(second: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second))
    }

    /// A `web/` in which everything was modified at second 10.
    fn web() -> tempfile::TempDir {
        let web = tempfile::tempdir().unwrap();
        for file in ["src/deep/page.ts", "public/icon.svg", "index.html", "dist/index.html", "notes.log"] {
            let file = web.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        for path in ["src/deep/page.ts", "src/deep", "src", "public/icon.svg", "public", "index.html"] {
            touch(&web, path, 10);
        }
        web
    }

    fn touch(web: &tempfile::TempDir, path: &str, second: u64) {
        File::open(web.path().join(path)).unwrap().set_modified(moment(second).unwrap()).unwrap();
    }

    #[test]
    fn page_that_is_missing_or_older_is_stale() {
        assert!(is_stale(None, moment(1)));
        assert!(is_stale(None, None));
        assert!(is_stale(moment(1), moment(2)));
    }

    #[test]
    fn page_as_new_as_its_sources_is_fresh() {
        assert!(!is_stale(moment(2), moment(2)));
        assert!(!is_stale(moment(3), moment(2)));
        assert!(!is_stale(moment(3), None));
    }

    #[test]
    fn newest_source_is_found_at_any_depth() {
        let web = web();
        assert_eq!(newest_source(web.path()).unwrap(), moment(10));
        touch(&web, "src/deep/page.ts", 20);
        assert_eq!(newest_source(web.path()).unwrap(), moment(20));
        touch(&web, "index.html", 30);
        assert_eq!(newest_source(web.path()).unwrap(), moment(30));
    }

    #[test]
    fn build_outputs_and_logs_are_not_sources() {
        let web = web();
        touch(&web, "dist/index.html", 99);
        touch(&web, "notes.log", 99);
        assert_eq!(newest_source(web.path()).unwrap(), moment(10));
    }

    #[test]
    fn removed_source_makes_the_page_stale() {
        let web = web();
        fs::remove_file(web.path().join("src/deep/page.ts")).unwrap();
        assert!(newest_source(web.path()).unwrap() > moment(10));
    }
}
