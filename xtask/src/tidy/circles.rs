//! Files of a crate that need each other in a circle cannot be read one after the other.
//!
//! A file may use what the modules around it have, as Rust lets it see all of that: `a/b.rs` and `a/mod.rs` are one
//! room, and no circle by themselves.

use super::paths;
use super::source::{Source, Violation};
use std::collections::{BTreeMap, BTreeSet};

/// The edges between files: from a path to the paths that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Finds circles of files, in each crate. A file that only passes names on needs none of them.
pub(crate) fn of_files(sources: &[Source]) -> Vec<Violation> {
    let mut crates: BTreeMap<&str, Vec<Source>> = BTreeMap::new();
    for source in sources {
        if let Some((folder, _)) = source.path.split_once("/src/")
            && let Some(source) = source.without_tests()
        {
            crates.entry(folder).or_default().push(source);
        }
    }
    let mut found = Vec::new();
    for (folder, files) in &crates {
        for circle in circles(&imports(folder, files)) {
            let below = format!("{folder}/src/");
            let names: Vec<&str> =
                circle.iter().map(|path| path.strip_prefix(&below).unwrap_or(path)).collect();
            let message = format!("files import each other in a circle: {}", names.join(", "));
            found.push(Violation { path: circle[0].clone(), line: 0, message });
        }
    }
    found
}

/// Returns which files of a crate import which.
fn imports(folder: &str, files: &[Source]) -> Imports {
    let modules: BTreeMap<String, &str> =
        files.iter().map(|file| (module_of(folder, &file.path), file.path.as_str())).collect();
    let mut imports = Imports::new();
    for file in files {
        let here = module_of(folder, &file.path);
        let edges = imports.entry(file.path.clone()).or_default();
        for used in paths::used_in(&file.rust.code) {
            if used.is_reexport {
                continue;
            }
            if let Some(path) = absolute(&here, &used.path)
                && let Some(target) = file_of(&modules, &path)
                && !is_around(&module_of(folder, target), &here)
            {
                edges.insert(target.to_owned());
            }
        }
    }
    imports
}

/// Returns whether a module is another one, or around it; the crate's top is around all.
fn is_around(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Returns a file's module as `crate::a::b`.
fn module_of(folder: &str, path: &str) -> String {
    let below = path.strip_prefix(&format!("{folder}/src/")).unwrap_or(path);
    let module = below.strip_suffix(".rs").unwrap_or(below);
    let module = module.strip_suffix("/mod").unwrap_or(module);
    match module {
        "lib" | "main" => "crate".to_owned(),
        module => format!("crate::{}", module.replace('/', "::")),
    }
}

/// Returns a used path from the crate's top on, if it stays in the crate.
fn absolute(here: &str, used: &str) -> Option<String> {
    if used == "crate" || used.starts_with("crate::") {
        return Some(used.to_owned());
    }
    let (mut base, mut rest) = (here, used);
    if let Some(inside) = used.strip_prefix("self::") {
        return Some(format!("{here}::{inside}"));
    }
    if !used.starts_with("super") {
        // A child is named by its first word: `child::f()`.
        return Some(format!("{here}::{used}"));
    }
    while let Some(after) = rest.strip_prefix("super") {
        base = base.rsplit_once("::")?.0;
        rest = after.strip_prefix("::").unwrap_or(after);
    }
    Some(if rest.is_empty() { base.to_owned() } else { format!("{base}::{rest}") })
}

/// Returns the file of the longest module that a path starts with.
fn file_of<'a>(modules: &BTreeMap<String, &'a str>, path: &str) -> Option<&'a str> {
    let mut module = path;
    loop {
        if let Some(file) = modules.get(module) {
            return Some(file);
        }
        module = module.rsplit_once("::")?.0;
    }
}

/// Returns the groups of files of which each reaches all others.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reach(imports, file))).collect();
    let mut grouped = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, beyond) in &reached {
        if !beyond.contains(file) || grouped.contains(file) {
            continue;
        }
        let circle: Vec<&String> =
            beyond.iter().copied().filter(|other| reached[other].contains(file)).collect();
        grouped.extend(circle.iter().copied());
        circles.push(circle.into_iter().cloned().collect());
    }
    circles
}

/// Returns all files that can be reached from one, itself only if by a circle.
fn reach<'a>(imports: &'a Imports, from: &String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(file) = todo.pop() {
        for next in imports.get(file).into_iter().flatten() {
            if reached.insert(next) {
                todo.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(&format!("x/src/{path}"), text)).collect();
        of_files(&sources).into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        let circle = ["files import each other in a circle: a.rs, b/c.rs"];
        for (a, c) in [
            ("use crate::b::c::C;", "use crate::a::A;"),
            ("use crate::{b::c::{C, D}, e};", "fn f() -> super::super::a::A {}"),
            ("fn f(c: crate::b::c::C) {}", "use crate::a::{self};"),
        ] {
            assert_eq!(found(&[("a.rs", a), ("b/mod.rs", "mod c;"), ("b/c.rs", c)]), circle);
        }
        let three =
            [("a.rs", "use crate::b;"), ("b.rs", "use crate::d;"), ("d.rs", "use crate::a;")];
        assert_eq!(found(&three), ["files import each other in a circle: a.rs, b.rs, d.rs"]);
    }

    #[test]
    fn a_child_may_use_what_is_around_it_but_not_its_uncle_that_uses_it() {
        let parent = ("a/mod.rs", "mod b;\nfn f() { b::g() }");
        assert!(found(&[parent, ("a/b.rs", "use super::F;")]).is_empty());
        let uncle = [parent, ("a/b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::b::g;")];
        assert_eq!(found(&uncle), ["files import each other in a circle: a/b.rs, c.rs"]);
    }

    #[test]
    fn tests_and_names_that_are_passed_on_make_no_circle() {
        for a in ["#[cfg(test)]\nuse crate::b::B;", "pub use crate::b::B;", "// crate::b::B"] {
            assert!(found(&[("a.rs", a), ("b.rs", "use crate::a::A;")]).is_empty(), "{a}");
        }
        let other_crate = [("a.rs", "use b::B;"), ("b.rs", "use crate::a::A;")];
        assert!(found(&other_crate).is_empty());
    }
}
