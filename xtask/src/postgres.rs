//! Finds out whether a PostgreSQL server can be started here, as the tests of servers do.

use crate::shell;
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// The variable that asks the tests of storages for a server.
pub(crate) const WANTED: &str = "TRIALBOX_TEST_POSTGRES";

/// Looks for PostgreSQL's programs where Debian has them, and for what starts the server as another user.
pub(crate) fn find() -> Result<()> {
    shell::find("setpriv")?;
    let releases = std::fs::read_dir("/usr/lib/postgresql").context("it is not installed")?;
    let is_whole = |folder: PathBuf| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|program| folder.join("bin").join(program).exists())
    };
    let found = releases.flatten().any(|release| is_whole(release.path()));
    anyhow::ensure!(found, "/usr/lib/postgresql has no release with initdb, postgres and psql");
    Ok(())
}
