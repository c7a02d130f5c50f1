//! The paths that a Rust file uses, as `crate::a::B`, groups of imports taken apart.

use super::source::is_word;

/// A path in a file's code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) path: String,
    /// The line, counted from 0.
    pub(crate) line: usize,
    /// True for `pub use` and the like, which passes a name on.
    pub(crate) is_reexport: bool,
}

/// Returns all paths of two parts or more that stand in a code, and all that `use` names.
pub(crate) fn used_in(code: &str) -> Vec<Used> {
    let line_ends: Vec<usize> = code.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |at: usize| line_ends.partition_point(|end| *end < at);
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        if !rest.starts_with(is_word) {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let word = word_at(rest);
        if word == "use" {
            let end = at + rest.find(';').unwrap_or(rest.len());
            let is_reexport = is_public(&code[..at]);
            take_apart(code, at + word.len()..end, "", &mut |path, at| {
                found.push(Used { path, line: line_of(at), is_reexport });
            });
            at = end;
        } else {
            let path = path_at(rest);
            if path.contains("::") {
                found.push(Used { path: path.to_owned(), line: line_of(at), is_reexport: false });
            }
            at += path.len();
        }
    }
    found
}

/// Hands over each path of an import, which may be a group in a group, and where it stands.
fn take_apart(
    code: &str,
    range: std::ops::Range<usize>,
    before: &str,
    found: &mut impl FnMut(String, usize),
) {
    let text = &code[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    let text = text.trim();
    let Some(open) = text.find('{') else {
        if !text.is_empty() {
            let path = text.split(" as ").next().unwrap_or(text).trim();
            found(format!("{before}{path}"), start);
        }
        return;
    };
    let before = format!("{before}{}", text[..open].trim());
    let close = text.rfind('}').unwrap_or(text.len());
    let (mut depth, mut part) = (0, start + open + 1);
    for (at, character) in text[open + 1..close].char_indices() {
        let at = start + open + 1 + at;
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                take_apart(code, part..at, &before, found);
                part = at + 1;
            }
            _ => {}
        }
    }
    take_apart(code, part..start + close, &before, found);
}

/// Returns whether the code before a `use` makes it public in some way.
fn is_public(before: &str) -> bool {
    let statement = before.rsplit([';', '}', '{', ']']).next().unwrap_or(before);
    super::source::find_word(statement, "pub").is_some()
}

fn word_at(text: &str) -> &str {
    &text[..text.find(|character| !is_word(character)).unwrap_or(text.len())]
}

/// Returns the longest path at the start of a text: words with `::` between them.
fn path_at(text: &str) -> &str {
    let mut length = word_at(text).len();
    while let Some(next) = text[length..].strip_prefix("::")
        && next.starts_with(is_word)
    {
        length += 2 + word_at(next).len();
    }
    &text[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_taken_apart_and_paths_in_the_code_are_found() {
        let code = "use crate::{a::{B, c::D as E},\n  f};\npub(crate) use super::G;\n\
            fn h() -> crate::i::J { user::<K>(x::y()) }";
        let found: Vec<(String, usize, bool)> = used_in(code)
            .into_iter()
            .map(|used| (used.path, used.line, used.is_reexport))
            .collect();
        let want = [
            ("crate::a::B", 0, false),
            ("crate::a::c::D", 0, false),
            ("crate::f", 1, false),
            ("super::G", 2, true),
            ("crate::i::J", 3, false),
            ("x::y", 3, false),
        ];
        let want = want.map(|(path, line, is_reexport)| (path.to_owned(), line, is_reexport));
        assert_eq!(found, want);
    }
}
