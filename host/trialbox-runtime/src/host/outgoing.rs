//! The bytes that wait to be sent to a guest process.
//!
//! The host must not wait for a guest process to read: a signal, the time limit or a heartbeat may be due. So a message
//! is queued, and leaves when the socket takes it. The queue is bounded because the host handles no further message
//! while bytes wait: an honest guest asks one question at a time and reads the answer.

use crate::wire::protocol::{ToGuest, append_frame};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use trialbox_core::study::artifact::Artifact;

/// The queue of bytes for one guest process.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    parts: VecDeque<Part>,
    /// The bytes of the first part that have been sent.
    sent: usize,
}

#[derive(Debug)]
enum Part {
    Frame(Vec<u8>),
    /// The component's bytes, which the host process holds once for all its guest processes.
    Component(Arc<Artifact>),
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match self {
            Part::Frame(bytes) => bytes,
            Part::Component(artifact) => artifact.code(),
        }
    }
}

impl Outgoing {
    /// Returns whether everything has been sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds a message.
    ///
    /// # Errors
    /// Fails if the message is too large for a frame.
    pub(crate) fn push(&mut self, message: &ToGuest) -> io::Result<()> {
        let mut frame = Vec::new();
        append_frame(&mut frame, message)?;
        self.parts.push_back(Part::Frame(frame));
        Ok(())
    }

    /// Adds the component: its length as a message, then its bytes, which are not copied.
    ///
    /// # Errors
    /// Fails if the message is too large for a frame.
    pub(crate) fn push_component(&mut self, artifact: &Arc<Artifact>) -> io::Result<()> {
        self.push(&ToGuest::Component { bytes: artifact.code().len() as u64 })?;
        if !artifact.code().is_empty() {
            self.parts.push_back(Part::Component(Arc::clone(artifact)));
        }
        Ok(())
    }

    /// Sends as much of the first part as a non-blocking socket takes in one call.
    ///
    /// # Errors
    /// Fails if the other end is closed.
    pub(crate) fn send_some(&mut self, to: &mut impl Write) -> io::Result<()> {
        let Some(part) = self.parts.front() else { return Ok(()) };
        let bytes = part.bytes();
        match to.write(&bytes[self.sent..]) {
            Ok(length) => self.sent += length,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
        if self.sent == bytes.len() {
            self.parts.pop_front();
            self.sent = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use trialbox_core::study::artifact::ArtifactKind;

    #[test]
    fn a_component_is_sent_whole_through_a_socket_that_takes_a_part_at_a_time() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        let artifact = Arc::new(Artifact {
            path: "x.wasm".into(),
            stored: None,
            kind: ArtifactKind::Component,
            bytes,
            sha256: String::new(),
            contract_version: String::new(),
            imports: vec![],
            exports: vec![],
            archive: None,
        });
        let (mut host, mut guest) = UnixStream::pair().expect("a pair of sockets");
        host.set_nonblocking(true).expect("a socket");
        let mut outgoing = Outgoing::default();
        outgoing.push_component(&artifact).expect("a short message");
        outgoing.push(&ToGuest::Bool(true)).expect("a short message");
        // The socket is full long before the end, and the call returns all the same.
        for _ in 0..100 {
            outgoing.send_some(&mut host).expect("the guest's end is open");
        }
        assert!(!outgoing.is_empty());
        assert_eq!(Arc::strong_count(&artifact), 2, "its bytes are shared");
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            guest.read_to_end(&mut received).map(|_| received)
        });
        while !outgoing.is_empty() {
            outgoing.send_some(&mut host).expect("the guest's end is open");
        }
        drop(host);
        let received = reader.join().expect("it does not panic").expect("a socket");
        let mut want = Vec::new();
        append_frame(&mut want, &ToGuest::Component { bytes: 3_000_000 }).expect("a vector");
        want.extend_from_slice(&artifact.bytes);
        append_frame(&mut want, &ToGuest::Bool(true)).expect("a vector");
        assert!(received == want);
    }

    #[test]
    fn a_closed_socket_is_an_error() {
        let (mut host, guest) = UnixStream::pair().expect("a pair of sockets");
        host.set_nonblocking(true).expect("a socket");
        drop(guest);
        let mut outgoing = Outgoing::default();
        outgoing.push(&ToGuest::Bool(true)).expect("a short message");
        outgoing.send_some(&mut host).expect_err("the guest's end is closed");
    }
}
