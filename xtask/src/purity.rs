//! Scans the sources of the pure crates for uses of the standard library that have side effects.
//!
//! The scan works on text, so it finds mistakes, not intent. It ignores comments, strings and code that is only compiled for
//! tests. clippy's `disallowed-methods` does not replace it: that list has no entry for a whole module such as `std::fs`, and
//! its configuration also applies to the tests of a crate, which may read clocks and files.

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The forbidden modules of `std`, each with the reason.
const MODULES: &[(&str, &str)] = &[
    ("env", "reads the environment"),
    ("fs", "touches files"),
    ("net", "opens sockets (a bare address is in `core::net`)"),
    ("process", "starts or ends processes"),
    ("thread", "starts threads"),
];

/// The forbidden calls under any path, each with the reason.
const CALLS: &[(&str, &str)] = &[
    ("Instant::now", CLOCK),
    ("SystemTime::now", CLOCK),
    ("OffsetDateTime::now_utc", CLOCK),
    ("OffsetDateTime::now_local", CLOCK),
    ("UtcDateTime::now", CLOCK),
    (".elapsed()", CLOCK),
    ("RandomState::new", "draws randomness; take it as an argument"),
];

const CLOCK: &str = "reads the clock; take `now` as an argument";

/// A forbidden use.
#[derive(Debug)]
pub(crate) struct Impurity {
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Every source file below `folder` that is not only for tests (`tests.rs`, or a folder `tests`).
pub(crate) fn sources_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(sources_of(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The code of a source without comments, strings and tests; the lines keep their numbers.
pub(crate) fn code_of(source: &str) -> String {
    without_tests(&without_comments_and_strings(source))
}

pub(crate) fn impurities(source: &str) -> Vec<Impurity> {
    let code = code_of(source);
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for (call, why) in CALLS {
        let places = code.match_indices(call).filter(|(at, _)| !continues_name(&code[at + call.len()..]));
        found.extend(places.map(|(at, _)| Impurity { line: line_of(at), what: format!("`{call}` {why}") }));
    }
    for (at, std) in code.match_indices("std::") {
        let rest = &code[at + std.len()..];
        for (module, why) in MODULES {
            if names_of(rest).any(|name| name == *module) {
                found.push(Impurity { line: line_of(at), what: format!("`std::{module}` {why}") });
            }
        }
    }
    found.sort_by_key(|impurity| impurity.line);
    found
}

/// The names after `std::`: one, or those of a group in braces.
fn names_of(rest: &str) -> impl Iterator<Item = &str> {
    let end = match rest.strip_prefix('{') {
        Some(_) => rest.find(';').unwrap_or(rest.len()),
        None => rest.find(|c| !is_name_char(c)).unwrap_or(rest.len()),
    };
    rest[..end].split(|c| !is_name_char(c))
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn continues_name(rest: &str) -> bool {
    rest.starts_with(is_name_char)
}

/// Replaces comments, strings and characters by spaces; line breaks are kept.
fn without_comments_and_strings(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let non_code = non_code_length(rest, code.chars().next_back());
        let taken = if non_code == 0 { first.len_utf8() } else { non_code };
        let (here, later) = rest.split_at(taken);
        if non_code == 0 {
            code.push(first);
        } else {
            code.extend(here.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = later;
    }
    code
}

/// The number of bytes at the start of `rest` that are not code. `before` distinguishes `r"` from the end of a name.
fn non_code_length(rest: &str, before: Option<char>) -> usize {
    let to = |end: Option<usize>, length: usize| end.map_or(rest.len(), |end| end + length);
    if rest.starts_with("//") {
        return to(rest.find('\n'), 0);
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('r') && !before.is_some_and(|c| is_name_char(c) && c != 'b') {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = 2 + hashes;
            return to(rest[open..].find(&close).map(|at| at + open), close.len());
        }
    }
    // A quote that is closed after one character or one escape is a character; otherwise it starts a lifetime.
    if let Some(inner) = rest.strip_prefix('\'') {
        let one = inner.chars().next().map_or(0, char::len_utf8);
        if inner.starts_with('\\') || inner[one..].starts_with('\'') {
            return quoted(rest, '\'');
        }
    }
    0
}

/// The length of a block comment; block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let step = match &rest[at..] {
            here if here.starts_with("/*") => {
                depth += 1;
                2
            }
            here if here.starts_with("*/") => {
                depth -= 1;
                2
            }
            here => here.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Removes items under `#[cfg(test)]`; line breaks are kept. The input must have no comments or strings, so that every brace
/// counts.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    if code.contains("#![cfg(test)]") {
        return String::new();
    }
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        let item = at + MARK.len();
        let end = item + item_length(&rest[item..]);
        kept.extend(iter::repeat_n('\n', rest[at..end].matches('\n').count()));
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// The length of an item: up to its semicolon, or to the brace that closes its first one.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<usize> {
        impurities(source).into_iter().map(|impurity| impurity.line).collect()
    }

    #[test]
    fn clock_is_found_on_its_line() {
        assert_eq!(lines("use std::time::Instant;\n\nfn f() {\n    Instant::now();\n}\n"), [4]);
        assert_eq!(lines("let t = std::time::SystemTime::now();"), [1]);
        assert_eq!(lines("if started.elapsed() > limit {}"), [1]);
    }

    #[test]
    fn time_types_are_allowed() {
        assert!(lines("use std::time::{Duration, Instant};\nfn f(now: Instant) {}").is_empty());
        assert!(lines("let next = Instant::nowhere();").is_empty());
    }

    #[test]
    fn modules_are_found_alone_and_in_groups() {
        assert_eq!(lines("use std::fs::File;"), [1]);
        assert_eq!(lines("use std::{\n    collections::HashMap,\n    thread,\n};"), [1]);
        assert_eq!(lines("::std::thread::spawn(f);"), [1]);
        assert!(lines("use std::{fmt, io};\nuse crate::net;").is_empty());
        assert!(lines("use core::net::IpAddr;\nuse std::envelope::Stamp;").is_empty());
    }

    #[test]
    fn comments_and_strings_are_ignored() {
        assert!(lines("// Instant::now()\n/* std::fs /* nested */ std::net */").is_empty());
        assert!(
            lines(r####"let s = ("std::fs \" std::net", r#"a " Instant::now "#, b'"', '\'');"####).is_empty()
        );
        assert_eq!(lines("let s = \"//\"; Instant::now();"), [1]);
        assert_eq!(lines("fn f<'a>(x: &'a str) -> char { Instant::now(); '\"' }"), [1]);
    }

    #[test]
    fn test_modules_are_ignored_and_later_code_is_not() {
        let source = "#[cfg(test)]\nmod tests {\n    fn f() { std::fs::read(\"}\"); }\n}\nfn g() { Instant::now(); }\n";
        assert_eq!(lines(source), [5]);
        assert_eq!(lines("#[cfg(test)]\nuse std::fs;\nuse std::net;"), [3]);
        assert!(lines("#![cfg(test)]\nuse std::fs;").is_empty());
    }

    #[test]
    fn test_files_and_folders_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["lib.rs", "tests.rs", "deep/er.rs", "deep/tests/x.rs", "notes.txt"] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let found = sources_of(folder.path()).unwrap();
        let found: Vec<_> = found.iter().map(|file| file.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(found, [Path::new("deep/er.rs"), Path::new("lib.rs")]);
    }
}
