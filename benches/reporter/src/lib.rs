//! An objective that does nothing but report.

use trialbox_guest::{Result, Stop, Trial, objective};

/// Reports `n` times, and after every `ask_every`-th report asks whether to stop; 0 for never.
#[objective(minimize)]
pub fn reporter(trial: &mut Trial) -> Result<f64> {
    let n = trial.suggest_int("n", 0, 10_000_000) as u32;
    let ask_every = trial.suggest_int("ask_every", 0, 10_000_000) as u32;
    for step in 0..n {
        trial.report(1.0 / f64::from(step + 1), step);
        if ask_every > 0 && step % ask_every == 0 && trial.should_prune() {
            return Err(Stop::Pruned);
        }
    }
    Ok(1.0)
}
