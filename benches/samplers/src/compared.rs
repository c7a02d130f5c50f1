//! The regrets that a report compares, and numbers as it shows them.

use crate::problem::Problem;

/// The regrets of one sampler on one problem: a trace for each seed.
pub(crate) type Traces = Vec<Vec<f64>>;

/// A problem with the traces of each sampler, in the selection's order.
pub(crate) struct Compared<'a> {
    /// The problem.
    pub(crate) problem: &'a Problem,
    /// By sampler.
    pub(crate) traces: Vec<Traces>,
}

/// Returns three significant digits, with an exponent only where the number is very small or very large.
pub(crate) fn short(number: f64) -> String {
    if !number.is_finite() {
        return format!("{number}");
    }
    let rounded: f64 = format!("{number:.2e}").parse().unwrap_or(number);
    if rounded == 0.0 || (1e-4..1e6).contains(&rounded.abs()) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let found = [0.018_844, 1234.5, 2.5e-7, 0.0, f64::INFINITY].map(short);
        assert_eq!(found, ["0.0188", "1230", "2.5e-7", "0", "inf"]);
    }
}
