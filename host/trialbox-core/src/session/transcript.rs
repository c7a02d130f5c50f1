//! The log and the output of an objective, line by line.

use crate::value::text::clean;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A line that the objective logged or printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The source of the line.
    pub source: LogSource,
    /// The text, without control characters.
    pub text: String,
}

/// The source of a line of the transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The contract's `log`.
    Log(LogLevel),
    /// The guest's standard output.
    Stdout,
    /// The guest's standard error, where panics go.
    Stderr,
    /// trialbox itself.
    Host,
}

/// The severity of a line of the guest's log, as its author sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Detail for the objective's author.
    Debug,
    /// Progress for its user.
    Info,
    /// A problem that may spoil the result.
    Warning,
    /// A problem that spoils the result.
    Error,
}

/// The last lines that an objective logged or printed, within a bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    max_bytes: usize,
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped_bytes: u64,
    /// The beginnings of lines that are not complete yet, one for each source.
    open: Vec<LogLine>,
}

impl Transcript {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Transcript { max_bytes, ..Transcript::default() }
    }

    /// Returns the lines that were kept, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &LogLine> {
        self.lines.iter()
    }

    /// Returns the texts of the last `n` lines, oldest first.
    pub fn last_texts(&self, n: usize) -> impl Iterator<Item = &str> {
        self.lines.iter().skip(self.lines.len().saturating_sub(n)).map(|line| line.text.as_str())
    }

    /// Returns the number of bytes before them that were not kept.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    pub(crate) fn push(&mut self, source: LogSource, text: &str, sink: &mut dyn FnMut(&LogLine)) {
        let mut pieces = text.split('\n').peekable();
        while let Some(piece) = pieces.next() {
            // Pieces of standard output and standard error may alternate, so each source has its own line.
            let open = match self.open.iter().position(|line| line.source == source) {
                Some(index) => &mut self.open[index],
                None => {
                    self.open.push(LogLine { source, text: String::new() });
                    self.open.last_mut().unwrap_or_else(|| unreachable!("a line was just pushed"))
                }
            };
            open.text.push_str(piece);
            // A line without end is cut, or it could grow without bound.
            if pieces.peek().is_some() || open.text.len() > self.max_bytes {
                self.close(source, sink);
            }
        }
    }

    pub(crate) fn finish(&mut self, sink: &mut dyn FnMut(&LogLine)) {
        // Collected first, because `close` removes lines from the list.
        for source in self.open.iter().map(|line| line.source).collect::<Vec<_>>() {
            self.close(source, sink);
        }
    }

    fn close(&mut self, source: LogSource, sink: &mut dyn FnMut(&LogLine)) {
        let Some(index) = self.open.iter().position(|line| line.source == source) else { return };
        let mut line = self.open.remove(index);
        // The text could move the cursor or recolour a terminal. An escape sequence may have arrived in pieces, so the
        // line is cleaned as a whole.
        line.text = clean(&line.text);
        if line.text.is_empty() {
            return;
        }
        sink(&line);
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
            self.dropped_bytes += oldest.text.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(transcript: &Transcript) -> Vec<&str> {
        transcript.lines().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_transcript_joins_pieces_into_lines_and_strips_control_characters() {
        let mut transcript = Transcript::new(100);
        let mut seen = Vec::new();
        for (source, piece) in [
            (LogSource::Stdout, "epo"),
            (LogSource::Stderr, "\x1b[31mred\x1b[0m\n"),
            (LogSource::Stdout, "ch 1\nepoch 2"),
        ] {
            transcript.push(source, piece, &mut |line| seen.push(line.text.clone()));
        }
        assert_eq!(seen, ["red", "epoch 1"]);
        transcript.finish(&mut |_| ());
        assert_eq!(texts(&transcript), ["red", "epoch 1", "epoch 2"]);
    }

    #[test]
    fn a_transcript_keeps_the_last_lines_and_counts_the_rest() {
        let mut transcript = Transcript::new(10);
        for line in ["aaaa\n", "bbbb\n", "cccc\n"] {
            transcript.push(LogSource::Stdout, line, &mut |_| ());
        }
        assert_eq!(texts(&transcript), ["bbbb", "cccc"]);
        assert_eq!(transcript.dropped_bytes(), 4);
    }
}
