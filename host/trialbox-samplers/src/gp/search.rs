//! The point of the largest worth: even points, small changes of the best ones, then local search from the best of all.

use super::acquisition::{log_expected_improvement, log_feasibility};
use super::lbfgs::{Limits, minimize};
use super::model::Prediction;
use super::observed::{Observed, is_beside};
use super::space::{Axis, Space};
use super::surrogate::{ConstraintModel, Surrogate};
use crate::qmc::sobol;
use crate::tpe::normal::truncated_quantile;
use trialbox_core::seam::rng::{TrialRng, below, unit};

/// The number of even points while there are few trials.
const EVEN: usize = 1024;

/// The number of even points when a prediction is dear.
const EVEN_OF_MANY: usize = 512;

/// The number of changes of each of the best trials.
const CHANGES: usize = 64;

/// The number of trials that are changed.
const CHANGED: usize = 5;

/// The number of local searches.
const STARTS: usize = 8;

/// The number of local searches that go on among discrete values, from the best places.
const DISCRETE_STARTS: usize = 3;

/// The number of steps of a local search.
const LOCAL_STEPS: usize = 30;

/// The largest number of predictions that a search among discrete values makes.
const MAX_TRIED: usize = 800;

/// A search for the next point.
pub(super) struct Search<'a> {
    observed: &'a Observed,
    surrogate: &'a Surrogate,
    /// Seen points, sorted, where another one can be told apart.
    seen: Vec<&'a [f64]>,
}

/// A point and its worth.
type Candidate = (f64, Vec<f64>);

impl<'a> Search<'a> {
    /// Prepares a search.
    pub(super) fn new(observed: &'a Observed, surrogate: &'a Surrogate) -> Search<'a> {
        let mut seen: Vec<&[f64]> = Vec::new();
        if observed.space.is_discrete() {
            seen.extend((0..observed.len()).map(|i| observed.point(i)));
            seen.extend(observed.pending.iter().map(Vec::as_slice));
            seen.sort_by(|a, b| compare(a, b));
        }
        Search { observed, surrogate, seen }
    }

    /// Returns the most worthy point. With `n_missing` trials that the history does not have yet, and running ones of
    /// which it has no point, most trials get one of the best points instead, because all would find the same one.
    pub(super) fn run(
        &self,
        losses: &[f64],
        (number, n_missing): (u32, usize),
        rng: &mut TrialRng,
    ) -> Vec<f64> {
        let mut candidates = self.candidates(losses, rng);
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let n_unseen = self.observed.n_unseen + n_missing;
        if n_unseen > 0 && !(number as usize).is_multiple_of(n_unseen + 1) {
            return one_of_best(candidates, 2 * (n_unseen + 1), rng);
        }
        let starts = self.starts(&candidates).into_iter();
        let all = |_: &Axis| true;
        let mut found: Vec<Candidate> = starts.map(|start| self.along_slopes(start, all)).collect();
        if self.observed.space.axes.iter().any(|axis| axis.is_discrete()) {
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.truncate(DISCRETE_STARTS);
            found = found.iter().map(|place| self.with_discrete(place)).collect();
            found.extend(self.beside_best(losses));
        }
        let mut best: Option<Candidate> = None;
        for found in found {
            if best.as_ref().is_none_or(|best| found.0 > best.0) {
                best = Some(found);
            }
        }
        match (best, candidates.into_iter().next()) {
            (Some(best), Some(first)) if first.0 > best.0 => first.1,
            (Some(best), _) => best.1,
            (None, first) => first.map(|first| first.1).unwrap_or_default(),
        }
    }

    /// Returns the worth of a point: ln EI + Σ ln P(feasible); −∞ for a point that was seen, or beside a running trial:
    /// once a model is sure of a minimum, the doubt that is left does not keep trials apart.
    fn worth(&self, point: &[f64]) -> f64 {
        if self.is_excluded(point) {
            return f64::NEG_INFINITY;
        }
        let mut sum = 0.0;
        if let Some(best) = self.surrogate.best {
            let Prediction { mean, deviation } = self.surrogate.objective.predict(point);
            sum += log_expected_improvement(mean, deviation, best).value;
        }
        for constraint in &self.surrogate.constraints {
            let Prediction { mean, deviation } = constraint.model.predict(point);
            sum += log_feasibility(mean, deviation, constraint.limit).value;
        }
        if sum.is_nan() { f64::NEG_INFINITY } else { sum }
    }

    /// Returns points with their worth.
    fn with_worths(&self, points: Vec<Vec<f64>>) -> Vec<Candidate> {
        let mut sums = vec![0.0; points.len()];
        if let Some(best) = self.surrogate.best {
            let predictions = self.surrogate.objective.predict_all(&points);
            for (sum, Prediction { mean, deviation }) in sums.iter_mut().zip(predictions) {
                *sum += log_expected_improvement(mean, deviation, best).value;
            }
        }
        for ConstraintModel { model, limit } in &self.surrogate.constraints {
            for (sum, it) in sums.iter_mut().zip(model.predict_all(&points)) {
                *sum += log_feasibility(it.mean, it.deviation, *limit).value;
            }
        }
        let mut candidates = Vec::with_capacity(points.len());
        for (point, sum) in points.into_iter().zip(sums) {
            let worth =
                if self.is_excluded(&point) || sum.is_nan() { f64::NEG_INFINITY } else { sum };
            candidates.push((worth, point));
        }
        candidates
    }

    /// Returns whether a point was seen, or is beside a running trial.
    fn is_excluded(&self, point: &[f64]) -> bool {
        let is_seen = self.seen.binary_search_by(|seen| compare(seen, point)).is_ok();
        is_seen || self.observed.is_beside_pending(point)
    }

    /// Returns minus the worth of a point, and writes the slopes by its numbers.
    fn sloped(&self, point: &[f64], slopes: &mut [f64]) -> f64 {
        slopes.fill(0.0);
        let mut sum = 0.0;
        if let Some(best) = self.surrogate.best {
            let model = &self.surrogate.objective;
            let sloped = model.predict_sloped(point);
            let Prediction { mean, deviation } = sloped.prediction;
            let worth = log_expected_improvement(mean, deviation, best);
            sum -= worth.value;
            model.add_slopes(&sloped, -worth.by_mean, -worth.by_deviation, slopes);
        }
        for constraint in &self.surrogate.constraints {
            let sloped = constraint.model.predict_sloped(point);
            let Prediction { mean, deviation } = sloped.prediction;
            let worth = log_feasibility(mean, deviation, constraint.limit);
            sum -= worth.value;
            constraint.model.add_slopes(&sloped, -worth.by_mean, -worth.by_deviation, slopes);
        }
        sum
    }

    fn candidates(&self, losses: &[f64], rng: &mut TrialRng) -> Vec<Candidate> {
        let space = &self.observed.space;
        let n_even = if self.observed.len() > 100 { EVEN_OF_MANY } else { EVEN };
        let mut points = even_points(space, n_even, rng);
        for base in self.best_trials(losses) {
            for round in 0..CHANGES {
                points.push(self.changed(self.observed.point(base), losses, round, rng));
            }
        }
        self.with_worths(points)
    }

    /// Returns the places of the best trials, feasible ones first.
    fn best_trials(&self, losses: &[f64]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.observed.len()).collect();
        places.sort_by(|a, b| {
            let infeasible = |i: &usize| !self.observed.is_feasible[*i];
            infeasible(a).cmp(&infeasible(b)).then(losses[*a].total_cmp(&losses[*b]))
        });
        places.truncate(CHANGED);
        places
    }

    /// Returns a point near another: some numbers moved by a little or by more, a choice made anew now and then.
    fn changed(&self, base: &[f64], losses: &[f64], round: usize, rng: &mut TrialRng) -> Vec<f64> {
        let space = &self.observed.space;
        let n = space.axes.len() as f64;
        // As TuRBO: about 20 of many parameters at a time. Eriksson et al. 2019, "Scalable Global Optimization via
        // Local Bayesian Optimization".
        let share = (20.0 / n).min(1.0);
        let deviation = [0.2, 0.05, 0.01, 0.001][round % 4];
        let mut point = base.to_vec();
        let mut template = vec![0.0; space.axes.len()];
        for (axis, fresh) in space.axes.iter().zip(&mut template) {
            let n_choices = axis.n_choices();
            let (toss, size) = (unit(rng), unit(rng));
            *fresh = if n_choices > 0 { (size * n_choices as f64).floor() } else { size };
            let Some(value) = axis.read(base) else { continue };
            if n_choices > 0 {
                if toss < 1.0 / n.max(2.0) {
                    axis.write(&mut point, Some(*fresh));
                }
            } else if toss < share {
                let step = deviation * truncated_quantile(size, -40.0, 40.0);
                axis.write(&mut point, Some((value + step).clamp(0.0, 1.0)));
            }
        }
        if round.is_multiple_of(2) {
            self.take_from_best(losses, &mut template);
        }
        space.repair(&mut point, &template);
        point
    }

    /// Replaces values by those of the best trial that has the parameter.
    fn take_from_best(&self, losses: &[f64], template: &mut [f64]) {
        for (axis, value) in self.observed.space.axes.iter().zip(template) {
            let mut best = f64::INFINITY;
            for (i, loss) in losses.iter().enumerate() {
                if *loss < best
                    && let Some(found) = axis.read(self.observed.point(i))
                {
                    (best, *value) = (*loss, found);
                }
            }
        }
    }

    /// Returns the first candidates that are not close to an earlier one.
    fn starts<'c>(&self, candidates: &'c [Candidate]) -> Vec<&'c Candidate> {
        let mut starts: Vec<&Candidate> = Vec::with_capacity(STARTS);
        for candidate in candidates {
            let is_apart = |start: &&Candidate| {
                let both = start.1.iter().zip(&candidate.1);
                both.fold(0.0f64, |most, (a, b)| (a - b).abs().max(most)) > 0.02
            };
            if starts.iter().all(is_apart) {
                starts.push(candidate);
            }
            if starts.len() == STARTS {
                break;
            }
        }
        starts
    }

    /// Searches from a place among discrete values, one by one, and then along the slopes of the numbers again.
    fn with_discrete(&self, place: &Candidate) -> Candidate {
        let tried = self.among_values(place);
        if tried.0 > place.0 && !self.observed.space.is_discrete() {
            return self.along_slopes(&tried, |_| true);
        }
        tried
    }

    /// Returns the places that are found from the best trial with one discrete value moved by a step, that value being
    /// held while the continuous numbers follow it: where constraints bind, neither leads further alone.
    fn beside_best(&self, losses: &[f64]) -> Vec<Candidate> {
        let space = &self.observed.space;
        let Some(best) = self.best_trials(losses).first().copied() else { return vec![] };
        if self.surrogate.constraints.is_empty() || space.is_discrete() {
            return vec![];
        }
        let best = self.observed.point(best);
        let template = vec![0.5; space.axes.len()];
        let mut points = Vec::new();
        for axis in space.axes.iter().filter(|axis| axis.is_discrete()) {
            let Some(place) = axis.read(best) else { continue };
            let mut values = axis.neighbours(place);
            values.sort_by(|a, b| (a - place).abs().total_cmp(&(b - place).abs()));
            for value in values.into_iter().take(2) {
                let mut point = best.to_vec();
                axis.write(&mut point, Some(value));
                space.repair(&mut point, &template);
                points.push(point);
            }
        }
        points.truncate(STARTS);
        let starts = self.with_worths(points);
        starts.iter().map(|start| self.along_slopes(start, |axis| !axis.is_discrete())).collect()
    }

    /// Searches from a start along the slopes of those numbers that are free.
    fn along_slopes(&self, start: &Candidate, is_free: impl Fn(&Axis) -> bool) -> Candidate {
        let space = &self.observed.space;
        let n_numbers = space.geometry.n_numbers;
        let mut point = start.1.clone();
        let (mut low, mut high) = (point[..n_numbers].to_vec(), point[..n_numbers].to_vec());
        for axis in &space.axes {
            if axis.n_choices() == 0 && axis.read(&point).is_some() && is_free(axis) {
                (low[axis.feature], high[axis.feature]) = (0.0, 1.0);
            }
        }
        if low == high || start.0 == f64::NEG_INFINITY {
            return start.clone();
        }
        let limits = Limits { low: &low, high: &high, tolerance: 1e-6, max_steps: LOCAL_STEPS };
        let begin = point[..n_numbers].to_vec();
        let minimum = minimize(&begin, &limits, |numbers, slopes| {
            point[..n_numbers].copy_from_slice(numbers);
            self.sloped(&point, slopes)
        });
        point[..n_numbers].copy_from_slice(&minimum.x);
        space.repair(&mut point, &vec![0.5; space.axes.len()]);
        let worth = self.worth(&point);
        if worth > start.0 { (worth, point) } else { start.clone() }
    }

    fn among_values(&self, start: &Candidate) -> Candidate {
        let space = &self.observed.space;
        let mut best = start.clone();
        let template: Vec<f64> = vec![0.5; space.axes.len()];
        let mut n_tried = 0;
        loop {
            let before = best.0;
            for axis in space.axes.iter().filter(|axis| axis.is_discrete()) {
                let Some(place) = axis.read(&best.1) else { continue };
                let mut points = Vec::new();
                for value in axis.neighbours(place) {
                    let mut point = best.1.clone();
                    axis.write(&mut point, Some(value));
                    space.repair(&mut point, &template);
                    points.push(point);
                }
                n_tried += points.len();
                for found in self.with_worths(points) {
                    if found.0 > best.0 {
                        best = found;
                    }
                }
                if n_tried > MAX_TRIED {
                    return best;
                }
            }
            if best.0 <= before {
                return best;
            }
        }
    }
}

/// Returns even points: Sobol's, moved by the same random vector around the unit cube.
///
/// Cranley and Patterson 1976, "Randomization of Number Theoretic Methods for Multiple Integration".
pub(crate) fn even_points(space: &Space, n: usize, rng: &mut TrialRng) -> Vec<Vec<f64>> {
    let dimensions = space.axes.len();
    let shift: Vec<f64> = (0..dimensions).map(|_| unit(rng)).collect();
    let n_even = dimensions.min(sobol::MAX_DIMENSIONS);
    let mut points = Vec::with_capacity(n);
    for index in 0..n as u32 {
        let mut place = sobol::point(index, n_even);
        place.resize_with(dimensions, || unit(rng));
        place.iter_mut().zip(&shift).for_each(|(x, shift)| *x = (*x + shift).fract());
        points.push(of_places(space, &place));
    }
    points
}

/// Returns the point of a place in the unit cube, one coordinate for each parameter.
pub(super) fn of_places(space: &Space, place: &[f64]) -> Vec<f64> {
    let mut point = vec![0.0; space.geometry.width()];
    let mut values = Vec::with_capacity(place.len());
    for (axis, x) in space.axes.iter().zip(place) {
        let n_choices = axis.n_choices() as f64;
        let value = if n_choices > 0.0 { (x * n_choices).floor() } else { *x };
        axis.write(&mut point, Some(value));
        values.push(value);
    }
    space.repair(&mut point, &values);
    point
}

/// Draws one of the best `n` candidates, which are in the order of their worth, leaving out those beside a better one.
///
/// Not in proportion to what they are worth: where constraints bind, the best one is worth e¹⁰⁰ times the tenth.
fn one_of_best(candidates: Vec<Candidate>, n: usize, rng: &mut TrialRng) -> Vec<f64> {
    let mut best: Vec<Vec<f64>> = Vec::new();
    for (_, point) in candidates {
        if best.iter().all(|other| !is_beside(other, &point)) {
            best.push(point);
        }
        if best.len() == n {
            break;
        }
    }
    if best.is_empty() {
        return Vec::new();
    }
    let index = below(best.len() as u64, rng) as usize;
    best.swap_remove(index)
}

/// Returns weights of a sum of objectives, drawn evenly from the simplex.
pub(super) fn weights(n: usize, rng: &mut TrialRng) -> Vec<f64> {
    let draws: Vec<f64> = (0..n).map(|_| -libm::log(1.0 - unit(rng))).collect();
    let sum: f64 = draws.iter().sum();
    if sum > 0.0 {
        return draws.iter().map(|draw| draw / sum).collect();
    }
    let mut weights = vec![0.0; n];
    weights[below(n as u64, rng) as usize] = 1.0;
    weights
}

fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    let unequal = a.iter().zip(b).find(|(a, b)| a != b);
    unequal.map_or(std::cmp::Ordering::Equal, |(a, b)| a.total_cmp(b))
}
