//! Bayesian optimisation with Gaussian processes: a model of the losses predicts, with its doubt, the worth of a point.
//!
//! A suggestion goes through these steps, each a file:
//!
//! 1. `observed`: trials become points (`space`, `presence`), losses, constraints and pending points.
//! 2. `outcomes`: losses are transformed, by evidence.
//! 3. `fit`: hyperparameters of the kernel (`kernel`) by the largest posterior density, along its slopes (`lbfgs`).
//! 4. `model`: the process conditioned on the outcomes (`cholesky`), pending points included.
//! 5. `search`: the point of the largest expected improvement (`acquisition`).
//!
//! Arithmetic is IEEE's in a fixed order, and functions beyond it are those of the crate `libm`: the same history, seed
//! and number give the same bits on all machines, but for logarithms and exponentials of log-scaled ranges, which are
//! those of the system's library.
//!
//! Jones, Schonlau and Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions"; Rasmussen and
//! Williams 2006, "Gaussian Processes for Machine Learning".

mod acquisition;
pub(crate) mod cholesky;
mod fit;
#[cfg(test)]
mod golden;
pub(crate) mod kernel;
mod lbfgs;
mod model;
pub(crate) mod observed;
mod options;
pub(crate) mod outcomes;
mod presence;
pub(crate) mod search;
pub(crate) mod space;
pub(crate) mod surrogate;
#[cfg(test)]
mod tests;

pub use options::GpOptions;

use crate::RandomSampler;
use crate::config::Configured;
use crate::qmc::sobol;
use crate::relative_params;
use observed::{Observed, RELATIVE_PARAMS};
use search::Search;
use std::collections::BTreeMap;
use surrogate::{FITS, Fits, Surrogate};
use trialbox_core::seam::rng::{TrialRng, study_rng};
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, History, Json, Sampler, TrialState};

/// Proposes the point with the largest expected improvement under a Gaussian process.
#[derive(Debug, Clone, Default)]
pub struct GpSampler {
    options: GpOptions,
}

impl GpSampler {
    /// Creates a sampler with these options.
    pub fn new(options: GpOptions) -> Self {
        GpSampler { options }
    }
}

impl Configured<dyn Sampler> for GpOptions {
    const NAME: &'static str = "gp";
    const OPTUNA: &'static str = "GPSampler";
    const SUMMARY: &'static str =
        "the best expected improvement under a Gaussian process: for few, costly trials";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(GpSampler::new(self.clone()))
    }
}

impl Sampler for GpSampler {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        union_space(ask.history)
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        if space.is_empty() {
            return Suggestion::default();
        }
        let n = ask.history.evaluated().count();
        let observed = Observed::new(ask.history, space, |_| true);
        if n < self.options.n_startup_trials || observed.len() == 0 {
            let params = even_start(ask, &observed, rng).unwrap_or_default();
            let system_attrs = told(space, &params, None);
            return Suggestion { params, system_attrs };
        }
        let (params, fits) = suggest(ask, &observed, rng);
        let system_attrs = told(space, &params, Some(&fits));
        Suggestion { params, system_attrs }
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        RandomSampler.sample_independent(ask, name, distribution, rng)
    }
}

/// Returns the parameters of all trials that have a choice, each with its latest distribution.
pub(crate) fn union_space(history: &History) -> SearchSpace {
    let mut is_seen = vec![false; history.n_schemas()];
    let mut params = Vec::new();
    for trial in history.trials().iter().rev() {
        let schema = history.row(trial).0;
        if trial.state == TrialState::Waiting || std::mem::replace(&mut is_seen[schema], true) {
            continue;
        }
        params.extend(trial.params.iter().map(|(name, it)| (name, &it.distribution)));
    }
    // The latest come first here and last in the map, where they replace older ones.
    let params = params.into_iter().rev();
    let with_choice = params.filter(|(_, distribution)| distribution.single().is_none());
    with_choice.map(|(name, distribution)| (name.clone(), distribution.clone())).collect()
}

/// Returns the values at a point of the sequence of Sobol' that the trials of a study share, which fills the space
/// evenly; `None` beyond the end of the sequence.
pub(crate) fn even_start(
    ask: &Ask,
    observed: &Observed,
    rng: &TrialRng,
) -> Option<BTreeMap<String, f64>> {
    let dimensions = observed.space.axes.len();
    if dimensions > sobol::MAX_DIMENSIONS || ask.number.0 >= 1 << sobol::BITS {
        return None;
    }
    let place = sobol::scrambled_point(ask.number.0, dimensions, &mut study_rng(rng));
    Some(observed.space.decode(&search::of_places(&observed.space, &place)))
}

/// Returns the attributes by which simultaneous trials learn of a joint draw, and later ones of the fits behind it.
pub(crate) fn told(
    space: &SearchSpace,
    params: &BTreeMap<String, f64>,
    fits: Option<&Fits>,
) -> Vec<(String, Json)> {
    let mut attrs = relative_params::to_attrs(RELATIVE_PARAMS, space, params);
    if let Some(json) = fits.and_then(Fits::to_json) {
        attrs.push((FITS.to_owned(), json));
    }
    attrs
}

/// Returns a trial's parameters by a model of all trials, whose fit starts at the last one, and its fits. `observed`
/// has a point.
pub(crate) fn suggest(
    ask: &Ask,
    observed: &Observed,
    rng: &mut TrialRng,
) -> (BTreeMap<String, f64>, Fits) {
    let previous = last_fits(ask.history);
    let (point, fits) = propose(ask, observed, previous.as_ref(), rng);
    (observed.space.decode(&point), fits)
}

/// Returns the fits of the latest trial that tells of them.
fn last_fits(history: &History) -> Option<Fits> {
    let mut trials = history.trials().iter().rev();
    Fits::from_json(trials.find_map(|trial| trial.system_attrs.get(FITS))?)
}

/// Returns the point for a trial, and the fits behind it. `observed` has a point.
pub(crate) fn propose(
    ask: &Ask,
    observed: &Observed,
    previous: Option<&Fits>,
    rng: &mut TrialRng,
) -> (Vec<f64>, Fits) {
    let losses = match &observed.losses[..] {
        [losses] => losses.clone(),
        several => scalarized(several, rng),
    };
    let mut surrogate = Surrogate::new(observed, &losses, previous);
    for point in &observed.pending {
        surrogate.add_pending(point);
    }
    let losses = outcomes::finite(&losses);
    let number = ask.number.0;
    // Numbers have no gaps: those below that the history lacks are of trials that start in the same instant.
    let n_missing = (number as usize).saturating_sub(ask.history.trials().len());
    let point = Search::new(observed, &surrogate).run(&losses, (number, n_missing), rng);
    (point, surrogate.fits)
}

/// Returns one loss for several: the largest weighted one and a little of the sum, with random weights, so that trials
/// spread over the front.
///
/// Knowles 2006, "ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for Expensive Multiobjective
/// Optimization Problems", eq. 2.
fn scalarized(losses: &[Vec<f64>], rng: &mut TrialRng) -> Vec<f64> {
    const SHARE_OF_SUM: f64 = 0.05;
    let weights = search::weights(losses.len(), rng);
    let n = losses.first().map_or(0, Vec::len);
    let (mut largest, mut sums) = (vec![f64::NEG_INFINITY; n], vec![0.0; n]);
    for (losses, weight) in losses.iter().zip(weights) {
        let losses = outcomes::finite(losses);
        let range = losses.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| {
            (loss.min(low), loss.max(high))
        });
        // Halves, because the width of the range may be no float.
        let width = (0.5 * range.1 - 0.5 * range.0).max(f64::MIN_POSITIVE);
        for (i, loss) in losses.iter().enumerate() {
            let share = weight * ((0.5 * loss - 0.5 * range.0) / width);
            largest[i] = share.max(largest[i]);
            sums[i] += share;
        }
    }
    largest.iter().zip(sums).map(|(largest, sum)| largest + SHARE_OF_SUM * sum).collect()
}
