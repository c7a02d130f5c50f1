//! Ranges of integers beyond 64 bits. Python's Optuna stores them, and samples them as floats.

use bigdecimal::{BigDecimal, Signed as _, ToPrimitive as _};

/// The exact bounds of a range that 64 bits do not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WideRange {
    pub(super) low: BigDecimal,
    /// The last point of the grid.
    pub(super) high: BigDecimal,
    pub(super) step: BigDecimal,
}

impl WideRange {
    /// Returns whether a value in internal representation lies in the range. Floats of this size have no fraction, and
    /// no grid can be told from another.
    pub(super) fn contains(&self, internal: f64) -> bool {
        let (low, high) = (self.low.to_f64(), self.high.to_f64());
        low.is_some_and(|low| low <= internal) && high.is_some_and(|high| internal <= high)
    }
}

/// Returns a whole number's digits.
pub(super) fn digits(value: &BigDecimal) -> String {
    value.with_scale(0).to_plain_string()
}

/// Returns the number within 64 bits that is nearest.
pub(super) fn nearest(value: &BigDecimal) -> i64 {
    let beyond = if value.is_negative() { i64::MIN } else { i64::MAX };
    value.to_i64().unwrap_or(beyond)
}
