//! Suggestions: from the objective's question to a parameter's value.

use crate::seam::guarded::guarded;
use crate::seam::rng::TrialRng;
use crate::seam::sampler::{Ask, Sampler};
use crate::seam::storage::StorageError;
use crate::session::TrialSession;
use crate::session::aborted::{CallAborted, bad_range, shown_name, suggest_failure};
use crate::session::event::Event;
use crate::space::distribution::Distribution;
use crate::study::failure::{Failure, FailureCode};
use crate::study::limits::Limit;
use crate::study::trial::Param;
use crate::value::json::Json;
use std::collections::BTreeMap;

/// The number of draws after which a trial takes a point that another one has. Each draw but the last is lost to a
/// worker that was quicker.
const MAX_DRAWS: usize = 100;

impl TrialSession<'_> {
    /// Suggests a float parameter's value.
    ///
    /// # Errors
    /// An invalid range, or one that contradicts the trial or the study.
    pub fn suggest_float(
        &mut self,
        name: &str,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    ) -> Result<f64, CallAborted> {
        let distribution = Distribution::float(low, high, log, step)
            .map_err(|error| bad_range(name, "suggest-float", &error))?;
        self.suggest(name, distribution)
    }

    /// Suggests an integer parameter's value.
    ///
    /// # Errors
    /// As for [`Self::suggest_float`].
    pub fn suggest_int(
        &mut self,
        name: &str,
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    ) -> Result<i64, CallAborted> {
        let distribution = Distribution::int(low, high, log, step)
            .map_err(|error| bad_range(name, "suggest-int", &error))?;
        Ok(self.suggest(name, distribution)? as i64)
    }

    /// Suggests a categorical parameter's value, as the index of a choice.
    ///
    /// # Errors
    /// No choices, or others than before.
    pub fn suggest_categorical(
        &mut self,
        name: &str,
        choices: Vec<Json>,
    ) -> Result<u32, CallAborted> {
        let distribution = Distribution::categorical(choices)
            .map_err(|error| bad_range(name, "suggest-categorical", &error))?;
        Ok(self.suggest(name, distribution)? as u32)
    }

    /// Suggests a parameter's value, internal.
    pub(crate) fn suggest(
        &mut self,
        name: &str,
        distribution: Distribution,
    ) -> Result<f64, CallAborted> {
        self.budget.check_name(FailureCode::Suggest, "a parameter's name has", name)?;
        if name.is_empty() {
            return Err(suggest_failure(name, "a parameter must have a name"));
        }
        self.check_range(name, &distribution)?;
        let is_first = self.params.ask(name);
        if let Some(stored) = self.params.get(name) {
            if let Err(error) = stored.distribution.check_compatible(&distribution) {
                let problem = format!("it was asked for before in this trial, and {error}");
                return Err(suggest_failure(name, &problem));
            }
            let internal = stored.internal;
            // Counted once, however often the objective asks.
            if is_first {
                self.budget.add(data_bytes(name, &distribution))?;
                // A retry has it from the trial that was lost, and a replay from the one that is replayed.
                let param = Param { distribution, internal };
                (self.observer)(Event::Suggested { name, param: &param });
            }
            return Ok(internal);
        }
        let n_params = self.params.values.len() + 1;
        self.budget.check(Limit::Params, FailureCode::Budget, n_params, "parameters:")?;
        self.budget.add(data_bytes(name, &distribution))?;
        self.check_against_study(name, &distribution)?;
        let param = if self.context.sampler.excludes_seen_points() {
            self.add_apart(name, &distribution)?
        } else {
            let (param, _) = self.new_param(name, &distribution)?;
            self.params.values.push((name.to_owned(), param.clone()));
            self.writes.batch.params.push((name.to_owned(), param.clone()));
            param
        };
        (self.observer)(Event::Suggested { name, param: &param });
        Ok(param.internal)
    }

    /// Adds a parameter such that the trial is at no point that another one has, as far as there are others: it is
    /// drawn and recorded again as long as another trial took the same point since the study was read.
    fn add_apart(&mut self, name: &str, distribution: &Distribution) -> Result<Param, CallAborted> {
        for left in (0..MAX_DRAWS).rev() {
            let (param, is_drawn) = self.new_param(name, distribution)?;
            self.params.values.push((name.to_owned(), param.clone()));
            let n_known =
                if is_drawn && left > 0 { self.count_at_this_point() } else { usize::MAX };
            let mut batch = self.writes.batch.clone();
            batch.params.push((name.to_owned(), param.clone()));
            let point = &self.params.values;
            let result = self.storage.record_apart(&self.claim, &batch, point, n_known);
            let now = self.context.clock.elapsed();
            match result {
                Ok(true) => {
                    self.writes.written(now);
                    return Ok(param);
                }
                Ok(false) => {
                    self.params.values.pop();
                    self.read_peers()?;
                }
                Err(error @ StorageError::ClaimLost { .. }) => return Err(self.halt(error)),
                // A point that another trial has too is better than a trial that fails because a file system was slow.
                Err(error) => {
                    tracing::warn!(trial = self.claim.number.0, %error, "could not write; will try again");
                    self.writes.failed(now);
                    self.writes.batch = batch;
                    return Ok(param);
                }
            }
        }
        Err(suggest_failure(name, "other trials took every point that was drawn"))
    }

    /// Returns the number of other trials that are known to have all parameters of this one.
    fn count_at_this_point(&self) -> usize {
        let others = self.peers.for_sampler().trials().iter();
        others.filter(|trial| trial.has_values_of(&self.params.values)).count()
    }

    /// Returns a parameter that can be stored, and whether its value was drawn.
    fn new_param(
        &mut self,
        name: &str,
        distribution: &Distribution,
    ) -> Result<(Param, bool), CallAborted> {
        let (internal, is_drawn) = self.value_for(name, distribution)?;
        if let Err(error) = distribution.require_storable(internal) {
            return Err(suggest_failure(name, &error.to_string()));
        }
        Ok((Param { distribution: distribution.clone(), internal }, is_drawn))
    }

    /// Refuses a range from which nothing is suggested, and choices beyond the limits.
    fn check_range(&self, name: &str, distribution: &Distribution) -> Result<(), CallAborted> {
        let call = match distribution {
            Distribution::Float(_) => "suggest-float",
            Distribution::Int(_) => "suggest-int",
            Distribution::Categorical(_) => "suggest-categorical",
        };
        distribution.require_suggestible().map_err(|error| bad_range(name, call, &error))?;
        let Distribution::Categorical(categorical) = distribution else { return Ok(()) };
        let (choices, code) = (categorical.choices(), FailureCode::Suggest);
        let what = format!("the number of choices of parameter `{}` is", shown_name(name));
        self.budget.check(Limit::Choices, code, choices.len(), &what)?;
        // Only text can be long: the other choices of the contract are scalars.
        let longest = choices.iter().filter_map(Json::as_str).map(str::len).max().unwrap_or(0);
        let what = format!("a choice of parameter `{}` has", shown_name(name));
        self.budget.check(Limit::ChoiceLength, code, longest, &what)
    }

    /// Returns the fixed value, else the only one, else the jointly drawn one, else one drawn by itself, in the order
    /// of `optuna/trial/_trial.py`; and whether it was drawn.
    fn value_for(
        &mut self,
        name: &str,
        distribution: &Distribution,
    ) -> Result<(f64, bool), CallAborted> {
        if self.is_marked_by_sampler() {
            self.prepare()?;
        }
        if let Some(value) = self.fixed_value(name, distribution)? {
            return Ok((value, false));
        }
        if let Some(value) = distribution.single() {
            return Ok((value, false));
        }
        self.prepare()?;
        if self.params.joint.is_none() {
            self.draw_jointly()?;
        }
        if let Some(value) = self.params.joint_value(name, distribution) {
            return Ok((value, true));
        }
        let (sampler, ask, rng) = self.ask();
        let draw = || sampler.sample_independent(&ask, name, distribution, rng);
        Ok((guarded("sampler", draw)?, true))
    }

    /// Reads the history and lets the sampler mark the trial, once.
    fn prepare(&mut self) -> Result<(), CallAborted> {
        if std::mem::replace(&mut self.params.is_prepared, true) {
            return Ok(());
        }
        if self.context.sampler.uses_history() {
            self.load_peers()?;
        }
        if self.is_marked_by_sampler() {
            let (sampler, ask, rng) = self.ask();
            let attrs = guarded("sampler", || sampler.before_trial(&ask, rng))?;
            self.share(attrs);
        }
        Ok(())
    }

    /// Returns whether the sampler marks this trial.
    fn is_marked_by_sampler(&self) -> bool {
        self.params.fixed.is_empty() || self.context.sampler.marks_fixed_trials()
    }

    /// Returns the arguments of a sampler's method.
    fn ask(&mut self) -> (&dyn Sampler, Ask<'_>, &mut TrialRng) {
        let ask = Ask {
            history: self.peers.for_sampler(),
            number: self.claim.number,
            params: &self.params.values,
            fixed_params: &self.params.fixed,
            system_attrs: &self.system_attrs,
        };
        (self.context.sampler, ask, &mut self.params.rng)
    }

    /// Makes the trial's joint draw.
    fn draw_jointly(&mut self) -> Result<(), CallAborted> {
        let (sampler, ask, rng) = self.ask();
        let space = guarded("sampler", || sampler.relative_search_space(&ask).drawable())?;
        let mut joint = BTreeMap::new();
        if !space.is_empty() {
            let suggestion = guarded("sampler", || sampler.sample_relative(&ask, &space, rng))?;
            joint = suggestion.params;
            self.share(suggestion.system_attrs);
        }
        self.params.joint = Some(joint);
        Ok(())
    }

    /// Returns the internal value that a user fixed, with a note in the log if it is outside the range.
    fn fixed_value(
        &mut self,
        name: &str,
        distribution: &Distribution,
    ) -> Result<Option<f64>, CallAborted> {
        let is_strict = self.context.limits.strict_fixed_params;
        let Some(external) = self.params.fixed_value(name) else {
            // An enqueued trial's own value comes first.
            let held = self.context.held.iter().find(|(held, _)| held == name);
            if let (Some((_, value)), true) = (held, is_strict) {
                strict_value(name, value, distribution)?;
            }
            return Ok(None);
        };
        if is_strict {
            return strict_value(name, external, distribution).map(Some);
        }
        let internal = match distribution.to_internal(external) {
            Ok(internal) => internal,
            Err(error) => return Err(fixed_failure(name, external, &error.to_string())),
        };
        if !distribution.contains(internal) {
            let note = format!(
                "parameter `{name}` is fixed to {external}, which is outside of {distribution}"
            );
            self.host_note(&note);
        }
        Ok(Some(internal))
    }

    /// Checks that a parameter fits what earlier trials recorded under its name. Two first trials that start together
    /// can still disagree, as in Optuna: no lock is held while a trial runs.
    fn check_against_study(
        &mut self,
        name: &str,
        distribution: &Distribution,
    ) -> Result<(), CallAborted> {
        let Some(recorded) = self.recorded_distribution(name)? else { return Ok(()) };
        if let Err(error) = recorded.check_compatible(distribution) {
            let study = &self.context.study.name;
            let problem =
                format!("study `{study}` has it as {recorded}, and in this trial {error}");
            let help = "a study keeps the kind, the choices and `log` of its parameters: use another study";
            return Err(match suggest_failure(name, &problem) {
                CallAborted::Fail(failure) => CallAborted::Fail(failure.with_help(help)),
                halted => halted,
            });
        }
        Ok(())
    }

    /// Returns the distribution under which an earlier trial recorded a parameter. It is looked up in the history if a
    /// sampler reads that anyway, because every question to a storage may cost a lock on a network file system.
    fn recorded_distribution(&mut self, name: &str) -> Result<Option<Distribution>, CallAborted> {
        if self.context.sampler.uses_history() {
            self.load_peers()?;
            let mut trials = self.peers.for_sampler().trials().iter();
            return Ok(trials.find_map(|trial| Some(trial.param(name)?.distribution.clone())));
        }
        self.storage
            .recorded_distribution(self.context.study.id, self.claim.id, name)
            .map_err(|error| self.halt(error))
    }
}

/// Returns the size of a parameter in the database, approximately.
fn data_bytes(name: &str, distribution: &Distribution) -> u64 {
    (name.len() + distribution.to_json_text().len()) as u64
}

/// Returns the internal value of a fixed one that the range has.
fn strict_value(
    name: &str,
    external: &Json,
    distribution: &Distribution,
) -> Result<f64, CallAborted> {
    distribution
        .to_internal_strict(external)
        .map_err(|error| fixed_failure(name, external, &error.to_string()))
}

fn fixed_failure(name: &str, external: &Json, problem: &str) -> CallAborted {
    let message = format!("parameter `{name}` cannot be fixed to {external}: {problem}");
    CallAborted::Fail(Failure::new(FailureCode::FixedParam, message))
}
