//! A request to enqueue a trial.

use crate::value::json::Json;

/// The system attribute that holds the values a user fixed when enqueueing, external, by name: Optuna's.
pub const FIXED_PARAMS_ATTR: &str = "fixed_params";

/// A trial that is to wait for a worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnqueueTrial {
    /// The external values of the parameters that are fixed, by name.
    pub params: Vec<(String, Json)>,
    /// The user attributes of the trial.
    pub user_attrs: Vec<(String, Json)>,
    /// True if nothing is enqueued when a trial with the same parameters exists.
    pub skip_if_exists: bool,
}
