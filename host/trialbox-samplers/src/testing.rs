//! What the unit tests of several samplers need.

use std::collections::BTreeMap;
use trialbox_core::distribution::Distribution;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::sampler::Ask;
use trialbox_core::trial::{FrozenTrial, Param, TrialId, TrialNumber, TrialState};

/// The question of a trial that has nothing yet.
pub(crate) fn ask(history: &History) -> Ask<'_> {
    static NONE: BTreeMap<String, Json> = BTreeMap::new();
    Ask { history, number: TrialNumber(0), params: &[], fixed_params: &[], system_attrs: &NONE }
}

/// A COMPLETE trial of value 0 without parameters.
pub(crate) fn trial(number: u32) -> FrozenTrial {
    FrozenTrial {
        id: TrialId(i64::from(number) + 1),
        number: TrialNumber(number),
        state: TrialState::Complete,
        values: vec![0.0],
        datetime_start: None,
        datetime_complete: None,
        params: vec![],
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}

/// A trial with parameters, given as name, distribution and internal value; of value 0 if it is COMPLETE.
pub(crate) fn trial_with(
    number: u32,
    state: TrialState,
    params: &[(&str, Distribution, f64)],
) -> FrozenTrial {
    let param = |(name, distribution, internal): &(&str, Distribution, f64)| {
        let param = Param { distribution: distribution.clone(), internal: *internal };
        ((*name).to_owned(), param)
    };
    let values = if state == TrialState::Complete { vec![0.0] } else { vec![] };
    FrozenTrial { state, values, params: params.iter().map(param).collect(), ..trial(number) }
}
