//! The coordinates of parameters: numbers in the unit interval, grids, and choices.

use super::grid::Grid;
use trialbox_core::space::transform::{bounds, into_range, untransform};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial};

/// The longest grid whose values an optimiser tells apart; a longer one is as good as continuous.
const MAX_GRID: f64 = 1e9;

/// The way in which an optimiser sees the steps of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// As an interval with half a step of margin, rounded afterwards: as Optuna's plain variants.
    Rounded,
    /// As a grid in the unit interval: as Optuna's variant with margin.
    Grid,
    /// As a grid, or as two choices: CatCMA's.
    GridOrChoices,
}

/// A numeric parameter.
#[derive(Debug, Clone)]
pub(super) struct Number<'a> {
    name: &'a str,
    distribution: &'a Distribution,
    /// The transformed values at 0 and 1.
    ends: (f64, f64),
    pub(super) grid: Option<Grid>,
}

/// A parameter of which a few values are chosen from.
#[derive(Debug, Clone)]
pub(super) struct Choice<'a> {
    name: &'a str,
    distribution: &'a Distribution,
    pub(super) n: usize,
}

/// The parameters of a space in the order of an optimiser's coordinates.
#[derive(Debug, Clone, Default)]
pub(super) struct Coordinates<'a> {
    /// In the order of names; for [`Steps::GridOrChoices`] those with a grid come last.
    pub(super) numbers: Vec<Number<'a>>,
    pub(super) choices: Vec<Choice<'a>>,
}

impl<'a> Coordinates<'a> {
    /// Reads a space.
    pub(super) fn of(space: &'a SearchSpace, steps: Steps) -> Self {
        let mut coordinates = Coordinates::default();
        for (name, distribution) in space.iter() {
            let Some(ends) = ends(distribution, steps) else {
                coordinates.add_choice(name, distribution);
                continue;
            };
            let grid = if steps == Steps::Rounded { None } else { grid(distribution) };
            match grid {
                Some(grid) if grid.n == 2 && steps == Steps::GridOrChoices => {
                    coordinates.choices.push(Choice { name, distribution, n: 2 });
                }
                grid => coordinates.numbers.push(Number { name, distribution, ends, grid }),
            }
        }
        if steps == Steps::GridOrChoices {
            coordinates.numbers.sort_by_key(|number| number.grid.is_some());
        }
        coordinates
    }

    fn add_choice(&mut self, name: &'a str, distribution: &'a Distribution) {
        if let Distribution::Categorical(categorical) = distribution {
            let n = categorical.choices().len();
            if n >= 2 {
                self.choices.push(Choice { name, distribution, n });
            }
        }
    }

    /// Returns whether a trial has coordinates: for a long history quicker than they are.
    pub(super) fn are_all_in(&self, trial: &FrozenTrial) -> bool {
        let has = |name: &str| trial.param(name).is_some();
        self.numbers.iter().all(|it| has(it.name))
            && self.choices.iter().all(|it| {
                trial.param(it.name).is_some_and(|param| it.index(param.internal).is_some())
            })
    }

    /// Returns a trial's coordinates; `None` if it lacks a parameter.
    pub(super) fn of_trial(&self, trial: &FrozenTrial) -> Option<(Vec<f64>, Vec<usize>)> {
        let numbers =
            self.numbers.iter().map(|it| Some(it.coordinate(trial.param(it.name)?.internal)));
        let choices = self.choices.iter().map(|it| it.index(trial.param(it.name)?.internal));
        Some((numbers.collect::<Option<_>>()?, choices.collect::<Option<_>>()?))
    }

    /// Returns the internal values at these coordinates, by name.
    pub(super) fn values(&self, numbers: &[f64], choices: &[usize]) -> Vec<(&'a str, f64)> {
        let numbers = self.numbers.iter().zip(numbers).map(|(it, x)| (it.name, it.value(*x)));
        let choices =
            self.choices.iter().zip(choices).map(|(it, index)| (it.name, it.value(*index)));
        numbers.chain(choices).collect()
    }

    /// Returns whether a trial has the values at these coordinates.
    pub(super) fn are_of(&self, trial: &FrozenTrial, numbers: &[f64]) -> bool {
        let mut values = self.numbers.iter().zip(numbers);
        values
            .all(|(it, x)| trial.param(it.name).is_some_and(|param| param.internal == it.value(*x)))
    }

    /// Returns the coordinates of external values, the middle for numbers without one.
    pub(super) fn of_external(
        &self,
        value: impl Fn(&str) -> Option<trialbox_core::Json>,
    ) -> Vec<f64> {
        let coordinate = |it: &Number| {
            let internal = it.distribution.to_internal(&value(it.name)?).ok()?;
            Some(it.coordinate(internal))
        };
        self.numbers.iter().map(|it| coordinate(it).unwrap_or_else(|| it.middle())).collect()
    }
}

impl Number<'_> {
    /// Returns the coordinate of a value, within what the optimiser searches.
    fn coordinate(&self, internal: f64) -> f64 {
        let is_log = match self.distribution {
            Distribution::Float(float) => float.log(),
            Distribution::Int(int) => int.log(),
            Distribution::Categorical(_) => false,
        };
        let x = if is_log { internal.ln() } else { internal };
        let (low, high) = self.ends;
        let share = into_range((x - low) / (high - low), 0.0, 1.0);
        match self.grid {
            Some(grid) => grid.value(grid.nearest(grid.low + share * grid.width())),
            None => share,
        }
    }

    fn middle(&self) -> f64 {
        self.grid.map_or(0.5, |grid| grid.low + 0.5 * grid.width())
    }

    fn value(&self, x: f64) -> f64 {
        let share = self.grid.map_or(x, |grid| (x - grid.low) / grid.width());
        let (low, high) = self.ends;
        let share = into_range(share, 0.0, 1.0);
        untransform(self.distribution, low + share * (high - low)).unwrap_or(f64::NAN)
    }
}

impl Choice<'_> {
    fn index(&self, internal: f64) -> Option<usize> {
        (0..self.n).find(|index| self.value(*index) == internal)
    }

    fn value(&self, index: usize) -> f64 {
        let end = index as f64;
        match ends(self.distribution, Steps::Grid) {
            Some((low, high)) => {
                untransform(self.distribution, if index == 0 { low } else { high }).unwrap_or(end)
            }
            None => end,
        }
    }
}

/// Returns the transformed values at 0 and 1; `None` for choices.
fn ends(distribution: &Distribution, steps: Steps) -> Option<(f64, f64)> {
    let (low, high) = bounds(distribution)?;
    let is_continuous = steps == Steps::GridOrChoices && grid(distribution).is_none();
    if steps == Steps::Rounded || is_continuous {
        return Some((low, high));
    }
    Some(match distribution {
        Distribution::Int(int) if int.log() => ((int.low() as f64).ln(), (int.high() as f64).ln()),
        Distribution::Int(int) => (int.low() as f64, int.high() as f64),
        Distribution::Float(float) if float.step().is_some() => (float.low(), float.high()),
        _ => (low, high),
    })
}

/// Returns the values of a range with steps.
fn grid(distribution: &Distribution) -> Option<Grid> {
    let (width, step) = match distribution {
        Distribution::Float(float) => (float.high() - float.low(), float.step()?),
        Distribution::Int(int) if !int.log() => {
            (int.high() as f64 - int.low() as f64, int.step() as f64)
        }
        _ => return None,
    };
    let n = (width / step + 0.5).floor() + 1.0;
    if !(2.0..=MAX_GRID).contains(&n) {
        return None;
    }
    Some(Grid { low: 0.0, step: step / width, n: n as usize })
}
