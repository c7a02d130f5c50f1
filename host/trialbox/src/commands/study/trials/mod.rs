//! `trialbox study trials`: lists trials, chosen, sorted and cut as the user asks.

mod filter;
mod key;

use self::filter::Condition;
use self::key::Key;
use crate::args::storage::NamedStudyArgs;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::view::failure::stored_failure_message;
use crate::view::objectives::objective_names;
use crate::view::output::{Output, table};
use crate::view::record::{Record, TrialRecord, View};
use crate::view::trial::{show_params, show_violated};
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::{FrozenTrial, StudyRecord, TrialState};

#[derive(Debug, clap::Args)]
pub(crate) struct TrialsArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// List only trials in this state
    #[arg(long, value_name = "complete|pruned|fail|running|waiting", value_parser = parse_state)]
    state: Option<TrialState>,

    /// List only trials of which this holds, such as 'lr<0.01'
    ///
    /// The operators are <, <=, >, >=, = and !=. May be repeated: all must hold. A trial without the value is not
    /// listed. The names are those of --columns.
    #[arg(long = "where", value_name = "CONDITION", value_parser = Condition::parse)]
    conditions: Vec<Condition>,

    /// Sort by this column: the best values of an objective first, the smallest of others [default: number]
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,

    /// Reverse the order
    #[arg(long)]
    reverse: bool,

    /// List only the first N; without --sort the best N by the first objective
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Columns of the text, separated by commas
    ///
    /// number, state, duration, started and finished (UTC), the objectives and parameters by name, user:KEY for a user
    /// attribute. [default: number, state, objectives, duration, and all parameters or the failure in one]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    columns: Vec<String>,
}

impl TrialsArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let all = storage.trials(study.id)?;
        let mut conditions = Vec::new();
        for condition in &self.conditions {
            conditions.push(condition.of_study(&study, &all)?);
        }
        let sort = match (&self.sort, self.top) {
            (Some(name), _) => Some(Key::find(name, &study, &all)?),
            (None, Some(_)) => Some(Key::Objective(0)),
            (None, None) => None,
        };
        let mut columns = Vec::new();
        for name in &self.columns {
            columns.push((name.clone(), Key::find(name.trim(), &study, &all)?));
        }
        let is_chosen = |trial: &FrozenTrial| {
            self.state.is_none_or(|state| trial.state == state)
                && conditions.iter().all(|holds| holds(trial))
        };
        let mut trials: Vec<FrozenTrial> = all.into_iter().filter(is_chosen).collect();
        if let Some(key) = sort {
            trials.sort_by(|a, b| key.compare(&study, a, b));
        }
        if self.reverse {
            trials.reverse();
        }
        trials.truncate(self.top.unwrap_or(usize::MAX));
        output.print(&TrialTable { study, trials, columns });
        Ok(ExitCode::Done)
    }
}

/// The trials of a study: a row or a record for each.
struct TrialTable {
    study: StudyRecord,
    trials: Vec<FrozenTrial>,
    /// The chosen columns; none for the usual ones.
    columns: Vec<(String, Key)>,
}

impl View for TrialTable {
    fn text(&self) -> String {
        if !self.columns.is_empty() {
            let header: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
            let cells = |trial: &FrozenTrial| {
                self.columns.iter().map(|(_, key)| key.show(trial)).collect::<Vec<_>>()
            };
            return table(&header, self.trials.iter().map(cells));
        }
        let names = objective_names(&self.study);
        let mut header = vec!["number", "state"];
        header.extend(names.iter().map(String::as_str));
        header.extend(["took", "parameters, or why it failed"]);
        let mut keys = vec![Key::Number, Key::State];
        keys.extend((0..names.len()).map(Key::Objective));
        keys.push(Key::Duration);
        let rows = self.trials.iter().map(|trial| {
            let mut row: Vec<String> = keys.iter().map(|key| key.show(trial)).collect();
            row.push(show_params_or_problem(trial));
            row
        });
        table(&header, rows)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(self.trials.iter().map(|trial| TrialRecord::of_stored(&self.study, trial).into()))
    }
}

fn show_params_or_problem(trial: &FrozenTrial) -> String {
    let failure = trial.system_attrs.get(FAILURE_ATTR);
    let mut text = match failure.and_then(stored_failure_message) {
        Some(reason) => reason,
        None => show_params(&trial.params),
    };
    if let Some(violated) = show_violated(&trial.constraints_shown()) {
        text.push_str(&format!("; violates {violated}"));
    }
    text
}

fn parse_state(text: &str) -> Result<TrialState, String> {
    TrialState::parse(&text.to_uppercase()).ok_or_else(|| {
        format!("expected complete, pruned, fail, running or waiting, found `{text}`")
    })
}
