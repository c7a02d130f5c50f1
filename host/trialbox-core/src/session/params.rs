//! The parameters of one running trial.

use crate::seam::rng::TrialRng;
use crate::space::distribution::Distribution;
use crate::study::trial::Param;
use crate::value::json::Json;
use std::collections::{BTreeMap, BTreeSet};

/// The parameters that a trial has, those fixed for it, and the draws made for it.
pub(super) struct TrialParams {
    /// The trial's stream of random numbers, for the sampler.
    pub(super) rng: TrialRng,
    /// The external values that a user fixed, by name.
    pub(super) fixed: Vec<(String, Json)>,
    /// The parameters, in the order in which they were suggested.
    pub(super) values: Vec<(String, Param)>,
    /// The joint draw, once it is made.
    pub(super) joint: Option<BTreeMap<String, f64>>,
    /// True once the sampler has marked the trial.
    pub(super) is_prepared: bool,
    asked: BTreeSet<String>,
}

/// The parameters of a trial at one time.
pub(super) struct Mark {
    n_values: usize,
    asked: BTreeSet<String>,
}

impl TrialParams {
    pub(super) fn new(
        rng: TrialRng,
        fixed: Vec<(String, Json)>,
        values: Vec<(String, Param)>,
    ) -> Self {
        TrialParams { rng, fixed, values, joint: None, is_prepared: false, asked: BTreeSet::new() }
    }

    /// Returns the parameters that were asked for so far, for [`Self::rewind`].
    pub(super) fn mark(&self) -> Mark {
        Mark { n_values: self.values.len(), asked: self.asked.clone() }
    }

    /// Forgets the parameters that were suggested since the mark. The stream of random numbers goes on.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.values.truncate(mark.n_values);
        self.asked = mark.asked;
    }

    /// Notes that the objective asks for a parameter. Returns whether it is the first time.
    pub(super) fn ask(&mut self, name: &str) -> bool {
        self.asked.insert(name.to_owned())
    }

    /// Returns the parameter that the trial has under this name, its own or that of the trial it repeats.
    pub(super) fn get(&self, name: &str) -> Option<&Param> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, param)| param)
    }

    /// Returns the value that a user fixed, external.
    pub(super) fn fixed_value(&self, name: &str) -> Option<&Json> {
        self.fixed.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Returns the jointly drawn value, if there is one and the distribution has it.
    pub(super) fn joint_value(&self, name: &str, distribution: &Distribution) -> Option<f64> {
        let value = *self.joint.as_ref()?.get(name)?;
        if distribution.contains(value) { Some(value) } else { None }
    }

    /// Returns the names of fixed parameters that the objective never asked for.
    pub(super) fn unused_fixed(&self) -> Vec<String> {
        let names = self.fixed.iter().map(|(name, _)| name);
        names.filter(|name| !self.asked.contains(*name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::rng::trial_rng;
    use crate::study::trial::TrialNumber;

    fn params(fixed: &[(&str, f64)]) -> TrialParams {
        let fixed = fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        TrialParams::new(trial_rng(0, TrialNumber(0)), fixed.collect(), vec![])
    }

    #[test]
    fn fixed_parameters_that_were_never_asked_for_are_known() {
        let mut params = params(&[("x", 1.0), ("y", 2.0)]);
        assert!(params.ask("y"));
        assert!(!params.ask("y"), "a second time");
        assert_eq!(params.unused_fixed(), ["x"]);
        assert_eq!(params.fixed_value("x"), Some(&Json::from(1.0)));
        assert_eq!(params.fixed_value("z"), None);
    }

    #[test]
    fn a_joint_value_outside_the_range_that_is_asked_for_is_no_value() {
        let mut params = params(&[]);
        let unit = Distribution::float(0.0, 1.0, false, None).expect("a range");
        assert_eq!(params.joint_value("x", &unit), None, "nothing is drawn yet");
        params.joint = Some([("x".to_owned(), 0.5), ("y".to_owned(), 1.5)].into());
        assert_eq!(params.joint_value("x", &unit), Some(0.5));
        assert_eq!(params.joint_value("y", &unit), None);
        assert_eq!(params.joint_value("z", &unit), None);
    }
}
