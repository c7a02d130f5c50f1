//! Problems: parameters, some of them conditional, and a value at every point. No samplers here.

use crate::noise::gaussian;
use std::collections::BTreeMap;
use trialbox_core::{Distribution, Json};

/// A test problem, to be minimised.
pub(crate) struct Problem {
    /// Unique among the problems.
    pub(crate) name: &'static str,
    /// Its difficulty, in a word: reports are ordered by it.
    pub(crate) class: &'static str,
    /// The parameters in the order in which an objective asks for them.
    pub(crate) params: Vec<ParamSpec>,
    /// The best value there is; with several objectives the hypervolume of the whole Pareto front.
    pub(crate) optimum: f64,
    /// The hypervolume's reference point, if there are two objectives.
    pub(crate) reference_point: Option<[f64; 2]>,
    /// The number of its constraints.
    pub(crate) n_constraints: usize,
    /// The standard deviation of the Gaussian noise on its value.
    pub(crate) noise: f64,
    /// The objective values without noise, then the constraints.
    pub(crate) formula: Formula,
}

/// Objective values and then constraints at a point.
pub(crate) type Formula = Box<dyn Fn(&Point) -> Vec<f64> + Send + Sync>;

/// One parameter of a problem.
#[derive(Debug, Clone)]
pub(crate) struct ParamSpec {
    /// Its name.
    pub(crate) name: String,
    /// Its range.
    pub(crate) distribution: Distribution,
    /// The parent and the values of the parent with which this parameter exists; `None`: it always does.
    pub(crate) condition: Option<(String, Vec<String>)>,
}

/// Parameters by name, in external representation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Point(pub(crate) BTreeMap<String, Json>);

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    /// The values that the sampler is told, one for each objective.
    pub(crate) values: Vec<f64>,
    /// The constraints that the sampler is told, each satisfied when <= 0.
    pub(crate) constraints: Vec<f64>,
    /// The objective values without noise.
    pub(crate) true_values: Vec<f64>,
}

impl Problem {
    /// Returns a problem with one objective, no constraints and no noise.
    pub(crate) fn single(
        (name, class): (&'static str, &'static str),
        params: Vec<ParamSpec>,
        optimum: f64,
        value: impl Fn(&Point) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Problem {
            name,
            class,
            params,
            optimum,
            reference_point: None,
            n_constraints: 0,
            noise: 0.0,
            formula: Box::new(move |point| vec![value(point)]),
        }
    }

    /// Returns the number of its objectives.
    pub(crate) fn n_objectives(&self) -> usize {
        if self.reference_point.is_some() { 2 } else { 1 }
    }

    /// Returns the value at a point. `key` seeds the noise, and nothing else is random.
    pub(crate) fn evaluate(&self, point: &Point, key: u64) -> Measured {
        let mut true_values = (self.formula)(point);
        let constraints = true_values.split_off(self.n_objectives());
        let disturb = |value: &f64| {
            if self.noise == 0.0 { *value } else { value + self.noise * gaussian(key) }
        };
        Measured { values: true_values.iter().map(disturb).collect(), constraints, true_values }
    }
}

impl ParamSpec {
    /// Makes the parameter exist only where `parent` has one of `values`.
    pub(crate) fn when(mut self, parent: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.condition = Some((parent.to_owned(), values));
        self
    }

    /// Returns whether the parameter exists, given those before it.
    pub(crate) fn is_active(&self, point: &Point) -> bool {
        self.condition.as_ref().is_none_or(|(parent, values)| {
            point
                .0
                .get(parent)
                .and_then(Json::as_str)
                .is_some_and(|found| values.iter().any(|value| value == found))
        })
    }
}

impl Point {
    /// Returns the value of a numeric parameter.
    ///
    /// # Panics
    /// Panics if the point has no such number: the problem and its parameters disagree.
    pub(crate) fn number(&self, name: &str) -> f64 {
        let value = self.0.get(name).and_then(Json::as_f64);
        value.unwrap_or_else(|| panic!("the point {:?} has no number `{name}`", self.0))
    }

    /// Returns the value of a categorical parameter.
    ///
    /// # Panics
    /// Panics if the point has no such text.
    pub(crate) fn text(&self, name: &str) -> &str {
        let value = self.0.get(name).and_then(Json::as_str);
        value.unwrap_or_else(|| panic!("the point {:?} has no text `{name}`", self.0))
    }

    /// Returns the parameters `x0`, `x1`, … `x{d − 1}`.
    pub(crate) fn vector(&self, d: usize) -> Vec<f64> {
        (0..d).map(|i| self.number(&format!("x{i}"))).collect()
    }
}

/// Returns a float parameter.
pub(crate) fn float(name: &str, low: f64, high: f64) -> ParamSpec {
    spec(name, Distribution::float(low, high, false, None))
}

/// Returns a float parameter on a log scale.
pub(crate) fn log_float(name: &str, low: f64, high: f64) -> ParamSpec {
    spec(name, Distribution::float(low, high, true, None))
}

/// Returns an integer parameter.
pub(crate) fn int(name: &str, low: i64, high: i64) -> ParamSpec {
    spec(name, Distribution::int(low, high, false, 1))
}

/// Returns an integer parameter on a log scale.
pub(crate) fn log_int(name: &str, low: i64, high: i64) -> ParamSpec {
    spec(name, Distribution::int(low, high, true, 1))
}

/// Returns a categorical parameter.
pub(crate) fn choice(name: &str, choices: &[&str]) -> ParamSpec {
    spec(
        name,
        Distribution::categorical(choices.iter().map(|choice| Json::from(*choice)).collect()),
    )
}

/// Returns the float parameters `x0`, `x1`, … over the same range.
pub(crate) fn floats(d: usize, low: f64, high: f64) -> Vec<ParamSpec> {
    (0..d).map(|i| float(&format!("x{i}"), low, high)).collect()
}

fn spec<E: std::fmt::Display>(name: &str, distribution: Result<Distribution, E>) -> ParamSpec {
    let distribution = distribution.unwrap_or_else(|error| panic!("parameter `{name}`: {error}"));
    ParamSpec { name: name.to_owned(), distribution, condition: None }
}
