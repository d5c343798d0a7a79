//! What Cargo knows of this workspace: where it lies, where it builds to, who depends on whom.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// Where things are. Everything else is found from here, so that the commands work from any directory.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Not always `target/` in the root: `CARGO_TARGET_DIR` and Cargo's configuration may move it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        #[derive(Deserialize)]
        struct Place {
            workspace_root: PathBuf,
            target_directory: PathBuf,
        }
        let mut cargo = process::cargo();
        // From where we were called, since a relative `CARGO_TARGET_DIR` counts from there.
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        cargo.args(["metadata", "--format-version=1", "--no-deps", "--manifest-path", manifest]);
        let place: Place = serde_json::from_str(&process::output(&mut cargo)?)?;
        Ok(Self { root: place.workspace_root, target: place.target_directory })
    }

    pub(crate) fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// A workspace of its own.
    pub(crate) fn fuzz(&self) -> PathBuf {
        self.root.join("fuzz")
    }

    /// Cargo, in the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = process::cargo();
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// Where Cargo puts the binary `name` of a profile's folder (`debug`, `release`).
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }

    /// The whole dependency graph, as it is for the machine we are on. Packages for other platforms are left out,
    /// because Cargo would have to download them first, and a build without network has no use for them.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let mut cargo = self.cargo();
        cargo.args(["metadata", "--format-version=1", "--filter-platform", &host()?]);
        serde_json::from_str(&process::output(&mut cargo)?).context("cannot read what `cargo metadata` says")
    }
}

/// What Cargo calls the machine we are on.
pub(crate) fn host() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// The part of `cargo metadata` that the checks look at.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

impl Package {
    pub(crate) fn folder(&self) -> &Path {
        // A manifest's path ends in `Cargo.toml`, so it has a parent.
        self.manifest_path.parent().unwrap()
    }

    /// Runs inside the compiler, and so brings nothing into the program.
    pub(crate) fn is_proc_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

impl Dependency {
    /// Neither for tests only nor for a build script only.
    pub(crate) fn is_normal(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}
