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
/// With `?`, every [`Error`], every text and what else converts into `Box<dyn Error>` becomes a
/// [`Stop::Failed`], such as `Box<dyn Error>` itself and `anyhow::Error`. The message includes the causes:
///
/// ```
/// use std::error::Error;
/// use trialbox_guest::{Result, Stop};
///
/// fn read(text: &str) -> std::result::Result<f64, Box<dyn Error>> {
///     Ok(text.parse()?)
/// }
///
/// fn objective(text: &str) -> Result<f64> {
///     let first = text.split(',').next().ok_or("no data")?;
///     Ok(read(first)?)
/// }
///
/// assert_eq!(objective("x,y").unwrap_err(), Stop::failed("invalid float literal"));
/// ```
///
/// An objective may also return `Box<dyn Error>` or `anyhow::Result`, as its helpers do. A trial that
/// [`Trial::step`](crate::Trial::step) stops is pruned there too:
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
/// `Stop` is not an [`Error`]: the conversion from every error would then overlap with the conversion
/// from `Stop` to `Stop`. Where a function that returns another error type calls one that returns
/// `Stop`, [`Stop::into_error`] converts it.
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
    /// The message is any value with a `Display`, also an error that is not `'static` or does not
    /// convert into `Box<dyn Error>`:
    ///
    /// ```
    /// use std::error::Error;
    /// use trialbox_guest::{Result, Stop};
    ///
    /// fn load() -> std::result::Result<f64, Box<dyn Error + Send + Sync>> {
    ///     Err("no such table".into())
    /// }
    ///
    /// fn objective() -> Result<f64> {
    ///     Ok(load().map_err(Stop::failed)?)
    /// }
    /// # assert_eq!(objective(), Err(Stop::Failed("no such table".to_owned())));
    /// ```
    pub fn failed(message: impl fmt::Display) -> Self {
        Stop::Failed(message.to_string())
    }
}

impl Stop {
    /// Converts the reason into an error, for functions that return another error type than `Stop`.
    ///
    /// An objective that returns such an error stops for the same reason.
    ///
    /// ```
    /// use std::error::Error;
    /// use trialbox_guest::{Stop, Trial};
    ///
    /// fn epoch(trial: &mut Trial) -> trialbox_guest::Result<f64> {
    ///     Ok(trial.suggest_float("lr", 0.0, 1.0))
    /// }
    ///
    /// fn train(trial: &mut Trial) -> Result<f64, Box<dyn Error>> {
    ///     Ok(epoch(trial).map_err(Stop::into_error)?)
    /// }
    /// # assert!(train(&mut Trial::fixed([("lr", 0.5.into())])).is_ok());
    /// ```
    pub fn into_error(self) -> impl Error + Send + Sync + 'static {
        StopError(self)
    }
}

// Errors, texts, `Box<dyn Error>` and `anyhow::Error`, of which the last two are not errors themselves.
impl<E: Into<Box<dyn Error>>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::of(error.into().as_ref())
    }
}

impl Stop {
    /// Returns the reason that an error stands for.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        if causes(error).any(|cause| cause.is::<Mark>()) {
            return Stop::Pruned;
        }
        Stop::Failed(message_with_causes(error))
    }
}

/// The error of [`Trial::step`](crate::Trial::step): the pruner stopped the trial.
///
/// It passes through functions that return `Box<dyn Error>` or `anyhow::Result`, also with context added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "return it from the objective"]
pub struct Pruned(Mark);

/// The cause of every error that stands for a pruned trial. `anyhow` wraps errors in a type of its own, whose
/// causes remain visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mark;

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pruned")
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pruned")
    }
}

impl Error for Pruned {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// A [`Stop`] on its way through functions that return another error type.
#[derive(Debug)]
struct StopError(Stop);

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StopError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.0 {
            Stop::Pruned => Some(&Mark),
            Stop::Failed(_) => None,
        }
    }
}

impl Error for Mark {}

/// Returns the causes of an error, the nearest first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn message_with_causes(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    for cause in causes(error) {
        let text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
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
    fn a_question_mark_takes_errors_boxed_errors_and_texts() {
        fn of<E: Into<Box<dyn Error>>>(error: E) -> Stop {
            fn objective<E: Into<Box<dyn Error>>>(error: E) -> crate::Result<()> {
                Err(error)?
            }
            objective(error).unwrap_err()
        }
        assert_eq!(of(Layered("no data", None)), Stop::failed("no data"));
        assert_eq!(of(Box::<dyn Error>::from("no data")), Stop::failed("no data"));
        assert_eq!(of("no data"), Stop::failed("no data"));
        assert_eq!(of("no data".to_owned()), Stop::failed("no data"));
        assert_eq!(of(Pruned::default()), Stop::Pruned);
    }

    #[test]
    fn a_stop_passes_through_other_errors_as_it_is() {
        /// An error in the type of a crate such as `anyhow`, which shows its causes alone.
        #[derive(Debug)]
        struct Wrapped(Box<dyn Error + Send + Sync>);
        impl fmt::Display for Wrapped {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("epoch 3")
            }
        }
        impl Error for Wrapped {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.0.source()
            }
        }
        for stop in [Stop::Pruned, Stop::failed("no data")] {
            let boxed: Box<dyn Error> = stop.clone().into_error().into();
            assert_eq!(boxed.to_string(), stop.to_string());
            assert_eq!(Stop::from(boxed), stop);
        }
        assert_eq!(Stop::from(Wrapped(Stop::Pruned.into_error().into())), Stop::Pruned);
        let error = Layered("no data", Some(Box::new(Layered("disk on fire", None))));
        assert_eq!(Stop::from(error), Stop::failed("no data: disk on fire"));
    }

    #[test]
    fn a_cause_that_the_message_repeats_is_said_once() {
        let error = Layered("no data: disk on fire", Some(Box::new(Layered("disk on fire", None))));
        assert_eq!(Stop::from(error), Stop::failed("no data: disk on fire"));
    }
}
