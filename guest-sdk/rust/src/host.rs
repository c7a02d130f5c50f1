//! The trial that the host offers, and the bodies of the exports: the only users of the generated bindings.

use std::time::Duration;

use crate::__bindings::exports::trialbox::objective::{describe as exported, objective};
use crate::__bindings::trialbox::objective::trial;
use crate::description::{DataSource, Direction, Metadata, Metric};
use crate::outcome::Outcome;
use crate::{Attr, Checkpoint, Choice, Level, Stop, Trial};

/// The trial that this instance of the component runs. It checks nothing: the host checks all
/// arguments and ends the guest on misuse.
#[derive(Debug)]
pub(crate) struct Backend;

impl Backend {
    pub(crate) fn number(&self) -> u32 {
        trial::number()
    }

    pub(crate) fn seed(&self) -> u64 {
        trial::seed()
    }

    pub(crate) fn suggest_float(
        &mut self,
        name: &str,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    ) -> f64 {
        trial::suggest_float(name, low, high, log, step)
    }

    pub(crate) fn suggest_int(
        &mut self,
        name: &str,
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    ) -> i64 {
        trial::suggest_int(name, low, high, log, step)
    }

    /// Returns the index of the suggested choice.
    pub(crate) fn suggest_categorical(&mut self, name: &str, choices: Vec<Choice>) -> usize {
        let choices: Vec<_> = choices.into_iter().map(trial::Choice::from).collect();
        trial::suggest_categorical(name, &choices) as usize
    }

    pub(crate) fn report(&mut self, value: f64, step: u32) {
        trial::report(value, step);
    }

    pub(crate) fn should_prune(&mut self) -> bool {
        trial::should_prune()
    }

    pub(crate) fn set_user_attr(&mut self, key: &str, value: Attr) {
        trial::set_user_attr(key, &value.to_string());
    }

    pub(crate) fn set_constraint(&mut self, name: &str, value: f64) {
        trial::set_constraint(name, value);
    }

    pub(crate) fn remaining(&self) -> Option<Duration> {
        let seconds = trial::remaining_seconds();
        // The contract sends infinity for "no limit", which does not fit into a `Duration`.
        Duration::try_from_secs_f64(seconds.max(0.0)).ok()
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        match trial::checkpoint() {
            trial::CheckpointState::Unavailable => Checkpoint::Unavailable,
            trial::CheckpointState::Fresh => Checkpoint::Fresh("/checkpoint".into()),
            trial::CheckpointState::Resumed => Checkpoint::Resumed("/checkpoint".into()),
        }
    }

    pub(crate) fn log(&mut self, level: Level, message: String) {
        let level = match level {
            Level::Debug => trial::LogLevel::Debug,
            Level::Info => trial::LogLevel::Info,
            Level::Warning => trial::LogLevel::Warning,
            Level::Error => trial::LogLevel::Error,
        };
        trial::log(level, &message);
    }
}

impl From<Choice> for trial::Choice {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::None => trial::Choice::None,
            Choice::Bool(value) => trial::Choice::Boolean(value),
            Choice::Int(value) => trial::Choice::Integer(value),
            Choice::Float(value) => trial::Choice::Real(value),
            Choice::Str(value) => trial::Choice::Text(value),
        }
    }
}

/// Runs the objective once: the body of the export `evaluate`.
pub fn evaluate<R: Outcome>(
    objective: fn(&mut Trial) -> R,
    metadata: &Metadata,
) -> Result<Vec<f64>, objective::Failure> {
    let outcome = objective(&mut Trial::new(Backend));
    metadata.checked_values(outcome).map_err(|stop| match stop {
        Stop::Pruned => objective::Failure::Pruned,
        Stop::Failed(message) => objective::Failure::Error(message),
    })
}

/// Returns the description: the body of the export `describe`. Calls to the trial are illegal here.
pub fn describe(metadata: &Metadata) -> exported::Description {
    exported::Description {
        name: metadata.name.to_owned(),
        version: metadata.version.to_owned(),
        summary: metadata.summary(),
        metrics: metadata.metrics.iter().map(describe_metric).collect(),
        data: metadata.data.iter().map(describe_data).collect(),
        extra: metadata.extra(),
    }
}

fn describe_metric(metric: &Metric) -> exported::Metric {
    exported::Metric {
        name: metric.name.map(str::to_owned),
        direction: match metric.direction {
            Direction::Minimize => exported::Direction::Minimize,
            Direction::Maximize => exported::Direction::Maximize,
        },
    }
}

fn describe_data(data: &DataSource) -> exported::DataSource {
    exported::DataSource {
        path: data.path.to_owned(),
        summary: data.summary.to_owned(),
        sha256: data.sha256.map(str::to_owned),
    }
}
