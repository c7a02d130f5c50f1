//! The runs that a command is about, and the words of its command line.

use crate::problem::Problem;
use crate::problems;
use anyhow::{Context as _, Result, bail, ensure};
use std::ops::RangeInclusive;

/// Samplers on problems with seeds.
pub(crate) struct Selection {
    /// Names; Optuna's begin with `optuna-`. A report compares the first with each of the others.
    pub(crate) samplers: Vec<String>,
    /// The problems.
    pub(crate) problems: Vec<Problem>,
    /// The seeds.
    pub(crate) seeds: RangeInclusive<u64>,
    /// The number of trials of a run.
    pub(crate) n_trials: usize,
    /// The number of trials at a time, for each series of runs.
    pub(crate) inflight: Vec<usize>,
}

impl Selection {
    /// Refuses what cannot be compared.
    ///
    /// # Errors
    /// A single sampler; a comparison after the end of the runs.
    pub(crate) fn check_comparison(&self, after: &[usize]) -> Result<()> {
        ensure!(
            self.samplers.len() >= 2,
            "a report compares two samplers or more, but --samplers names one"
        );
        let late = after.iter().find(|n| **n > self.n_trials);
        late.map_or(Ok(()), |n| bail!("--after {n} is beyond --trials {}", self.n_trials))
    }
}

/// `--name value` pairs, each name once, each consumed by [`Options::take`].
pub(crate) struct Options(Vec<(String, String)>);

impl Options {
    /// Reads the words after a command.
    ///
    /// # Errors
    /// A word that does not start an option, an option without a value.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .with_context(|| format!("expected an option such as `--seeds`, found `{word}`"))?;
            let value = words.next().with_context(|| format!("--{name} needs a value"))?;
            ensure!(options.iter().all(|(found, _)| found != name), "--{name} is given twice");
            options.push((name.to_owned(), value.clone()));
        }
        Ok(Options(options))
    }

    /// Returns the value of an option, or its default.
    pub(crate) fn take(&mut self, name: &str, default: &str) -> String {
        match self.0.iter().position(|(found, _)| found == name) {
            Some(index) => self.0.remove(index).1,
            None => default.to_owned(),
        }
    }

    /// Returns the words that an option gives, or its default, separated by commas.
    pub(crate) fn take_list(&mut self, name: &str, default: &str) -> Vec<String> {
        list(&self.take(name, default))
    }

    /// Returns the whole number that an option gives, or its default.
    ///
    /// # Errors
    /// Something else than a number of at least 1.
    pub(crate) fn take_count(&mut self, name: &str, default: &str) -> Result<usize> {
        one(name, &self.take(name, default))
    }

    /// Returns the whole numbers that an option gives, or its default.
    ///
    /// # Errors
    /// Something else than numbers of at least 1.
    pub(crate) fn take_counts(&mut self, name: &str, default: &str) -> Result<Vec<usize>> {
        list(&self.take(name, default)).iter().map(|text| one(name, text)).collect()
    }

    /// Returns the samplers, problems, seeds, trials and numbers in flight.
    ///
    /// # Errors
    /// An unknown problem, a bad number.
    pub(crate) fn take_selection(&mut self) -> Result<Selection> {
        let problems = match self.take("problems", "all").as_str() {
            "all" => problems::all(),
            names => problems::named(&list(names))?,
        };
        Ok(Selection {
            samplers: self.take_list("samplers", "tpe,optuna-tpe"),
            problems,
            seeds: parse_seeds(&self.take("seeds", "0-19"))?,
            n_trials: self.take_count("trials", "300")?,
            inflight: self.take_counts("inflight", "1,16")?,
        })
    }

    /// Refuses the options that were not taken.
    ///
    /// # Errors
    /// Names it.
    pub(crate) fn finish(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => bail!("unknown option --{name}"),
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

fn one(name: &str, text: &str) -> Result<usize> {
    let count: usize = text
        .parse()
        .with_context(|| format!("--{name}: expected a whole number, found `{text}`"))?;
    ensure!(count >= 1, "--{name} must be at least 1, but it is 0");
    Ok(count)
}

/// Returns the seeds that `0-19` or `7` names.
///
/// # Errors
/// Something else.
pub(crate) fn parse_seeds(text: &str) -> Result<RangeInclusive<u64>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse().with_context(|| format!("expected seeds such as 0-19 or 7, found `{text}`"))
    };
    Ok(number(first)?..=number(last)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options> {
        Options::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_selection_is_what_was_said_and_else_the_whole_comparison() {
        let mut given =
            options("--samplers random,optuna-random --seeds 3-4 --problems branin --inflight 2")
                .expect("options");
        let selection = given.take_selection().expect("a selection");
        assert_eq!(selection.samplers, ["random", "optuna-random"]);
        assert_eq!(selection.problems[0].name, "branin");
        assert_eq!(selection.seeds, 3..=4);
        assert_eq!((selection.n_trials, &selection.inflight[..]), (300, &[2][..]));
        given.finish().expect("nothing is left");
    }

    #[test]
    fn unknown_options_are_refused_by_name() {
        let message = |result: Result<()>| result.expect_err("refused").to_string();
        assert_eq!(
            message(options("--speed 3").and_then(Options::finish)),
            "unknown option --speed"
        );
        assert_eq!(
            message(options("fast").map(|_| ())),
            "expected an option such as `--seeds`, found `fast`"
        );
        assert_eq!(message(options("--seeds").map(|_| ())), "--seeds needs a value");
        let zero = options("--trials 0").and_then(|mut given| given.take_selection().map(|_| ()));
        assert_eq!(message(zero), "--trials must be at least 1, but it is 0");
    }
}
