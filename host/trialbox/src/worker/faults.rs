//! A sampler with faults on demand, see [`trialbox_storage::failpoint`]: a bug in a sampler may end its trial, and not
//! the process.

use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, History, Json, Sampler};
use trialbox_storage::failpoint;

/// A sampler as it is built, whose calls are failpoints.
pub(super) struct Faulty(pub(super) Box<dyn Sampler>);

impl Sampler for Faulty {
    fn learns_from_results(&self) -> bool {
        self.0.learns_from_results()
    }

    fn uses_history(&self) -> bool {
        self.0.uses_history()
    }

    fn reads_study_attrs(&self) -> bool {
        self.0.reads_study_attrs()
    }

    fn marks_fixed_trials(&self) -> bool {
        self.0.marks_fixed_trials()
    }

    fn before_trial(&self, ask: &Ask, rng: &mut TrialRng) -> Vec<(String, Json)> {
        failpoint!("sampler.before_trial");
        self.0.before_trial(ask, rng)
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        failpoint!("sampler.space");
        self.0.relative_search_space(ask)
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        failpoint!("sampler.joint");
        self.0.sample_relative(ask, space, rng)
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        failpoint!("sampler.draw");
        self.0.sample_independent(ask, name, distribution, rng)
    }

    fn excludes_seen_points(&self) -> bool {
        self.0.excludes_seen_points()
    }

    fn is_finite(&self) -> bool {
        self.0.is_finite()
    }

    fn is_exhausted(&self, history: &History) -> bool {
        failpoint!("sampler.exhausted");
        self.0.is_exhausted(history)
    }

    fn is_taken(&self, history: &History) -> bool {
        self.0.is_taken(history)
    }
}
