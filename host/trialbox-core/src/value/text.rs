//! Text of others, on its way to a person.

/// Leaves out of a text what a terminal would obey: escape sequences as a whole, control characters but line breaks and
/// tabs, and what turns the direction of writing, which can make text look like other text.
pub fn clean(text: &str) -> String {
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

/// The beginning of a text, and `…` where there is more of it.
pub fn shorten(text: &str, max_chars: usize) -> String {
    let mut short: String = text.chars().take(max_chars).collect();
    if text.chars().nth(max_chars).is_some() {
        short.push('…');
    }
    short
}

/// Whether a terminal only shows a character, ends a line for it or fills a column.
pub fn is_harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        c => !c.is_control(),
    }
}

/// What follows an escape sequence, of ECMA-48, whose first character was just read.
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

/// `None` for a string that does not end, on its line: one that began in a name could else hide what follows it.
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
        ] {
            assert_eq!(clean(text), want, "{text:?}");
        }
    }
}
