//! The smallest objective for trialbox.

use trialbox_guest::{Result, Trial, objective};

/// Minimises (x − 2)² + (y + 1)², which is 0 at x = 2, y = −1.
#[objective(minimize = "loss")]
pub fn quadratic(trial: &mut Trial) -> Result<f64> {
    let x = trial.suggest_float("x", -10.0, 10.0);
    let y = trial.suggest_int("y", -10, 10) as f64;
    Ok((x - 2.0).powi(2) + (y + 1.0).powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_where_the_documentation_says() {
        let mut trial = Trial::fixed([("x", 2.0.into()), ("y", (-1).into())]);
        assert_eq!(quadratic(&mut trial), Ok(0.0));
    }
}
