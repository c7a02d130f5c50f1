//! The seam for samplers: pure functions of a study's history.

use crate::seam::rng::TrialRng;
use crate::space::distribution::Distribution;
use crate::study::history::History;
use crate::study::search_space::SearchSpace;
use crate::study::trial::{Param, TrialNumber};
use crate::value::json::Json;
use std::collections::BTreeMap;

/// A source of parameter values.
///
/// A sampler keeps nothing between calls. The history has the past, and system attributes carry information to later
/// trials. A sampler cannot fail and cannot wait. For the same history, seed and trial number it suggests the same
/// values.
///
/// All values are in internal representation, within the range and on the grid of their distribution.
///
/// Two methods are required. A sampler that draws each parameter independently needs no other.
pub trait Sampler: Send + Sync {
    /// Returns whether suggestions depend on the results of earlier trials, so that the more trials run at a time
    /// the worse they get. There is no default: a wrong answer would be silent, and users misadvised.
    fn learns_from_results(&self) -> bool;

    /// Returns whether any call looks at the trials of the history. If not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// Returns whether any call looks at the study's system attributes. If not, they are not read.
    fn reads_study_attrs(&self) -> bool {
        false
    }

    /// Returns whether [`Self::before_trial`] is called for trials with fixed parameters too.
    fn marks_fixed_trials(&self) -> bool {
        false
    }

    /// Returns the system attributes that mark the trial before the first draw, such as a grid's cell. They are in
    /// [`Ask::system_attrs`] from then on, and the next transaction writes them, so that simultaneous trials see them.
    /// This is called once, at the trial's first suggestion, but not for a trial with fixed parameters unless
    /// [`Self::marks_fixed_trials`].
    fn before_trial(&self, _ask: &Ask, _rng: &mut TrialRng) -> Vec<(String, Json)> {
        Vec::new()
    }

    /// Returns the parameters to draw jointly at the trial's first suggestion that needs a draw. Parameters left out
    /// are drawn one by one, as are those whose range in the objective excludes the drawn value.
    fn relative_search_space(&self, _ask: &Ask) -> SearchSpace {
        SearchSpace::default()
    }

    /// Draws a value for every parameter of `space`, jointly. Parameters left out fall back to
    /// [`Self::sample_independent`].
    fn sample_relative(&self, _ask: &Ask, _space: &SearchSpace, _rng: &mut TrialRng) -> Suggestion {
        Suggestion::default()
    }

    /// Draws one parameter independently of the others.
    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64;

    /// Returns whether a trial is to have a point that no other trial has, running ones included. Then each parameter
    /// is in the database before the objective has it, and a value is drawn again if another trial took it meanwhile:
    /// the method must draw from [`Ask::history`] as it is at that call.
    fn excludes_seen_points(&self) -> bool {
        false
    }

    /// Returns whether the search can be exhausted. If not, [`Self::is_exhausted`] is never called.
    fn is_finite(&self) -> bool {
        false
    }

    /// Returns whether the trials of `history`, which has the whole study, exhaust the search.
    fn is_exhausted(&self, _history: &History) -> bool {
        false
    }

    /// Returns whether every point of the search is a trial's, be it finished or running: earlier than
    /// [`Self::is_exhausted`], where that waits for running trials, because they may die.
    fn is_taken(&self, history: &History) -> bool {
        self.is_exhausted(history)
    }
}

/// The trial that asks for parameters, and the history of the study's other trials.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// All trials of the study except this one; empty if the sampler does not use the history.
    pub history: &'a History,
    /// The trial's number.
    pub number: TrialNumber,
    /// The parameters suggested so far, in that order, including fixed and single-valued ones.
    pub params: &'a [(String, Param)],
    /// The external values that a user fixed for the trial, by name.
    pub fixed_params: &'a [(String, Json)],
    /// The trial's system attributes, including those from [`Sampler::before_trial`].
    pub system_attrs: &'a BTreeMap<String, Json>,
}

/// A joint draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suggestion {
    /// Internal values by name.
    pub params: BTreeMap<String, f64>,
    /// The attributes that tell other trials about this draw, stored with the trial. The next transaction writes them
    /// together, so that simultaneous trials see them. A trial that finishes before it is spared the extra write.
    pub system_attrs: Vec<(String, Json)>,
}
