//! Installs Autobahn's test suite into a virtual environment in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The last version that creates environments for Python 2.7.
const VIRTUALENV: &str = "virtualenv==20.15.1";
const SUITE: &str = "autobahntestsuite==25.10.1";

/// Returns the program `wstest`, and installs it below `home` if necessary.
pub(super) fn wstest(python: &Path, home: &Path) -> Result<PathBuf> {
    let environment = home.join("venv");
    let wstest = environment.join("bin/wstest");
    // Written last, so that an interrupted installation is repeated.
    let stamp = environment.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == SUITE) {
        return Ok(wstest);
    }
    println!("installing {SUITE} into {}", environment.display());
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    if environment.exists() {
        fs::remove_dir_all(&environment)?;
    }
    // Kept apart from the system's Python packages.
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

/// A command without the environment variables of another Python environment, whose packages would be visible.
fn isolated(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME").env_remove("VIRTUAL_ENV");
    command
}
