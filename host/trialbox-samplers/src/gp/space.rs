//! Parameters as features of points: numbers in the unit interval, choices, and conditional parameters.
//!
//! A conditional parameter that a trial does not have is a point of its own: beside its number x it has a feature that
//! is ½ where the parameter is there and 0 where it is not, with the same weight; an absent one lies at (½, 0), a
//! present one at (x, ½). This is an embedding in a plane, so that the kernel stays positive definite; compare Swersky
//! et al. 2014, "Raiders of the Lost Architecture: Kernels for Bayesian Optimization in Conditional Parameter Spaces".
//! An absent choice is one more choice.

use super::kernel::Geometry;
use super::presence::{Presence, Rules};
use std::collections::BTreeMap;
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial};

/// The largest number of values of a parameter that are all tried.
pub(super) const MAX_ENUMERATED: usize = 64;

/// The choice of a parameter that is not there.
pub(super) const ABSENT_CHOICE: f64 = -1.0;

/// A parameter's place among the features.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(super) name: String,
    pub(super) distribution: Distribution,
    /// The feature that holds the number or the choice.
    pub(super) feature: usize,
    /// The feature that says whether a conditional number is there.
    flag: Option<usize>,
}

/// The parameters of a study, as features.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub(crate) axes: Vec<Axis>,
    pub(crate) geometry: Geometry,
    rules: Rules,
}

impl Space {
    /// Lays the parameters of a search space out, of which these trials tell the conditions.
    pub(super) fn new(space: &SearchSpace, trials: &[&FrozenTrial]) -> Space {
        let rules = Rules::learn(space, trials);
        let is_number = |it: &Distribution| !matches!(it, Distribution::Categorical(_));
        let mut axes: Vec<Axis> = Vec::with_capacity(space.len());
        for (name, distribution) in space.iter() {
            let (name, distribution) = (name.to_owned(), distribution.clone());
            axes.push(Axis { name, distribution, feature: 0, flag: None });
        }
        let mut groups = Vec::new();
        for (index, axis) in axes.iter_mut().enumerate() {
            if is_number(&axis.distribution) {
                axis.feature = groups.len();
                groups.push(index);
            }
        }
        for (index, axis) in axes.iter_mut().enumerate() {
            if is_number(&axis.distribution) && rules.is_conditional(index) {
                axis.flag = Some(groups.len());
                groups.push(index);
            }
        }
        let n_numbers = groups.len();
        for (index, axis) in axes.iter_mut().enumerate() {
            if !is_number(&axis.distribution) {
                axis.feature = groups.len();
                groups.push(index);
            }
        }
        let geometry = Geometry { n_numbers, groups, n_groups: axes.len() };
        Space { axes, geometry, rules }
    }

    /// Returns whether some parameter is not in every trial.
    pub(crate) fn is_conditional(&self) -> bool {
        (0..self.axes.len()).any(|index| self.rules.is_conditional(index))
    }

    /// Returns whether every parameter is a number and in every trial.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_conditional() && self.geometry.n_numbers == self.axes.len()
    }

    /// Returns the names of the parameters whose values decide which others a trial has.
    pub(crate) fn deciding(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for index in 0..self.axes.len() {
            if let Presence::Rule(rule) = self.rules.presence(index) {
                let name = &self.axes[rule.parent].name;
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    /// Returns whether no parameter is continuous.
    pub(super) fn is_discrete(&self) -> bool {
        self.axes.iter().all(Axis::is_discrete)
    }

    /// Returns the point of a trial's parameters.
    pub(super) fn encode(&self, trial: &FrozenTrial) -> Vec<f64> {
        let place = |axis: &Axis| {
            let param = trial.param(&axis.name)?;
            if param.distribution.is_same(&axis.distribution) {
                return Some(param.internal);
            }
            axis.distribution.to_internal(&param.external()).ok()
        };
        self.point(&self.axes.iter().map(place).collect::<Vec<_>>())
    }

    /// Returns the point of values, which are external and by name.
    pub(super) fn encode_external(&self, value: impl Fn(&str) -> Option<f64>) -> Vec<f64> {
        self.point(&self.axes.iter().map(|axis| value(&axis.name)).collect::<Vec<_>>())
    }

    /// Returns the point of internal values, one for each axis.
    fn point(&self, internal: &[Option<f64>]) -> Vec<f64> {
        let mut point = vec![0.0; self.geometry.width()];
        for (axis, internal) in self.axes.iter().zip(internal) {
            let value = internal.and_then(|internal| axis.to_unit(internal));
            axis.write(&mut point, value);
        }
        point
    }

    /// Makes a point one that a trial can have: on the grids, and with the conditional parameters that its others call
    /// for. A conditional parameter that was absent until now gets the value of `template`, a number or a choice for
    /// each axis.
    pub(crate) fn repair(&self, point: &mut [f64], template: &[f64]) {
        for index in self.rules.order() {
            let axis = &self.axes[index];
            let is_there = match self.rules.presence(index) {
                Presence::Always => true,
                Presence::Rule(rule) => {
                    let parent = &self.axes[rule.parent];
                    rule.allows(parent.key(point))
                }
                Presence::Mostly(is_there) => is_there,
            };
            let value = match (is_there, axis.read(point)) {
                (false, _) => None,
                (true, Some(value)) => Some(value),
                (true, None) => Some(template[index]),
            };
            axis.write(point, value.map(|value| axis.snapped(value)));
        }
    }

    /// Returns the internal values of the parameters that the point has, by name.
    pub(crate) fn decode(&self, point: &[f64]) -> BTreeMap<String, f64> {
        let mut params = BTreeMap::new();
        for axis in &self.axes {
            if let Some(value) = axis.read(point) {
                params.insert(axis.name.clone(), axis.to_internal(value));
            }
        }
        params
    }
}

impl Axis {
    /// Returns whether the parameter is on a grid or a choice.
    pub(super) fn is_discrete(&self) -> bool {
        match &self.distribution {
            Distribution::Float(float) => float.step().is_some(),
            Distribution::Int(_) | Distribution::Categorical(_) => true,
        }
    }

    /// Returns the number of choices; 0 for a number.
    pub(super) fn n_choices(&self) -> usize {
        match &self.distribution {
            Distribution::Categorical(categorical) => categorical.choices().len(),
            Distribution::Float(_) | Distribution::Int(_) => 0,
        }
    }

    /// Returns the place of an internal value in the unit interval, or its choice; `None` if it has none.
    fn to_unit(&self, internal: f64) -> Option<f64> {
        let Some((low, high)) = bounds(&self.distribution) else {
            let is_choice = internal >= 0.0 && internal < self.n_choices() as f64;
            return is_choice.then(|| internal.floor());
        };
        let is_log = match &self.distribution {
            Distribution::Float(float) => float.log(),
            Distribution::Int(int) => int.log(),
            Distribution::Categorical(_) => false,
        };
        let x = if is_log { internal.ln() } else { internal };
        let place = (x - low) / (high - low);
        // What lies far outside, because a user fixed it so, must not swallow the range.
        if place.is_nan() { Some(0.5) } else { Some(place.clamp(-1.0, 2.0)) }
    }

    /// Returns the internal value at a place, in range and on the grid.
    pub(super) fn to_internal(&self, place: f64) -> f64 {
        let Some((low, high)) = bounds(&self.distribution) else { return place.max(0.0) };
        untransform(&self.distribution, low + place * (high - low)).unwrap_or(low)
    }

    /// Returns the place of the grid's point that is nearest to a place; the place itself in a continuous range.
    pub(super) fn snapped(&self, place: f64) -> f64 {
        if self.n_choices() > 0 || !self.is_discrete() {
            return place;
        }
        self.to_unit(self.to_internal(place)).unwrap_or(place)
    }

    /// Returns the number or the choice; `None` if the point has not got the parameter.
    pub(super) fn read(&self, point: &[f64]) -> Option<f64> {
        let is_absent = match self.flag {
            Some(flag) => point[flag] == 0.0,
            None => self.n_choices() > 0 && point[self.feature] == ABSENT_CHOICE,
        };
        if is_absent { None } else { Some(point[self.feature]) }
    }

    /// Sets the number or the choice.
    pub(super) fn write(&self, point: &mut [f64], value: Option<f64>) {
        let absent = if self.n_choices() > 0 { ABSENT_CHOICE } else { 0.5 };
        point[self.feature] = value.unwrap_or(absent);
        if let Some(flag) = self.flag {
            point[flag] = if value.is_some() { 0.5 } else { 0.0 };
        }
    }

    /// Returns what conditions are about: the choice, or the internal value.
    fn key(&self, point: &[f64]) -> Option<f64> {
        let value = self.read(point)?;
        if self.n_choices() > 0 { Some(value) } else { Some(self.to_internal(value)) }
    }

    /// Returns the places of the values beside a place, or of all values if there are few.
    pub(super) fn neighbours(&self, place: f64) -> Vec<f64> {
        let n_choices = self.n_choices();
        if n_choices > 0 {
            let choices = (0..n_choices.min(MAX_ENUMERATED)).map(|choice| choice as f64);
            return choices.filter(|choice| *choice != place).collect();
        }
        let step = match &self.distribution {
            Distribution::Float(float) => float.step().unwrap_or(0.0),
            Distribution::Int(int) => int.step() as f64,
            Distribution::Categorical(_) => 0.0,
        };
        let here = self.to_internal(place);
        let values = match self.grid_size() {
            Some((low, n)) => (0..n).map(|k| low + k as f64 * step).collect(),
            None => vec![here - step, here + step],
        };
        let mut places = Vec::with_capacity(values.len());
        for value in values {
            if value != here
                && let Some(found) = self.to_unit(value)
                && (0.0..=1.0).contains(&found)
            {
                places.push(self.snapped(found));
            }
        }
        places.retain(|found| *found != place);
        places
    }

    /// Returns the lower end and the number of points of a small grid.
    fn grid_size(&self) -> Option<(f64, usize)> {
        let (low, n) = match &self.distribution {
            Distribution::Float(float) => {
                (float.low(), (float.high() - float.low()) / float.step()? + 1.5)
            }
            Distribution::Int(int) => {
                let (low, high) = (int.low() as f64, int.high() as f64);
                (low, (high - low) / int.step() as f64 + 1.5)
            }
            Distribution::Categorical(_) => return None,
        };
        (n < (MAX_ENUMERATED + 1) as f64).then_some((low, n as usize))
    }
}
