//! The seam for samplers: pure functions of a study's history.

use crate::seam::rng::TrialRng;
use crate::space::distribution::Distribution;
use crate::study::history::History;
use crate::study::search_space::SearchSpace;
use crate::study::trial::{Param, TrialNumber};
use crate::value::json::Json;
use std::collections::BTreeMap;

/// Proposes parameter values.
///
/// A sampler keeps nothing between calls: what it needs of the past is in the history, and what the future
/// needs of it is stored with the trial as system attributes. It cannot fail, cannot wait and proposes the
/// same for the same history, seed and trial number.
///
/// All values are in internal representation, within the range and on the grid of their distribution.
///
/// Two methods must be written: a sampler that draws each parameter by itself needs no more.
pub trait Sampler: Send + Sync {
    /// Returns whether suggestions depend on the results of earlier trials, so that the more trials run at a time
    /// the worse they get. There is no default: a wrong answer would be silent, and users misadvised.
    fn learns_from_results(&self) -> bool;

    /// Returns whether any call looks at the trials of the history. If not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// Returns the system attributes to mark the trial with before anything is drawn, such as a grid's cell. They
    /// are in [`Ask::system_attrs`] from then on, and are written soon, so that simultaneous trials see
    /// them. Called once, at the trial's first suggestion; not for a trial with fixed parameters.
    fn before_trial(&self, _ask: &Ask, _rng: &mut TrialRng) -> Vec<(String, Json)> {
        Vec::new()
    }

    /// Returns the parameters to draw jointly at the trial's first suggestion that needs a draw. Those left out,
    /// and those for which the objective asks with a range that excludes the drawn value, are drawn one by one.
    fn relative_search_space(&self, _ask: &Ask) -> SearchSpace {
        SearchSpace::default()
    }

    /// Draws a value for every parameter of `space`, jointly. Parameters left out fall back to
    /// [`Self::sample_independent`].
    fn sample_relative(&self, _ask: &Ask, _space: &SearchSpace, _rng: &mut TrialRng) -> Suggestion {
        Suggestion::default()
    }

    /// Draws one parameter by itself.
    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64;

    /// Returns whether the search can be exhausted. If not, [`Self::is_exhausted`] is never asked.
    fn is_finite(&self) -> bool {
        false
    }

    /// Returns whether `history`, which is of the whole study, leaves nothing to try.
    fn is_exhausted(&self, _history: &History) -> bool {
        false
    }
}

/// The trial that asks for parameters, and the history of the study's other trials.
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
    /// The attributes that tell other trials of this draw, stored with the trial. They are written soon, all
    /// in one transaction, so that simultaneous trials see them; a trial that finishes before that is spared the
    /// extra write.
    pub system_attrs: Vec<(String, Json)>,
}
