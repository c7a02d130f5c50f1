//! Words as bash and as sbatch read them.

/// Lines longer than this are broken at every flag.
const MAX_LINE: usize = 100;

/// A word that bash reads as this text, and that `shellcheck` has nothing to say of.
pub(super) fn shell_quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    // Within double quotes only these mean something; a tilde in quotes looks like a mistake.
    let (tilde, rest) = match text.strip_prefix('~') {
        Some(rest) => ("\\~", rest),
        None => ("", text),
    };
    format!("{tilde}{}", in_double_quotes(rest, "$`\"\\"))
}

/// A value as sbatch reads it after `#SBATCH --flag=`: blanks end it and `#` begins a comment, but in quotes.
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

/// A command on one line, or if that is long with a line for each of its parts.
pub(super) fn wrap(parts: &[String]) -> String {
    let line = parts.join(" ");
    if line.len() <= MAX_LINE { line } else { parts.join(" \\\n    ") }
}

/// A study's name as the name of a job and of files: letters, digits, `.` and `_`, and `-` for everything between.
pub(super) fn label(study: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._".contains(c);
    // Room for what is added to it, where a letter takes four bytes.
    let study: String = study.chars().take(50).collect();
    let words: Vec<&str> = study.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
    // No file begins with a dot.
    let label = words.join("-");
    let label = label.trim_start_matches(['.', '-']);
    if label.is_empty() { "study".to_owned() } else { label.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn bash_reads_back_what_was_quoted() {
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
    fn a_directive_is_quoted_where_sbatch_would_end_it() {
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
