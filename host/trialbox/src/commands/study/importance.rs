//! `trialbox study importance`: assesses how much each parameter matters.

use crate::args::storage::NamedStudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::{Output, table};
use crate::view::record::{Float, ImportanceRecord, Record, View};
use crate::view::trial::show_rounded;
use trialbox_core::seam::guarded::guarded;
use trialbox_core::{History, StudyRecord};
use trialbox_samplers::importance::{
    ImportanceError, Importances, Target, fanova, mean_decrease_impurity, normalize, ped_anova,
};

#[derive(Debug, clap::Args)]
pub(crate) struct ImportanceArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// The method that assesses importances
    #[arg(
        long,
        value_name = "ped-anova|fanova|mdi",
        value_enum,
        default_value_t = Evaluator::PedAnova,
        hide_possible_values = true
    )]
    evaluator: Evaluator,

    /// The objective, by its name or its index from 0 [default: all]
    #[arg(long, value_name = "NAME|INDEX")]
    objective: Option<String>,

    /// Assess only this parameter
    ///
    /// May be repeated. [default: all; for fanova and mdi, those that every trial has with the same range]
    #[arg(long = "param", value_name = "NAME")]
    params: Vec<String>,

    /// Print importances without dividing them by their sum
    #[arg(long)]
    no_normalize: bool,

    /// The seed of the random forest of fanova and mdi
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// The evaluators, in Optuna's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Evaluator {
    PedAnova,
    Fanova,
    Mdi,
}

impl Evaluator {
    fn as_str(self) -> &'static str {
        match self {
            Evaluator::PedAnova => "ped-anova",
            Evaluator::Fanova => "fanova",
            Evaluator::Mdi => "mdi",
        }
    }
}

/// The importances for one target.
struct Assessed {
    target: Target,
    /// The objective's name, if it has one.
    metric_name: Option<String>,
    importances: Importances,
}

impl Assessed {
    fn heading(&self, n_objectives: usize) -> String {
        match (self.target, &self.metric_name) {
            (Target::Objective(_), Some(name)) => name.clone(),
            (Target::Objective(index), None) if n_objectives > 1 => format!("value {index}"),
            _ => "importance".to_owned(),
        }
    }

    fn of(&self, param: &str) -> Option<f64> {
        self.importances.iter().find(|(name, _)| name == param).map(|(_, value)| *value)
    }
}

impl ImportanceArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let targets = self.targets(&study)?;
        let history = History::new(study.directions.clone(), storage.history(study.id)?);
        let metric_names = study.metric_names().unwrap_or_default();
        let mut assessed = Vec::new();
        for target in targets {
            let metric_name = match target {
                Target::Objective(index) => metric_names.get(index).cloned(),
                Target::AllObjectives => None,
            };
            let importances = guarded("evaluator", || self.assess(&history, target))?
                .map_err(|it| explain(it, &name))?;
            assessed.push(Assessed { target, metric_name, importances });
        }
        let is_of_front = assessed.iter().any(|it| it.target == Target::AllObjectives);
        let n_objectives = study.directions.len();
        output.print(&Assessment {
            study: name,
            evaluator: self.evaluator,
            n_objectives,
            assessed,
        });
        if is_of_front {
            output.note(
                "assessed for a place near the Pareto front; --objective chooses one objective",
            );
        }
        Ok(ExitCode::Done)
    }

    /// Returns the targets, one for each column: the chosen objective, else all of them, together if the evaluator can.
    fn targets(&self, study: &StudyRecord) -> Result<Vec<Target>, CommandError> {
        let n_objectives = study.directions.len();
        match (&self.objective, self.evaluator) {
            (Some(objective), _) => Ok(vec![Target::Objective(find_objective(objective, study)?)]),
            (None, Evaluator::PedAnova) if n_objectives > 1 => Ok(vec![Target::AllObjectives]),
            (None, _) => Ok((0..n_objectives).map(Target::Objective).collect()),
        }
    }

    fn assess(&self, history: &History, target: Target) -> Result<Importances, ImportanceError> {
        let params = Some(&self.params[..]).filter(|params| !params.is_empty());
        let mut importances = match (self.evaluator, target) {
            (Evaluator::Fanova, Target::Objective(index)) => {
                fanova(history, params, index, self.seed)
            }
            (Evaluator::Mdi, Target::Objective(index)) => {
                mean_decrease_impurity(history, params, index, self.seed)
            }
            (_, target) => ped_anova(history, params, target),
        }?;
        if !self.no_normalize {
            normalize(&mut importances);
        }
        Ok(importances)
    }
}

/// The importances of a study's parameters.
struct Assessment {
    study: String,
    evaluator: Evaluator,
    n_objectives: usize,
    assessed: Vec<Assessed>,
}

impl View for Assessment {
    fn text(&self) -> String {
        to_text(&self.assessed, self.n_objectives)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(self.assessed.iter().flat_map(|assessed| self.records_of(assessed)))
    }
}

impl Assessment {
    fn records_of<'a>(&'a self, assessed: &'a Assessed) -> impl Iterator<Item = Record> + 'a {
        let objective = match assessed.target {
            Target::Objective(index) => Some(index),
            Target::AllObjectives => None,
        };
        assessed.importances.iter().map(move |(param, importance)| {
            let record = ImportanceRecord {
                study: self.study.clone(),
                evaluator: self.evaluator.as_str(),
                objective,
                metric_name: assessed.metric_name.clone(),
                param: param.clone(),
                importance: Float(*importance),
            };
            record.into()
        })
    }
}

/// Finds an objective by its name, else by its index.
fn find_objective(text: &str, study: &StudyRecord) -> Result<usize, CommandError> {
    let n_objectives = study.directions.len();
    let names = study.metric_names().unwrap_or_default();
    let by_name = names.iter().position(|name| name == text);
    let by_index = || text.parse().ok().filter(|index| *index < n_objectives);
    by_name.or_else(by_index).ok_or_else(|| {
        let known = match (names.is_empty(), n_objectives) {
            (false, _) => names.join(", "),
            (true, 1) => "0".to_owned(),
            (true, n) => format!("0 to {}", n - 1),
        };
        CommandError::usage(
            format!("study `{}` has no objective `{text}`", study.name),
            format!("choose one with --objective: {known}"),
        )
    })
}

fn explain(error: ImportanceError, study: &str) -> CommandError {
    let help = match error {
        ImportanceError::TooFewTrials { .. } => "`trialbox study trials` shows how they ended",
        ImportanceError::NoCommonParams => {
            "--evaluator ped-anova assesses parameters that only some trials have or whose range changes; \
             --param names some that trials have together"
        }
        ImportanceError::NeverTogether { .. } | ImportanceError::ChangingRange { .. } => {
            "name others with --param, or take --evaluator ped-anova"
        }
        ImportanceError::UnknownParams { .. } => "name some of these with --param",
        ImportanceError::NoSuchObjective { .. } => "choose another with --objective",
        ImportanceError::NoParams => "the objective must suggest parameters",
        ImportanceError::NoVariance { .. } => "run more trials",
    };
    let error = anyhow::Error::new(error)
        .context(format!("the importances of study `{study}` cannot be assessed"));
    CommandError { exit: ExitCode::Usage, code: None, error, help: Some(help.to_owned()) }
}

/// Returns a row for each parameter, in the order of the first column, with a number and a bar for each target.
fn to_text(assessed: &[Assessed], n_objectives: usize) -> String {
    let width = if assessed.len() == 1 { 30 } else { 12 };
    let largest = assessed.iter().flat_map(|it| &it.importances).map(|(_, value)| *value);
    let largest = largest.fold(0.0, f64::max);
    let headings = assessed.iter().map(|it| it.heading(n_objectives));
    let header: Vec<String> = std::iter::once("parameter".to_owned()).chain(headings).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let params = assessed.first().into_iter().flat_map(|first| &first.importances);
    let rows = params.map(|(param, _)| {
        let cells = assessed.iter().map(|it| cell(it.of(param), largest, width));
        std::iter::once(param.clone()).chain(cells).collect()
    });
    table(&header, rows)
}

fn cell(value: Option<f64>, largest: f64, width: usize) -> String {
    let Some(value) = value else { return String::new() };
    format!("{} {}", show_rounded(value, 4), bar(value / largest, width))
}

/// Returns a bar of at most `width` characters, in eighths of one.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    // NaN, where all importances are 0, is 0 as an integer.
    let n_eighths = ((share * 8.0 * width as f64).round() as usize).min(8 * width);
    format!("{}{}", "█".repeat(n_eighths / 8), EIGHTHS[n_eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_eighths_of_a_character() {
        let bars = [(1.0, "██"), (0.5, "█"), (0.56, "█▏"), (0.0, ""), (f64::NAN, "")];
        for (share, want) in bars {
            assert_eq!(bar(share, 2), want, "{share}");
        }
    }

    #[test]
    fn each_target_has_a_column_with_its_objectives_name() {
        let assessed = |index, name: Option<&str>, values: &[(&str, f64)]| Assessed {
            target: Target::Objective(index),
            metric_name: name.map(str::to_owned),
            importances: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        let text = to_text(
            &[
                assessed(0, Some("loss"), &[("x", 0.75), ("depth", 0.25)]),
                assessed(1, Some("speed"), &[("depth", 1.0), ("x", 0.0)]),
            ],
            2,
        );
        let want = "\
parameter  loss              speed
x          0.7500 █████████  0.0000
depth      0.2500 ███        1.0000 ████████████";
        assert_eq!(text, want);
        let single = to_text(&[assessed(0, None, &[("x", 1.0)])], 1);
        assert_eq!(single, format!("parameter  importance\nx          1.0000 {}", "█".repeat(30)));
    }
}
