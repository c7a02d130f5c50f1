//! Placeholders in the words of a command: `{lr}` stands for the value of the parameter `lr`.
//!
//! Most braces in commands are no placeholders: awk, JSON, shells and LaTeX have their own. A name in braces that is
//! not a parameter is a misspelling more often than not, so it is found, and `{{name}}` stands for the text `{name}`.

/// A piece of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that stays as it is.
    Text(&'a [u8]),
    /// A placeholder, by the index of its parameter.
    Param(usize),
    /// A name in braces that is not a parameter, with the spaces around it.
    Unknown(&'a str),
}

/// Splits a word into its pieces. Without parameters a word has no placeholders.
pub(crate) fn pieces<'a>(word: &'a [u8], names: &[&str]) -> Vec<Piece<'a>> {
    if names.is_empty() {
        return vec![Piece::Text(word)];
    }
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    while at < word.len() {
        let is_shells = at > 0 && word[at - 1] == b'$';
        let Some((piece, length)) = first(&word[at..], names, is_shells) else {
            at += 1;
            continue;
        };
        pieces.push(Piece::Text(&word[start..at]));
        pieces.push(piece);
        at += length;
        start = at;
    }
    pieces.push(Piece::Text(&word[start..]));
    pieces
}

/// Returns the piece with which `rest` starts, if that is a name in braces, and its length. A shell's `${NAME}` is not
/// a misspelling.
fn first<'a>(rest: &'a [u8], names: &[&str], is_shells: bool) -> Option<(Piece<'a>, usize)> {
    let after = rest.strip_prefix(b"{")?;
    if let Some(index) = names.iter().position(|name| encloses(after, name)) {
        return Some((Piece::Param(index), names[index].len() + 2));
    }
    if let Some(inner) = after.strip_prefix(b"{") {
        let content = in_braces(inner)?;
        let is_escaped = names.contains(&content) || is_identifier(content);
        let ends_twice = inner[content.len()..].starts_with(b"}}");
        let text = Piece::Text(&after[..content.len() + 2]);
        return (is_escaped && ends_twice).then_some((text, content.len() + 4));
    }
    let content = in_braces(after)?;
    let is_misspelt = names.contains(&content.trim()) || is_identifier(content);
    (is_misspelt && !is_shells).then_some((Piece::Unknown(content), content.len() + 2))
}

/// Returns whether the text after an opening brace is this name and the closing brace.
fn encloses(after: &[u8], name: &str) -> bool {
    after.strip_prefix(name.as_bytes()).is_some_and(|end| end.starts_with(b"}"))
}

/// Returns the text up to the closing brace, if there is one before the next opening brace.
fn in_braces(after: &[u8]) -> Option<&str> {
    let end = after.iter().position(|byte| matches!(byte, b'{' | b'}'))?;
    (after[end] == b'}').then(|| std::str::from_utf8(&after[..end]).ok()).flatten()
}

/// Returns whether a text could be the name of a parameter, and not a number, a list or code.
fn is_identifier(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(word: &str) -> Vec<String> {
        let pieces = pieces(word.as_bytes(), &["lr", "layer-1.units", "batch size"]);
        let name = |piece: &Piece| match piece {
            Piece::Unknown(name) => Some((*name).to_owned()),
            _ => None,
        };
        pieces.iter().filter_map(name).collect()
    }

    #[test]
    fn a_name_in_braces_that_is_not_a_parameter_is_found() {
        for (word, names) in [
            ("{Lr}", &["Lr"][..]),
            ("--x={lr}{rl}", &["rl"]),
            ("{learning_rate}/{n}", &["learning_rate", "n"]),
            ("{layer-1.unit}", &["layer-1.unit"]),
            ("{ lr }", &[" lr "]),
            ("{größe}", &["größe"]),
        ] {
            assert_eq!(unknown(word), names, "{word}");
        }
    }

    #[test]
    fn braces_of_other_languages_and_escaped_names_stay() {
        for word in [
            "{print $1}",
            "{ print }",
            "{}",
            "{a,b}",
            "x{3}",
            "{\"a\": {\"b\": 1}}",
            "${HOME}",
            "{lr}",
            "{batch size}",
            "{{Lr}}",
            "{{lr}}",
            "{",
            "}{",
            "{Lr",
        ] {
            assert_eq!(unknown(word), Vec::<String>::new(), "{word}");
        }
        assert_eq!(pieces(b"{Lr}", &[]), [Piece::Text(b"{Lr}")]);
    }
}
