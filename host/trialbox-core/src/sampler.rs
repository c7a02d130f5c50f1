//! The seam for samplers: pure functions of a study's history.

use crate::distribution::Distribution;
use crate::history::History;
use crate::json::Json;
use crate::rng::TrialRng;
use crate::search_space::SearchSpace;
use std::collections::BTreeMap;

/// Proposes parameter values.
///
/// A sampler keeps nothing between calls: what it needs of the past is in `history`, and what the future
/// needs of it leaves in [`Suggestion::system_attrs`] and is stored with the trial. It cannot fail, cannot
/// wait and proposes the same for the same history, seed and trial number.
///
/// All values are in internal representation, within the range and on the grid of their distribution.
pub trait Sampler: Send + Sync {
    /// Whether any call looks at the trials of `history`; if not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// The parameters to draw jointly at the trial's first suggestion; those left out, and those that the
    /// objective asks for with another distribution, are drawn one by one.
    fn relative_search_space(&self, history: &History) -> SearchSpace;

    /// Draws a value for every parameter of `space`, jointly. Parameters left out fall back to
    /// [`Self::sample_independent`].
    fn sample_relative(
        &self,
        history: &History,
        space: &SearchSpace,
        rng: &mut TrialRng,
    ) -> Suggestion;

    /// Draws one parameter by itself.
    fn sample_independent(
        &self,
        history: &History,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64;
}

/// A joint draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suggestion {
    /// Internal values by name.
    pub params: BTreeMap<String, f64>,
    /// What later trials need to know of this draw, stored with the trial.
    pub system_attrs: Vec<(String, Json)>,
}
