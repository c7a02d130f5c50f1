//! The raw results: `DIR/digits/asha.csv` or `DIR/digits/optuna-asha.csv` has one line a run: the seed, then a cell
//! for each trial: its steps, its last value, and whether it was `pruned` or ran to its `end`, separated by spaces.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The outcome of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CurveTrial {
    /// The number of its steps.
    pub(super) n_steps: u32,
    /// Its last value.
    pub(super) value: f64,
    /// True if a pruner ended it.
    pub(super) is_pruned: bool,
}

/// Returns the file of one side (`asha`, `optuna-asha`) on one problem.
pub(super) fn path(folder: &Path, problem: &str, side: &str) -> PathBuf {
    folder.join(problem).join(format!("{side}.csv"))
}

/// Returns the runs by seed; empty if there are none yet.
///
/// # Errors
/// A file that is not of this format.
pub(super) fn read(path: &Path) -> Result<BTreeMap<u64, Vec<CurveTrial>>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(path)?;
    let parse = |line: &str| {
        parse_run(line).with_context(|| {
            format!("{}: expected a run, found the line {line:.40}", path.display())
        })
    };
    text.lines().skip(1).map(parse).collect()
}

fn parse_run(line: &str) -> Result<(u64, Vec<CurveTrial>)> {
    let mut cells = line.split(',');
    let seed = cells.next().context("it is empty")?.parse()?;
    Ok((seed, cells.map(parse_cell).collect::<Result<_>>()?))
}

fn parse_cell(cell: &str) -> Result<CurveTrial> {
    let mut words = cell.split(' ');
    let mut next = || words.next().with_context(|| format!("`{cell}` has too few words"));
    Ok(CurveTrial {
        n_steps: next()?.parse()?,
        value: next()?.parse()?,
        is_pruned: next()? == "pruned",
    })
}

/// Adds a run.
///
/// # Errors
/// Fails if the file cannot be written.
pub(super) fn append(path: &Path, seed: u64, run: &[CurveTrial]) -> Result<()> {
    let mut text = String::new();
    if !path.exists() {
        text.push_str("seed,cells by trial\n");
    }
    let _ = write!(text, "{seed}");
    for CurveTrial { n_steps, value, is_pruned } in run {
        let _ = write!(text, ",{n_steps} {value} {}", if *is_pruned { "pruned" } else { "end" });
    }
    text.push('\n');
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_back_as_it_was_written() {
        let path = std::env::temp_dir().join(format!("trialbox-bench-{}.csv", std::process::id()));
        let run = [
            CurveTrial { n_steps: 15, value: 0.1 + 0.2, is_pruned: false },
            CurveTrial { n_steps: 1, value: -1e-300, is_pruned: true },
        ];
        append(&path, 7, &run).expect("a folder for temporary files");
        append(&path, 8, &run[..1]).expect("a folder for temporary files");
        let runs = read(&path).expect("what was written");
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(runs, BTreeMap::from([(7, run.to_vec()), (8, run[..1].to_vec())]));
    }
}
