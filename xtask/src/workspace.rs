//! The folders and the dependency graph of this workspace, as Cargo reports them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The workspace's folders. All paths derive from these, so that the commands work in any directory.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Not always `target/` in the root, because `CARGO_TARGET_DIR` and Cargo's configuration may move it.
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
        // Does not run in the root, because a relative `CARGO_TARGET_DIR` is relative to the current directory.
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        cargo.args(["metadata", "--format-version=1", "--no-deps", "--manifest-path", manifest]);
        let place: Place = serde_json::from_str(&process::output(&mut cargo)?)?;
        Ok(Self { root: place.workspace_root, target: place.target_directory })
    }

    pub(crate) fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// The folder of the fuzz targets, which are a separate Cargo workspace.
    pub(crate) fn fuzz(&self) -> PathBuf {
        self.root.join("fuzz")
    }

    /// A Cargo command that runs in the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = process::cargo();
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// The command that builds the server and the load programs, to which a caller adds a profile or features. All callers build the same
    /// packages: Cargo unifies the features of what is built together, so another selection would compile the dependencies again.
    pub(crate) fn build_programs(&self) -> Command {
        let mut cargo = self.cargo();
        cargo.args(["build", "-p", "teahouse", "-p", "teahouse-loadgen"]);
        cargo
    }

    /// The path of the binary `name` for a profile (`debug`, `release`).
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }

    /// The dependency graph for this platform. Packages for other platforms are excluded, because Cargo would have to download
    /// them, and a build without network does not need them.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        let mut cargo = self.cargo();
        cargo.args(["metadata", "--format-version=1", "--filter-platform", &host()?]);
        serde_json::from_str(&process::output(&mut cargo)?)
            .context("cannot parse the output of `cargo metadata`")
    }
}

/// The target triple of this machine.
pub(crate) fn host() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` does not print the host")?.to_owned())
}

/// The part of `cargo metadata` that the checks use.
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
        // The path of a manifest ends in `Cargo.toml`, so it has a parent.
        self.manifest_path.parent().unwrap()
    }

    /// Procedural macros run inside the compiler, so they add no code to the program.
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
    /// Whether it is a dependency of the program, and not only of tests or a build script.
    pub(crate) fn is_normal(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}
