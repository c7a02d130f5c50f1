//! Walls inside of crates: names that must not be known in a room.

use super::paths;
use super::source::{Source, Violation, find_word};

/// A folder, and a name that its files do not have.
pub(crate) struct Wall {
    folder: &'static str,
    name: Name,
    reason: &'static str,
}

/// A name, and the places where it is refused.
enum Name {
    /// Anywhere, comments and strings included, and in longer words too.
    Text(&'static str),
    /// As a word of the code.
    Word(&'static str),
    /// As the start of a path that is used.
    Path(&'static str),
}

/// The walls between the host's process and the guest's.
pub(crate) const RUNTIME: &[Wall] = &[
    Wall {
        folder: "host/trialbox-runtime/src/host/",
        name: Name::Text("wasmtime"),
        reason: "guests run in another process",
    },
    Wall {
        folder: "host/trialbox-runtime/src/guest/",
        name: Name::Word("TrialSession"),
        reason: "the guest process knows no session",
    },
    Wall {
        folder: "host/trialbox-runtime/src/guest/",
        name: Name::Word("Storage"),
        reason: "the guest process knows no storage",
    },
];

/// The wall between the command line and the worker.
pub(crate) const WORKER: &[Wall] = &[
    Wall {
        folder: "host/trialbox/src/worker/",
        name: Name::Path("clap"),
        reason: "the worker is told a plan",
    },
    Wall {
        folder: "host/trialbox/src/worker/",
        name: Name::Path("crate::args"),
        reason: "the worker is told a plan",
    },
];

/// Finds names that the walls refuse.
pub(crate) fn names(walls: &[Wall], sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources.iter().filter_map(Source::without_tests) {
        for wall in walls.iter().filter(|wall| source.path.starts_with(wall.folder)) {
            found.extend(lines_with(&source, &wall.name).into_iter().map(|line| {
                let name = wall.name.text();
                source.violation(line, format!("expected no `{name}` here: {}", wall.reason))
            }));
        }
    }
    found
}

impl Name {
    fn text(&self) -> &'static str {
        match self {
            Name::Text(name) | Name::Word(name) | Name::Path(name) => name,
        }
    }
}

fn lines_with(source: &Source, name: &Name) -> Vec<usize> {
    match name {
        Name::Text(name) => lines_where(&source.text, |line| line.contains(name)),
        Name::Word(name) => lines_where(&source.rust.code, |line| find_word(line, name).is_some()),
        Name::Path(name) => {
            let used = paths::used_in(&source.rust.code);
            let inside = format!("{name}::");
            used.into_iter()
                .filter(|used| used.path == *name || used.path.starts_with(&inside))
                .map(|used| used.line)
                .collect()
        }
    }
}

fn lines_where(text: &str, is_refused: impl Fn(&str) -> bool) -> Vec<usize> {
    text.lines().enumerate().filter(|(_, line)| is_refused(line)).map(|(n, _)| n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sources: &[Source]) -> Vec<Violation> {
        [super::names(RUNTIME, sources), super::names(WORKER, sources)].concat()
    }

    #[test]
    fn every_wall_finds_its_name_and_only_in_its_folder() {
        for wall in RUNTIME.iter().chain(WORKER) {
            let name = wall.name.text();
            let text = format!("fn a() {{}}\nuse {name}::B;\n");
            let inside = format!("{}deep/a.rs", wall.folder);
            let found = names(&[Source::new(&inside, &text)]);
            assert_eq!(found.len(), 1, "{name} in {inside}: {found:?}");
            assert_eq!((found[0].line, &found[0].path), (2, &inside));
            assert!(names(&[Source::new("host/trialbox/src/a.rs", &text)]).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_wall_sees_groups_of_imports_and_paths_in_the_code() {
        let inside = "host/trialbox/src/worker/a.rs";
        for text in [
            "use crate::{\n    args::{B, C},\n    view,\n};",
            "fn a(b: &crate::args::B) {}",
            "#[derive(clap::Args)] struct A;",
        ] {
            assert!(!names(&[Source::new(inside, text)]).is_empty(), "{text}");
        }
        for text in ["use crate::argsy::B;", "// crate::args", "#[cfg(test)]\nuse crate::args;"] {
            assert!(names(&[Source::new(inside, text)]).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_word_is_not_a_part_of_a_longer_one() {
        let inside = "host/trialbox-runtime/src/guest/a.rs";
        assert!(names(&[Source::new(inside, "struct StorageLimits;")]).is_empty());
    }
}
