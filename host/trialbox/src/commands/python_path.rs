//! `trialbox python-path`: the folder of the Python client, for tests without a trial.

use crate::args::directories::users_cache_dir;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{PythonPathRecord, Rendered};
use std::path::PathBuf;
use trialbox_program::PythonClient;

const EXAMPLES: &str = "\
Examples:
  PYTHONPATH=$(trialbox python-path) python -m pytest          tests of objectives that import trialbox";

/// Print the folder of the Python client, for PYTHONPATH
///
/// `trialbox run` puts it there itself. The client is written to the cache.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PythonPathArgs {
    /// Directory of the cache
    ///
    /// [default: $XDG_CACHE_HOME/trialbox or ~/.cache/trialbox]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl PythonPathArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let help = "give a directory of your own with --cache-dir";
        let cache = match &self.cache_dir {
            Some(path) => std::path::absolute(path)?,
            None => users_cache_dir().ok_or_else(|| {
                let problem =
                    "expected a cache for the Python client, found neither HOME nor XDG_CACHE_HOME";
                CommandError::usage(problem, help)
            })?,
        };
        let client = PythonClient::install(&cache).map_err(|error| {
            CommandError::usage(format!("cannot write the Python client: {error}"), help)
        })?;
        let path = client.folder().display().to_string();
        output.print(&Rendered::new(path.clone(), PythonPathRecord { path }));
        Ok(ExitCode::Done)
    }
}
