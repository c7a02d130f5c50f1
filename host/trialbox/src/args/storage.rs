//! The flags that say which database and which study.

use crate::error::CommandError;
use crate::plan::Database;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use trialbox_core::Storage;
use trialbox_storage::spool::Spool;
use trialbox_storage::{Create, Location, LockMode, Options, WaitCancellation};

/// Which database.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StorageArgs {
    /// The Optuna database: a path, or a URL such as sqlite:///study.db
    #[arg(
        long,
        value_name = "URL|PATH",
        env = "TRIALBOX_STORAGE",
        hide_env_values = true,
        conflicts_with = "optuna_db"
    )]
    storage: Option<String>,

    /// The same as --storage, and stronger, for scripts written for Optuna
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    optuna_db: Option<String>,

    /// How long to wait for a database that others are writing, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration, hide_short_help = true)]
    storage_timeout: Duration,

    /// What keeps writers apart: SQLite's own locks, or a lock file for file systems whose locks do not reach
    /// other machines; auto takes the file on network file systems
    #[arg(long, value_name = "auto|sqlite|file", value_enum, default_value_t = LockArg::Auto, hide_possible_values = true, hide_short_help = true)]
    lock: LockArg,

    /// Leave the guard out, a trigger in the database that keeps Python workers from running a waiting trial twice
    #[arg(long, hide_short_help = true)]
    no_guard: bool,

    /// Where results wait that can be written neither to the database nor beside it [default: ~/.local/state/trialbox/spool]
    #[arg(
        long,
        value_name = "DIR",
        env = "TRIALBOX_SPOOL_DIR",
        hide_env_values = true,
        hide_short_help = true
    )]
    spool_dir: Option<PathBuf>,
}

/// What keeps writers apart.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LockArg {
    Auto,
    Sqlite,
    File,
}

impl StorageArgs {
    /// The database's address: the flag, `TRIALBOX_STORAGE`, `OPTUNA_STORAGE`, or `trialbox.db` here.
    pub(crate) fn url(&self) -> String {
        let optunas = || std::env::var("OPTUNA_STORAGE").ok().filter(|url| !url.is_empty());
        let named = self.optuna_db.clone().or_else(|| self.storage.clone()).or_else(optunas);
        named.unwrap_or_else(|| "sqlite:///trialbox.db".to_owned())
    }

    /// Returns the place of the database.
    pub(crate) fn location(&self) -> Result<Location, CommandError> {
        Ok(Location::parse(&self.url())?)
    }

    /// The same flags for another database.
    pub(crate) fn at(&self, url: &str) -> StorageArgs {
        StorageArgs { storage: Some(url.to_owned()), optuna_db: None, ..self.clone() }
    }

    /// Opens a database that must be there.
    pub(crate) fn open(&self) -> Result<Box<dyn Storage>, CommandError> {
        self.open_with(Create::Never, WaitCancellation::default())
    }

    /// Opens a database; `stopping` cuts short what waits have become pointless.
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
        }
    }

    /// Where results wait that cannot be written; nowhere for a database in memory.
    pub(crate) fn spool(&self) -> Option<Spool> {
        let location = self.location().ok()?;
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let state =
            || absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let users = self.spool_dir.clone().or_else(|| Some(state()?.join("trialbox/spool")));
        Some(Spool::of(location.file()?, users))
    }
}

/// Which study, where one is needed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StudyArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,

    /// The study's name; may be left out where the database holds just one
    #[arg(
        long,
        visible_alias = "optuna-study-name",
        value_name = "NAME",
        env = "TRIALBOX_STUDY_NAME",
        hide_env_values = true
    )]
    study_name: Option<String>,
}

impl StudyArgs {
    /// The name of the study, and its database.
    pub(crate) fn open(&self) -> Result<(Box<dyn Storage>, String), CommandError> {
        let mut storage = self.storage.open()?;
        if let Some(name) = &self.study_name {
            return Ok((storage, name.clone()));
        }
        let mut studies = storage.list_studies()?;
        match (studies.pop(), studies.len()) {
            (Some(only), 0) => Ok((storage, only.study.name)),
            (None, _) => Err(CommandError::usage(
                format!("`{}` holds no study", storage.url()),
                "`trialbox run` and `trialbox study create` make one",
            )),
            (Some(last), _) => {
                let mut names: Vec<String> =
                    studies.into_iter().map(|found| found.study.name).collect();
                names.push(last.study.name);
                Err(CommandError::usage(
                    format!(
                        "`{}` holds {} studies, and --study-name names none of them",
                        storage.url(),
                        names.len()
                    ),
                    format!("choose one with --study-name: {}", names.join(", ")),
                ))
            }
        }
    }
}

/// Reads a duration: `90`, `90s`, `5m`, `1.5h`, `250ms`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wanted = || {
        format!("`{text}` is no time; write a number with ms, s, m, h or d, such as 90s or 1.5h")
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(wanted()),
    };
    let number: f64 = digits.parse().map_err(|_| wanted())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wanted())
}

/// Reads how many there are to be: a plain number, 1 or more.
pub(crate) fn parse_count(text: &str) -> Result<NonZeroU32, String> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit());
    let n = text.parse().ok().filter(|_| is_plain);
    n.ok_or_else(|| format!("`{text}` is no number of 1 or more; write one such as 40"))
}

/// Reads an amount of memory: `512MiB`, `4GiB`, `1.5G`, `1000000`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wanted = || {
        format!(
            "`{text}` is no amount of memory; write a number with KiB, MiB or GiB, such as 512MiB"
        )
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(wanted()),
    };
    let number: f64 = digits.parse().map_err(|_| wanted())?;
    let bytes = number * factor as f64;
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_plain_number_of_1_or_more() {
        assert_eq!(parse_count("40").map(NonZeroU32::get), Ok(40));
        for bad in ["", "0", "+10", "-1", "1e3", "2.0", " 3", "4294967296"] {
            let want = format!("`{bad}` is no number of 1 or more; write one such as 40");
            assert_eq!(parse_count(bad), Err(want));
        }
    }

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "h", "-1s", "5 parsecs", "nan"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1.5g"), Ok(3 << 29));
        for bad in ["", "MiB", "0", "-1", "many"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
