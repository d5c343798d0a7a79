//! `cargo xtask crate-graph`: crates depend only on those that the tables below allow, pure crates stay pure, and the modules of a crate
//! do not use each other in a cycle ([`modules`]).
//!
//! The tables are those of docs/ARCHITECTURE.md. A new crate must first be added here. Development dependencies and xtask are
//! not restricted.

mod modules;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use anyhow::{Context, Result, bail};

use self::modules::ModuleGraph;
use crate::purity;
use crate::workspace::{Metadata, Workspace};

/// Each crate, and the crates of the workspace that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("teahouse-protocol", &[]),
    ("teahouse-websocket", &[]),
    ("teahouse-room-log", &["teahouse-protocol"]),
    ("teahouse-domain", &["teahouse-protocol"]),
    ("teahouse-storage", &["teahouse-protocol", "teahouse-domain"]),
    ("teahouse-storage-postgres", &["teahouse-protocol", "teahouse-domain", "teahouse-storage"]),
    ("teahouse-storage-sqlite", &["teahouse-protocol", "teahouse-domain", "teahouse-storage"]),
    ("teahouse-bus", &[]),
    ("teahouse-history", &["teahouse-protocol"]),
    ("teahouse-client", &["teahouse-protocol", "teahouse-websocket"]),
    ("teahouse-loadgen", &["teahouse-protocol", "teahouse-websocket", "teahouse-history", "teahouse-client"]),
    (
        "teahouse-gateway",
        &[
            "teahouse-protocol",
            "teahouse-websocket",
            "teahouse-room-log",
            "teahouse-domain",
            "teahouse-storage",
            "teahouse-bus",
        ],
    ),
    ("teahouse-api", &["teahouse-protocol", "teahouse-websocket", "teahouse-domain", "teahouse-gateway"]),
    (
        "teahouse",
        &[
            "teahouse-protocol",
            "teahouse-domain",
            "teahouse-storage",
            "teahouse-storage-postgres",
            "teahouse-storage-sqlite",
            "teahouse-gateway",
            "teahouse-api",
        ],
    ),
];

/// The crates that the simulation runs under its own clock and network.
const PURE: &[&str] =
    &["teahouse-protocol", "teahouse-websocket", "teahouse-room-log", "teahouse-domain", "teahouse-history"];

/// The packages that give a crate a runtime, a socket, a database, a clock or randomness, directly or indirectly.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "coarsetime",
    "deadpool",
    "fastrand",
    "futures-timer",
    "getrandom",
    "governor",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "log",
    "mio",
    "polling",
    "quanta",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tokio-postgres",
    "tracing",
    "tracing-subscriber",
    "web-time",
];

/// Not restricted: nothing depends on it, and it is not part of a released program.
const UNRESTRICTED: &str = "xtask";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let metadata = workspace.metadata()?;
    let graph = Graph::of(&metadata);
    let mut wrong = graph.forbidden_edges();
    wrong.extend(graph.impure_reach());
    wrong.extend(impure_sources(&metadata)?);
    wrong.extend(module_cycles(&metadata)?);
    if !wrong.is_empty() {
        bail!("forbidden dependencies:\n  {}", wrong.join("\n  "));
    }
    println!("{} crates keep their edges, {} of them pure", graph.members.len(), PURE.len());
    Ok(())
}

/// The normal dependencies between packages, by Cargo's ids, because two versions of one crate may be in the graph.
struct Graph {
    members: Vec<String>,
    packages: BTreeMap<String, Package>,
}

struct Package {
    name: String,
    deps: Vec<String>,
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let of_compiler: BTreeSet<_> = metadata
            .packages
            .iter()
            .filter(|package| package.is_proc_macro())
            .map(|package| package.id.as_str())
            .collect();
        let names: BTreeMap<_, _> = metadata.packages.iter().map(|it| (it.id.as_str(), &it.name)).collect();
        let packages = metadata.resolve.nodes.iter().map(|node| {
            let deps = node.deps.iter().filter(|dep| dep.is_normal());
            let deps = deps.map(|dep| &dep.pkg).filter(|id| !of_compiler.contains(id.as_str())).cloned();
            (node.id.clone(), Package { name: names[node.id.as_str()].clone(), deps: deps.collect() })
        });
        Self { members: metadata.workspace_members.clone(), packages: packages.collect() }
    }

    fn name(&self, id: &str) -> &str {
        &self.packages[id].name
    }

    fn forbidden_edges(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for member in self.members.iter().filter(|member| self.name(member) != UNRESTRICTED) {
            let name = self.name(member);
            let Some((_, may)) = ALLOWED.iter().find(|(member, _)| *member == name) else {
                wrong.push(format!(
                    "{name} is in no table: add its allowed dependencies to xtask/src/crate_graph.rs"
                ));
                continue;
            };
            let known = self.packages[member].deps.iter().filter(|id| self.members.contains(id));
            let known = known.map(|id| self.name(id)).filter(|dep| !may.contains(dep));
            wrong.extend(known.map(|dep| format!("{name} may not depend on {dep}")));
        }
        wrong
    }

    fn impure_reach(&self) -> Vec<String> {
        let pure = self.members.iter().filter(|member| PURE.contains(&self.name(member)));
        pure.flat_map(|member| self.impure_from(member)).collect()
    }

    /// One line for each impure package that `start` reaches, with the shortest path to it.
    fn impure_from(&self, start: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::from([start]);
        let mut ways = VecDeque::from([vec![start]]);
        while let Some(way) = ways.pop_front() {
            // A path starts with `start`, so it is not empty.
            let end = *way.last().unwrap();
            if IMPURE.contains(&self.name(end)) {
                let way: Vec<_> = way.iter().map(|id| self.name(id)).collect();
                wrong.push(format!("{} must stay pure: {}", self.name(start), way.join(" → ")));
                continue;
            }
            for dep in &self.packages[end].deps {
                if seen.insert(dep) {
                    ways.push_back([way.as_slice(), &[dep]].concat());
                }
            }
        }
        wrong
    }
}

/// One line for each impure use of the standard library, whose clocks and sockets are not visible as dependencies.
fn impure_sources(metadata: &Metadata) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in metadata.packages.iter().filter(|package| PURE.contains(&package.name.as_str())) {
        for file in purity::sources_of(&package.folder().join("src"))? {
            let source =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let found = purity::impurities(&source);
            wrong.extend(found.iter().map(|it| format!("{}:{}: {}", file.display(), it.line, it.what)));
        }
    }
    Ok(wrong)
}

/// One line for each crate whose modules use each other in a cycle.
fn module_cycles(metadata: &Metadata) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let members = metadata.packages.iter().filter(|it| metadata.workspace_members.contains(&it.id));
    for package in members {
        let graphs = ModuleGraph::read(&package.folder().join("src"))?;
        for cycle in graphs.iter().filter_map(ModuleGraph::cycle) {
            wrong.push(format!("modules of {} use each other: {} → …", package.name, cycle.join(" → ")));
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph in which the ids are the names, and everything named `teahouse…` or `xtask` is a member.
    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let mut graph = Graph { members: Vec::new(), packages: BTreeMap::new() };
        let names = edges.iter().flat_map(|(name, deps)| [name].into_iter().chain(*deps));
        for name in names.collect::<BTreeSet<_>>() {
            let deps = edges.iter().filter(|(who, _)| who == name).flat_map(|(_, deps)| deps.iter());
            let deps = deps.map(|dep| dep.to_string()).collect();
            graph.packages.insert(name.to_string(), Package { name: name.to_string(), deps });
            if name.starts_with("teahouse") || *name == UNRESTRICTED {
                graph.members.push(name.to_string());
            }
        }
        graph
    }

    #[test]
    fn this_workspace_keeps_its_edges() {
        run(&Workspace::find().unwrap()).unwrap();
    }

    #[test]
    fn every_edge_of_the_table_is_allowed() {
        assert!(graph(ALLOWED).forbidden_edges().is_empty());
    }

    /// Compares the table between the markers (crate, contents, dependencies) with [`ALLOWED`].
    #[test]
    fn architecture_document_lists_allowed_edges() {
        let path = Workspace::find().unwrap().root.join("docs/ARCHITECTURE.md");
        let text = fs::read_to_string(path).unwrap();
        let table = text.split_once("<!-- crates: begin -->").unwrap().1;
        let table = table.split_once("<!-- crates: end -->").unwrap().0;
        let package = |name: &str| match name {
            "server" => "teahouse".to_owned(),
            name => format!("teahouse-{name}"),
        };
        let packages = |cell: &str| cell.split('`').skip(1).step_by(2).map(package).collect::<BTreeSet<_>>();
        let documented: BTreeMap<_, _> = table
            .lines()
            .filter_map(|line| {
                let cells: Vec<_> = line.split('|').collect();
                Some((packages(cells.get(1)?).pop_first()?, packages(cells.get(3)?)))
            })
            .collect();
        let checked: BTreeMap<_, _> = ALLOWED
            .iter()
            .map(|(name, deps)| ((*name).to_owned(), deps.iter().map(|dep| (*dep).to_owned()).collect()))
            .collect();
        assert_eq!(documented, checked);
    }

    #[test]
    fn edge_that_is_not_in_the_table_is_forbidden() {
        let wrong = graph(&[("teahouse-storage", &["teahouse-bus", "teahouse-domain"])]).forbidden_edges();
        assert_eq!(wrong, ["teahouse-storage may not depend on teahouse-bus"]);
        let wrong = graph(&[("teahouse-protocol", &["teahouse"])]).forbidden_edges();
        assert_eq!(wrong, ["teahouse-protocol may not depend on teahouse"]);
    }

    #[test]
    fn crate_that_is_in_no_table_is_rejected() {
        let wrong = graph(&[("teahouse-attic", &[])]).forbidden_edges();
        assert!(wrong.len() == 1 && wrong[0].starts_with("teahouse-attic is in no table"), "{wrong:?}");
    }

    #[test]
    fn xtask_may_depend_on_every_crate() {
        assert!(graph(&[("xtask", &["teahouse", "teahouse-protocol"])]).forbidden_edges().is_empty());
    }

    #[test]
    fn pure_crate_may_not_reach_a_runtime_through_another() {
        let wrong = graph(&[("teahouse-room-log", &["ring"]), ("ring", &["tokio"])]).impure_reach();
        assert_eq!(wrong, ["teahouse-room-log must stay pure: teahouse-room-log → ring → tokio"]);
    }

    #[test]
    fn impure_crate_may_reach_a_runtime() {
        assert!(graph(&[("teahouse", &["tokio"]), ("tokio", &["mio"])]).impure_reach().is_empty());
    }

    #[test]
    fn dependency_cycle_ends_the_search() {
        let looped = graph(&[("teahouse-room-log", &["a"]), ("a", &["b"]), ("b", &["a", "rusqlite"])]);
        assert_eq!(
            looped.impure_reach(),
            ["teahouse-room-log must stay pure: teahouse-room-log → a → b → rusqlite"]
        );
    }

    #[test]
    fn tests_and_build_scripts_and_macros_are_free() {
        let node = |kind: &str, pkg: &str| format!(r#"{{"pkg":"{pkg}","dep_kinds":[{{"kind":{kind}}}]}}"#);
        let package = |id: &str, kind: &str| {
            format!(
                r#"{{"id":"{id}","name":"{id}","manifest_path":"/x/Cargo.toml",
                "targets":[{{"kind":["{kind}"]}}]}}"#
            )
        };
        let text = format!(
            r#"{{"workspace_members":["teahouse-room-log"],"packages":[{},{},{},{}],
            "resolve":{{"nodes":[{{"id":"teahouse-room-log","deps":[{},{},{}]}}]}}}}"#,
            package("teahouse-room-log", "lib"),
            package("tokio", "lib"),
            package("mio", "lib"),
            package("rand", "proc-macro"),
            node(r#""dev""#, "tokio"),
            node(r#""build""#, "mio"),
            node("null", "rand"),
        );
        let free: Metadata = serde_json::from_str(&text).unwrap();
        assert!(Graph::of(&free).packages["teahouse-room-log"].deps.is_empty());

        let normal: Metadata = serde_json::from_str(&text.replace(r#""dev""#, "null")).unwrap();
        assert_eq!(Graph::of(&normal).packages["teahouse-room-log"].deps, ["tokio"]);
    }
}
