//! The two sides of the comparison: a study of ours in memory, and one of Optuna's in another process. Both meet
//! the same curves.

use super::curves::CurveProblem;
use super::results::CurveTrial;
use crate::noise::mix;
use crate::optuna::{OptunaProposer, spec_json};
use crate::problem::{ParamSpec, Point};
use crate::run::Places;
use anyhow::{Result, ensure};
use std::time::Duration;
use trialbox_core::run::run_trial;
use trialbox_core::seam::rng::guest_seed;
use trialbox_core::seam::storage::BeginTrial;
use trialbox_core::seam::storage::Studies as _;
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{
    CallAborted, KnownTrials, OnDeadline, SessionLimits, TrialContext, TrialSession,
};
use trialbox_core::space::distribution::CategoricalDistribution;
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{Clock, Distribution, Json, TrialNumber, UtcDateTime};
use trialbox_samplers::{PrunerConfig, TpeOptions, TpeSampler};
use trialbox_storage::MemoryStorage;

/// One study after another, each with TPE and a pruner.
pub(super) trait Side {
    /// Runs trials until together they have gone `n_steps` steps or more.
    ///
    /// # Errors
    /// An unknown pruner; when the other process cannot go on.
    fn run(
        &mut self,
        problem: &CurveProblem,
        pruner: &str,
        seed: u64,
        n_steps: u64,
    ) -> Result<Vec<CurveTrial>>;
}

/// Returns the seed of a study: another stream on another problem, in the 32 bits that Optuna takes.
fn study_seed(problem: &CurveProblem, seed: u64) -> u64 {
    mix(seed, problem.name) & u64::from(u32::MAX)
}

/// trialbox.
pub(super) struct Ours;

impl Side for Ours {
    fn run(
        &mut self,
        problem: &CurveProblem,
        pruner: &str,
        seed: u64,
        n_steps: u64,
    ) -> Result<Vec<CurveTrial>> {
        let pruner = PrunerConfig::parse(pruner)?.build();
        let sampler = TpeSampler::new(TpeOptions::default());
        let (mut storage, mut trials) = (MemoryStorage::new(), Vec::new());
        let study = storage.create_study(&NewStudy {
            name: problem.name.to_owned(),
            directions: vec![problem.direction],
            user_attrs: Vec::new(),
            system_attrs: Vec::new(),
        })?;
        let context = TrialContext {
            study: &study,
            seed: study_seed(problem, seed),
            sampler: &sampler,
            held: &[],
            pruner: pruner.as_ref(),
            clock: &Timeless,
            limits: SessionLimits::default(),
            retry: None,
            on_deadline: OnDeadline::default(),
            provenance: &[],
        };
        while steps(&trials) < n_steps {
            trials.push(run_one(problem, &context, &mut storage)?);
        }
        Ok(trials)
    }
}

fn steps(trials: &[CurveTrial]) -> u64 {
    trials.iter().map(|trial| u64::from(trial.n_steps)).sum()
}

fn run_one(
    problem: &CurveProblem,
    context: &TrialContext,
    storage: &mut MemoryStorage,
) -> Result<CurveTrial> {
    let request = BeginTrial {
        owner: Json::from("bench"),
        has_heartbeat: false,
        max_trials: None,
        at: context.clock.utc_now(),
    };
    let mut gone = CurveTrial { n_steps: 0, value: f64::NAN, is_pruned: false };
    let mut objective = |session: &mut TrialSession| {
        let went = go(problem, session, &mut gone);
        match went {
            Ok(()) if gone.is_pruned => Evaluation::Pruned,
            Ok(()) => Evaluation::Complete(vec![gone.value]),
            Err(CallAborted::Fail(failure)) => Evaluation::Fail(failure),
            Err(CallAborted::Halt) => Evaluation::Halted,
        }
    };
    run_trial(
        context,
        storage,
        &mut objective,
        &request,
        &mut KnownTrials::default(),
        &mut |_| (),
    )?;
    ensure!(gone.n_steps > 0, "a trial of `{}` failed before its first step", problem.name);
    Ok(gone)
}

/// Trains step by step, until the pruner has seen enough.
fn go(
    problem: &CurveProblem,
    session: &mut TrialSession,
    gone: &mut CurveTrial,
) -> Result<(), CallAborted> {
    let mut point = Point::default();
    for spec in &problem.params {
        point.0.insert(spec.name.clone(), suggest(session, spec)?);
    }
    let mut curve = (problem.begin)(&point, session.seed());
    while gone.n_steps < problem.n_steps && !gone.is_pruned {
        gone.value = curve();
        session.report(gone.value, i64::from(gone.n_steps))?;
        gone.n_steps += 1;
        gone.is_pruned = session.should_prune()?;
    }
    Ok(())
}

fn suggest(session: &mut TrialSession, spec: &ParamSpec) -> Result<Json, CallAborted> {
    let name = &spec.name;
    Ok(match &spec.distribution {
        Distribution::Float(float) => session
            .suggest_float(name, float.low(), float.high(), float.log(), float.step())?
            .into(),
        Distribution::Int(int) => {
            session.suggest_int(name, int.low(), int.high(), int.log(), int.step())?.into()
        }
        Distribution::Categorical(choices) => chosen(session, name, choices)?,
    })
}

fn chosen(
    session: &mut TrialSession,
    name: &str,
    categorical: &CategoricalDistribution,
) -> Result<Json, CallAborted> {
    let choices = categorical.choices();
    let index = session.suggest_categorical(name, choices.to_vec())?;
    Ok(choices[index as usize].clone())
}

/// Trials run one after the other, so that the time does not matter.
struct Timeless;

impl Clock for Timeless {
    fn utc_now(&self) -> UtcDateTime {
        parse_datetime("2026-01-01 00:00:00.000000").unwrap_or_default()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Python's Optuna, which asks for each step.
pub(super) struct Optunas(OptunaProposer);

impl Optunas {
    pub(super) fn start(places: &Places) -> Result<Self> {
        Ok(Optunas(OptunaProposer::start(&places.python, &places.script, "tpe")?))
    }

    fn run_one(&mut self, problem: &CurveProblem, seed: u64, number: u64) -> Result<CurveTrial> {
        let asked = self.0.call(&Json::object([("ask", Json::from(true))]))?;
        let Json::Object(params) = asked else { anyhow::bail!("Optuna proposed {asked}") };
        let trial_seed = guest_seed(study_seed(problem, seed), TrialNumber(u32::try_from(number)?));
        let mut curve = (problem.begin)(&Point(params.into_iter().collect()), trial_seed);
        let mut gone = CurveTrial { n_steps: 0, value: f64::NAN, is_pruned: false };
        while gone.n_steps < problem.n_steps && !gone.is_pruned {
            gone.value = curve();
            let report = Json::object([
                ("report", Json::from(number)),
                ("step", Json::from(gone.n_steps)),
                ("value", Json::from(gone.value)),
            ]);
            gone.n_steps += 1;
            gone.is_pruned = self.0.call(&report)? == Json::Bool(true);
        }
        let (name, value) = if gone.is_pruned {
            ("prune", Json::from(number))
        } else {
            ("values", Json::Array(vec![Json::from(gone.value)]))
        };
        let told =
            [("tell", Json::from(number)), ("constraints", Json::Array(vec![])), (name, value)];
        self.0.call(&Json::object(told))?;
        Ok(gone)
    }
}

impl Side for Optunas {
    fn run(
        &mut self,
        problem: &CurveProblem,
        pruner: &str,
        seed: u64,
        n_steps: u64,
    ) -> Result<Vec<CurveTrial>> {
        let request = Json::object([
            ("begin", Json::from("tpe")),
            ("seed", Json::from(study_seed(problem, seed))),
            ("n_objectives", Json::from(1u64)),
            ("direction", Json::from(problem.direction.to_string())),
            ("pruner", Json::from(pruner)),
            ("params", Json::Array(problem.params.iter().map(spec_json).collect())),
        ]);
        self.0.call(&request)?;
        let mut trials: Vec<CurveTrial> = Vec::new();
        while steps(&trials) < n_steps {
            trials.push(self.run_one(problem, seed, trials.len() as u64)?);
        }
        Ok(trials)
    }
}
