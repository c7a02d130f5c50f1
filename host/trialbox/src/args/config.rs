//! The flags of samplers and pruners: a name, and options of it.

use crate::args::param::check_unique;
use crate::error::CommandError;
use trialbox_samplers::{Config, ConfigError, Kind};

/// Returns the help of `--sampler` or `--pruner`, from the list of names.
pub(crate) fn help<S: Kind + ?Sized>(purpose: &str) -> String {
    format!(
        "{purpose}: {}; remembered by the study [default: {}]",
        Config::<S>::names(),
        Config::<S>::default().name()
    )
}

/// Returns the sampler or pruner that the flags choose, or `None` without such flags. Options alone are those of
/// the default one.
///
/// # Errors
/// Names the option that is unknown, missing, given twice, or does not fit.
pub(crate) fn chosen<S: Kind + ?Sized>(
    name: Option<&Config<S>>,
    options: &[String],
) -> Result<Option<Config<S>>, CommandError> {
    if name.is_none() && options.is_empty() {
        return Ok(None);
    }
    let flag = format!("--{}-opt", S::WORD);
    let pairs = options.iter().filter_map(|option| option.split_once('='));
    let pairs: Vec<(&str, &str)> = pairs.map(|(name, value)| (name.trim(), value)).collect();
    check_unique(&flag, &pairs)?;
    let mut config = name.cloned().unwrap_or_default();
    if let Err(error) = set_all(&mut config, options) {
        let mut help = format!("give options as {flag} NAME=VALUE");
        if name.is_none() {
            help += &format!(
                "; without --{} they are those of the default, `{}`",
                S::WORD,
                config.name()
            );
        }
        return Err(CommandError::usage(error.to_string(), help));
    }
    Ok(Some(config))
}

fn set_all<S: Kind + ?Sized>(
    config: &mut Config<S>,
    options: &[String],
) -> Result<(), ConfigError> {
    for option in options {
        config.set_option(option)?;
    }
    config.check_complete()
}
