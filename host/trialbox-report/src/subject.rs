//! The study that a report is about.

use jiff::SignedDuration;
use std::cell::OnceCell;
use trialbox_core::study::trial::OWN_PREFIX;
use trialbox_core::{FrozenTrial, History, StudyDirection, StudyRecord, TrialState, UtcDateTime};
use trialbox_samplers::importance::{Importances, Target, normalize, ped_anova};
use trialbox_samplers::pareto::pareto_front;

use crate::label::label;
use crate::params::{Parameter, parameters};

/// A study with its trials and the moment of the report.
#[derive(Debug)]
pub struct Subject<'a> {
    study: &'a StudyRecord,
    history: &'a History,
    now: UtcDateTime,
    utc_offset: SignedDuration,
    ordered: Ordered,
    parameters: OnceCell<Vec<Parameter>>,
    importances: OnceCell<Result<Importances, String>>,
    front: OnceCell<Vec<u32>>,
}

/// The orders that the study's jobs follow, in the words of the caller, which knows its attributes and commands.
#[derive(Debug, Clone, Default)]
pub struct Ordered {
    /// The number of trials that the study may have.
    pub max_trials: Option<u64>,
    /// The sentence that tells that the study was stopped, if it was.
    pub stopped: Option<String>,
    /// The command that shows a trial, to which its number is added.
    pub show_trial: String,
    /// The command that writes a figure, to which its word is added.
    pub plot: String,
    /// The version of the program that writes the report.
    pub version: String,
}

impl<'a> Subject<'a> {
    /// Returns the subject of a report: the study at the moment `now` (UTC), for a reader whose clock is `utc_offset`
    /// ahead.
    pub fn new(
        study: &'a StudyRecord,
        history: &'a History,
        now: UtcDateTime,
        utc_offset: SignedDuration,
        ordered: Ordered,
    ) -> Self {
        Subject {
            study,
            history,
            now,
            utc_offset,
            ordered,
            parameters: OnceCell::new(),
            importances: OnceCell::new(),
            front: OnceCell::new(),
        }
    }

    /// Returns the study.
    pub fn study(&self) -> &StudyRecord {
        self.study
    }

    pub(crate) fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    pub(crate) fn now(&self) -> UtcDateTime {
        self.now
    }

    pub(crate) fn history(&self) -> &History {
        self.history
    }

    pub(crate) fn trials(&self) -> &[FrozenTrial] {
        self.history.trials()
    }

    pub(crate) fn in_state(&self, state: TrialState) -> usize {
        self.history.in_state(state).count()
    }

    pub(crate) fn directions(&self) -> &[StudyDirection] {
        &self.study.directions
    }

    /// Returns whether the study has one objective.
    pub(crate) fn is_single(&self) -> bool {
        self.directions().len() == 1
    }

    /// Returns the names of the objectives; without metric names `value`, of several `value 0` and so on.
    pub(crate) fn objective_names(&self) -> Vec<String> {
        self.study.metric_names().unwrap_or_else(|| match self.directions().len() {
            1 => vec!["value".to_owned()],
            n => (0..n).map(|index| format!("value {index}")).collect(),
        })
    }

    /// Returns the names of the objectives for people: on one line, and short.
    pub(crate) fn objective_labels(&self) -> Vec<String> {
        self.objective_names().iter().map(|name| label(name)).collect()
    }

    /// Returns the COMPLETE and feasible trials that have a value of each objective.
    pub(crate) fn results(&self) -> impl Iterator<Item = &FrozenTrial> {
        let n_objectives = self.directions().len();
        self.history
            .in_state(TrialState::Complete)
            .filter(move |trial| trial.values.len() == n_objectives && trial.is_feasible())
    }

    /// Returns the numbers of the best trials: one of a single objective, the Pareto front of several.
    pub(crate) fn front(&self) -> &[u32] {
        self.front.get_or_init(|| match self.is_single() {
            true => self.history.best_trial().map(|trial| trial.number.0).into_iter().collect(),
            false => {
                let front = pareto_front(self.trials(), self.directions());
                front.iter().map(|trial| trial.number.0).collect()
            }
        })
    }

    pub(crate) fn is_best(&self, trial: &FrozenTrial) -> bool {
        self.front().binary_search(&trial.number.0).is_ok()
    }

    /// Returns a trial by its number.
    pub(crate) fn trial(&self, number: u32) -> Option<&FrozenTrial> {
        let found = self.trials().binary_search_by_key(&number, |trial| trial.number.0);
        found.ok().map(|index| &self.trials()[index])
    }

    /// Returns the parameters, in the order in which they were first suggested.
    pub(crate) fn parameters(&self) -> &[Parameter] {
        self.parameters.get_or_init(|| parameters(self.history))
    }

    /// Returns the importances by PED-ANOVA, which sum up to 1.
    ///
    /// # Errors
    /// The reason why there are none.
    pub(crate) fn importances(&self) -> Result<&Importances, &str> {
        let found = self.importances.get_or_init(|| {
            let target =
                if self.is_single() { Target::Objective(0) } else { Target::AllObjectives };
            match ped_anova(self.history, None, target) {
                Ok(mut importances) => {
                    normalize(&mut importances);
                    Ok(importances)
                }
                Err(error) => Err(error.to_string()),
            }
        });
        found.as_ref().map_err(String::as_str)
    }

    /// Returns the parameters that more than one value was tried of, the most important first.
    pub(crate) fn by_importance(&self) -> Vec<&Parameter> {
        let importance = |parameter: &Parameter| {
            let found = self.importances().ok()?.iter().find(|(name, _)| *name == parameter.name);
            found.map(|(_, value)| *value)
        };
        let mut sorted: Vec<&Parameter> =
            self.parameters().iter().filter(|parameter| parameter.varies()).collect();
        sorted.sort_by(|a, b| {
            let (a, b) = (importance(a).unwrap_or(-1.0), importance(b).unwrap_or(-1.0));
            b.total_cmp(&a)
        });
        sorted
    }

    /// Returns a moment of the database by the reader's clock.
    pub(crate) fn local(&self, at: UtcDateTime) -> UtcDateTime {
        at.checked_add(self.utc_offset).unwrap_or(at)
    }
}

/// Returns whether trialbox keeps an attribute for its own use.
pub(crate) fn is_own(key: &str) -> bool {
    key.starts_with(OWN_PREFIX)
}
