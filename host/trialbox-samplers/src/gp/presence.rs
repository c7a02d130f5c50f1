//! The conditions under which trials have a parameter, learnt from the trials.

use std::collections::BTreeMap;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial};

/// The largest number of values of a parameter on which another may depend.
const MAX_KEYS: usize = 64;

/// The condition of one parameter.
#[derive(Debug, Clone)]
pub(super) enum Presence<'a> {
    /// Every trial has it.
    Always,
    /// The value of another parameter decides.
    Rule(&'a Rule),
    /// No other parameter decides alone; this is what most trials have.
    Mostly(bool),
}

/// A condition on the value of one parameter, which stands earlier in every trial.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// The index of the other parameter.
    pub(super) parent: usize,
    /// The values seen, in ascending order, and whether trials had the parameter there.
    seen: Vec<(f64, bool)>,
}

impl Rule {
    /// Returns whether a trial has the parameter where the other one has this value, or is absent: as at the nearest
    /// value that was seen.
    pub(super) fn allows(&self, key: Option<f64>) -> bool {
        let Some(key) = key else { return false };
        let mut nearest = (f64::INFINITY, false);
        for (value, is_there) in &self.seen {
            let distance = (value - key).abs();
            if distance < nearest.0 {
                nearest = (distance, *is_there);
            }
        }
        nearest.1
    }
}

#[derive(Debug, Clone)]
enum Condition {
    Always,
    Rule(Rule),
    Mostly(bool),
}

/// The conditions of all parameters of a space.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    conditions: Vec<Condition>,
    /// The parameters, each after those that it depends on.
    order: Vec<usize>,
}

/// A trial's internal value of each parameter.
type Row = Vec<Option<f64>>;

impl Rules {
    /// Finds, for each parameter that some trials lack, an earlier one whose values decide. O(parameters² · trials) of
    /// the conditional ones.
    pub(super) fn learn(space: &SearchSpace, trials: &[&FrozenTrial]) -> Rules {
        let names: Vec<&str> = space.iter().map(|(name, _)| name).collect();
        let places: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
        let mut rows: Vec<Row> = Vec::with_capacity(trials.len());
        // The latest place at which a trial has the parameter: a condition stands before all that depends on it.
        let mut latest = vec![0; names.len()];
        for trial in trials {
            let mut row = vec![None; names.len()];
            for (place, (name, param)) in trial.params.iter().enumerate() {
                if let Some(index) = places.get(name.as_str()) {
                    row[*index] = Some(param.internal);
                    latest[*index] = place.max(latest[*index]);
                }
            }
            rows.push(row);
        }
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|index| latest[*index]);
        let can_decide: Vec<bool> = space.iter().map(|(_, it)| can_decide(it)).collect();
        let mut conditions = vec![Condition::Always; names.len()];
        for (rank, index) in order.iter().enumerate() {
            let earlier = order[..rank].iter().filter(|parent| can_decide[**parent]);
            conditions[*index] = condition(*index, earlier, &rows);
        }
        Rules { conditions, order }
    }

    /// Returns whether some trials lack the parameter.
    pub(super) fn is_conditional(&self, index: usize) -> bool {
        !matches!(self.conditions[index], Condition::Always)
    }

    /// Returns the condition of a parameter.
    pub(super) fn presence(&self, index: usize) -> Presence<'_> {
        match &self.conditions[index] {
            Condition::Always => Presence::Always,
            Condition::Rule(rule) => Presence::Rule(rule),
            Condition::Mostly(is_there) => Presence::Mostly(*is_there),
        }
    }

    /// Returns the parameters, each after those that it depends on.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> {
        self.order.iter().copied()
    }
}

/// Returns whether a parameter has so few values that others may depend on them.
fn can_decide(distribution: &Distribution) -> bool {
    match distribution {
        Distribution::Categorical(categorical) => categorical.choices().len() <= MAX_KEYS,
        Distribution::Int(int) => {
            i128::from(int.high()) - i128::from(int.low())
                < i128::from(int.step()) * MAX_KEYS as i128
        }
        Distribution::Float(_) => false,
    }
}

fn condition<'a>(
    index: usize,
    earlier: impl Iterator<Item = &'a usize>,
    rows: &[Row],
) -> Condition {
    let n_with = rows.iter().filter(|row| row[index].is_some()).count();
    if n_with == rows.len() {
        return Condition::Always;
    }
    for parent in earlier {
        if let Some(rule) = rule(index, *parent, rows) {
            return Condition::Rule(rule);
        }
    }
    Condition::Mostly(2 * n_with > rows.len())
}

/// Returns the rule by which the values of `parent` decide, if they do.
fn rule(index: usize, parent: usize, rows: &[Row]) -> Option<Rule> {
    let mut seen: Vec<(f64, bool)> = Vec::new();
    for row in rows {
        let is_there = row[index].is_some();
        let Some(key) = row[parent] else {
            if is_there {
                return None;
            }
            continue;
        };
        match seen.iter().find(|(value, _)| *value == key) {
            Some((_, found)) if *found != is_there => return None,
            Some(_) => {}
            None if key.is_finite() && seen.len() < MAX_KEYS => seen.push((key, is_there)),
            None => return None,
        }
    }
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(Rule { parent, seen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial_with;
    use trialbox_core::TrialState;

    fn float() -> Distribution {
        Distribution::float(0.0, 1.0, false, None).expect("a range")
    }

    fn choices() -> Distribution {
        Distribution::categorical(vec!["sgd".into(), "adam".into(), "lamb".into()])
            .expect("choices")
    }

    fn learnt(rows: &[&[(&str, Distribution, f64)]]) -> (Vec<String>, Rules) {
        let trials: Vec<FrozenTrial> =
            (0..).zip(rows).map(|(i, row)| trial_with(i, TrialState::Complete, row)).collect();
        let trials: Vec<&FrozenTrial> = trials.iter().collect();
        let params = trials.iter().flat_map(|trial| &trial.params);
        let space: SearchSpace =
            params.map(|(name, it)| (name.clone(), it.distribution.clone())).collect();
        let names = space.iter().map(|(name, _)| name.to_owned()).collect();
        (names, Rules::learn(&space, &trials))
    }

    #[test]
    fn the_value_that_decides_is_found() {
        let kind = |value| ("z_kind", choices(), value);
        let lr = |value| ("lr", float(), value);
        let momentum = ("momentum", float(), 0.9);
        let (names, rules) = learnt(&[
            &[kind(0.0), lr(0.1), momentum.clone()],
            &[kind(1.0), lr(0.2)],
            &[kind(0.0), lr(0.3), momentum],
        ]);
        assert_eq!(names, ["lr", "momentum", "z_kind"]);
        assert!(!rules.is_conditional(0) && rules.is_conditional(1));
        let Presence::Rule(rule) = rules.presence(1) else { panic!("a rule") };
        assert_eq!(rule.parent, 2);
        assert!(rule.allows(Some(0.0)) && !rule.allows(Some(1.0)) && !rule.allows(None));
        let order: Vec<usize> = rules.order().collect();
        assert!(order.iter().position(|it| *it == 2) < order.iter().position(|it| *it == 1));
    }

    #[test]
    fn a_number_of_layers_decides_between_the_values_seen() {
        let layers = |n| ("n", Distribution::int(1, 9, false, 1).expect("a range"), n);
        let third = ("units_3", float(), 0.5);
        let (_, rules) =
            learnt(&[&[layers(2.0)], &[layers(5.0), third.clone()], &[layers(4.0), third]]);
        let Presence::Rule(rule) = rules.presence(1) else { panic!("a rule") };
        assert!(rule.allows(Some(9.0)) && !rule.allows(Some(1.0)));
    }

    #[test]
    fn what_no_value_decides_is_as_in_most_trials() {
        let kind = |value| ("kind", choices(), value);
        let (_, rules) = learnt(&[&[kind(0.0), ("x", float(), 0.5)], &[kind(0.0)], &[kind(0.0)]]);
        assert!(matches!(rules.presence(1), Presence::Mostly(false)));
    }
}
