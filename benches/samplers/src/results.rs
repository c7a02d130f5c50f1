//! The raw results: one file for each sampler, problem and number in flight.
//!
//! `DIR/16-in-flight/tpe/branin.csv` has one line a run: the seed, then a cell for each trial in the order in
//! which results were told. A cell holds the objective values, then the constraints, then, where the problem is
//! noisy, the values without noise, separated by spaces.

use crate::problem::{Measured, Problem};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The runs that a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Series<'a> {
    /// The sampler's name, with `optuna-` before it if it is Optuna's.
    pub(crate) sampler: &'a str,
    /// The problem's name.
    pub(crate) problem: &'a str,
    /// The number of trials that ran at a time.
    pub(crate) inflight: usize,
}

impl Series<'_> {
    fn path(&self, folder: &Path) -> PathBuf {
        folder
            .join(format!("{}-in-flight", self.inflight))
            .join(self.sampler)
            .join(format!("{}.csv", self.problem))
    }
}

/// Returns the runs of a series by seed; empty if there are none yet. Of two runs of one seed the longer counts.
///
/// # Errors
/// A file that is not of this format.
pub(crate) fn read(
    folder: &Path,
    series: Series,
    problem: &Problem,
) -> Result<BTreeMap<u64, Vec<Measured>>> {
    let path = series.path(folder);
    let mut runs: BTreeMap<u64, Vec<Measured>> = BTreeMap::new();
    if !path.exists() {
        return Ok(runs);
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    // A line without its end was cut off while it was written.
    for line in text.split_inclusive('\n').skip(1).filter(|line| line.ends_with('\n')) {
        let (seed, run) = parse_run(line.trim_end(), problem).with_context(|| {
            format!("{}: expected a run, found the line {:.40}…", path.display(), line)
        })?;
        if runs.get(&seed).is_none_or(|found| found.len() < run.len()) {
            runs.insert(seed, run);
        }
    }
    Ok(runs)
}

/// Adds a run to its series in one write.
///
/// # Errors
/// Fails if the file cannot be written.
pub(crate) fn append(
    folder: &Path,
    series: Series,
    problem: &Problem,
    seed: u64,
    run: &[Measured],
) -> Result<()> {
    let path = series.path(folder);
    let mut text = String::new();
    if !path.exists() {
        text.push_str("seed,cells by trial\n");
    }
    let _ = write!(text, "{seed}");
    for measured in run {
        let _ = write!(text, ",{}", cell(measured, problem));
    }
    text.push('\n');
    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    drop_cut_off_line(&path, &file)?;
    file.write_all(text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))
}

/// Removes what a killed process began to write.
fn drop_cut_off_line(path: &Path, file: &File) -> Result<()> {
    let found = std::fs::read(path)?;
    let whole = found.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < found.len() {
        file.set_len(whole as u64)?;
    }
    Ok(())
}

fn cell(measured: &Measured, problem: &Problem) -> String {
    let true_values: &[f64] = if problem.noise > 0.0 { &measured.true_values } else { &[] };
    let numbers = measured.values.iter().chain(&measured.constraints).chain(true_values);
    numbers.map(|number| short(*number)).collect::<Vec<_>>().join(" ")
}

/// Returns ten significant digits: far below the differences between samplers, and half the size.
fn short(number: f64) -> String {
    let rounded: f64 = format!("{number:.9e}").parse().unwrap_or(number);
    format!("{rounded:?}")
}

fn parse_run(line: &str, problem: &Problem) -> Result<(u64, Vec<Measured>)> {
    let mut cells = line.split(',');
    let seed = cells.next().unwrap_or_default().parse()?;
    Ok((seed, cells.map(|cell| parse_cell(cell, problem)).collect::<Result<_>>()?))
}

fn parse_cell(cell: &str, problem: &Problem) -> Result<Measured> {
    let mut numbers: Vec<f64> = cell
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("the cell {cell:?}"))?;
    let n_values = problem.n_objectives();
    let n_numbers =
        n_values + problem.n_constraints + if problem.noise > 0.0 { n_values } else { 0 };
    anyhow::ensure!(numbers.len() == n_numbers, "the cell {cell:?} has not {n_numbers} numbers");
    let rest = numbers.split_off(n_values);
    let (constraints, true_values) = rest.split_at(problem.n_constraints);
    let true_values = if problem.noise > 0.0 { true_values.to_vec() } else { numbers.clone() };
    Ok(Measured { values: numbers, constraints: constraints.to_vec(), true_values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::named;

    #[test]
    fn a_run_is_read_back_to_ten_digits() {
        for (name, n_values, n_constraints) in
            [("branin", 1, 0), ("noisy_hartmann6", 1, 0), ("vessel4", 1, 3), ("zdt1_6", 2, 0)]
        {
            let problem = named(&[name.to_owned()]).expect("a known problem").remove(0);
            let number = |i: usize| -0.25 * (i as f64 + 1.0);
            let values: Vec<f64> = (0..n_values).map(number).collect();
            let true_values = if problem.noise > 0.0 { vec![0.5] } else { values.clone() };
            let measured = Measured {
                values,
                constraints: (3..3 + n_constraints).map(number).collect(),
                true_values,
            };
            assert_eq!(
                parse_cell(&cell(&measured, &problem), &problem).expect("a cell"),
                measured,
                "{name}"
            );
        }
        assert_eq!(short(1.0 / 3.0), "0.3333333333");
        assert_eq!(short(1.25e-7), "1.25e-7");
        assert_eq!(short(f64::INFINITY), "inf");
    }

    #[test]
    fn a_line_that_was_cut_off_is_as_if_it_never_was() {
        let folder = std::env::temp_dir().join(format!("trialbox-bench-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let problem = named(&["branin".to_owned()]).expect("a known problem").remove(0);
        let series = Series { sampler: "tpe", problem: "branin", inflight: 16 };
        let run = |value: f64| {
            vec![Measured { values: vec![value], constraints: vec![], true_values: vec![value] }]
        };
        append(&folder, series, &problem, 0, &run(1.0)).expect("written");
        let path = series.path(&folder);
        let mut text = std::fs::read_to_string(&path).expect("read");
        text.push_str("1,2.");
        std::fs::write(&path, text).expect("written");
        assert_eq!(read(&folder, series, &problem).expect("read"), BTreeMap::from([(0, run(1.0))]));
        append(&folder, series, &problem, 2, &run(3.0)).expect("written");
        let found = read(&folder, series, &problem);
        std::fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(found.expect("read"), BTreeMap::from([(0, run(1.0)), (2, run(3.0))]));
    }
}
