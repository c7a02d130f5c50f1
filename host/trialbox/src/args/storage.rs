//! The flags that name the database and the study.

use crate::args::quantity::parse_duration;
use crate::args::study::StudyNameArg;
use crate::args::trusted::TrustedPlaces;
use crate::cluster::liveness::holder_probe;
use crate::error::CommandError;
use crate::plan::Database;
use std::path::PathBuf;
use std::time::Duration;
use trialbox_core::Storage;
use trialbox_storage::spool::Spool;
use trialbox_storage::{Create, Location, LockMode, Options, WaitCancellation};

/// The flags of the database.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Study")]
pub(crate) struct StorageArgs {
    /// Optuna database: a path or a URL (sqlite:///study.db, postgresql://HOST/DB)
    ///
    /// A server's URL may leave parts to the variables and files of libpq, such as PGPASSFILE.
    /// [default: $OPTUNA_STORAGE, else trialbox.db] [env: TRIALBOX_STORAGE]
    #[arg(
        long,
        value_name = "URL|PATH",
        env = "TRIALBOX_STORAGE",
        hide_env = true,
        conflicts_with = "optuna_db"
    )]
    storage: Option<String>,

    /// Same as --storage, for scripts written for Optuna
    ///
    /// It wins over the environment. [default: as of --storage]
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    optuna_db: Option<String>,

    /// Time to wait for a database that other processes write
    ///
    /// [default: 5m]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5m",
        hide_default_value = true,
        value_parser = parse_duration,
        hide_short_help = true
    )]
    storage_timeout: Duration,

    /// Locks that keep writers apart
    ///
    /// `sqlite` takes SQLite's own locks, `file` a lock file for file systems whose locks do not reach other machines,
    /// `auto` the file on network file systems and where the database already has one. [default: auto]
    #[arg(
        long,
        value_name = "auto|sqlite|file",
        value_enum,
        default_value_t = LockArg::Auto,
        hide_default_value = true,
        hide_possible_values = true,
        hide_short_help = true
    )]
    lock: LockArg,

    /// Install no guard in the database
    ///
    /// The guard is a trigger that keeps Python workers from running a waiting trial twice.
    #[arg(long, hide_short_help = true)]
    no_guard: bool,

    /// Directory of results that the database did not take
    ///
    /// Used where the database's own directory cannot be written either, and for servers.
    /// [default: ~/.local/state/trialbox/spool] [env: TRIALBOX_SPOOL_DIR]
    #[arg(
        long,
        value_name = "DIR",
        env = "TRIALBOX_SPOOL_DIR",
        hide_env = true,
        hide_short_help = true
    )]
    spool_dir: Option<PathBuf>,
}

/// The locks that keep writers apart.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LockArg {
    Auto,
    Sqlite,
    File,
}

impl StorageArgs {
    /// Returns the database's address: the flag, `TRIALBOX_STORAGE`, `OPTUNA_STORAGE`, or `trialbox.db`.
    pub(crate) fn url(&self) -> String {
        let optunas = || std::env::var("OPTUNA_STORAGE").ok().filter(|url| !url.is_empty());
        let named = self.optuna_db.clone().or_else(|| self.storage.clone()).or_else(optunas);
        named.unwrap_or_else(|| "sqlite:///trialbox.db".to_owned())
    }

    /// Takes this database where no flag and no variable of trialbox's names one.
    pub(crate) fn default_to(&mut self, database: Option<String>) {
        if self.storage.is_none() && self.optuna_db.is_none() {
            self.optuna_db = database;
        }
    }

    /// Returns the database's address without its password.
    pub(crate) fn shown_url(&self) -> String {
        match self.location() {
            Ok(Location::Server(address)) => address.without_password(),
            _ => self.url(),
        }
    }

    /// Returns the place of the database.
    pub(crate) fn location(&self) -> Result<Location, CommandError> {
        Ok(Location::parse(&self.url())?)
    }

    /// Returns the same flags for another database.
    pub(crate) fn at(&self, url: &str) -> StorageArgs {
        StorageArgs { storage: Some(url.to_owned()), optuna_db: None, ..self.clone() }
    }

    /// Opens a database that must exist.
    pub(crate) fn open(&self) -> Result<Box<dyn Storage>, CommandError> {
        self.open_with(Create::Never, WaitCancellation::default())
    }

    /// Opens a database; `stopping` ends waits early.
    pub(crate) fn open_with(
        &self,
        create: Create,
        stopping: WaitCancellation,
    ) -> Result<Box<dyn Storage>, CommandError> {
        self.database(create, stopping)?.open()
    }

    /// Returns the database with the options of every connection.
    pub(crate) fn database(
        &self,
        create: Create,
        stopping: WaitCancellation,
    ) -> Result<Database, CommandError> {
        Ok(Database { location: self.location()?, options: self.options(create, stopping) })
    }

    /// Returns the options of a connection.
    pub(crate) fn options(&self, create: Create, stopping: WaitCancellation) -> Options {
        Options {
            timeout: self.storage_timeout,
            create,
            lock: match self.lock {
                LockArg::Auto => LockMode::Auto,
                LockArg::Sqlite => LockMode::Sqlite,
                LockArg::File => LockMode::File,
            },
            guard: !self.no_guard,
            stopping,
            holders: holder_probe(),
        }
    }

    /// Returns the places beside the database that the host trusts.
    ///
    /// # Errors
    /// Fails if the database's address cannot be read.
    pub(crate) fn trusted(&self) -> Result<TrustedPlaces, CommandError> {
        Ok(TrustedPlaces::default().with_database(&self.location()?, self.spool().as_ref()))
    }

    /// Returns the place of results that cannot be written; `None` for a database in memory.
    pub(crate) fn spool(&self) -> Option<Spool> {
        let location = self.location().ok()?;
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let state =
            || absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let users = self.spool_dir.clone().or_else(|| Some(state()?.join("trialbox/spool")));
        match &location {
            Location::Memory => None,
            Location::File(path) => Some(Spool::of(path, users)),
            Location::Server(address) => {
                let database = address.identity(&|name| std::env::var(name).ok()).ok()?;
                Some(Spool::of_server(&database, users))
            }
        }
    }
}

/// The flags of a command that reads one study.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StudyArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,

    #[command(flatten)]
    name: StudyNameArg,
}

impl StudyArgs {
    /// Returns the study's name, if it was given.
    pub(crate) fn study_name(&self) -> Option<&str> {
        self.name.study_name.as_deref()
    }

    /// Returns the same flags for the study that an argument names.
    pub(crate) fn named(self, name: &str) -> NamedStudyArgs {
        NamedStudyArgs { study: self, named: Some(name.to_owned()) }
    }

    /// Opens the database and returns the name of the study.
    pub(crate) fn open(&self) -> Result<(Box<dyn Storage>, String), CommandError> {
        let mut storage = self.storage.open()?;
        if let Some(name) = &self.name.study_name {
            return Ok((storage, name.clone()));
        }
        let mut studies = storage.list_studies()?;
        match (studies.pop(), studies.len()) {
            (Some(only), 0) => Ok((storage, only.study.name)),
            (None, _) => Err(CommandError::usage(
                format!("`{}` holds no studies", storage.url()),
                "create one with `trialbox run` or `trialbox study create`",
            )),
            (Some(last), _) => {
                let mut names: Vec<String> =
                    studies.into_iter().map(|found| found.study.name).collect();
                names.push(last.study.name);
                Err(CommandError::usage(
                    format!("expected one study, found {} in `{}`", names.len(), storage.url()),
                    format!("choose one with --study-name: {}", names.join(", ")),
                ))
            }
        }
    }
}

/// The flags of a command that reads one study, which may be named as an argument too.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NamedStudyArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The study, as --study-name
    #[arg(value_name = "STUDY")]
    named: Option<String>,
}

impl NamedStudyArgs {
    /// Returns the flags of the database.
    pub(crate) fn storage(&self) -> &StorageArgs {
        &self.study.storage
    }

    /// Opens the database and returns the name of the study.
    ///
    /// # Errors
    /// Those of opening, and an argument that names a database instead of a study.
    pub(crate) fn open(&self) -> Result<(Box<dyn Storage>, String), CommandError> {
        let Some(named) = self.named()? else { return self.study.open() };
        let opened = self.study.storage.open();
        if !looks_like_database(named) {
            return Ok((opened?, named.to_owned()));
        }
        if let Ok(mut storage) = opened
            && storage.open_study(named).is_ok()
        {
            return Ok((storage, named.to_owned()));
        }
        Err(CommandError::usage(
            format!("expected the name of a study, found the database `{named}`"),
            format!("name the database with --storage {named}"),
        ))
    }

    /// Opens the database, and returns the study that is named: a command that deletes does not take the only one.
    ///
    /// # Errors
    /// As [`Self::open`], and if no study is named.
    pub(crate) fn open_named(&self) -> Result<(Box<dyn Storage>, String), CommandError> {
        if self.named()?.is_none() && self.study.name.study_name.is_none() {
            return Err(CommandError::usage(
                "expected the name of a study",
                "give it as the argument STUDY, or with --study-name; `trialbox study list` lists them",
            ));
        }
        self.open()
    }

    /// Returns the argument, which replaces the environment's study.
    ///
    /// # Errors
    /// Fails if the flag names another study.
    fn named(&self) -> Result<Option<&str>, CommandError> {
        let (Some(named), Some(flag)) = (&self.named, &self.study.name.study_name) else {
            return Ok(self.named.as_deref());
        };
        let environment = std::env::var("TRIALBOX_STUDY_NAME").ok();
        if named == flag || environment.as_ref() == Some(flag) {
            return Ok(Some(named));
        }
        Err(CommandError::usage(
            format!("the argument names study `{named}`, and --study-name `{flag}`"),
            "name the study once",
        ))
    }
}

/// Returns whether a word is more likely the name of a database than that of a study.
pub(crate) fn looks_like_database(word: &str) -> bool {
    let extension = std::path::Path::new(word).extension().and_then(|extension| extension.to_str());
    word.starts_with("sqlite:")
        || word.starts_with("postgres") && word.contains("://")
        || matches!(extension, Some("db" | "sqlite" | "sqlite3"))
}
