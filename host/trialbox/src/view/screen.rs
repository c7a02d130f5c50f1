//! A terminal that is drawn as a whole, and its keys.

use crate::view::output::{Output, terminal_size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use std::io::{self, IsTerminal as _};
use std::time::Duration;
use trialbox_report::{Line, Style};

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Up,
    Down,
    Enter,
    Escape,
    /// Control and C, or the end of the input.
    End,
    Char(char),
}

/// A terminal that shows one screen in place of its lines. They come back when it is dropped.
pub(crate) struct Screen<'a> {
    output: &'a Output,
    before: Termios,
    has_colors: bool,
}

/// The size of a terminal that does not say its own.
const USUAL_SIZE: (usize, usize) = (80, 24);

impl<'a> Screen<'a> {
    /// Takes the terminal over; `None` if the standard input or output is none.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(crate) fn open(output: &'a Output) -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || terminal_size().is_none() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        // Keys arrive one by one and are not shown. Control and C is a key too, so that the terminal is given back.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        // The alternate screen, without a cursor (xterm's control sequences, "DEC private mode set").
        output.write_screen("\u{1b}[?1049h\u{1b}[?25l");
        let has_colors = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Some(Screen { output, before, has_colors }))
    }

    /// Returns the columns and the rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        terminal_size().unwrap_or(USUAL_SIZE)
    }

    /// Shows lines in place of what was there.
    pub(crate) fn draw(&self, lines: &[Line]) {
        let mut text = String::from("\u{1b}[H");
        for (index, line) in lines.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { "\r\n" });
            text.push_str(&self.styled(line));
        }
        self.output.write_screen(&text);
    }

    fn styled(&self, line: &Line) -> String {
        let code = match (line.style, self.has_colors) {
            (Style::Chosen, _) => "7",
            (Style::Heading, _) => "1",
            (Style::Good, true) => "32",
            (Style::Bad, true) => "31",
            (Style::Soft, true) => "2",
            _ => "0",
        };
        format!("\u{1b}[{code}m{}\u{1b}[0m\u{1b}[K", line.text)
    }

    /// Waits for keys, at most this long.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(crate) fn keys(&self, wait: Duration) -> io::Result<Vec<Key>> {
        let stdin = io::stdin();
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            // A signal, such as that of a new size.
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(vec![]),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64];
        let n_read = rustix::io::read(&stdin, &mut bytes)?;
        Ok(if n_read == 0 { vec![Key::End] } else { read_keys(&bytes[..n_read]) })
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        self.output.write_screen("\u{1b}[?25h\u{1b}[?1049l");
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Reads keys from a terminal's bytes.
fn read_keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let (key, n_bytes) = match (first, after) {
            (0x1b, [b'[' | b'O', b'A', ..]) => (Some(Key::Up), 3),
            (0x1b, [b'[' | b'O', b'B', ..]) => (Some(Key::Down), 3),
            (0x1b, [b'[' | b'O', ..]) => (None, rest.len()),
            (0x1b, _) => (Some(Key::Escape), 1),
            (b'\r' | b'\n', _) => (Some(Key::Enter), 1),
            (3 | 4, _) => (Some(Key::End), 1),
            (byte, _) if byte.is_ascii_graphic() => (Some(Key::Char(char::from(*byte))), 1),
            _ => (None, 1),
        };
        keys.extend(key);
        rest = &rest[n_bytes..];
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_bytes() {
        let keys = [Key::Up, Key::Down, Key::Char('q'), Key::Enter, Key::Escape];
        assert_eq!(read_keys(b"\x1b[A\x1bOBq\r\x1b"), keys);
        assert_eq!(read_keys(b"\x1b[15~"), []);
        assert_eq!(read_keys(b"\x03"), [Key::End]);
        assert_eq!(read_keys("é".as_bytes()), []);
    }
}
