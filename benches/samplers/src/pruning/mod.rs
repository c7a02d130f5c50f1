//! `pruning run | report`: what pruners save, ours and Optuna's, on learning curves.

mod curves;
mod report;
mod results;
mod sides;

use crate::run::Places;
use crate::selection::{Options, parse_seeds};
use anyhow::{Result, bail};
use curves::CurveProblem;
use sides::{Optunas, Ours, Side};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// The runs that the two commands are about.
struct Selection {
    problems: Vec<CurveProblem>,
    pruners: Vec<String>,
    seeds: RangeInclusive<u64>,
    /// The number of trials that a run has the steps of, counted as if none were pruned.
    n_trials: u64,
    results: PathBuf,
}

/// Carries out `run` or `report`.
///
/// # Errors
/// A bad option; what went wrong in a run, of which those before are kept.
pub(crate) fn command(
    word: Option<&str>,
    mut options: Options,
    places: &Places,
    say: &dyn Fn(&str),
) -> Result<()> {
    let selection = Selection {
        problems: curves::named(&options.take_list("problems", "all"))?,
        pruners: options.take_list("pruners", "nop,median,asha"),
        seeds: parse_seeds(&options.take("seeds", "0-9"))?,
        n_trials: options.take_count("trials", "60")? as u64,
        results: kept_results(&places.results),
    };
    options.finish()?;
    match word {
        Some("run") => run(&selection, places, say),
        Some("report") => report::report(&selection, &mut |line| say(line)),
        _ => bail!("`pruning` is followed by `run` or `report`"),
    }
}

/// Returns the folder of results, which is beside those of the samplers.
fn kept_results(samplers: &Path) -> PathBuf {
    samplers.with_file_name("pruning")
}

/// Makes the runs that are missing, seed by seed.
fn run(selection: &Selection, places: &Places, say: &dyn Fn(&str)) -> Result<()> {
    let mut sides: [(&str, Box<dyn Side>); 2] =
        [("", Box::new(Ours)), ("optuna-", Box::new(Optunas::start(places)?))];
    for seed in selection.seeds.clone() {
        for problem in &selection.problems {
            for pruner in &selection.pruners {
                for (prefix, side) in &mut sides {
                    let name = format!("{prefix}{pruner}");
                    let path = results::path(&selection.results, problem.name, &name);
                    if results::read(&path)?.contains_key(&seed) {
                        continue;
                    }
                    let n_steps = selection.n_trials * u64::from(problem.n_steps);
                    let trials = side.run(problem, pruner, seed, n_steps)?;
                    results::append(&path, seed, &trials)?;
                    say(&format!(
                        "{name} on {}, seed {seed}: {} trials",
                        problem.name,
                        trials.len()
                    ));
                }
            }
        }
    }
    Ok(())
}
