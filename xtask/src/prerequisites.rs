//! The programs that steps need, and how to install those that are missing.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self as os, Command, Stdio};
use std::{env, fs, iter};

use crate::process;

/// A program or capability that a step needs in addition to the Rust toolchain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prerequisite {
    /// Node and npm, in a version that the web client's tools support.
    Node,
    /// A browser for the end-to-end tests.
    Chromium,
    /// Programs and capabilities to create a network namespace and drop packets in it.
    SilentNetwork,
    /// cargo-deny, which checks licenses, sources and advisories of dependencies.
    CargoDeny,
    /// The last Python version that Autobahn's test suite supports.
    Python27,
    /// A Python that creates virtual environments, for schemathesis.
    Python3,
    /// A C++ compiler, because libFuzzer is written in C++.
    CxxCompiler,
    /// valgrind, which counts instructions.
    Valgrind,
    /// libfaketime, which fakes the system time of a program.
    Faketime,
    /// strace, with the capability to trace the system calls of a running program.
    Strace,
    /// Programs and capabilities to mount a small disk in a mount namespace.
    SmallDisk,
    /// sqlite3, as an independent reader of the database.
    Sqlite,
    /// libfiu, which makes system calls of a program fail.
    Fiu,
    /// PostgreSQL's server programs.
    Postgres,
}

/// A missing prerequisite, with the instructions to install it.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) how: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (to install: {})", self.what, self.how)
    }
}

impl std::error::Error for Missing {}

impl Prerequisite {
    pub(crate) fn check(self) -> Result<(), Missing> {
        match self {
            Self::Node => node(),
            Self::Chromium => chromium().map(drop),
            Self::SilentNetwork => silent_network(),
            Self::CargoDeny => cargo_deny(),
            Self::Python27 => python27().map(drop),
            Self::Python3 => python3(),
            Self::CxxCompiler => cxx_compiler(),
            Self::Valgrind => valgrind(),
            Self::Faketime => faketime().map(drop),
            Self::Strace => strace(),
            Self::SmallDisk => small_disk(),
            Self::Sqlite => sqlite(),
            Self::Fiu => fiu(),
            Self::Postgres => postgres(),
        }
    }
}

const HOW_NODE: &str = "install Node 20.19 or newer, or 22.12 or newer, from https://nodejs.org or with a version \
                        manager; npm comes with it";

fn node() -> Result<(), Missing> {
    let missing = |what: String| Err(Missing { what, how: HOW_NODE });
    let Ok(version) = process::output(Command::new("node").arg("--version")) else {
        return missing("Node is missing".into());
    };
    if !is_new_enough(&version) {
        return missing(format!("Node {} is too old", version.trim()));
    }
    if process::output(Command::new("npm").arg("--version")).is_err() {
        return missing("npm is missing".into());
    }
    Ok(())
}

/// Whether Vite 8 supports the version: 20.19 and later of 20, 22.12 and later of 22, and all newer ones.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(22), Some(minor)) => minor >= 12,
        (Some(major), Some(_)) => major > 22_u32,
        _ => false,
    }
}

/// The browser in `CHROMIUM` if that is set, otherwise the first one in `PATH`.
pub(crate) fn chromium() -> Result<PathBuf, Missing> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from).filter(|path| path.is_file());
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    named.or_else(|| names.into_iter().find_map(process::find)).ok_or(Missing {
        what: "Chromium is missing".into(),
        how: "on Debian `apt-get install chromium fonts-noto-cjk`, or set CHROMIUM to where it is",
    })
}

/// Tries to create a namespace, because root may lack the capability in a container.
fn silent_network() -> Result<(), Missing> {
    let missing = |what: &str| Missing {
        what: what.into(),
        how: "on Debian `apt-get install iproute2 iptables`, and run as root outside a restricted container",
    };
    let ip = process::find("ip").ok_or_else(|| missing("the program `ip` is missing"))?;
    process::find("iptables").ok_or_else(|| missing("the program `iptables` is missing"))?;
    let name = format!("teahouse-probe-{}", os::id());
    process::output(Command::new(&ip).args(["netns", "add", &name]))
        .and_then(|_| process::output(Command::new(&ip).args(["netns", "delete", &name])))
        .map(drop)
        .map_err(|_| missing("network namespaces cannot be created"))
}

fn cargo_deny() -> Result<(), Missing> {
    process::output(process::cargo().args(["deny", "--version"])).map(drop).map_err(|_| Missing {
        what: "cargo-deny is missing".into(),
        how: "`cargo install --locked cargo-deny`, which takes a few minutes",
    })
}

/// The compiler in `CXX` if that is set, as in the build.
fn cxx_compiler() -> Result<(), Missing> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    process::output(Command::new(compiler).arg("--version")).map(drop).map_err(|_| Missing {
        what: "a C++ compiler is missing".into(),
        how: "on Debian `apt-get install g++`, or set CXX to one",
    })
}

fn valgrind() -> Result<(), Missing> {
    process::output(Command::new("valgrind").arg("--version")).map(drop).map_err(|_| Missing {
        what: "valgrind is missing".into(),
        how: "on Debian `apt-get install valgrind`",
    })
}

/// The library: where Debian installs it for each architecture, and where other systems do.
pub(crate) fn faketime() -> Result<PathBuf, Missing> {
    let machines = ["/usr/lib", "/usr/local/lib"].into_iter().flat_map(|lib| {
        let below = fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
        iter::once(PathBuf::from(lib)).chain(below)
    });
    let mut files = machines.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.is_file()).ok_or(Missing {
        what: "libfaketime is missing".into(),
        how: "on Debian `apt-get install libfaketime`",
    })
}

/// Tries to trace a process that is not a child: the kernel may permit tracing to parents only.
fn strace() -> Result<(), Missing> {
    let missing = |what: &str| Missing {
        what: what.into(),
        how: "on Debian `apt-get install strace`; as root, or with 0 in /proc/sys/kernel/yama/ptrace_scope",
    };
    let strace = process::find("strace").ok_or_else(|| missing("strace is missing"))?;
    let traced = Command::new("sleep").arg("60").spawn();
    let mut traced = traced.map_err(|_| missing("`sleep` is missing, so strace cannot be tested"))?;
    let mut strace = Command::new(strace);
    strace.args(["-o", "/dev/null", "-p", &traced.id().to_string()]);
    // strace ends together with the traced program.
    let tracing = strace.stderr(Stdio::piped()).spawn();
    let line = tracing.and_then(|mut tracing| {
        let mut line = String::new();
        if let Some(stderr) = tracing.stderr.take() {
            BufReader::new(stderr).read_line(&mut line)?;
        }
        let _ = traced.kill();
        tracing.wait().map(|_| line)
    });
    // Both calls fail only if the process has already exited.
    let _ = traced.kill();
    let _ = traced.wait();
    let attached = line.is_ok_and(|line| line.contains(" attached"));
    attached.then_some(()).ok_or_else(|| missing("other programs cannot be traced"))
}

/// Tries to mount, because root may lack the capability in a container.
fn small_disk() -> Result<(), Missing> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]);
    process::output(&mut unshare).map(drop).map_err(|_| Missing {
        what: "a disk cannot be mounted in a mount namespace".into(),
        how: "on Debian `apt-get install util-linux mount`, and run as root outside a restricted container",
    })
}

fn fiu() -> Result<(), Missing> {
    let is_there = Path::new("/usr/lib/fiu/fiu_posix_preload.so").is_file();
    is_there.then_some(()).ok_or_else(|| Missing {
        what: "libfiu is missing".into(),
        how: "on Debian `apt-get install fiu-utils`",
    })
}

fn postgres() -> Result<(), Missing> {
    let how = storage_postgres::testing::HOW_TO_INSTALL;
    storage_postgres::testing::find().map_err(|_| Missing { what: "PostgreSQL is missing".into(), how })
}

fn sqlite() -> Result<(), Missing> {
    process::output(Command::new("sqlite3").arg("--version")).map(drop).map_err(|_| Missing {
        what: "sqlite3 is missing".into(),
        how: "on Debian `apt-get install sqlite3`",
    })
}

/// Python 2.7 from pyenv, whose shims in `PATH` reject versions that are not selected, or from `PATH`.
pub(crate) fn python27() -> Result<PathBuf, Missing> {
    let pyenv_roots = [
        env::var_os("PYENV_ROOT").map(PathBuf::from),
        env::home_dir().map(|home| home.join(".pyenv")),
        process::output(Command::new("pyenv").arg("root")).ok().map(|root| root.trim().into()),
    ];
    let installed = pyenv_roots.into_iter().flatten().flat_map(|root| pythons_of(&root));
    let named = ["python2.7", "python2"].into_iter().filter_map(process::find);
    installed
        .chain(named)
        .find(|python| is_python27(python))
        .ok_or(Missing { what: "Python 2.7 is missing".into(), how: "with pyenv `pyenv install 2.7`" })
}

fn pythons_of(pyenv_root: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(pyenv_root.join("versions")).into_iter().flatten().flatten();
    let is_27 = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("2.7");
    versions.filter(is_27).map(|entry| entry.path().join("bin/python2.7")).collect()
}

fn python3() -> Result<(), Missing> {
    // On Debian `ensurepip` is a separate package, without which there is no virtual environment.
    match process::output(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(Missing { what: "Python 3 with venv is missing".into(), how: "`apt install python3-venv`" })
        }
    }
}

fn is_python27(python: &Path) -> bool {
    let script = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])";
    process::output(Command::new(python).args(["-c", script])).is_ok_and(|version| version == "2.7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_compared_with_the_supported_ones() {
        for enough in ["v20.19.0", "v20.20.2\n", "v22.12.0", "v23.0.0", "v24.1.3"] {
            assert!(is_new_enough(enough), "{enough}");
        }
        for too_old in ["v18.20.4", "v20.18.9", "v21.7.3", "v22.11.0", "v9.99.0", "", "v20", "no version"] {
            assert!(!is_new_enough(too_old), "{too_old}");
        }
    }

    #[test]
    fn message_names_what_is_missing_and_how_to_install_it() {
        let missing = Missing { what: "A program is missing".into(), how: "follow the manual" };
        assert_eq!(missing.to_string(), "A program is missing (to install: follow the manual)");
    }
}
