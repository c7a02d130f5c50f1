//! The trial, as an objective sees it.

use std::fmt;
use std::time::Duration;

#[cfg(not(target_family = "wasm"))]
use crate::fixed::Backend;
#[cfg(target_family = "wasm")]
use crate::host::Backend;
use crate::{Attr, Checkpoint, Choice, Pruned};

/// One evaluation of the objective: a source of parameters, and a sink for reports and attributes.
///
/// The host creates it; a test creates its own with [`Trial::fixed`].
///
/// Misuse is a bug of the objective and ends it immediately: an empty range, a logarithmic scale with
/// a bound that is not positive, a name used again for another range or other choices. The trial is
/// then recorded as FAIL; in a test the call panics. A parameter that is suggested again keeps its value.
#[derive(Debug)]
pub struct Trial {
    pub(crate) backend: Backend,
}

/// The importance of a message of [`Trial::log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details for the author of the objective.
    Debug,
    /// News for the user who runs the study.
    Info,
    /// A problem that may spoil the result.
    Warning,
    /// A problem that did spoil it.
    Error,
}

/// Parameters.
impl Trial {
    /// Suggests a number in [`low`, `high`].
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([("momentum", 0.9.into())]);
    /// let momentum = trial.suggest_float("momentum", 0.0, 1.0);
    /// # assert_eq!(momentum, 0.9);
    /// ```
    #[track_caller]
    pub fn suggest_float(&mut self, name: &str, low: f64, high: f64) -> f64 {
        self.backend.suggest_float(name, low, high, false, None)
    }

    /// Suggests a number in [`low`, `high`] on a logarithmic scale. `low` must be above 0.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([("lr", 0.01.into())]);
    /// let lr = trial.suggest_float_log("lr", 1e-5, 1e-1);
    /// # assert_eq!(lr, 0.01);
    /// ```
    #[track_caller]
    pub fn suggest_float_log(&mut self, name: &str, low: f64, high: f64) -> f64 {
        self.backend.suggest_float(name, low, high, true, None)
    }

    /// Suggests one of the numbers `low`, `low + step`, … up to `high`.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([("dropout", 0.3.into())]);
    /// let dropout = trial.suggest_float_step("dropout", 0.0, 0.5, 0.1);
    /// # assert_eq!(dropout, 0.3);
    /// ```
    #[track_caller]
    pub fn suggest_float_step(&mut self, name: &str, low: f64, high: f64, step: f64) -> f64 {
        self.backend.suggest_float(name, low, high, false, Some(step))
    }

    /// Suggests an integer in [`low`, `high`], both bounds included.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([("layers", 2.into())]);
    /// let layers = trial.suggest_int("layers", 1, 4);
    /// # assert_eq!(layers, 2);
    /// ```
    #[track_caller]
    pub fn suggest_int(&mut self, name: &str, low: i64, high: i64) -> i64 {
        self.backend.suggest_int(name, low, high, false, 1)
    }

    /// Suggests an integer in [`low`, `high`] on a logarithmic scale. `low` must be at least 1.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([("units", 32.into())]);
    /// let units = trial.suggest_int_log("units", 4, 128);
    /// # assert_eq!(units, 32);
    /// ```
    #[track_caller]
    pub fn suggest_int_log(&mut self, name: &str, low: i64, high: i64) -> i64 {
        self.backend.suggest_int(name, low, high, true, 1)
    }

    /// Suggests one of the integers `low`, `low + step`, … up to `high`.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([("batch", 48.into())]);
    /// let batch = trial.suggest_int_step("batch", 16, 128, 16);
    /// # assert_eq!(batch, 48);
    /// ```
    #[track_caller]
    pub fn suggest_int_step(&mut self, name: &str, low: i64, high: i64, step: i64) -> i64 {
        self.backend.suggest_int(name, low, high, false, step)
    }

    /// Suggests one of `choices`, which have no order. Numbers, texts, booleans and all other types that
    /// convert into a [`Choice`] can be choices.
    ///
    /// ```
    /// # use trialbox_guest::{Choice, Trial};
    /// # let mut trial = Trial::fixed([("optimizer", "adam".into()), ("max_depth", Choice::None)]);
    /// let optimizer = trial.suggest_categorical("optimizer", &["sgd", "adam"]);
    /// let max_depth = trial.suggest_categorical("max_depth", &[Some(3), Some(10), None]);
    /// # assert_eq!((optimizer, max_depth), ("adam", None));
    /// ```
    #[track_caller]
    pub fn suggest_categorical<T: Clone + Into<Choice>>(&mut self, name: &str, choices: &[T]) -> T {
        let converted = choices.iter().cloned().map(Into::into).collect();
        choices[self.backend.suggest_categorical(name, converted)].clone()
    }
}

/// Intermediate values and pruning.
impl Trial {
    /// Reports the intermediate value at `step`, for the study's pruner and for plots. It may be NaN or
    /// infinite. Of several values for one step, the first is kept.
    ///
    /// [`step`](Trial::step) reports and obeys the pruner in one call.
    pub fn report(&mut self, value: f64, step: u32) {
        self.backend.report(value, step);
    }

    /// Returns whether the study's pruner wants the trial to stop, given the values reported so far.
    /// The objective stops by returning [`Stop::Pruned`](crate::Stop::Pruned).
    pub fn should_prune(&mut self) -> bool {
        self.backend.should_prune()
    }

    /// [Reports](Trial::report) `value`, and returns [`Pruned`] if the trial should stop, for `?` to pass on.
    /// The objective then ends with [`Stop::Pruned`](crate::Stop::Pruned), whichever errors it returns.
    ///
    /// ```
    /// use trialbox_guest::{Result, Stop, Trial};
    ///
    /// fn train(trial: &mut Trial) -> Result<f64> {
    ///     for epoch in 0..10 {
    ///         trial.step(1.0 / f64::from(epoch + 1), epoch)?;
    ///     }
    ///     Ok(0.1)
    /// }
    ///
    /// let mut trial = Trial::fixed([]).prune_at(3);
    /// assert_eq!(train(&mut trial), Err(Stop::Pruned));
    /// assert_eq!(trial.reports().len(), 4);
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the pruner stops the trial.
    pub fn step(&mut self, value: f64, step: u32) -> Result<(), Pruned> {
        self.report(value, step);
        if self.should_prune() { Err(Pruned::default()) } else { Ok(()) }
    }
}

/// Attributes, constraints and messages.
impl Trial {
    /// Sets a user attribute of the trial. Of several values for one key, the last is kept.
    ///
    /// ```
    /// use trialbox_guest::{Attr, Trial};
    ///
    /// let mut trial = Trial::fixed([]);
    /// trial.set_user_attr("parameters", 1_234);
    /// trial.set_user_attr("accuracy_by_class", [0.97, 0.99]);
    /// assert_eq!(trial.user_attrs()["parameters"], Attr::from(1_234));
    /// ```
    pub fn set_user_attr(&mut self, key: &str, value: impl Into<Attr>) {
        self.backend.set_user_attr(key, value.into());
    }

    /// Records a constraint, which is satisfied if `value` <= 0. It must not be NaN.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([]);
    /// let megabytes = 120.0;
    /// trial.set_constraint("at most 100 MB", megabytes - 100.0);
    /// # assert_eq!(trial.constraints()["at most 100 MB"], 20.0);
    /// ```
    #[track_caller]
    pub fn set_constraint(&mut self, name: &str, value: f64) {
        self.backend.set_constraint(name, value);
    }

    /// Logs a message: any value with a `Display`, such as a text or [`format_args!`].
    pub fn log(&mut self, level: Level, message: impl fmt::Display) {
        self.backend.log(level, message.to_string());
    }

    /// Logs a message for the author of the objective.
    pub fn debug(&mut self, message: impl fmt::Display) {
        self.log(Level::Debug, message);
    }

    /// Logs a message for the user who runs the study.
    ///
    /// ```
    /// # let mut trial = trialbox_guest::Trial::fixed([]);
    /// # let (epoch, loss) = (3, 0.25);
    /// trial.info(format_args!("epoch {epoch}: loss {loss}"));
    /// # assert_eq!(trial.logs()[0].1, "epoch 3: loss 0.25");
    /// ```
    pub fn info(&mut self, message: impl fmt::Display) {
        self.log(Level::Info, message);
    }

    /// Logs a problem that may spoil the result.
    pub fn warning(&mut self, message: impl fmt::Display) {
        self.log(Level::Warning, message);
    }

    /// Logs a problem that did spoil the result.
    pub fn error(&mut self, message: impl fmt::Display) {
        self.log(Level::Error, message);
    }
}

/// Properties of the trial.
impl Trial {
    /// Returns the trial's number in its study, counted from 0.
    pub fn number(&self) -> u32 {
        self.backend.number()
    }

    /// Returns a seed for the objective's own random numbers. It is the same when the trial runs again.
    pub fn seed(&self) -> u64 {
        self.backend.seed()
    }

    /// Returns the time until the host ends the trial, or `None` without a limit.
    pub fn remaining(&self) -> Option<Duration> {
        self.backend.remaining()
    }

    /// Returns the directory where the trial can keep files across interruptions.
    pub fn checkpoint(&self) -> Checkpoint {
        self.backend.checkpoint()
    }

    pub(crate) fn new(backend: Backend) -> Self {
        Trial { backend }
    }
}
