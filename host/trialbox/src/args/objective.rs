//! The flags that say how an objective is run, shared by `run`, `eval` and `inspect`.

use crate::args;
use crate::args::grants::{DirArg, check_data, parse_dir, parse_env};
use crate::args::limit::{LimitArg, parse_limit};
use crate::args::storage::{parse_bytes, parse_duration};
use crate::error::CommandError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::door::{Door, Loaded, Rejection, RejectionCode};
use trialbox_core::study::artifact::{Artifact, DataSource};
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::study::record::METRIC_NAMES;
use trialbox_core::{Json, StudyDirection};
use trialbox_runtime::{Cancellation, Grant, Isolation, SandboxConfig, open};

/// What an objective may see and use.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct ObjectiveArgs {
    /// Let the objective see a directory, read-only unless `:rw` is added
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro|rw]", value_parser = parse_dir)]
    dirs: Vec<DirArg>,

    /// Set an environment variable for the objective; it inherits none
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_env)]
    env: Vec<(String, String)>,

    /// The most memory that the objective may use; remembered by a study that begins with it [default: 4GiB,
    /// or in a job of Slurm's what that has, less a reserve]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) max_memory: Option<u64>,

    /// How long one trial may take, such as 90s or 2h; remembered by a study that begins with it [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) trial_timeout: Option<Duration>,

    /// Make the objective give the same bits on every machine: clocks that count, sorted directories, one bit pattern
    /// for NaN, and no remaining time; tight floating-point loops take 1.4 to 2.8 times as long. Remembered by a
    /// study that begins with it
    #[arg(long)]
    pub(crate) deterministic: bool,

    /// How many instructions one trial may execute, about; counting them makes tight loops twice as slow.
    /// Remembered by a study that begins with it [default: not counted]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fuel: Option<u64>,

    /// How long loading or compiling may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    compile_timeout: Duration,

    /// Move another limit, such as stack=4MiB or payload=8MiB; the names are in `trialbox run --help`. Remembered by
    /// a study that begins with it
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_limit)]
    pub(crate) limit: Vec<LimitArg>,

    /// Where compiled code is kept [default: the user's cache directory]
    #[arg(long, value_name = "DIR", env = "TRIALBOX_CACHE_DIR", hide_env_values = true)]
    cache_dir: Option<PathBuf>,

    /// Compile anew, and keep nothing
    #[arg(long)]
    no_cache: bool,

    /// Where the objective's code runs. `thread`, of this process, is for tests and benchmarks: no lockdown, and no
    /// protection from a compiler that eats the machine
    #[arg(long, value_enum, default_value_t, hide_short_help = true)]
    pub(crate) isolation: IsolationArg,
}

/// The way to get an objective ready, with the flags resolved.
pub(crate) struct ObjectivePlan {
    artifact: Arc<Artifact>,
    config: SandboxConfig,
}

/// An objective that is ready to be called.
pub(crate) struct ReadyObjective {
    pub(crate) door: Box<dyn Door>,
    pub(crate) loaded: Loaded,
}

impl ObjectiveArgs {
    /// The limits, as far as the command line sets them.
    pub(crate) fn limits(&self) -> Limits {
        self.limits_over(Limits::default())
    }

    /// The limits that the command line sets, and others where it says nothing.
    pub(crate) fn limits_over(&self, mut limits: Limits) -> Limits {
        if let Some(bytes) = self.max_memory {
            limits.set(Limit::Memory, Some(bytes));
        }
        if let Some(timeout) = self.trial_timeout {
            limits.set(Limit::TrialTime, Some(millis(timeout)));
        }
        if self.fuel.is_some() {
            limits.set(Limit::Fuel, self.fuel);
        }
        limits.set(Limit::CompileTime, Some(millis(self.compile_timeout)));
        args::limit::apply(&self.limit, &mut limits);
        limits
    }

    /// The names of the environment variables that the objective gets.
    pub(crate) fn env_names(&self) -> impl Iterator<Item = &str> {
        self.env.iter().map(|(name, _)| name.as_str())
    }

    /// The directories that the objective may see, after a look at each.
    pub(crate) fn grants(&self) -> Result<Vec<Grant>, CommandError> {
        self.dirs.iter().map(DirArg::resolve).collect()
    }

    /// Resolves the flags for one objective.
    ///
    /// # Errors
    /// When a directory to be granted is missing.
    pub(crate) fn plan(
        &self,
        artifact: &Arc<Artifact>,
        stops: &Cancellation,
    ) -> Result<ObjectivePlan, CommandError> {
        let config = SandboxConfig {
            program: std::env::current_exe()?,
            isolation: self.isolation.into(),
            cache_dirs: self.cache_dirs(),
            grants: self.grants()?,
            env: self.env.clone(),
            deterministic: self.deterministic,
            limits: self.limits(),
            cancellation: stops.clone(),
        };
        Ok(ObjectivePlan { artifact: Arc::clone(artifact), config })
    }

    /// Gets the objective ready.
    pub(crate) fn load(
        &self,
        artifact: &Arc<Artifact>,
        stops: &Cancellation,
    ) -> Result<ReadyObjective, CommandError> {
        self.plan(artifact, stops)?.load()
    }

    /// Checks that the data that the objective reads is granted and there.
    pub(crate) fn check_data(&self, loaded: &Loaded) -> Result<(), CommandError> {
        check_data(described_data(loaded), &self.grants()?)
    }

    /// Where compiled code is looked for and kept: `$XDG_CACHE_HOME/trialbox`, or `~/.cache/trialbox`, which all
    /// jobs share; where that cannot be written, a job's own directory on its node, if there is one.
    fn cache_dirs(&self) -> Vec<PathBuf> {
        if self.no_cache {
            return vec![];
        }
        if let Some(path) = &self.cache_dir {
            return vec![std::path::absolute(path).unwrap_or_else(|_| path.clone())];
        }
        [users_cache_dir(), jobs_cache_dir()].into_iter().flatten().collect()
    }
}

impl ObjectivePlan {
    /// Returns the file of the objective.
    pub(crate) fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Returns the directories that the objective may see.
    pub(crate) fn grants(&self) -> &[Grant] {
        &self.config.grants
    }

    /// Checks that the data that the objective reads is granted and there.
    pub(crate) fn check_data(&self, loaded: &Loaded) -> Result<(), CommandError> {
        check_data(described_data(loaded), self.grants())
    }

    /// Opens the objective and waits until it is ready.
    pub(crate) fn load(&self) -> Result<ReadyObjective, CommandError> {
        let mut door = open(&self.artifact, self.config.clone())?;
        let loaded = door.describe()?;
        check_described_name(&loaded)?;
        check_metrics(&loaded)?;
        if let Some(problem) = &loaded.cache_problem {
            tracing::warn!(%problem, "compiled code could not be kept; every trial will compile anew");
        }
        let is_process = self.config.isolation == Isolation::Process;
        if is_process && loaded.landlock_abi == 0 {
            tracing::info!(
                "this kernel offers no Landlock: WebAssembly alone keeps the objective from files that are not granted"
            );
        }
        if is_process && !loaded.seccomp {
            tracing::info!(
                "this kernel offers no filter of system calls (seccomp): WebAssembly alone keeps the objective from them"
            );
        }
        if loaded.small_address_space {
            tracing::info!(
                "the address space is limited (ulimit -v): memory is checked in code, 1.3 to 1.7 times slower"
            );
        }
        Ok(ReadyObjective { door, loaded })
    }
}

/// Where compiled code is kept if nothing else is said, for all jobs of the user.
pub(crate) fn users_cache_dir() -> Option<PathBuf> {
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(cache?.join("trialbox"))
}

/// Where it is kept for one job alone, on its node.
pub(crate) fn jobs_cache_dir() -> Option<PathBuf> {
    Some(absolute("SLURM_TMPDIR")?.join("trialbox"))
}

/// An absolute path that the environment gives.
fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// More values than a study can be shown with; each would be a row of the study.
const MAX_METRICS: usize = 100;

fn check_metrics(loaded: &Loaded) -> Result<(), Rejection> {
    let n_metrics = loaded.description.as_ref().map_or(0, |description| description.metrics.len());
    if n_metrics <= MAX_METRICS {
        return Ok(());
    }
    Err(Rejection {
        code: RejectionCode::Abi,
        message: format!("the objective describes {n_metrics} values; {MAX_METRICS} are the most"),
        help: Some("return fewer values, and keep the others as user attributes".to_owned()),
    })
}

/// Studies are named after objectives, so the contract says which names there are; an empty one counts as none.
fn check_described_name(loaded: &Loaded) -> Result<(), Rejection> {
    let name = loaded.description.as_ref().map_or("", |description| &description.name);
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() <= 128 && name.chars().all(is_fine) {
        return Ok(());
    }
    let shown: String = name.chars().take(128).collect();
    Err(Rejection {
        code: RejectionCode::Abi,
        message: format!(
            "the objective says that its name is `{shown}`; a name has 1 to 128 of a-z, A-Z, 0-9, `-`, `_` and `.`"
        ),
        help: Some("rename it in its `describe`".to_owned()),
    })
}

/// Returns the data that an objective says it reads.
fn described_data(loaded: &Loaded) -> &[DataSource] {
    loaded.description.as_ref().map_or(&[], |description| &description.data)
}

/// A time as limits count it.
fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The name of an objective without a description: its file's.
pub(crate) fn objective_name(loaded: &Loaded, path: &Path) -> String {
    let described = loaded.description.as_ref().map(|description| description.name.clone());
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    described
        .filter(|name| !name.is_empty())
        .or_else(stem)
        .unwrap_or_else(|| "objective".to_owned())
}

/// The directions of an objective's values, if it says so.
pub(crate) fn described_directions(loaded: &Loaded) -> Option<Vec<StudyDirection>> {
    let metrics = &loaded.description.as_ref()?.metrics;
    let direction =
        |maximize| if maximize { StudyDirection::Maximize } else { StudyDirection::Minimize };
    Some(metrics.iter().map(|metric| direction(metric.maximize)).collect())
        .filter(|found: &Vec<_>| !found.is_empty())
}

/// The attribute that holds the names of an objective's values, if it names every one.
pub(crate) fn metric_names_attr(loaded: &Loaded) -> Option<(String, Json)> {
    let names = described_metric_names(loaded)?.into_iter().map(Json::from).collect();
    Some((METRIC_NAMES.to_owned(), Json::Array(names)))
}

/// What the component calls its objectives, if it names them all.
pub(crate) fn described_metric_names(loaded: &Loaded) -> Option<Vec<String>> {
    loaded.description.as_ref()?.metrics.iter().map(|metric| metric.name.clone()).collect()
}

/// Where code runs, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum IsolationArg {
    #[default]
    Process,
    Thread,
}

impl From<IsolationArg> for Isolation {
    fn from(isolation: IsolationArg) -> Self {
        match isolation {
            IsolationArg::Process => Isolation::Process,
            IsolationArg::Thread => Isolation::Thread,
        }
    }
}

/// A direction on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum DirectionArg {
    Minimize,
    Maximize,
}

impl From<DirectionArg> for StudyDirection {
    fn from(direction: DirectionArg) -> Self {
        match direction {
            DirectionArg::Minimize => StudyDirection::Minimize,
            DirectionArg::Maximize => StudyDirection::Maximize,
        }
    }
}

/// How many objectives there are, and in which direction each goes: `2 objectives (minimize, maximize)`.
pub(crate) fn count_directions(directions: &[StudyDirection]) -> String {
    let objectives = if directions.len() == 1 { "objective" } else { "objectives" };
    format!("{} {objectives} ({})", directions.len(), show_directions(directions))
}

/// Several directions as people read them.
pub(crate) fn show_directions(directions: &[StudyDirection]) -> String {
    directions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
