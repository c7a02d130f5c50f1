//! `trialbox study export`: trials as text.

use crate::args::storage::NamedStudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::exchange;
use crate::view::output::{Output, escape_controls};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use trialbox_core::study::trial::format_datetime;
use trialbox_core::value::json::python_repr;
use trialbox_core::value::text::{clean, counted};
use trialbox_core::{FrozenTrial, Json, StudyRecord};
use trialbox_files::{open_named, write_named, write_to_device};
use trialbox_report::csv_line;

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// Leave out the system attributes, which are JSON of Optuna's and trialbox's; for CSV
    #[arg(long)]
    no_system_attrs: bool,

    /// Write to a file instead of standard output; a name that ends with .json or .jsonl makes it JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ExportArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let is_json = self.is_json(output.is_json())?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let mut trials = storage.trials(study.id)?;
        if self.no_system_attrs {
            if is_json {
                return Err(CommandError::usage(
                    "--no-system-attrs is for CSV: an import needs the system attributes",
                    "leave out --no-system-attrs, or write CSV",
                ));
            }
            trials.iter_mut().for_each(|trial| trial.system_attrs.clear());
        }
        let text = if is_json {
            escape_controls(&exchange::encode(&study, &trials)).into_owned()
        } else {
            to_csv(&study, &trials)
        };
        match &self.output {
            Some(path) => {
                write_to(path, &text)?;
                output.note(&format!(
                    "wrote {} to {}",
                    counted(trials.len() as u64, "trial"),
                    path.display()
                ));
            }
            None => output.write_file(&text),
        }
        Ok(ExitCode::Done)
    }
}

impl ExportArgs {
    /// Returns whether to write JSON: with `--format json`, or to a file with JSON's extension.
    ///
    /// # Errors
    /// Fails for JSON in a file with the extension of CSV.
    fn is_json(&self, has_flag: bool) -> Result<bool, CommandError> {
        let extension = self.output.as_deref().and_then(Path::extension);
        let extension = extension.map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("json" | "jsonl" | "ndjson") => Ok(true),
            Some("csv" | "tsv") if has_flag => Err(CommandError::usage(
                "expected a file for JSON, found one for CSV after --output",
                "name it trials.jsonl, or leave out --format json",
            )),
            _ => Ok(has_flag),
        }
    }
}

/// Writes an export to the file of `--output`.
///
/// A file is written aside and renamed, so a full disk leaves an earlier export whole; a device of the system, such as
/// `/dev/stdout`, is written directly. A database is never replaced.
fn write_to(path: &Path, text: &str) -> Result<(), CommandError> {
    if is_database(path) {
        return Err(CommandError::usage(
            format!("`{}`: expected a new file or an export, found a database", path.display()),
            "choose another --output; `trialbox study delete` removes a study",
        ));
    }
    let written = if path.starts_with("/dev") && !path.is_file() {
        write_to_device(path, text.as_bytes())
    } else {
        write_named(path, text.as_bytes(), None)
    };
    written.map_err(|error| CommandError::usage(error.to_string(), "choose another --output"))
}

/// Returns whether a file starts as a SQLite database does (<https://sqlite.org/fileformat2.html>, section 1.3).
fn is_database(path: &Path) -> bool {
    const HEADER: &[u8; 16] = b"SQLite format 3\0";
    let mut start = [0; 16];
    let Ok(mut file) = open_named(path) else { return false };
    file.read_exact(&mut start).is_ok() && start == *HEADER
}

/// Returns the trials with the columns of Optuna's `trials_dataframe()`, nested ones sorted by name.
fn to_csv(study: &StudyRecord, trials: &[FrozenTrial]) -> String {
    let params: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.params.iter().map(|(name, _)| name)).collect();
    let user_attrs: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.user_attrs.keys()).collect();
    let system_attrs: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.system_attrs.keys()).collect();
    let mut header = vec!["number".to_owned()];
    header.extend(value_columns(study));
    header.extend(["datetime_start", "datetime_complete", "duration"].map(str::to_owned));
    header.extend(params.iter().map(|name| format!("params_{name}")));
    header.extend(user_attrs.iter().map(|key| format!("user_attrs_{key}")));
    header.extend(system_attrs.iter().map(|key| format!("system_attrs_{key}")));
    header.push("state".to_owned());
    let mut csv = clean_line(&header);
    for trial in trials {
        let mut row = vec![trial.number.to_string()];
        let value = |index| trial.values.get(index).copied().map(python_repr);
        row.extend((0..study.directions.len()).map(|index| value(index).unwrap_or_default()));
        for at in [trial.datetime_start, trial.datetime_complete] {
            row.push(at.map(format_datetime).unwrap_or_default());
        }
        let duration = trial.duration().map(|duration| python_repr(duration.as_secs_f64()));
        row.push(duration.unwrap_or_default());
        row.extend(params.iter().map(|name| {
            trial.param(name).map(|param| csv_value(&param.external())).unwrap_or_default()
        }));
        row.extend(cells(&trial.user_attrs, &user_attrs));
        row.extend(cells(&trial.system_attrs, &system_attrs));
        row.push(trial.state.to_string());
        csv.push_str(&clean_line(&row));
    }
    csv
}

/// Returns a cell for each of the keys, empty where the trial has no such attribute.
fn cells<'a>(
    attrs: &'a BTreeMap<String, Json>,
    keys: &'a BTreeSet<&String>,
) -> impl Iterator<Item = String> + 'a {
    keys.iter().map(|key| attrs.get(*key).map(csv_value).unwrap_or_default())
}

fn value_columns(study: &StudyRecord) -> Vec<String> {
    match (study.metric_names(), study.directions.len()) {
        (Some(names), 1) => names.into_iter().map(|name| format!("value_{name}")).collect(),
        (Some(names), _) => names.into_iter().map(|name| format!("values_{name}")).collect(),
        (None, 1) => vec!["value".to_owned()],
        (None, n) => (0..n).map(|index| format!("values_{index}")).collect(),
    }
}

fn csv_value(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns one line without what a terminal would obey: the table is for people. The export as JSON has every
/// character.
fn clean_line(fields: &[String]) -> String {
    csv_line(fields.iter().map(|field| clean(field)))
}
