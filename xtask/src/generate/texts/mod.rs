//! The user-visible texts: reads and checks `texts/*.toml`, and writes the dictionaries of the page and of the server.

mod catalog;
mod page;
mod pattern;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use protocol::operations::{OPERATIONS, Row, Slash};

pub(crate) use catalog::Catalog;

/// The groups whose texts are looked up by a key from a row, an event or an error code, and whether the texts have parameters.
const KEYED: &[(&str, bool)] = &[
    ("error", false),
    ("event", true),
    ("room_attribute", true),
    ("slash", false),
    ("slash_argument", false),
    ("slash_missing", false),
];

/// The texts that both the page and plain text use.
pub(crate) fn shared(root: &Path) -> Result<Catalog> {
    let texts = read(root, "shared")?;
    check_keys(&texts)?;
    Ok(texts)
}

fn read(root: &Path, name: &str) -> Result<Catalog> {
    let path = format!("texts/{name}.toml");
    let text = fs::read_to_string(root.join(&path)).with_context(|| format!("{path} cannot be read"))?;
    Catalog::parse(&text).context(path)
}

/// The generated files, with their contents: the dictionaries of the page and of the server.
pub(crate) fn files(root: &Path, shared: &Catalog) -> Result<Vec<(String, String)>> {
    let page = shared.extended(read(root, "page")?)?;
    let server = shared.replaced_by(read(root, "plain_text")?)?;
    Ok(vec![
        ("web/src/i18n/generated.ts".to_owned(), page::module(&page)),
        ("crates/gateway/src/i18n/generated.rs".to_owned(), server::module(&server, root)?),
    ])
}

/// Checks that each error code, event, slash command and room attribute has its texts, and that there are no others.
fn check_keys(shared: &Catalog) -> Result<()> {
    let codes = protocol::ErrorCode::ALL.iter().map(|code| (code.as_str().to_owned(), Vec::new()));
    check_group(shared, "error", codes.collect())?;
    check_group(shared, "event", event_fields())?;
    let attributes = super::room_attributes(&protocol::openapi::document())
        .into_iter()
        .map(|name| (name, vec!["value".to_owned()]));
    check_group(shared, "room_attribute", attributes.collect())?;
    let words = |is_listed: fn(&Row, Slash) -> bool| {
        let words = OPERATIONS.iter().filter_map(|definition| Some((definition.row, definition.row.slash?)));
        words
            .filter(move |(row, slash)| is_listed(row, *slash))
            .map(|(_, slash)| (slash.word.to_owned(), Vec::new()))
    };
    check_group(shared, "slash", words(|_, _| true).chain([("help".to_owned(), Vec::new())]).collect())?;
    check_group(shared, "slash_argument", words(|_, slash| slash.argument.is_some()).collect())?;
    let needs_argument =
        |row: &Row, slash: Slash| slash.argument.is_some() && !super::may_be_empty(row, slash);
    check_group(shared, "slash_missing", words(needs_argument).collect())
}

/// The fields of each event that is displayed as a text. A message is displayed as its body.
fn event_fields() -> BTreeMap<String, Vec<String>> {
    let document = protocol::openapi::document();
    let kinds = document["components"]["schemas"]["Event"]["oneOf"].as_array().cloned().unwrap_or_default();
    let fields = kinds.iter().map(|kind| {
        let name = kind["properties"]["type"]["const"].as_str().unwrap_or_default().to_owned();
        let fields = kind["properties"].as_object().into_iter().flat_map(|map| map.keys().cloned());
        (name, fields.chain(["name".to_owned()]).collect())
    });
    fields.filter(|(name, _)| name != "message").collect()
}

/// Checks that a group has exactly these keys, and that the parameters of each text are among the permitted ones.
fn check_group(texts: &Catalog, group: &str, expected: BTreeMap<String, Vec<String>>) -> Result<()> {
    let found = texts.group(group);
    if let Some(missing) = expected.keys().find(|key| !found.contains_key(*key)) {
        bail!("texts/shared.toml lacks {group}.{missing}");
    }
    for (key, text) in found {
        let Some(fields) = expected.get(key) else { bail!("{group}.{key} is not used") };
        if let Some(unknown) = text.parameters().iter().find(|name| !fields.contains(name)) {
            bail!("{group}.{key} has a parameter {{{unknown}}} that does not exist");
        }
    }
    Ok(())
}
