//! Rules about the repository that no compiler checks. Each kind of rule has its file, and each rule a test that a
//! violation is found.

mod circles;
mod connections;
mod crates;
mod file_calls;
mod flags;
mod licences;
mod pages;
mod paths;
mod printing;
mod source;
mod voice;
mod walls;

#[cfg(test)]
pub(crate) use crates::packages;

use anyhow::{Result, ensure};
use serde_json::Value;
use source::{Source, Violation};
use std::collections::BTreeMap;

/// The repository, as the rules see it.
struct Tree {
    sources: Vec<Source>,
    /// All packages of `cargo metadata`.
    packages: Vec<Value>,
}

/// A rule about the repository.
struct Rule {
    name: &'static str,
    /// Completes the sentence "This rule finds …".
    finds: &'static str,
    find: fn(&Tree) -> Vec<Violation>,
}

const RULES: [Rule; 17] = [
    Rule {
        name: "edges",
        finds: "dependencies between our crates that are not in the list",
        find: |tree| crates::edges(&tree.packages),
    },
    Rule {
        name: "licences",
        finds: "packages under a licence that `deny.toml` does not allow",
        find: |tree| licences::unacceptable(&tree.packages, &tree.sources),
    },
    Rule {
        name: "engine",
        finds: "another version of wasmtime than the one that is linked",
        find: |tree| crates::engine_version(&tree.packages, &tree.sources),
    },
    Rule {
        name: "walls",
        finds: "names that the host's or the guest's process does not know",
        find: |tree| walls::names(walls::RUNTIME, &tree.sources),
    },
    Rule {
        name: "worker",
        finds: "names of the command line where trials run",
        find: |tree| walls::names(walls::WORKER, &tree.sources),
    },
    Rule {
        name: "connections",
        finds: "connections to a database that are opened outside of their file",
        find: |tree| connections::elsewhere(&tree.sources),
    },
    Rule {
        name: "flags",
        finds: "flags of the binary in the text of a library",
        find: |tree| flags::in_libraries(&tree.sources),
    },
    Rule {
        name: "printing",
        finds: "printing outside of the output module",
        find: |tree| printing::elsewhere(&tree.sources),
    },
    Rule {
        name: "records",
        finds: "JSON without a type in the binary",
        find: |tree| printing::untyped(&tree.sources),
    },
    Rule {
        name: "file-calls",
        finds: "files that are touched past `trialbox-files`",
        find: |tree| file_calls::elsewhere(&tree.sources),
    },
    Rule {
        name: "words",
        finds: "words that no text of the repository has",
        find: |tree| voice::words(&tree.sources),
    },
    Rule {
        name: "openings",
        finds: "doc comments that open with a question word",
        find: |tree| voice::doc_openings(&tree.sources),
    },
    Rule {
        name: "lines",
        finds: "lines of Rust over 120 characters",
        find: |tree| voice::long_lines(&tree.sources),
    },
    Rule {
        name: "circles",
        finds: "files of a crate that import each other in a circle",
        find: |tree| circles::of_files(&tree.sources),
    },
    Rule {
        name: "links",
        finds: "links of pages that lead nowhere",
        find: |tree| pages::broken_links(&tree.sources),
    },
    Rule {
        name: "files",
        finds: "files that the map names and that do not exist",
        find: |tree| pages::unknown_files(&tree.sources),
    },
    Rule {
        name: "attributes",
        finds: "attributes that the page on the format does not list",
        find: |tree| pages::unlisted_attributes(&tree.sources),
    },
];

impl Tree {
    fn read() -> Result<Self> {
        Ok(Tree { sources: source::read_all()?, packages: crates::packages()? })
    }
}

/// Checks all rules.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read()?;
    let mut problems = Vec::new();
    for rule in &RULES {
        let found = (rule.find)(&tree);
        problems.extend(found.iter().map(|violation| format!("{}: {violation}", rule.name)));
    }
    ensure!(problems.is_empty(), "the tree is not tidy:\n  {}", problems.join("\n  "));
    println!("tidy: {} packages, {} files", tree.packages.len(), tree.sources.len());
    Ok(())
}

/// Prints how many violations of each rule each crate has, or the places of one rule.
pub(crate) fn report(only: Option<&str>) -> Result<()> {
    let tree = Tree::read()?;
    let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    if let Some(only) = only {
        ensure!(names.contains(&only), "expected one of {}, found `{only}`", names.join(", "));
    }
    for rule in RULES.iter().filter(|rule| only.is_none_or(|only| only == rule.name)) {
        let found = (rule.find)(&tree);
        println!("{}, {}: {}", rule.name, rule.finds, found.len());
        if only.is_some() {
            found.iter().for_each(|violation| println!("  {violation}"));
        }
        for (crate_name, n) in count_per_crate(&found, &tree.sources) {
            println!("  {n:>5}  {crate_name}");
        }
    }
    Ok(())
}

fn count_per_crate(found: &[Violation], sources: &[Source]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for violation in found {
        let source = sources.iter().find(|source| source.path == violation.path);
        let crate_name = source.map_or_else(|| ".".to_owned(), |source| source.crate_name(sources));
        *counts.entry(crate_name).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        run().expect("the tree is tidy");
    }

    #[test]
    fn every_rule_has_a_name_of_its_own() {
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }

    #[test]
    fn violations_are_counted_per_crate() {
        let sources = [Source::new("host/a/Cargo.toml", ""), Source::new("host/a/src/b.rs", "")];
        let found = [sources[1].violation(0, "x"), sources[1].violation(1, "y")];
        let counts = count_per_crate(&found, &sources);
        assert_eq!(counts, BTreeMap::from([("a".to_owned(), 2)]));
    }
}
