//! Whether folders can be mounted a second time, as the tests of two nodes do.

use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};

/// Looks for bindfs, for what unmounts, and for the kernel's device.
pub(crate) fn find() -> Result<()> {
    for program in ["bindfs", "fusermount"] {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().with_context(|| format!("`{program}` cannot be started"))?;
    }
    let mut device = std::fs::OpenOptions::new();
    device.read(true).write(true).open("/dev/fuse").context("`/dev/fuse` cannot be opened")?;
    Ok(())
}
