//! The trial of a test, with given parameters and with access to everything that the objective told it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Attr, Checkpoint, Choice, Level, Trial};

/// The counterpart of the host's trial. It panics in the cases in which the host would end the guest.
#[derive(Debug)]
pub(crate) struct Backend {
    given: BTreeMap<String, Choice>,
    asked: BTreeMap<String, Distribution>,
    number: u32,
    seed: u64,
    prune_at: Option<u32>,
    remaining: Option<Duration>,
    checkpoint: Checkpoint,
    reports: BTreeMap<u32, f64>,
    user_attrs: BTreeMap<String, Attr>,
    constraints: BTreeMap<String, f64>,
    logs: Vec<(Level, String)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Distribution {
    Float { low: f64, high: f64, log: bool, step: Option<f64> },
    Int { low: i64, high: i64, log: bool, step: i64 },
    Categorical(Vec<Choice>),
}

/// Trials for tests. Not available on WebAssembly.
impl Trial {
    /// Creates a trial with given parameters, like Optuna's `FixedTrial`, to run an objective without a host.
    ///
    /// ```
    /// use trialbox_guest::{Result, Trial};
    ///
    /// fn objective(trial: &mut Trial) -> Result<f64> {
    ///     let x = trial.suggest_float("x", 0.0, 1.0);
    ///     let power = trial.suggest_int("power", 1, 3) as i32;
    ///     let sign = trial.suggest_categorical("sign", &["plus", "minus"]);
    ///     trial.set_user_attr("power", power);
    ///     Ok(if sign == "minus" { -x.powi(power) } else { x.powi(power) })
    /// }
    ///
    /// let mut trial =
    ///     Trial::fixed([("x", 0.5.into()), ("power", 2.into()), ("sign", "minus".into())]);
    /// assert_eq!(objective(&mut trial), Ok(-0.25));
    /// assert_eq!(trial.user_attrs()["power"], 2.into());
    /// ```
    ///
    /// Its number and seed are 0. It has no time limit and no checkpoint directory, and the pruner never
    /// stops it. The `with_` methods and [`prune_at`](Trial::prune_at) change that.
    ///
    /// # Panics
    ///
    /// A call of the trial panics if the objective asks for a parameter without a given value, or with a value
    /// outside its range:
    ///
    /// ```should_panic
    /// # use trialbox_guest::Trial;
    /// Trial::fixed([("x", 2.0.into())]).suggest_float("x", 0.0, 1.0);
    /// // parameter `x`: expected a float in [0.0, 1.0], found 2.0
    /// ```
    pub fn fixed<'a>(params: impl IntoIterator<Item = (&'a str, Choice)>) -> Self {
        Trial::new(Backend {
            given: params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            asked: BTreeMap::new(),
            number: 0,
            seed: 0,
            prune_at: None,
            remaining: None,
            checkpoint: Checkpoint::Unavailable,
            reports: BTreeMap::new(),
            user_attrs: BTreeMap::new(),
            constraints: BTreeMap::new(),
            logs: Vec::new(),
        })
    }

    /// Lets the pruner stop the trial from the report of `step` on.
    pub fn prune_at(mut self, step: u32) -> Self {
        self.backend.prune_at = Some(step);
        self
    }

    /// Sets [`number`](Trial::number).
    pub fn with_number(mut self, number: u32) -> Self {
        self.backend.number = number;
        self
    }

    /// Sets [`seed`](Trial::seed).
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.backend.seed = seed;
        self
    }

    /// Sets [`remaining`](Trial::remaining).
    pub fn with_remaining(mut self, remaining: Duration) -> Self {
        self.backend.remaining = Some(remaining);
        self
    }

    /// Sets [`checkpoint`](Trial::checkpoint). The trial resumes if `dir` holds files.
    pub fn with_checkpoint(mut self, dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let is_empty = dir.read_dir().map_or(true, |mut files| files.next().is_none());
        self.backend.checkpoint =
            if is_empty { Checkpoint::Fresh(dir) } else { Checkpoint::Resumed(dir) };
        self
    }

    /// Returns the [reported](Trial::report) values by step.
    pub fn reports(&self) -> &BTreeMap<u32, f64> {
        &self.backend.reports
    }

    /// Returns the attributes that were [set](Trial::set_user_attr).
    pub fn user_attrs(&self) -> &BTreeMap<String, Attr> {
        &self.backend.user_attrs
    }

    /// Returns the constraints that were [set](Trial::set_constraint).
    pub fn constraints(&self) -> &BTreeMap<String, f64> {
        &self.backend.constraints
    }

    /// Returns the [logged](Trial::log) messages in order.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.backend.logs
    }
}

impl Backend {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    #[track_caller]
    pub(crate) fn suggest_float(
        &mut self,
        name: &str,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    ) -> f64 {
        let distribution = Distribution::Float { low, high, log, step };
        let given = self.ask(name, &distribution);
        match given {
            // Optuna's `FixedTrial` accepts 1 for 1.0, too.
            Choice::Int(value) if distribution.contains_float(*value as f64) => *value as f64,
            Choice::Float(value) if distribution.contains_float(*value) => *value,
            _ => refuse(name, given, &distribution),
        }
    }

    #[track_caller]
    pub(crate) fn suggest_int(
        &mut self,
        name: &str,
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    ) -> i64 {
        let distribution = Distribution::Int { low, high, log, step };
        let given = self.ask(name, &distribution);
        match given {
            Choice::Int(value) if distribution.contains_int(*value) => *value,
            _ => refuse(name, given, &distribution),
        }
    }

    /// Returns the index of the given choice.
    #[track_caller]
    pub(crate) fn suggest_categorical(&mut self, name: &str, choices: Vec<Choice>) -> usize {
        let distribution = Distribution::Categorical(choices.clone());
        let given = self.ask(name, &distribution);
        match choices.iter().position(|choice| choice == given) {
            Some(index) => index,
            None => refuse(name, given, &distribution),
        }
    }

    pub(crate) fn report(&mut self, value: f64, step: u32) {
        // Optuna's `Trial.report` keeps the first value of a step, too.
        self.reports.entry(step).or_insert(value);
    }

    pub(crate) fn should_prune(&mut self) -> bool {
        let last = self.reports.last_key_value();
        matches!((last, self.prune_at), (Some((&last, _)), Some(step)) if last >= step)
    }

    pub(crate) fn set_user_attr(&mut self, key: &str, value: Attr) {
        self.user_attrs.insert(key.to_owned(), value);
    }

    #[track_caller]
    pub(crate) fn set_constraint(&mut self, name: &str, value: f64) {
        assert!(!value.is_nan(), "constraint `{name}`: expected a number, found NaN");
        self.constraints.insert(name.to_owned(), value);
    }

    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.remaining
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint.clone()
    }

    pub(crate) fn log(&mut self, level: Level, message: String) {
        self.logs.push((level, message));
    }

    /// Returns the value given for a parameter, after checking its distribution.
    #[track_caller]
    fn ask(&mut self, name: &str, distribution: &Distribution) -> &Choice {
        if let Err(message) = distribution.check() {
            panic!("parameter `{name}`: {message}");
        }
        let asked = self.asked.entry(name.to_owned()).or_insert_with(|| distribution.clone());
        assert!(
            asked == distribution,
            "parameter `{name}`: expected {asked} as before, found {distribution}"
        );
        match self.given.get(name) {
            Some(value) => value,
            None => {
                let given: Vec<_> = self.given.keys().map(|name| format!("`{name}`")).collect();
                panic!(
                    "parameter `{name}`: expected {distribution}, found no value; given are [{}]",
                    given.join(", ")
                )
            }
        }
    }
}

#[track_caller]
fn refuse(name: &str, found: &Choice, wanted: &Distribution) -> ! {
    panic!("parameter `{name}`: expected {wanted}, found {found}")
}

impl Distribution {
    /// Checks what the host would check.
    ///
    /// # Errors
    /// Fails with the rule that the distribution breaks.
    fn check(&self) -> Result<(), String> {
        match self {
            Distribution::Float { low, high, .. } if !low.is_finite() || !high.is_finite() => {
                Err(format!("`low` ({low:?}) and `high` ({high:?}) must be finite"))
            }
            Distribution::Float { low, high, .. } if low > high => {
                Err(format!("`low` ({low:?}) must not be greater than `high` ({high:?})"))
            }
            Distribution::Int { low, high, .. } if low > high => {
                Err(format!("`low` ({low}) must not be greater than `high` ({high})"))
            }
            Distribution::Float { low, log: true, .. } if *low <= 0.0 => {
                Err(format!("a log-scaled float needs `low` > 0, but `low` is {low:?}"))
            }
            Distribution::Int { low, log: true, .. } if *low < 1 => {
                Err(format!("a log-scaled integer needs `low` >= 1, but `low` is {low}"))
            }
            // The negation also rejects NaN.
            Distribution::Float { step: Some(step), .. } if !(*step > 0.0 && step.is_finite()) => {
                Err(format!("`step` must be greater than 0, but is {step:?}"))
            }
            Distribution::Int { step, .. } if *step < 1 => {
                Err(format!("`step` must be at least 1, but is {step}"))
            }
            Distribution::Categorical(choices) if choices.is_empty() => {
                Err("there must be at least one choice".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn contains_float(&self, value: f64) -> bool {
        let &Distribution::Float { low, high, step, .. } = self else { return false };
        let on_grid = step.is_none_or(|step| {
            // 0.3 is not exactly 3 × 0.1 in floating point, and counts as it.
            let steps = (value - low) / step;
            (steps - steps.round()).abs() < 1e-8
        });
        (low..=high).contains(&value) && on_grid
    }

    fn contains_int(&self, value: i64) -> bool {
        let &Distribution::Int { low, high, step, .. } = self else { return false };
        // The distance of two `i64` may not fit into an `i64`.
        (low..=high).contains(&value)
            && (i128::from(value) - i128::from(low)) % i128::from(step) == 0
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distribution::Float { low, high, log, step } => {
                write!(f, "a float in [{low:?}, {high:?}]{}", suffix(*log))?;
                step.map_or(Ok(()), |step| write!(f, " in steps of {step:?}"))
            }
            Distribution::Int { low, high, log, step } => {
                write!(f, "an integer in [{low}, {high}]{}", suffix(*log))?;
                if *step == 1 { Ok(()) } else { write!(f, " in steps of {step}") }
            }
            Distribution::Categorical(choices) => {
                let choices: Vec<_> = choices.iter().map(Choice::to_string).collect();
                write!(f, "one of [{}]", choices.join(", "))
            }
        }
    }
}

fn suffix(log: bool) -> &'static str {
    if log { " (log)" } else { "" }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_given_parameter_is_suggested() {
        let mut trial = Trial::fixed([
            ("x", 1.into()),
            ("dropout", 0.3.into()),
            ("units", 64.into()),
            ("bias", true.into()),
            ("depth", Choice::None),
        ]);
        assert_eq!(trial.suggest_float("x", 0.0, 1.0), 1.0);
        assert_eq!(trial.suggest_float_step("dropout", 0.0, 0.5, 0.1), 0.3);
        assert_eq!(trial.suggest_int_step("units", 16, 128, 16), 64);
        assert!(trial.suggest_categorical("bias", &[true, false]));
        assert_eq!(trial.suggest_categorical("depth", &[Some(3), None]), None);
        assert_eq!(trial.suggest_float("x", 0.0, 1.0), 1.0, "suggested again");
    }

    #[test]
    fn a_value_out_of_range_is_named_with_the_range() {
        check(
            |t| t.suggest_float("half", 1.0, 2.0),
            "parameter `half`: expected a float in [1.0, 2.0], found 0.5",
        );
        check(
            |t| t.suggest_int("half", 0, 2),
            "parameter `half`: expected an integer in [0, 2], found 0.5",
        );
        check(|t| t.suggest_int("three", 4, 9), "expected an integer in [4, 9], found 3");
        check(
            |t| t.suggest_int_step("three", 0, 8, 2),
            "expected an integer in [0, 8] in steps of 2, found 3",
        );
        check(|t| t.suggest_float_step("half", 0.0, 1.0, 0.2), "[0.0, 1.0] in steps of 0.2");
        check(
            |t| t.suggest_int_log("relu", 1, 8),
            "expected an integer in [1, 8] (log), found \"relu\"",
        );
        check(
            |t| t.suggest_categorical("relu", &["tanh"]),
            "expected one of [\"tanh\"], found \"relu\"",
        );
    }

    #[test]
    fn a_missing_value_is_named_with_the_given_ones() {
        check(
            |t| t.suggest_float("x", 0.0, 1.0),
            "parameter `x`: expected a float in [0.0, 1.0], found no value; \
             given are [`half`, `relu`, `three`]",
        );
    }

    #[test]
    fn misuse_is_refused_as_by_the_host() {
        check(|t| t.suggest_float("half", 1.0, 0.0), "`low` (1.0) must not be greater than `high`");
        check(|t| t.suggest_int("three", 9, 1), "`low` (9) must not be greater than `high` (1)");
        check(|t| t.suggest_float("half", 0.0, f64::INFINITY), "must be finite");
        check(|t| t.suggest_float_log("half", 0.0, 1.0), "needs `low` > 0, but `low` is 0.0");
        check(|t| t.suggest_int_log("three", 0, 9), "needs `low` >= 1, but `low` is 0");
        check(|t| t.suggest_int_step("three", 0, 9, 0), "`step` must be at least 1, but is 0");
        check(
            |t| t.suggest_float_step("half", 0.0, 1.0, f64::NAN),
            "`step` must be greater than 0",
        );
        check(|t| t.suggest_categorical::<bool>("relu", &[]), "at least one choice");
        check(
            |t| t.set_constraint("size", f64::NAN),
            "constraint `size`: expected a number, found NaN",
        );
        check(
            |t| (t.suggest_int("three", 0, 9), t.suggest_int("three", 0, 8)),
            "expected an integer in [0, 9] as before, found an integer in [0, 8]",
        );
    }

    #[test]
    fn the_first_report_of_a_step_stays() {
        let mut trial = Trial::fixed([]).prune_at(2);
        trial.report(1.0, 0);
        assert_eq!(trial.step(2.0, 0), Ok(()));
        assert_eq!(trial.reports()[&0], 1.0);
        assert_eq!(trial.step(1.0, 2), Err(crate::Pruned::default()));
    }

    #[test]
    fn what_a_trial_knows_can_be_set() {
        let dir = std::env::temp_dir();
        let trial = Trial::fixed([])
            .with_number(3)
            .with_seed(7)
            .with_remaining(Duration::from_secs(5))
            .with_checkpoint(dir.join("trialbox-guest-does-not-exist"));
        assert_eq!((trial.number(), trial.seed()), (3, 7));
        assert_eq!(trial.remaining(), Some(Duration::from_secs(5)));
        assert!(matches!(trial.checkpoint(), Checkpoint::Fresh(_)));
    }

    /// Checks that `misuse` panics with a message that contains `wanted`.
    #[track_caller]
    fn check<T>(misuse: impl FnOnce(&mut Trial) -> T, wanted: &str) {
        let mut trial =
            Trial::fixed([("half", 0.5.into()), ("three", 3.into()), ("relu", "relu".into())]);
        let panic = catch_unwind(AssertUnwindSafe(|| misuse(&mut trial))).map(drop).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(wanted), "found `{message}`");
    }
}
