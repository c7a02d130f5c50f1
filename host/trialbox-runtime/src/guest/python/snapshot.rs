//! The memory of an interpreter as a file, and its way back into an instance.

use crate::guest::engine::address_space_is_small;
use crate::guest::python::interpreter::Interpreter;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use wasmtime::{Error, Result};

/// The size of a page of WebAssembly.
const PAGE_BYTES: usize = 64 << 10;

/// The line of Python with which the interpreter prepares its snapshot. It is a constant of the module, which is
/// replaced by [`RECIPE_LINE`] in the memory of a new instance.
const LINE: &[u8] = b"import encodings, io, os, sys, json, csv, re, _colorize\0";

/// The line that runs the recipe.
const RECIPE_LINE: &[u8] = b"exec(open('/trialbox/recipe.py').read())";

/// Runs the recipe in a new instance, and leaves an interpreter whose memory is a snapshot.
///
/// `wizer.initialize` starts the interpreter with a fixed seed of its hashes, runs a line, collects garbage, forgets
/// the directories that were granted and clears the unused part of the stack.
pub(crate) fn prepare(interpreter: &mut Interpreter) -> Result<()> {
    interpreter.call("_initialize")?;
    let memory = interpreter.memory.data_mut(&mut interpreter.store);
    let mut places = memory.windows(LINE.len()).enumerate().filter(|(_, bytes)| *bytes == LINE);
    let (Some((place, _)), None) = (places.next(), places.next()) else {
        return Err(Error::msg("the interpreter has not the one line that prepares a snapshot"));
    };
    memory[place..place + LINE.len()].fill(0);
    memory[place..place + RECIPE_LINE.len()].copy_from_slice(RECIPE_LINE);
    interpreter.call("wizer.initialize")
}

/// A snapshot, open for reading.
pub(crate) struct Snapshot {
    file: File,
    bytes: usize,
}

impl Snapshot {
    /// Takes the file of a snapshot.
    ///
    /// # Errors
    /// Fails if its length is not that of a memory.
    pub(crate) fn new(file: File, bytes: u64) -> Result<Self> {
        let bytes = usize::try_from(bytes)?;
        if bytes == 0 || bytes % PAGE_BYTES != 0 {
            return Err(Error::msg(format!("a snapshot has {bytes} bytes, which no memory has")));
        }
        Ok(Snapshot { file, bytes })
    }

    /// Gives a new instance the memory of the snapshot.
    pub(crate) fn restore(&self, interpreter: &mut Interpreter) -> Result<()> {
        let Interpreter { store, memory, .. } = interpreter;
        let found = memory.data_size(&mut *store);
        let missing = self.bytes.checked_sub(found).ok_or_else(|| {
            Error::msg(format!("a snapshot has {} bytes, less than a new memory", self.bytes))
        })?;
        memory.grow(&mut *store, u64::try_from(missing / PAGE_BYTES)?)?;
        // Without reserved addresses a memory that grows moves, and its pages are copied.
        if !address_space_is_small() && self.map(interpreter) {
            return Ok(());
        }
        let memory = interpreter.memory.data_mut(&mut interpreter.store);
        Ok(self.file.read_exact_at(memory, 0)?)
    }

    /// Maps the file over the memory, so that only pages that change are copied. Returns whether the kernel does that.
    #[expect(unsafe_code, reason = "a memory that is a file has no owner in Rust")]
    fn map(&self, interpreter: &Interpreter) -> bool {
        let start = interpreter.memory.data_ptr(&interpreter.store);
        let bytes = interpreter.memory.data_size(&interpreter.store);
        if bytes != self.bytes {
            return false;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let file = std::os::fd::AsRawFd::as_raw_fd(&self.file);
        // SAFETY: the call replaces pages of the memory's accessible part alone: `start` is where it begins, `bytes` is
        // its size, a multiple of 64 KiB, and both come from wasmtime just now; the kernel refuses a start within a
        // page. The instance runs nothing and `interpreter` is borrowed, so nothing refers to the bytes. The mapping is
        // private, as wasmtime's own is: it can be read and written, grows and is unmapped with the rest of the
        // reservation. A file that is cut short would end this process by a signal; it is written aside and renamed,
        // and never changed.
        let found = unsafe { libc::mmap(start.cast(), bytes, access, flags, file, 0) };
        found != libc::MAP_FAILED
    }
}
