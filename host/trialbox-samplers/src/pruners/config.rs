//! Which pruner a study has, as a user names it and as the study remembers it.

use super::{
    HyperbandOptions, HyperbandPruner, MedianOptions, MedianPruner, PatientOptions, PatientPruner,
    PercentileOptions, PercentilePruner, SuccessiveHalvingOptions, SuccessiveHalvingPruner,
    ThresholdOptions, ThresholdPruner, WilcoxonOptions, WilcoxonPruner,
};
use crate::options::{self, ConfigError, OptionsOf, count};
use trialbox_core::Json;
use trialbox_core::seam::pruner::{NopPruner, Pruner};

/// A pruner with its options.
///
/// To add one: a variant that holds its options, and an arm in each of the functions below.
#[derive(Debug, Clone, PartialEq)]
pub enum PrunerConfig {
    /// [`MedianPruner`].
    Median(MedianOptions),
    /// [`PercentilePruner`].
    Percentile(PercentileOptions),
    /// [`SuccessiveHalvingPruner`].
    SuccessiveHalving(SuccessiveHalvingOptions),
    /// [`HyperbandPruner`].
    Hyperband(HyperbandOptions),
    /// [`ThresholdPruner`].
    Threshold(ThresholdOptions),
    /// [`PatientPruner`].
    Patient(PatientOptions),
    /// [`WilcoxonPruner`].
    Wilcoxon(WilcoxonOptions),
    /// [`NopPruner`].
    Nop,
}

impl Default for PrunerConfig {
    fn default() -> Self {
        PrunerConfig::Median(MedianOptions::default())
    }
}

impl PrunerConfig {
    /// The pruners that a study can have; the first is the default.
    pub const NAMES: &'static [&'static str] = &[
        "median",
        "percentile",
        "successive-halving",
        "hyperband",
        "threshold",
        "patient",
        "wilcoxon",
        "nop",
    ];

    /// The pruner of that name, with default options; `asha` is `successive-halving`, and `none` is `nop`.
    ///
    /// # Errors
    /// Lists the pruners there are.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        match name.to_ascii_lowercase().as_str() {
            "median" => Ok(PrunerConfig::Median(MedianOptions::default())),
            "percentile" => Ok(PrunerConfig::Percentile(PercentileOptions::default())),
            "successive-halving" | "asha" => {
                Ok(PrunerConfig::SuccessiveHalving(SuccessiveHalvingOptions::default()))
            }
            "hyperband" => Ok(PrunerConfig::Hyperband(HyperbandOptions::default())),
            "threshold" => Ok(PrunerConfig::Threshold(ThresholdOptions::default())),
            "patient" => Ok(PrunerConfig::Patient(PatientOptions::default())),
            "wilcoxon" => Ok(PrunerConfig::Wilcoxon(WilcoxonOptions::default())),
            "nop" | "none" => Ok(PrunerConfig::Nop),
            _ => Err(ConfigError::unknown_name("pruner", name, Self::NAMES)),
        }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            PrunerConfig::Median(_) => "median",
            PrunerConfig::Percentile(_) => "percentile",
            PrunerConfig::SuccessiveHalving(_) => "successive-halving",
            PrunerConfig::Hyperband(_) => "hyperband",
            PrunerConfig::Threshold(_) => "threshold",
            PrunerConfig::Patient(_) => "patient",
            PrunerConfig::Wilcoxon(_) => "wilcoxon",
            PrunerConfig::Nop => "nop",
        }
    }

    fn owner(&self) -> OptionsOf {
        OptionsOf::Pruner(self.name())
    }

    /// Sets an option given as `NAME=VALUE`, the value being JSON, one of Python's `True`, `False` and
    /// `None`, or else a text.
    ///
    /// # Errors
    /// Lists the options there are, or says what the value must be.
    pub fn set_option(&mut self, text: &str) -> Result<(), ConfigError> {
        let (name, value) = options::parse(self.owner(), text)?;
        self.set(name, &value)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// Lists the options there are, or says what the value must be.
    pub fn set(&mut self, option: &str, value: &Json) -> Result<(), ConfigError> {
        let pruner = self.owner();
        match self {
            PrunerConfig::Median(median) => options::set(median, pruner, option, value),
            PrunerConfig::Percentile(found) => options::set(found, pruner, option, value),
            PrunerConfig::SuccessiveHalving(found) => options::set(found, pruner, option, value),
            PrunerConfig::Hyperband(found) => options::set(found, pruner, option, value),
            PrunerConfig::Threshold(found) => options::set(found, pruner, option, value),
            PrunerConfig::Patient(patient) if option == PatientOptions::WRAPPED => {
                patient.wrapped_pruner = parse_wrapped(pruner, value)?.map(Box::new);
                Ok(())
            }
            PrunerConfig::Patient(patient) => options::set(patient, pruner, option, value),
            PrunerConfig::Wilcoxon(found) => options::set(found, pruner, option, value),
            PrunerConfig::Nop => options::set(&mut (), pruner, option, value),
        }
    }

    /// Whether every option that has no default is there, and those that are fit each other. To be asked when all
    /// options are set.
    ///
    /// # Errors
    /// Names the option that is missing or does not fit.
    pub fn check_complete(&self) -> Result<(), ConfigError> {
        let owner = self.owner();
        let missing = |option, example| Err(ConfigError::Missing { owner, option, example });
        match self {
            PrunerConfig::Percentile(PercentileOptions { percentile: None, .. }) => {
                missing("`percentile`", "percentile=25")
            }
            PrunerConfig::Patient(PatientOptions { patience: None, .. }) => {
                missing("`patience`", "patience=3")
            }
            PrunerConfig::Threshold(ThresholdOptions { lower: None, upper: None, .. }) => {
                missing("`lower` or `upper`", "upper=1.5")
            }
            PrunerConfig::Threshold(ThresholdOptions {
                lower: Some(lower),
                upper: Some(upper),
                ..
            }) if lower > upper => {
                let (found, wanted) = (Json::Float(*lower).to_string(), "at most `upper`");
                Err(ConfigError::Value { owner, option: "lower", wanted, found })
            }
            PrunerConfig::SuccessiveHalving(SuccessiveHalvingOptions {
                min_resource: None,
                bootstrap_count,
                ..
            })
            | PrunerConfig::Hyperband(HyperbandOptions {
                max_resource: None,
                bootstrap_count,
                ..
            }) if *bootstrap_count > 0 => {
                let wanted = "0 where the resource is \"auto\"";
                let found = count(*bootstrap_count).to_string();
                Err(ConfigError::Value { owner, option: "bootstrap_count", wanted, found })
            }
            _ => Ok(()),
        }
    }

    /// The options that differ from their defaults.
    fn changed_options(&self) -> Vec<(&'static str, Json)> {
        match self {
            PrunerConfig::Median(found) => options::changed(found),
            PrunerConfig::Percentile(found) => options::changed(found),
            PrunerConfig::SuccessiveHalving(found) => options::changed(found),
            PrunerConfig::Hyperband(found) => options::changed(found),
            PrunerConfig::Threshold(found) => options::changed(found),
            PrunerConfig::Patient(found) => options::changed(found),
            PrunerConfig::Wilcoxon(found) => options::changed(found),
            PrunerConfig::Nop => vec![],
        }
    }

    /// What a study remembers: `{"name": "median", "options": {"n_startup_trials": 3}}`, with those options
    /// that differ from their defaults.
    pub fn to_json(&self) -> Json {
        options::to_json(self.name(), self.changed_options())
    }

    /// Reads what a study remembers.
    ///
    /// # Errors
    /// Lists the pruners or the options there are, or names the option that is missing.
    pub fn from_json(json: &Json) -> Result<Self, ConfigError> {
        let (name, options) = options::of_json("pruner", json)?;
        let mut config = PrunerConfig::parse(name)?;
        options.iter().try_for_each(|(option, value)| config.set(option, value))?;
        config.check_complete()?;
        Ok(config)
    }

    /// The pruner itself. One that lacks an option never prunes; see [`Self::check_complete`].
    pub fn build(&self) -> Box<dyn Pruner> {
        match self {
            PrunerConfig::Median(options) => Box::new(MedianPruner::new(options.clone())),
            PrunerConfig::Percentile(PercentileOptions { percentile: Some(percentile), when }) => {
                Box::new(PercentilePruner::new(*percentile, when.clone()))
            }
            PrunerConfig::SuccessiveHalving(options) => {
                Box::new(SuccessiveHalvingPruner::new(options.clone()))
            }
            PrunerConfig::Hyperband(options) => Box::new(HyperbandPruner::new(options.clone())),
            PrunerConfig::Threshold(options) => Box::new(ThresholdPruner::new(options.clone())),
            PrunerConfig::Patient(PatientOptions {
                wrapped_pruner,
                patience: Some(patience),
                min_delta,
            }) => {
                let wrapped = wrapped_pruner.as_ref().map(|wrapped| wrapped.build());
                Box::new(PatientPruner::new(wrapped, *patience, *min_delta))
            }
            PrunerConfig::Wilcoxon(options) => Box::new(WilcoxonPruner::new(options.clone())),
            PrunerConfig::Percentile(_) | PrunerConfig::Patient(_) | PrunerConfig::Nop => {
                Box::new(NopPruner)
            }
        }
    }
}

/// Reads the pruner that a patient one wraps, which must be complete.
fn parse_wrapped(owner: OptionsOf, value: &Json) -> Result<Option<PrunerConfig>, ConfigError> {
    let wrapped = match value {
        Json::Null => return Ok(None),
        Json::String(name) => PrunerConfig::parse(name)?,
        Json::Object(_) => PrunerConfig::from_json(value)?,
        _ => {
            return Err(ConfigError::Value {
                owner,
                option: PatientOptions::WRAPPED,
                wanted: "a pruner's name, {\"name\": NAME, \"options\": {…}}, or null",
                found: value.to_string(),
            });
        }
    };
    wrapped.check_complete()?;
    Ok(Some(wrapped))
}

/// As on the command line: `median, n_startup_trials=3`.
impl std::fmt::Display for PrunerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        options::show(f, self.name(), &self.changed_options())
    }
}
