//! The reasons why a range, a value or a text is refused.

use crate::value::json::JsonError;

/// The reason why a range is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DistributionError {
    /// A bound or the step is NaN.
    #[error("`{name}` must be a number, but it is NaN")]
    Nan {
        /// `low`, `high` or `step`.
        name: &'static str,
    },
    /// `low` is above `high`.
    #[error("`low` must not be greater than `high`, but `low` is {low} and `high` is {high}")]
    EmptyRange {
        /// As given.
        low: String,
        /// As given.
        high: String,
    },
    /// A log-scaled range that reaches zero or below.
    #[error("a log-scaled parameter needs `low` {wanted}, but `low` is {low}")]
    LogOfNonPositive {
        /// As given.
        low: String,
        /// `> 0` for floats, `>= 1` for integers.
        wanted: &'static str,
    },
    /// A log-scaled range on a grid.
    #[error("`log` and `step` exclude each other, but `step` is {step}")]
    LogWithStep {
        /// As given.
        step: String,
    },
    /// A step that does not advance.
    #[error("`step` must be {wanted}, but it is {step}")]
    BadStep {
        /// As given.
        step: String,
        /// `> 0` or `>= 1`.
        wanted: &'static str,
    },
    /// An integer bound that the database cannot hold exactly.
    #[error(
        "an integer bound must be within ±2^53, because Optuna stores integers as floats, but it is {bound}"
    )]
    InexactInt {
        /// As given.
        bound: String,
    },
    /// An infinite bound or width, which no sampler can draw from.
    #[error("`{name}` must be finite, but it is {value}")]
    Infinite {
        /// `low`, `high`, `step` or `high - low`.
        name: &'static str,
        /// As given.
        value: f64,
    },
    /// A grid of more points than Optuna reads: its decimal arithmetic has 28 digits.
    #[error("`step` must divide `high - low` into fewer than 10^28 parts, but it is {step}")]
    TooManySteps {
        /// As given.
        step: String,
    },
    /// No choice.
    #[error("a categorical parameter needs at least one choice")]
    NoChoices,
}

/// The reason why a database cannot hold a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnstorableValue {
    /// NaN, for which the column has no value.
    #[error("expected a number, found NaN")]
    Nan,
    /// An infinite integer or index.
    #[error("expected {wanted}, found an infinite number")]
    Infinite {
        /// An integer, or the index of a choice.
        wanted: &'static str,
    },
}

/// The reason why a text is not a distribution that Optuna would read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DistributionJsonError {
    /// The text is not JSON.
    #[error("the distribution is not JSON")]
    Json(#[source] JsonError),
    /// An unknown `name`.
    #[error("unknown distribution `{name}`")]
    UnknownName {
        /// As found.
        name: String,
    },
    /// A missing, unknown or ill-typed attribute.
    #[error("the attribute `{attribute}` of a {name} is {problem}")]
    Attribute {
        /// The distribution.
        name: String,
        /// The attribute.
        attribute: String,
        /// `missing`, `unknown` or `not a number`, …
        problem: &'static str,
    },
    /// Bounds that make no range.
    #[error("the distribution has no valid range")]
    Range(#[source] DistributionError),
}

/// The reason why one name cannot have both distributions within a study (`check_distribution_compatibility`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// A float here, an integer or a choice there.
    #[error("it has another kind of distribution")]
    Kind,
    /// Log-scaled here and not there.
    #[error("it has another `log` setting")]
    Log,
    /// Other choices, or the same in another order.
    #[error("it has other choices, or the same in another order")]
    Choices,
}

/// The reason why an external value does not belong to a distribution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Not a number where one is wanted.
    #[error("expected a number, found {found}")]
    NotANumber {
        /// The value as JSON.
        found: String,
    },
    /// Not one of the choices.
    #[error("{found} is none of the choices {choices}")]
    NotAChoice {
        /// The value as JSON.
        found: String,
        /// The choices as JSON.
        choices: String,
    },
    /// A fraction where a whole number is wanted.
    #[error("expected a whole number, found {found}")]
    NotWhole {
        /// The value as JSON.
        found: String,
    },
    /// Not in the range, or between its steps.
    #[error("it is outside of {range}")]
    Outside {
        /// The range.
        range: String,
    },
}
