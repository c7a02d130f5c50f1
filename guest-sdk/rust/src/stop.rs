//! The reasons for which an objective ends without a value.

use std::error::Error;
use std::fmt;

/// The result of an objective: its value, or the reason to stop without one.
///
/// ```
/// use trialbox_guest::{Result, Trial};
///
/// fn one(trial: &mut Trial) -> Result<f64> {
///     # let _ = trial;
///     Ok("1.5".parse()?)
/// }
///
/// /// Two values, for the two metrics of `#[objective(minimize = "loss", maximize = "accuracy")]`.
/// fn two(trial: &mut Trial) -> Result<(f64, f64)> {
///     Ok((one(trial)?, 0.9))
/// }
/// # assert_eq!(two(&mut Trial::fixed([])).unwrap(), (1.5, 0.9));
/// ```
pub type Result<T = f64> = std::result::Result<T, Stop>;

/// The reason for which an objective ends without a value.
///
/// Every [`Error`] converts into [`Stop::Failed`], so `?` works on all of them. The message includes
/// the causes:
///
/// ```
/// use trialbox_guest::{Result, Stop};
///
/// fn parse(text: &str) -> Result<f64> {
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(parse("x").unwrap_err(), Stop::failed("invalid float literal"));
/// ```
///
/// An objective, or a part of one, may also return `Box<dyn Error>`. There `?` works on `Stop`, on
/// `Box<dyn Error>` and on `anyhow::Error`, which are not [`Error`]s themselves, and a pruned trial stays
/// pruned:
///
/// ```
/// use std::error::Error;
/// use trialbox_guest::{Trial, objective};
///
/// fn read(path: &str) -> Result<Vec<f64>, Box<dyn Error>> {
///     std::fs::read_to_string(path)?.lines().map(|line| Ok(line.parse()?)).collect()
/// }
///
/// #[objective(minimize = "loss")]
/// pub fn train(trial: &mut Trial) -> Result<f64, Box<dyn Error>> {
///     let data = read("/data/table.csv")?;
///     trial.step(data[0], 0)?;
///     Ok(data[0])
/// }
/// # assert!(train(&mut Trial::fixed([])).is_err());
/// ```
///
/// `Stop` does not implement [`Error`] itself: the conversion from every error would then overlap with
/// the conversion from `Stop` to `Stop`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "return it from the objective"]
pub enum Stop {
    /// The pruner stopped the trial, which is recorded as PRUNED with its last reported value.
    Pruned,
    /// The objective could not be evaluated. The trial is recorded as FAIL with this message.
    Failed(String),
}

impl Stop {
    /// Returns a failure with this message: a text, [`format_args!`] or an error.
    ///
    /// The message is any value with a `Display`. That includes types which do not implement [`Error`],
    /// such as `Box<dyn Error>` and `anyhow::Error`:
    ///
    /// ```
    /// use trialbox_guest::{Result, Stop};
    ///
    /// fn load() -> std::result::Result<f64, Box<dyn std::error::Error>> {
    ///     Err("no such table".into())
    /// }
    ///
    /// fn objective() -> Result<f64> {
    ///     let first = [1.0, 2.0].first().copied().ok_or_else(|| Stop::failed("no data"))?;
    ///     Ok(first + load().map_err(Stop::failed)?)
    /// }
    /// # assert_eq!(objective(), Err(Stop::Failed("no such table".to_owned())));
    /// ```
    pub fn failed(message: impl fmt::Display) -> Self {
        Stop::Failed(message.to_string())
    }
}

impl<E: Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Failed(message_with_causes(&error))
    }
}

impl From<Stop> for Box<dyn Error> {
    fn from(stop: Stop) -> Self {
        Box::new(StopError(stop))
    }
}

impl From<Stop> for Box<dyn Error + Send + Sync> {
    fn from(stop: Stop) -> Self {
        Box::new(StopError(stop))
    }
}

impl Stop {
    /// Returns the reason that an error stands for: a `Stop` that became an error is itself again.
    pub(crate) fn of(error: Box<dyn Error>) -> Self {
        match error.downcast::<StopError>() {
            Ok(stop) => stop.0,
            Err(error) => Stop::Failed(message_with_causes(error.as_ref())),
        }
    }
}

/// A [`Stop`] on its way through functions that return `Box<dyn Error>`.
#[derive(Debug)]
struct StopError(Stop);

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StopError {}

fn message_with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors repeat their cause in their own text.
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Pruned => f.write_str("pruned"),
            Stop::Failed(message) => f.write_str(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layered(&'static str, Option<Box<Layered>>);

    impl fmt::Display for Layered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layered {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &dyn Error)
        }
    }

    #[test]
    fn the_message_of_an_error_has_its_causes() {
        let disk = Layered("disk on fire", None);
        let read = Layered("failed to read", Some(Box::new(disk)));
        let error = Layered("no data", Some(Box::new(read)));
        assert_eq!(Stop::from(error), Stop::failed("no data: failed to read: disk on fire"));
    }

    #[test]
    fn a_stop_passes_through_a_boxed_error_as_it_is() {
        for stop in [Stop::Pruned, Stop::failed("no data")] {
            let boxed: Box<dyn Error> = stop.clone().into();
            assert_eq!(boxed.to_string(), stop.to_string());
            assert_eq!(Stop::of(boxed), stop);
        }
        let error = Layered("no data", Some(Box::new(Layered("disk on fire", None))));
        assert_eq!(Stop::of(error.into()), Stop::failed("no data: disk on fire"));
        assert_eq!(Stop::of("a text".into()), Stop::failed("a text"));
    }

    #[test]
    fn a_cause_that_the_message_repeats_is_said_once() {
        let error = Layered("no data: disk on fire", Some(Box::new(Layered("disk on fire", None))));
        assert_eq!(Stop::from(error), Stop::failed("no data: disk on fire"));
    }
}
