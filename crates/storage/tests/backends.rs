//! Backends contain no rule. A rule that rejects a request needs an error code, so no backend may name one.

use std::fs;
use std::path::{Path, PathBuf};

/// The sources of the backends. The model of the rules is not a backend.
const FOLDERS: &[&str] = &["src/memory", "../storage-sqlite/src", "../storage-postgres/src"];
const MODEL: &str = "src/memory/model.rs";

#[test]
fn backends_name_no_error_code() {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        assert!(!code.contains("ErrorCode"), "{} names an error code", file.display());
    }
}

/// Collects every source file that is not only for tests.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.file_stem().is_some_and(|stem| stem == "tests") || path.ends_with(MODEL) {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
