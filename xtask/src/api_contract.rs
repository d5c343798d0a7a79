//! `cargo xtask api-contract`: requests that schemathesis generates from the served OpenAPI document. The server must not fail
//! on any, and each answer must have a status, a media type and a body that the document lists.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::server::Server;
use crate::workspace::Workspace;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// Bounds the run to about half a minute.
const EXAMPLES: &str = "20";
/// Rooms that exist and rooms that do not: random text seldom is the name of one.
const SETTINGS: &str =
    "[parameters]\n\"path.room\" = [\"lobby\", \"r1\", \"LOBBY\", \"r99\", \"nowhere\", \"a b\"]\n";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.build_programs())?;
    let home = workspace.target.join("api-contract");
    let program = install(&home)?;
    let settings = home.join("schemathesis.toml");
    fs::write(&settings, SETTINGS)?;
    let mut server = Server::start(&workspace.binary("debug", "teahouse"))?;
    let member = member_of_the_lobby(server.address)?;
    let mut command = Command::new(program);
    command.current_dir(&home).arg("--config-file").arg(&settings).arg("run");
    command.arg(format!("http://{}/api/v1/openapi.json", server.address));
    command.args(["--header", &format!("Authorization: Bearer {member}")]);
    // These two would end the session or the membership that all other requests use.
    command.args(["--exclude-operation-id", "delete_session", "--exclude-operation-id", "leave"]);
    command.args([
        "--checks",
        CHECKS,
        "--max-examples",
        EXAMPLES,
        "--workers",
        "1",
        "--no-color",
        "--seed",
        "1",
    ]);
    let checked = process::run(&mut command);
    server.check_alive()?;
    checked?;
    ensure!(!server.log().contains("panicked"), "the server panicked:\n{}", server.log());
    Ok(())
}

/// Returns the program, installed into a virtual environment in the target folder if it is not there.
fn install(home: &Path) -> Result<PathBuf> {
    let environment = home.join("venv");
    let program = environment.join("bin/schemathesis");
    // Written last, so that an interrupted installation is repeated.
    let stamp = environment.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == SCHEMATHESIS) {
        return Ok(program);
    }
    println!("installing {SCHEMATHESIS} into {}", environment.display());
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let pip = ["-m", "pip", "install", "--quiet", SCHEMATHESIS];
    process::run(Command::new(environment.join("bin/python")).args(pip))?;
    fs::write(&stamp, SCHEMATHESIS)?;
    Ok(program)
}

/// Creates a guest who is a member of the lobby. Returns the token.
fn member_of_the_lobby(address: SocketAddr) -> Result<String> {
    let (_, token) = client::new_session(address, None)?;
    let bearer = format!("Bearer {token}");
    let path = "/api/v1/rooms/lobby/join";
    let joined = client::http(address, "POST", path, &[("Authorization", &bearer)], b"{}")?;
    ensure!(joined.status == 200, "the lobby could not be joined: {}", joined.text());
    Ok(token)
}
