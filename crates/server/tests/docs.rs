//! Compares the documents with the program: settings, files, functions, frames.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    // The crate is two folders below the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every setting and its default in TOML, from the output of `teahouse config`.
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
fn each_setting_is_documented_in_both_languages() {
    let settings = settings();
    assert!(settings.len() > 20, "{settings:?}");
    for name in ["docs/CONFIGURATION.md", "docs/CONFIGURATION.zh.md"] {
        let text = document(name);
        // Only rows of settings have a key and a default.
        let rows: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"))
            .filter_map(|(key, rest)| Some((key.to_owned(), rest.split_once("` |")?.0.to_owned())))
            .collect();
        assert_eq!(rows, settings, "{name}");
    }
}

/// Every document in prose.
fn documents() -> Vec<String> {
    let mut names: Vec<String> = ["README.md", "README.zh.md", "CONTRIBUTING.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "docs/adr"] {
        let files = fs::read_dir(root().join(folder)).unwrap();
        let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.extend(files.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    names.sort();
    names
}

/// The texts between backticks and the targets of links.
fn mentions(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    text.split('`').skip(1).step_by(2).chain(links)
}

#[test]
fn files_named_in_documents_exist() {
    let root = root();
    let documents = documents();
    let mut found = 0;
    for name in documents {
        let text = document(&name);
        let folder = root.join(&name).parent().unwrap().to_owned();
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
        let paths = mentions(&text).map(|path| path.split('#').next().unwrap_or_default());
        for path in paths.filter(in_tree) {
            assert!(root.join(path).exists() || folder.join(path).exists(), "{name}: {path}");
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

/// In docs/ARCHITECTURE.md: every function of the call path exists in a file that the section names, the one in bold in a file
/// of its own bullet, and the number of files is right.
#[test]
fn path_of_a_message_names_existing_functions() {
    let text = document("docs/ARCHITECTURE.md");
    let section = text.split("## The path of one message").nth(1).unwrap();
    let (path, count) = section.split_once("These are ").unwrap();
    let is_source = |mention: &&str| mention.starts_with("crates/") && mention.ends_with(".rs");
    let files: BTreeMap<&str, String> =
        mentions(path).filter(is_source).map(|file| (file, document(file))).collect();
    assert!(count.starts_with(&format!("{} files", files.len())), "{} files", files.len());
    let defines = |source: &str, function: &str| {
        let name = function.rsplit("::").next().unwrap_or_default();
        source.contains(&format!("fn {name}(")) || source.contains(&format!("fn {name}<"))
    };

    let calls = path.split("The calls in short:").nth(1).unwrap().split("\n\n").next().unwrap();
    let calls: Vec<&str> = calls.split('`').skip(1).step_by(2).collect();
    assert!(calls.len() > 20, "{calls:?}");
    for function in calls {
        assert!(files.values().any(|source| defines(source, function)), "{function}");
    }

    let mut bold = 0;
    for bullet in path.split("\n- ").skip(1) {
        let of_bullet: Vec<&String> = mentions(bullet).filter_map(|file| files.get(file)).collect();
        for function in bullet.split("**`").skip(1).filter_map(|rest| Some(rest.split_once("`**")?.0)) {
            bold += 1;
            assert!(of_bullet.iter().any(|source| defines(source, function)), "{function}: {bullet}");
        }
    }
    assert_eq!(bold, 9, "one function per step");
}

/// Whether a frame of the document is the golden one. The document may truncate texts and lists.
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
fn each_frame_in_protocol_document_is_golden() {
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
