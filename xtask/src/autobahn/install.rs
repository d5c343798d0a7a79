//! Autobahn's test suite in a virtual environment of its own under the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The last one that makes environments for Python 2.7.
const VIRTUALENV: &str = "virtualenv==20.15.1";
const SUITE: &str = "autobahntestsuite==25.10.1";

/// The program `wstest`, installed below `home` unless it is there already.
pub(super) fn wstest(python: &Path, home: &Path) -> Result<PathBuf> {
    let environment = home.join("venv");
    let wstest = environment.join("bin/wstest");
    // Written last, so that an installation that broke off is begun anew.
    let stamp = environment.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == SUITE) {
        return Ok(wstest);
    }
    println!("installing {SUITE} into {}", environment.display());
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    if environment.exists() {
        fs::remove_dir_all(&environment)?;
    }
    // Not into the Python itself, which is not ours.
    let tools = home.join("virtualenv");
    process::run(
        isolated(python)
            .args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"])
            .arg(&tools)
            .arg(VIRTUALENV),
    )?;
    process::run(
        isolated(python).env("PYTHONPATH", &tools).args(["-m", "virtualenv", "--quiet"]).arg(&environment),
    )?;
    let pip = ["-m", "pip", "install", "--quiet", SUITE];
    process::run(isolated(&environment.join("bin/python")).args(pip))?;
    fs::write(&stamp, SUITE)?;
    Ok(wstest)
}

/// Without what another Python's environment has set, which would show it that one's packages.
fn isolated(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME").env_remove("VIRTUAL_ENV");
    command
}
