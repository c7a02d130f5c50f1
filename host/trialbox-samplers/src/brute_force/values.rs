//! A finite range as a list of values, without writing it down.

use trialbox_core::Distribution;

/// Returns the number of values that a parameter can take; `None` for a float without a step.
pub(super) fn count(distribution: &Distribution) -> Option<u64> {
    match distribution {
        Distribution::Float(float) => {
            let steps = (float.high() - float.low()) / float.step()?;
            Some((steps.round() as u64).saturating_add(1))
        }
        Distribution::Int(int) => Some(int.high().abs_diff(int.low()) / int.step() as u64 + 1),
        Distribution::Categorical(categorical) => Some(categorical.choices().len() as u64),
    }
}

/// Returns the value at a place, counted from 0.
pub(super) fn at(distribution: &Distribution, place: u64) -> f64 {
    match distribution {
        Distribution::Float(float) => float.grid_point(place),
        Distribution::Int(int) => (int.low() + int.step() * place as i64) as f64,
        Distribution::Categorical(_) => place as f64,
    }
}

/// Returns the place of a value; `None` if it is not one of them.
pub(super) fn place(distribution: &Distribution, internal: f64) -> Option<u64> {
    if !distribution.contains(internal) {
        return None;
    }
    let place = match distribution {
        Distribution::Float(float) => (internal - float.low()) / float.step()?,
        Distribution::Int(int) => (internal - int.low() as f64) / int.step() as f64,
        Distribution::Categorical(_) => internal,
    };
    Some(place.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        for (distribution, n) in [
            (Distribution::float(0.0, 1.0, false, Some(0.1)), 11),
            (Distribution::float(-1.0, 0.0, false, Some(0.3)), 4),
            (Distribution::int(-3, 9, false, 4), 4),
            (Distribution::int(1, 9, true, 1), 9),
            (Distribution::categorical(vec![1i64.into(), 2i64.into()]), 2),
        ] {
            let distribution = distribution.expect("a distribution");
            assert_eq!(count(&distribution), Some(n), "{distribution}");
            for found in 0..n {
                assert!(distribution.contains(at(&distribution, found)));
                assert_eq!(place(&distribution, at(&distribution, found)), Some(found));
            }
            assert_eq!(place(&distribution, at(&distribution, n - 1) + 100.0), None);
        }
        let continuous = Distribution::float(0.0, 1.0, false, None).expect("a range");
        assert_eq!((count(&continuous), place(&continuous, 0.5)), (None, None));
    }
}
