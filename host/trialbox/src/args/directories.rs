//! The directories of the user's that trialbox takes without being told.

use std::path::PathBuf;

/// Returns the directory of compiled code that all jobs of the user share.
pub(crate) fn users_cache_dir() -> Option<PathBuf> {
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(cache?.join("trialbox"))
}

/// Returns the directory of the user's settings.
pub(crate) fn users_config_dir() -> Option<PathBuf> {
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Some(config?.join("trialbox"))
}

/// Returns the directory of the key under which compiled code is written and read. No grant may contain it.
pub(crate) fn cache_key_dir() -> Option<PathBuf> {
    let state = absolute("XDG_STATE_HOME");
    Some(state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?.join("trialbox"))
}

/// Returns the directory of compiled code of this job alone, on its node.
pub(crate) fn jobs_cache_dir() -> Option<PathBuf> {
    Some(absolute("SLURM_TMPDIR")?.join("trialbox"))
}

/// Returns an absolute path of the environment.
fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Returns the directory of runtimes.
pub(crate) fn users_runtime_dir() -> Option<PathBuf> {
    Some(users_data_dir()?.join("runtimes"))
}

/// Returns the directory of shared objectives.
pub(crate) fn users_store_dir() -> Option<PathBuf> {
    Some(users_data_dir()?.join("store"))
}

fn users_data_dir() -> Option<PathBuf> {
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    Some(data?.join("trialbox"))
}
