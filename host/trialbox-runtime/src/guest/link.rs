//! The guest process's end of the socket.

use crate::wire::protocol::{FromGuest, ToGuest, append_frame, read_frame};
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::Result;

/// How much of the guest's standard error is kept here, to quote a panic from.
const STDERR_TAIL_BYTES: usize = 64 << 10;

/// Output is passed on in pieces of at most this size, well below the largest frame.
const OUTPUT_PIECE_BYTES: usize = 64 << 10;

/// How long a message that can wait is kept back at most, so that many go out in one system call.
const PATIENCE: Duration = Duration::from_millis(5);

/// How much may be kept back.
const PATIENCE_BYTES: usize = 32 << 10;

/// The socket to the host process, shared by all that speaks on it.
#[derive(Debug, Clone)]
pub(crate) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Told when something is kept back.
    kept_back: Condvar,
}

#[derive(Debug)]
struct Inner {
    stream: UnixStream,
    unsent: Vec<u8>,
    last_sent: Instant,
    has_sender: bool,
    /// Whether the sender knows that something is kept back, or was a moment ago.
    sender_is_told: bool,
    has_hung_up: bool,
    stderr_tail: String,
}

impl Link {
    pub(crate) fn new(stream: UnixStream) -> Self {
        let inner = Inner {
            stream,
            unsent: Vec::new(),
            last_sent: Instant::now(),
            has_sender: false,
            sender_is_told: false,
            has_hung_up: false,
            stderr_tail: String::new(),
        };
        Link(Arc::new(Shared { inner: Mutex::new(inner), kept_back: Condvar::new() }))
    }

    /// Sends a message, and before it what was kept back.
    pub(crate) fn send(&self, message: &FromGuest) -> Result<()> {
        let mut inner = self.lock();
        append_frame(&mut inner.unsent, message)?;
        Ok(inner.flush()?)
    }

    /// Sends a message of which there may be very many, within [`PATIENCE`]. At once if none was sent for so long.
    pub(crate) fn send_soon(&self, message: &FromGuest) -> Result<()> {
        let mut inner = self.lock();
        append_frame(&mut inner.unsent, message)?;
        if inner.unsent.len() >= PATIENCE_BYTES
            || inner.last_sent.elapsed() >= PATIENCE
            || !self.has_sender(&mut inner)
        {
            return Ok(inner.flush()?);
        }
        // Once in a while, and not with each message: a thread that is woken up wants the lock, which whoever
        // asks holds until the answer is there.
        if !std::mem::replace(&mut inner.sender_is_told, true) {
            self.0.kept_back.notify_one();
        }
        Ok(())
    }

    /// The host process's next message; `None` when it has closed.
    pub(crate) fn receive(&self) -> Result<Option<ToGuest>> {
        Ok(read_frame(&mut self.lock().stream)?)
    }

    /// Asks, and waits for the answer. No answer comes to a question that breaks a rule.
    pub(crate) fn ask(&self, question: &FromGuest) -> Result<ToGuest> {
        self.send(question)?;
        self.receive()?.ok_or_else(|| wasmtime::Error::msg("the host has ended the trial"))
    }

    /// Passes on what the guest printed.
    pub(crate) fn output(&self, stderr: bool, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(OUTPUT_PIECE_BYTES) {
            self.send(&FromGuest::Output { stderr, bytes: piece.to_vec() })?;
        }
        if stderr {
            let tail = &mut self.lock().stderr_tail;
            tail.push_str(&String::from_utf8_lossy(bytes));
            if tail.len() > STDERR_TAIL_BYTES {
                let keep_from = tail.ceil_char_boundary(tail.len() - STDERR_TAIL_BYTES);
                tail.drain(..keep_from);
            }
        }
        Ok(())
    }

    /// How much can be written to [`Self::output`] at once, in bytes.
    pub(crate) fn output_piece(&self) -> usize {
        OUTPUT_PIECE_BYTES
    }

    /// The last that the guest printed to its standard error.
    pub(crate) fn take_stderr_tail(&self) -> String {
        std::mem::take(&mut self.lock().stderr_tail)
    }

    /// Whether there is a thread that sends what is kept back; the first time it is started. The guest may fall
    /// silent for hours after a message, and nobody else would send it.
    fn has_sender(&self, inner: &mut Inner) -> bool {
        if !inner.has_sender {
            let link = self.clone();
            let sender = std::thread::Builder::new().name("sender".to_owned());
            inner.has_sender = sender.spawn(move || link.send_what_is_kept_back()).is_ok();
        }
        inner.has_sender
    }

    fn send_what_is_kept_back(&self) {
        let mut inner = self.lock();
        loop {
            while !inner.sender_is_told {
                inner = self.0.kept_back.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
            drop(inner);
            std::thread::sleep(PATIENCE);
            inner = self.lock();
            inner.sender_is_told = false;
            if inner.has_hung_up || inner.flush().is_err() {
                // The host process has gone, and the thread that runs the guest learns it by itself.
                return;
            }
        }
    }

    /// Closes the socket, whoever still has it, and has the thread that sends end. A process that ends does as much.
    pub(crate) fn hang_up(&self) {
        let mut inner = self.lock();
        let _ = inner.stream.shutdown(std::net::Shutdown::Both);
        (inner.has_hung_up, inner.sender_is_told) = (true, true);
        self.0.kept_back.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        self.last_sent = Instant::now();
        let sent = self.stream.write_all(&self.unsent);
        self.unsent.clear();
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protocol::FrameBuffer;
    use std::io::Read as _;

    /// Reads until so many messages have come; gives them as text.
    fn receive(host: &mut UnixStream, count: usize) -> Vec<String> {
        let (mut frames, mut received) = (FrameBuffer::default(), Vec::new());
        let mut bytes = [0; 4096];
        while received.len() < count {
            let length = host.read(&mut bytes).expect("the guest's end is open");
            assert!(length > 0, "closed after {received:?}");
            frames.extend(&bytes[..length]);
            while let Some(message) = frames.next().expect("whole frames") {
                received.push(format!("{message:?}"));
            }
        }
        received
    }

    #[test]
    fn what_can_wait_arrives_by_itself_and_in_order_before_what_cannot() {
        let (guest, mut host) = UnixStream::pair().expect("a pair of sockets");
        let link = Link::new(guest);
        let report = |step| FromGuest::Report { value: 0.5, step };
        for step in 0..100 {
            link.send_soon(&report(step)).expect("the host's end is open");
        }
        // Nothing else is said, and still everything comes.
        let want: Vec<String> = (0..100).map(|step| format!("{:?}", report(step))).collect();
        assert_eq!(receive(&mut host, 100), want);
        link.send_soon(&report(100)).expect("the host's end is open");
        link.send(&FromGuest::ShouldPrune).expect("the host's end is open");
        assert_eq!(receive(&mut host, 2), [format!("{:?}", report(100)), "ShouldPrune".to_owned()]);
    }
}
