//! `run`: every sampler on every problem, seed by seed, until all the results are there.

use crate::optuna::{self, OptunaProposer};
use crate::problem::{Measured, Problem};
use crate::proposer::{OurProposer, Proposer};
use crate::results::{self, Series};
use crate::selection::Selection;
use anyhow::Result;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The files and folders of the runs.
pub(crate) struct Places {
    /// An interpreter that has Optuna.
    pub(crate) python: PathBuf,
    /// Optuna's side of the pipe.
    pub(crate) script: PathBuf,
    /// The folder of the results.
    pub(crate) results: PathBuf,
}

/// One run: a sampler on a problem with one seed.
struct Run<'a> {
    sampler: &'a str,
    problem: &'a Problem,
    inflight: usize,
    seed: u64,
}

/// Makes the results that are missing, with `jobs` at a time.
///
/// # Errors
/// The first thing that went wrong; what was finished before is kept.
pub(crate) fn run(
    selection: &Selection,
    places: &Places,
    jobs: usize,
    say: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let missing = missing_runs(selection, places)?;
    let n_missing = missing.len();
    say(&format!("{n_missing} runs to make"));
    let queue = Mutex::new((missing, 0));
    let take = || {
        let mut queue = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        queue.1 += 1;
        queue.0.pop_front().map(|run| (run, queue.1))
    };
    let work = || -> Result<()> {
        let mut proposers = Proposers { places, started: Vec::new() };
        while let Some((run, position)) = take() {
            run.make(&mut proposers, selection.n_trials, places)?;
            say(&format!(
                "{position} of {n_missing}: {} on {}, {} in flight, seed {}",
                run.sampler, run.problem.name, run.inflight, run.seed
            ));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Returns the missing runs seed by seed, so that a comparison that is cut off still covers every problem.
fn missing_runs<'a>(selection: &'a Selection, places: &Places) -> Result<VecDeque<Run<'a>>> {
    let mut missing = Vec::new();
    for sampler in &selection.samplers {
        for inflight in &selection.inflight {
            for problem in &selection.problems {
                let series = Series { sampler, problem: problem.name, inflight: *inflight };
                let found = results::read(&places.results, series, problem)?;
                let is_missing =
                    |seed: &u64| found.get(seed).is_none_or(|run| run.len() < selection.n_trials);
                missing.extend(selection.seeds.clone().filter(is_missing).map(|seed| Run {
                    sampler,
                    problem,
                    inflight: *inflight,
                    seed,
                }));
            }
        }
    }
    missing.sort_by_key(|run| run.seed);
    Ok(missing.into())
}

impl Run<'_> {
    fn make(&self, proposers: &mut Proposers, n_trials: usize, places: &Places) -> Result<()> {
        let proposer = proposers.of(self.sampler)?;
        proposer.begin(self.problem, self.seed)?;
        let told = self.told(proposer, n_trials)?;
        let series =
            Series { sampler: self.sampler, problem: self.problem.name, inflight: self.inflight };
        results::append(&places.results, series, self.problem, self.seed, &told)
    }

    /// Keeps `inflight` trials under way and always ends the oldest, as an array of jobs of equal length
    /// does: from the first result on, each is told only after `inflight` − 1 later trials were begun.
    fn told(&self, proposer: &mut dyn Proposer, n_trials: usize) -> Result<Vec<Measured>> {
        let mut under_way = VecDeque::new();
        let mut told = Vec::with_capacity(n_trials);
        let mut n_asked = 0;
        while told.len() < n_trials {
            while n_asked < n_trials && under_way.len() < self.inflight {
                under_way.push_back(proposer.ask(self.problem)?);
                n_asked += 1;
            }
            let Some(point) = under_way.pop_front() else { break };
            let number = told.len();
            let measured = self.problem.evaluate(&point, (self.seed << 20) ^ number as u64);
            proposer.tell(number, &measured)?;
            told.push(measured);
        }
        Ok(told)
    }
}

/// The proposers of one worker, each started when it is first needed.
struct Proposers<'a> {
    places: &'a Places,
    started: Vec<(String, Box<dyn Proposer>)>,
}

impl Proposers<'_> {
    fn of(&mut self, sampler: &str) -> Result<&mut dyn Proposer> {
        let known = self.started.iter().position(|(name, _)| name == sampler);
        let index = match known {
            Some(index) => index,
            None => {
                self.started.push((sampler.to_owned(), start(sampler, self.places)?));
                self.started.len() - 1
            }
        };
        Ok(self.started[index].1.as_mut())
    }
}

fn start(sampler: &str, Places { python, script, .. }: &Places) -> Result<Box<dyn Proposer>> {
    Ok(match sampler.strip_prefix(optuna::PREFIX) {
        Some(name) => Box::new(OptunaProposer::start(python, script, name)?),
        None => Box::new(OurProposer::new(sampler)?),
    })
}

/// Returns the folder of results that a repository keeps.
pub(crate) fn kept_results(root: &Path) -> PathBuf {
    root.join("benches/results/samplers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Point;
    use crate::problems::named;

    /// Notes the order of what is asked and told.
    #[derive(Default)]
    struct Recorder(Vec<String>);

    impl Proposer for Recorder {
        fn begin(&mut self, _problem: &Problem, _seed: u64) -> Result<()> {
            Ok(())
        }
        fn ask(&mut self, problem: &Problem) -> Result<Point> {
            self.0.push("ask".to_owned());
            let middle = problem.params.iter().map(|spec| (spec.name.clone(), 5.0.into()));
            Ok(Point(middle.collect()))
        }
        fn tell(&mut self, number: usize, _measured: &Measured) -> Result<()> {
            self.0.push(format!("tell {number}"));
            Ok(())
        }
    }

    #[track_caller]
    fn check(inflight: usize, want: &str) {
        let problem = named(&["branin".to_owned()]).expect("a known problem").remove(0);
        let mut recorder = Recorder::default();
        let run = Run { sampler: "recorder", problem: &problem, inflight, seed: 0 };
        assert_eq!(run.told(&mut recorder, 4).expect("no error").len(), 4);
        assert_eq!(recorder.0.join(", "), want);
    }

    #[test]
    fn one_in_flight_is_told_before_the_next_is_asked() {
        check(1, "ask, tell 0, ask, tell 1, ask, tell 2, ask, tell 3");
    }

    #[test]
    fn of_three_in_flight_the_oldest_is_told_before_the_next_is_asked() {
        check(3, "ask, ask, ask, tell 0, ask, tell 1, tell 2, tell 3");
    }
}
