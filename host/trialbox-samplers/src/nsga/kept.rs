//! The parents of a generation as an attribute of the trial that chose them, so that later trials need not choose the
//! parents of all generations again.
//!
//! It holds what the choice would be, while no late result of an earlier generation changes it.

use super::Method;
use crate::relative_params::{joined, sliced, words_behind};
use fnv::FnvHasher;
use std::hash::Hasher as _;
use trialbox_core::{FrozenTrial, Json, TrialNumber};

/// The beginning of the attributes.
const PREFIX: &str = "trialbox:sampler:nsga:parents";

/// The version of the text.
const VERSION: &str = "1";

/// The parents of a generation, as an attribute holds them.
pub(super) struct Kept {
    pub(super) generation: i64,
    /// The generation whose parents Optuna's workers chose last; 0 if there is none.
    pub(super) start: i64,
    /// The number of trials of all generations before.
    pub(super) n_before: usize,
    pub(super) parents: Vec<TrialNumber>,
}

/// Returns the attributes that keep a choice.
pub(super) fn to_attrs(kept: &Kept, fingerprint: u64) -> Vec<(String, Json)> {
    let Kept { generation, start, n_before, parents } = kept;
    let mut text = format!("{VERSION} {fingerprint:x} {generation} {start} {n_before}");
    for number in parents {
        text += &format!(" {}", number.0);
    }
    sliced(PREFIX, &text)
}

/// Reads the choice that a trial keeps; `None` if there is none, or if it is of other options.
pub(super) fn of_trial(trial: &FrozenTrial, fingerprint: u64) -> Option<Kept> {
    let text = joined(PREFIX, trial);
    let mut words = words_behind(&text, VERSION, fingerprint)?;
    let generation = words.next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    let n_before = words.next()?.parse().ok()?;
    let numbers = words.map(|word| word.parse().ok().map(TrialNumber));
    let parents = numbers.collect::<Option<Vec<TrialNumber>>>()?;
    Some(Kept { generation, start, n_before, parents })
}

/// Returns a hash of what a choice depends on beside the trials.
pub(super) fn fingerprint(method: &Method, population_size: usize) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{population_size} {method:?}").as_bytes());
    hasher.finish()
}
