//! What every job of a study shares: seed, sampler, pruner and limits, kept in the study itself.
//!
//! The first job, or `study create`, writes them as user attributes under `trialbox:`; a thousand array
//! tasks then need not repeat them and cannot disagree. User attributes, because Optuna's dashboard keeps
//! these when it renames a study.

use crate::args;
use crate::args::objective::ObjectiveArgs;
use crate::args::stopping::StoppingArgs;
use crate::clock::SystemClock;
use crate::error::CommandError;
use crate::study::budget::{self, BUDGETS, budgets_of};
use std::time::Duration;
use trialbox_core::seam::storage::{RetryPolicy, StudyAttrs};
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::study::stopping::Budgets;
use trialbox_core::study::trial::format_datetime;
use trialbox_core::{Clock as _, Json, Storage, StudyRecord};
use trialbox_samplers::{ConfigError, PrunerConfig, SamplerConfig};

const SEED: &str = "trialbox:seed";
pub(crate) const SAMPLER: &str = "trialbox:sampler";
pub(crate) const PRUNER: &str = "trialbox:pruner";
const MAX_MEMORY: &str = "trialbox:max_memory_bytes";
/// The other limits, by name.
const LIMITS: &str = "trialbox:limits";
const TRIAL_TIMEOUT: &str = "trialbox:trial_timeout_secs";
/// The digest of the component that the study's trials run.
const MODULE: &str = "trialbox:module";
/// Which components took the place of others, in a study whose user wanted it so.
const MODULE_CHANGES: &str = "trialbox:module_changes";
/// How many of them are kept, the last ones.
const MAX_MODULE_CHANGES: usize = 100;
const DETERMINISTIC: &str = "trialbox:deterministic";
const MAX_RETRIES: &str = "trialbox:max_retries";
const CONSTRAINT_FORMAT: &str = "trialbox:constraint_format";

/// How often a lost trial is tried again where nobody says: often enough for a cluster's bad night.
pub(crate) const DEFAULT_MAX_RETRIES: u32 = 3;

/// The flags that a study remembers; `None` means "not said".
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingFlags {
    pub(crate) seed: Option<u64>,
    pub(crate) sampler: Option<SamplerConfig>,
    pub(crate) pruner: Option<PrunerConfig>,
    pub(crate) max_memory_bytes: Option<u64>,
    pub(crate) trial_timeout: Option<Duration>,
    /// The other limits, as an object from names to values.
    pub(crate) limits: Option<Json>,
    pub(crate) deterministic: bool,
    pub(crate) max_retries: Option<u32>,
    pub(crate) stopping: StoppingArgs,
    pub(crate) module: Option<ModuleFlags>,
    pub(crate) constraint_format: Option<ConstraintFormat>,
    /// Whether a flag that contradicts the study changes it, rather than being refused.
    pub(crate) overrule: bool,
    /// The same for `--max-trials` alone: whoever submits more trials has decided.
    pub(crate) decides_max_trials: bool,
}

/// Which component is to run.
#[derive(Debug, Clone)]
pub(crate) struct ModuleFlags {
    /// Its digest.
    pub(crate) digest: String,
    /// Whether it may take the place of another.
    pub(crate) may_change: bool,
}

/// What holds for every trial of the study.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) sampler: SamplerConfig,
    pub(crate) pruner: PrunerConfig,
    pub(crate) max_memory_bytes: Option<u64>,
    pub(crate) trial_timeout: Option<Duration>,
    /// The defaults, but for what the study remembers by name.
    pub(crate) limits: Limits,
    pub(crate) deterministic: bool,
    /// What becomes of a trial whose process is lost or interrupted.
    pub(crate) retry: RetryPolicy,
    /// When the study ends.
    pub(crate) budgets: Budgets,
    pub(crate) constraint_format: ConstraintFormat,
}

impl SettingFlags {
    /// The attributes that a new study begins with.
    pub(crate) fn attributes_of_new_study(&self) -> Vec<(String, Json)> {
        let mut attributes = vec![
            (SEED.to_owned(), Json::from(self.seed.unwrap_or_else(new_seed))),
            (SAMPLER.to_owned(), self.sampler.clone().unwrap_or_default().to_json()),
            (PRUNER.to_owned(), self.pruner.clone().unwrap_or_default().to_json()),
            (MAX_RETRIES.to_owned(), self.max_retries.unwrap_or(DEFAULT_MAX_RETRIES).into()),
            (
                CONSTRAINT_FORMAT.to_owned(),
                self.constraint_format.unwrap_or_default().as_str().into(),
            ),
        ];
        attributes.extend(self.limits());
        attributes.extend(self.stopping.explicit());
        let module = self.module.iter();
        attributes.extend(module.map(|it| (MODULE.to_owned(), it.digest.as_str().into())));
        attributes
    }

    /// What the study holds, after adding what it did not say and these flags do.
    pub(crate) fn resolve(
        &self,
        storage: &mut dyn Storage,
        mut study: StudyRecord,
    ) -> Result<(StudyRecord, Settings), CommandError> {
        self.stopping.check(&study.directions)?;
        if let Some(module) = &self.module {
            // Before anything is written.
            module.check(&study)?;
        }
        let said = self.said();
        self.refuse_contradiction(&study)?;
        let mut defaults = self.attributes_of_new_study();
        if study.user_attrs.contains_key(SEED) {
            // A limit said later holds for that command alone; the study began without it.
            // What ends the study must hold for all of its jobs, whenever it is said.
            let kept = [SEED, SAMPLER, PRUNER, MAX_RETRIES, CONSTRAINT_FORMAT, MODULE];
            let kept: Vec<&str> = kept.into_iter().chain(BUDGETS).collect();
            defaults.retain(|(key, _)| kept.contains(&key.as_str()));
        }
        if defaults.iter().any(|(key, _)| !study.user_attrs.contains_key(key)) {
            study = storage.set_study_defaults(study.id, &defaults)?;
        }
        // Another job may have been first, and have said something else.
        self.refuse_contradiction(&study)?;
        let changes: Vec<_> = said.into_iter().filter(|(key, _)| self.may_change(key)).collect();
        if changes.iter().any(|(key, value)| study.user_attrs.get(key) != Some(value)) {
            let user = changes.into_iter().map(|said| merge_limits(&study, said)).collect();
            let attrs = StudyAttrs { user, ..StudyAttrs::default() };
            study = storage.set_study_attrs(study.id, &attrs)?;
        }
        if let Some(module) = &self.module {
            study = module.resolve(storage, study)?;
        }
        let settings = Settings::of(&study)?;
        Ok((study, settings))
    }

    /// What [`Self::resolve`] would return and refuse; nothing is written.
    pub(crate) fn preview(&self, mut study: StudyRecord) -> Result<Settings, CommandError> {
        self.stopping.check(&study.directions)?;
        if let Some(module) = &self.module {
            module.check(&study)?;
        }
        self.refuse_contradiction(&study)?;
        for said in self.said().into_iter().filter(|(key, _)| self.may_change(key)) {
            let (key, value) = merge_limits(&study, said);
            study.user_attrs.insert(key, value);
        }
        for (key, value) in self.attributes_of_new_study() {
            study.user_attrs.entry(key).or_insert(value);
        }
        Settings::of(&study)
    }

    fn may_change(&self, key: &str) -> bool {
        self.overrule || (self.decides_max_trials && key == budget::MAX_TRIALS)
    }

    fn refuse_contradiction(&self, study: &StudyRecord) -> Result<(), CommandError> {
        let said = self.said().into_iter().filter(|(key, _)| !self.may_change(key));
        refuse_contradiction(study, &said.collect::<Vec<_>>())
    }

    fn said(&self) -> Vec<(String, Json)> {
        let seed = self.seed.map(|seed| (SEED.to_owned(), Json::from(seed)));
        let sampler = self.sampler.as_ref().map(|sampler| (SAMPLER.to_owned(), sampler.to_json()));
        let pruner = self.pruner.as_ref().map(|pruner| (PRUNER.to_owned(), pruner.to_json()));
        let retries = self.max_retries.map(|retries| (MAX_RETRIES.to_owned(), retries.into()));
        let choices = seed.into_iter().chain(sampler).chain(pruner).chain(retries);
        let said = choices.chain(self.said_format()).chain(self.limits());
        said.chain(self.stopping.explicit()).collect()
    }

    fn said_format(&self) -> Option<(String, Json)> {
        let format = self.constraint_format?;
        Some((CONSTRAINT_FORMAT.to_owned(), format.as_str().into()))
    }

    fn limits(&self) -> Vec<(String, Json)> {
        let memory = self.max_memory_bytes.map(|bytes| (MAX_MEMORY.to_owned(), Json::from(bytes)));
        let timeout = self
            .trial_timeout
            .map(|time| (TRIAL_TIMEOUT.to_owned(), Json::from(time.as_secs_f64())));
        let deterministic =
            self.deterministic.then(|| (DETERMINISTIC.to_owned(), Json::Bool(true)));
        let limits = self.limits.iter().map(|limits| (LIMITS.to_owned(), limits.clone()));
        memory.into_iter().chain(timeout).chain(limits).chain(deterministic).collect()
    }
}

impl ModuleFlags {
    /// The component of the study, if it is another one and this one may take its place.
    fn check(&self, study: &StudyRecord) -> Result<Option<String>, CommandError> {
        let Some(kept) = study.user_attrs.get(MODULE) else { return Ok(None) };
        let kept = kept.as_str().ok_or_else(|| unreadable(study, MODULE, ""))?;
        if kept == self.digest || self.may_change {
            return Ok(Some(kept.to_owned()).filter(|kept| *kept != self.digest));
        }
        Err(CommandError::usage(
            format!(
                "study `{}` is one of another component: {}, and this one is {}",
                study.name,
                short_digest(kept),
                short_digest(&self.digest)
            ),
            "values of different code do not compare: begin a new study with --study-name, or go on with this \
             component from now on with --allow-module-change",
        ))
    }

    /// Refuses a component that is not the study's, or notes that it takes that one's place.
    fn resolve(
        &self,
        storage: &mut dyn Storage,
        study: StudyRecord,
    ) -> Result<StudyRecord, CommandError> {
        let Some(kept) = self.check(&study)? else { return Ok(study) };
        let change = Json::object([
            ("from", Json::from(kept)),
            ("to", Json::from(self.digest.as_str())),
            ("at", Json::from(format_datetime(SystemClock::new().utc_now()))),
        ]);
        let earlier = study.user_attrs.get(MODULE_CHANGES);
        let mut changes = match earlier {
            Some(Json::Array(changes)) => changes.clone(),
            _ => Vec::new(),
        };
        changes.push(change);
        // Whoever tries a component out changes it often.
        changes.drain(..changes.len().saturating_sub(MAX_MODULE_CHANGES));
        let user = vec![
            (MODULE.to_owned(), Json::from(self.digest.as_str())),
            (MODULE_CHANGES.to_owned(), Json::Array(changes)),
        ];
        let attrs = StudyAttrs { user, ..StudyAttrs::default() };
        Ok(storage.set_study_attrs(study.id, &attrs)?)
    }
}

/// Enough of a digest to tell components apart.
fn short_digest(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

/// What the study has of a setting, if that is something else.
fn differs<'a>(study: &'a StudyRecord, key: &str, value: &Json) -> Option<&'a Json> {
    study.user_attrs.get(key).filter(|kept| match key {
        LIMITS => args::limit::contradict(kept, value),
        _ => !kept.python_eq(value),
    })
}

/// A setting that is said, of limits with those that the study remembers besides.
fn merge_limits(study: &StudyRecord, (key, value): (String, Json)) -> (String, Json) {
    match key.as_str() {
        LIMITS => (key, args::limit::merge(study.user_attrs.get(LIMITS), &value)),
        _ => (key, value),
    }
}

fn refuse_contradiction(study: &StudyRecord, said: &[(String, Json)]) -> Result<(), CommandError> {
    let contradiction = said.iter().find_map(|(key, value)| {
        let kept = differs(study, key, value)?;
        // Whoever names the study's own sampler or pruner, and nothing more, wants it as it is.
        let names_it = [SAMPLER, PRUNER].contains(&key.as_str())
            && value.get("options").is_none()
            && value.get("name") == kept.get("name");
        (!names_it).then_some((key, value, kept))
    });
    let Some((key, value, kept)) = contradiction else { return Ok(()) };
    let (name, flag, kept, value) = (&study.name, flag_of(key), show(kept), show(value));
    Err(CommandError::usage(
        format!("study `{name}` goes by {flag} = {kept}, and this command says {value}"),
        "leave the flag out to go on as the study does, or add --override to change the study",
    ))
}

impl Settings {
    /// The limits of a command on this study.
    pub(crate) fn limits(&self, args: &ObjectiveArgs) -> Limits {
        let mut limits = self.limits;
        if let Some(bytes) = self.max_memory_bytes {
            limits.set(Limit::Memory, Some(bytes));
        }
        if let Some(timeout) = self.trial_timeout {
            limits.set(Limit::TrialTime, Some(timeout.as_millis().try_into().unwrap_or(u64::MAX)));
        }
        args.limits_over(limits)
    }

    /// Reads what the study holds.
    fn of(study: &StudyRecord) -> Result<Self, CommandError> {
        let unreadable = |key: &str| unreadable(study, key, "");
        let attribute = |key: &str| study.user_attrs.get(key);
        let seed = attribute(SEED).and_then(Json::as_u64).ok_or_else(|| unreadable(SEED))?;
        let sampler = choice(study, SAMPLER, SamplerConfig::from_json)?;
        let pruner = choice(study, PRUNER, PrunerConfig::from_json)?;
        let timeout = attribute(TRIAL_TIMEOUT).and_then(Json::as_f64);
        let mut limits = Limits::default();
        if let Some(remembered) = attribute(LIMITS) {
            args::limit::apply_remembered(remembered, &mut limits)
                .map_err(|problem| self::unreadable(study, LIMITS, &format!(": {problem}")))?;
        }
        Ok(Settings {
            seed,
            sampler,
            pruner,
            max_memory_bytes: attribute(MAX_MEMORY).and_then(Json::as_u64),
            trial_timeout: timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            limits,
            deterministic: attribute(DETERMINISTIC) == Some(&Json::Bool(true)),
            retry: retry_policy(study),
            budgets: budgets_of(study).map_err(unreadable)?,
            constraint_format: constraint_format(study)?,
        })
    }
}

/// The sampler or pruner that the study remembers.
fn choice<C>(
    study: &StudyRecord,
    key: &'static str,
    read: impl Fn(&Json) -> Result<C, ConfigError>,
) -> Result<C, CommandError> {
    let kept = study.user_attrs.get(key).ok_or_else(|| unreadable(study, key, ""))?;
    read(kept).map_err(|error| unreadable(study, key, &format!(": {error}")))
}

/// What becomes of a lost trial of the study, which may be one that trialbox never settled.
pub(crate) fn retry_policy(study: &StudyRecord) -> RetryPolicy {
    let kept = study.user_attrs.get(MAX_RETRIES).and_then(Json::as_u64);
    let max_retries = kept.and_then(|kept| kept.try_into().ok()).unwrap_or(DEFAULT_MAX_RETRIES);
    RetryPolicy { max_retries }
}

/// How the study's constraints are written; named, as long as nobody has said otherwise.
pub(crate) fn constraint_format(study: &StudyRecord) -> Result<ConstraintFormat, CommandError> {
    let Some(kept) = study.user_attrs.get(CONSTRAINT_FORMAT) else {
        return Ok(ConstraintFormat::default());
    };
    kept.as_str()
        .and_then(ConstraintFormat::parse)
        .ok_or_else(|| unreadable(study, CONSTRAINT_FORMAT, ""))
}

/// Reads a form of constraints on the command line.
pub(crate) fn parse_constraint_format(text: &str) -> Result<ConstraintFormat, String> {
    ConstraintFormat::parse(text)
        .ok_or_else(|| format!("`{text}` is no form of constraints; choose named or legacy"))
}

fn unreadable(study: &StudyRecord, key: &str, why: &str) -> CommandError {
    CommandError::usage(
        format!("the attribute `{key}` of study `{}` makes no sense{why}", study.name),
        format!("set it again with {} and --override of `trialbox run`", flag_of(key)),
    )
}

/// A seed that no other study has, small enough to be read and typed.
pub(crate) fn new_seed() -> u64 {
    u64::from(rand::random::<u32>())
}

/// A setting as the command line has it.
fn show(value: &Json) -> String {
    if *value == Json::Null { "none".to_owned() } else { value.to_string() }
}

fn flag_of(key: &str) -> &'static str {
    match key {
        SEED => "--seed",
        SAMPLER => "--sampler and --sampler-opt",
        PRUNER => "--pruner and --pruner-opt",
        MAX_MEMORY => "--max-memory (in bytes)",
        MAX_RETRIES => "--max-retries",
        MODULE => "--allow-module-change",
        LIMITS => "--fuel and --limit",
        DETERMINISTIC => "--deterministic",
        TRIAL_TIMEOUT => "--trial-timeout (in seconds)",
        CONSTRAINT_FORMAT => "--constraint-format",
        _ => budget::flag_of(key).unwrap_or("a flag"),
    }
}
