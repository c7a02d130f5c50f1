//! Text for a terminal: text of others made harmless, numbers with their nouns, sizes.

use std::borrow::Cow;

/// Returns a number with its noun: `1 task`, `7 tasks`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", plural(n, "", "s"))
}

/// Returns the form of a word that a number asks for: `plural(n, "is", "are")`.
pub fn plural<'a>(n: u64, one: &'a str, many: &'a str) -> &'a str {
    if n == 1 { one } else { many }
}

/// Formats a size in bytes: `1 byte`, `80 KiB`, `3 GiB`. Sizes are rounded up, so that one beyond a limit never looks
/// like the limit.
pub fn byte_size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 10 << 20 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        _ if bytes >= 1 << 10 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => counted(bytes, "byte"),
    }
}

/// Removes from a text all that a terminal would obey: escape sequences as a whole, and control characters except line
/// breaks and tabs. Removes characters too that make text look like other text: marks that turn the direction of
/// writing, and what has no width.
///
/// A general stripper of escape sequences follows the states of a terminal, in which a title that is never terminated
/// swallows all text up to the end of the input. Here it ends with its line, so that a guest cannot hide the rest of a
/// message.
pub fn clean(text: &str) -> String {
    // Nearly all text is harmless.
    if text.chars().all(is_harmless) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => rest = after_escape(rest),
            // The same as escape and `[` in one.
            '\u{9b}' => rest = after_control_sequence(rest),
            c if is_harmless(c) => cleaned.push(c),
            _ => {}
        }
    }
    cleaned
}

/// Returns a text with marks before its lines but the first, so that text of others that is quoted in a message cannot
/// look like another message.
pub fn mark_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\n') { text.replace('\n', "\n  | ").into() } else { text.into() }
}

/// Returns a text on one line: line breaks and tabs become visible, and the rest is as for [`clean`].
pub fn one_line(text: &str) -> String {
    clean(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Returns a text on one line in which all is visible: what is not harmless, line breaks and tabs are escaped.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_visible = |c: char| is_harmless(c) && c != '\n' && c != '\t';
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\r' => escaped.extend(c.escape_default()),
            c if is_visible(c) => escaped.push(c),
            c => escaped.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

/// Returns the beginning of a text, followed by `…` if it is longer.
pub fn shorten(text: &str, max_chars: usize) -> String {
    let mut short: String = text.chars().take(max_chars).collect();
    if text.chars().nth(max_chars).is_some() {
        short.push('…');
    }
    short
}

/// Returns whether a terminal merely shows a character, ends a line for it or fills a column; and whether a reader sees
/// that it is there.
pub fn is_harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // The soft hyphen, and joiners that most fonts do not show.
        '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{feff}' => false,
        // Marks, embeddings, overrides and isolates of the direction of writing.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            false
        }
        // Separators of lines and paragraphs, invisible operators, interlinear annotation and tags.
        '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' => false,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
        c => !c.is_control(),
    }
}

/// Returns the text after an escape sequence of ECMA-48 whose first character was just read.
fn after_escape(rest: std::str::Chars) -> std::str::Chars {
    let mut after = rest.clone();
    match after.next() {
        Some('[') => after_control_sequence(after),
        // Titles, links and the like, which end with a bell or with escape and a backslash.
        Some(']' | 'P' | 'X' | '^' | '_') => after_string(after.clone()).unwrap_or(after),
        // Intermediate characters, and a final one.
        Some(' '..='/') => {
            let trimmed = after.as_str().trim_start_matches(|c| (' '..='/').contains(&c));
            let mut after = trimmed.chars();
            after.next();
            after
        }
        Some('0'..='~') => after,
        _ => rest,
    }
}

fn after_control_sequence(rest: std::str::Chars) -> std::str::Chars {
    let text = rest.as_str().trim_start_matches(|c| (' '..='?').contains(&c));
    let mut after = text.chars();
    match after.clone().next() {
        Some('@'..='~') => {
            after.next();
            after
        }
        _ => after,
    }
}

/// Returns the text after a control string; `None` if the string does not end on its line.
fn after_string(rest: std::str::Chars) -> Option<std::str::Chars> {
    let text = rest.as_str();
    let line = text.split('\n').next().unwrap_or_default();
    let ends = [line.find('\u{7}').map(|at| at + 1), line.find("\u{1b}\\").map(|at| at + 2)];
    let end = ends.into_iter().flatten().min()?;
    Some(text[end..].chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noun_and_a_verb_agree_with_their_number() {
        assert_eq!(counted(0, "task"), "0 tasks");
        assert_eq!(counted(1, "task"), "1 task");
        assert_eq!(counted(2, "task"), "2 tasks");
        assert_eq!([0, 1, 2].map(|n| plural(n, "is", "are")), ["are", "is", "are"]);
    }

    #[test]
    fn what_is_not_seen_is_escaped() {
        assert!(matches!(visible("plain — é"), Cow::Borrowed("plain — é")));
        assert_eq!(visible("a\nb\tc\r\u{1b}[31m\u{202e}"), "a\\nb\\tc\\r\\u{1b}[31m\\u{202e}");
    }

    #[test]
    fn sizes_are_rounded_up() {
        for (bytes, want) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1025, "2 KiB"),
            ((1 << 20) + 1, "1025 KiB"),
            (10 << 20, "10 MiB"),
            ((10 << 20) + 1, "11 MiB"),
            (4 << 30, "4 GiB"),
            ((4 << 30) + 1, "4097 MiB"),
        ] {
            assert_eq!(byte_size(bytes), want, "{bytes}");
        }
    }

    #[test]
    fn text_of_others_stays_on_its_line_or_is_marked() {
        assert_eq!(mark_lines("a\nerror: b\n\nc"), "a\n  | error: b\n  | \n  | c");
        assert_eq!(mark_lines("one line"), "one line");
        assert_eq!(one_line("a\nb\tc\u{1b}[31md\re"), "a\\nb\\tcde");
    }

    #[test]
    fn escape_sequences_go_as_a_whole_and_what_is_no_command_stays() {
        for (text, want) in [
            ("plain, äöü, 数, \ttab\nline", "plain, äöü, 数, \ttab\nline"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;5;196mred\u{9b}0m.", "red."),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;https://a.b\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]0;no end", "0;no end"),
            ("\u{1b}]0;no end\nand a bell\u{7}", "0;no end\nand a bell"),
            ("a\u{1b}(Bb\u{1b}Mc\u{1b}", "abc"),
            ("\u{1b}[", ""),
            ("\u{1b}[12", ""),
            ("a\rb\u{8}c\u{7f}d\u{85}e", "abcde"),
            ("abc\u{202e}fed\u{2066}", "abcfed"),
            (
                "a\u{200e}b\u{200f}c\u{61c}d\u{200b}e\u{feff}f\u{2028}g\u{e0041}h\u{ad}i",
                "abcdefghi",
            ),
        ] {
            assert_eq!(clean(text), want, "{text:?}");
        }
    }
}
