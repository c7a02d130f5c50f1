//! The settings that all jobs of a study share, such as seed, sampler and limits. The study remembers them.
//!
//! The first job, or `study create`, writes them as user attributes under `trialbox:`. A thousand array tasks then need
//! not repeat them and cannot disagree. They are user attributes because Optuna's dashboard keeps these when it renames
//! a study.

use crate::args;
use crate::clock::SystemClock;
use crate::error::CommandError;
use crate::study::budget::{MAX_TRIALS, PATIENCE, STOP_WHEN_VALUE, budgets_of};
use crate::study::explicit::ExplicitSettings;
use std::time::Duration;
use trialbox_core::seam::storage::{RetryPolicy, StudyAttrs};
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::study::provenance::PROGRAM;
use trialbox_core::study::stopping::Budgets;
use trialbox_core::study::trial::format_datetime;
use trialbox_core::value::text::{clean, shorten};
use trialbox_core::{Clock as _, Json, Storage, StudyDirection, StudyRecord};
use trialbox_samplers::{ConfigError, PrunerConfig, SamplerConfig};

const SEED: &str = "trialbox:seed";
pub(crate) const SAMPLER: &str = "trialbox:sampler";
pub(crate) const PRUNER: &str = "trialbox:pruner";
const MAX_MEMORY: &str = "trialbox:max_memory_bytes";
/// The other limits, by name.
const LIMITS: &str = "trialbox:limits";
const TRIAL_TIMEOUT: &str = "trialbox:trial_timeout_secs";
/// The digest of the module that the study's trials run.
const MODULE: &str = "trialbox:module";
/// The changes of module that the user has allowed.
const MODULE_CHANGES: &str = "trialbox:module_changes";
/// The number of module changes that are kept, the last ones.
const MAX_MODULE_CHANGES: usize = 100;
const DETERMINISTIC: &str = "trialbox:deterministic";
const MAX_RETRIES: &str = "trialbox:max_retries";
const CONSTRAINT_FORMAT: &str = "trialbox:constraint_format";

/// The default number of retries: enough for a cluster's bad night.
pub(crate) const DEFAULT_MAX_RETRIES: u32 = 3;

/// A setting that studies remember.
pub(crate) struct Setting {
    /// The user attribute that holds it.
    key: &'static str,
    /// Its flag, as messages name it.
    flag: &'static str,
    /// Returns the value of the flag, or `None` if it was not given.
    explicit: fn(&ExplicitSettings) -> Option<Json>,
    /// Returns the value of a new study, if the flag was not given.
    default: Option<fn() -> Json>,
    /// The time at which a study takes it over.
    rule: Rule,
}

/// The time at which a study takes a setting over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The first command that gives it, because it must hold for all jobs of the study.
    Anytime,
    /// The creation of the study. A later value holds for its command alone, because earlier trials ran without it.
    AtCreation,
}

/// All settings; the first that contradicts its study is named.
static SETTINGS: [Setting; 12] = [
    Setting {
        key: SEED,
        flag: "--seed",
        explicit: |given| given.seed.map(Json::from),
        default: Some(|| Json::from(new_seed())),
        rule: Rule::Anytime,
    },
    Setting {
        key: SAMPLER,
        flag: "--sampler and --sampler-opt",
        explicit: |given| given.sampler.as_ref().map(SamplerConfig::to_json),
        default: Some(|| SamplerConfig::default().to_json()),
        rule: Rule::Anytime,
    },
    Setting {
        key: PRUNER,
        flag: "--pruner and --pruner-opt",
        explicit: |given| given.pruner.as_ref().map(PrunerConfig::to_json),
        default: Some(|| PrunerConfig::default().to_json()),
        rule: Rule::Anytime,
    },
    Setting {
        key: MAX_RETRIES,
        flag: "--max-retries",
        explicit: |given| given.max_retries.map(Json::from),
        default: Some(|| DEFAULT_MAX_RETRIES.into()),
        rule: Rule::Anytime,
    },
    Setting {
        key: CONSTRAINT_FORMAT,
        flag: "--constraint-format",
        explicit: |given| given.constraint_format.map(|it| Json::from(it.as_str())),
        default: Some(|| ConstraintFormat::default().as_str().into()),
        rule: Rule::Anytime,
    },
    Setting {
        key: MAX_MEMORY,
        flag: "--max-memory (in bytes)",
        explicit: |given| given.sandbox.max_memory_bytes.map(Json::from),
        default: None,
        rule: Rule::AtCreation,
    },
    Setting {
        key: TRIAL_TIMEOUT,
        flag: "--trial-timeout (in seconds)",
        explicit: |given| {
            given.sandbox.trial_timeout.map(|timeout| Json::from(timeout.as_secs_f64()))
        },
        default: None,
        rule: Rule::AtCreation,
    },
    Setting {
        key: LIMITS,
        flag: "--fuel and --limit",
        explicit: |given| given.sandbox.limits.clone(),
        default: None,
        rule: Rule::AtCreation,
    },
    Setting {
        key: DETERMINISTIC,
        flag: "--deterministic",
        explicit: |given| given.sandbox.deterministic.then_some(Json::Bool(true)),
        default: None,
        rule: Rule::AtCreation,
    },
    Setting {
        key: MAX_TRIALS,
        flag: "--max-trials",
        explicit: |given| given.max_trials.clone(),
        default: None,
        rule: Rule::Anytime,
    },
    Setting {
        key: STOP_WHEN_VALUE,
        flag: "--stop-when-value",
        explicit: |given| given.stop_when_value.clone(),
        default: None,
        rule: Rule::Anytime,
    },
    Setting {
        key: PATIENCE,
        flag: "--patience",
        explicit: |given| given.patience.clone(),
        default: None,
        rule: Rule::Anytime,
    },
];

/// The settings that a command gives explicitly.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingFlags {
    /// The values by their attributes, in the order of the table.
    explicit: Vec<(&'static str, Json)>,
    pub(crate) module: Option<ModuleFlags>,
    /// True if a flag that contradicts the study changes it.
    pub(crate) overrule: bool,
    /// True if `--max-trials` alone changes the study: a user who submits more trials has decided.
    pub(crate) decides_max_trials: bool,
}

/// The module that is to run.
#[derive(Debug, Clone)]
pub(crate) struct ModuleFlags {
    /// Its digest.
    pub(crate) digest: String,
    /// True if it may replace another one.
    pub(crate) may_change: bool,
}

/// The settings of every trial of the study.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) sampler: SamplerConfig,
    pub(crate) pruner: PrunerConfig,
    pub(crate) max_memory_bytes: Option<u64>,
    pub(crate) trial_timeout: Option<Duration>,
    /// The limits that the study remembers by name, else the defaults.
    pub(crate) limits: Limits,
    pub(crate) deterministic: bool,
    /// The fate of a trial whose worker died or was interrupted.
    pub(crate) retry: RetryPolicy,
    /// The bounds of the study.
    pub(crate) budgets: Budgets,
    pub(crate) constraint_format: ConstraintFormat,
}

impl SettingFlags {
    /// Arranges the explicit values of a command in the order of the table.
    pub(crate) fn new(given: &ExplicitSettings) -> Self {
        let mut explicit = Vec::new();
        for setting in &SETTINGS {
            if let Some(value) = (setting.explicit)(given) {
                explicit.push((setting.key, value));
            }
        }
        SettingFlags { explicit, ..SettingFlags::default() }
    }

    /// Returns the explicit value of a setting.
    fn get(&self, key: &str) -> Option<&Json> {
        self.explicit.iter().find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Returns whether a setting was given.
    pub(crate) fn is_explicit(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Returns whether the study has had trials of another module.
    pub(crate) fn changes_module(&self, study: &StudyRecord) -> bool {
        let kept = study.user_attrs.get(MODULE).and_then(Json::as_str);
        let ours = self.module.as_ref().map(|module| module.digest.as_str());
        kept.is_some_and(|kept| ours.is_none_or(|ours| !is_same_module(kept, ours)))
    }

    /// Checks that the study is one of the module that is to run, or that this may replace it.
    pub(crate) fn check_module(&self, study: &StudyRecord) -> Result<(), CommandError> {
        self.module.as_ref().map_or(Ok(()), |module| module.check(study).map(drop))
    }

    /// Sets the number of trials that the study may have, in place of the flag.
    pub(crate) fn set_max_trials(&mut self, n_trials: u32) {
        self.explicit.retain(|(key, _)| *key != MAX_TRIALS);
        self.explicit.push((MAX_TRIALS, n_trials.into()));
    }

    /// Returns the attributes of a new study.
    pub(crate) fn attributes_of_new_study(&self) -> Vec<(String, Json)> {
        let mut attributes = Vec::new();
        for setting in &SETTINGS {
            let value = self.get(setting.key).cloned();
            if let Some(value) = value.or_else(|| setting.default.map(|default| default())) {
                attributes.push((setting.key.to_owned(), value));
            }
        }
        if let Some(module) = &self.module {
            attributes.push((MODULE.to_owned(), module.digest.as_str().into()));
        }
        attributes
    }

    /// Checks that a rule about the best value is not given for a study of several objectives, which has none.
    pub(crate) fn check_rules(&self, directions: &[StudyDirection]) -> Result<(), CommandError> {
        let is_given = |key: &&&str| self.get(key).is_some_and(|value| *value != Json::Null);
        let Some(key) = [STOP_WHEN_VALUE, PATIENCE].iter().find(is_given) else { return Ok(()) };
        match directions.len() {
            1 => Ok(()),
            n => Err(CommandError::usage(
                format!("{} needs a study with one objective, and this one has {n}", flag_of(key)),
                "end it with --max-trials or --until, or by hand with `trialbox study stop`",
            )),
        }
    }

    /// Returns the study and its settings, after adding the flags that it does not remember yet.
    pub(crate) fn resolve(
        &self,
        storage: &mut dyn Storage,
        mut study: StudyRecord,
    ) -> Result<(StudyRecord, Settings), CommandError> {
        self.check_rules(&study.directions)?;
        if let Some(module) = &self.module {
            // Before anything is written.
            module.check(&study)?;
        }
        self.check_contradiction(&study)?;
        let mut defaults = self.attributes_of_new_study();
        if study.user_attrs.contains_key(SEED) {
            defaults.retain(|(key, _)| is_taken_anytime(key));
        }
        if defaults.iter().any(|(key, _)| !study.user_attrs.contains_key(key)) {
            study = storage.set_study_defaults(study.id, &defaults)?;
        }
        // Another job may have been first, with other flags.
        self.check_contradiction(&study)?;
        let changes: Vec<_> = self.changes(&study).collect();
        if changes.iter().any(|(key, value)| study.user_attrs.get(*key) != Some(value)) {
            let user = changes.into_iter().map(|(key, value)| merged(&study, key, value)).collect();
            let attrs = StudyAttrs { user, ..StudyAttrs::default() };
            study = storage.set_study_attrs(study.id, &attrs)?;
        }
        if let Some(module) = &self.module {
            study = module.resolve(storage, study)?;
        }
        let settings = Settings::of(&study)?;
        self.check_raised(&study, &settings)?;
        Ok((study, settings))
    }

    /// Returns the settings as [`Self::resolve`] would; nothing is written.
    pub(crate) fn preview(&self, mut study: StudyRecord) -> Result<Settings, CommandError> {
        self.check_rules(&study.directions)?;
        if let Some(module) = &self.module {
            module.check(&study)?;
        }
        self.check_contradiction(&study)?;
        let changes = self.changes(&study).map(|(key, value)| merged(&study, key, value));
        let changes: Vec<_> = changes.collect();
        study.user_attrs.extend(changes);
        for (key, value) in self.attributes_of_new_study() {
            study.user_attrs.entry(key).or_insert(value);
        }
        let settings = Settings::of(&study)?;
        self.check_raised(&study, &settings)?;
        Ok(settings)
    }

    /// Checks, before an objective runs, that no limit of the study is higher than the default unless its flag was
    /// given: every user of the database can write the study's limits, and only this user can decide what guests may
    /// take from this machine.
    fn check_raised(&self, study: &StudyRecord, settings: &Settings) -> Result<(), CommandError> {
        let Some(_) = &self.module else { return Ok(()) };
        let (defaults, remembered) = (Limits::default(), settings.limits());
        for limit in Limit::all().filter(|limit| !self.gives_limit(*limit)) {
            let (Some(default), Some(found)) = (defaults.get(limit), remembered.get(limit)) else {
                continue;
            };
            if found > default {
                let (name, flag) = (&study.name, args::limit::as_flag(limit, found));
                return Err(CommandError::usage(
                    format!(
                        "study `{name}` remembers {}, expected at most the default of {}",
                        limit.show(found),
                        limit.show(default)
                    ) + &format!(" for the limit `{}`", limit.name()),
                    format!("other users of the database can write this; to allow it, add {flag}"),
                ));
            }
        }
        Ok(())
    }

    /// Returns whether a limit is given on the command line.
    fn gives_limit(&self, limit: Limit) -> bool {
        match limit {
            Limit::Memory => self.is_explicit(MAX_MEMORY),
            Limit::TrialTime => self.is_explicit(TRIAL_TIMEOUT),
            _ => self.get(LIMITS).is_some_and(|limits| limits.get(limit.name()).is_some()),
        }
    }

    /// Returns the explicit settings that change the study.
    fn changes(&self, study: &StudyRecord) -> impl Iterator<Item = (&'static str, &Json)> {
        let explicit =
            self.explicit.iter().filter(|(key, value)| self.may_change(study, key, value));
        explicit.map(|(key, value)| (*key, value))
    }

    /// Returns whether an explicit value may replace the study's. More trials are a wish to continue, and no trial of
    /// the study is different for it.
    fn may_change(&self, study: &StudyRecord, key: &str, value: &Json) -> bool {
        let decides = || self.decides_max_trials || raises(study.user_attrs.get(MAX_TRIALS), value);
        self.overrule || (key == MAX_TRIALS && decides())
    }

    /// Checks that no explicit setting contradicts the study, unless it may change it.
    fn check_contradiction(&self, study: &StudyRecord) -> Result<(), CommandError> {
        for (key, value) in &self.explicit {
            if self.may_change(study, key, value) {
                continue;
            }
            let Some(stored) = differing(study, key, value) else { continue };
            // A sampler or pruner that is named without options is the study's own, with its options.
            let is_named_alone = [SAMPLER, PRUNER].contains(key)
                && value.get("options").is_none()
                && value.get("name") == stored.get("name");
            if is_named_alone {
                continue;
            }
            let (name, flag) = (&study.name, flag_of(key));
            return Err(CommandError::usage(
                format!(
                    "study `{name}` has {flag} = {}, found {} on the command line",
                    show(stored),
                    show(value)
                ),
                "leave the flag out to keep the study's value, or add --override to change the study",
            ));
        }
        Ok(())
    }
}

/// Returns whether a number of trials is larger than the one that the study has; null is no bound.
fn raises(stored: Option<&Json>, value: &Json) -> bool {
    match (stored.and_then(Json::as_u64), value.as_u64()) {
        (Some(stored), Some(value)) => value > stored,
        (Some(_), None) => *value == Json::Null,
        (None, _) => false,
    }
}

/// Returns whether a study takes an attribute over although it was created before.
fn is_taken_anytime(key: &str) -> bool {
    let is_anytime = |setting: &Setting| setting.key == key && setting.rule == Rule::Anytime;
    key == MODULE || SETTINGS.iter().any(is_anytime)
}

impl ModuleFlags {
    /// Returns the module of the study, if it is another one that this one may replace.
    fn check(&self, study: &StudyRecord) -> Result<Option<String>, CommandError> {
        let Some(kept) = study.user_attrs.get(MODULE) else { return Ok(None) };
        let digest = "a digest such as \"sha256:…\"";
        let kept = kept.as_str().ok_or_else(|| unexpected(study, MODULE, digest))?;
        if is_same_module(kept, &self.digest) {
            return Ok(None);
        }
        if self.may_change {
            return Ok(Some(kept.to_owned()));
        }
        let is_program = |digest: &str| digest.starts_with(PROGRAM);
        let (kind, found) = match (is_program(kept), is_program(&self.digest)) {
            (true, true) => ("program", ""),
            (false, true) => ("module", "program "),
            (_, false) => ("module", ""),
        };
        Err(CommandError::usage(
            format!(
                "study `{}` was created by a different {kind} ({}), found {found}{}",
                study.name,
                short_digest(kept),
                short_digest(&self.digest)
            ),
            "values of different code do not compare: choose a new --study-name; continue this study with \
             --allow-module-change, or a copy of it (`trialbox study copy OLD --to-study-name NEW`)",
        ))
    }

    /// Checks the module, and notes in the study if it replaces another one.
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
        // A module under development changes often.
        changes.drain(..changes.len().saturating_sub(MAX_MODULE_CHANGES));
        let user = vec![
            (MODULE.to_owned(), Json::from(self.digest.as_str())),
            (MODULE_CHANGES.to_owned(), Json::Array(changes)),
        ];
        let attrs = StudyAttrs { user, ..StudyAttrs::default() };
        Ok(storage.set_study_attrs(study.id, &attrs)?)
    }
}

/// Returns whether a study of the module `kept` takes trials of the module `ours`. Earlier versions did not note which
/// program a study had.
fn is_same_module(kept: &str, ours: &str) -> bool {
    let is_any_program = kept == PROGRAM && ours.starts_with(PROGRAM);
    kept == ours || is_any_program
}

/// Returns enough of a digest to tell modules apart, or a program's command.
fn short_digest(digest: &str) -> String {
    match digest.strip_prefix(PROGRAM) {
        Some(command) => format!("`{}`", command.trim_start()),
        None => digest.get(.."sha256:".len() + 12).unwrap_or(digest).to_owned(),
    }
}

/// Returns the stored value, if it differs from `value`.
fn differing<'a>(study: &'a StudyRecord, key: &str, value: &Json) -> Option<&'a Json> {
    study.user_attrs.get(key).filter(|stored| match key {
        LIMITS => args::limit::contradict(stored, value),
        _ => !stored.python_eq(value),
    })
}

/// Returns the attribute of an explicit setting, merged with the stored limits where it is a limit.
fn merged(study: &StudyRecord, key: &str, value: &Json) -> (String, Json) {
    let value = match key {
        LIMITS => args::limit::merge(study.user_attrs.get(LIMITS), value),
        _ => value.clone(),
    };
    (key.to_owned(), value)
}

impl Settings {
    /// Returns the limits of this study, before those of a command.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = self.limits;
        if let Some(bytes) = self.max_memory_bytes {
            limits.set(Limit::Memory, Some(bytes));
        }
        if let Some(timeout) = self.trial_timeout {
            limits.set(Limit::TrialTime, Some(timeout.as_millis().try_into().unwrap_or(u64::MAX)));
        }
        limits
    }

    /// Reads the settings of a study.
    pub(crate) fn of(study: &StudyRecord) -> Result<Self, CommandError> {
        let seed = stored(study, SEED, "a whole number from 0 to 2^64 - 1", Json::as_whole)?
            .ok_or_else(|| unreadable(study, SEED, ": expected a whole number, found none"))?;
        let sampler = choice(study, SAMPLER, SamplerConfig::from_json)?;
        let pruner = choice(study, PRUNER, PrunerConfig::from_json)?;
        let mut limits = Limits::default();
        if let Some(remembered) = study.user_attrs.get(LIMITS) {
            args::limit::apply_remembered(remembered, &mut limits)
                .map_err(|problem| unreadable(study, LIMITS, &format!(": {problem}")))?;
        }
        let bytes = "a whole number of bytes of at least 1";
        let max_memory_bytes = stored(study, MAX_MEMORY, bytes, positive)?;
        let seconds = "a number of seconds above 0";
        let trial_timeout = stored(study, TRIAL_TIMEOUT, seconds, seconds_of)?;
        let deterministic = stored(study, DETERMINISTIC, "true or false", flag)?.unwrap_or(false);
        Ok(Settings {
            seed,
            sampler,
            pruner,
            max_memory_bytes,
            trial_timeout,
            limits,
            deterministic,
            retry: retry_policy(study)?,
            budgets: budgets_of(study)
                .map_err(|(key, expected)| unexpected(study, key, expected))?,
            constraint_format: constraint_format(study)?,
        })
    }
}

/// Reads an attribute of a study, which any user of the database may have written; `None` if it is absent or null.
///
/// # Errors
/// Names the study, the attribute, the value expected and the one found.
fn stored<T>(
    study: &StudyRecord,
    key: &'static str,
    expected: &str,
    read: impl Fn(&Json) -> Option<T>,
) -> Result<Option<T>, CommandError> {
    match study.user_attrs.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => read(json).map(Some).ok_or_else(|| unexpected(study, key, expected)),
    }
}

fn positive(json: &Json) -> Option<u64> {
    json.as_whole().filter(|value| *value > 0)
}

fn seconds_of(json: &Json) -> Option<Duration> {
    let seconds = json.as_f64().filter(|_| !matches!(json, Json::Bool(_)))?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
}

fn flag(json: &Json) -> Option<bool> {
    if let Json::Bool(value) = json { Some(*value) } else { None }
}

/// Reads the sampler or pruner that the study remembers.
fn choice<C>(
    study: &StudyRecord,
    key: &'static str,
    read: impl Fn(&Json) -> Result<C, ConfigError>,
) -> Result<C, CommandError> {
    let kept = study.user_attrs.get(key).ok_or_else(|| unreadable(study, key, ""))?;
    read(kept).map_err(|error| unreadable(study, key, &format!(": {error}")))
}

/// Returns the retry policy of a study, which trialbox may not have created.
///
/// # Errors
/// Fails if the attribute cannot be read.
pub(crate) fn retry_policy(study: &StudyRecord) -> Result<RetryPolicy, CommandError> {
    let expected = "a whole number from 0 to 4294967295";
    let kept = stored(study, MAX_RETRIES, expected, |json| json.as_whole()?.try_into().ok())?;
    Ok(RetryPolicy { max_retries: kept.unwrap_or(DEFAULT_MAX_RETRIES) })
}

/// Returns the format of the study's constraints; named by default.
pub(crate) fn constraint_format(study: &StudyRecord) -> Result<ConstraintFormat, CommandError> {
    let read = |json: &Json| ConstraintFormat::parse(json.as_str()?);
    let kept = stored(study, CONSTRAINT_FORMAT, "\"named\" or \"legacy\"", read)?;
    Ok(kept.unwrap_or_default())
}

/// Returns the error of an attribute that holds another value than `expected`.
fn unexpected(study: &StudyRecord, key: &str, expected: &str) -> CommandError {
    const MAX_SHOWN: usize = 80;
    let found = study.user_attrs.get(key).map(Json::to_string).unwrap_or_default();
    let found = shorten(&clean(&found), MAX_SHOWN);
    unreadable(study, key, &format!(": expected {expected}, found {found}"))
}

fn unreadable(study: &StudyRecord, key: &str, why: &str) -> CommandError {
    CommandError::usage(
        format!("the attribute `{key}` of study `{}` cannot be read{why}", study.name),
        format!("set it again with {} and --override of `trialbox run`", flag_of(key)),
    )
}

/// Returns a random seed, short enough to be read and typed.
pub(crate) fn new_seed() -> u64 {
    u64::from(rand::random::<u32>())
}

/// Formats a setting as the command line has it.
fn show(value: &Json) -> String {
    if *value == Json::Null { "none".to_owned() } else { value.to_string() }
}

fn flag_of(key: &str) -> &'static str {
    if key == MODULE {
        return "--allow-module-change";
    }
    SETTINGS.iter().find(|setting| setting.key == key).map_or("a flag", |setting| setting.flag)
}
