//! What the flags of samplers and pruners have in common.

use crate::args::param::check_unique;
use crate::error::CommandError;
use trialbox_samplers::ConfigError;

/// The sampler or pruner that the flags choose, if they say anything of it. Options alone are those of the
/// default one.
///
/// `set` takes an option as `NAME=VALUE`, and `check` is asked when all are set; `flag` is how to give options.
pub(crate) fn chosen<C: Clone + Default>(
    name: Option<&C>,
    options: &[String],
    set: impl Fn(&mut C, &str) -> Result<(), ConfigError>,
    check: impl Fn(&C) -> Result<(), ConfigError>,
    flag: &str,
) -> Result<Option<C>, CommandError> {
    if name.is_none() && options.is_empty() {
        return Ok(None);
    }
    let pairs = options.iter().filter_map(|option| option.split_once('='));
    check_unique(flag, &pairs.map(|(name, value)| (name.trim(), value)).collect::<Vec<_>>())?;
    let mut config = name.cloned().unwrap_or_default();
    options
        .iter()
        .try_for_each(|option| set(&mut config, option))
        .and_then(|()| check(&config))
        .map_err(|error| {
            let of_which = match name {
                Some(_) => String::new(),
                None => format!(
                    "; without {} they are those of the default one",
                    flag.trim_end_matches("-opt")
                ),
            };
            CommandError::usage(
                error.to_string(),
                format!("give options as {flag} NAME=VALUE{of_which}"),
            )
        })?;
    Ok(Some(config))
}
