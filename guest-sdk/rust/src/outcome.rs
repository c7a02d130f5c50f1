//! The return types of objectives.

use crate::Stop;

/// The values that an objective returns, one for each of its metrics.
///
/// The compiler checks the length of a number, tuple or array against the metrics. The length of a
/// `Vec` is checked when the objective returns.
///
/// ```
/// use trialbox_guest::{Result, Trial, objective};
///
/// #[objective(minimize = "error", minimize = "seconds", minimize = "bytes")]
/// pub fn tradeoff(trial: &mut Trial) -> Result<[f64; 3]> {
///     let size = trial.suggest_float("size", 0.0, 1.0);
///     Ok([1.0 - size, size, 100.0 * size])
/// }
/// ```
pub trait Values {
    /// The number of values, if the type fixes it.
    const LEN: Option<usize>;

    /// Returns the values in the order of the metrics.
    fn into_values(self) -> Vec<f64>;
}

impl Values for f64 {
    const LEN: Option<usize> = Some(1);

    fn into_values(self) -> Vec<f64> {
        vec![self]
    }
}

impl Values for f32 {
    const LEN: Option<usize> = Some(1);

    fn into_values(self) -> Vec<f64> {
        vec![self.into()]
    }
}

impl Values for (f64, f64) {
    const LEN: Option<usize> = Some(2);

    fn into_values(self) -> Vec<f64> {
        vec![self.0, self.1]
    }
}

impl Values for (f64, f64, f64) {
    const LEN: Option<usize> = Some(3);

    fn into_values(self) -> Vec<f64> {
        vec![self.0, self.1, self.2]
    }
}

impl<const N: usize> Values for [f64; N] {
    const LEN: Option<usize> = Some(N);

    fn into_values(self) -> Vec<f64> {
        self.into()
    }
}

impl Values for Vec<f64> {
    const LEN: Option<usize> = None;

    fn into_values(self) -> Vec<f64> {
        self
    }
}

/// The whole return type of an objective.
pub trait Outcome {
    /// The number of values, as in [`Values::LEN`].
    const LEN: Option<usize>;

    /// Returns the values, or the reason why there are none.
    fn into_outcome(self) -> Result<Vec<f64>, Stop>;
}

// The bound takes `Stop` itself, and whatever converts into it.
impl<V: Values, E: Into<Stop>> Outcome for Result<V, E> {
    const LEN: Option<usize> = V::LEN;

    fn into_outcome(self) -> Result<Vec<f64>, Stop> {
        self.map(V::into_values).map_err(E::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn every_shape_of_values_is_taken_in_order() {
        check(1.0, &[1.0]);
        check(0.5_f32, &[0.5]);
        check((1.0, 2.0), &[1.0, 2.0]);
        check((1.0, 2.0, 3.0), &[1.0, 2.0, 3.0]);
        check([1.0, 2.0], &[1.0, 2.0]);
        check(vec![1.0, 2.0], &[1.0, 2.0]);
    }

    #[test]
    fn every_kind_of_error_ends_an_objective() {
        fn of<E: Into<Stop>>(error: E) -> Stop {
            Err::<f64, E>(error).into_outcome().unwrap_err()
        }
        assert_eq!(of(Stop::Pruned), Stop::Pruned);
        assert_eq!(of(std::fmt::Error), Stop::from(std::fmt::Error));
        assert_eq!(of(Box::<dyn Error>::from("no data")), Stop::failed("no data"));
        assert_eq!(of("no data".to_owned()), Stop::failed("no data"));
    }

    #[track_caller]
    fn check<V: Values>(returned: V, values: &[f64]) {
        assert!(V::LEN.is_none_or(|len| len == values.len()));
        assert_eq!(crate::Result::Ok(returned).into_outcome().as_deref(), Ok(values));
    }
}
