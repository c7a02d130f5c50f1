//! Quotes words for bash and for sbatch.

/// The length of a line above which it is broken before every flag.
const MAX_LINE: usize = 100;

/// Quotes a text for bash in a way that `shellcheck` accepts.
pub(crate) fn shell_quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    // Only four characters are special within double quotes. shellcheck warns of a tilde in quotes.
    let (tilde, rest) = match text.strip_prefix('~') {
        Some(rest) => ("\\~", rest),
        None => ("", text),
    };
    format!("{tilde}{}", in_double_quotes(rest, "$`\"\\"))
}

/// Returns an assignment that every POSIX shell reads, in text that a terminal may show. A shell can hold no NUL: a
/// value with one unsets its variable.
pub(crate) fn posix_assignment(name: &str, value: &str) -> String {
    if value.contains('\0') {
        return format!("unset {name}");
    }
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    if value.chars().all(is_plain) {
        return format!("{name}='{}'", value.replace('\'', "'\\''"));
    }
    // Octal numbers are all that printf(1) understands everywhere. The dot keeps line breaks at the end.
    let escape = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("\\{byte:03o}"),
    };
    let escaped: String = value.bytes().map(escape).collect();
    format!("{name}=$(printf '{escaped}.'); {name}=${{{name}%.}}")
}

/// Quotes a value for sbatch, where outside of quotes a blank ends the value and `#` starts a comment.
pub(super) fn directive_quote(text: &str) -> String {
    let is_special = |c: char| c.is_whitespace() || "\"'\\#".contains(c);
    if text.chars().any(is_special) { in_double_quotes(text, "\"\\") } else { text.to_owned() }
}

fn in_double_quotes(text: &str, special: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if special.contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Joins the parts of a command on one line, or if that is too long on a line each.
pub(super) fn wrap(parts: &[String]) -> String {
    let line = parts.join(" ");
    if line.len() <= MAX_LINE { line } else { parts.join(" \\\n    ") }
}

/// Returns the study's name for jobs and files: its letters, digits, `.` and `_`, with a `-` for all others.
pub(crate) fn label(study: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._".contains(c);
    // A file name may have 255 bytes: this leaves room for suffixes, with four bytes a letter.
    let study: String = study.chars().take(50).collect();
    let words: Vec<&str> = study.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
    // A file must not be hidden.
    let label = words.join("-");
    let label = label.trim_start_matches(['.', '-']);
    if label.is_empty() { "study".to_owned() } else { label.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn bash_reads_a_quoted_text_back() {
        for text in [
            "",
            "plain-1.0_x,y=z:/a/b@c%d+e",
            "two words",
            "$HOME `id` \"a\" 'b' \\ ! * ? [x] {a,b} #c ;&|<>()",
            "~/data",
            "~",
            "a\nb\ttab",
            "größe",
            "x={\"a\": [1, 2]}",
        ] {
            let script = format!("printf %s {}", shell_quote(text));
            let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{script}");
        }
        assert_eq!(shell_quote("plain-1.0_x,y=z:/a/b"), "plain-1.0_x,y=z:/a/b");
        assert_eq!(shell_quote("~/a"), "\\~\"/a\"");
    }

    #[test]
    fn every_shell_reads_an_assignment_back() {
        for shell in ["sh", "bash", "dash"] {
            for value in [
                "",
                "plain",
                "it's",
                "'; touch hacked; '",
                "$(touch hacked) `touch hacked` ${HOME} \\ \" ! * ? ~ #c ;&|<>()",
                "-n %s \\n",
                "two\nlines\n\n",
                "\ttab\r\u{1b}[31m\u{7f}",
                "größe 漢字 \u{202e}",
                "\n",
                "100%",
            ] {
                let assignment = posix_assignment("X", value);
                assert!(!assignment.chars().any(char::is_control), "{assignment}");
                let script = format!("{assignment}\nprintf %s. \"$X\"");
                let output = Command::new(shell).args(["-c", &script]).output().expect(shell);
                let want = format!("{value}.");
                assert_eq!(String::from_utf8_lossy(&output.stdout), want, "{shell}: {script}");
            }
        }
        assert_eq!(posix_assignment("X", "a\0b"), "unset X");
    }

    #[test]
    fn a_directive_is_quoted_where_sbatch_would_end_its_value() {
        assert_eq!(directive_quote("gpu:1"), "gpu:1");
        assert_eq!(directive_quote("/home/my \"data\" #1"), "\"/home/my \\\"data\\\" #1\"");
        assert_eq!(directive_quote("a\\b"), "\"a\\\\b\"");
    }

    #[test]
    fn a_label_is_a_file_name() {
        for (study, want) in [
            ("digits", "digits"),
            ("digits-2_x.y", "digits-2_x.y"),
            ("my study/2", "my-study-2"),
            ("../etc", "etc"),
            ("--help", "help"),
            ("größe 100% %A\n", "größe-100-A"),
            ("/", "study"),
            ("", "study"),
        ] {
            assert_eq!(label(study), want, "{study}");
        }
        assert_eq!(label(&"x".repeat(512)).len(), 50);
    }
}
