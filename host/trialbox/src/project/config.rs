//! Settings in files: flags that hold where the command line and the environment do not have them.
//!
//! A file is the user's, or `trialbox.toml` in the current folder. The latter may come from a colleague or with a
//! clone: it is obeyed only if no other user can have written it, and grants nothing outside of its folder.

use crate::args::directories::users_config_dir;
use crate::args::grants::parse_dir;
use crate::error::CommandError;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, Folder};

/// The file of a project.
const PROJECT: &str = "trialbox.toml";
/// The file of a user, in the folder of settings.
const USER: &str = "config.toml";

/// The variable that leaves all files out, if it is set and not empty.
pub(crate) const LEAVE_OUT: &str = "TRIALBOX_NO_CONFIG";

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The flags that a file may set.
const KEYS: [&str; 29] = [
    "account",
    "cpus",
    "deterministic",
    "dir",
    "env",
    "fuel",
    "gres",
    "jobs",
    "limit",
    "max-memory",
    "max-trials",
    "mem",
    "n-trials",
    "parallel",
    "partition",
    "patience",
    "pruner",
    "pruner-opt",
    "sampler",
    "sampler-opt",
    "seed",
    "stop-when-value",
    "storage",
    "storage-timeout",
    "study-name",
    "time",
    "trial-timeout",
    "trials",
    "trials-per-task",
];

/// The flags that only the user's own file may set: the host trusts what lies in these folders, and a wrong lock
/// damages a database.
const KEYS_OF_USER: [&str; 6] =
    ["cache-dir", "checkpoint-dir", "lock", "runtime-dir", "spool-dir", "store"];

/// The commands that may have a table of their own.
const TABLES: [&str; 5] = ["eval", "inspect", "run", "submit", "test"];

/// A flag that a file sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The flag, without its hyphens.
    pub(crate) key: String,
    /// The values, each for one occurrence of the flag. A flag without a value has an empty list.
    pub(crate) values: Vec<String>,
    /// The command that it is for; `None` for all that have the flag.
    pub(crate) command: Option<String>,
    /// The file.
    pub(crate) from: Source,
}

/// The file of a setting, the weaker one first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    User(PathBuf),
    Project(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Source::User(path) | Source::Project(path)) = self;
        write!(f, "`{}`", path.display())
    }
}

fn is_left_out() -> bool {
    std::env::var_os(LEAVE_OUT).is_some_and(|value| !value.is_empty())
}

/// Returns whether [`read`] would find anything at the places of the two files, be it good or bad.
pub(crate) fn is_there() -> bool {
    let users = users_config_dir().map(|folder| folder.join(USER));
    let mut files = users.into_iter().chain([PathBuf::from(PROJECT)]);
    let is_missing = |file: PathBuf| {
        file.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    !is_left_out() && !files.all(is_missing)
}

/// Reads the settings of both files.
///
/// # Errors
/// Fails for a file that another user may have written, for an unknown key, for a value of a type that no flag has, and
/// for a grant outside of the project's folder.
pub(crate) fn read() -> Result<Vec<Setting>, CommandError> {
    if is_left_out() {
        return Ok(vec![]);
    }
    let mut settings = Vec::new();
    if let Some(folder) = users_config_dir() {
        let source = Source::User(folder.join(USER));
        settings.extend(read_file(&folder, USER, &source)?);
    }
    settings.extend(read_file(Path::new("."), PROJECT, &Source::Project(PROJECT.into()))?);
    Ok(settings)
}

fn read_file(folder: &Path, name: &str, source: &Source) -> Result<Vec<Setting>, CommandError> {
    let read = Folder::open_named(folder)
        .and_then(|folder| folder.read_private(OsStr::new(name), MAX_FILE));
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(vec![]),
        Err(error) => return Err(refused(error, source)),
    };
    parse(&String::from_utf8_lossy(&bytes), source)
}

fn refused(error: FileError, source: &Source) -> CommandError {
    let (Source::User(path) | Source::Project(path)) = source;
    let path = path.display();
    CommandError::usage(
        error.to_string(),
        format!(
            "read {source}; a copy of yours is obeyed: cp {path} mine.toml && chmod go-w mine.toml && mv mine.toml \
             {path}; {LEAVE_OUT}=1 leaves it out"
        ),
    )
}

/// Reads the text of a file.
fn parse(text: &str, source: &Source) -> Result<Vec<Setting>, CommandError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        CommandError::usage(
            format!("{source}{line}: {}", error.message()),
            "a setting is a flag of trialbox: storage = \"study.db\"",
        )
    })?;
    let mut settings = Vec::new();
    for (key, value) in &table {
        match value {
            toml::Value::Table(inner) if TABLES.contains(&key.as_str()) => {
                for (key_of, value) in inner {
                    settings.push(setting(key_of, value, Some(key), source)?);
                }
            }
            toml::Value::Table(_) => {
                return Err(CommandError::usage(
                    format!("{source}: there is no table `{key}`"),
                    format!("the tables are: {}", TABLES.join(", ")),
                ));
            }
            _ => settings.push(setting(key, value, None, source)?),
        }
    }
    Ok(settings)
}

fn setting(
    key: &str,
    value: &toml::Value,
    command: Option<&String>,
    source: &Source,
) -> Result<Setting, CommandError> {
    check_key(key, source)?;
    let values = match value {
        toml::Value::Array(items) => {
            items.iter().map(|item| scalar(key, item, source)).collect::<Result<_, _>>()?
        }
        toml::Value::Boolean(true) => vec![],
        other => vec![scalar(key, other, source)?],
    };
    if let (Source::Project(_), "dir") = (source, key) {
        values.iter().try_for_each(|grant| check_grant(grant, source))?;
    }
    Ok(Setting { key: key.to_owned(), values, command: command.cloned(), from: source.clone() })
}

fn check_key(key: &str, source: &Source) -> Result<(), CommandError> {
    let is_users = matches!(source, Source::User(_));
    if KEYS.contains(&key) || is_users && KEYS_OF_USER.contains(&key) {
        return Ok(());
    }
    if KEYS_OF_USER.contains(&key) {
        return Err(CommandError::usage(
            format!("{source}: `{key}` is a setting of the user's own file"),
            "set it in ~/.config/trialbox/config.toml, or give the flag",
        ));
    }
    let nearest = KEYS.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
    let help = match nearest.filter(|known| strsim::jaro(known, key) > 0.7) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("the settings are: {}", KEYS.join(", ")),
    };
    Err(CommandError::usage(format!("{source}: there is no setting `{key}`"), help))
}

fn scalar(key: &str, value: &toml::Value, source: &Source) -> Result<String, CommandError> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        other => Err(CommandError::usage(
            format!(
                "{source}: expected a text, a number or a list for `{key}`, found {}",
                other.type_str()
            ),
            "write it as on the command line; leave a setting out to take the default",
        )),
    }
}

/// Checks that a grant of a project stays in the project's folder, links included.
fn check_grant(grant: &str, source: &Source) -> Result<(), CommandError> {
    // What cannot be read, or does not exist, is an error of the flag's.
    let Ok(parsed) = parse_dir(grant) else { return Ok(()) };
    let inside = Path::new(".").canonicalize().ok().zip(parsed.host().canonicalize().ok());
    let Some((folder, host)) = inside else { return Ok(()) };
    if host != folder && host.starts_with(&folder) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!("{source} grants `{grant}`, which is not below the project's folder"),
        format!("grant it yourself, if you want to: --dir {grant}"),
    ))
}

/// The command line with the settings of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) arguments: Vec<OsString>,
    /// The settings that were added, for messages; `None` without any.
    pub(crate) added: Option<String>,
}

/// Returns whether a command line calls a command that has a flag which a file may set.
pub(crate) fn may_complete(arguments: &[OsString], command: &clap::Command) -> bool {
    let (_, leaf, _) = called(arguments, command);
    let mut flags = leaf.get_arguments().filter_map(clap::Arg::get_long);
    flags.any(|long| keys().any(|key| key == long))
}

/// Adds settings to a command line: those that its command has as flags, and that neither the command line nor the
/// environment gives.
pub(crate) fn complete(
    arguments: Vec<OsString>,
    command: &clap::Command,
    settings: &[Setting],
) -> Completed {
    let (names, leaf, at) = called(&arguments, command);
    let mut words: Vec<OsString> = Vec::new();
    let mut added = Vec::new();
    for arg in leaf.get_arguments() {
        let Some(long) = arg.get_long() else { continue };
        let Some(setting) = strongest(settings, long, names.first().copied()) else { continue };
        if is_given(&arguments[at..], arg) || is_in_environment(arg) {
            continue;
        }
        let flag = format!("--{long}");
        if arg.get_action().takes_values() {
            words.extend(setting.values.iter().map(|value| format!("{flag}={value}").into()));
        } else {
            words.push(flag.clone().into());
        }
        added.push(format!("{flag} of {}", setting.from));
    }
    let mut completed = arguments;
    completed.splice(at..at, words);
    let added = Some(added.join(", ")).filter(|added| !added.is_empty());
    Completed { arguments: completed, added }
}

/// Returns the setting that holds for a flag: the project's before the user's, that of a command before that of all.
pub(crate) fn strongest<'a>(
    settings: &'a [Setting],
    key: &str,
    command: Option<&str>,
) -> Option<&'a Setting> {
    let fits = |setting: &&Setting| {
        let of_command = setting.command.as_deref();
        setting.key == key && (of_command.is_none() || of_command == command)
    };
    settings
        .iter()
        .filter(fits)
        .max_by_key(|setting| (setting.from.clone(), setting.command.is_some()))
}

/// Returns the names of the command that the words call, the command, and the place behind its name.
fn called<'a>(
    arguments: &[OsString],
    command: &'a clap::Command,
) -> (Vec<&'a str>, &'a clap::Command, usize) {
    let (mut names, mut leaf, mut at) = (Vec::new(), command, arguments.len().min(1));
    for (index, word) in arguments.iter().enumerate().skip(1) {
        if word == "--" {
            break;
        }
        let Some(found) = word.to_str().and_then(|word| leaf.find_subcommand(word)) else {
            if leaf.has_subcommands() {
                continue;
            }
            break;
        };
        names.push(found.get_name());
        (leaf, at) = (found, index + 1);
    }
    (names, leaf, at)
}

/// Returns whether words have a flag, under one of its names. A script that uses Optuna names the database and the
/// study behind `--`.
fn is_given(words: &[OsString], arg: &clap::Arg) -> bool {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (ours, program) = words.split_at(end);
    let mut names: Vec<&str> = arg.get_long_and_visible_aliases().unwrap_or_default();
    if arg.get_id() == "storage" {
        names.push("optuna-db");
    }
    let has_name = |word: &OsString| {
        let text = word.to_string_lossy();
        let long = text
            .strip_prefix("--")
            .map(|rest| rest.split('=').next().unwrap_or_default().to_owned());
        match long {
            Some(long) => names.contains(&long.as_str()),
            None => arg.get_short().is_some_and(|short| {
                text.strip_prefix('-').is_some_and(|rest| rest.starts_with(short))
            }),
        }
    };
    let as_optuna = ours.iter().any(|word| word == "--as-optuna");
    ours.iter().any(has_name) || as_optuna && program.iter().any(has_name)
}

/// Returns the variable of the environment that gives a flag, if one does.
pub(crate) fn variable_of(key: &str, arg: &clap::Arg) -> Option<String> {
    let own = arg.get_env().map(|name| name.to_string_lossy().into_owned());
    let of_optuna = (key == "storage").then(|| "OPTUNA_STORAGE".to_owned());
    let is_set = |name: &String| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    own.into_iter().chain(of_optuna).find(is_set)
}

fn is_in_environment(arg: &clap::Arg) -> bool {
    variable_of(arg.get_long().unwrap_or_default(), arg).is_some()
}

/// Returns all keys, with whether only the user's file may have them.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().chain(KEYS_OF_USER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    fn project() -> Source {
        Source::Project(PROJECT.into())
    }

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn completed(text: &str, settings: &[Setting]) -> String {
        let completed = complete(words(text), &Cli::command(), settings).arguments;
        completed.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_key_is_a_flag_of_a_command() {
        let command = Cli::command();
        let mut flags = Vec::new();
        fn walk(command: &clap::Command, flags: &mut Vec<String>) {
            flags.extend(
                command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)),
            );
            command.get_subcommands().for_each(|sub| walk(sub, flags));
        }
        walk(&command, &mut flags);
        for key in keys() {
            assert!(flags.iter().any(|flag| flag == key), "{key}");
        }
        for table in TABLES {
            assert!(command.find_subcommand(table).is_some(), "{table}");
        }
    }

    #[test]
    fn a_setting_stands_where_no_flag_does_and_only_in_commands_that_have_it() {
        let text = "storage = \"a.db\"\ndir = []\nmax-memory = \"1g\"\ndeterministic = true\n[run]\nn-trials = 7\n";
        let settings = parse(text, &project()).expect("settings");
        assert_eq!(
            completed("trialbox run x.wasm", &settings),
            "trialbox run --storage=a.db --n-trials=7 --max-memory=1g --deterministic x.wasm"
        );
        assert_eq!(
            completed("trialbox run x.wasm -n3 --storage b.db --max-memory=2g", &settings),
            "trialbox run --deterministic x.wasm -n3 --storage b.db --max-memory=2g"
        );
        assert_eq!(
            completed("trialbox --quiet study show", &settings),
            "trialbox --quiet study show --storage=a.db"
        );
        assert_eq!(completed("trialbox new x", &settings), "trialbox new x");
        assert_eq!(
            completed("trialbox run --as-optuna -- python t.py --optuna-db c.db", &settings),
            "trialbox run --n-trials=7 --max-memory=1g --deterministic --as-optuna -- python t.py --optuna-db c.db"
        );
    }

    #[test]
    fn the_project_is_stronger_than_the_user_and_a_command_than_all() {
        let user = parse("mem = \"1G\"\n[run]\njobs = 2\n", &Source::User("config.toml".into()));
        let mut settings = user.expect("settings");
        settings.extend(parse("jobs = 3\n[run]\njobs = 4\n", &project()).expect("settings"));
        let of =
            |key, command| strongest(&settings, key, command).map(|found| found.values[0].as_str());
        assert_eq!(of("jobs", Some("run")), Some("4"));
        assert_eq!(of("jobs", Some("submit")), Some("3"));
        assert_eq!(of("mem", Some("submit")), Some("1G"));
        assert_eq!(of("time", Some("submit")), None);
    }

    #[test]
    fn an_unknown_key_and_a_key_of_the_user_are_errors_with_advice() {
        for (text, advice) in [
            ("storge = \"a.db\"", "did you mean `storage`?"),
            ("[rnu]\nn-trials = 1", "the tables are: eval, inspect, run"),
            ("cache-dir = \"/tmp\"", "config.toml"),
            ("override = true", "the settings are"),
            ("storage = { a = 1 }", "the tables are"),
            ("deterministic = false", "leave a setting out"),
            ("storage = ", "a setting is a flag"),
        ] {
            let error = parse(text, &project()).expect_err(text);
            assert!(error.to_text().contains(advice), "{text}: {}", error.to_text());
        }
    }

    #[test]
    fn a_project_grants_nothing_outside_of_its_folder() {
        for grant in ["/::/x", "..::/x", ".::/x", "src/..::/x", "/proc::/x:rw", "/proc", "..:rw"] {
            assert!(parse(&format!("dir = [\"{grant}\"]"), &project()).is_err(), "{grant}");
            assert!(parse(&format!("[run]\ndir = \"{grant}\""), &project()).is_err(), "{grant}");
        }
        assert!(parse("dir = \"src::/x\"", &project()).is_ok());
    }
}
