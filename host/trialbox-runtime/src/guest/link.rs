//! The guest process's end of the socket.

use crate::wire::protocol::{FromGuest, ToGuest, append_frame, read_frame};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::Result;

/// The bytes of the guest's standard error that are kept to quote a panic from.
const STDERR_TAIL_BYTES: usize = 64 << 10;

/// The largest piece of output in one message, well below the largest frame.
const OUTPUT_PIECE_BYTES: usize = 64 << 10;

/// The longest delay of a message that can wait, so that many leave in one system call.
const SEND_TIMEOUT: Duration = Duration::from_millis(5);

/// The size of the buffer at which delayed messages leave immediately.
const MAX_UNSENT_BYTES: usize = 32 << 10;

/// The socket to the host process, shared by all senders.
#[derive(Debug, Clone)]
pub(crate) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Notified when a message is delayed.
    delayed: Condvar,
}

#[derive(Debug)]
struct Inner {
    stream: UnixStream,
    unsent: Vec<u8>,
    last_sent: Instant,
    has_sender: bool,
    /// True if the sender was notified of a delayed message and has not sent it yet.
    sender_is_notified: bool,
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
            sender_is_notified: false,
            has_hung_up: false,
            stderr_tail: String::new(),
        };
        Link(Arc::new(Shared { inner: Mutex::new(inner), delayed: Condvar::new() }))
    }

    /// Sends the delayed messages and then this one.
    pub(crate) fn send(&self, message: &FromGuest) -> Result<()> {
        let mut inner = self.lock();
        append_frame(&mut inner.unsent, message)?;
        Ok(inner.flush()?)
    }

    /// Sends a message of a frequent kind within [`SEND_TIMEOUT`]; immediately if none was sent for that long.
    pub(crate) fn send_soon(&self, message: &FromGuest) -> Result<()> {
        let mut inner = self.lock();
        append_frame(&mut inner.unsent, message)?;
        if inner.unsent.len() >= MAX_UNSENT_BYTES
            || inner.last_sent.elapsed() >= SEND_TIMEOUT
            || !self.has_sender(&mut inner)
        {
            return Ok(inner.flush()?);
        }
        // A notified thread takes the lock, for which a caller that waits for an answer would have to wait. So the
        // sender is notified once per delay and not with each message.
        if !std::mem::replace(&mut inner.sender_is_notified, true) {
            self.0.delayed.notify_one();
        }
        Ok(())
    }

    /// Waits for the host process's next message; returns `None` when the host process has closed the socket.
    pub(crate) fn receive(&self) -> Result<Option<ToGuest>> {
        Ok(read_frame(&mut self.lock().stream)?)
    }

    /// Waits for bytes that follow a message.
    pub(crate) fn receive_bytes(&self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length)?];
        self.lock().stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends a call and waits for the answer. A call that breaks a rule gets none: the host process ends this process.
    pub(crate) fn ask(&self, question: &FromGuest) -> Result<ToGuest> {
        self.send(question)?;
        self.receive()?.ok_or_else(|| wasmtime::Error::msg("the host has ended the trial"))
    }

    /// Sends output of the guest.
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

    /// Returns the number of bytes that one call of [`Self::output`] should get.
    pub(crate) fn output_piece(&self) -> usize {
        OUTPUT_PIECE_BYTES
    }

    /// Takes the end of the guest's standard error.
    pub(crate) fn take_stderr_tail(&self) -> String {
        std::mem::take(&mut self.lock().stderr_tail)
    }

    /// Starts the thread that sends delayed messages, if it can be started.
    pub(crate) fn start_sender(&self) {
        let mut inner = self.lock();
        self.has_sender(&mut inner);
    }

    /// Starts the thread that sends delayed messages, if it does not run, and returns whether it runs. Without the
    /// thread, a message would wait for the next one, which may be hours away.
    fn has_sender(&self, inner: &mut Inner) -> bool {
        if !inner.has_sender {
            let link = self.clone();
            let sender = std::thread::Builder::new().name("sender".to_owned());
            inner.has_sender = sender.spawn(move || link.send_delayed()).is_ok();
        }
        inner.has_sender
    }

    fn send_delayed(&self) {
        let mut inner = self.lock();
        loop {
            while !inner.sender_is_notified {
                inner = self.0.delayed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
            drop(inner);
            std::thread::sleep(SEND_TIMEOUT);
            inner = self.lock();
            inner.sender_is_notified = false;
            if inner.has_hung_up || inner.flush().is_err() {
                // The host process has gone. The thread that runs the guest notices that at its next message.
                return;
            }
        }
    }

    /// Closes the socket for all holders and ends the sending thread, as the end of a process would.
    pub(crate) fn hang_up(&self) {
        let mut inner = self.lock();
        let _ = inner.stream.shutdown(std::net::Shutdown::Both);
        (inner.has_hung_up, inner.sender_is_notified) = (true, true);
        self.0.delayed.notify_one();
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

    /// Reads until this many messages have arrived, and returns them as text.
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
        // Without a further message, the delayed ones still arrive.
        let want: Vec<String> = (0..100).map(|step| format!("{:?}", report(step))).collect();
        assert_eq!(receive(&mut host, 100), want);
        link.send_soon(&report(100)).expect("the host's end is open");
        link.send(&FromGuest::ShouldPrune).expect("the host's end is open");
        assert_eq!(receive(&mut host, 2), [format!("{:?}", report(100)), "ShouldPrune".to_owned()]);
    }
}
