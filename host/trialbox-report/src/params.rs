//! The parameters of a study as columns: the values of all trials, and a scale that shows them.

use crate::figure::Cell;
use crate::label::label;
use crate::number::short;
use crate::scale::{Scale, show_choice};
use std::collections::HashMap;
use trialbox_core::{Distribution, FrozenTrial, History};

/// A parameter of a study.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The newest distribution, whose range is the one to widen.
    pub(crate) distribution: Distribution,
    /// A scale over all ranges and values.
    pub(crate) scale: Scale,
    /// The index of a trial in the history, and its value in internal representation.
    pub(crate) values: Vec<(usize, f64)>,
}

impl Parameter {
    /// Returns the name for people.
    pub(crate) fn label(&self) -> String {
        label(&self.name)
    }

    /// Returns whether trials have different values of it.
    pub(crate) fn varies(&self) -> bool {
        self.values.iter().any(|(_, value)| *value != self.values[0].1)
    }

    /// Returns the value of a trial.
    pub(crate) fn value(&self, index: usize) -> Option<f64> {
        let found = self.values.binary_search_by_key(&index, |(index, _)| *index);
        found.ok().map(|place| self.values[place].1)
    }

    /// Formats a value in internal representation.
    pub(crate) fn show(&self, internal: f64) -> String {
        match &self.distribution {
            Distribution::Categorical(_) => show_choice(&self.distribution.to_external(internal)),
            _ => short(internal),
        }
    }

    /// Returns a value as data.
    pub(crate) fn cell(&self, internal: f64) -> Cell {
        match &self.distribution {
            Distribution::Categorical(_) => Cell::Text(self.show(internal)),
            _ => Cell::Number(internal),
        }
    }

    /// Formats the range.
    pub(crate) fn show_range(&self) -> String {
        match &self.distribution {
            Distribution::Float(float) => {
                format!("{} to {}", short(float.low()), short(float.high()))
            }
            Distribution::Int(int) => format!("{} to {}", int.low(), int.high()),
            Distribution::Categorical(choices) => format!("{} choices", choices.choices().len()),
        }
    }

    /// Returns the end of the range that a value lies at, if it does: within the outermost `share` of the range, on
    /// its own scale. A choice has no neighbours, and a range of few values has nothing but ends.
    pub(crate) fn edge(&self, internal: f64, share: f64) -> Option<Edge> {
        let n_points = match &self.distribution {
            Distribution::Categorical(_) => return None,
            Distribution::Int(int) => (int.high() as f64 - int.low() as f64) / int.step() as f64,
            Distribution::Float(float) => match float.step() {
                Some(step) => (float.high() - float.low()) / step,
                None => f64::INFINITY,
            },
        };
        if n_points < 3.0 {
            return None;
        }
        let place = Scale::of_distribution(&self.distribution).place(internal)?;
        match place {
            place if place <= share => Some(Edge::Low),
            place if place >= 1.0 - share => Some(Edge::High),
            _ => None,
        }
    }
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Low,
    High,
}

impl Edge {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Edge::Low => "lower",
            Edge::High => "upper",
        }
    }
}

/// Returns the parameters of all trials, in the order in which they were first suggested.
pub(crate) fn parameters(history: &History) -> Vec<Parameter> {
    let mut found: Vec<Parameter> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    // Trials of one schema have the same parameters in the same order.
    let mut schemas: Vec<Option<Vec<usize>>> = vec![None; history.n_schemas()];
    for (index, trial) in history.trials().iter().enumerate() {
        let (schema, row) = history.row(trial);
        let Some(known) = schemas.get_mut(schema) else { continue };
        let columns = known.get_or_insert_with(|| columns_of(trial, &mut found, &mut by_name));
        for (column, value) in columns.iter().zip(row) {
            found[*column].values.push((index, *value));
        }
    }
    found.iter_mut().for_each(Parameter::cover_values);
    found
}

/// Returns the columns of a trial's parameters; new ones are added.
fn columns_of(
    trial: &FrozenTrial,
    found: &mut Vec<Parameter>,
    by_name: &mut HashMap<String, usize>,
) -> Vec<usize> {
    let column = |(name, param): &(String, trialbox_core::Param)| {
        let scale = Scale::of_distribution(&param.distribution);
        let distribution = param.distribution.clone();
        if let Some(column) = by_name.get(name) {
            let known = &mut found[*column];
            known.scale = scale.with(&known.scale);
            known.distribution = distribution;
            return *column;
        }
        by_name.insert(name.clone(), found.len());
        found.push(Parameter { name: name.clone(), distribution, scale, values: Vec::new() });
        found.len() - 1
    };
    trial.params.iter().map(column).collect()
}

impl Parameter {
    /// Widens the scale to values outside of the range, which a user fixed so.
    fn cover_values(&mut self) {
        let finite = self.values.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        let of_values = match self.scale {
            Scale::Linear(..) if low <= high => Scale::Linear(low, high),
            Scale::Log(..) if low <= high && low > 0.0 => Scale::Log(low, high),
            _ => return,
        };
        self.scale = self.scale.clone().with(&of_values);
    }
}
