//! What the documents say about the program is so: settings, frames, files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    // The crate lies two folders below the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every setting and its default as TOML writes it, as the program tells them.
fn settings() -> BTreeMap<String, String> {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_teahouse"))
        .arg("config")
        .current_dir(home.path())
        .env_clear()
        .output()
        .unwrap();
    let printed: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let mut settings = BTreeMap::new();
    for (key, value) in printed {
        match value {
            toml::Value::Table(section) => {
                settings
                    .extend(section.into_iter().map(|(name, it)| (format!("{key}.{name}"), it.to_string())));
            }
            value => {
                settings.insert(key, value.to_string());
            }
        }
    }
    settings
}

#[test]
fn every_setting_is_documented_in_both_languages_with_its_default() {
    let settings = settings();
    assert!(settings.len() > 20, "{settings:?}");
    for name in ["docs/CONFIGURATION.md", "docs/CONFIGURATION.zh.md"] {
        let text = document(name);
        // Rows of settings alone have a key and a default.
        let rows: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"))
            .filter_map(|(key, rest)| Some((key.to_owned(), rest.split_once("` |")?.0.to_owned())))
            .collect();
        assert_eq!(rows, settings, "{name}");
    }
}

/// The texts between backticks, and the targets of links.
fn mentions(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    text.split('`').skip(1).step_by(2).chain(links)
}

#[test]
fn files_that_are_named_are_there() {
    let root = root();
    let documents = [
        "README.md",
        "README.zh.md",
        "CONTRIBUTING.md",
        "docs/ARCHITECTURE.md",
        "docs/CONFIGURATION.md",
        "docs/CONFIGURATION.zh.md",
        "docs/PROTOCOL.md",
    ];
    let mut found = 0;
    for name in documents {
        let text = document(name);
        let folder = root.join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{name}: {link}");
                found += 1;
            }
        }
        let in_tree = |path: &&str| {
            let top = path.split('/').next().unwrap_or_default();
            ["crates", "docs", "web", "xtask"].contains(&top) && path.contains('/') && !path.contains(' ')
        };
        for path in mentions(&text).filter(in_tree) {
            assert!(root.join(path).exists() || folder.join(path).exists(), "{name}: {path}");
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

/// Whether a frame of the document is the golden one. The document may end texts and lists early.
fn shows(shown: &Value, golden: &Value) -> bool {
    match (shown, golden) {
        (Value::Object(shown), Value::Object(golden)) => {
            let same = |(key, value)| golden.get(key).is_some_and(|golden| shows(value, golden));
            shown.len() == golden.len() && shown.iter().all(same)
        }
        (Value::String(shown), Value::String(golden)) => golden.starts_with(shown.trim_end_matches('…')),
        (Value::Array(shown), Value::Array(golden)) => golden.starts_with(shown),
        _ => shown == golden,
    }
}

#[test]
fn every_frame_that_the_protocol_shows_is_golden() {
    let golden: Vec<Value> = ["client", "server"]
        .iter()
        .flat_map(|name| {
            let text = document(&format!("crates/protocol/golden/{name}.json"));
            serde_json::from_str::<Vec<Value>>(&text).unwrap()
        })
        .collect();
    let protocol = document("docs/PROTOCOL.md");
    let mut seen = 0;
    for block in protocol.split("```json\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            let shown: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(
                golden.iter().any(|golden| shows(&shown, golden)),
                "not in crates/protocol/golden: {line}"
            );
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}
