//! The sampler that chooses: a table of rules, for those who do not want to.
//!
//! Each trial's suggestion comes from one *arm*; the trial's number decides among those that apply, so that
//! simultaneous trials need not know of each other. docs/samplers.md has the table with its reasons.

mod branch;
mod options;

pub use options::AutoOptions;

use crate::config::Configured;
use crate::gp;
use crate::gp::observed::Observed;
use crate::gp::outcomes::finite;
use crate::gp::surrogate::Fits;
use crate::{MidpointSampler, RandomSampler, TpeOptions, TpeSampler, quadratic};
use std::collections::BTreeMap;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, Json, Sampler, TrialState};

/// The attribute that says which arm suggested a trial's parameters, and why.
pub(crate) const ARM: &str = "trialbox:sampler:auto";

/// The number of parameters above which a Gaussian process costs more than it brings.
const MAX_GP_PARAMETERS: usize = 100;

/// The largest number of objectives for which random weights reach the whole front.
const MAX_GP_OBJECTIVES: usize = 3;

/// The number of trials with several objectives after which TPE takes over.
const MAX_GP_TRIALS_OF_SEVERAL: usize = 250;

/// The number of trials after which most are TPE's, whose suggestions cost a hundredth of those of a Gaussian process.
const MANY_TRIALS: usize = 1000;

/// The number of choices above which a model by Hamming's distance learns little.
const MANY_CHOICES: usize = 64;

/// Chooses by a table of rules between even points, a quadratic model, TPE and a Gaussian process.
#[derive(Debug, Clone, Default)]
pub struct AutoSampler {
    options: AutoOptions,
}

/// The source of one suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arm {
    Even { until: usize },
    Tpe(&'static str),
    Quadratic,
    Branch { turn: u64 },
    Gp,
}

impl AutoSampler {
    /// Creates a sampler with these options.
    pub fn new(options: AutoOptions) -> Self {
        AutoSampler { options }
    }

    /// Returns the number of even points: enough for a first model, and a fifth of the budget at most.
    fn n_even(&self, n_parameters: usize) -> usize {
        let wanted = (n_parameters + 1).max(5);
        let budget = self.options.n_trials.map_or(usize::MAX, |n_trials| n_trials / 5);
        wanted.min(budget.max(1))
    }

    /// Returns the arms to try, in this order; the last one always has a point.
    fn arms(&self, ask: &Ask, space: &SearchSpace) -> Vec<Arm> {
        let n = ask.history.evaluated().count();
        let n_objectives = ask.history.directions().len();
        let until = self.n_even(space.len());
        let choices = space.iter().map(|(_, distribution)| n_choices(distribution));
        let has_many_choices = choices.max().is_some_and(|most| most > MANY_CHOICES);
        let lot = lot(ask.number.0);
        // Of many trials at a time, those that run spread as well as if they had finished.
        let n_started = n + ask.history.in_state(TrialState::Running).count();
        if n_started < until || 2 * n < until {
            return vec![Arm::Even { until }];
        }
        if space.len() > MAX_GP_PARAMETERS {
            return vec![Arm::Tpe("more than 100 parameters")];
        }
        if n_objectives > 1 {
            let is_for_tpe = n > MAX_GP_TRIALS_OF_SEVERAL || n_objectives > MAX_GP_OBJECTIVES;
            let tpe = Arm::Tpe("several objectives, and more than 3 or after 250 trials");
            return vec![if is_for_tpe { tpe } else { Arm::Gp }];
        }
        let mut arms = Vec::new();
        if lot.is_multiple_of(3) {
            arms.push(Arm::Quadratic);
        }
        if n > MANY_TRIALS && !(lot / 3).is_multiple_of(8) {
            arms.push(Arm::Tpe("7 trials in 8, after 1,000 trials"));
        } else if has_many_choices && (lot / 3).is_multiple_of(2) {
            arms.push(Arm::Tpe("1 trial in 2, with a parameter of more than 64 choices"));
        }
        if (lot / 6).is_multiple_of(10) {
            arms.push(Arm::Tpe("1 trial in 10"));
        }
        if (lot / 60).is_multiple_of(4) {
            arms.push(Arm::Branch { turn: lot / 240 });
        }
        arms.push(Arm::Gp);
        arms
    }
}

/// Returns a whole number that varies with the trial's number as if it were random: the finalizer of SplitMix64,
/// Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators".
fn lot(number: u32) -> u64 {
    let mut z = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn n_choices(distribution: &Distribution) -> usize {
    match distribution {
        Distribution::Categorical(categorical) => categorical.choices().len(),
        Distribution::Float(_) | Distribution::Int(_) => 0,
    }
}

impl Configured<dyn Sampler> for AutoOptions {
    const NAME: &'static str = "auto";
    const OPTUNA: &'static str = "AutoSampler";
    const SUMMARY: &'static str =
        "by rules: even points, then a Gaussian process, a quadratic model and some TPE";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(AutoSampler::new(self.clone()))
    }
}

impl Sampler for AutoSampler {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        gp::union_space(ask.history)
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        if space.is_empty() {
            return Suggestion::default();
        }
        let observed = Observed::new(ask.history, space, |_| true);
        for arm in self.arms(ask, space) {
            if let Some(drawn) = draw(arm, ask, space, &observed, rng) {
                return drawn.told(space);
            }
        }
        Suggestion::default()
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        let is_first = ask.number.0 == 0 && ask.history.trials().is_empty();
        // The centre is the best guess without knowledge; the first choice is not better than the others.
        if is_first && n_choices(distribution) == 0 {
            return MidpointSampler.sample_independent(ask, name, distribution, rng);
        }
        RandomSampler.sample_independent(ask, name, distribution, rng)
    }
}

/// An arm's draw.
struct Drawn {
    params: BTreeMap<String, f64>,
    reason: String,
    fits: Option<Fits>,
}

impl Drawn {
    fn new(params: BTreeMap<String, f64>, reason: String) -> Drawn {
        Drawn { params, reason, fits: None }
    }

    /// Returns the suggestion, which tells simultaneous trials of its point and people of its reason.
    fn told(self, space: &SearchSpace) -> Suggestion {
        let mut system_attrs = gp::told(space, &self.params, self.fits.as_ref());
        system_attrs.push((ARM.to_owned(), Json::from(self.reason)));
        Suggestion { params: self.params, system_attrs }
    }
}

/// Draws by one arm; `None` if it does not apply.
fn draw(
    arm: Arm,
    ask: &Ask,
    space: &SearchSpace,
    observed: &Observed,
    rng: &mut TrialRng,
) -> Option<Drawn> {
    match arm {
        Arm::Even { until } => {
            let params = gp::even_start(ask, observed, rng)?;
            Some(Drawn::new(
                params,
                format!("even: Sobol's points until {until} trials are finished"),
            ))
        }
        Arm::Tpe(reason) => {
            let group = observed.space.is_conditional();
            let tpe =
                TpeSampler::new(TpeOptions { group, n_startup_trials: 1, ..TpeOptions::default() });
            let joint = tpe.relative_search_space(ask);
            let both = joint.iter().filter(|(name, _)| space.get(name).is_some());
            let both = both.map(|(name, it)| (name.to_owned(), it.clone())).collect();
            let params = tpe.sample_relative(ask, &both, rng).params;
            Some(Drawn::new(params, format!("tpe: {reason}")))
        }
        Arm::Quadratic => {
            let params = quadratic_point(observed)?;
            let reason = "quadratic: the minimum of a model that orders trials left out of it";
            Some(Drawn::new(params, reason.to_owned()))
        }
        Arm::Branch { turn } => {
            let params = branch::propose(ask, observed, space, turn, rng)?;
            let reason = "branch: another one than the best trial's, by a model of its own";
            Some(Drawn::new(params, reason.to_owned()))
        }
        Arm::Gp if observed.len() == 0 => {
            let params = gp::even_start(ask, observed, rng)?;
            Some(Drawn::new(params, "even: no trial to learn from".to_owned()))
        }
        Arm::Gp => {
            let (params, fits) = gp::suggest(ask, observed, rng);
            let warp = fits.warp.as_str();
            let reason =
                format!("gp: the largest expected improvement, losses transformed: {warp}");
            Some(Drawn { fits: Some(fits), ..Drawn::new(params, reason) })
        }
    }
}

/// Returns the minimum of a quadratic model, if there is one that can be believed and that no trial has been at.
fn quadratic_point(observed: &Observed) -> Option<BTreeMap<String, f64>> {
    /// The distance in the unit cube from which a point is another one than a finished trial's.
    const APART: f64 = 1e-13;
    let [losses] = &observed.losses[..] else { return None };
    if !observed.space.is_plain() || !observed.constraints.is_empty() {
        return None;
    }
    let losses = finite(losses);
    let places: Vec<&[f64]> = (0..observed.len()).map(|i| observed.point(i)).collect();
    let mut point = quadratic::minimum(&places, &losses)?;
    let template = point.clone();
    observed.space.repair(&mut point, &template);
    let distance = |other: &[f64]| {
        other.iter().zip(&point).fold(0.0f64, |most, (a, b)| (a - b).abs().max(most))
    };
    // A running trial may come from the same model.
    let is_new =
        places.iter().all(|place| distance(place) > APART) && !observed.is_beside_pending(&point);
    is_new.then(|| observed.space.decode(&point))
}
