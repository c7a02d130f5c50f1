//! Finds out whether a Slurm cluster can be started here, as the tests on one do.

use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// Looks for Slurm's programs and for what starts its daemons.
pub(crate) fn find() -> Result<()> {
    // Where Debian has the daemons, users do not look.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    for program in ["slurmctld", "slurmd", "sbatch", "scontrol", "setpriv"] {
        // Slurm's commands cannot even show their version without a configuration.
        let mut command = Command::new("sh");
        command.args(["-c", "command -v \"$0\"", program]).env("PATH", &path);
        let status = command.stdout(Stdio::null()).status().context("`sh` cannot be started")?;
        anyhow::ensure!(status.success(), "`{program}` is missing");
    }
    Ok(())
}

/// Looks for Slurm's programs, and for a freezer hierarchy of cgroups version 1 in which cgroups can be made.
pub(crate) fn find_with_freezer() -> Result<()> {
    find()?;
    let freezer = Path::new("/sys/fs/cgroup/freezer");
    let probe = freezer.join(format!("trialbox-{}", std::process::id()));
    std::fs::create_dir(&probe).with_context(|| format!("failed to make {}", probe.display()))?;
    // A plain folder has no such file.
    let is_freezer = probe.join("freezer.state").exists();
    std::fs::remove_dir(&probe)?;
    anyhow::ensure!(
        is_freezer,
        "expected a freezer hierarchy, found a folder: {}",
        freezer.display()
    );
    Ok(())
}
