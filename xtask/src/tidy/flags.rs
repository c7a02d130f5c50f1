//! Only the binary names its flags: a library does not know how its caller is told what to do.

use super::source::{Source, Violation, is_word};
use std::collections::BTreeSet;

/// The folder of the source that declares the flags.
const BINARY: &str = "host/trialbox/src/";

/// The crates that do not name them.
const LIBRARIES: [&str; 7] = [
    "host/trialbox-core/src/",
    "host/trialbox-samplers/src/",
    "host/trialbox-report/src/",
    "host/trialbox-storage/src/",
    "host/trialbox-program/src/",
    "host/trialbox-registry/src/",
    "host/trialbox-runtime/src/",
];

/// Finds flags of the binary in strings and comments of the libraries.
pub(crate) fn in_libraries(sources: &[Source]) -> Vec<Violation> {
    let flags = of_binary(sources);
    let mut found = Vec::new();
    for source in sources.iter().filter_map(Source::without_tests) {
        if !LIBRARIES.iter().any(|library| source.path.starts_with(library)) {
            continue;
        }
        let texts = source.rust.strings.lines().zip(source.rust.comments.lines());
        for (line, (strings, comments)) in texts.enumerate() {
            for text in [strings, comments] {
                for flag in flags_in(text).filter(|flag| flags.contains(*flag)) {
                    let message = format!("expected no flag of the binary, found `--{flag}`");
                    found.push(source.violation(line, message));
                }
            }
        }
    }
    found
}

/// Returns the long names of the flags that the binary's source declares, without their dashes.
fn of_binary(sources: &[Source]) -> BTreeSet<String> {
    let binary = sources.iter().filter(|source| source.path.starts_with(BINARY));
    binary.filter_map(Source::without_tests).flat_map(|source| declared_in(&source)).collect()
}

/// Returns the flags that a file's `#[arg(…)]` declare.
fn declared_in(source: &Source) -> Vec<String> {
    let code = &source.rust.code;
    let mut flags = Vec::new();
    for (start, _) in code.match_indices("#[arg(") {
        let end = code[start..].find(")]").map_or(code.len(), |length| start + length);
        // Strings are spaces in the code, so that a bracket in a help text is not the end.
        let (attribute, text) = (&code[start..end], &source.text[start..end]);
        for name in ["long", "alias", "visible_alias"] {
            for (at, _) in attribute.match_indices(name) {
                let is_word = !attribute[..at].ends_with(is_word)
                    && !attribute[at + name.len()..].starts_with(is_word);
                if !is_word {
                    continue;
                }
                let value = text[at + name.len()..].trim_start().strip_prefix('=');
                match value.and_then(|value| value.trim_start().strip_prefix('"')) {
                    Some(value) => flags.extend(value.split('"').next().map(str::to_owned)),
                    None => flags.extend(field_after(&code[end..])),
                }
            }
        }
    }
    flags
}

/// Returns the flag that a field's name makes: the first identifier before a colon.
fn field_after(code: &str) -> Option<String> {
    let name = code[..code.find(':')?].trim_end();
    let name = name.rsplit(|character| !is_word(character)).next()?;
    Some(name.trim_start_matches("r#").replace('_', "-"))
}

/// Returns all that looks like a flag in a text, without the dashes.
fn flags_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("--").filter_map(move |(at, _)| {
        let is_inside = text[..at].ends_with(|before| is_word(before) || before == '-');
        let name = &text[at + 2..];
        let is_end = |character: char| !character.is_ascii_lowercase() && character != '-';
        let name = &name[..name.find(is_end).unwrap_or(name.len())];
        (!is_inside && name.starts_with(|first: char| first.is_ascii_lowercase())).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARATIONS: &str = "struct A {
        /// The most.
        #[arg(long, value_name = \"long)]\", help = \"x\")]
        pub(crate) max_memory: Option<u64>,
        #[arg(short = 'd', long = \"dir\", visible_alias = \"directory\")]
        folders: Vec<String>,
        #[arg(value_name = \"FILE\")]
        file: String,
    }";

    #[test]
    fn declared_flags_are_read() {
        let source = Source::new("host/trialbox/src/args.rs", DECLARATIONS);
        let flags: Vec<String> = of_binary(&[source]).into_iter().collect();
        assert_eq!(flags, ["dir", "directory", "max-memory"]);
    }

    #[test]
    fn a_flag_in_a_library_is_found_and_one_of_another_program_is_not() {
        let binary = Source::new("host/trialbox/src/args.rs", DECLARATIONS);
        let text = "/// As `--max-memory` says.\nconst A: &str = \"--dir\";\n\
            // --directory-x --maxi a--dir\n#[cfg(test)]\nmod tests { /* --dir */ }";
        let library = Source::new("host/trialbox-core/src/a.rs", text);
        let found = in_libraries(&[binary, library]);
        let lines: Vec<usize> = found.iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [1, 2], "{found:?}");
    }

    #[test]
    fn the_flags_of_the_tree_are_found() {
        let flags = of_binary(&super::super::source::read_all().expect("the tree"));
        for flag in ["storage", "study-name", "max-memory", "n-trials", "dir", "format", "seed"] {
            assert!(flags.contains(flag), "--{flag} is not among {flags:?}");
        }
        assert!(flags.len() > 50, "{flags:?}");
    }
}
