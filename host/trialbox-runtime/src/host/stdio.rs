//! The standard output that the program was started with.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Returns whether the program was started without a standard output, as by `>&-`.
///
/// When `main` starts, std has opened `/dev/null` in its place (`sanitize_standard_fds` in
/// `library/std/src/sys/pal/unix/mod.rs`), and every write succeeds.
pub fn stdout_was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}

// The loader calls the functions of this section before std starts.
#[used]
#[expect(unsafe_code, reason = "a section that the linker must not take for anything else")]
#[unsafe(link_section = ".init_array")]
static BEFORE_STD: extern "C" fn() = note_closed_stdout;

extern "C" fn note_closed_stdout() {
    let flags = rustix::io::fcntl_getfd(std::io::stdout().as_fd());
    WAS_CLOSED.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
}
