//! Genetic samplers: NSGA-II and NSGA-III, as Optuna 5.0's `NSGAIISampler` and `NSGAIIISampler` have them.
//!
//! The first generation is random. When it has as many COMPLETE trials as a population, the best of them become the
//! parents of the next ([`elite`], by reference points [`niche`]), and so on ([`population`]); each later trial is a
//! child of two or three ([`child`]).
//!
//! Everything follows from the history. Trials carry their generation in Optuna's own attribute, so that workers of
//! both kinds continue each other's study.

mod basis;
mod child;
mod crossover;
mod elite;
#[cfg(test)]
mod golden;
mod kept;
mod method;
mod niche;
mod options;
mod population;

pub use method::Crossover;
pub use options::{GeneticOptions, NsgaIiOptions, NsgaIiiOptions};

use crate::RandomSampler;
use crate::config::Configured;
use crate::error::ConfigError;
use population::{Chosen, Generations, Names};
use trialbox_core::seam::rng::{TrialRng, study_rng};
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, Json, Sampler};

const NSGA_II: Names =
    Names { generation: "NSGAIISampler:generation", parents: "NSGAIISampler:parent:" };
const NSGA_III: Names =
    Names { generation: "NSGAIIISampler:generation", parents: "NSGAIIISampler:parent:" };

/// Draws children of the best trials.
#[derive(Debug, Clone)]
pub struct NsgaSampler {
    genetic: GeneticOptions,
    method: Method,
}

/// The choice among those of the last front that survives.
#[derive(Debug, Clone)]
enum Method {
    /// By crowding distance.
    Ii,
    /// By reference points, which are spread evenly if none are given.
    Iii { reference_points: Option<Vec<Vec<f64>>>, dividing_parameter: usize },
}

impl NsgaSampler {
    fn names(&self) -> Names {
        match self.method {
            Method::Ii => NSGA_II,
            Method::Iii { .. } => NSGA_III,
        }
    }

    /// Returns the parents of a generation.
    fn parents<'a>(
        &self,
        generations: &Generations<'a>,
        generation: i64,
        ask: &Ask,
        rng: &TrialRng,
    ) -> Chosen<'a> {
        let (directions, size) = (ask.history.directions(), self.genetic.population_size);
        let fingerprint = kept::fingerprint(&self.method, size);
        match &self.method {
            Method::Ii => generations
                .parents(generation, fingerprint, |_, it| elite::select(it, directions, size)),
            Method::Iii { reference_points, dividing_parameter } => {
                let spread = || niche::spread_points(directions.len(), *dividing_parameter);
                let given = reference_points.as_ref();
                let given = given.filter(|points| points[0].len() == directions.len());
                let points = given.cloned().unwrap_or_else(spread);
                generations.parents(generation, fingerprint, |of, it| {
                    // All trials must see the same parents, whichever generations they choose for.
                    let mut shared = study_rng(rng);
                    shared.set_word_pos(u128::from(of.unsigned_abs() & 0x7fff_ffff) << 32);
                    niche::select(it, directions, size, &points, &mut shared)
                })
            }
        }
    }
}

impl Configured<dyn Sampler> for NsgaIiOptions {
    const NAME: &'static str = "nsga2";
    const OPTUNA: &'static str = "NSGAIISampler";
    const SUMMARY: &'static str =
        "children of the best trials: for two or three objectives and a thousand trials";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(NsgaSampler { genetic: self.genetic.clone(), method: Method::Ii })
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        self.genetic.check(Self::owner())
    }
}

impl Configured<dyn Sampler> for NsgaIiiOptions {
    const NAME: &'static str = "nsga3";
    const OPTUNA: &'static str = "NSGAIIISampler";
    const SUMMARY: &'static str =
        "the same, spread by reference points: for more than three objectives";

    fn build(&self) -> Box<dyn Sampler> {
        let method = Method::Iii {
            reference_points: self.reference_points.clone(),
            dividing_parameter: self.dividing_parameter,
        };
        Box::new(NsgaSampler { genetic: self.genetic.clone(), method })
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        self.genetic.check(Self::owner())
    }
}

impl Sampler for NsgaSampler {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn reads_study_attrs(&self) -> bool {
        true
    }

    fn marks_fixed_trials(&self) -> bool {
        true
    }

    fn before_trial(&self, ask: &Ask, _rng: &mut TrialRng) -> Vec<(String, Json)> {
        let names = self.names();
        // An attempt that is repeated stays in its generation.
        if names.generation_in(ask.system_attrs).is_some() {
            return Vec::new();
        }
        let generation = Generations::of(ask.history, names).current(self.genetic.population_size);
        vec![(names.generation.to_owned(), Json::Int(generation))]
    }

    fn relative_search_space(&self, ask: &Ask) -> SearchSpace {
        SearchSpace::intersection(ask.history.evaluated())
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, rng: &mut TrialRng) -> Suggestion {
        let names = self.names();
        let generation = names.generation_in(ask.system_attrs).unwrap_or(0);
        if generation == 0 {
            return Suggestion::default();
        }
        let generations = Generations::of(ask.history, names);
        let chosen = self.parents(&generations, generation, ask, rng);
        let mut parents = chosen.parents;
        parents.retain(|parent| space.iter().all(|(name, _)| parent.param(name).is_some()));
        if parents.is_empty() {
            return Suggestion::default();
        }
        let directions = ask.history.directions();
        let params = child::child(&self.genetic, &parents, directions, space, rng);
        let fingerprint = kept::fingerprint(&self.method, self.genetic.population_size);
        let news = chosen.news.map(|kept| kept::to_attrs(&kept, fingerprint));
        let system_attrs = news.unwrap_or_default();
        Suggestion { params, system_attrs }
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        RandomSampler.sample_independent(ask, name, distribution, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, trial_with};
    use std::collections::BTreeMap;
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{FrozenTrial, History, StudyDirection, TrialNumber, TrialState};

    /// A trial whose only parameter and value are its number.
    fn trial(number: u32, generation: i64, state: TrialState) -> FrozenTrial {
        let range = Distribution::float(0.0, 1000.0, false, None).expect("a range");
        let mut trial = trial_with(number, state, &[("x", range, f64::from(number))]);
        if state == TrialState::Complete {
            trial.values = vec![f64::from(number)];
        }
        trial.system_attrs.insert(NSGA_II.generation.to_owned(), Json::Int(generation));
        trial
    }

    fn sampler() -> Box<dyn Sampler> {
        let genetic = GeneticOptions {
            population_size: 2,
            mutation_prob: Some(0.0),
            ..GeneticOptions::default()
        };
        NsgaIiOptions { genetic }.build()
    }

    fn history(trials: Vec<FrozenTrial>) -> History {
        History::new(vec![StudyDirection::Minimize], trials)
    }

    /// Returns the generation of a new trial and the values that it may have.
    fn drawn(history: &History) -> (i64, Vec<f64>) {
        let sampler = sampler();
        let mut values = Vec::new();
        let mut generation = None;
        for number in 100..140 {
            let mut rng = trial_rng(1, TrialNumber(number));
            let ask = Ask { number: TrialNumber(number), ..ask(history) };
            let attrs: BTreeMap<String, Json> =
                sampler.before_trial(&ask, &mut rng).into_iter().collect();
            generation = NSGA_II.generation_in(&attrs);
            let ask = Ask { system_attrs: &attrs, ..ask };
            let space = sampler.relative_search_space(&ask);
            values.extend(sampler.sample_relative(&ask, &space, &mut rng).params.get("x"));
        }
        values.sort_by(f64::total_cmp);
        values.dedup();
        (generation.expect("a generation"), values)
    }

    #[test]
    fn a_generation_is_complete_when_it_has_as_many_complete_trials() {
        let complete = |number, generation| trial(number, generation, TrialState::Complete);
        let mut trials = vec![complete(0, 0), trial(1, 0, TrialState::Fail)];
        assert_eq!(drawn(&history(vec![])), (0, vec![]));
        assert_eq!(drawn(&history(trials.clone())), (0, vec![]));
        trials.push(complete(2, 0));
        trials.push(trial(3, 0, TrialState::Running));
        assert_eq!(drawn(&history(trials.clone())), (1, vec![0.0, 2.0]));
        trials.extend([complete(4, 1), complete(5, 1)]);
        assert_eq!(drawn(&history(trials.clone())), (2, vec![0.0, 2.0]));
        // Parents come from all generations before, and a late result counts.
        trials[1] = complete(1, 0);
        assert_eq!(drawn(&history(trials)), (2, vec![0.0, 1.0]));
    }

    #[test]
    fn the_parents_that_a_worker_of_pythons_chose_are_the_parents() {
        let trials: Vec<FrozenTrial> = (0..4)
            .map(|number| trial(number, i64::from(number / 2), TrialState::Complete))
            .collect();
        // Ids are numbers and one.
        let kept = |generation: &str, ids: &[i64]| {
            let ids = ids.iter().map(|id| Json::Int(*id)).collect();
            BTreeMap::from([(format!("NSGAIISampler:parent:{generation}"), Json::Array(ids))])
        };
        let with = |attrs| drawn(&history(trials.clone()).with_study_attrs(attrs)).1;
        assert_eq!(with(kept("2", &[3, 4])), [2.0, 3.0]);
        assert_eq!(with(kept("1", &[2, 1])), [0.0, 1.0]);
        assert_eq!(with(kept("3", &[3, 4])), [0.0, 1.0]);
        assert_eq!(with(kept("x", &[3, 4])), [0.0, 1.0]);
        assert_eq!(with(kept("2", &[77])), [0.0; 0]);
    }

    /// Returns the suggestion for a trial of generation `generation`, and its trial.
    fn suggested(history: &History, generation: i64) -> (Suggestion, FrozenTrial) {
        let attrs = BTreeMap::from([(NSGA_II.generation.to_owned(), Json::Int(generation))]);
        let ask = Ask { number: TrialNumber(50), system_attrs: &attrs, ..ask(history) };
        let space = sampler().relative_search_space(&ask);
        let drawn = sampler().sample_relative(&ask, &space, &mut trial_rng(1, TrialNumber(50)));
        let mut running = trial(50, generation, TrialState::Running);
        running.system_attrs.extend(drawn.system_attrs.clone());
        (drawn, running)
    }

    #[test]
    fn a_choice_of_parents_is_kept_until_a_late_result_changes_it() {
        let complete = |number| trial(number, i64::from(number / 2), TrialState::Complete);
        let trials: Vec<FrozenTrial> = (0..6).map(complete).collect();
        let (first, running) = suggested(&history(trials.clone()), 3);
        assert_eq!(first.system_attrs.len(), 1);
        let mut trials = [trials, vec![running]].concat();
        let (second, _) = suggested(&history(trials.clone()), 3);
        assert_eq!((&second.params, second.system_attrs.len()), (&first.params, 0));
        // The next generation starts from the choice, and keeps its own.
        assert_eq!(suggested(&history(trials.clone()), 4).0.system_attrs.len(), 1);
        // Trial 40 would be a parent if it were counted: its generation is an earlier one.
        let late = FrozenTrial { values: vec![-1.0], ..trial(40, 0, TrialState::Complete) };
        trials.insert(6, late);
        let (third, _) = suggested(&history(trials.clone()), 3);
        assert_eq!(third.system_attrs.len(), 1);
        let text = third.system_attrs[0].1.as_str().expect("a text").to_owned();
        assert!(text.ends_with(" 3 0 7 0 40"), "{text}");
    }

    #[test]
    fn an_attempt_that_is_repeated_stays_in_its_generation() {
        let attrs = BTreeMap::from([(NSGA_II.generation.to_owned(), Json::Int(0))]);
        let history = history((0..4).map(|it| trial(it, 0, TrialState::Complete)).collect());
        let ask = Ask { system_attrs: &attrs, ..ask(&history) };
        assert_eq!(sampler().before_trial(&ask, &mut trial_rng(1, TrialNumber(0))), vec![]);
    }

    #[test]
    fn a_population_that_is_too_small_for_a_child_is_refused() {
        let mut options = NsgaIiOptions::default();
        options.genetic.crossover = Crossover::Spx;
        options.genetic.population_size = 2;
        let error = options.check_complete().expect_err("too few").to_string();
        let want = "option `population_size` of sampler `nsga2`: expected at least 3 for crossover spx, found 2";
        assert_eq!(error, want);
    }
}
