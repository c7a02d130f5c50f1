//! Results that could not be written: each waits in a file until a later job writes it.
//!
//! The file is written aside, synced and renamed, so it is there wholly or not at all. It lies beside the
//! database, where the next job looks; if nothing can be written there either, in a folder of the user's. What
//! makes it count just once is the claim in it: only the trial's own attempt can end the trial.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use trialbox_core::run::UnrecordedTrial;
use trialbox_core::seam::storage::{Claim, Ending, Outcome, RetryPolicy, TrialBatch};
use trialbox_core::study::trial::{TrialId, format_datetime, parse_datetime};
use trialbox_core::{Distribution, Json, Param, TrialNumber, TrialState};

/// The format of the files. A later one may add members, and changes this number if it changes any.
const VERSION: i64 = 1;

/// The folders in which the results of a database wait.
#[derive(Debug, Clone)]
pub struct Spool {
    folders: Vec<PathBuf>,
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

/// A file of the spool.
#[derive(Debug)]
pub struct SpoolEntry {
    /// The file's path.
    pub path: PathBuf,
    /// The result in it, or the reason why it cannot be read.
    pub result: Result<SpooledResult, String>,
}

impl Spool {
    /// Returns the spool of a database: `study.db.spool` beside it, and after that the folders given.
    pub fn of(database: &Path, others: impl IntoIterator<Item = PathBuf>) -> Self {
        let database = fs::canonicalize(database)
            .or_else(|_| std::path::absolute(database))
            .unwrap_or_else(|_| database.to_owned());
        let beside = crate::lock::file::with_suffix(&database, ".spool");
        Spool { folders: std::iter::once(beside).chain(others).collect(), database }
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
        let name = format!("{}-{attempt}.json", result.trial.claim.number);
        let mut problems = Vec::new();
        for folder in &self.folders {
            match write_whole(folder, &name, &text) {
                Ok(path) => return Ok(path),
                Err(error) => problems.push((folder.clone(), error)),
            }
        }
        Err(problems)
    }

    /// Reads the results that wait for this database, in the order of the files' names.
    ///
    /// # Errors
    /// When a folder exists but cannot be read: results may be waiting in it.
    pub fn entries(&self) -> io::Result<Vec<SpoolEntry>> {
        let mut entries = Vec::new();
        for folder in &self.folders {
            entries.extend(self.entries_in(folder).map_err(|error| {
                let folder = folder.display();
                io::Error::new(error.kind(), format!("the spool folder `{folder}`: {error}"))
            })?);
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Removes the file of a result that was written.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&self, entry: &SpoolEntry) -> io::Result<()> {
        crate::failpoint!("spool.before_remove");
        fs::remove_file(&entry.path)?;
        // The last one takes the folder with it.
        let _ = entry.path.parent().map(fs::remove_dir);
        Ok(())
    }

    fn entries_in(&self, folder: &Path) -> io::Result<Vec<SpoolEntry>> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let files = match fs::read_dir(folder) {
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(vec![]),
            other => other?,
        };
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        let is_result =
            |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        Ok(paths.filter(is_result).filter_map(|path| self.entry(path)).collect())
    }

    /// The entry, unless it is another database's.
    fn entry(&self, path: PathBuf) -> Option<SpoolEntry> {
        let json = fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| Json::parse(&text).map_err(|error| error.to_string()));
        let database = json.as_ref().ok().and_then(|json| json.get("database")?.as_str());
        // Beside the database all is its own: it may have been moved since.
        let is_beside = path.parent() == self.folders.first().map(PathBuf::as_path);
        if !is_beside && database.map(Path::new) != Some(&self.database) {
            return None;
        }
        let result = json.and_then(|json| {
            decode(&json).ok_or_else(|| "it is no spooled result of this version".to_owned())
        });
        Some(SpoolEntry { path, result })
    }
}

/// Writes a file so that it is there wholly or not at all, even after a power cut.
fn write_whole(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let (aside, path) = (folder.join(format!(".{name}.tmp")), folder.join(name));
    let create = || fs::create_dir_all(folder).and_then(|()| fs::File::create(&aside));
    // Once more if another process has just removed the folder with its last file.
    let written = create().or_else(|_| create()).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    crate::failpoint!("spool.before_rename");
    let done = written.and_then(|()| fs::rename(&aside, &path));
    if let Err(error) = done {
        let _ = fs::remove_file(&aside);
        let _ = fs::remove_dir(folder);
        return Err(error);
    }
    crate::failpoint!("spool.after_rename");
    fs::File::open(folder)?.sync_all()?;
    Ok(path)
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

fn decode(json: &Json) -> Option<SpooledResult> {
    let int = |key: &str| json.get(key).and_then(Json::as_i64);
    if int("version")? != VERSION {
        return None;
    }
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
        assert_eq!(entries[0].result.as_ref(), Ok(&result("é\n")));
        spool.remove(&entries[0]).expect("it can be removed");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 0);
    }

    #[test]
    fn where_nothing_can_be_written_the_next_folder_serves_and_databases_are_kept_apart() {
        let folder = folder("next");
        let shared = folder.join("shared");
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
    fn a_file_that_is_no_result_is_named_and_kept() {
        let folder = folder("bad");
        let spool = Spool::of(&folder.join("s.db"), []);
        let path = spool.keep(&result("s")).expect("the folder can be written");
        for text in ["{", "{}", "{\"version\": 2}"] {
            fs::write(&path, text).expect("it can be written");
            assert!(spool.entries().expect("it can be read")[0].result.is_err(), "{text}");
        }
    }
}
