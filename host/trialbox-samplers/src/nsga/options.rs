//! The options of the genetic samplers: the arguments of Optuna's `NSGAIISampler` and `NSGAIIISampler` that are values,
//! and those of its classes of crossovers and mutations.

use super::method::Crossover;
use crate::OptionsOf;
use crate::error::ConfigError;
use crate::options::{Field, Options, Refusal};
use trialbox_core::Json;

/// The largest population: what a selection compares pair by pair.
const MAX_POPULATION: usize = 100_000;

/// The largest number of divisions between the reference points of an axis.
const MAX_DIVISIONS: usize = 100;

/// The largest number of numbers in the reference points of a user.
const MAX_REFERENCES: usize = 100_000;

/// Options that both genetic samplers have, with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneticOptions {
    /// The number of COMPLETE trials that make a generation, at least 2.
    pub population_size: usize,
    /// The crossover.
    pub crossover: Crossover,
    /// The probability that a child has several parents.
    pub crossover_prob: f64,
    /// The probability that a parameter is the first parent's: of choices, and of everything with the uniform
    /// crossover.
    pub swapping_prob: f64,
    /// True if a mutated number stays near (polynomial mutation); else it is drawn evenly.
    pub is_polynomial: bool,
    /// The distribution index of the polynomial mutation.
    pub mutation_eta: f64,
    /// The probability that a parameter mutates; `None` is one over the number of parameters.
    pub mutation_prob: Option<f64>,
    /// The margin of `blxalpha`.
    pub alpha: f64,
    /// The expansion of `spx`; `None` follows from the number of parameters.
    pub epsilon: Option<f64>,
    /// The distribution index of `sbx` and `vsbx`; `None` is 2 for one objective and 20 for several.
    pub eta: Option<f64>,
    /// The probability that `sbx` and `vsbx` swap a parameter of both children.
    pub uniform_crossover_prob: f64,
    /// The probability that `sbx` and `vsbx` take a parameter of a child and not of a parent.
    pub use_child_gene_prob: f64,
    /// The width of `undx` along the line of the parents.
    pub sigma_xi: f64,
    /// The width of `undx` across it; `None` follows from the number of parameters.
    pub sigma_eta: Option<f64>,
}

impl Default for GeneticOptions {
    fn default() -> Self {
        GeneticOptions {
            population_size: 50,
            crossover: Crossover::Uniform,
            crossover_prob: 0.9,
            swapping_prob: 0.5,
            is_polynomial: false,
            mutation_eta: 20.0,
            mutation_prob: None,
            alpha: 0.5,
            epsilon: None,
            eta: None,
            uniform_crossover_prob: 0.5,
            use_child_gene_prob: 0.5,
            sigma_xi: 0.5,
            sigma_eta: None,
        }
    }
}

impl GeneticOptions {
    /// Checks that a generation has enough parents for a child.
    pub(super) fn check(&self, owner: OptionsOf) -> Result<(), ConfigError> {
        let n_parents = self.crossover.n_parents();
        if self.population_size >= n_parents {
            return Ok(());
        }
        Err(ConfigError::Value {
            owner,
            option: "population_size",
            expected: format!("at least {n_parents} for crossover {}", self.crossover.as_str()),
            found: self.population_size.to_string(),
        })
    }

    fn mutation_json(&self) -> Json {
        if self.is_polynomial { Json::from("polynomial") } else { Json::Null }
    }
}

/// Options of NSGA-II, for [`super::NsgaSampler`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NsgaIiOptions {
    /// Those of both.
    pub genetic: GeneticOptions,
}

/// Options of NSGA-III, for [`super::NsgaSampler`].
#[derive(Debug, Clone, PartialEq)]
pub struct NsgaIiiOptions {
    /// Those of both.
    pub genetic: GeneticOptions,
    /// The points of the objectives' space around which the population gathers, a number an objective; `None` spreads
    /// them evenly.
    pub reference_points: Option<Vec<Vec<f64>>>,
    /// The number of divisions of an axis by evenly spread reference points.
    pub dividing_parameter: usize,
}

impl Default for NsgaIiiOptions {
    fn default() -> Self {
        NsgaIiiOptions {
            genetic: GeneticOptions::default(),
            reference_points: None,
            dividing_parameter: 3,
        }
    }
}

/// The fields of a struct with the member `genetic`, and more.
macro_rules! fields {
    ($($more:expr),*) => {
        &[
            Field::count_in("population_size", 2..=MAX_POPULATION, |it| &mut it.genetic.population_size),
            Field::custom(
                "crossover",
                |it| Json::from(it.genetic.crossover.as_str()),
                |it, value| {
                    let crossover = value.as_str().and_then(Crossover::parse);
                    it.genetic.crossover =
                        crossover.ok_or_else(|| Refusal::Expected(Crossover::words()))?;
                    Ok(())
                },
            ),
            Field::float("crossover_prob", 0.0..=1.0, |it| &mut it.genetic.crossover_prob),
            Field::float("swapping_prob", 0.0..=1.0, |it| &mut it.genetic.swapping_prob),
            Field::custom(
                "mutation",
                |it| it.genetic.mutation_json(),
                |it, value| {
                    it.genetic.is_polynomial = match value {
                        Json::Null => false,
                        value if value.as_str() == Some("polynomial") => true,
                        _ => return Err("polynomial or null".into()),
                    };
                    Ok(())
                },
            ),
            Field::float_or_null("mutation_prob", 0.0..=1.0, |it| &mut it.genetic.mutation_prob),
            Field::float("mutation_eta", 0.0..=MAX_ETA, |it| &mut it.genetic.mutation_eta),
            Field::float("alpha", 0.0..=MAX_WIDTH, |it| &mut it.genetic.alpha),
            Field::float_or_null("epsilon", 0.0..=MAX_WIDTH, |it| &mut it.genetic.epsilon),
            Field::float_or_null("eta", 0.0..=MAX_ETA, |it| &mut it.genetic.eta),
            Field::float("uniform_crossover_prob", 0.0..=1.0, |it| {
                &mut it.genetic.uniform_crossover_prob
            }),
            Field::float("use_child_gene_prob", 0.0..=1.0, |it| &mut it.genetic.use_child_gene_prob),
            Field::float("sigma_xi", 0.0..=MAX_WIDTH, |it| &mut it.genetic.sigma_xi),
            Field::float_or_null("sigma_eta", 0.0..=MAX_WIDTH, |it| &mut it.genetic.sigma_eta),
            $($more),*
        ]
    };
}

/// The largest distribution index; beyond it a child is its parent.
const MAX_ETA: f64 = 1e6;

/// The largest width of a crossover.
const MAX_WIDTH: f64 = 1e6;

impl Options for NsgaIiOptions {
    const FIELDS: &'static [Field<Self>] = fields!();
}

impl Options for NsgaIiiOptions {
    const FIELDS: &'static [Field<Self>] = fields!(
        Field::custom("reference_points", NsgaIiiOptions::reference_json, |it, value| {
            it.reference_points = match value {
                Json::Null => None,
                value => Some(parse_points(value).ok_or(EXPECTED_POINTS)?),
            };
            Ok(())
        }),
        Field::count_in("dividing_parameter", 1..=MAX_DIVISIONS, |it| &mut it.dividing_parameter)
    );
}

const EXPECTED_POINTS: &str = "a list of points, each a list of one number of at least 0 per objective and not all 0, \
     such as [[1, 0], [0, 1]], or null";

impl NsgaIiiOptions {
    fn reference_json(&self) -> Json {
        let Some(points) = &self.reference_points else { return Json::Null };
        let row = |point: &Vec<f64>| Json::Array(point.iter().map(|it| (*it).into()).collect());
        Json::Array(points.iter().map(row).collect())
    }
}

fn parse_points(value: &Json) -> Option<Vec<Vec<f64>>> {
    let Json::Array(rows) = value else { return None };
    let mut points: Vec<Vec<f64>> = Vec::new();
    for row in rows {
        let Json::Array(row) = row else { return None };
        let point: Vec<f64> = row.iter().map(Json::as_f64).collect::<Option<_>>()?;
        let is_direction = point.iter().all(|it| (0.0..=1e100).contains(it))
            && point.iter().any(|it| *it > 1e-100);
        let is_as_long = points.first().is_none_or(|first| first.len() == point.len());
        if !is_direction || !is_as_long {
            return None;
        }
        points.push(point);
    }
    let n_numbers = points.len() * points.first().map_or(0, Vec::len);
    (1..=MAX_REFERENCES).contains(&n_numbers).then_some(points)
}
