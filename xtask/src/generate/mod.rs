//! `cargo xtask generate`: writes the files that are derived from the table of operations and from the texts. They are
//! committed, so that readers see them and reviews show their changes. With `--check` it writes nothing, and fails if a file
//! is stale.

mod fields;
mod markdown;
mod tables;
mod texts;
mod typescript;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use protocol::operations::{Row, Slash};
use protocol::{Command, Limits};
use serde_json::{Map, Value};

use crate::workspace::Workspace;

#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a file is stale.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut stale = Vec::new();
    for (path, text) in files(&workspace.root)? {
        let full = workspace.root.join(&path);
        if fs::read_to_string(&full).is_ok_and(|found| found == text) {
            continue;
        }
        if !args.check {
            fs::write(&full, text).with_context(|| format!("{path} cannot be written"))?;
            println!("wrote {path}");
        }
        stale.push(path);
    }
    if !args.check {
        write_settings(workspace)?;
    }
    match (args.check, stale.is_empty()) {
        (true, false) => bail!("stale: {}; run `cargo xtask generate`", stale.join(", ")),
        (_, true) => println!("nothing is stale"),
        (false, false) => {}
    }
    Ok(())
}

/// Writes the tables of settings and `teahouse.example.toml`. The settings are private to the server, so one of its tests
/// writes them; in an ordinary run the same test fails if a file is stale.
fn write_settings(workspace: &Workspace) -> Result<()> {
    let test = "config::tests::generated_setting_documents_are_current";
    let status = workspace
        .cargo()
        .args(["test", "--quiet", "--package", "teahouse", "--lib", "--", "--exact", test])
        .env("TEAHOUSE_UPDATE_DOCUMENTS", "1")
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the documents of the settings were not written");
    }
    Ok(())
}

/// Fails if a file is stale; writes nothing.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    run(workspace, &Args { check: true })
}

/// Whether the argument of a slash command may be empty, according to its operation.
fn may_be_empty(row: &Row, slash: Slash) -> bool {
    let Some(argument) = slash.argument else { return false };
    let mut fields = Map::from_iter([("room".to_owned(), Value::from("lobby"))]);
    fields.insert(argument.to_owned(), Value::from(""));
    Command::from_parameters(row.name, fields, Limits::BODY_BYTES).is_ok()
}

/// The attributes of a room that events change: the fields that both an event and a room have.
fn room_attributes(document: &Value) -> BTreeSet<String> {
    let schemas = &document["components"]["schemas"];
    let room = &schemas["RoomSummary"]["properties"];
    let kinds = schemas["Event"]["oneOf"].as_array().into_iter().flatten();
    let fields = kinds.filter_map(|kind| kind["properties"].as_object()).flat_map(|fields| fields.keys());
    fields.filter(|field| room.get(field.as_str()).is_some()).cloned().collect()
}

fn files(root: &Path) -> Result<Vec<(String, String)>> {
    let mut files = vec![("docs/openapi.json".to_owned(), protocol::openapi::text())];
    let document = protocol::openapi::document();
    files.push(("web/src/protocol/generated.ts".to_owned(), typescript::module(&document)?));
    files.push(("crates/protocol/golden/client.json".to_owned(), protocol::golden::client()));
    files.push(("crates/protocol/golden/server.json".to_owned(), protocol::golden::server()));
    files.push(("web/src/protocol/examples.ts".to_owned(), typescript::examples()));
    let path = "crates/protocol/golden/released.txt";
    let released = fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))?;
    files.push((path.to_owned(), protocol::released_codes(&released).map_err(anyhow::Error::msg)?));
    let texts = texts::shared(root)?;
    files.extend(texts::files(root, &texts)?);
    for path in ["docs/PROTOCOL.md", "docs/PERMISSIONS.md"] {
        let text = fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))?;
        files.push((path.to_owned(), tables::fill(&text, &texts).with_context(|| path.to_owned())?));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_that_event_and_room_share_is_an_attribute() {
        let properties =
            |names: &[&str]| Value::from_iter(names.iter().map(|name| ((*name).to_owned(), Value::Null)));
        let kind = serde_json::json!({"properties": properties(&["type", "note", "by"])});
        let room = serde_json::json!({"properties": properties(&["room", "note"])});
        let schemas = serde_json::json!({"Event": {"oneOf": [kind]}, "RoomSummary": room});
        let attributes = room_attributes(&serde_json::json!({"components": {"schemas": schemas}}));
        assert_eq!(attributes, BTreeSet::from(["note".to_owned()]));
    }
}
