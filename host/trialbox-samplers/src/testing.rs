//! What the unit tests of several samplers need.

use std::collections::BTreeMap;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::sampler::Ask;
use trialbox_core::trial::{FrozenTrial, TrialId, TrialNumber, TrialState};

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
