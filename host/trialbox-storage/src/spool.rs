//! Results that could not be recorded: each waits in a file until a later job records it.
//!
//! The file is written aside, synced and renamed, so it is there wholly or not at all. It lies beside the database,
//! where the next job looks; if nothing can be written there either, in a folder of the user's. The claim in it makes
//! it count once: only the trial's own attempt can finish the trial.
//!
//! The folder beside the database may belong to a group, and a guest may write to it. So nothing in it is followed or
//! waited for (`trialbox_files`).

mod told;

pub use told::SpooledTell;

use crate::platform::path::resolve;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use trialbox_core::run::UnrecordedTrial;
use trialbox_core::seam::storage::{Claim, Ending, OWNER_TOKEN, Outcome, RetryPolicy, TrialBatch};
use trialbox_core::study::trial::{TrialId, format_datetime, parse_datetime};
use trialbox_core::{Distribution, Json, Param, TrialNumber, TrialState};
use trialbox_files::{FileError, Folder, create_folders};

/// The format of the files. A later one may add members, and changes this number if it changes any.
const VERSION: i64 = 1;

/// The most that is read of a file, in bytes. A trial may leave 2 MiB of attributes and ranges and 10,000 reports; the
/// rest is room for retries of notes. A larger file is not ours.
const MAX_BYTES: u64 = 64 << 20;

/// The folders in which the results of a database wait.
#[derive(Debug, Clone)]
pub struct Spool {
    folders: Vec<PathBuf>,
    /// True if the first folder is this database's alone.
    has_own_folder: bool,
    /// The database's file, or the name of a server's.
    database: PathBuf,
}

/// A finished result that is not recorded yet.
#[derive(Debug, Clone, PartialEq)]
pub struct SpooledResult {
    /// The study's name.
    pub study: String,
    /// The trial that is to be written.
    pub trial: UnrecordedTrial,
}

/// The contents of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Spooled {
    /// The result of a trial that this or another job ran.
    Finished(SpooledResult),
    /// A result that was told while the database could not be read.
    Told(SpooledTell),
}

/// A file of the spool.
#[derive(Debug)]
pub struct SpoolEntry {
    /// The file's path.
    pub path: PathBuf,
    /// The result in it, or the reason why it cannot be read.
    pub result: Result<Spooled, String>,
    /// True if the file names a database that is not there: it may have been moved or renamed to this one. The result
    /// is this database's if this database has its trial.
    pub is_stray: bool,
}

impl SpoolEntry {
    /// Returns whether the entry is the result of this trial of the study, as this owner runs it.
    pub fn is_of(
        &self,
        study: &str,
        trial: TrialId,
        number: Option<i64>,
        owner: Option<&Json>,
    ) -> bool {
        match &self.result {
            Ok(Spooled::Finished(result)) => {
                result.trial.claim.id == trial && Some(&result.trial.claim.owner) == owner
            }
            Ok(Spooled::Told(told)) => {
                let token = owner.and_then(|owner| owner.get(OWNER_TOKEN)?.as_str());
                number == Some(told.number.0.into())
                    && told.study.as_deref().is_none_or(|name| name == study)
                    && (told.tell.owner.is_none() || told.tell.owner.as_deref() == token)
            }
            Err(_) => false,
        }
    }
}

impl Spool {
    /// Returns the spool of a database: `study.db.spool` beside it, and after that the folders given.
    pub fn of(database: &Path, others: impl IntoIterator<Item = PathBuf>) -> Self {
        let database = resolve(database);
        let beside = crate::lock::file::with_suffix(&database, ".spool");
        Spool {
            folders: std::iter::once(beside).chain(others).collect(),
            has_own_folder: true,
            database,
        }
    }

    /// Returns the spool of a server's database in the folders given. The name is the same for all spellings of its
    /// address.
    pub fn of_server(database: &str, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Spool {
            folders: folders.into_iter().collect(),
            has_own_folder: false,
            database: PathBuf::from(database),
        }
    }

    /// Returns the folders, the preferred one first. None need exist.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// Saves a result and returns the path of its file.
    ///
    /// # Errors
    /// Each folder that was tried, with its problem.
    pub fn keep(&self, result: &SpooledResult) -> Result<PathBuf, Vec<(PathBuf, io::Error)>> {
        let text = format!("{}\n", encode(&self.database, result));
        let attempt =
            result.trial.claim.owner.get("uuid").and_then(Json::as_str).unwrap_or("trial");
        let attempt: String =
            attempt.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        self.keep_text(&format!("{}-{attempt}.json", result.trial.claim.number), &text)
    }

    /// Saves a result that was told and returns the path of its file.
    ///
    /// # Errors
    /// As [`Spool::keep`].
    pub fn keep_told(&self, told: &SpooledTell) -> Result<PathBuf, Vec<(PathBuf, io::Error)>> {
        let mut members = vec![
            ("version", Json::from(VERSION)),
            ("database", Json::from(self.database.to_string_lossy().into_owned())),
        ];
        members.extend(told.to_members());
        let name = format!("{}-told-{:016x}.json", told.number, rand::random::<u64>());
        self.keep_text(&name, &format!("{}\n", Json::object(members)))
    }

    fn keep_text(&self, name: &str, text: &str) -> Result<PathBuf, Vec<(PathBuf, io::Error)>> {
        let mut problems = Vec::new();
        for (index, folder) in self.folders.iter().enumerate() {
            // A folder in the place of a file system that is away would hide its files from the next job.
            if (index > 0 || !self.has_own_folder)
                && let Some(parent) = folder.parent()
            {
                // An error shows below, with the folder's own name.
                let _ = create_folders(parent, 0o700);
            }
            match write_whole(folder, name, text) {
                Ok(path) => return Ok(path),
                Err(error) => problems.push((folder.clone(), error.into_reason())),
            }
        }
        Err(problems)
    }

    /// Reads the results that wait for this database, in the order of the files' names.
    ///
    /// # Errors
    /// Fails if a folder exists but cannot be read: results may be waiting in it.
    pub fn entries(&self) -> io::Result<Vec<SpoolEntry>> {
        let mut entries = Vec::new();
        for folder in &self.folders {
            entries.extend(self.entries_in(folder).map_err(|error| {
                let folder = folder.display();
                io::Error::new(error.kind(), format!("the spool folder `{folder}`: {error}"))
            })?);
        }
        entries.extend(self.strays());
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Reads the results that lie beside other databases of the folder which are not there any more.
    fn strays(&self) -> Vec<SpoolEntry> {
        let mut entries = Vec::new();
        let Some(path) = self.database.parent() else { return entries };
        let names = Folder::open(path).and_then(|folder| folder.names()).unwrap_or_default();
        for name in names {
            let Some(database) = name.to_str().and_then(|name| name.strip_suffix(".spool")) else {
                continue;
            };
            let (database, folder) = (path.join(database), path.join(&name));
            if database != self.database && !is_there(&database) {
                entries.extend(self.entries_in(&folder).unwrap_or_default());
            }
        }
        entries
    }

    /// Removes the file of a result that was written.
    ///
    /// # Errors
    /// Fails if the file cannot be removed.
    pub fn remove(&self, entry: &SpoolEntry) -> io::Result<()> {
        crate::failpoint!("spool.before_remove");
        let (Some(path), Some(name)) = (entry.path.parent(), entry.path.file_name()) else {
            return Ok(());
        };
        Folder::open(path)
            .and_then(|folder| folder.remove_file(name))
            .map_err(FileError::into_reason)?;
        // The last result takes the folder with it.
        let _ = fs::remove_dir(path);
        Ok(())
    }

    fn entries_in(&self, path: &Path) -> io::Result<Vec<SpoolEntry>> {
        let folder = match Folder::open(path) {
            Ok(folder) => folder,
            Err(error) if error.is_not_found() => return Ok(vec![]),
            Err(error @ FileError::WrongKind { .. }) => {
                // Results never go there, so none is missed; the one who put it there must not stop the study.
                tracing::warn!("{error}; no result is looked for there");
                return Ok(vec![]);
            }
            Err(error) => return Err(error.into_reason()),
        };
        let mut entries = Vec::new();
        for name in folder.names().map_err(FileError::into_reason)? {
            if Path::new(&name).extension().is_some_and(|extension| extension == "json") {
                entries.extend(self.entry(&folder, &name));
            }
        }
        Ok(entries)
    }

    /// Reads an entry, unless it is another database's.
    fn entry(&self, folder: &Folder, name: &OsStr) -> Option<SpoolEntry> {
        let path = folder.path().join(name);
        let json = match folder.read(name, MAX_BYTES) {
            Ok(bytes) => parse(&bytes),
            Err(error) => Err(error.to_string()),
        };
        let database = json.as_ref().ok().and_then(|json| json.get("database")?.as_str());
        // Every result beside the database is its own: the database may have been moved since.
        let beside = self.folders.first().filter(|_| self.has_own_folder);
        let is_ours = beside.is_some_and(|beside| beside == folder.path())
            || database.map(Path::new) == Some(&self.database);
        // A file may have been moved; a server's database is where it is.
        let is_file = |database: &str| self.has_own_folder && !database.contains("://");
        let is_stray =
            !is_ours && database.is_some_and(|name| is_file(name) && !is_there(Path::new(name)));
        if !is_ours && !is_stray {
            return None;
        }
        let result = match json {
            Ok(json) => decode(&json).ok_or_else(|| {
                format!("expected a spooled result of version {VERSION}, found other JSON")
            }),
            Err(problem) => Err(problem),
        };
        // A stray without a token says nothing about whose it is.
        if is_stray && !result.as_ref().is_ok_and(has_token) {
            return None;
        }
        Some(SpoolEntry { path, result, is_stray })
    }
}

fn is_there(path: &Path) -> bool {
    !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn has_token(spooled: &Spooled) -> bool {
    let Spooled::Finished(result) = spooled else { return false };
    result.trial.claim.owner.get(OWNER_TOKEN).and_then(Json::as_str).is_some()
}

fn parse(bytes: &[u8]) -> Result<Json, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    Json::parse(text).map_err(|error| error.to_string())
}

/// Writes a file so that it is there wholly or not at all, even after a power cut.
fn write_whole(path: &Path, name: &str, text: &str) -> Result<PathBuf, FileError> {
    // A second attempt, because another process may have just removed the folder with its last file.
    let written = write_once(path, name, text).or_else(|_| write_once(path, name, text));
    if written.is_err() {
        let _ = fs::remove_dir(path);
    }
    written
}

fn write_once(path: &Path, name: &str, text: &str) -> Result<PathBuf, FileError> {
    let folder = Folder::open_or_create(path)?;
    let mut aside = folder.aside(OsStr::new(name))?;
    aside.write_bytes(text.as_bytes())?;
    crate::failpoint!("spool.before_rename");
    aside.replace()?;
    crate::failpoint!("spool.after_rename");
    Ok(path.join(name))
}

fn encode(database: &Path, result: &SpooledResult) -> Json {
    let UnrecordedTrial { claim, batch, ending } = &result.trial;
    let params = batch.params.iter().map(|(name, param)| {
        let distribution = param.distribution.to_json_text();
        Json::Array(vec![name.as_str().into(), param.internal.into(), distribution.into()])
    });
    let steps = batch
        .intermediate_values
        .iter()
        .map(|(step, value)| Json::Array(vec![(*step).into(), (*value).into()]));
    let floats = |values: &[f64]| Json::Array(values.iter().copied().map(Json::from).collect());
    let retries = ending.retry.map_or(Json::Null, |retry| Json::from(retry.max_retries));
    Json::object([
        ("version", Json::from(VERSION)),
        ("database", Json::from(database.to_string_lossy().into_owned())),
        ("study", Json::from(result.study.as_str())),
        ("trial_id", Json::from(claim.id.0)),
        ("number", Json::from(claim.number.0)),
        ("owner", claim.owner.clone()),
        ("params", Json::Array(params.collect())),
        ("intermediate_values", Json::Array(steps.collect())),
        ("user_attrs", Json::object(batch.user_attrs.iter().cloned())),
        ("system_attrs", Json::object(batch.system_attrs.iter().cloned())),
        ("state", Json::from(ending.outcome.state().as_str())),
        ("values", floats(ending.outcome.values())),
        ("at", Json::from(format_datetime(ending.at))),
        ("max_retries", retries),
    ])
}

fn decode(json: &Json) -> Option<Spooled> {
    if json.get("version")?.as_i64()? != VERSION {
        return None;
    }
    if json.get("told").is_some() {
        return SpooledTell::from_json(json).map(Spooled::Told);
    }
    decode_finished(json).map(Spooled::Finished)
}

fn decode_finished(json: &Json) -> Option<SpooledResult> {
    let int = |key: &str| json.get(key).and_then(Json::as_i64);
    let text = |key: &str| json.get(key).and_then(Json::as_str);
    let params: Option<Vec<(String, Param)>> = array(json, "params")?.iter().map(param).collect();
    let steps: Option<Vec<(i64, f64)>> =
        array(json, "intermediate_values")?.iter().map(step).collect();
    let values: Option<Vec<f64>> = array(json, "values")?.iter().map(Json::as_f64).collect();
    let values = values?;
    let outcome = match TrialState::parse(text("state")?)? {
        TrialState::Complete => Outcome::Complete(values),
        TrialState::Pruned => Outcome::Pruned(values.first().copied()),
        TrialState::Fail => Outcome::Fail,
        TrialState::Running | TrialState::Waiting => return None,
    };
    let retry = int("max_retries").and_then(|max_retries| max_retries.try_into().ok());
    Some(SpooledResult {
        study: text("study")?.to_owned(),
        trial: UnrecordedTrial {
            claim: Claim {
                id: TrialId(int("trial_id")?),
                number: TrialNumber(int("number")?.try_into().ok()?),
                owner: json.get("owner")?.clone(),
            },
            batch: TrialBatch {
                params: params?,
                intermediate_values: steps?,
                user_attrs: members(json, "user_attrs")?,
                system_attrs: members(json, "system_attrs")?,
            },
            ending: Ending {
                outcome,
                at: parse_datetime(text("at")?)?,
                retry: retry.map(|max_retries| RetryPolicy { max_retries }),
            },
        },
    })
}

fn array<'a>(json: &'a Json, key: &str) -> Option<&'a [Json]> {
    if let Json::Array(items) = json.get(key)? { Some(items) } else { None }
}

fn members(json: &Json, key: &str) -> Option<Vec<(String, Json)>> {
    if let Json::Object(members) = json.get(key)? { Some(members.clone()) } else { None }
}

fn param(json: &Json) -> Option<(String, Param)> {
    let Json::Array(parts) = json else { return None };
    let [name, internal, distribution] = &parts[..] else { return None };
    let distribution = Distribution::from_json_text(distribution.as_str()?).ok()?;
    Some((name.as_str()?.to_owned(), Param { distribution, internal: internal.as_f64()? }))
}

fn step(json: &Json) -> Option<(i64, f64)> {
    let Json::Array(parts) = json else { return None };
    let [step, value] = &parts[..] else { return None };
    Some((step.as_i64()?, value.as_f64()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::run::ask_tell::Tell;

    fn result(study: &str) -> SpooledResult {
        let distribution = Distribution::float(0.0, 1.0, false, None).expect("a range");
        SpooledResult {
            study: study.to_owned(),
            trial: UnrecordedTrial {
                claim: Claim {
                    id: TrialId(7),
                    number: TrialNumber(3),
                    owner: Json::object([("uuid", Json::from("abc")), ("pid", Json::from(1u32))]),
                },
                batch: TrialBatch {
                    params: vec![("x".to_owned(), Param { distribution, internal: 0.1 + 0.2 })],
                    intermediate_values: vec![(0, 5e-324), (1, f64::INFINITY)],
                    user_attrs: vec![("k".to_owned(), Json::IllFormedString(vec![0xd800]))],
                    system_attrs: vec![("n".to_owned(), Json::BigInt("1".repeat(40)))],
                },
                ending: Ending {
                    outcome: Outcome::Complete(vec![f64::NEG_INFINITY, 1e308]),
                    at: parse_datetime("2026-11-24 01:02:03.000456").expect("a time"),
                    retry: Some(RetryPolicy { max_retries: 2 }),
                },
            },
        }
    }

    fn folder(test: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("trialbox-spool-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_kept_result_comes_back_to_the_bit_and_leaves_nothing_when_removed() {
        let folder = folder("kept");
        let spool = Spool::of(&folder.join("s.db"), []);
        let path = spool.keep(&result("é\n")).expect("the folder can be written");
        assert_eq!(
            path,
            fs::canonicalize(&folder).expect("it is there").join("s.db.spool/3-abc.json")
        );
        let entries = spool.entries().expect("it can be read");
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].result.as_ref(), Ok(&Spooled::Finished(result("é\n"))));
        spool.remove(&entries[0]).expect("it can be removed");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 0);
    }

    #[test]
    fn where_nothing_can_be_written_the_next_folder_serves_and_databases_are_kept_apart() {
        let folder = folder("next");
        let shared = folder.join("shared");
        fs::write(folder.join("a.db"), "").expect("a file");
        // A file where the folder should be: nothing can be written beside this database.
        fs::write(folder.join("a.db.spool"), "").expect("a file");
        let a = Spool::of(&folder.join("a.db"), [shared.clone()]);
        let b = Spool::of(&folder.join("b.db"), [shared.clone()]);
        let path = a.keep(&result("s")).expect("the second folder can be written");
        assert!(path.starts_with(&shared), "{}", path.display());
        assert_eq!(
            {
                let count = |spool: &Spool| spool.entries().expect("it can be read").len();
                (count(&a), count(&b))
            },
            (1, 0)
        );
        let nowhere = Spool::of(&folder.join("a.db"), []).keep(&result("s"));
        assert_eq!(nowhere.expect_err("no folder is left").len(), 1);
    }

    #[test]
    fn a_result_is_found_through_every_link_and_after_the_database_was_moved() {
        let folder = folder("moved");
        let own = folder.join("own");
        fs::create_dir(folder.join("data")).expect("a folder");
        std::os::unix::fs::symlink("data", folder.join("link")).expect("a link");
        std::os::unix::fs::symlink("data/s.db", folder.join("s.db")).expect("a link");
        let spool = |path: &str| Spool::of(&folder.join(path), [own.clone()]);
        let found = |path: &str| {
            let entries = spool(path).entries().expect("it can be read");
            entries.iter().map(|entry| entry.is_stray).collect::<Vec<_>>()
        };
        // The first is written before the database is there, the second in the user's folder.
        let first = spool("link/s.db").keep(&result("s")).expect("a folder");
        fs::write(folder.join("data/s.db"), "").expect("a file");
        for path in ["s.db", "data/s.db", "link/s.db"] {
            assert_eq!(found(path), [false], "{path}");
        }
        fs::remove_file(&first).expect("it is there");
        fs::remove_dir(folder.join("data/s.db.spool")).expect("it is empty");
        fs::write(folder.join("data/s.db.spool"), "in the way").expect("a file");
        spool("link/s.db").keep(&result("s")).expect("the user's folder");
        for path in ["s.db", "data/s.db", "link/s.db"] {
            assert_eq!(found(path), [false], "{path}");
        }
        // Another database is not concerned, as long as this one is there.
        assert_eq!(found("data/other.db"), []);
        fs::rename(folder.join("data/s.db"), folder.join("data/other.db")).expect("it is there");
        assert_eq!(found("data/other.db"), [true]);
        // So it is with results beside the database that was renamed.
        fs::remove_file(folder.join("data/s.db.spool")).expect("it is there");
        spool("data/s.db").keep(&result("s")).expect("a folder");
        assert_eq!(found("data/other.db"), [true, true]);
        let mut anonymous = result("s");
        anonymous.trial.claim.owner = Json::Null;
        spool("data/s.db").keep(&anonymous).expect("a folder");
        assert_eq!(found("data/other.db"), [true, true], "it could be any database's");
    }

    #[test]
    fn a_told_result_comes_back_and_is_of_its_trial() {
        let folder = folder("told");
        let spool = Spool::of(&folder.join("s.db"), []);
        let told = SpooledTell {
            study: Some("s".to_owned()),
            number: TrialNumber(3),
            tell: Tell {
                values: vec![0.1 + 0.2, f64::NAN],
                no_value: Some("None".to_owned()),
                state: Some(TrialState::Fail),
                owner: Some("abc".to_owned()),
                batch: TrialBatch {
                    intermediate_values: vec![(1, 0.5)],
                    user_attrs: vec![("k".to_owned(), Json::Null)],
                    ..TrialBatch::default()
                },
                reason: Some("é".to_owned()),
                skip_if_finished: true,
            },
            constraints: vec![("c".to_owned(), -0.5)],
            at: parse_datetime("2026-11-24 01:02:03.000456").expect("a time"),
        };
        spool.keep_told(&told).expect("the folder can be written");
        let entries = spool.entries().expect("it can be read");
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(
            format!("{:?}", entry.result),
            format!("{:?}", Ok::<_, String>(Spooled::Told(told)))
        );
        let owner = Json::object([("uuid", Json::from("abc"))]);
        let other = Json::object([("uuid", Json::from("abd"))]);
        let is_of = |study, number, owner| entry.is_of(study, TrialId(9), Some(number), owner);
        assert!(is_of("s", 3, Some(&owner)));
        assert!(!is_of("t", 3, Some(&owner)) && !is_of("s", 4, Some(&owner)));
        assert!(!is_of("s", 3, Some(&other)) && !is_of("s", 3, None));
    }

    #[test]
    fn a_file_that_is_no_result_is_named_and_kept() {
        let folder = folder("bad");
        let spool = Spool::of(&folder.join("s.db"), []);
        let path = spool.keep(&result("s")).expect("the folder can be written");
        for text in ["{", "{}", "{\"version\": 2}"] {
            fs::write(&path, text).expect("it can be written");
            assert!(spool.entries().expect("it can be read")[0].result.is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_planted_in_the_spool_is_not_written_through() {
        let folder = folder("planted");
        let victim = folder.join("victim");
        fs::write(&victim, "precious").expect("a file");
        let spool = Spool::of(&folder.join("s.db"), []);
        let beside = folder.join("s.db.spool");
        fs::create_dir(&beside).expect("a folder");
        // The name that trialbox once wrote to before it renamed, and the name that it renames to.
        for name in [".3-abc.json.tmp", "3-abc.json"] {
            std::os::unix::fs::symlink(&victim, beside.join(name)).expect("a link");
        }
        let path = spool.keep(&result("s")).expect("the folder can be written");
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious");
        assert!(fs::symlink_metadata(&path).expect("it is there").is_file());
        let entries = spool.entries().expect("it can be read");
        assert_eq!(entries[0].result.as_ref(), Ok(&Spooled::Finished(result("s"))));
    }

    #[test]
    fn a_spool_that_is_a_link_is_not_used_and_stops_no_study() {
        let folder = folder("linked");
        let elsewhere = folder.join("elsewhere");
        fs::create_dir(&elsewhere).expect("a folder");
        std::os::unix::fs::symlink(&elsewhere, folder.join("s.db.spool")).expect("a link");
        let spool = Spool::of(&folder.join("s.db"), [folder.join("own")]);
        let path = spool.keep(&result("s")).expect("the user's folder can be written");
        assert!(path.ends_with("own/3-abc.json"), "{}", path.display());
        assert_eq!(fs::read_dir(&elsewhere).expect("it is there").count(), 0);
        assert_eq!(spool.entries().expect("it can be read").len(), 1);
        assert!(Spool::of(&folder.join("s.db"), []).keep(&result("s")).is_err());
    }

    #[test]
    fn a_spool_with_special_files_is_read_without_waiting() {
        let folder = folder("special");
        let spool = Spool::of(&folder.join("s.db"), []);
        let beside = folder.join("s.db.spool");
        fs::create_dir(&beside).expect("a folder");
        std::os::unix::fs::symlink("/dev/zero", beside.join("1-a.json")).expect("a link");
        let fifo = beside.join("2-b.json");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a FIFO");
        let entries = spool.entries().expect("it can be read");
        let problems: Vec<_> =
            entries.into_iter().map(|entry| entry.result.expect_err("no result")).collect();
        let beside = fs::canonicalize(&beside).expect("it is there");
        let wanted = |name: &str, found: &str| {
            format!("`{}`: expected a regular file, found {found}", beside.join(name).display())
        };
        assert_eq!(
            problems,
            [wanted("1-a.json", "a symbolic link"), wanted("2-b.json", "a named pipe")]
        );
    }
}
