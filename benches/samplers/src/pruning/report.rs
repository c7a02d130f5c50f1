//! `pruning report`: how many steps it takes to reach a value, with a pruner and without.

use super::Selection;
use super::curves::CurveProblem;
use super::results::{self, CurveTrial};
use crate::stats::quantile;
use anyhow::{Result, ensure};
use std::fmt::Write as _;

/// The pruner that the others are compared with.
const WITHOUT: &str = "nop";

/// Writes `report.md` beside the results, and shows it.
///
/// # Errors
/// Runs that are missing; a file that cannot be written.
pub(super) fn report(selection: &Selection, say: &mut dyn FnMut(&str)) -> Result<()> {
    let mut text = head(selection);
    for problem in &selection.problems {
        write_problem(&mut text, problem, selection)?;
    }
    std::fs::write(selection.results.join("report.md"), &text)?;
    say(&text);
    Ok(())
}

fn head(selection: &Selection) -> String {
    let (from, to) = (selection.seeds.start(), selection.seeds.end());
    let options = format!(
        "--pruners {} --seeds {from}-{to} --trials {}",
        selection.pruners.join(","),
        selection.n_trials
    );
    format!(
        "# What pruners save

Steps (epochs) that a study with TPE spends until a COMPLETE trial has reached a value, \
the steps of all its trials together.
Cells: the median over the seeds [lower quartile, upper quartile]; in brackets \
the mean as a share of the mean without a pruner on the same side.
Every run goes on for as many steps as {} whole trials have; a run that does not reach the value \
counts with all of them, and the number of those that reach it is given.

```console
$ cargo xtask bench pruning run {options}
$ cargo xtask bench pruning report {options}
```
",
        selection.n_trials
    )
}

fn write_problem(text: &mut String, problem: &CurveProblem, selection: &Selection) -> Result<()> {
    let _ = write!(
        text,
        "\n## {}, {}, {} steps a trial\n\n| until |",
        problem.name, problem.direction, problem.n_steps
    );
    let sides: Vec<String> = ["", "optuna-"]
        .iter()
        .flat_map(|side| selection.pruners.iter().map(move |pruner| format!("{side}{pruner}")))
        .collect();
    let _ = writeln!(text, " {} |\n|---|{}", sides.join(" | "), "---|".repeat(sides.len()));
    for target in problem.targets {
        let _ = write!(text, "| {target} |");
        for side in &sides {
            let prefix = if side.starts_with("optuna-") { "optuna-" } else { "" };
            let spent = spent(problem, side, *target, selection)?;
            let without = self::spent(problem, &format!("{prefix}{WITHOUT}"), *target, selection)?;
            let _ = write!(text, " {} |", cell(&spent, &without));
        }
        text.push('\n');
    }
    Ok(())
}

/// Steps of each seed, and whether they were enough.
fn spent(
    problem: &CurveProblem,
    side: &str,
    target: f64,
    selection: &Selection,
) -> Result<Vec<(u64, bool)>> {
    let runs = results::read(&results::path(&selection.results, problem.name, side))?;
    let runs: Vec<&Vec<CurveTrial>> =
        selection.seeds.clone().filter_map(|seed| runs.get(&seed)).collect();
    let wanted = selection.seeds.clone().count();
    ensure!(
        runs.len() == wanted,
        "{} of the {wanted} runs of {side} on {} are there; make the others with `run`",
        runs.len(),
        problem.name
    );
    Ok(runs.iter().map(|run| steps_until(run, problem, target)).collect())
}

/// Returns the steps up to the end of the first whole trial that is as good as the target; all if there is none.
fn steps_until(run: &[CurveTrial], problem: &CurveProblem, target: f64) -> (u64, bool) {
    let cost = |value: f64| problem.direction.to_minimize(value);
    let is_there = |trial: &&CurveTrial| !trial.is_pruned && cost(trial.value) <= cost(target);
    let reached = run.iter().position(|trial| is_there(&trial));
    let n_trials = reached.map_or(run.len(), |index| index + 1);
    (run[..n_trials].iter().map(|trial| u64::from(trial.n_steps)).sum(), reached.is_some())
}

fn cell(spent: &[(u64, bool)], without: &[(u64, bool)]) -> String {
    let mut steps: Vec<f64> = spent.iter().map(|(steps, _)| *steps as f64).collect();
    steps.sort_by(f64::total_cmp);
    let mean = |spent: &[(u64, bool)]| {
        spent.iter().map(|(steps, _)| *steps as f64).sum::<f64>() / spent.len() as f64
    };
    let n_reached = spent.iter().filter(|(_, reached)| *reached).count();
    let reached = if n_reached == spent.len() {
        String::new()
    } else {
        format!(", {n_reached} of {}", spent.len())
    };
    format!(
        "{:.0} [{:.0}, {:.0}] ({:.2}{reached})",
        quantile(&steps, 0.5),
        quantile(&steps, 0.25),
        quantile(&steps, 0.75),
        mean(spent) / mean(without)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruning::curves;

    fn trial(n_steps: u32, value: f64, is_pruned: bool) -> CurveTrial {
        CurveTrial { n_steps, value, is_pruned }
    }

    #[test]
    fn only_whole_trials_reach_a_value_and_all_steps_count() {
        let problem = curves::named(&["digits".to_owned()]).expect("there is one").remove(0);
        let run = [
            trial(15, 0.9, false),
            trial(2, 0.99, true),
            trial(15, 0.97, false),
            trial(15, 1.0, false),
        ];
        assert_eq!(steps_until(&run, &problem, 0.97), (32, true));
        assert_eq!(steps_until(&run[..2], &problem, 0.97), (17, false));
    }

    #[test]
    fn a_cell_says_what_was_saved_and_how_many_got_there() {
        let spent = [(10, true), (20, true), (30, false)];
        assert_eq!(cell(&spent, &[(40, true)]), "20 [15, 25] (0.50, 2 of 3)");
    }
}
