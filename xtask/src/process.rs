//! Running other programs, so that a reader of the output sees which, and whether they succeeded.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The Cargo that started us, so that a toolchain chosen with `cargo +…` stays chosen.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` with its output on ours, after printing it as one would type it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs `command` silently for what it writes to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}: {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote something that is no text"))
}

/// The first `name` among the folders of `PATH`, and among those where Debian keeps root's programs, which are
/// not in everybody's `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let roots = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(roots).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The command as one would type it: the program by its name, without the folder it was found in.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().map_or_else(|| program.into(), OsString::from);
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_program_is_an_error_that_names_it() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn absent_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn output_of_a_failing_program_carries_what_it_complained_of() {
        let error =
            output(Command::new("sh").args(["-c", "echo too hot >&2; exit 1"])).unwrap_err().to_string();
        assert!(error.contains("too hot"), "{error}");
    }
}
