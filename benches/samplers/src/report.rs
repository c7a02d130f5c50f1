//! `report`: what the kept results say, as a Markdown table with rank tests, and the regret as a picture.

use crate::compared::{Compared, Traces, short};
use crate::problem::Problem;
use crate::regret;
use crate::results::{self, Series};
use crate::selection::Selection;
use crate::stats::{MannWhitney, holm, mann_whitney, quantile, ranks, wilcoxon_p_positive};
use crate::svg;
use anyhow::{Result, ensure};
use std::fmt::Write as _;
use std::path::Path;

/// The level of the tests.
const LEVEL: f64 = 0.05;

/// Writes `NAME.md` and for each number in flight `NAME-K-in-flight.svg` into `folder`. Every series must have
/// all the runs of the selection. `after` says after how many trials the samplers are compared.
///
/// # Errors
/// Names the first series that is not complete, and the command that completes it.
pub(crate) fn report(
    selection: &Selection,
    after: &[usize],
    folder: &Path,
    name: &str,
) -> Result<()> {
    let mut text = heading(selection);
    for inflight in &selection.inflight {
        let compared: Vec<Compared> = selection
            .problems
            .iter()
            .map(|problem| compared(selection, problem, *inflight, folder))
            .collect::<Result<_>>()?;
        let picture = format!("{name}-{inflight}-in-flight.svg");
        std::fs::write(
            folder.join(&picture),
            svg::draw(&selection.samplers, &compared, selection.n_trials),
        )?;
        let _ = writeln!(text, "\n## {inflight} in flight\n\n![Regret over trials]({picture})");
        for n in after {
            write_table(&mut text, &selection.samplers, &compared, *n);
        }
    }
    std::fs::write(folder.join(format!("{name}.md")), text)?;
    Ok(())
}

fn heading(selection: &Selection) -> String {
    let (first, others) = (&selection.samplers[0], selection.samplers[1..].join("`, `"));
    let seeds = &selection.seeds;
    format!(
        "# `{first}` against `{others}`

Regret: how far the best trial so far is from the optimum, by the value without noise; infinite while no trial \
satisfies the constraints. With two objectives, the hypervolume that is missing.
Runs of {n_trials} trials with the seeds {from} to {to}. With k in flight the oldest result is told only after \
k - 1 later trials were begun.
Cells: the median over the seeds [lower quartile, upper quartile].
`better` is the chance that a run of `{first}` is better than one of the other sampler, ties counting half.
The p-values are those of one-sided Mann-Whitney tests of `{first}` being worse, \
and being better, after Holm's correction over the problems of the table.
Both sides mix the seed with the problem's name, so that the runs of one seed on several problems are independent.

```console
$ cargo xtask bench samplers run --samplers {samplers} --seeds {from}-{to} --trials {n_trials} --inflight {inflight}
$ cargo xtask bench samplers report --samplers {samplers} --seeds {from}-{to} --trials {n_trials} --inflight {inflight}
```
",
        samplers = selection.samplers.join(","),
        inflight = selection.inflight.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        n_trials = selection.n_trials,
        from = seeds.start(),
        to = seeds.end(),
    )
}

fn compared<'a>(
    selection: &Selection,
    problem: &'a Problem,
    inflight: usize,
    folder: &Path,
) -> Result<Compared<'a>> {
    let traces = |sampler: &String| -> Result<Traces> {
        let series = Series { sampler, problem: problem.name, inflight };
        let mut runs = results::read(folder, series, problem)?;
        runs.retain(|seed, run| selection.seeds.contains(seed) && run.len() >= selection.n_trials);
        let wanted = selection.seeds.clone().count();
        ensure!(
            runs.len() == wanted,
            "{sampler} has {} of {wanted} runs on {} with {inflight} in flight; \
             `cargo xtask bench samplers run` with the same options makes the others",
            runs.len(),
            problem.name
        );
        Ok(runs.values().map(|run| regret::trace(problem, &run[..selection.n_trials])).collect())
    };
    let traces = selection.samplers.iter().map(traces).collect::<Result<_>>()?;
    Ok(Compared { problem, traces })
}

fn write_table(text: &mut String, samplers: &[String], compared: &[Compared], n: usize) {
    let _ = write!(text, "\n### After {n} trials\n\n| problem | class |");
    for (index, sampler) in samplers.iter().enumerate() {
        let _ = write!(
            text,
            " {sampler} |{}",
            if index == 0 { "" } else { " better | p worse | p better |" }
        );
    }
    let columns = 2 + samplers.len() + 3 * (samplers.len() - 1);
    let _ = writeln!(text, "\n|{}", "---|".repeat(columns));
    let regrets: Vec<Vec<Vec<f64>>> = compared
        .iter()
        .map(|compared| compared.traces.iter().map(|traces| after(traces, n)).collect())
        .collect();
    let tests: Vec<Tests> = (1..samplers.len()).map(|other| Tests::new(&regrets, other)).collect();
    for (row, compared) in compared.iter().enumerate() {
        let _ = write!(text, "| {} | {} |", compared.problem.name, compared.problem.class);
        for (index, sample) in regrets[row].iter().enumerate() {
            let _ = write!(text, " {} |", summary(sample));
            if index > 0 {
                text.push_str(&tests[index - 1].cells(row));
            }
        }
        text.push('\n');
    }
    text.push('\n');
    write_ranks(text, samplers, &regrets);
    for (test, sampler) in tests.iter().zip(&samplers[1..]) {
        test.write_conclusion(text, (&samplers[0], sampler), compared);
    }
}

/// Returns the regret after `n` trials, by seed.
fn after(traces: &Traces, n: usize) -> Vec<f64> {
    traces.iter().map(|trace| trace[n - 1]).collect()
}

fn write_ranks(text: &mut String, samplers: &[String], regrets: &[Vec<Vec<f64>>]) {
    let mut sums = vec![0.0; samplers.len()];
    for row in regrets {
        let medians: Vec<f64> = row.iter().map(|sample| quantile(sample, 0.5)).collect();
        for (sum, rank) in sums.iter_mut().zip(ranks(&medians)) {
            *sum += rank;
        }
    }
    let means: Vec<String> = samplers
        .iter()
        .zip(&sums)
        .map(|(sampler, sum)| format!("{sampler} {:.3}", sum / regrets.len() as f64))
        .collect();
    let _ = writeln!(text, "- Mean rank of the medians: {}.", means.join(", "));
}

/// The first sampler against another on every problem.
struct Tests {
    found: Vec<MannWhitney>,
    p_worse: Vec<f64>,
    p_better: Vec<f64>,
}

impl Tests {
    fn new(regrets: &[Vec<Vec<f64>>], other: usize) -> Self {
        let found: Vec<MannWhitney> =
            regrets.iter().map(|row| mann_whitney(&row[0], &row[other])).collect();
        let corrected =
            |pick: fn(&MannWhitney) -> f64| holm(&found.iter().map(pick).collect::<Vec<_>>());
        let (p_worse, p_better) =
            (corrected(|test| test.p_larger), corrected(|test| test.p_smaller));
        Tests { found, p_worse, p_better }
    }

    fn cells(&self, row: usize) -> String {
        let p = |p: f64| if p <= LEVEL { format!("**{p:.2e}**") } else { format!("{p:.2}") };
        format!(
            " {:.2} | {} | {} |",
            self.found[row].superiority,
            p(self.p_worse[row]),
            p(self.p_better[row])
        )
    }

    fn write_conclusion(
        &self,
        text: &mut String,
        (ours, other): (&str, &str),
        compared: &[Compared],
    ) {
        let where_significant = |p_values: &[f64]| {
            let names: Vec<&str> = compared
                .iter()
                .zip(p_values)
                .filter(|(_, p)| **p <= LEVEL)
                .map(|(compared, _)| compared.problem.name)
                .collect();
            if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") }
        };
        let advantage: Vec<f64> = self.found.iter().map(|test| test.superiority - 0.5).collect();
        let disadvantage: Vec<f64> = advantage.iter().map(|found| -found).collect();
        let mean = advantage.iter().sum::<f64>() / advantage.len() as f64 + 0.5;
        let _ = writeln!(
            text,
            "- `{ours}` against `{other}` at {LEVEL}: worse {}; better {}.\n\
             - Over all problems: the mean chance of `{ours}` being better is {mean:.3}; \
             Wilcoxon's signed ranks of these chances: p of being worse {:.3}, of being better {:.3}.",
            where_significant(&self.p_worse),
            where_significant(&self.p_better),
            wilcoxon_p_positive(&disadvantage),
            wilcoxon_p_positive(&advantage),
        );
    }
}

/// Returns `0.0188 [0.0076, 0.0301]`.
fn summary(sample: &[f64]) -> String {
    let [lower, median, upper] = [0.25, 0.5, 0.75].map(|q| short(quantile(sample, q)));
    format!("{median} [{lower}, {upper}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::named;

    /// The first sampler is better in every run on one problem, and as good on the other.
    #[test]
    fn the_table_says_where_the_first_sampler_is_better() {
        let problems = named(&["branin".to_owned(), "sphere5".to_owned()]).expect("known problems");
        let traces = |offset: f64| -> Traces {
            (0..20).map(|seed| vec![f64::from(seed) + offset]).collect()
        };
        let compared = [
            Compared { problem: &problems[0], traces: vec![traces(0.0), traces(100.5)] },
            Compared { problem: &problems[1], traces: vec![traces(0.0), traces(0.0)] },
        ];
        let mut text = String::new();
        write_table(&mut text, &["a".to_owned(), "b".to_owned()], &compared, 1);
        assert!(
            text.contains(
                "| branin | smooth | 9.5 [4.75, 14.2] | 110 [105, 115] | 1.00 | 1.00 | **"
            ),
            "{text}"
        );
        assert!(text.contains("- Mean rank of the medians: a 1.250, b 1.750."), "{text}");
        assert!(
            text.contains("- `a` against `b` at 0.05: worse nowhere; better branin."),
            "{text}"
        );
    }
}
