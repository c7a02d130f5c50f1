//! What the unit tests of several samplers need.

use std::collections::BTreeMap;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::sampler::Ask;
use trialbox_core::trial::TrialNumber;

/// The question of a trial that has nothing yet.
pub(crate) fn ask(history: &History) -> Ask<'_> {
    static NONE: BTreeMap<String, Json> = BTreeMap::new();
    Ask { history, number: TrialNumber(0), params: &[], fixed_params: &[], system_attrs: &NONE }
}
