//! Which sampler a study has, as a user names it and as the study remembers it.

use crate::options::{self, ConfigError, OptionsOf};
use crate::tpe::{TpeOptions, TpeSampler};
use crate::{
    BruteForceOptions, BruteForceSampler, GridOptions, GridSampler, MidpointSampler, QmcOptions,
    QmcSampler, RandomSampler,
};
use trialbox_core::{Json, Sampler};

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
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        match name.to_ascii_lowercase().as_str() {
            "tpe" => Ok(SamplerConfig::Tpe(TpeOptions::default())),
            "random" => Ok(SamplerConfig::Random),
            "qmc" => Ok(SamplerConfig::Qmc(QmcOptions::default())),
            "grid" => Ok(SamplerConfig::Grid(GridOptions::default())),
            "brute-force" => Ok(SamplerConfig::BruteForce(BruteForceOptions::default())),
            _ => Err(ConfigError::unknown_name("sampler", name, Self::NAMES)),
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
    pub fn set_option(&mut self, text: &str) -> Result<(), ConfigError> {
        let (name, value) = options::parse(OptionsOf::Sampler(self.name()), text)?;
        self.set(name, &value)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// Lists the options there are, or says what the value must be.
    pub fn set(&mut self, option: &str, value: &Json) -> Result<(), ConfigError> {
        let sampler = OptionsOf::Sampler(self.name());
        match self {
            SamplerConfig::Tpe(tpe) => options::set(tpe, sampler, option, value),
            SamplerConfig::Qmc(qmc) => options::set(qmc, sampler, option, value),
            SamplerConfig::Grid(grid) => options::set(grid, sampler, option, value),
            SamplerConfig::BruteForce(search) => options::set(search, sampler, option, value),
            SamplerConfig::Random | SamplerConfig::Midpoint => {
                options::set(&mut (), sampler, option, value)
            }
        }
    }

    /// Whether every option that has no default is there. To be asked when all options are set.
    ///
    /// # Errors
    /// Names the missing option.
    pub fn check_complete(&self) -> Result<(), ConfigError> {
        match self {
            SamplerConfig::Grid(grid) if grid.search_space.is_empty() => {
                Err(ConfigError::Missing {
                    owner: OptionsOf::Sampler("grid"),
                    option: "`search_space`",
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
        options::to_json(self.name(), self.changed_options())
    }

    /// Reads what a study remembers.
    ///
    /// # Errors
    /// Lists the samplers or the options there are.
    pub fn from_json(json: &Json) -> Result<Self, ConfigError> {
        let (name, options) = options::of_json("sampler", json)?;
        let mut config = SamplerConfig::parse(name)?;
        options.iter().try_for_each(|(option, value)| config.set(option, value))?;
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
        options::show(f, self.name(), &self.changed_options())
    }
}
