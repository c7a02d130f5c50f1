//! The inputs of a trial's values besides its parameters, kept with it so that it can be run again.

use crate::study::trial::FrozenTrial;
use crate::value::json::Json;

/// The system attribute that holds the inputs of a trial: the component's digest, versions, limits, grants, the
/// machine, and the seed of its random numbers.
pub const PROVENANCE_ATTR: &str = "trialbox:provenance";

/// The module in the provenance of a trial whose objective was a program. Programs change all the time, and their users
/// expect to continue; the files that ran are further members.
pub const PROGRAM: &str = "program";

/// Returns whether a sandbox held the objective of a trial; `None` if the trial has no provenance.
pub fn was_sandboxed(trial: &FrozenTrial) -> Option<bool> {
    let module = trial.system_attrs.get(PROVENANCE_ATTR)?.get_str("module")?;
    Some(module != PROGRAM)
}

/// The member of the provenance that names the attempt whose checkpoint the trial resumed from, if it did.
pub const RESUMED_FROM: &str = "resumed_from";

/// The system attribute that keeps the pruner's answers, if it ever said yes. The answers follow from the reports of
/// the other trials at that time, which cannot be reconstructed later.
pub const ANSWERS_ATTR: &str = "trialbox:prune_answers";

/// The number of runs of equal answers that are kept: an objective that is told to stop stops.
const MAX_RUNS: usize = 100;

/// The pruner's answers to a trial, as the lengths of runs: of no, then of yes, then of no, and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    runs: Vec<u64>,
}

impl Answers {
    /// Adds an answer.
    pub fn add(&mut self, should_prune: bool) {
        // Runs of "no" have even places.
        let last_is = self.runs.len().checked_sub(1).map(|last| last % 2 == 1);
        match (last_is, should_prune) {
            (Some(last), answer) if last == answer => {
                if let Some(run) = self.runs.last_mut() {
                    *run += 1;
                }
            }
            (None, true) => self.runs.extend([0, 1]),
            _ if self.runs.len() < MAX_RUNS => self.runs.push(1),
            _ => {}
        }
    }

    /// Returns the answer to the question with this index; no, where none was given.
    pub fn get(&self, index: u64) -> bool {
        let mut end = 0;
        let place = self.runs.iter().position(|run| {
            end += run;
            index < end
        });
        matches!(place, Some(place) if place % 2 == 1)
    }

    /// Returns the attribute that is stored; none if every answer was no.
    pub fn to_attr(&self) -> Option<(String, Json)> {
        // The first run is always of "no", empty if need be: a single run holds no "yes".
        if self.runs.len() <= 1 {
            return None;
        }
        let runs = self.runs.iter().copied().map(Json::from).collect();
        Some((ANSWERS_ATTR.to_owned(), Json::Array(runs)))
    }

    /// Reads the answers that are stored with a trial.
    pub fn of(trial: &FrozenTrial) -> Self {
        let Some(Json::Array(runs)) = trial.system_attrs.get(ANSWERS_ATTR) else {
            return Answers::default();
        };
        let runs = runs.iter().filter_map(|run| run.as_i64()?.try_into().ok());
        Answers { runs: runs.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_as_the_lengths_of_their_runs() {
        for (given, runs) in [
            (&[][..], &[][..]),
            (&[false, false], &[2]),
            (&[true], &[0, 1]),
            (&[false, false, true, true, false], &[2, 2, 1]),
        ] {
            let mut answers = Answers::default();
            given.iter().for_each(|answer| answers.add(*answer));
            assert_eq!(answers.runs, runs);
            let found: Vec<bool> = (0..given.len() as u64).map(|i| answers.get(i)).collect();
            assert_eq!(found, given);
            assert!(!answers.get(given.len() as u64), "an answer that was not given");
            assert_eq!(answers.to_attr().is_some(), given.contains(&true));
        }
    }
}
