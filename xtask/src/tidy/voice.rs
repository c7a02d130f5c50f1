//! Rules about how the repository writes: see `docs/style.md`.

use super::source::{Source, Violation, find_word};

/// Words that no text of the repository has. The program, or the user, is the subject of a sentence.
/// Each word is in two pieces, so that this list obeys its own rule.
const WORDS: [(&str, &str); 5] =
    [("nobo", "dy"), ("somebo", "dy"), ("whoe", "ver"), ("anybo", "dy"), ("makes no", " sense")];

/// Words that a doc comment does not open with: it names the thing, or what the function does.
const QUESTIONS: [&str; 8] = ["What", "How", "Whether", "Which", "Why", "Where", "Who", "When"];

/// The longest line of a Rust file, in characters.
const LONGEST_LINE: usize = 120;

/// Files whose lines a program writes.
const GENERATED: [&str; 1] = ["guest-sdk/rust/src/bindings.rs"];

/// Finds the words that no text has, in capitals too.
pub(crate) fn words(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        for (line, text) in source.text.lines().enumerate() {
            let text = text.to_lowercase();
            for (start, end) in WORDS {
                let word = format!("{start}{end}");
                if find_word(&text, &word).is_some() {
                    found.push(source.violation(line, format!("expected no `{word}`")));
                }
            }
        }
    }
    found
}

/// Finds doc comments that open with a question word.
pub(crate) fn doc_openings(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in hand_written(sources).filter_map(Source::without_tests) {
        let mut was_doc = false;
        for (line, comment) in source.rust.comments.lines().enumerate() {
            let doc = doc_text(comment);
            if let (Some(doc), false) = (doc, was_doc)
                && let Some(word) = QUESTIONS.iter().find(|word| find_word(doc, word) == Some(0))
            {
                let message = format!("expected a doc comment that does not open with `{word}`");
                found.push(source.violation(line, message));
            }
            was_doc = doc.is_some();
        }
    }
    found
}

/// Returns the files whose lines no program writes.
fn hand_written(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| !GENERATED.contains(&source.path.as_str()))
}

/// Returns the text of a line that is a doc comment.
fn doc_text(comment: &str) -> Option<&str> {
    let comment = comment.trim();
    let text = comment.strip_prefix("///").or_else(|| comment.strip_prefix("//!"))?;
    // Four slashes are a common comment.
    (!text.starts_with('/')).then(|| text.trim())
}

/// Finds lines that are too long in hand-written Rust files.
pub(crate) fn long_lines(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in hand_written(sources).filter(|source| source.is_rust()) {
        for (line, text) in source.text.lines().enumerate() {
            let length = text.chars().count();
            if length > LONGEST_LINE {
                let message = format!("expected at most {LONGEST_LINE} characters, found {length}");
                found.push(source.violation(line, message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(violations: &[Violation]) -> Vec<usize> {
        violations.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn the_refused_words_are_found_in_every_kind_of_file() {
        for (start, end) in WORDS {
            let text = format!(
                "fine\n// {start}{end} knows\nx{start}{end}x\n{}{end}",
                start.to_uppercase()
            );
            for path in ["a.rs", "docs/a.md", "a.toml"] {
                let found = words(&[Source::new(path, &text)]);
                assert_eq!(lines(&found), [2, 4], "{start}{end} in {path}");
            }
        }
    }

    #[test]
    fn doc_comments_that_open_with_a_question_are_found() {
        for word in QUESTIONS {
            let text = format!(
                "//! {word} it is.\n\n/// Returns it.\n/// {word} more.\nfn a() {{}}\n    /// {word} b.\n\
                 // {word}\n//// {word}\n#[cfg(test)]\nmod tests {{\n/// {word}\n}}"
            );
            let found = doc_openings(&[Source::new("host/x/src/a.rs", &text)]);
            assert_eq!(lines(&found), [1, 6], "{word}");
        }
        assert!(doc_openings(&[Source::new("a.rs", "/// Whatever\nfn a() {}")]).is_empty());
    }

    #[test]
    fn long_lines_are_found_but_not_in_generated_code() {
        let text = format!("{}\n{}", "é".repeat(LONGEST_LINE), "x".repeat(LONGEST_LINE + 1));
        assert_eq!(lines(&long_lines(&[Source::new("a.rs", &text)])), [2]);
        for path in ["a.md", GENERATED[0]] {
            assert!(long_lines(&[Source::new(path, &text)]).is_empty(), "{path}");
        }
    }
}
