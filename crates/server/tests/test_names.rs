//! Checks that the documents name only tests that exist, and that the names of tests are within their limit.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Long enough for subject, condition and result; short enough for a line of a test report.
const MAX_TEST_NAME: usize = 60;

/// Folders without sources or documents of our own.
const SKIPPED: [&str; 5] = ["target", "node_modules", "corpus", "dist", "coverage"];

fn root() -> PathBuf {
    // The crate is two folders below the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files_below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                files_below(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

/// The paths and contents of all files with this extension.
fn files(extension: &str) -> Vec<(String, String)> {
    let root = root();
    let mut paths = Vec::new();
    files_below(&root, extension, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.strip_prefix(&root).unwrap().display().to_string(), text)
    };
    paths.into_iter().map(read).collect()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_snake_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The name of the function that this line declares.
fn declared(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let is_declaration = before.split_whitespace().all(|word| {
        ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern"].contains(&word)
    });
    let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
    (is_declaration && !name.is_empty()).then_some(name)
}

/// The functions with a test attribute.
fn tests_of(source: &str) -> Vec<&str> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = declared(line) {
            if is_test {
                tests.push(name);
            }
            is_test = false;
        }
    }
    tests
}

/// A document: a Markdown file, or the doc comments of a source file.
fn documents() -> Vec<(String, String)> {
    let mut documents = files("md");
    for (path, source) in files("rs") {
        let comments = source.lines().map(|line| {
            let line = line.trim_start();
            line.strip_prefix("//!").or_else(|| line.strip_prefix("///")).unwrap_or_default()
        });
        documents.push((path, comments.collect::<Vec<_>>().join("\n")));
    }
    documents
}

/// The text between backticks, outside of code blocks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

/// The last part of a path such as `shard::tests::name`.
fn last_segment(span: &str) -> &str {
    span.rsplit("::").next().unwrap_or(span)
}

/// The test names in parentheses after each **Invariant:** or **Assumption:**, up to the end of its paragraph or list item.
fn tests_named_by_invariants(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for mark in ["**Invariant:**", "**Assumption:**"] {
        for claim in text.split(mark).skip(1) {
            let ends = ["\n\n", "\n- ", "\n* ", "\n #", "**Invariant:**", "**Assumption:**"];
            let end = ends.iter().filter_map(|end| claim.find(end)).min().unwrap_or(claim.len());
            for parenthesis in claim[..end].split('(').skip(1) {
                let inside = parenthesis.split(')').next().unwrap_or_default();
                let spans = inside.split('`').skip(1).step_by(2).map(last_segment);
                names.extend(spans.filter(|span| is_snake_case(span) && span.matches('_').count() >= 2));
            }
        }
    }
    names
}

/// Every word of the sources outside of comments. Macros generate some tests from names, so a name need not follow `fn`.
fn words_of_code(sources: &[(String, String)]) -> BTreeSet<&str> {
    let code = sources.iter().flat_map(|(_, source)| source.lines());
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c| !is_word(c))).collect()
}

#[test]
fn tests_named_in_documents_exist() {
    let sources = files("rs");
    let functions: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, source)| source.lines().map(str::trim_start).filter_map(declared))
        .collect();
    let other: Vec<_> = ["ts", "tsx", "sql", "toml"].into_iter().flat_map(files).collect();
    let mut words = words_of_code(&sources);
    words.extend(words_of_code(&other));
    let mut missing = Vec::new();
    let mut checked = 0;
    for (path, text) in documents() {
        for name in tests_named_by_invariants(&text) {
            checked += 1;
            if !functions.contains(name) {
                missing.push(format!("{path}: `{name}` is named as a test of an invariant"));
            }
        }
        // Shorter names are fields, settings and the like. Metrics have suffixes that no source contains.
        let is_long = |name: &&str| {
            is_snake_case(name) && name.matches('_').count() >= 3 && !name.starts_with("teahouse_")
        };
        for name in code_spans(&text).map(last_segment).filter(is_long) {
            checked += 1;
            if !words.contains(name) {
                missing.push(format!("{path}: `{name}`"));
            }
        }
    }
    assert!(checked > 10, "only {checked} names were found");
    assert!(missing.is_empty(), "no source has these names:\n{}", missing.join("\n"));
}

#[test]
fn test_names_have_at_most_60_characters() {
    let mut count = 0;
    let mut long = Vec::new();
    for (path, source) in files("rs") {
        for name in tests_of(&source) {
            count += 1;
            if name.len() > MAX_TEST_NAME {
                long.push(format!("{path}: {name} ({})", name.len()));
            }
        }
    }
    assert!(count > 500, "only {count} tests were found");
    assert!(long.is_empty(), "{} names are too long:\n{}", long.len(), long.join("\n"));
}
