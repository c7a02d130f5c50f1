//! What a running objective can do: ask for parameters, report, attach, log.
//!
//! The session answers from memory and notes what is to be written. It writes when at least a second has
//! passed since the last time, and at the end, so that neither a chatty objective floods the database nor a
//! killed job takes its parameters with it. It knows nothing of sandboxes and processes.

mod context;
pub mod event;
pub mod objective;
mod reports;
pub mod transcript;

pub use context::{OnDeadline, SessionLimits, TrialContext};

use crate::seam::pruner::RunningTrial;
use crate::seam::rng::{TrialRng, guest_seed, trial_rng};
use crate::seam::sampler::{Ask, Sampler};
use crate::seam::storage::{BegunTrial, Claim, Storage, StorageError, TrialBatch};
use crate::session::event::Event;
use crate::session::reports::{ReportKept, Reports};
use crate::session::transcript::{LogSource, Transcript};
use crate::space::distribution::Distribution;
use crate::study::constraint::ConstraintFormat;
use crate::study::failure::{Failure, FailureCode};
use crate::study::history::History;
use crate::study::limits::{Limit, LimitHit};
use crate::study::provenance::{Answers, PROVENANCE_ATTR, RESUMED_FROM};
use crate::study::trial::{CONSTRAINT_PREFIX, Param, TrialNumber};
use crate::study::usage::Usage;
use crate::value::json::Json;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long a note may wait before it is written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How long to leave a storage alone that could not be written: each try holds the objective up.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// How long what other trials need to know of this one may wait: long enough that a trial of milliseconds ends
/// first and costs no write more, short enough that trials that begin together see each other.
const SHARE_INTERVAL: Duration = Duration::from_millis(20);

/// How long the trial's heart may go without a beat. Optuna's reapers allow twice their own interval,
/// which users set to a minute or more.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// How old the pruner's view of the other trials may get before it is read again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Where reading takes long, how much longer than that the next one is put off: at most a twentieth of a trial's
/// time goes there.
const REFRESH_SHARE: u32 = 20;

/// Why a call does not return to the objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAborted {
    /// The objective broke a rule: the trial ends as FAIL.
    Fail(Failure),
    /// The trial cannot go on for a reason outside the objective, which the session remembers.
    Halt,
}

/// One running trial.
pub struct TrialSession<'a> {
    context: &'a TrialContext<'a>,
    storage: &'a mut dyn Storage,
    observer: &'a mut dyn FnMut(Event),
    claim: Claim,
    origin: TrialNumber,
    seed: u64,
    rng: TrialRng,
    /// The other trials; empty until something that looks at them is asked.
    history: Rc<History>,
    history_is_loaded: bool,
    /// The other trials as the pruner sees them.
    peers: Option<Peers>,
    fixed_params: Vec<(String, Json)>,
    /// What the database and the sampler say of this trial.
    system_attrs: BTreeMap<String, Json>,
    is_prepared: bool,
    relative_params: Option<BTreeMap<String, f64>>,
    params: Vec<(String, Param)>,
    asked: BTreeSet<String>,
    reports: Reports,
    has_explained_repeats: bool,
    has_explained_pruning: bool,
    has_warned_of_peers: bool,
    user_attrs: BTreeMap<String, Json>,
    /// What is counted against [`Limit::TrialData`].
    data_bytes: u64,
    /// In the order in which they were first set.
    constraints: Vec<(String, f64)>,
    transcript: Transcript,
    usage: Usage,
    answers: Answers,
    made_progress: bool,
    pending: TrialBatch,
    last_write: Duration,
    write_failed: bool,
    /// When something was noted that others wait for.
    shared_at: Option<Duration>,
    error: Option<StorageError>,
}

impl<'a> TrialSession<'a> {
    /// A session of a trial that was just begun.
    pub fn new(
        context: &'a TrialContext<'a>,
        storage: &'a mut dyn Storage,
        observer: &'a mut dyn FnMut(Event),
        begun: BegunTrial,
    ) -> Self {
        let seed = guest_seed(context.seed, begun.origin);
        let mut pending = TrialBatch::default();
        if !context.provenance.is_empty() {
            let mut members = context.provenance.to_vec();
            members.push(("seed".to_owned(), Json::from(seed)));
            members.push(("trial".to_owned(), Json::from(begun.claim.number.0)));
            pending.system_attrs.push((PROVENANCE_ATTR.to_owned(), Json::Object(members)));
        }
        TrialSession {
            storage,
            observer,
            rng: trial_rng(context.seed, begun.origin),
            seed,
            origin: begun.origin,
            claim: begun.claim,
            history: Rc::new(History::new(context.study.directions.clone(), Vec::new())),
            history_is_loaded: false,
            peers: None,
            fixed_params: begun.fixed_params,
            system_attrs: BTreeMap::new(),
            is_prepared: false,
            relative_params: None,
            params: begun.params,
            asked: BTreeSet::new(),
            reports: Reports::new(context.limits.limits.size(Limit::Reports).max(1)),
            has_explained_repeats: false,
            has_explained_pruning: false,
            has_warned_of_peers: false,
            user_attrs: BTreeMap::new(),
            data_bytes: 0,
            constraints: Vec::new(),
            transcript: Transcript::new(context.limits.limits.size(Limit::Log)),
            usage: Usage::default(),
            answers: Answers::default(),
            made_progress: false,
            pending,
            last_write: context.clock.elapsed(),
            write_failed: false,
            shared_at: None,
            error: None,
            context,
        }
    }

    /// The trial's number.
    pub fn number(&self) -> TrialNumber {
        self.claim.number
    }

    /// The trial of which this one is a retry, directly or not; otherwise the trial itself.
    pub fn origin(&self) -> TrialNumber {
        self.origin
    }

    /// Notes that the objective goes on from what an earlier attempt left: in the log, and in the provenance as
    /// `resumed_from`, because a replay begins anew. To be called before the objective is.
    pub fn resumes_from(&mut self, earlier: TrialNumber) {
        self.host_note(&format!("resumes from the checkpoint of trial {earlier}"));
        let attrs = self.pending.system_attrs.iter_mut();
        for (_, provenance) in attrs.filter(|(key, _)| key == PROVENANCE_ATTR) {
            if let Json::Object(members) = provenance {
                members.push((RESUMED_FROM.to_owned(), Json::from(earlier.0)));
            }
        }
    }

    /// Notes that the objective has left more than the attempt before it: if it was interrupted, the attempt does not
    /// count against the retries.
    pub fn made_progress(&mut self) {
        self.made_progress = true;
    }

    /// The seed for the objective's own random numbers; a retry has that of the trial that was lost.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Gives the objective the seed of another trial, which it replays.
    pub(crate) fn replay_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The time, for deadlines.
    pub fn elapsed(&self) -> Duration {
        self.context.clock.elapsed()
    }

    /// A float parameter's value.
    ///
    /// # Errors
    /// A range that is none, or one that contradicts the trial or the study.
    pub fn suggest_float(
        &mut self,
        name: &str,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    ) -> Result<f64, CallAborted> {
        let distribution = Distribution::float(low, high, log, step);
        let distribution = distribution.and_then(|found| found.require_finite().map(|()| found));
        self.suggest(name, distribution.map_err(|error| bad_range(name, "suggest-float", &error))?)
    }

    /// An integer parameter's value.
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
        let distribution = Distribution::int(low, high, log, step);
        let distribution = distribution.map_err(|error| bad_range(name, "suggest-int", &error))?;
        Ok(self.suggest(name, distribution)? as i64)
    }

    /// The index of a categorical parameter's choice.
    ///
    /// # Errors
    /// No choices, or others than before.
    pub fn suggest_categorical(
        &mut self,
        name: &str,
        choices: Vec<Json>,
    ) -> Result<u32, CallAborted> {
        let what = format!("the number of choices of parameter `{}` is", shown_name(name));
        self.bound(Limit::Choices, FailureCode::Suggest, choices.len(), &what)?;
        let longest = choices.iter().filter_map(Json::as_str).map(str::len).max().unwrap_or(0);
        let what = format!("a choice of parameter `{}` has", shown_name(name));
        self.bound(Limit::ChoiceLength, FailureCode::Suggest, longest, &what)?;
        let distribution = Distribution::categorical(choices);
        let distribution =
            distribution.map_err(|error| bad_range(name, "suggest-categorical", &error))?;
        Ok(self.suggest(name, distribution)? as u32)
    }

    /// Notes an intermediate value. Of several values for one step the first stays, as in Optuna.
    ///
    /// # Errors
    /// None today; the signature is that of the other calls.
    pub fn report(&mut self, value: f64, step: i64) -> Result<(), CallAborted> {
        (self.observer)(Event::Reported { step, value });
        match self.reports.add(step, value) {
            ReportKept::Kept => self.pending.intermediate_values.push((step, value)),
            ReportKept::Passing => {}
            ReportKept::Repeated if std::mem::replace(&mut self.has_explained_repeats, true) => {}
            ReportKept::Repeated => self.host_note(&format!(
                "step {step} was already reported; the first value is kept, also of further steps"
            )),
        }
        Ok(())
    }

    /// Whether the pruner would stop the trial now. What it knows of the other trials is at most a second old, or
    /// where the study is so large that reading it takes long, twenty times as old as that takes.
    ///
    /// With several objectives no pruner has a say, and nothing is pruned; Optuna fails the trial.
    ///
    /// # Errors
    /// Only when the study cannot be read.
    pub fn should_prune(&mut self) -> Result<bool, CallAborted> {
        if self.context.study.directions.len() > 1 {
            if !std::mem::replace(&mut self.has_explained_pruning, true) {
                self.host_note("a study with several objectives prunes no trials");
            }
            return Ok(false);
        }
        if self.context.pruner.uses_history() {
            self.refresh_peers()?;
        }
        let history = self.peers.as_ref().map_or(&self.history, |peers| &peers.history);
        let current = RunningTrial {
            study_name: &self.context.study.name,
            number: self.claim.number,
            intermediate_values: self.reports.values(),
            system_attrs: &self.system_attrs,
        };
        let judgement = self.context.pruner.judge(history, &current);
        let should_prune = judgement.should_prune;
        self.share(judgement.system_attrs);
        self.answers.add(should_prune);
        (self.observer)(Event::Judged { should_prune });
        Ok(should_prune)
    }

    /// Attaches a value to the trial.
    ///
    /// # Errors
    /// A value that is no JSON, a key that is too long, or too many keys.
    pub fn set_user_attr(&mut self, key: &str, json: &str) -> Result<(), CallAborted> {
        let what = format!("the text of user attribute `{}` has", shown_name(key));
        self.bound(Limit::AttrLength, FailureCode::Budget, json.len(), &what)?;
        let value = Json::parse(json).map_err(|error| {
            call_failure(
                "set-user-attr",
                format!("the value of `{key}` must be JSON, but it is not: {error}"),
            )
        })?;
        self.bound_name(FailureCode::Call, "an attribute's key has", key)?;
        self.replace_data(self.attr_bytes(key), (key.len() + json.len()) as u64)?;
        (self.observer)(Event::Attached { key, value: &value });
        self.user_attrs.insert(key.to_owned(), value.clone());
        let n_attrs = self.user_attrs.len();
        self.bound(Limit::UserAttrs, FailureCode::Budget, n_attrs, "user attributes:")?;
        put(&mut self.pending.user_attrs, key.to_owned(), value);
        Ok(())
    }

    /// What a user attribute that is already there takes, about.
    fn attr_bytes(&self, key: &str) -> u64 {
        self.user_attrs.get(key).map_or(0, |value| (key.len() + value.to_string().len()) as u64)
    }

    /// Counts what the trial leaves in the study, some of it in the place of what it left before.
    fn replace_data(&mut self, before: u64, bytes: u64) -> Result<(), CallAborted> {
        self.data_bytes = self.data_bytes.saturating_sub(before) + bytes;
        let what = "the parameters and attributes of the trial take";
        self.bound(Limit::TrialData, FailureCode::Budget, self.data_bytes as usize, what).map_err(
            |stop| match stop {
                CallAborted::Fail(failure) => CallAborted::Fail(failure.with_help(
                    "keep large results in a file: grant a directory with --dir HOST::GUEST:rw",
                )),
                CallAborted::Halt => CallAborted::Halt,
            },
        )
    }

    /// Ends the trial where more is used of something than a limit allows. `what` begins the sentence.
    fn bound(
        &self,
        limit: Limit,
        code: FailureCode,
        used: usize,
        what: &str,
    ) -> Result<(), CallAborted> {
        match self.context.limits.limits.get(limit) {
            Some(allowed) if used as u64 > allowed => {
                let hit = LimitHit { limit, allowed, used: Some(used as u64) };
                Err(CallAborted::Fail(Failure::of_limit(code, what, hit)))
            }
            _ => Ok(()),
        }
    }

    fn bound_name(&self, code: FailureCode, what: &str, name: &str) -> Result<(), CallAborted> {
        self.bound(Limit::NameLength, code, name.chars().count(), what)
    }

    /// Records a constraint, satisfied when its value is <= 0. The last value of a name stays.
    ///
    /// # Errors
    /// NaN, a name that is too long, or too many names.
    pub fn set_constraint(&mut self, name: &str, value: f64) -> Result<(), CallAborted> {
        if value.is_nan() {
            return Err(call_failure(
                "set-constraint",
                format!("constraint `{name}` must be a number, but it is NaN"),
            ));
        }
        let key = format!("{CONSTRAINT_PREFIX}{name}");
        self.bound_name(FailureCode::Call, "a constraint's name has, with its prefix,", &key)?;
        (self.observer)(Event::Constrained { name, value });
        match self.constraints.iter_mut().find(|(found, _)| found == name) {
            Some((_, found)) => *found = value,
            None => self.constraints.push((name.to_owned(), value)),
        }
        let n_constraints = self.constraints.len();
        self.bound(Limit::UserAttrs, FailureCode::Budget, n_constraints, "constraints:")?;
        // A list is only known at the end.
        if self.context.limits.constraint_format == ConstraintFormat::Named {
            put(&mut self.pending.system_attrs, key, Json::Float(value));
        }
        Ok(())
    }

    /// Takes what the objective logged or printed: any piece of text, of which whole lines are kept.
    pub fn log(&mut self, source: LogSource, text: &str) {
        if source != LogSource::Host {
            self.usage.log_bytes += text.len() as u64;
        }
        let observer = &mut *self.observer;
        self.transcript.push(source, text, &mut |line| observer(Event::Logged(line)));
    }

    /// How long until [`Self::tick`] has something to write.
    pub fn until_tick(&self) -> Duration {
        let due = match (self.write_failed, self.pending.is_empty()) {
            (true, _) => RETRY_INTERVAL,
            (false, true) => HEARTBEAT_INTERVAL,
            (false, false) => FLUSH_INTERVAL,
        };
        let due = self.last_write + due;
        let due = self.shared_at.map_or(due, |shared_at| due.min(shared_at + SHARE_INTERVAL));
        due.saturating_sub(self.context.clock.elapsed())
    }

    /// Writes what waits, if it has waited long enough, and beats the trial's heart. To be called whenever
    /// the objective has nothing to ask, after [`Self::until_tick`] or at least once a second.
    ///
    /// # Errors
    /// [`CallAborted::Halt`] when the trial is no longer ours. A database that cannot be written just now is no
    /// error yet: what waits is kept, and the end of the trial tries again.
    pub fn tick(&mut self) -> Result<(), CallAborted> {
        if !self.until_tick().is_zero() {
            return Ok(());
        }
        let result = self.storage.try_record(&self.claim, &self.pending);
        self.last_write = self.context.clock.elapsed();
        self.shared_at = None;
        match result {
            Ok(()) => {
                self.pending = TrialBatch::default();
                self.write_failed = false;
                Ok(())
            }
            Err(error @ StorageError::ClaimLost { .. }) => Err(self.halt(error)),
            Err(error) => {
                if !self.write_failed {
                    tracing::warn!(trial = self.claim.number.0, %error, "could not write; will try again");
                }
                self.write_failed = true;
                Ok(())
            }
        }
    }

    /// Takes what was measured of the objective so far. How many calls it made is the session's own count.
    pub fn measured(
        &mut self,
        cpu: Option<Duration>,
        peak_memory_bytes: Option<u64>,
        fuel: Option<u64>,
    ) {
        self.usage = Usage { cpu, peak_memory_bytes, fuel, ..self.usage };
    }

    /// Counts a call of the contract; to be called for each.
    pub fn count_call(&mut self) {
        self.usage.host_calls += 1;
    }

    /// The value at the largest step that is stored.
    pub(crate) fn last_intermediate_value(&self) -> Option<f64> {
        self.reports.values().last_key_value().map(|(_, value)| *value)
    }

    /// Ends the session: what is left of it.
    pub(crate) fn finish(mut self) -> FinishedSession {
        self.usage.reports = self.reports.n_made();
        self.usage.user_attrs = self.user_attrs.len() as u64;
        self.pending.intermediate_values.extend(self.reports.last_passing());
        if self.context.limits.constraint_format == ConstraintFormat::Legacy {
            ConstraintFormat::Legacy.write(&self.constraints, &mut self.pending);
        }
        self.transcript.finish(&mut |line| (self.observer)(Event::Logged(line)));
        let unasked = self.fixed_params.iter().map(|(name, _)| name);
        let unused_fixed_params =
            unasked.filter(|name| !self.asked.contains(*name)).cloned().collect();
        FinishedSession {
            claim: self.claim,
            pending: self.pending,
            params: self.params,
            user_attrs: self.user_attrs,
            constraints: self.constraints,
            n_reports: self.reports.n_made(),
            n_reports_stored: self.reports.values().len(),
            unused_fixed_params,
            transcript: self.transcript,
            usage: self.usage,
            answers: self.answers,
            made_progress: self.made_progress,
            error: self.error,
        }
    }

    /// A parameter's value, internal.
    pub(crate) fn suggest(
        &mut self,
        name: &str,
        distribution: Distribution,
    ) -> Result<f64, CallAborted> {
        self.bound_name(FailureCode::Suggest, "a parameter's name has", name)?;
        if name.is_empty() {
            return Err(suggest_failure(name, "a parameter must have a name".to_owned()));
        }
        let is_first = self.asked.insert(name.to_owned());
        if let Some((_, stored)) = self.params.iter().find(|(found, _)| found == name) {
            stored.distribution.check_compatible(&distribution).map_err(|error| {
                suggest_failure(name, format!("it was asked for before in this trial, and {error}"))
            })?;
            let internal = stored.internal;
            if is_first {
                let bytes = name.len() + distribution.to_json_text().len();
                self.replace_data(0, bytes as u64)?;
                // A retry has it from the trial that was lost, and a replay from the one that is replayed.
                let param = Param { distribution, internal };
                (self.observer)(Event::Suggested { name, param: &param });
            }
            return Ok(internal);
        }
        let n_params = self.params.len() + 1;
        self.bound(Limit::Params, FailureCode::Budget, n_params, "parameters:")?;
        self.replace_data(0, (name.len() + distribution.to_json_text().len()) as u64)?;
        self.check_against_study(name, &distribution)?;
        let internal = self.value_for(name, &distribution)?;
        let param = Param { distribution, internal };
        (self.observer)(Event::Suggested { name, param: &param });
        self.pending.params.push((name.to_owned(), param.clone()));
        self.params.push((name.to_owned(), param));
        Ok(internal)
    }

    /// Fixed, then single, then jointly drawn, then drawn by itself, as `optuna/trial/_trial.py` has it.
    fn value_for(&mut self, name: &str, distribution: &Distribution) -> Result<f64, CallAborted> {
        if self.fixed_params.is_empty() {
            self.prepare()?;
        }
        if let Some(value) = self.fixed_value(name, distribution)? {
            return Ok(value);
        }
        if let Some(value) = distribution.single() {
            return Ok(value);
        }
        self.prepare()?;
        if let Some(value) = self.relative_value(name, distribution) {
            return Ok(value);
        }
        let (sampler, ask, rng) = self.ask();
        Ok(sampler.sample_independent(&ask, name, distribution, rng))
    }

    /// Reads the history and lets the sampler mark the trial, once.
    fn prepare(&mut self) -> Result<(), CallAborted> {
        if std::mem::replace(&mut self.is_prepared, true) {
            return Ok(());
        }
        if self.context.sampler.uses_history() {
            self.load_history()?;
        }
        if self.fixed_params.is_empty() {
            let (sampler, ask, rng) = self.ask();
            let attrs = sampler.before_trial(&ask, rng);
            self.share(attrs);
        }
        Ok(())
    }

    /// What a sampler is called with.
    fn ask(&mut self) -> (&dyn Sampler, Ask<'_>, &mut TrialRng) {
        let ask = Ask {
            history: &self.history,
            number: self.claim.number,
            params: &self.params,
            fixed_params: &self.fixed_params,
            system_attrs: &self.system_attrs,
        };
        (self.context.sampler, ask, &mut self.rng)
    }

    /// Notes attributes that simultaneous trials should see soon.
    fn share(&mut self, attrs: Vec<(String, Json)>) {
        if attrs.is_empty() {
            return;
        }
        self.system_attrs.extend(attrs.iter().cloned());
        self.pending.system_attrs.extend(attrs);
        self.shared_at = self.shared_at.or(Some(self.context.clock.elapsed()));
    }

    fn fixed_value(
        &mut self,
        name: &str,
        distribution: &Distribution,
    ) -> Result<Option<f64>, CallAborted> {
        let Some((_, external)) = self.fixed_params.iter().find(|(found, _)| found == name) else {
            return Ok(None);
        };
        let fail = |problem: String| {
            let message = format!("parameter `{name}` cannot be fixed to {external}: {problem}");
            CallAborted::Fail(Failure::new(FailureCode::FixedParam, message))
        };
        let internal =
            distribution.to_internal(external).map_err(|error| fail(error.to_string()))?;
        if !distribution.contains(internal) {
            if self.context.limits.strict_fixed_params {
                return Err(fail(format!("it is outside of {distribution}")));
            }
            let note = format!(
                "parameter `{name}` is fixed to {external}, which is outside of {distribution}"
            );
            self.host_note(&note);
        }
        Ok(Some(internal))
    }

    /// The parameter's value in the trial's joint draw, which is made when the first one is asked for.
    fn relative_value(&mut self, name: &str, distribution: &Distribution) -> Option<f64> {
        if self.relative_params.is_none() {
            let drawn = self.draw_relative();
            self.relative_params = Some(drawn);
        }
        let value = *self.relative_params.as_ref()?.get(name)?;
        distribution.contains(value).then_some(value)
    }

    fn draw_relative(&mut self) -> BTreeMap<String, f64> {
        let (sampler, ask, rng) = self.ask();
        let space = sampler.relative_search_space(&ask);
        if space.is_empty() {
            return BTreeMap::new();
        }
        let suggestion = sampler.sample_relative(&ask, &space, rng);
        self.share(suggestion.system_attrs);
        suggestion.params
    }

    /// A parameter must fit what earlier trials recorded under its name. Two first trials at once can still
    /// disagree, as in Optuna: nothing is locked while a trial runs.
    fn check_against_study(
        &mut self,
        name: &str,
        distribution: &Distribution,
    ) -> Result<(), CallAborted> {
        let Some(recorded) = self.recorded_distribution(name)? else { return Ok(()) };
        recorded.check_compatible(distribution).map_err(|error| {
            let study = &self.context.study.name;
            suggest_failure(
                name,
                format!("study `{study}` has it as {recorded}, and in this trial {error}"),
            )
        })
    }

    /// The distribution under which an earlier trial recorded a parameter: from the history, if a sampler reads
    /// it anyway, as every question to a storage may cost a lock on a network file system.
    fn recorded_distribution(&mut self, name: &str) -> Result<Option<Distribution>, CallAborted> {
        if self.context.sampler.uses_history() {
            self.load_history()?;
            let mut trials = self.history.trials().iter();
            return Ok(trials.find_map(|trial| Some(trial.param(name)?.distribution.clone())));
        }
        self.storage
            .recorded_distribution(self.context.study.id, self.claim.id, name)
            .map_err(|error| self.halt(error))
    }

    fn load_history(&mut self) -> Result<(), CallAborted> {
        if !self.history_is_loaded {
            let started = self.context.clock.elapsed();
            let trials =
                self.storage.history(self.context.study.id).map_err(|error| self.halt(error))?;
            let mut history = History::new(self.context.study.directions.clone(), trials);
            if let Some(trial) = history.take(self.claim.number) {
                self.system_attrs.extend(trial.system_attrs);
            }
            self.history = Rc::new(history);
            self.peers = Some(Peers::new(&self.history, started, self.context.clock.elapsed()));
            self.history_is_loaded = true;
        }
        Ok(())
    }

    /// Lets the pruner see what the others have done meanwhile, if its view is old. The sampler keeps the view
    /// that it had, so that a trial's parameters follow from one moment of the study.
    fn refresh_peers(&mut self) -> Result<(), CallAborted> {
        self.load_history()?;
        let Some(peers) = &mut self.peers else { return Ok(()) };
        let started = self.context.clock.elapsed();
        if started < peers.refresh_at {
            return Ok(());
        }
        match self.storage.changed_trials(self.context.study.id, peers.history.trials()) {
            Ok(mut changed) => {
                changed.retain(|trial| trial.number != self.claim.number);
                if !changed.is_empty() {
                    Rc::make_mut(&mut peers.history).update(changed);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_warned_of_peers, true) {
                    tracing::warn!(trial = self.claim.number.0, %error, "the pruner goes by what it knew before");
                }
            }
        }
        peers.postpone(started, self.context.clock.elapsed());
        Ok(())
    }

    fn host_note(&mut self, text: &str) {
        self.log(LogSource::Host, &format!("{text}\n"));
    }

    fn halt(&mut self, error: StorageError) -> CallAborted {
        self.error = Some(error);
        CallAborted::Halt
    }
}

/// The other trials as a pruner sees them, which needs them fresher than a sampler.
struct Peers {
    history: Rc<History>,
    /// Not to be read again before.
    refresh_at: Duration,
}

impl Peers {
    fn new(history: &Rc<History>, started: Duration, ended: Duration) -> Self {
        let mut peers = Peers { history: Rc::clone(history), refresh_at: Duration::ZERO };
        peers.postpone(started, ended);
        peers
    }

    /// After a reading, when the next one is due.
    fn postpone(&mut self, started: Duration, ended: Duration) {
        let took = ended.saturating_sub(started);
        self.refresh_at = ended + REFRESH_INTERVAL.max(took * REFRESH_SHARE);
    }
}

/// What is left of a session when the objective has ended.
pub(crate) struct FinishedSession {
    pub(crate) claim: Claim,
    pub(crate) pending: TrialBatch,
    pub(crate) params: Vec<(String, Param)>,
    pub(crate) user_attrs: BTreeMap<String, Json>,
    pub(crate) constraints: Vec<(String, f64)>,
    pub(crate) n_reports: u64,
    pub(crate) n_reports_stored: usize,
    pub(crate) unused_fixed_params: Vec<String>,
    pub(crate) transcript: Transcript,
    pub(crate) usage: Usage,
    pub(crate) answers: Answers,
    pub(crate) made_progress: bool,
    pub(crate) error: Option<StorageError>,
}

/// Notes a value in place of an earlier one of the same key: an objective may set it as often as it likes.
fn put(notes: &mut Vec<(String, Json)>, key: String, value: Json) {
    match notes.iter_mut().find(|(found, _)| *found == key) {
        Some((_, found)) => *found = value,
        None => notes.push((key, value)),
    }
}

fn bad_range(name: &str, call: &str, error: &dyn std::fmt::Display) -> CallAborted {
    let message = format!("the objective's {call} of parameter `{name}` is invalid: {error}");
    CallAborted::Fail(Failure::new(FailureCode::Suggest, message))
}

fn suggest_failure(name: &str, problem: String) -> CallAborted {
    CallAborted::Fail(Failure::new(
        FailureCode::Suggest,
        format!("parameter `{}` cannot be suggested: {problem}", shown_name(name)),
    ))
}

/// A name may be as long as the guest likes; a message should not be.
fn shown_name(name: &str) -> String {
    name.chars().take(80).collect()
}

fn call_failure(call: &str, problem: String) -> CallAborted {
    CallAborted::Fail(Failure::new(
        FailureCode::Call,
        format!("the objective's {call} is invalid: {problem}"),
    ))
}
