//! Trials as points of a box: a column for each number, and one for each choice of a categorical parameter.

use crate::importance::{ImportanceError, Importances, largest_first};
use std::collections::BTreeMap;
use std::ops::Range;
use trialbox_core::space::transform::into_range;
use trialbox_core::{Distribution, FrozenTrial, History, TrialState};

/// The points, column by column, and their values.
pub(super) struct Encoding {
    /// The parameters with their columns; those of one value have none.
    pub(super) params: Vec<(String, Range<usize>)>,
    /// The ends of each column. Numbers and targets are scaled by powers of two, which changes no digit of them: the
    /// squares of large ones would be infinite, and those of small ones 0.
    pub(super) bounds: Vec<(f64, f64)>,
    /// For each column its value in each trial, within the bounds.
    pub(super) columns: Vec<Vec<f64>>,
    /// The objective's value in each trial.
    pub(super) targets: Vec<f64>,
}

impl Encoding {
    /// Returns the trials that have all of `params`, or of the parameters that all COMPLETE trials share.
    ///
    /// # Errors
    /// There are no such parameters or trials, or the ranges change.
    pub(super) fn of(
        history: &History,
        trials: &[&FrozenTrial],
        params: Option<&[String]>,
        objective: usize,
    ) -> Result<Self, ImportanceError> {
        let space = match params {
            Some(names) => named_space(history, names)?,
            None => common_space(history)?,
        };
        let mut trials = trials.to_vec();
        trials.retain(|trial| space.keys().all(|name| trial.param(name).is_some()));
        if trials.len() < 2 {
            let n_complete = history.in_state(TrialState::Complete).count();
            return Err(ImportanceError::TooFewTrials { n_usable: trials.len(), n_complete });
        }
        let mut targets: Vec<f64> = trials.iter().map(|trial| trial.values[objective]).collect();
        let largest = targets.iter().copied().map(f64::abs).fold(0.0, f64::max);
        targets.iter_mut().for_each(|target| *target = scaled(*target, largest));
        let mut encoding = Encoding { params: vec![], bounds: vec![], columns: vec![], targets };
        for (name, distribution) in space {
            let values = trials.iter().filter_map(|trial| Some(trial.param(name)?.internal));
            encoding.add(name, distribution, values.collect());
        }
        Ok(encoding)
    }

    fn add(&mut self, name: &str, distribution: &Distribution, values: Vec<f64>) {
        let first = self.bounds.len();
        match distribution {
            _ if distribution.single().is_some() => {}
            Distribution::Categorical(categorical) => {
                for choice in 0..categorical.choices().len() {
                    let is_it = values.iter().map(|value| u8::from(*value as usize == choice));
                    self.bounds.push((0.0, 1.0));
                    self.columns.push(is_it.map(f64::from).collect());
                }
            }
            Distribution::Float(float) => self.add_number((float.low(), float.high()), values),
            Distribution::Int(int) => {
                self.add_number((int.low() as f64, int.high() as f64), values);
            }
        }
        self.params.push((name.to_owned(), first..self.bounds.len()));
    }

    /// Adds a column of numbers. A value that a user fixed outside of the range counts as its end.
    fn add_number(&mut self, (low, high): (f64, f64), mut values: Vec<f64>) {
        let largest = low.abs().max(high.abs());
        let (first, last) = (scaled(low, largest), scaled(high, largest));
        for value in &mut values {
            *value = scaled(into_range(*value, low, high), largest);
        }
        self.bounds.push((first, last));
        self.columns.push(values);
    }

    /// Returns the parameters with these importances.
    pub(super) fn importances(&self, values: impl Iterator<Item = f64>) -> Importances {
        let names = self.params.iter().map(|(name, _)| name.clone());
        let mut importances = names.zip(values).collect();
        largest_first(&mut importances);
        importances
    }
}

/// Returns a value divided by the power of two that makes `largest` a number between ½ and 1; 0 and infinite ones stay.
fn scaled(value: f64, largest: f64) -> f64 {
    let (_, exponent) = libm::frexp(largest);
    if largest.is_finite() { libm::scalbn(value, -exponent) } else { value }
}

type Space<'a> = BTreeMap<&'a str, &'a Distribution>;

/// Returns the parameters that all COMPLETE trials have with the same distribution, single-valued ones included.
fn common_space(history: &History) -> Result<Space<'_>, ImportanceError> {
    let mut trials = history.in_state(TrialState::Complete);
    let mut space = trials.next().map(space_of).unwrap_or_default();
    for trial in trials {
        space.retain(|name, distribution| {
            trial.param(name).is_some_and(|param| param.distribution.is_same(distribution))
        });
    }
    if space.is_empty() { Err(ImportanceError::NoCommonParams) } else { Ok(space) }
}

fn space_of(trial: &FrozenTrial) -> Space<'_> {
    trial.params.iter().map(|(name, param)| (name.as_str(), &param.distribution)).collect()
}

/// Returns the distributions of the named parameters in the COMPLETE trials that have all of them.
fn named_space<'a>(history: &'a History, names: &[String]) -> Result<Space<'a>, ImportanceError> {
    let mut trials = history
        .in_state(TrialState::Complete)
        .filter(|trial| names.iter().all(|name| trial.param(name).is_some()));
    let Some(first) = trials.next() else {
        return Err(ImportanceError::NeverTogether { names: names.to_vec() });
    };
    let mut space = space_of(first);
    space.retain(|name, _| names.iter().any(|wanted| wanted == name));
    for trial in trials {
        for (name, distribution) in &space {
            match trial.param(name) {
                Some(param) if param.distribution.is_same(distribution) => {}
                _ => return Err(ImportanceError::ChangingRange { name: (*name).to_owned() }),
            }
        }
    }
    Ok(space)
}
