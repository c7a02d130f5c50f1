//! The flags of the sandbox, shared by `run`, `eval` and `inspect`, and the objective behind them.

use crate::args;
use crate::args::archive::{check_described, check_own_data, check_runtime};
use crate::args::data::check_data;
use crate::args::directories::{cache_key_dir, jobs_cache_dir, users_cache_dir};
use crate::args::grants::{DirArg, parse_dir, parse_env};
use crate::args::limit::{LimitArg, parse_limit};
use crate::args::program::ProgramArgs;
use crate::args::quantity::{parse_duration, parse_memory};
use crate::args::runtime::RuntimeArgs;
use crate::args::sharing::SharingArgs;
use crate::args::trusted::TrustedPlaces;
use crate::error::CommandError;
use crate::own_program::own_program;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use trialbox_core::session::door::{Door, Loaded, Rejection, RejectionCode};
use trialbox_core::session::objective::Interruption;
use trialbox_core::space::declared::DeclaredSpace;
use trialbox_core::study::artifact::{Artifact, ArtifactKind, DataSource};
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::study::provenance::PROGRAM;
use trialbox_core::study::record::METRIC_NAMES;
use trialbox_core::{Json, StudyDirection};
use trialbox_program::{CommandLine, ProgramConfig, Share, Stops};
use trialbox_runtime::{
    CacheKey, Cancellation, CodeCache, Grant, Isolation, PythonRuntime, SandboxConfig,
    SharedDeadline, WORK_PATH, open, read_artifact,
};

/// The flags of the sandbox.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct ObjectiveArgs {
    /// Grant a directory to the objective
    ///
    /// Read-only unless `:rw` is added. A writable directory may not hold the database, checkpoints, compiled code or
    /// hidden files of your home: grant a subdirectory. [default: no directory]
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro|rw]", value_parser = parse_dir)]
    dirs: Vec<DirArg>,

    /// Set an environment variable of the objective
    ///
    /// The objective inherits none. [default: no variable]
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_env)]
    env: Vec<(String, String)>,

    /// Memory that the objective may use
    ///
    /// Its memories, tables and open directories. The compiler may take as much, and at least 512 MiB. Remembered by a
    /// study that is created with it. [default: 4GiB, or in a Slurm job its memory less a reserve]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) max_memory: Option<u64>,

    /// Time that one trial may take, such as 90s or 2h
    ///
    /// Remembered by a study that is created with it. [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) trial_timeout: Option<Duration>,

    /// Give the same bits on every machine
    ///
    /// Clocks count calls, directories are sorted, NaN has one bit pattern and there is no remaining time. Tight
    /// floating-point loops take 1.4 to 2.8 times as long. Remembered by a study that is created with it.
    #[arg(long)]
    pub(crate) deterministic: bool,

    /// Approximate number of instructions that one trial may execute
    ///
    /// Counting makes tight loops twice as slow. Remembered by a study that is created with it. [default: not counted]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fuel: Option<u64>,

    /// Time that loading and compiling may take
    ///
    /// [default: 5m]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5m",
        hide_default_value = true,
        value_parser = parse_duration
    )]
    compile_timeout: Duration,

    #[command(flatten)]
    pub(crate) runtime: RuntimeArgs,

    #[command(flatten)]
    pub(crate) sharing: SharingArgs,

    /// Change another limit, such as stack=4MiB
    ///
    /// The names are at the end of `trialbox run --help`. Remembered by a study that is created with it.
    /// [default: the limits listed there]
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_limit)]
    pub(crate) limit: Vec<LimitArg>,

    /// Directory of compiled code
    ///
    /// Code is loaded only if it was written under the key in ~/.local/state/trialbox. [default: ~/.cache/trialbox]
    /// [env: TRIALBOX_CACHE_DIR]
    #[arg(long, value_name = "DIR", env = "TRIALBOX_CACHE_DIR", hide_env = true)]
    cache_dir: Option<PathBuf>,

    /// Compile again and keep nothing
    #[arg(long)]
    no_cache: bool,

    /// Place where the objective runs
    ///
    /// `thread` runs it in this process, for tests and benchmarks: without lockdown, and without protection from
    /// a compiler that uses up the machine. [default: process]
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "process|thread",
        hide_short_help = true
    )]
    pub(crate) isolation: IsolationArg,
}

/// The way to get an objective ready, with the flags resolved.
pub(crate) enum ObjectivePlan {
    /// A component, in the sandbox.
    Component(Box<ComponentPlan>),
    /// A program, without a sandbox.
    Program(Box<ProgramConfig>),
}

/// The way to get a component ready.
pub(crate) struct ComponentPlan {
    pub(crate) artifact: Arc<Artifact>,
    config: SandboxConfig,
}

/// An objective that is ready to be called.
pub(crate) struct ReadyObjective {
    pub(crate) door: Box<dyn Door>,
    pub(crate) loaded: Loaded,
}

impl ObjectiveArgs {
    /// Returns the limits of the command line, else the defaults.
    pub(crate) fn limits(&self) -> Limits {
        self.limits_over(Limits::default())
    }

    /// Returns the limits of the command line, else `limits`.
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

    /// Returns the environment variables of the objective.
    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Returns the names of the objective's environment variables.
    pub(crate) fn env_names(&self) -> impl Iterator<Item = &str> {
        self.env.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the directories that the objective may see.
    ///
    /// # Errors
    /// Fails if one of them is missing.
    pub(crate) fn grants(&self) -> Result<Vec<Grant>, CommandError> {
        self.dirs.iter().map(DirArg::resolve).collect()
    }

    /// Returns the grants that an objective has without asking: a file of Python sees the folder in which it lies.
    ///
    /// # Errors
    /// Fails if there is no such folder.
    pub(crate) fn own_grants(&self, artifact: &Artifact) -> Result<Vec<Grant>, CommandError> {
        match (artifact.kind, &artifact.archive) {
            (ArtifactKind::Python, None) => Ok(vec![work_grant(artifact)?]),
            // What an archive holds is granted where it is unpacked.
            (ArtifactKind::Python, Some(_)) | (ArtifactKind::Component, _) => Ok(vec![]),
        }
    }

    /// Resolves the flags for one component. The host trusts the places given, the caches, the program and the user's
    /// home, so no grant may open them.
    ///
    /// # Errors
    /// Fails if a directory to be granted is missing, or opens a place that the host trusts.
    pub(crate) fn plan(
        &self,
        artifact: &Arc<Artifact>,
        stops: &Cancellation,
        trusted: TrustedPlaces,
    ) -> Result<ComponentPlan, CommandError> {
        let (program, mut grants) = (own_program()?, self.grants()?);
        grants.extend(self.own_grants(artifact)?);
        // It creates the key, which no grant may hold: the check needs to see it.
        let cache = self.cache();
        trusted
            .with_caches(self.all_cache_dirs())
            .with_caches(self.runtime.all_dirs())
            .with_secret("the key of compiled code", cache_key_dir().as_deref())
            .with_entry("the program", &program)
            .check(&grants)?;
        let python = match artifact.kind {
            ArtifactKind::Component => None,
            ArtifactKind::Python => {
                let runtime = self.runtime.find().map_err(|found| with_program(found, artifact))?;
                check_runtime(artifact, &runtime)?;
                Some(runtime)
            }
        };
        let config = SandboxConfig {
            program,
            isolation: self.isolation.into(),
            cache,
            python,
            grants,
            env: self.env.clone(),
            deterministic: self.deterministic,
            limits: self.limits(),
            cancellation: stops.clone(),
        };
        Ok(ComponentPlan { artifact: Arc::clone(artifact), config })
    }

    /// Resolves the flags for a program.
    ///
    /// # Errors
    /// Fails if a flag was given that only a sandbox can obey.
    pub(crate) fn plan_program(
        &self,
        command: CommandLine,
        program: &ProgramArgs,
        stops: &Cancellation,
        trusted: TrustedPlaces,
    ) -> Result<ProgramConfig, CommandError> {
        for (flag, is_given) in [
            ("--dir", !self.dirs.is_empty() && !program.is_confined()),
            ("--deterministic", self.deterministic),
            ("--fuel", self.fuel.is_some()),
            ("--isolation", self.isolation == IsolationArg::Thread),
        ] {
            if is_given {
                return Err(CommandError::usage(
                    format!(
                        "expected a component for {flag}, found a program, which runs outside the sandbox"
                    ),
                    match flag {
                        "--dir" => "a program sees all files; --confine leaves it what is granted"
                            .to_owned(),
                        _ => format!(
                            "leave {flag} out: a program sees the clock and the files of the user"
                        ),
                    },
                ));
            }
        }
        let grants: Vec<Grant> =
            self.dirs.iter().map(DirArg::resolve_for_program).collect::<Result<_, _>>()?;
        trusted
            .with_caches(self.all_cache_dirs())
            .with_secret("the key of compiled code", cache_key_dir().as_deref())
            .with_entry("the program", &own_program()?)
            .check(&grants)?;
        let confined = program.confined(&command, &grants)?;
        Ok(ProgramConfig {
            supervisor: own_program()?,
            command,
            env: self.env.clone(),
            python: program.python(self.users_cache().as_deref())?,
            as_optuna: program.as_optuna(),
            value_source: program.value_source(),
            help_without_value: HELP_WITHOUT_VALUE,
            grace: program.grace(),
            share: Share::default(),
            confined,
            limits: self.limits(),
            stops: Arc::new(StopsOfJob(stops.clone())),
        })
    }

    /// Returns the directories of compiled code of all commands, also of those without `--no-cache` or `--cache-dir`.
    fn all_cache_dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.cache_dir.iter().cloned().chain(users_cache_dir()).chain(jobs_cache_dir())
    }

    /// Returns the cache of compiled code. Without the user's key no code in it could be trusted, so there is none.
    fn cache(&self) -> Option<CodeCache> {
        let dirs = self.cache_dirs();
        if dirs.is_empty() {
            return None;
        }
        match cache_key_dir().map(|directory| CacheKey::open(&directory)) {
            Some(Ok(key)) => Some(CodeCache { dirs, key }),
            Some(Err(problem)) => {
                tracing::warn!(%problem, "the cache of compiled code is not used: its key cannot be trusted");
                None
            }
            None => {
                tracing::warn!(
                    "the cache of compiled code is not used: there is no HOME for its key"
                );
                None
            }
        }
    }

    /// Returns the user's cache: that of the flag, else the usual one.
    fn users_cache(&self) -> Option<PathBuf> {
        match &self.cache_dir {
            Some(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            None => users_cache_dir(),
        }
    }

    /// Returns the directories of compiled code: `$XDG_CACHE_HOME/trialbox` or `~/.cache/trialbox`, which all jobs
    /// share, then a job's own directory on its node, for homes that a job cannot write.
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

/// The way in which a program takes part.
pub(crate) const PROGRAMS: &str =
    "a program runs without the sandbox, after `--`: trialbox run -- python train.py";

/// The ways in which a program gives its value.
const HELP_WITHOUT_VALUE: &str = "a script that uses Optuna needs --as-optuna; others call `train.run()` of the Python \
                                  client or `trialbox result VALUE`, or print the value: --value last-line";

/// Adds the other way to run a file of Python.
fn with_program(rejection: Rejection, artifact: &Artifact) -> Rejection {
    if artifact.archive.is_some() {
        return rejection;
    }
    let help = rejection.help.unwrap_or_default();
    let program = format!(
        "or run it without the sandbox, after `--`: trialbox run -- python {}",
        artifact.path.display()
    );
    Rejection { help: Some(format!("{help}; {program}")), ..rejection }
}

/// Returns the grant of the folder of a file of Python.
pub(crate) fn work_grant(artifact: &Artifact) -> Result<Grant, CommandError> {
    let folder = match artifact.path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let host = folder.canonicalize().map_err(|error| {
        CommandError::usage(
            format!("cannot grant `{}` as `{WORK_PATH}`: {error}", folder.display()),
            "give a path that is there",
        )
    })?;
    Ok(Grant::of(host, WORK_PATH.to_owned(), false)?)
}

/// Reads the objective of a command's argument: a file, or a reference to a shared objective if there is no such file.
///
/// # Errors
/// As [`read_artifact`] and [`SharingArgs::read`]. A program, which is a likely mistake, gets advice of its own.
pub(crate) fn read_objective(
    path: &Path,
    limits: &Limits,
    sharing: &SharingArgs,
) -> Result<Artifact, CommandError> {
    if let Some(reference) = SharingArgs::reference(path) {
        return sharing.read(reference, limits);
    }
    let read = read_artifact(path, limits).map_err(|mut rejection| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_program = matches!(extension, Some("sh" | "R" | "r" | "jl" | "ipynb"));
        if is_program && rejection.code == RejectionCode::Invalid {
            rejection.help = Some(PROGRAMS.to_owned());
        }
        rejection
    });
    Ok(read?)
}

impl ObjectivePlan {
    /// Returns whether the objective runs in the sandbox.
    pub(crate) fn is_sandboxed(&self) -> bool {
        matches!(self, ObjectivePlan::Component(_))
    }

    /// Describes the rights of a program, for people; a component is in the sandbox.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            ObjectivePlan::Component(_) => None,
            ObjectivePlan::Program(config) => Some(config.rights_text()),
        }
    }

    /// Returns the directories that the objective may see; a program sees all.
    pub(crate) fn grants(&self) -> &[Grant] {
        match self {
            ObjectivePlan::Component(component) => &component.config.grants,
            ObjectivePlan::Program(_) => &[],
        }
    }

    /// Returns the files that the objective is made of, as far as its command line names them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            ObjectivePlan::Component(component) => vec![component.artifact.file().to_owned()],
            ObjectivePlan::Program(config) => config.command.files(),
        }
    }

    /// Returns the directory of the runtime that the objective needs.
    pub(crate) fn runtime_dir(&self) -> Option<&Path> {
        match self {
            ObjectivePlan::Component(component) => component.runtime().map(PythonRuntime::folder),
            ObjectivePlan::Program(_) => None,
        }
    }

    /// Returns the objective's name: its own, else that of its file.
    pub(crate) fn name(&self, loaded: &Loaded) -> String {
        match self {
            ObjectivePlan::Component(component) => objective_name(loaded, &component.artifact.path),
            ObjectivePlan::Program(config) => {
                config.command.name().unwrap_or_else(|| PROGRAM.to_owned())
            }
        }
    }

    /// Returns the parameters that are declared before a trial; a component has none.
    pub(crate) fn space(&self) -> DeclaredSpace {
        match self {
            ObjectivePlan::Component(_) => DeclaredSpace::default(),
            ObjectivePlan::Program(config) => config.command.space().clone(),
        }
    }

    /// Returns the objective's file or command, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            ObjectivePlan::Component(component) => component.artifact.path.display().to_string(),
            ObjectivePlan::Program(config) => config.command.identity(),
        }
    }

    /// Checks that the data that the objective reads is granted and there.
    pub(crate) fn check_data(&self, loaded: &Loaded) -> Result<(), CommandError> {
        let described = described_data(loaded);
        if let ObjectivePlan::Component(component) = self
            && let Some(archive) = &component.artifact.archive
        {
            return check_data(&check_own_data(archive, described)?, self.grants());
        }
        check_data(described, self.grants())
    }

    /// Opens the objective and waits until it is ready.
    pub(crate) fn load(&self) -> Result<ReadyObjective, CommandError> {
        self.load_with(None)
    }

    /// Opens the objective for one of several workers. A program gets the worker's share of the node.
    pub(crate) fn load_with(&self, share: Option<&Share>) -> Result<ReadyObjective, CommandError> {
        match self {
            ObjectivePlan::Component(component) => component.load(),
            ObjectivePlan::Program(config) => {
                let share = share.cloned().unwrap_or_default();
                let mut door =
                    trialbox_program::open(ProgramConfig { share, ..(**config).clone() });
                let loaded = door.describe()?;
                Ok(ReadyObjective { door, loaded })
            }
        }
    }
}

/// The events outside a trial that end it, for a program.
#[derive(Debug)]
struct StopsOfJob(Cancellation);

impl Stops for StopsOfJob {
    fn pending(&self) -> Option<Interruption> {
        self.0.pending()
    }

    fn remaining(&self) -> Option<Duration> {
        self.0.job_end.as_deref().and_then(SharedDeadline::remaining)
    }

    fn until_last_moment(&self) -> Option<Duration> {
        self.0.last_moment.as_deref().and_then(SharedDeadline::remaining)
    }
}

impl ComponentPlan {
    /// Returns the runtime that it runs in, if it is a file of Python.
    pub(crate) fn runtime(&self) -> Option<&PythonRuntime> {
        self.config.python.as_ref()
    }

    /// Opens the objective and waits until it is ready.
    pub(crate) fn load(&self) -> Result<ReadyObjective, CommandError> {
        let mut door = open(&self.artifact, self.config.clone())?;
        let loaded = door.describe()?;
        check_described(&self.artifact, &loaded)?;
        check_described_name(&loaded)?;
        check_metrics(&loaded)?;
        if let Some(problem) = &loaded.cache_problem {
            let tried = self.config.cache.iter().flat_map(|cache| &cache.dirs);
            let tried: Vec<String> = tried.map(|dir| format!("`{}`", dir.display())).collect();
            let tried = tried.join(" or ");
            tracing::warn!(
                "compiled code could not be kept in {tried} ({problem}), so every trial compiles anew; name a folder \
                 of yours with --cache-dir"
            );
        } else if let Some(problem) = &loaded.refused_code {
            tracing::warn!(%problem, "compiled code in the cache was not used; the objective was compiled anew");
        }
        let is_process = self.config.isolation == Isolation::Process;
        if is_process && loaded.landlock_abi == 0 {
            tracing::info!(
                "this kernel offers no Landlock: WebAssembly alone keeps the objective from files that are not granted"
            );
        }
        if is_process && !loaded.seccomp {
            tracing::info!(
                "this kernel offers no filter of system calls (seccomp): WebAssembly alone keeps the objective from \
                 them"
            );
        }
        if is_process && !loaded.empty_root {
            tracing::info!(
                "this kernel offers no empty root to the guest process: files that are not granted have names there"
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

/// The most values of an objective: each is a row of the study.
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
        limit: None,
    })
}

/// Checks an objective's name, after which studies are named. An empty one counts as none.
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
        limit: None,
    })
}

/// Returns the data that an objective says it reads.
fn described_data(loaded: &Loaded) -> &[DataSource] {
    loaded.description.as_ref().map_or(&[], |description| &description.data)
}

/// Converts a time to the unit of limits.
fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Returns the described name of an objective, else its file's.
pub(crate) fn objective_name(loaded: &Loaded, path: &Path) -> String {
    let described = loaded.description.as_ref().map(|description| description.name.clone());
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    described
        .filter(|name| !name.is_empty())
        .or_else(stem)
        .unwrap_or_else(|| "objective".to_owned())
}

/// Returns the directions of an objective's values, if it describes them.
pub(crate) fn described_directions(loaded: &Loaded) -> Option<Vec<StudyDirection>> {
    let metrics = &loaded.description.as_ref()?.metrics;
    let direction =
        |maximize| if maximize { StudyDirection::Maximize } else { StudyDirection::Minimize };
    Some(metrics.iter().map(|metric| direction(metric.maximize)).collect())
        .filter(|found: &Vec<_>| !found.is_empty())
}

/// Returns the attribute with the names of an objective's values, if it names every one.
pub(crate) fn metric_names_attr(loaded: &Loaded) -> Option<(String, Json)> {
    let names = described_metric_names(loaded)?.into_iter().map(Json::from).collect();
    Some((METRIC_NAMES.to_owned(), Json::Array(names)))
}

/// Returns the names of the component's objectives, if it names them all.
pub(crate) fn described_metric_names(loaded: &Loaded) -> Option<Vec<String>> {
    loaded.description.as_ref()?.metrics.iter().map(|metric| metric.name.clone()).collect()
}

/// The place where the objective runs.
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

/// Formats the number and the directions of objectives: `2 objectives (minimize, maximize)`.
pub(crate) fn count_directions(directions: &[StudyDirection]) -> String {
    let objectives = if directions.len() == 1 { "objective" } else { "objectives" };
    format!("{} {objectives} ({})", directions.len(), show_directions(directions))
}

/// Formats several directions.
pub(crate) fn show_directions(directions: &[StudyDirection]) -> String {
    directions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
