//! The places where a program that does not speak the protocol leaves its values.

use crate::lines::Lines;
use regex_lite::Regex;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use thiserror::Error;
use trialbox_core::Json;
use trialbox_core::value::text::{clean, shorten};
use trialbox_files::{FileError, Folder};

/// The placeholder for a trial's number in the path of its file of values.
const TRIAL: &str = "{trial}";

/// The place of a trial's values, if the program did not send them by the protocol.
#[derive(Debug, Clone, Default)]
pub enum ValueSource {
    /// Only the protocol.
    #[default]
    Protocol,
    /// The last line of standard output that is not blank: numbers with spaces between them.
    LastLine,
    /// The last line of standard output in which the pattern is found: its first group, or all that it matches.
    Pattern(Regex),
    /// A file of JSON: a number, a list of numbers, or an object with `value` or `values`. `{trial}` in its path stands
    /// for the trial's number.
    File(PathBuf),
}

/// The text of a value source that cannot be read.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ValueSourceError {
    /// The text is none of the forms.
    #[error("expected protocol, last-line, pattern:REGEX or file:PATH, found `{0}`")]
    Form(String),
    /// The pattern is not a regular expression.
    #[error("expected a regular expression after `pattern:`, found `{pattern}`: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The parser's error.
        problem: String,
    },
}

impl ValueSource {
    /// Reads `protocol`, `last-line`, `pattern:REGEX` or `file:PATH`.
    ///
    /// # Errors
    /// Fails if the text is none of these.
    pub fn parse(text: &str) -> Result<Self, ValueSourceError> {
        match text.split_once(':') {
            None if text == "protocol" => Ok(ValueSource::Protocol),
            None if text == "last-line" => Ok(ValueSource::LastLine),
            Some(("pattern", pattern)) => match Regex::new(pattern) {
                Ok(regex) => Ok(ValueSource::Pattern(regex)),
                Err(error) => Err(ValueSourceError::Pattern {
                    pattern: pattern.to_owned(),
                    problem: error.to_string(),
                }),
            },
            Some(("file", path)) if !path.is_empty() => Ok(ValueSource::File(path.into())),
            _ => Err(ValueSourceError::Form(text.to_owned())),
        }
    }
}

impl ValueSource {
    /// Returns the source of one trial, whose number stands for [`TRIAL`] in a path.
    pub(crate) fn of_trial(&self, number: u32) -> Self {
        match self {
            ValueSource::File(path) => match path.to_str() {
                Some(text) => ValueSource::File(text.replace(TRIAL, &number.to_string()).into()),
                None => self.clone(),
            },
            other => other.clone(),
        }
    }

    /// Returns the file that trials at the same time would all write, each over the value of the others.
    pub fn file_of_all_trials(&self) -> Option<&Path> {
        match self {
            ValueSource::File(path) if !path.to_string_lossy().contains(TRIAL) => Some(path),
            _ => None,
        }
    }

    /// Returns the text from which [`Self::parse`] reads the source.
    pub fn text(&self) -> String {
        match self {
            ValueSource::Protocol => "protocol".to_owned(),
            ValueSource::LastLine => "last-line".to_owned(),
            ValueSource::Pattern(regex) => format!("pattern:{regex}"),
            ValueSource::File(path) => format!("file:{}", path.display()),
        }
    }
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueSource::Protocol => f.write_str("the protocol"),
            ValueSource::LastLine => f.write_str("the last line of standard output"),
            ValueSource::Pattern(regex) => write!(f, "standard output, by the pattern `{regex}`"),
            ValueSource::File(path) => write!(f, "the file `{}`", path.display()),
        }
    }
}

/// The longest line of standard output that is searched for values. A longer one is cut into pieces.
const MAX_LINE_BYTES: usize = 64 << 10;

/// The largest file of values.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most characters of a text that a message quotes.
const MAX_QUOTED_CHARS: usize = 200;

/// Watches a program's standard output for its values.
#[derive(Debug)]
pub(crate) struct OutputWatch {
    source: ValueSource,
    lines: Lines,
    found: Option<String>,
    /// The time of the last change of the file of values before the program started, if there was one.
    earlier: Option<SystemTime>,
}

impl OutputWatch {
    /// Starts to watch. To be called before the program starts: a file that it does not change is another trial's.
    pub(crate) fn new(source: ValueSource) -> Self {
        let earlier = match &source {
            ValueSource::File(path) => modified(path).ok(),
            _ => None,
        };
        OutputWatch { source, lines: Lines::new(MAX_LINE_BYTES), found: None, earlier }
    }

    /// Takes bytes that the program printed.
    pub(crate) fn printed(&mut self, bytes: &[u8]) {
        if matches!(self.source, ValueSource::File(_)) {
            return;
        }
        // Pieces of this size keep the lines' buffer within its bound.
        for piece in bytes.chunks(MAX_LINE_BYTES) {
            self.lines.extend(piece);
            loop {
                match self.lines.next() {
                    Ok(Some(line)) => self.look_at(&line),
                    Ok(None) => break,
                    Err(_) => {
                        let long = self.lines.rest();
                        self.lines = Lines::new(MAX_LINE_BYTES);
                        self.look_at(&long);
                        break;
                    }
                }
            }
        }
    }

    fn look_at(&mut self, line: &str) {
        match &self.source {
            // Of a program that should have sent its value, the last line is for the message.
            ValueSource::LastLine | ValueSource::Protocol if !line.trim().is_empty() => {
                self.found = Some(line.to_owned());
            }
            ValueSource::Pattern(regex) => {
                if let Some(captures) = regex.captures(line) {
                    let group = captures.get(1).or_else(|| captures.get(0));
                    self.found = group.map(|group| group.as_str().to_owned());
                }
            }
            _ => {}
        }
    }

    /// Returns the values that the program left, once it has exited.
    ///
    /// # Errors
    /// Fails with a sentence if there are none, or they are not numbers.
    pub(crate) fn values(mut self) -> Result<Vec<f64>, String> {
        let rest = self.lines.rest();
        self.look_at(&rest);
        match &self.source {
            ValueSource::Protocol => {
                let text = "the program exited with 0, and reported no result";
                Err(match self.found {
                    None => text.to_owned(),
                    Some(line) => {
                        let line = shorten(&clean(line.trim()), MAX_QUOTED_CHARS);
                        format!("{text}; its last line is `{line}`")
                    }
                })
            }
            ValueSource::File(path) => read_file(path, self.earlier),
            source => match self.found {
                None => {
                    Err(format!("the program exited with 0, and no value was found in {source}"))
                }
                Some(text) => numbers(&text).ok_or_else(|| {
                    let found = shorten(&clean(text.trim()), MAX_QUOTED_CHARS);
                    format!("expected one number for each objective in {source}, found `{found}`")
                }),
            },
        }
    }
}

/// Reads numbers with spaces between them. A comma may be a decimal point, so it does not separate numbers.
fn numbers(text: &str) -> Option<Vec<f64>> {
    let values: Option<Vec<f64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    values.filter(|values| !values.is_empty())
}

fn read_file(path: &Path, earlier: Option<SystemTime>) -> Result<Vec<f64>, String> {
    let shown = path.display();
    let bytes = match changed_bytes(path, earlier) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            return Err(format!(
                "the program exited with 0, but `{shown}` is older than the trial"
            ));
        }
        Err(error) if error.is_not_found() => {
            return Err(format!("the program exited with 0, but it wrote no file `{shown}`"));
        }
        Err(error) => return Err(error.to_string()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let json =
        Json::parse(text.trim()).map_err(|error| format!("expected JSON in `{shown}`: {error}"))?;
    values_of(&json).ok_or_else(|| {
        let found = shorten(&clean(&json.to_string()), MAX_QUOTED_CHARS);
        format!(
            "expected a number, a list of numbers, or `value` or `values` in `{shown}`, found `{found}`"
        )
    })
}

/// Reads a file, unless its last change is still the earlier one. The two times come from one clock, that of the file
/// system.
fn changed_bytes(path: &Path, earlier: Option<SystemTime>) -> Result<Option<Vec<u8>>, FileError> {
    if Some(modified(path)?) == earlier {
        return Ok(None);
    }
    let (folder, name) = locate(path)?;
    folder.read(name, MAX_FILE_BYTES).map(Some)
}

fn modified(path: &Path) -> Result<SystemTime, FileError> {
    let (folder, name) = locate(path)?;
    folder.modified(name)
}

fn locate(path: &Path) -> Result<(Folder, &OsStr), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((Folder::open_named(parent)?, path.file_name().unwrap_or(path.as_os_str())))
}

fn values_of(json: &Json) -> Option<Vec<f64>> {
    match json {
        Json::Array(items) => items.iter().map(Json::as_f64).collect(),
        Json::Object(_) => values_of(json.get("values").or_else(|| json.get("value"))?),
        number => number.as_f64().map(|value| vec![value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, printed: &[&str], want: Result<&[f64], &str>) {
        let mut watch = OutputWatch::new(ValueSource::parse(source).expect(source));
        for piece in printed {
            watch.printed(piece.as_bytes());
        }
        let found = watch.values();
        assert_eq!(found.as_deref().map_err(String::as_str), want);
    }

    #[test]
    fn the_last_line_that_is_not_blank_holds_the_values() {
        check("last-line", &["epoch 1\n", "0.25\n", "\n", "  \n"], Ok(&[0.25]));
        check("last-line", &["epoch 1\n0.", "25 1e3"], Ok(&[0.25, 1000.0]));
        check("last-line", &["0.5\r\n"], Ok(&[0.5]));
        check("last-line", &["-inf\n"], Ok(&[f64::NEG_INFINITY]));
        let none =
            "the program exited with 0, and no value was found in the last line of standard output";
        check("last-line", &["\n"], Err(none));
        let comma = "expected one number for each objective in the last line of standard output, found `0,92`";
        check("last-line", &["0.5\n0,92\n"], Err(comma));
        let silent = "the program exited with 0, and reported no result";
        check("protocol", &["\n"], Err(silent));
        check("protocol", &["epoch 1\n0.25"], Err(&format!("{silent}; its last line is `0.25`")));
        let long = "1".repeat(MAX_LINE_BYTES * 3);
        check("last-line", &[&long, "\n2\n"], Ok(&[2.0]));
    }

    #[test]
    fn the_last_match_of_a_pattern_holds_the_values() {
        let output = ["val_loss=0.5\nval_loss=0.25 (best)\ndone\n"];
        check("pattern:val_loss=([0-9.]+)", &output, Ok(&[0.25]));
        check(r"pattern:^\d+ \d+$", &["1 2\nx\n"], Ok(&[1.0, 2.0]));
        let none = "the program exited with 0, and no value was found in standard output, by the pattern `acc=(.*)`";
        check("pattern:acc=(.*)", &output, Err(none));
    }

    #[test]
    fn a_file_holds_a_number_a_list_or_an_object() {
        for (text, want) in [
            ("0.5", Some(vec![0.5])),
            ("[1, 2.5]", Some(vec![1.0, 2.5])),
            ("{\"values\": [1]}", Some(vec![1.0])),
            ("{\"value\": -Infinity, \"epoch\": 3}", Some(vec![f64::NEG_INFINITY])),
            ("{\"loss\": 1}", None),
            ("[\"0.5\"]", None),
        ] {
            assert_eq!(values_of(&Json::parse(text).expect(text)), want, "{text}");
        }
    }

    #[test]
    fn a_source_is_read_from_its_text() {
        for text in ["last-line", "protocol", "pattern:a(b)", "file:out.json"] {
            let source = ValueSource::parse(text).expect(text);
            assert_eq!(source.text(), text);
        }
        let wrong = ValueSource::parse("stdout").expect_err("not a form");
        assert_eq!(wrong, ValueSourceError::Form("stdout".to_owned()));
        let wrong = ValueSource::parse("pattern:(").expect_err("not a pattern");
        assert!(
            wrong
                .to_string()
                .starts_with("expected a regular expression after `pattern:`, found `(`")
        );
    }
}
