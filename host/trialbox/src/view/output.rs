//! The output of the program: results go to standard output, the rest to standard error.

use crate::error::CommandError;
use crate::exit_code::ExitCode;
use crate::view::record::{ErrorRecord, Record, View};
use jiff::civil::DateTime;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, OnceLock};
use trialbox_core::value::text::{clean, is_harmless, mark_lines, one_line};

/// The form of printed results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object per line, with stable keys.
    Json,
}

/// The only way to print.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    is_verbose: bool,
    /// The task and the node of an array job, in front of each text, because all tasks write to one log.
    task: Option<String>,
    /// The first error of writing to standard output. A command continues, and [`Self::delivered`] reports it.
    lost: Arc<OnceLock<Undelivered>>,
}

/// The reason why a result did not reach standard output.
#[derive(Debug)]
pub(crate) struct Undelivered(io::Error);

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write the result to standard output: {}", self.0)
    }
}

impl Undelivered {
    /// Prints the reason, and returns the exit code. A closed pipe is not worth a word: `| head` is a habit.
    pub(crate) fn report(&self) -> ExitCode {
        if self.0.kind() == io::ErrorKind::BrokenPipe {
            return ExitCode::BrokenPipe;
        }
        let _ = io::stderr().lock().write_all(format!("error: {self}\n").as_bytes());
        ExitCode::Output
    }
}

impl Output {
    pub(crate) fn new(format: Format, quiet: bool, is_verbose: bool) -> Self {
        Output { format, quiet, is_verbose, task: None, lost: Arc::default() }
    }

    /// Returns the same output, with the time, the task and the node in front of each text. A person at a terminal
    /// knows them.
    pub(crate) fn in_task(&self, index: &str, node: &str) -> Output {
        let is_log = !io::stdout().is_terminal() && !self.is_json();
        Output { task: is_log.then(|| format!("task {index} on {node}")), ..self.clone() }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.is_verbose
    }

    /// Returns whether a person watches, who can read a progress line.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.is_json() && has_terminal()
    }

    /// Prints a result: its text for people, its records for programs.
    pub(crate) fn print(&self, view: &dyn View) {
        if self.is_json() {
            view.records().for_each(|record| self.write_line(&escape_controls(&record.to_json())));
        } else {
            let text = self.stamped(&text_of(view), local_now());
            self.write_line(&text);
        }
    }

    /// Prints a result whose lines are all our own, such as a script: its further lines are not marked.
    pub(crate) fn print_as_it_is(&self, view: &dyn View) {
        if self.is_json() {
            self.print(view);
        } else {
            self.write_line(&clean(view.text().trim_end_matches('\n')));
        }
    }

    /// Writes the text of a file to standard output, unchanged.
    pub(crate) fn write_file(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Writes to a terminal that is drawn as a whole, control sequences included.
    pub(crate) fn write_screen(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Returns whether all results have reached standard output so far.
    ///
    /// # Errors
    /// The first error of writing.
    pub(crate) fn delivered(&self) -> Result<(), &Undelivered> {
        self.lost.get().map_or(Ok(()), Err)
    }

    fn stamped(&self, text: &str, now: DateTime) -> String {
        match &self.task {
            Some(task) => format!("{} {task}: {text}", now.strftime("%Y-%m-%d %H:%M:%S")),
            None => text.to_owned(),
        }
    }

    fn write_line(&self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    /// Writes and flushes. After an error nothing more is written: the reader would take the rest for the whole.
    fn write(&self, bytes: &[u8]) {
        if self.lost.get().is_none()
            && let Err(error) = deliver(bytes)
        {
            // Two workers may fail at the same time; one error is enough.
            let _ = self.lost.set(Undelivered(error));
        }
    }

    /// Prints a remark for people, which is not a result. Lines after the first are marked unless they are indented as
    /// those of our own remarks are.
    pub(crate) fn note(&self, text: &str) {
        self.note_as_it_is(&mark_outer_lines(text));
    }

    /// Prints a remark whose lines are all our own, such as a script.
    pub(crate) fn note_as_it_is(&self, text: &str) {
        if !self.quiet {
            // In one piece: other threads and standard output may share the pipe.
            let text = self.stamped(&clean(text), local_now());
            let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
        }
    }

    /// Prints an error with its causes and what to do.
    pub(crate) fn error(&self, error: &CommandError) {
        let _ = io::stderr().lock().write_all(clean(&error.to_text()).as_bytes());
        if self.is_json() {
            self.write_line(&escape_controls(&Record::from(ErrorRecord::of(error)).to_json()));
        }
    }
}

/// Returns the local time, in which Slurm's own messages are too.
fn local_now() -> DateTime {
    jiff::tz::TimeZone::system().to_datetime(jiff::Timestamp::now())
}

/// Returns whether a person reads the standard error.
pub(crate) fn has_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Returns the text of a view for a terminal. What the view got from others is what its records hold: where one of
/// these strings has several lines, its further ones are marked, so that no string can look like a line of ours.
fn text_of(view: &dyn View) -> String {
    let mut text = view.text();
    if text.contains('\n') {
        for record in view.records() {
            for quoted in record.strings_of_several_lines() {
                for form in [clean(&quoted), quoted] {
                    text = text.replace(&form, &mark_lines(&form));
                }
            }
        }
    }
    clean(text.trim_end_matches('\n'))
}

/// Marks the lines after the first that are not indented.
fn mark_outer_lines(text: &str) -> String {
    let lines = text.split('\n').enumerate();
    let marked = lines.map(|(index, line)| match index {
        0 => line.to_owned(),
        _ if line.starts_with("  ") => line.to_owned(),
        _ => format!("  | {line}"),
    });
    marked.collect::<Vec<_>>().join("\n")
}

/// Returns the columns and the rows of the terminal that shows the standard output; `None` if it is none.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Returns standard error, for a program that may not write to standard output: that is for results.
///
/// # Errors
/// Fails if no descriptor is left.
pub(crate) fn standard_error() -> io::Result<OwnedFd> {
    io::stderr().as_fd().try_clone_to_owned()
}

/// Prints an error from before the command line was read, and returns its exit code.
pub(crate) fn report_early(error: &CommandError) -> ExitCode {
    let _ = write!(io::stderr(), "{}", clean(&error.to_text()));
    error.exit
}

/// Writes to the standard output that the program was started with.
///
/// # Errors
/// Those of writing, and `EBADF` if the program was started without one.
fn deliver(bytes: &[u8]) -> io::Result<()> {
    if trialbox_runtime::stdout_was_closed() {
        return Err(rustix::io::Errno::BADF.into());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

/// Prints what the parser has to say: help and version to standard output, an error to standard error. `settings` are
/// the flags that files have added.
///
/// # Errors
/// Those of writing to standard output.
pub(crate) fn print_parsers(
    message: &clap::Error,
    settings: Option<&str>,
) -> Result<(), Undelivered> {
    if message.use_stderr() {
        let _ = message.print();
        if let Some(settings) = settings {
            let _ = writeln!(io::stderr(), "  set by files: {}", one_line(settings));
        }
        return Ok(());
    }
    deliver(&[])
        .and_then(|()| message.print())
        .and_then(|()| io::stdout().flush())
        .map_err(Undelivered)
}

/// Escapes the characters of JSON text that JSON allows as they are and terminals obey or do not show: DEL, the second
/// set of control characters with CSI (U+009B), and those that turn the direction of writing or have no width.
pub(crate) fn escape_controls(json: &str) -> Cow<'_, str> {
    if json.chars().all(is_harmless) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmless(c) {
            escaped.push(c);
        } else {
            // Beyond the first 65,536 characters, JSON takes two units of UTF-16.
            let units = c.encode_utf16(&mut [0; 2]).to_vec();
            units.iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(escaped)
}

/// Formats a table without lines, as other tools can cut it.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|cell| one_line(cell)));
    table.add_rows(
        rows.into_iter().map(|row| row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>()),
    );
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
    fn a_remark_of_several_lines_has_them_indented_or_marked() {
        let text = "trial 3: FAIL\n  E-GUEST: x\nerror: y";
        assert_eq!(mark_outer_lines(text), "trial 3: FAIL\n  E-GUEST: x\n  | error: y");
    }

    #[test]
    fn cells_of_a_table_stay_on_their_line() {
        let text = table(&["a\nb"], [vec!["c\nd\u{1b}[2J".to_owned()]]);
        assert_eq!(text, "a\\nb\nc\\nd");
    }

    #[test]
    fn a_line_in_the_log_of_an_array_has_its_time_task_and_node() {
        let output = Output::new(Format::Text, false, false);
        let now: DateTime = "2026-11-30T14:31:05".parse().expect("a time");
        assert_eq!(output.stamped("trial 3", now), "trial 3");
        let in_task = Output { task: Some("task 7 on node3".to_owned()), ..output };
        let want = "2026-11-30 14:31:05 task 7 on node3: trial 3";
        assert_eq!(in_task.stamped("trial 3", now), want);
    }

    #[test]
    fn what_a_terminal_would_obey_is_left_out_of_text_and_escaped_in_json() {
        assert_eq!(clean("a\u{1b}[31m\u{9b}2J\u{7f}b\nc\td\r"), "ab\nc\td");
        let text = json!({ "name": "\u{1b}[31m\u{9b}2J\u{7f}\u{202e}\u{e0041}" });
        let line = escape_controls(&text.to_string()).into_owned();
        assert_eq!(line, r#"{"name":"\u001b[31m\u009b2J\u007f\u202e\udb40\udc41"}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).ok(), Some(text));
    }
}
