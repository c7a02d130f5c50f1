//! The state of an optimiser as an attribute of the trial that came first to it, so that later trials need not replay
//! the study from its beginning.
//!
//! It holds what a replay would compute, bit for bit. A state of another space, of other options or of another version
//! is no state.

use super::optimizer::Optimizer;
use crate::relative_params::{joined, sliced, words_behind};
use trialbox_core::{FrozenTrial, Json, TrialNumber};

/// The beginning of the attributes. Optuna reads pickled optimisers below `cma:optimizer`, which this must not be.
const PREFIX: &str = "trialbox:sampler:cmaes";

/// The version of the text.
const VERSION: &str = "1";

/// Returns the attributes.
pub(super) fn to_attrs(
    optimizer: &mut Optimizer,
    last: TrialNumber,
    fingerprint: u64,
) -> Vec<(String, Json)> {
    let mut text = format!("{VERSION} {fingerprint:x} {} {} ", last.0, optimizer.generation());
    for number in optimizer.numbers() {
        text += &format!("{:016x}", number.to_bits());
    }
    sliced(PREFIX, &text)
}

/// Restores the state that a trial holds into an optimiser of the same space and options. Returns the number of the
/// last trial that it has learnt from; `None` if there is no such state.
pub(super) fn restore(
    trial: &FrozenTrial,
    optimizer: &Optimizer,
    fingerprint: u64,
) -> Option<(Optimizer, TrialNumber)> {
    let text = joined(PREFIX, trial);
    let mut words = words_behind(&text, VERSION, fingerprint)?;
    let last = TrialNumber(words.next()?.parse().ok()?);
    let generation = words.next()?.parse().ok()?;
    let digits = words.next()?.as_bytes();
    let mut restored = optimizer.clone();
    let mut numbers = digits.chunks(16).map(|digits| {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(f64::from_bits)
    });
    let mut is_complete = true;
    restored.visit(&mut |number| match numbers.next().flatten() {
        Some(found) => *number = found,
        None => is_complete = false,
    });
    restored.set_generation(generation);
    let is_whole = is_complete && numbers.next().is_none() && words.next().is_none();
    (is_whole && restored.is_sound()).then_some((restored, last))
}
