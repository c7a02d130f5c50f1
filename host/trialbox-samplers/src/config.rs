//! Which sampler a study has, as a user names it and as the study remembers it.

use crate::options::{self, OptionError};
use crate::tpe::{TpeOptions, TpeSampler};
use crate::{
    BruteForceOptions, BruteForceSampler, GridOptions, GridSampler, MidpointSampler, QmcOptions,
    QmcSampler, RandomSampler,
};
use trialbox_core::json::Json;
use trialbox_core::sampler::Sampler;

/// A sampler with its options.
///
/// To add one: a variant that holds its options, and an arm in each of the functions below.
#[derive(Debug, Clone, PartialEq)]
pub enum SamplerConfig {
    /// [`TpeSampler`].
    Tpe(TpeOptions),
    /// [`RandomSampler`].
    Random,
    /// [`QmcSampler`].
    Qmc(QmcOptions),
    /// [`GridSampler`].
    Grid(GridOptions),
    /// [`BruteForceSampler`].
    BruteForce(BruteForceOptions),
    /// [`MidpointSampler`], which proposes the same again and again: nobody can choose it for a study.
    Midpoint,
}

/// Why a text or a study's memory names no sampler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// No sampler has that name.
    #[error("there is no sampler `{name}`; there are: {}", SamplerConfig::NAMES.join(", "))]
    Unknown {
        /// As given.
        name: String,
    },
    /// An option that the sampler does not have, or a value that does not fit.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// An option that has no default and was not given.
    #[error("sampler `{sampler}` needs the option `{option}`, for example {example}")]
    Missing {
        /// The sampler.
        sampler: &'static str,
        /// The option.
        option: &'static str,
        /// How it could be given.
        example: &'static str,
    },
    /// An option without a value.
    #[error("a sampler's option is given as NAME=VALUE, but `{text}` has no `=`")]
    NoValue {
        /// As given.
        text: String,
    },
}

impl Default for SamplerConfig {
    fn default() -> Self {
        SamplerConfig::Tpe(TpeOptions::default())
    }
}

impl SamplerConfig {
    /// The samplers that a study can have; the first is the default.
    pub const NAMES: &'static [&'static str] = &["tpe", "random", "qmc", "grid", "brute-force"];

    /// The sampler of that name, with default options.
    ///
    /// # Errors
    /// Lists the samplers there are.
    pub fn parse(name: &str) -> Result<Self, SamplerError> {
        match name.to_ascii_lowercase().as_str() {
            "tpe" => Ok(SamplerConfig::Tpe(TpeOptions::default())),
            "random" => Ok(SamplerConfig::Random),
            "qmc" => Ok(SamplerConfig::Qmc(QmcOptions::default())),
            "grid" => Ok(SamplerConfig::Grid(GridOptions::default())),
            "brute-force" => Ok(SamplerConfig::BruteForce(BruteForceOptions::default())),
            _ => Err(SamplerError::Unknown { name: name.to_owned() }),
        }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            SamplerConfig::Tpe(_) => "tpe",
            SamplerConfig::Random => "random",
            SamplerConfig::Qmc(_) => "qmc",
            SamplerConfig::Grid(_) => "grid",
            SamplerConfig::BruteForce(_) => "brute-force",
            SamplerConfig::Midpoint => "midpoint",
        }
    }

    /// Sets an option given as `NAME=VALUE`, the value being JSON, one of Python's `True`, `False` and
    /// `None`, or else a text.
    ///
    /// # Errors
    /// Lists the options there are, or says what the value must be.
    pub fn set_option(&mut self, text: &str) -> Result<(), SamplerError> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| SamplerError::NoValue { text: text.to_owned() })?;
        let value = match value.trim() {
            "True" => Json::Bool(true),
            "False" => Json::Bool(false),
            "None" => Json::Null,
            value => Json::parse(value).unwrap_or_else(|_| Json::from(value)),
        };
        self.set(name.trim(), &value)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// Lists the options there are, or says what the value must be.
    pub fn set(&mut self, option: &str, value: &Json) -> Result<(), SamplerError> {
        let sampler = self.name();
        match self {
            SamplerConfig::Tpe(tpe) => options::set(tpe, sampler, option, value)?,
            SamplerConfig::Qmc(qmc) => options::set(qmc, sampler, option, value)?,
            SamplerConfig::Grid(grid) => options::set(grid, sampler, option, value)?,
            SamplerConfig::BruteForce(search) => options::set(search, sampler, option, value)?,
            SamplerConfig::Random | SamplerConfig::Midpoint => {
                options::set(&mut (), sampler, option, value)?;
            }
        }
        Ok(())
    }

    /// Whether every option that has no default is there. To be asked when all options are set.
    ///
    /// # Errors
    /// Names the missing option.
    pub fn check_complete(&self) -> Result<(), SamplerError> {
        match self {
            SamplerConfig::Grid(grid) if grid.search_space.is_empty() => {
                Err(SamplerError::Missing {
                    sampler: "grid",
                    option: "search_space",
                    example: r#"search_space={"lr": [0.1, 0.01], "depth": [1, 2, 3]}"#,
                })
            }
            _ => Ok(()),
        }
    }

    /// The options that differ from their defaults.
    fn changed_options(&self) -> Vec<(&'static str, Json)> {
        match self {
            SamplerConfig::Tpe(tpe) => options::changed(tpe),
            SamplerConfig::Qmc(qmc) => options::changed(qmc),
            SamplerConfig::Grid(grid) => options::changed(grid),
            SamplerConfig::BruteForce(search) => options::changed(search),
            SamplerConfig::Random | SamplerConfig::Midpoint => vec![],
        }
    }

    /// What a study remembers: `{"name": "tpe", "options": {"n_startup_trials": 20}}`, with those options
    /// that differ from their defaults.
    pub fn to_json(&self) -> Json {
        let mut members = vec![("name", Json::from(self.name()))];
        let options = self.changed_options();
        if !options.is_empty() {
            members.push(("options", Json::object(options)));
        }
        Json::object(members)
    }

    /// Reads what a study remembers.
    ///
    /// # Errors
    /// Lists the samplers or the options there are.
    pub fn from_json(json: &Json) -> Result<Self, SamplerError> {
        let name = json.get("name").and_then(Json::as_str).unwrap_or_default();
        let mut config = SamplerConfig::parse(name)?;
        if let Some(Json::Object(options)) = json.get("options") {
            for (option, value) in options {
                config.set(option, value)?;
            }
        }
        Ok(config)
    }

    /// The sampler itself.
    pub fn build(&self) -> Box<dyn Sampler> {
        match self {
            SamplerConfig::Tpe(options) => Box::new(TpeSampler::new(options.clone())),
            SamplerConfig::Random => Box::new(RandomSampler),
            SamplerConfig::Qmc(options) => Box::new(QmcSampler::new(options.clone())),
            SamplerConfig::Grid(options) => Box::new(GridSampler::new(options)),
            SamplerConfig::BruteForce(options) => Box::new(BruteForceSampler::new(options.clone())),
            SamplerConfig::Midpoint => Box::new(MidpointSampler),
        }
    }
}

/// As on the command line: `tpe, n_startup_trials=20`.
impl std::fmt::Display for SamplerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        self.changed_options().iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}
