//! `trialbox study best`: the best trial, or of several objectives the Pareto front and what it covers.

use crate::args::storage::NamedStudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::objectives::{objective_names, show_objectives, show_values};
use crate::view::output::{Output, table};
use crate::view::record::{Float, Hypervolume, Record, TrialRecord, View, floats};
use crate::view::trial::{
    show_constraint, show_duration, show_float, show_params, show_value, show_violated,
};
use trialbox_core::study::record::best_trial;
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, Storage, StorageError, StudyRecord, TrialState};
use trialbox_samplers::pareto::{hypervolume, losses, pareto_front};

#[derive(Debug, clap::Args)]
pub(crate) struct BestArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// Reference point of the hypervolume, for several objectives
    ///
    /// A value for each objective, in their order or by name, such as accuracy=0,size=1e6.
    #[arg(long, value_name = "V1,V2|NAME=VALUE,…", allow_hyphen_values = true)]
    reference_point: Option<String>,
}

impl BestArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let reference = self.reference_point.as_deref();
        let reference = reference.map(|text| read_reference(&study, text)).transpose()?;
        let outcomes = storage.outcomes(study.id)?;
        let best = whole_trials(&mut *storage, &study, &best_trials(&study, &outcomes))?;
        if best.is_empty() {
            return Err(no_best_trial(&mut *storage, &study, &outcomes));
        }
        let best: Vec<&FrozenTrial> = best.iter().collect();
        let covered = reference.map(|reference| Covered::of(&study, &best, reference));
        output.print(&Best { study: &study, trials: best, covered });
        Ok(ExitCode::Done)
    }
}

/// The best trial of a single objective, or the Pareto front of several.
struct Best<'a> {
    study: &'a StudyRecord,
    trials: Vec<&'a FrozenTrial>,
    /// The front's hypervolume, if a reference point was given.
    covered: Option<Covered>,
}

impl View for Best<'_> {
    fn text(&self) -> String {
        if let ([trial], [_]) = (&self.trials[..], &self.study.directions[..]) {
            return best_text(self.study, trial);
        }
        let mut text = front_text(self.study, &self.trials);
        if let Some(covered) = &self.covered {
            text.push_str(&format!("\n{}", covered.to_text(self.study)));
        }
        text
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        let trials =
            self.trials.iter().map(|trial| TrialRecord::of_stored(self.study, trial).into());
        let covered = self.covered.iter().map(|covered| covered.record(self.study).into());
        Box::new(trials.chain(covered))
    }
}

/// Returns the best trial of a single objective, or the Pareto front of several.
pub(crate) fn best_trials<'a>(
    study: &StudyRecord,
    trials: &'a [FrozenTrial],
) -> Vec<&'a FrozenTrial> {
    match study.directions[..] {
        [direction] => best_trial(trials, direction).into_iter().collect(),
        _ => pareto_front(trials, &study.directions),
    }
}

/// Reads all that is stored of a few trials whose outcomes are known: much less than all of the study's.
pub(crate) fn whole_trials(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    outcomes: &[&FrozenTrial],
) -> Result<Vec<FrozenTrial>, StorageError> {
    outcomes.iter().map(|outcome| storage.trial(study.id, outcome.number)).collect()
}

/// Returns the error for a study without a best trial: no trial is COMPLETE, or none of them is feasible.
fn no_best_trial(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    trials: &[FrozenTrial],
) -> CommandError {
    let complete = || trials.iter().filter(|trial| trial.state == TrialState::Complete);
    let least = complete().min_by(|a, b| a.violation().total_cmp(&b.violation()));
    let Some(least) = least else {
        let its = match trials.len() {
            0 => "it has no trial".to_owned(),
            1 => "its only trial is not COMPLETE".to_owned(),
            n => format!("none of its {n} trials is COMPLETE"),
        };
        let problem = format!("study `{}` has no best trial: {its}", study.name);
        return CommandError::usage(problem, "`trialbox study trials` shows how they ended");
    };
    // The names of constraints are not among the outcomes.
    let least = match storage.trial(study.id, least.number) {
        Ok(least) => least,
        Err(error) => return error.into(),
    };
    let none = match complete().count() {
        1 => "its only COMPLETE trial does not satisfy its constraints".to_owned(),
        n => format!("none of its {n} COMPLETE trials satisfies its constraints"),
    };
    let problem = format!(
        "study `{}` has no best trial: {none}; trial {} comes closest, with {}, and violates {}",
        study.name,
        least.number,
        show_values(study, &least.values),
        show_violated(&least.constraints_shown()).unwrap_or_default(),
    );
    CommandError::usage(problem, "a constraint is satisfied when its value is <= 0")
}

fn best_text(study: &StudyRecord, trial: &FrozenTrial) -> String {
    let mut text = format!("trial {} of study `{}`\n", trial.number, study.name);
    for (objective, value) in show_objectives(study).iter().zip(&trial.values) {
        text.push_str(&format!("  {objective} = {}\n", show_float(*value)));
    }
    for (name, param) in &trial.params {
        text.push_str(&format!("  {name} = {}\n", show_value(&param.external())));
    }
    for constraint in &trial.constraints_shown() {
        text.push_str(&format!("  constraint {}\n", show_constraint(constraint)));
    }
    if let Some(duration) = trial.duration() {
        text.push_str(&format!("  took {}\n", show_duration(duration)));
    }
    text
}

fn front_text(study: &StudyRecord, front: &[&FrozenTrial]) -> String {
    let objectives = show_objectives(study);
    let mut header = vec!["number"];
    header.extend(objectives.iter().map(String::as_str));
    header.push("parameters");
    let rows = front.iter().map(|trial| {
        let mut row = vec![trial.number.to_string()];
        row.extend(trial.values.iter().map(|value| show_float(*value)));
        row.push(show_params(&trial.params));
        row
    });
    table(&header, rows)
}

/// The volume that a front covers, measured from a reference point that is worse.
struct Covered {
    /// The reference point, in the study's own directions.
    reference: Vec<f64>,
    hypervolume: f64,
    /// The number of trials on the front that do not reach the reference point, and so cover nothing.
    n_beyond: usize,
}

impl Covered {
    fn of(study: &StudyRecord, front: &[&FrozenTrial], reference: Vec<f64>) -> Self {
        let limits = losses(&reference, &study.directions);
        let points: Vec<Vec<f64>> = front
            .iter()
            .map(|trial| losses(&trial.values, &study.directions))
            .filter(|point| point.iter().zip(&limits).all(|(loss, limit)| loss <= limit))
            .collect();
        let n_beyond = front.len() - points.len();
        Covered { hypervolume: hypervolume(&points, &limits), reference, n_beyond }
    }

    fn to_text(&self, study: &StudyRecord) -> String {
        let mut text = format!(
            "hypervolume {} from the point {}",
            show_float(self.hypervolume),
            show_values(study, &self.reference)
        );
        if self.n_beyond > 0 {
            text.push_str(&format!("; {} of the trials do not reach it", self.n_beyond));
        }
        text
    }

    fn record(&self, study: &StudyRecord) -> Hypervolume {
        Hypervolume {
            study: study.name.clone(),
            hypervolume: Float(self.hypervolume),
            reference_point: floats(&self.reference),
            n_beyond: self.n_beyond,
        }
    }
}

/// Reads `0,1e6`, or `size=1e6,accuracy=0` in any order.
fn read_reference(study: &StudyRecord, text: &str) -> Result<Vec<f64>, CommandError> {
    let names = objective_names(study);
    let usage = |problem: String| {
        let wanted: Vec<String> = names.iter().map(|name| format!("{name}=0")).collect();
        let help = format!("give one value for each objective, such as {}", wanted.join(","));
        CommandError::usage(problem, help)
    };
    if names.len() == 1 {
        let problem = format!("study `{}` has one objective, and so no Pareto front", study.name);
        return Err(CommandError::usage(problem, "leave --reference-point out"));
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() != names.len() {
        let (found, wanted) = (parts.len(), names.len());
        return Err(usage(format!(
            "--reference-point has {}, and study `{}` has {wanted} objectives",
            counted(found as u64, "value"),
            study.name
        )));
    }
    let mut point = vec![None; names.len()];
    for (index, part) in parts.into_iter().enumerate() {
        // A name may hold the sign, a number does not.
        let (name, value) = part.rsplit_once('=').map_or((None, part), |(a, b)| (Some(a), b));
        let place = match name {
            None => index,
            Some(name) => names.iter().position(|found| found == name.trim()).ok_or_else(|| {
                usage(format!("study `{}` has no objective `{name}`", study.name))
            })?,
        };
        let read = value.trim().parse().ok().filter(|value: &f64| !value.is_nan());
        let value = read.ok_or_else(|| usage(format!("expected a number, found `{value}`")))?;
        if point[place].replace(value).is_some() {
            return Err(usage(format!("--reference-point names `{}` twice", names[place])));
        }
    }
    // As many different places as objectives: all of them.
    Ok(point.into_iter().flatten().collect())
}
