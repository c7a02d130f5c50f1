//! The records of trials that are queued, asked for and told.

use super::value::Float;
use super::{Line, Record};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A trial that was queued.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Enqueued {
    /// The study's name.
    pub(crate) study: String,
    /// The number of the queued trial; null if the study has a trial with these parameters.
    pub(crate) number: Option<u32>,
}

/// A trial whose objective runs outside the sandbox.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Asked {
    /// The trial's number.
    pub(crate) number: u32,
    /// The suggested parameters by name.
    pub(crate) params: BTreeMap<String, Value>,
    /// The token of this attempt, for `trial tell --owner`.
    pub(crate) owner: Option<String>,
}

/// The end of a trial, as it was recorded.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Told {
    /// The study's name.
    pub(crate) study: String,
    /// The trial's number.
    pub(crate) number: u32,
    /// `COMPLETE`, `PRUNED` or `FAIL`.
    pub(crate) state: &'static str,
    /// The recorded values.
    pub(crate) values: Vec<Float>,
}

/// A trial that had already finished.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Skipped {
    /// The study's name.
    pub(crate) study: String,
    /// The trial's number.
    pub(crate) number: u32,
    /// `COMPLETE`, `PRUNED` or `FAIL`.
    pub(crate) state: &'static str,
}

/// A parameter that a script asked for inside its trial.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Suggested {
    /// The parameter's name.
    pub(crate) name: String,
    /// The suggested value.
    pub(crate) value: Value,
}

/// The pruner's advice to a script inside its trial.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Advice {
    /// True if the trial should stop early.
    pub(crate) prune: bool,
}

impl Line for Enqueued {
    fn text(&self) -> String {
        let study = &self.study;
        match self.number {
            Some(number) => format!("trial {number} is queued in study `{study}`"),
            None => {
                format!("study `{study}` has a trial with these parameters; nothing was queued")
            }
        }
    }
}

/// JSON in either format, as Optuna's `ask` prints it: the line is for scripts.
impl Line for Asked {
    fn text(&self) -> String {
        Record::from(self.clone()).to_json()
    }
}

impl Line for Skipped {
    fn text(&self) -> String {
        format!(
            "trial {} has already finished as {}; it was left as it is",
            self.number, self.state
        )
    }
}

/// A WAITING trial that was dropped. It is FAIL now.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TrialCancelled {
    /// The study's name.
    pub(crate) study: String,
    /// The trial's number.
    pub(crate) number: u32,
}

impl Line for TrialCancelled {
    fn text(&self) -> String {
        format!("trial {} was cancelled", self.number)
    }
}

/// A failed trial that is to run again.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TrialRequeued {
    /// The study's name.
    pub(crate) study: String,
    /// The number of the failed trial.
    pub(crate) number: u32,
    /// The number of the WAITING copy; none with `--dry-run`.
    pub(crate) retry: Option<u32>,
}

impl Line for TrialRequeued {
    fn text(&self) -> String {
        match self.retry {
            Some(retry) => format!("trial {} was requeued as trial {retry}", self.number),
            None => format!("trial {} would be requeued", self.number),
        }
    }
}
