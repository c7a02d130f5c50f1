//! From the history to the distribution.
//!
//! Trials that were drawn by the optimiser carry the generation that they were drawn in. Their results are taken in the
//! order in which they finished, a population at a time, also if an earlier generation drew them: none is wasted when
//! many run at the same time, and one worker alone has the generations of Optuna. A result of another generation than
//! the one that learns from it is moved towards the mean if it is far away.

use super::cma::Cma;
use super::coordinates::{Coordinates, Steps};
use super::learning_rate::LearningRate;
use super::margin::MarginCma;
use super::mixed::{MixedCma, MixedPoint, MixedSpace};
use super::optimizer::{Optimizer, Solution};
use super::options::CmaEsOptions;
use super::sep::SepCma;
use super::state;
use super::warm_start::{self, Estimate};
use super::weights::population_size;
use crate::tpe::order;
use fnv::FnvHasher;
use std::hash::Hasher as _;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, StudyDirection, TrialNumber, TrialState,
};

/// The step size of Optuna's default, in widths of the ranges.
const SIGMA: f64 = 1.0 / 6.0;

/// An optimiser of the package `cmaes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// `CMA`, with or without learning-rate adaptation.
    Full,
    /// `SepCMA`.
    Separable,
    /// `CMAwM`.
    Margin,
    /// `CatCMAwM`.
    Mixed,
}

impl Variant {
    /// Returns the one that the options ask for and the space needs.
    pub(super) fn of(options: &CmaEsOptions, space: &SearchSpace) -> Self {
        let has_choices = space.iter().any(|(_, it)| matches!(it, Distribution::Categorical(_)));
        if options.use_separable_cma && space.len() > 1 {
            Variant::Separable
        } else if options.with_margin {
            Variant::Margin
        } else if has_choices && !options.is_numeric() {
            Variant::Mixed
        } else {
            Variant::Full
        }
    }

    /// Returns the attribute of a trial that holds the generation that drew it. All but the last are Optuna's.
    pub(super) fn generation_attr(self) -> &'static str {
        match self {
            Variant::Full => "cma:generation",
            Variant::Separable => "sepcma:generation",
            Variant::Margin => "cmawm:generation",
            Variant::Mixed => "catcma:generation",
        }
    }

    /// Returns the attribute that holds the coordinates before they are rounded; Optuna's, but for CatCMA's.
    pub(super) fn raw_attr(self) -> &'static str {
        match self {
            Variant::Mixed => "catcma:x_for_tell",
            _ => "x_for_tell",
        }
    }

    fn steps(self) -> Steps {
        match self {
            Variant::Full | Variant::Separable => Steps::Rounded,
            Variant::Margin => Steps::Grid,
            Variant::Mixed => Steps::GridOrChoices,
        }
    }
}

/// The replay of a study.
pub(super) struct Replay<'a> {
    options: &'a CmaEsOptions,
    variant: Variant,
    space: &'a SearchSpace,
    pub(super) coordinates: Coordinates<'a>,
}

/// An optimiser that has learnt from all results.
pub(super) struct Replayed {
    pub(super) optimizer: Optimizer,
    fingerprint: u64,
    /// The last trial that it has learnt from; `None` if no trial has the state to store yet.
    news: Option<TrialNumber>,
}

impl Replayed {
    /// Returns the attributes that store the state; none if an earlier trial has stored it.
    pub(super) fn state_attrs(&mut self) -> Vec<(String, Json)> {
        match self.news {
            Some(last) => state::to_attrs(&mut self.optimizer, last, self.fingerprint),
            None => Vec::new(),
        }
    }
}

impl<'a> Replay<'a> {
    /// Prepares the replay of a study with these parameters.
    pub(super) fn new(options: &'a CmaEsOptions, variant: Variant, space: &'a SearchSpace) -> Self {
        let coordinates = Coordinates::of(space, variant.steps());
        Replay { options, variant, space, coordinates }
    }

    /// Returns the optimiser; `None` without parameters.
    pub(super) fn run(&self, history: &History) -> Option<Replayed> {
        let direction = *history.directions().first()?;
        if self.coordinates.numbers.is_empty() && self.coordinates.choices.is_empty() {
            return None;
        }
        let fingerprint = self.fingerprint();
        let results = self.results(history);
        let first = self.optimizer();
        let size = self.population_size();
        let stored = history.trials().iter().rev().find_map(|trial| {
            let (optimizer, last) = state::restore(trial, &first, fingerprint)?;
            let place = results.iter().position(|result| result.trial.number == last)?;
            Some((optimizer, place + 1))
        });
        let (mut optimizer, start) = stored.unwrap_or((first, 0));
        let mut news = None;
        for population in results[start..].chunks_exact(size) {
            let solutions = self.solutions(&optimizer, population, direction);
            optimizer.tell(solutions);
            news = population.last().map(|result| result.trial.number);
        }
        Some(Replayed { optimizer, fingerprint, news })
    }

    /// Returns the results that count, in the order in which their trials finished.
    fn results<'h>(&self, history: &'h History) -> Vec<Told<'h>> {
        let mut results = Vec::new();
        for trial in history.trials() {
            let value = match trial.state {
                TrialState::Complete => trial.values.first().copied(),
                TrialState::Pruned if self.options.consider_pruned_trials => {
                    trial.intermediate_values.last_key_value().map(|(_, value)| *value)
                }
                _ => None,
            };
            let Some(value) = value else { continue };
            let generation = trial.system_attrs.get(self.variant.generation_attr());
            let Some(generation) = generation.and_then(Json::as_i64) else { continue };
            if self.coordinates.are_all_in(trial) {
                results.push(Told { trial, value, generation });
            }
        }
        // Trials without a time come in the order of their numbers.
        results.sort_by_key(|result| (result.trial.datetime_complete, result.trial.number));
        results
    }

    /// Returns a population as the optimiser learns from it. A trial that violates its constraints counts as worse than
    /// all that do not, by how much it does.
    fn solutions(
        &self,
        optimizer: &Optimizer,
        population: &[Told],
        direction: StudyDirection,
    ) -> Vec<Solution> {
        let loss = |result: &Told| direction.to_minimize(result.value);
        let feasible = population.iter().filter(|it| it.trial.is_feasible()).map(loss);
        let worst = feasible.filter(|it| it.is_finite()).max_by(|a, b| order(*a, *b));
        let generation = i64::try_from(optimizer.generation()).unwrap_or(i64::MAX);
        let solution = |result: &Told| {
            let (raw, choices) = self.coordinates.of_trial(result.trial).unwrap_or_default();
            let mut point = MixedPoint { raw, choices };
            if let Some(raw) = self.raw_of(result.trial, optimizer) {
                point.raw = raw;
            }
            let is_feasible = result.trial.is_feasible();
            let violation = result.trial.violation();
            let loss =
                if is_feasible { loss(result) } else { worst.unwrap_or(0.0) + violation.max(1e-9) };
            Solution { point, loss, is_foreign: result.generation != generation }
        };
        population.iter().map(solution).collect()
    }

    /// Returns the coordinates of a trial before they were rounded, if it has the values that they stand for.
    fn raw_of(&self, trial: &FrozenTrial, optimizer: &Optimizer) -> Option<Vec<f64>> {
        if matches!(self.variant, Variant::Full | Variant::Separable) {
            return None;
        }
        let Json::Array(raw) = trial.system_attrs.get(self.variant.raw_attr())? else {
            return None;
        };
        let raw: Vec<f64> = raw.iter().map(Json::as_f64).collect::<Option<_>>()?;
        let is_usable = raw.len() == self.coordinates.numbers.len()
            && raw.iter().all(|x| x.abs() < 1e32)
            && self.coordinates.are_of(trial, &optimizer.evaluated(&raw));
        is_usable.then_some(raw)
    }

    fn population_size(&self) -> usize {
        let n = self.coordinates.numbers.len() + self.coordinates.choices.len();
        self.options.popsize.unwrap_or_else(|| population_size(n))
    }

    /// Returns the optimiser that has learnt nothing yet.
    fn optimizer(&self) -> Optimizer {
        let size = self.population_size();
        let n = self.coordinates.numbers.len();
        let mean = self.coordinates.of_external(|name| self.options.x0.get(name).cloned());
        let sigma = self.options.sigma0.unwrap_or(SIGMA);
        if self.variant == Variant::Separable {
            return Optimizer::Separable(SepCma::new(mean, sigma, size));
        }
        if self.variant == Variant::Mixed {
            let has_mean = !self.options.x0.is_empty();
            let mixed = self.mixed(has_mean.then_some(mean), sigma / SIGMA, size);
            return Optimizer::Mixed(Box::new(mixed));
        }
        let (mean, sigma, covariance) =
            self.warm_start().unwrap_or_else(|| (mean, sigma, Cma::identity(n)));
        let mut cma = Cma::new(mean, sigma, covariance, size);
        if self.variant == Variant::Margin {
            let grids = self.coordinates.numbers.iter().map(|number| number.grid).collect();
            return Optimizer::Margin(MarginCma::new(cma, grids));
        }
        cma.learning_rate = self.options.lr_adapt.then(|| LearningRate::new(n));
        Optimizer::Full(cma)
    }

    fn mixed(&self, mean: Option<Vec<f64>>, sigma: f64, size: usize) -> MixedCma {
        let numbers = &self.coordinates.numbers;
        let space = MixedSpace {
            ranges: numbers.iter().filter(|it| it.grid.is_none()).map(|_| (0.0, 1.0)).collect(),
            grids: numbers.iter().filter_map(|it| it.grid).collect(),
            n_choices: self.coordinates.choices.iter().map(|it| it.n).collect(),
        };
        // A mean on the edge would leave no width.
        let inside = |mean: Vec<f64>| mean.into_iter().map(|x| x.clamp(0.05, 0.95)).collect();
        MixedCma::new(space, mean.map(inside), sigma, size)
    }

    /// Returns the distribution of the promising trials of another study, if there are any.
    fn warm_start(&self) -> Option<Estimate> {
        let mut sources: Vec<(f64, Vec<f64>)> = Vec::new();
        for source in &self.options.source_trials {
            let has_all = self.space.iter().all(|(name, _)| source.params.contains_key(name));
            if has_all && source.params.len() == self.space.len() {
                let point = self.coordinates.of_external(|name| source.params.get(name).cloned());
                sources.push((source.value, point));
            }
        }
        sources.sort_by(|a, b| order(a.0, b.0));
        let points: Vec<Vec<f64>> = sources.into_iter().map(|(_, point)| point).collect();
        warm_start::estimate(&points)
    }

    /// Returns a hash of the space and of the options that a state depends on.
    fn fingerprint(&self) -> u64 {
        let mut hasher = FnvHasher::default();
        let mut add = |text: &str| {
            hasher.write(text.as_bytes());
            // No byte of a text, so that it ends here.
            hasher.write(&[0xff]);
        };
        add(self.variant.generation_attr());
        for (name, value) in crate::options::values(self.options) {
            add(name);
            add(&value.to_string());
        }
        for (name, distribution) in self.space.iter() {
            add(name);
            add(&distribution.to_json_text());
        }
        hasher.finish()
    }
}

/// A trial that was drawn by the optimiser, and what it came to.
struct Told<'a> {
    trial: &'a FrozenTrial,
    value: f64,
    /// The generation that drew it.
    generation: i64,
}
