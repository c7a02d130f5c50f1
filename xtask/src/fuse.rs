//! Finds out whether folders can be mounted a second time, as the tests of two nodes do.

use crate::shell;
use anyhow::{Context as _, Result};

/// Looks for bindfs, for what unmounts, and for the kernel's device.
pub(crate) fn find() -> Result<()> {
    for program in ["bindfs", "fusermount"] {
        shell::find(program)?;
    }
    let mut device = std::fs::OpenOptions::new();
    device.read(true).write(true).open("/dev/fuse").context("`/dev/fuse` cannot be opened")?;
    Ok(())
}
