//! The output of the program: results go to standard output, the rest to standard error.

use crate::error::CommandError;
use crate::view::record::{ErrorRecord, Record, View};
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use trialbox_core::value::text::{clean, is_harmless};

/// The form of printed results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object per line, with stable keys.
    Json,
}

/// The only way to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    verbose: u8,
}

impl Output {
    pub(crate) fn new(format: Format, quiet: bool, verbose: u8) -> Self {
        Output { format, quiet, verbose }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Returns whether a person watches, who can read a progress line.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.is_json() && has_terminal()
    }

    /// Prints a result: its text for people, its records for programs. A closed pipe is not an error: `| head` is a
    /// habit.
    pub(crate) fn print(&self, view: &dyn View) {
        if self.is_json() {
            view.records().for_each(|record| write_line(&escape_controls(&record.to_json())));
        } else {
            write_line(&clean(view.text().trim_end_matches('\n')));
        }
    }

    /// Writes the text of a file to standard output, unchanged. A closed pipe is not an error.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) fn write_file(&self, text: &str) -> io::Result<()> {
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Prints a remark for people, which is not a result.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            // In one piece: other threads and standard output may share the pipe.
            let _ = io::stderr().lock().write_all(format!("{}\n", clean(text)).as_bytes());
        }
    }

    /// Prints an error with its causes and what to do.
    pub(crate) fn error(&self, error: &CommandError) {
        let _ = io::stderr().lock().write_all(clean(&error.to_text()).as_bytes());
        if self.is_json() {
            write_line(&escape_controls(&Record::from(ErrorRecord::of(error)).to_json()));
        }
    }
}

/// Returns whether a person reads the standard error.
pub(crate) fn has_terminal() -> bool {
    io::stderr().is_terminal()
}

fn write_line(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Escapes the characters of JSON text that JSON allows as they are and terminals obey: DEL, the second set of control
/// characters with CSI (U+009B), and those that turn the direction of writing.
fn escape_controls(json: &str) -> Cow<'_, str> {
    if json.chars().all(is_harmless) {
        return Cow::Borrowed(json);
    }
    let escaped = json.chars().map(|c| match is_harmless(c) {
        true => c.to_string(),
        false => format!("\\u{:04x}", u32::from(c)),
    });
    Cow::Owned(escaped.collect())
}

/// Formats a table without lines, as other tools can cut it.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_a_terminal_would_obey_is_left_out_of_text_and_escaped_in_json() {
        assert_eq!(clean("a\u{1b}[31m\u{9b}2J\u{7f}b\nc\td\r"), "ab\nc\td");
        let text = json!({ "name": "\u{1b}[31m\u{9b}2J\u{7f}\u{202e}" });
        let line = escape_controls(&text.to_string()).into_owned();
        assert_eq!(line, r#"{"name":"\u001b[31m\u009b2J\u007f\u202e"}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).ok(), Some(text));
    }
}
