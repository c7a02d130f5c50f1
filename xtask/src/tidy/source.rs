//! The tracked text files, and a Rust file split into its code, its strings and its comments.

use crate::shell::root;
use anyhow::{Context as _, Result, ensure};
use std::ops::Range;
use std::process::Command;

/// A tracked text file of the repository.
pub(crate) struct Source {
    /// The path below the repository's top folder, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The parts of a Rust file; empty for other files.
    pub(crate) rust: Rust,
}

/// A Rust file's parts. Each is as long as the file, line by line, with spaces in place of the other parts.
#[derive(Default)]
pub(crate) struct Rust {
    /// Everything but strings, characters and comments.
    pub(crate) code: String,
    /// The contents of string literals.
    pub(crate) strings: String,
    /// Comments and doc comments.
    pub(crate) comments: String,
}

/// A place that a rule refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) path: String,
    /// The line, from 1 on; 0 for the file as a whole.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

impl Source {
    /// Makes a file of a path and its text.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let rust = if path.ends_with(".rs") { Rust::split(text) } else { Rust::default() };
        Source { path: path.to_owned(), text: text.to_owned(), rust }
    }

    /// Returns whether the file is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Returns whether the whole file is tests or belongs to them.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// Returns the same file without its tests, or nothing if it is a test itself.
    pub(crate) fn without_tests(&self) -> Option<Source> {
        if !self.is_rust() || self.is_test() {
            return None;
        }
        let mut rust = Rust {
            code: self.rust.code.clone(),
            strings: self.rust.strings.clone(),
            comments: self.rust.comments.clone(),
        };
        let mut text = self.text.clone();
        for tests in test_items(&self.rust.code) {
            for part in [&mut text, &mut rust.code, &mut rust.strings, &mut rust.comments] {
                blank(part, tests.clone());
            }
        }
        Some(Source { path: self.path.clone(), text, rust })
    }

    /// Returns the name of the folder with the nearest `Cargo.toml`, or of the top folder.
    pub(crate) fn crate_name(&self, sources: &[Source]) -> String {
        let mut folder = self.path.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if sources.iter().any(|source| source.path == format!("{parent}/Cargo.toml")) {
                return parent.rsplit('/').next().unwrap_or(parent).to_owned();
            }
            folder = parent;
        }
        match self.path.split_once('/') {
            Some((top, _)) => top.to_owned(),
            None => ".".to_owned(),
        }
    }

    /// Makes a violation at a line, counted from 0.
    pub(crate) fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line: line + 1, message: message.into() }
    }
}

/// Reads all tracked files that are text, and new ones that git does not ignore.
pub(crate) fn read_all() -> Result<Vec<Source>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .args(["*.rs", "*.md", "*.wit", "*.toml", "*.sh", ".ci/run"])
        .current_dir(root())
        .output()
        .context("failed to start `git ls-files`")?;
    ensure!(
        output.status.success(),
        "`git ls-files` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let paths = String::from_utf8(output.stdout).context("git named a path that is not UTF-8")?;
    let mut sources = Vec::new();
    for path in paths.lines() {
        // A file that was removed stays in git's index until the removal is staged.
        if let Ok(text) = std::fs::read_to_string(root().join(path)) {
            sources.push(Source::new(path, &text));
        }
    }
    ensure!(!sources.is_empty(), "git lists no file in {}", root().display());
    Ok(sources)
}

/// Returns whether a character can stand in an identifier.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns where a word stands in a text, not as a part of a longer one.
pub(crate) fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_whole = |&(at, _): &(usize, &str)| {
        !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word)
    };
    text.match_indices(word).find(is_whole).map(|(at, _)| at)
}

/// The parts that [`Rust::split`] tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Str,
    Comment,
}

impl Rust {
    /// Splits a file into its parts.
    pub(crate) fn split(text: &str) -> Self {
        let mut parts = vec![Part::Code; text.len()];
        let mut at = 0;
        while at < text.len() {
            let (part, length) = next_token(text, at);
            parts[at..at + length].fill(part);
            at += length;
        }
        let only = |wanted: Part| {
            let kept = text.char_indices().map(|(at, character)| {
                if character == '\n' || parts[at] == wanted { character } else { ' ' }
            });
            // A space for each byte, so that a place is the same in all parts.
            kept.zip(text.chars())
                .map(|(kept, original)| match kept {
                    ' ' => " ".repeat(original.len_utf8()),
                    kept => kept.to_string(),
                })
                .collect()
        };
        Rust { code: only(Part::Code), strings: only(Part::Str), comments: only(Part::Comment) }
    }
}

/// Returns what stands at a place, and how many bytes it takes.
fn next_token(text: &str, at: usize) -> (Part, usize) {
    let rest = &text[at..];
    if rest.starts_with("//") {
        return (Part::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Part::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Part::Str, quoted(rest, '"'));
    }
    if let Some(length) = raw_string(rest)
        && !text[..at].ends_with(is_word)
    {
        return (Part::Str, length);
    }
    if rest.starts_with('\'')
        && let Some(length) = character(rest)
    {
        return (Part::Str, length);
    }
    (Part::Code, rest.chars().next().map_or(1, char::len_utf8))
}

/// Returns the length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns the length of a literal between two quotes, with its escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// Returns the length of a raw string such as `r#"…"#`, if there is one.
fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = body.find(&end).unwrap_or(body.len().saturating_sub(end.len()));
    Some(rest.len() - body.len() + inside + end.len())
}

/// Returns the length of a character literal; a lifetime is not one.
fn character(rest: &str) -> Option<usize> {
    let mut characters = rest[1..].chars();
    let first = characters.next()?;
    if first == '\\' {
        Some(quoted(rest, '\''))
    } else {
        (characters.next()? == '\'').then_some(2 + first.len_utf8())
    }
}

/// Returns where a file's code has items with `#[cfg(test)]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(test)]") {
        if items.last().is_some_and(|last| last.contains(&start)) {
            continue;
        }
        items.push(start..end_of_item(code, start));
    }
    items
}

/// Returns where the item that starts at a place ends: at its closing brace, or at a semicolon before any brace.
fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code[start..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return start + at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Replaces a range of a text by spaces, line by line.
fn blank(text: &mut String, range: Range<usize>) {
    let blanked: String = text[range.clone()]
        .chars()
        .map(|character| match character {
            '\n' => "\n".to_owned(),
            character => " ".repeat(character.len_utf8()),
        })
        .collect();
    text.replace_range(range, &blanked);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_file_is_split_into_code_strings_and_comments() {
        let text = "let a = 'x'; // note é\nf(\"s \\\" t\", r#\"raw \" \"#); /* b /* c */ d */ &'static str";
        let rust = Rust::split(text);
        assert_eq!([&rust.code, &rust.strings, &rust.comments].map(String::len), [text.len(); 3]);
        let words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&rust.code), "let a = ; f( , ); &'static str");
        assert_eq!(words(&rust.strings), "'x' \"s \\\" t\" r#\"raw \" \"#");
        assert_eq!(words(&rust.comments), "// note é /* b /* c */ d */");
    }

    #[test]
    fn tests_are_left_out_and_what_follows_them_is_not() {
        let text = "fn a() {}\n#[cfg(test)]\nuse b::C;\n#[cfg(test)]\nmod tests { fn d() { \"}\" } }\nfn e() {}";
        let left = Source::new("host/x/src/a.rs", text).without_tests().expect("a file with code");
        let words: Vec<&str> = left.rust.code.split_whitespace().collect();
        assert_eq!(words, ["fn", "a()", "{}", "fn", "e()", "{}"]);
        assert_eq!(left.text.lines().count(), text.lines().count());
        for path in ["host/x/tests/a.rs", "tests/it/a.rs", "host/x/src/a/tests.rs", "docs/a.md"] {
            assert!(Source::new(path, text).without_tests().is_none(), "{path}");
        }
    }

    #[test]
    fn a_word_is_not_found_within_a_longer_one() {
        assert_eq!(find_word("MemoryStorage, Storage", "Storage"), Some(15));
        assert_eq!(find_word("MemoryStorage StorageError", "Storage"), None);
    }

    #[test]
    fn a_file_belongs_to_the_nearest_manifest() {
        let sources = ["a/Cargo.toml", "Cargo.toml", "a/src/b.rs", "tests/c.rs"]
            .map(|path| Source::new(path, ""));
        let names: Vec<String> = sources.iter().map(|source| source.crate_name(&sources)).collect();
        assert_eq!(names, ["a", ".", "a", "tests"]);
    }
}
