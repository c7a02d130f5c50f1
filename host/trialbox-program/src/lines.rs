//! Lines of bounded length from a stream of bytes.

use thiserror::Error;

/// A line that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected lines of at most {limit} bytes, found a longer one")]
pub(crate) struct LineTooLong {
    pub(crate) limit: usize,
}

/// Collects bytes into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    start: usize,
    limit: usize,
}

impl Lines {
    /// Creates a buffer for lines of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Lines { bytes: Vec::new(), start: 0, limit }
    }

    /// Adds received bytes.
    pub(crate) fn extend(&mut self, received: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(received);
    }

    /// Returns the next whole line without its break, if there is one. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// Fails if a line is longer than the limit.
    pub(crate) fn next(&mut self) -> Result<Option<String>, LineTooLong> {
        let pending = &self.bytes[self.start..];
        let end = pending.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(pending.len()) > self.limit {
            return Err(LineTooLong { limit: self.limit });
        }
        let Some(end) = end else { return Ok(None) };
        let line = String::from_utf8_lossy(&pending[..end]);
        let line = line.strip_suffix('\r').unwrap_or(&line).to_owned();
        self.start += end + 1;
        Ok(Some(line))
    }

    /// Returns the beginning of a line that has not ended.
    pub(crate) fn rest(&self) -> String {
        String::from_utf8_lossy(&self.bytes[self.start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_being_cut_anywhere() {
        let text = "one\r\n\ntwo é\nrest";
        for size in [1, 2, 3, text.len()] {
            let (mut lines, mut found) = (Lines::new(10), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                lines.extend(piece);
                while let Some(line) = lines.next().expect("short lines") {
                    found.push(line);
                }
            }
            assert_eq!(found, ["one", "", "two é"]);
            assert_eq!(lines.rest(), "rest");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_ends() {
        let mut lines = Lines::new(4);
        lines.extend(b"1234\n12345");
        assert_eq!(lines.next(), Ok(Some("1234".to_owned())));
        assert_eq!(lines.next(), Err(LineTooLong { limit: 4 }));
    }
}
