//! The seam for samplers: pure functions of a study's history.

use crate::seam::rng::TrialRng;
use crate::space::distribution::Distribution;
use crate::study::history::History;
use crate::study::search_space::SearchSpace;
use crate::study::trial::{Param, TrialNumber, TrialState};
use crate::value::json::Json;
use std::collections::BTreeMap;

/// Proposes parameter values.
///
/// A sampler keeps nothing between calls: what it needs of the past is in the history, and what the future
/// needs of it is stored with the trial as system attributes. It cannot fail, cannot wait and proposes the
/// same for the same history, seed and trial number.
///
/// All values are in internal representation, within the range and on the grid of their distribution.
pub trait Sampler: Send + Sync {
    /// Whether any call looks at the trials of the history; if not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// The system attributes to mark the trial with before it draws anything, such as a grid's cell. They
    /// are in [`Ask::system_attrs`] from then on, and are written soon, so that simultaneous trials see
    /// them. Called once, at the trial's first suggestion; not for a trial with fixed parameters.
    fn before_trial(&self, _ask: &Ask, _rng: &mut TrialRng) -> Vec<(String, Json)> {
        Vec::new()
    }

    /// The parameters to draw jointly at the trial's first suggestion that needs a draw; those left out,
    /// and those that the objective asks for with a range that the drawn value is outside of, are drawn
    /// one by one.
    fn relative_search_space(&self, ask: &Ask) -> SearchSpace;

    /// Draws a value for every parameter of `space`, jointly. Parameters left out fall back to
    /// [`Self::sample_independent`].
    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion;

    /// Draws one parameter by itself.
    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64;

    /// Whether the search can come to its end; if not, [`Self::is_exhausted`] is never asked.
    fn is_finite(&self) -> bool {
        false
    }

    /// Whether `history`, which is of the whole study, leaves nothing to try.
    fn is_exhausted(&self, _history: &History) -> bool {
        false
    }
}

/// The trial that asks for parameters, and what the study's other trials did.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// All trials of the study but this one; empty if the sampler does not use it.
    pub history: &'a History,
    /// The trial's number.
    pub number: TrialNumber,
    /// The parameters that it has so far, in the order in which they were asked for: the fixed and the
    /// single-valued among them too.
    pub params: &'a [(String, Param)],
    /// The values that a user fixed for it, external, by name.
    pub fixed_params: &'a [(String, Json)],
    /// Its system attributes, those that [`Sampler::before_trial`] gave it included.
    pub system_attrs: &'a BTreeMap<String, Json>,
}

/// A joint draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suggestion {
    /// Internal values by name.
    pub params: BTreeMap<String, f64>,
    /// What other trials need to know of this draw, stored with the trial. It is written soon, all of it
    /// in one transaction, so that simultaneous trials see it; a trial that ends before that is spared the
    /// extra write.
    pub system_attrs: Vec<(String, Json)>,
}

/// Whether there is anything left for another trial to do: always for a search without end, and always while
/// trials are WAITING, because these are run whatever the sampler thinks.
///
/// # Errors
/// Those of reading the history, which is read only if the search can end.
pub fn may_begin<E>(
    sampler: &dyn Sampler,
    history: impl FnOnce() -> Result<History, E>,
) -> Result<bool, E> {
    if !sampler.is_finite() {
        return Ok(true);
    }
    let history = history()?;
    let waits = history.in_state(TrialState::Waiting).next().is_some();
    Ok(waits || !sampler.is_exhausted(&history))
}
