//! Samplers, pruners, and the importances of parameters: pure functions of a study's history, without I/O, locks or
//! state of their own.
//!
//! [`SamplerConfig`] is what a user chooses and a study remembers; it builds the sampler. So is [`PrunerConfig`].
//! [`importance`] says afterwards which parameters mattered.
#![forbid(unsafe_code)]

mod auto;
mod brute_force;
mod cmaes;
mod config;
mod draws;
mod error;
pub mod gp;
mod grid;
pub mod importance;
mod midpoint;
mod nsga;
mod options;
pub mod pareto;
mod partial_fixed;
pub mod pruners;
mod qmc;
mod quadratic;
mod random;
mod relative_params;
#[cfg(test)]
mod testing;
pub mod tpe;
mod vector;

pub use auto::{AutoOptions, AutoSampler};
pub use brute_force::{BruteForceOptions, BruteForceSampler};
pub use cmaes::{CmaEsOptions, CmaEsSampler, SourceTrial};
pub use config::{Config, Configured, Entry, Kind};
pub use error::{ConfigError, OptionsOf};
pub use gp::{GpOptions, GpSampler};
pub use grid::{GridOptions, GridSampler};
pub use midpoint::MidpointSampler;
pub use nsga::{Crossover, GeneticOptions, NsgaIiOptions, NsgaIiiOptions, NsgaSampler};
pub use options::{Field, Options, Refusal};
pub use partial_fixed::PartialFixedSampler;
pub use pruners::PrunerConfig;
pub use qmc::{QmcOptions, QmcSampler, QmcType};
pub use random::RandomSampler;
pub use tpe::{TpeOptions, TpeSampler};

use trialbox_core::Sampler;

/// A sampler with its options.
pub type SamplerConfig = Config<dyn Sampler>;

impl Kind for dyn Sampler {
    const WORD: &'static str = "sampler";
    const LIST: &'static [Entry<dyn Sampler>] = &[
        Entry::of::<TpeOptions>(),
        Entry::of::<AutoOptions>(),
        Entry::of::<random::RandomOptions>(),
        Entry::of::<QmcOptions>(),
        Entry::of::<GpOptions>(),
        Entry::of::<CmaEsOptions>(),
        Entry::of::<NsgaIiOptions>(),
        Entry::of::<NsgaIiiOptions>(),
        Entry::of::<GridOptions>(),
        Entry::of::<BruteForceOptions>(),
    ];
}

impl SamplerConfig {
    /// Returns the names of the samplers that do not learn from results, in a sentence.
    pub fn names_of_those_that_do_not_learn() -> String {
        let mut names: Vec<String> = Vec::new();
        for config in SamplerConfig::all() {
            if !config.build().learns_from_results() {
                names.push(config.name().to_owned());
            }
        }
        config::in_words(&names)
    }
}
