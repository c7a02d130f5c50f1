//! Which sampler a study has, as a user names it and as the study remembers it.

use crate::{MidpointSampler, RandomSampler};
use trialbox_core::json::Json;
use trialbox_core::sampler::Sampler;

/// A sampler with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SamplerConfig {
    /// [`RandomSampler`].
    #[default]
    Random,
    /// [`MidpointSampler`], which proposes the same again and again: nobody can choose it for a study.
    Midpoint,
}

/// A name that is no sampler's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no sampler `{name}`; there is: random")]
pub struct UnknownSampler {
    /// As given.
    pub name: String,
}

impl SamplerConfig {
    /// The sampler of that name, with default options.
    ///
    /// # Errors
    /// Lists the samplers there are.
    pub fn parse(name: &str) -> Result<Self, UnknownSampler> {
        match name.to_ascii_lowercase().as_str() {
            "random" => Ok(SamplerConfig::Random),
            _ => Err(UnknownSampler { name: name.to_owned() }),
        }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            SamplerConfig::Random => "random",
            SamplerConfig::Midpoint => "midpoint",
        }
    }

    /// What a study remembers: `{"name": "random"}`, with room for options.
    pub fn to_json(&self) -> Json {
        Json::object([("name", Json::from(self.name()))])
    }

    /// Reads what a study remembers.
    ///
    /// # Errors
    /// Lists the samplers there are.
    pub fn from_json(json: &Json) -> Result<Self, UnknownSampler> {
        SamplerConfig::parse(json.get("name").and_then(Json::as_str).unwrap_or_default())
    }

    /// The sampler itself.
    pub fn build(&self) -> Box<dyn Sampler> {
        match self {
            SamplerConfig::Random => Box::new(RandomSampler),
            SamplerConfig::Midpoint => Box::new(MidpointSampler),
        }
    }
}
