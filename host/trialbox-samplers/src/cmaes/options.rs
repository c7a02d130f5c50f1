//! The options of CMA-ES: the arguments of Optuna's `CmaEsSampler` that are values.

use crate::error::ConfigError;
use crate::options::{Field, Options};
use std::collections::BTreeMap;
use trialbox_core::Json;

/// The largest population.
const MAX_POPULATION: usize = 100_000;

/// The largest number of trials that an optimiser starts from.
const MAX_SOURCES: usize = 10_000;

/// Options of [`super::CmaEsSampler`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq)]
pub struct CmaEsOptions {
    /// The external values around which the search starts, by name; the middle of the ranges for the others.
    pub x0: BTreeMap<String, Json>,
    /// The first step size, in widths of the ranges; `None` is a sixth.
    pub sigma0: Option<f64>,
    /// The number of COMPLETE trials before the first draw that is not random.
    pub n_startup_trials: usize,
    /// True if PRUNED trials count with their last value.
    pub consider_pruned_trials: bool,
    /// The size of a population, at least 2; `None` follows from the number of parameters.
    pub popsize: Option<usize>,
    /// True if the covariance matrix is diagonal.
    pub use_separable_cma: bool,
    /// True if values of a grid keep a small probability.
    pub with_margin: bool,
    /// True if learning rates follow the noise.
    pub lr_adapt: bool,
    /// Trials of a similar study from which the first distribution is estimated.
    pub source_trials: Vec<SourceTrial>,
    /// True if choices take part; else they are random, as in Optuna. Only without the options of other variants.
    pub with_categorical: bool,
}

/// A trial of another study.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTrial {
    /// External values by name.
    pub params: BTreeMap<String, Json>,
    /// The value of the objective.
    pub value: f64,
}

impl Default for CmaEsOptions {
    fn default() -> Self {
        CmaEsOptions {
            x0: BTreeMap::new(),
            sigma0: None,
            n_startup_trials: 1,
            consider_pruned_trials: false,
            popsize: None,
            use_separable_cma: false,
            with_margin: false,
            lr_adapt: false,
            source_trials: Vec::new(),
            with_categorical: true,
        }
    }
}

impl Options for CmaEsOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::custom(
            "x0",
            |it| if it.x0.is_empty() { Json::Null } else { params_json(&it.x0) },
            |it, value| {
                it.x0 = match value {
                    Json::Null => BTreeMap::new(),
                    value => parse_params(value).ok_or(EXPECTED_X0)?,
                };
                Ok(())
            },
        ),
        Field::float_or_null("sigma0", 1e-10..=1e10, |it| &mut it.sigma0),
        Field::count("n_startup_trials", 0, |it| &mut it.n_startup_trials),
        Field::flag("consider_pruned_trials", |it| &mut it.consider_pruned_trials),
        Field::count_or_null("popsize", 2..=MAX_POPULATION, |it| &mut it.popsize),
        Field::flag("use_separable_cma", |it| &mut it.use_separable_cma),
        Field::flag("with_margin", |it| &mut it.with_margin),
        Field::flag("lr_adapt", |it| &mut it.lr_adapt),
        Field::custom("source_trials", CmaEsOptions::sources_json, |it, value| {
            it.source_trials = match value {
                Json::Null => Vec::new(),
                value => parse_sources(value).ok_or(EXPECTED_SOURCES)?,
            };
            Ok(())
        }),
        Field::flag("with_categorical", |it| &mut it.with_categorical),
    ];
}

const EXPECTED_X0: &str = "an object of values by parameter, such as {\"lr\": 0.01}, or null";

const EXPECTED_SOURCES: &str = "a list of 10 to 10000 trials, such as \
     [{\"params\": {\"lr\": 0.01}, \"value\": 0.3}, …], or null";

impl CmaEsOptions {
    /// Checks that the options name one variant.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let is_special = self.use_separable_cma || self.with_margin;
        let has_source = !self.source_trials.is_empty();
        let conflicts = [
            (self.use_separable_cma && self.with_margin, "with_margin", "use_separable_cma"),
            (self.lr_adapt && is_special, "lr_adapt", "use_separable_cma or with_margin"),
            (has_source && self.use_separable_cma, "source_trials", "use_separable_cma"),
            (has_source && !self.x0.is_empty(), "source_trials", "x0"),
            (has_source && self.sigma0.is_some(), "source_trials", "sigma0"),
        ];
        match conflicts.into_iter().find(|(is_there, _, _)| *is_there) {
            Some((_, option, other)) => Err((option, other)),
            None => Ok(()),
        }
    }

    /// Returns whether an option asks for a variant of the package `cmaes` that knows no choices.
    pub(super) fn is_numeric(&self) -> bool {
        !self.with_categorical
            || self.use_separable_cma
            || self.with_margin
            || self.lr_adapt
            || !self.source_trials.is_empty()
    }

    fn sources_json(&self) -> Json {
        if self.source_trials.is_empty() {
            return Json::Null;
        }
        let trial = |trial: &SourceTrial| {
            Json::object([("params", params_json(&trial.params)), ("value", trial.value.into())])
        };
        Json::Array(self.source_trials.iter().map(trial).collect())
    }
}

fn params_json(params: &BTreeMap<String, Json>) -> Json {
    Json::object(params.iter().map(|(name, value)| (name.as_str(), value.clone())))
}

fn parse_params(value: &Json) -> Option<BTreeMap<String, Json>> {
    let Json::Object(members) = value else { return None };
    let is_nested = members.iter().any(|(_, it)| matches!(it, Json::Array(_) | Json::Object(_)));
    if is_nested { None } else { Some(members.iter().cloned().collect()) }
}

fn parse_sources(value: &Json) -> Option<Vec<SourceTrial>> {
    let Json::Array(rows) = value else { return None };
    // The best tenth of them must be a trial at least.
    if !(10..=MAX_SOURCES).contains(&rows.len()) {
        return None;
    }
    let row = |row: &Json| {
        let params = parse_params(row.get("params")?)?;
        let value = row.get("value")?.as_f64().filter(|value| !value.is_nan())?;
        Some(SourceTrial { params, value })
    };
    rows.iter().map(row).collect()
}

/// Returns the error of two options that exclude each other.
pub(super) fn conflict(
    owner: crate::OptionsOf,
    (option, other): (&'static str, &'static str),
) -> ConfigError {
    ConfigError::Value {
        owner,
        option,
        expected: format!("no value beside {other}"),
        found: format!("{option} and {other}"),
    }
}
