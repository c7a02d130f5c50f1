//! The two sides of a comparison behind one seam: our samplers in this process, Optuna's in another.

use crate::noise::mix;
use crate::problem::{Measured, ParamSpec, Point, Problem};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use trialbox_core::seam::rng::{TrialRng, trial_rng};
use trialbox_core::seam::sampler::Ask;
use trialbox_core::study::trial::{CONSTRAINT_PREFIX, TrialId};
use trialbox_core::{
    Distribution, FrozenTrial, History, Param, Sampler, StudyDirection, TrialNumber, TrialState,
};
use trialbox_samplers::SamplerConfig;

/// Proposes points for one problem after another.
pub(crate) trait Proposer {
    /// Begins a new study and forgets the one before.
    ///
    /// # Errors
    /// Fails if the other process cannot continue.
    fn begin(&mut self, problem: &Problem, seed: u64) -> Result<()>;

    /// Returns the point of the next trial; trials are numbered from 0 in the order in which they are asked for.
    ///
    /// # Errors
    /// Fails if the other process cannot continue.
    fn ask(&mut self, problem: &Problem) -> Result<Point>;

    /// Ends a trial that was asked for.
    ///
    /// # Errors
    /// Fails if the other process cannot continue.
    fn tell(&mut self, number: usize, measured: &Measured) -> Result<()>;
}

/// One of our samplers over trials in memory, asked as a trial's session asks it.
pub(crate) struct OurProposer {
    sampler: Box<dyn Sampler>,
    seed: u64,
    directions: Vec<StudyDirection>,
    trials: Vec<FrozenTrial>,
}

impl OurProposer {
    /// Creates the sampler of that name with its default options.
    ///
    /// # Errors
    /// Lists the samplers there are.
    pub(crate) fn new(sampler: &str) -> Result<Self> {
        let sampler = SamplerConfig::parse(sampler)?.build();
        Ok(OurProposer { sampler, seed: 0, directions: Vec::new(), trials: Vec::new() })
    }

    /// Returns the directions and the trials so far.
    pub(crate) fn into_study(self) -> (Vec<StudyDirection>, Vec<FrozenTrial>) {
        (self.directions, self.trials)
    }
}

impl Proposer for OurProposer {
    fn begin(&mut self, problem: &Problem, seed: u64) -> Result<()> {
        // A stream gives the same numbers for every problem, so that one seed's first points would be lucky or
        // unlucky on all of them, and no statement over the problems would hold.
        self.seed = mix(seed, problem.name);
        self.directions = vec![StudyDirection::Minimize; problem.n_objectives()];
        self.trials.clear();
        Ok(())
    }

    fn ask(&mut self, problem: &Problem) -> Result<Point> {
        let history = History::new(self.directions.clone(), self.trials.clone());
        let number = TrialNumber(u32::try_from(self.trials.len())?);
        let (point, trial) =
            draw(self.sampler.as_ref(), &history, &problem.params, (self.seed, number))?;
        self.trials.push(trial);
        Ok(point)
    }

    fn tell(&mut self, number: usize, measured: &Measured) -> Result<()> {
        let trial = &mut self.trials[number];
        trial.state = TrialState::Complete;
        trial.values.clone_from(&measured.values);
        for (index, value) in measured.constraints.iter().enumerate() {
            trial.system_attrs.insert(format!("{CONSTRAINT_PREFIX}{index}"), (*value).into());
        }
        Ok(())
    }
}

/// Returns all draws of one trial, in the order in which an objective asks for them: its point, and the trial itself
/// while it runs.
///
/// # Errors
/// Panics if a value is outside of its range.
pub(crate) fn draw(
    sampler: &dyn Sampler,
    history: &History,
    params: &[ParamSpec],
    (seed, number): (u64, TrialNumber),
) -> Result<(Point, FrozenTrial)> {
    let (trial, rng) = (new_trial(number, TrialState::Running), trial_rng(seed, number));
    let mut draw = Draw { sampler, history, trial, rng, relative: None };
    draw.prepare();
    let mut point = Point::default();
    for spec in params {
        if !spec.is_active(&point) {
            continue;
        }
        let internal = draw.value(&spec.name, &spec.distribution);
        if !spec.distribution.contains(internal) {
            bail!(
                "`{}` was proposed as {internal}, which is outside of {}",
                spec.name,
                spec.distribution
            );
        }
        let param = Param { distribution: spec.distribution.clone(), internal };
        point.0.insert(spec.name.clone(), param.external());
        draw.trial.params.push((spec.name.clone(), param));
    }
    Ok((point, draw.trial))
}

/// The draws of one trial.
struct Draw<'a> {
    sampler: &'a dyn Sampler,
    history: &'a History,
    trial: FrozenTrial,
    rng: TrialRng,
    relative: Option<BTreeMap<String, f64>>,
}

impl Draw<'_> {
    /// Lets the sampler mark the trial.
    fn prepare(&mut self) {
        let attrs = self.sampler.before_trial(&ask(self.history, &self.trial), &mut self.rng);
        self.trial.system_attrs.extend(attrs);
    }

    /// Draws a value: jointly if the joint draw has it, else by itself.
    fn value(&mut self, name: &str, distribution: &Distribution) -> f64 {
        if self.relative.is_none() {
            self.relative = Some(self.draw_relative());
        }
        let relative = self.relative.as_ref().and_then(|params| params.get(name));
        match relative {
            Some(value) if distribution.contains(*value) => *value,
            _ => {
                let ask = ask(self.history, &self.trial);
                self.sampler.sample_independent(&ask, name, distribution, &mut self.rng)
            }
        }
    }

    fn draw_relative(&mut self) -> BTreeMap<String, f64> {
        let ask = ask(self.history, &self.trial);
        let space = self.sampler.relative_search_space(&ask);
        if space.is_empty() {
            return BTreeMap::new();
        }
        let drawn = self.sampler.sample_relative(&ask, &space, &mut self.rng);
        self.trial.system_attrs.extend(drawn.system_attrs);
        drawn.params
    }
}

fn ask<'a>(history: &'a History, trial: &'a FrozenTrial) -> Ask<'a> {
    Ask {
        history,
        number: trial.number,
        params: &trial.params,
        fixed_params: &[],
        system_attrs: &trial.system_attrs,
    }
}

/// Returns a trial that has nothing yet.
pub(crate) fn new_trial(number: TrialNumber, state: TrialState) -> FrozenTrial {
    FrozenTrial {
        id: TrialId(i64::from(number.0) + 1),
        number,
        state,
        values: Vec::new(),
        datetime_start: None,
        datetime_complete: None,
        params: Vec::new(),
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}
