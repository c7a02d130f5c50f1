//! Reasons why importances cannot be assessed.

/// Reasons why importances cannot be assessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportanceError {
    /// Nothing to compare.
    #[error(
        "importances need at least two COMPLETE trials with finite values, but of {n_complete} COMPLETE trials \
         {n_usable} have them"
    )]
    TooFewTrials {
        /// COMPLETE trials with finite values.
        n_usable: usize,
        /// COMPLETE trials.
        n_complete: usize,
    },
    /// An objective's index beyond the last.
    #[error("there is no objective {index}: the study has {n_objectives}, counted from 0")]
    NoSuchObjective {
        /// As asked for.
        index: usize,
        /// The number of objectives.
        n_objectives: usize,
    },
    /// No COMPLETE trial has any parameter.
    #[error("no COMPLETE trial has a parameter")]
    NoParams,
    /// A forest needs points with the same coordinates.
    #[error("no parameter is in all COMPLETE trials with the same range")]
    NoCommonParams,
    /// Parameters that no COMPLETE trial has.
    #[error("no COMPLETE trial has the parameter `{}`; there are: {}", missing.join("`, `"), known.join(", "))]
    UnknownParams {
        /// Those asked for in vain.
        missing: Vec<String>,
        /// Those there are.
        known: Vec<String>,
    },
    /// Parameters that no COMPLETE trial has all of.
    #[error("no COMPLETE trial has all of the parameters `{}`", names.join("`, `"))]
    NeverTogether {
        /// As asked for.
        names: Vec<String>,
    },
    /// A parameter with a range that changes.
    #[error(
        "the range of parameter `{name}` is not the same in all trials that have the parameters asked for"
    )]
    ChangingRange {
        /// The first such parameter.
        name: String,
    },
    /// A forest without a split.
    #[error(
        "the {n} COMPLETE trials all have the same value or the same parameters, so that no parameter \
         explains a difference"
    )]
    NoVariance {
        /// The number of trials.
        n: usize,
    },
}
