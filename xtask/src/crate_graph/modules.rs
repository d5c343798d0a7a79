//! The modules of a crate and the uses between them. A cycle is an error.
//!
//! There is a graph for the root of the crate, and one for each folder of modules: its nodes are the modules that the root of the
//! folder declares, and everything in the folder of a node belongs to it. A graph is built from the text of the sources, without
//! comments, strings and tests, from each path that starts with `crate::` and the folder, or with enough `super::` to reach
//! it. A name that the root re-exports counts for the module that defines it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::purity;

/// The path of a file below `src`, without its extension, and its code.
type Source = (Vec<String>, String);

/// The modules of one folder, each with those that it uses.
#[derive(Debug, Default)]
pub(super) struct ModuleGraph {
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl ModuleGraph {
    /// Reads the sources in `folder`, whose root is `lib.rs` or `main.rs`, and makes the graph of each folder of modules.
    pub(super) fn read(folder: &Path) -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        for file in purity::sources_of(folder)? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            // `folder` is where the files were found.
            let path = file.strip_prefix(folder).unwrap_or(&file).with_extension("");
            let path: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            sources.push((path, purity::code_of(&text)));
        }
        Ok(Self::of_each_folder(&sources))
    }

    fn of_each_folder(sources: &[Source]) -> Vec<Self> {
        let folders: BTreeSet<&[String]> = sources.iter().map(|(path, _)| &path[..path.len() - 1]).collect();
        let compiled = folders.into_iter().filter(|folder| is_compiled(sources, folder));
        compiled.map(|folder| Self::of(sources, folder)).collect()
    }

    /// The graph of the modules in `folder`; empty if no file declares them.
    fn of(sources: &[Source], folder: &[String]) -> Self {
        let root = sources.iter().find(|(path, _)| is_root_of(folder, path));
        let Some((_, root)) = root else { return Self::default() };
        let mut graph = Self::default();
        for name in declared(root) {
            graph.uses.insert(name.to_owned(), BTreeSet::new());
        }
        let from_crate = ["crate"].into_iter().chain(folder.iter().map(String::as_str));
        let from_crate: String = from_crate.map(|part| format!("{part}::")).collect();
        let exports = graph.exports(root);
        for (path, code) in sources {
            let Some(path) = path.strip_prefix(folder) else { continue };
            let Some(module) = path.first().filter(|module| graph.uses.contains_key(*module)) else {
                continue;
            };
            let depth = path.iter().filter(|part| *part != "mod").count();
            let mut used = BTreeSet::new();
            for prefix in [from_crate.clone(), "super::".repeat(depth)] {
                for (at, _) in code.match_indices(&prefix) {
                    let is_longer = code[..at].ends_with("super::") || code[..at].ends_with(is_of_name);
                    if !is_longer {
                        used.extend(first_names(&code[at + prefix.len()..]));
                    }
                }
            }
            let used = used.iter().filter_map(|name| graph.owner(name, &exports)).filter(|it| *it != module);
            let used: BTreeSet<String> = used.cloned().collect();
            if let Some(uses) = graph.uses.get_mut(module) {
                uses.extend(used);
            }
        }
        graph
    }

    /// The module to which a name at the root belongs.
    fn owner<'g>(&'g self, name: &str, exports: &'g BTreeMap<String, String>) -> Option<&'g String> {
        self.uses.get_key_value(name).map(|(module, _)| module).or_else(|| exports.get(name))
    }

    /// The names that the root re-exports from its modules, each with its module.
    fn exports(&self, root: &str) -> BTreeMap<String, String> {
        let mut exports = BTreeMap::new();
        for (at, _) in root.match_indices("use ") {
            let path = &root[at + "use ".len()..];
            let path = path.split(';').next().unwrap_or_default();
            let path = path.strip_prefix("crate::").unwrap_or(path);
            let Some((module, names)) = path.split_once("::") else { continue };
            if self.uses.contains_key(module) {
                let names = names.split(|c| !is_of_name(c)).filter(|name| !name.is_empty());
                exports.extend(names.map(|name| (name.to_owned(), module.to_owned())));
            }
        }
        exports
    }

    /// The first cycle, as the modules on it; the last one uses the first.
    pub(super) fn cycle(&self) -> Option<Vec<&str>> {
        self.uses.keys().find_map(|start| self.way_back(start))
    }

    /// The shortest path from `start` back to it.
    fn way_back<'g>(&'g self, start: &'g str) -> Option<Vec<&'g str>> {
        let mut seen = BTreeSet::new();
        let mut ways = std::collections::VecDeque::from([vec![start]]);
        while let Some(way) = ways.pop_front() {
            // A path starts with `start`, so it is not empty.
            let end = *way.last().unwrap();
            for next in self.uses.get(end).into_iter().flatten() {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next) {
                    ways.push_back([way.as_slice(), &[next.as_str()]].concat());
                }
            }
        }
        None
    }
}

/// Whether each part of `folder` is declared outside of tests.
fn is_compiled(sources: &[Source], folder: &[String]) -> bool {
    (0..folder.len()).all(|depth| {
        let (parent, name) = (&folder[..depth], &folder[depth]);
        let root = sources.iter().find(|(path, _)| is_root_of(parent, path));
        root.is_some_and(|(_, root)| declared(root).any(|declared| declared == name))
    })
}

/// Whether the file at `path` declares the modules of `folder`: `lib.rs` or `main.rs`, `folder/mod.rs` or `folder.rs`.
fn is_root_of(folder: &[String], path: &[String]) -> bool {
    if folder.is_empty() {
        return matches!(path, [name] if name == "lib" || name == "main");
    }
    path == folder || matches!(path.strip_prefix(folder), Some([name]) if name == "mod")
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The modules that the root declares in files of their own.
fn declared(root: &str) -> impl Iterator<Item = &str> {
    let after = root.match_indices("mod ").filter(|(at, _)| !root[..*at].ends_with(is_of_name));
    after.filter_map(|(at, mark)| {
        let rest = &root[at + mark.len()..];
        let end = rest.find(|c| !is_of_name(c))?;
        rest[end..].starts_with(';').then(|| &rest[..end])
    })
}

/// The name that a path continues with, or the first name of each path of a group in braces.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        return vec![rest[..end].to_owned()];
    };
    let mut names = Vec::new();
    let (mut depth, mut name) = (1_usize, Some(String::new()));
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                names.extend(name.replace(String::new()));
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        match &mut name {
            Some(partial) if is_of_name(c) => partial.push(c),
            Some(partial) if !partial.is_empty() => names.extend(name.take()),
            _ => {}
        }
    }
    names.extend(name);
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(sources: &[(&str, &str)]) -> Vec<Source> {
        let split = |path: &str| path.split('/').map(str::to_owned).collect();
        sources.iter().map(|(path, code)| (split(path), purity::code_of(code))).collect()
    }

    fn graph(list: &[(&str, &str)]) -> ModuleGraph {
        ModuleGraph::of(&sources(list), &[])
    }

    #[test]
    fn cycle_within_a_folder_is_found() {
        for root in ["a/mod", "a"] {
            let graphs = ModuleGraph::of_each_folder(&sources(&[
                ("lib", "mod a;"),
                (root, "mod b; mod c;"),
                ("a/b", "use super::c::X;"),
                ("a/c", "use crate::a::b;"),
            ]));
            let cycles: Vec<_> = graphs.iter().filter_map(ModuleGraph::cycle).collect();
            assert_eq!(cycles, [["b", "c"]], "{root}");
        }
    }

    #[test]
    fn cycle_between_modules_is_found() {
        let root = ("lib", "mod a;\nmod b;\nmod c;\n");
        let found =
            graph(&[root, ("a", "use crate::b::X;"), ("b/mod", "use super::c;"), ("c", "crate::a::f()")]);
        assert_eq!(found.cycle(), Some(vec!["a", "b", "c"]));
    }

    #[test]
    fn modules_in_layers_have_no_cycle() {
        let root = ("lib", "mod a;\nmod b;\nmod c;\n");
        let layers = graph(&[root, ("a", "use crate::{b::X, c};"), ("b", "use crate::c::Y;"), ("c", "")]);
        assert_eq!(layers.cycle(), None);
        assert_eq!(layers.uses["a"], ["b", "c"].map(str::to_owned).into());
    }

    #[test]
    fn re_exported_name_counts_for_its_module() {
        let root = ("lib", "mod a;\nmod b;\npub use a::{One, Two};\npub use b::Three;\n");
        let found = graph(&[root, ("a", "use crate::Three;"), ("b", "use crate::{One};")]);
        assert_eq!(found.cycle(), Some(vec!["a", "b"]));
    }

    #[test]
    fn tests_comments_and_own_submodules_do_not_count() {
        let root = ("lib", "mod a;\nmod b;\n#[cfg(test)]\nmod sim;\n");
        let files = sources(&[
            root,
            ("a/mod", "use crate::b; mod c;"),
            ("a/c", "use super::d; use super::super::b;"),
            ("b", "// crate::a\n#[cfg(test)]\nmod tests { use crate::a; }"),
            ("sim/mod", "use crate::a; mod b; mod c;"),
            ("sim/b", "use super::c;"),
            ("sim/c", "use super::b;"),
        ]);
        assert!(ModuleGraph::of_each_folder(&files).iter().all(|graph| graph.cycle().is_none()));
        assert!(!ModuleGraph::of(&files, &[]).uses.contains_key("sim"));
    }
}
