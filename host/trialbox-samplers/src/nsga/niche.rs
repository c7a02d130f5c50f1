//! The survivors of a generation by reference points: whole fronts, and of the last one those near points that few are
//! near to.
//!
//! As `NSGAIIIElitePopulationSelectionStrategy`; Deb and Jain 2014, "An Evolutionary Many-Objective Optimization
//! Algorithm Using Reference-Point-Based Nondominated Sorting Approach". One difference: Optuna normalises values as
//! they are, here their signs are changed where larger is better, as the method wants.

use super::elite::whole_fronts;
use crate::draws::{Draws, shuffle};
use crate::pareto::losses;
use crate::tpe::order;
use crate::vector::dot;
use std::collections::BTreeMap;
use trialbox_core::{FrozenTrial, StudyDirection};

/// The largest number of reference points that are made by default.
const MAX_POINTS: usize = 10_000;

/// The distance beyond the finite values of an objective, in widths of them, to which infinities are moved.
const INFINITE: f64 = 3.0;

/// Returns the survivors.
pub(super) fn select<'a>(
    population: &[&'a FrozenTrial],
    directions: &[StudyDirection],
    size: usize,
    reference_points: &[Vec<f64>],
    draws: &mut dyn Draws,
) -> Vec<&'a FrozenTrial> {
    let (mut elite, last) = whole_fronts(population, directions, size);
    if last.is_empty() {
        return elite;
    }
    let all = elite.iter().chain(&last);
    let mut points: Vec<Vec<f64>> = all.map(|trial| losses(&trial.values, directions)).collect();
    clamp_infinities(&mut points);
    normalise(&mut points);
    let near: Vec<(usize, f64)> =
        points.iter().map(|point| nearest(point, reference_points)).collect();
    let n_missing = size - elite.len();
    let (near_elite, near_last) = near.split_at(elite.len());
    let chosen = fill_niches(near_elite, near_last, n_missing, draws);
    elite.extend(chosen.into_iter().map(|index| last[index]));
    elite
}

/// Returns evenly spread points of the plane on which the coordinates add up to `n_divisions` (Das and Dennis 1998),
/// with fewer divisions where that would be more than 10,000 points.
pub(super) fn spread_points(n_objectives: usize, n_divisions: usize) -> Vec<Vec<f64>> {
    let n_divisions =
        (1..=n_divisions).rev().find(|it| n_points(n_objectives, *it) <= MAX_POINTS).unwrap_or(1);
    let mut points = Vec::new();
    add_points(&mut vec![0.0; n_objectives], 0, n_divisions, &mut points);
    points
}

/// Returns the number of combinations of `n_divisions` objectives with repetition, at most one more than
/// [`MAX_POINTS`].
fn n_points(n_objectives: usize, n_divisions: usize) -> usize {
    let mut n = 1.0;
    for k in 1..=n_divisions {
        n *= (n_objectives + k).saturating_sub(1) as f64 / k as f64;
        if n > MAX_POINTS as f64 {
            return MAX_POINTS + 1;
        }
    }
    n.round() as usize
}

/// Adds every way to hand out `n_left` among the coordinates from `place` on, the first coordinate getting most first.
fn add_points(point: &mut Vec<f64>, place: usize, n_left: usize, points: &mut Vec<Vec<f64>>) {
    if place + 1 >= point.len() {
        if let Some(last) = point.last_mut() {
            *last = n_left as f64;
            points.push(point.clone());
        }
        return;
    }
    for count in (0..=n_left).rev() {
        point[place] = count as f64;
        add_points(point, place + 1, n_left - count, points);
    }
}

/// Moves infinities to three widths beyond the finite values of their column.
pub(super) fn clamp_infinities(points: &mut [Vec<f64>]) {
    for column in 0..points.first().map_or(0, Vec::len) {
        let finite = points.iter().map(|point| point[column]).filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let margin = INFINITE * (high - low);
        for point in &mut *points {
            let (lowest, highest) = (low - margin, high + margin);
            point[column] = if point[column] > highest {
                highest
            } else if point[column] >= lowest {
                point[column]
            } else {
                lowest
            };
        }
    }
}

/// Moves the ideal point to the origin and scales the axes by the intercepts of the plane through the extreme points;
/// where there is no such plane, by the largest values.
pub(super) fn normalise(points: &mut [Vec<f64>]) {
    let n = points.first().map_or(0, Vec::len);
    for column in 0..n {
        let ideal = points.iter().map(|point| point[column]).fold(f64::INFINITY, f64::min);
        points.iter_mut().for_each(|point| point[column] -= ideal);
    }
    let extremes: Vec<Vec<f64>> =
        (0..n).filter_map(|axis| extreme(points, axis)).cloned().collect();
    let scales = match solve_for_ones(extremes) {
        Some(scales) => scales,
        None => (0..n)
            .map(|column| {
                let largest = points.iter().map(|it| it[column]).fold(f64::NEG_INFINITY, f64::max);
                if largest == 0.0 { 1.0 } else { 1.0 / largest }
            })
            .collect(),
    };
    for point in points {
        let scaled = point.iter_mut().zip(&scales).filter(|(_, scale)| scale.is_finite());
        scaled.for_each(|(value, scale)| *value *= scale);
    }
}

/// Returns the point that is nearest to an axis: the first with the smallest weighted maximum, all other columns
/// counting a million times.
fn extreme(points: &[Vec<f64>], axis: usize) -> Option<&Vec<f64>> {
    const WEIGHT: f64 = 1e6;
    let height = |point: &Vec<f64>| {
        let weighted = point.iter().enumerate();
        let weighted = weighted.map(|(place, it)| if place == axis { *it } else { WEIGHT * it });
        weighted.fold(f64::NEG_INFINITY, f64::max)
    };
    points.iter().min_by(|a, b| order(height(a), height(b)))
}

/// Returns the solution x of `rows`·x = (1, 1, …) by elimination with full pivoting; `None` if the rows are dependent
/// to working precision.
fn solve_for_ones(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    let mut right = vec![1.0; n];
    let mut places: Vec<usize> = (0..n).collect();
    let mut largest = 0.0f64;
    for step in 0..n {
        let (mut row, mut column) = (step, step);
        for i in step..n {
            for j in step..n {
                // A NaN stays out of both comparisons.
                if rows[i][j].abs() > rows[row][column].abs() {
                    (row, column) = (i, j);
                }
            }
        }
        let pivot = rows[row][column].abs();
        largest = largest.max(pivot);
        if !pivot.is_finite() || pivot <= largest * n as f64 * f64::EPSILON {
            return None;
        }
        rows.swap(step, row);
        right.swap(step, row);
        rows.iter_mut().for_each(|it| it.swap(step, column));
        places.swap(step, column);
        let (above, below) = rows.split_at_mut(step + 1);
        for (offset, it) in below.iter_mut().enumerate() {
            let factor = it[step] / above[step][step];
            for j in step..n {
                it[j] -= factor * above[step][j];
            }
            right[step + 1 + offset] -= factor * right[step];
        }
    }
    let mut solution = vec![0.0; n];
    for step in (0..n).rev() {
        let known: f64 = (step + 1..n).map(|j| rows[step][j] * solution[places[j]]).sum();
        solution[places[step]] = (right[step] - known) / rows[step][step];
    }
    Some(solution)
}

/// Returns the reference point whose line through the origin is nearest to a point, and the distance.
pub(super) fn nearest(point: &[f64], reference_points: &[Vec<f64>]) -> (usize, f64) {
    let mut nearest = (0, f64::INFINITY);
    for (index, reference) in reference_points.iter().enumerate() {
        let share = dot(point, reference) / dot(reference, reference);
        let across = point.iter().zip(reference).map(|(a, b)| (a - share * b).powi(2));
        let distance = across.sum::<f64>().sqrt();
        if distance < nearest.1 {
            nearest = (index, distance);
        }
    }
    nearest
}

/// Returns the indices of `n` trials of the last front: one after another, of those near the reference point with the
/// fewest survivors. The first survivor of a reference point is the nearest one, the others are random.
pub(super) fn fill_niches(
    near_elite: &[(usize, f64)],
    near_last: &[(usize, f64)],
    n: usize,
    draws: &mut dyn Draws,
) -> Vec<usize> {
    let mut niches: Vec<Niche> = Vec::new();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, (reference, distance)) in near_last.iter().enumerate() {
        let place = *places.entry(*reference).or_insert(niches.len());
        if place == niches.len() {
            niches.push(Niche { waiting: Vec::new(), is_shuffled: false });
        }
        niches[place].waiting.push((*distance, index));
    }
    // The niches by the number of their survivors, in the order in which they came to it.
    let mut by_count: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut by_first: Vec<(usize, usize)> = places.into_iter().map(|(a, b)| (b, a)).collect();
    by_first.sort_unstable();
    for (place, reference) in by_first {
        let count = near_elite.iter().filter(|(near, _)| *near == reference).count();
        by_count.entry(count).or_default().push(place);
    }

    let mut chosen = Vec::with_capacity(n);
    while let Some((count, mut here)) = by_count.pop_first() {
        shuffle(&mut here, draws);
        while let Some(place) = here.pop() {
            if chosen.len() >= n {
                return chosen;
            }
            let niche = &mut niches[place];
            chosen.extend(niche.take(count == 0, draws));
            if !niche.waiting.is_empty() {
                by_count.entry(count + 1).or_default().push(place);
            }
        }
    }
    chosen
}

/// The trials of the last front that are near one reference point.
struct Niche {
    /// Distances and indices.
    waiting: Vec<(f64, usize)>,
    is_shuffled: bool,
}

impl Niche {
    fn take(&mut self, is_nearest: bool, draws: &mut dyn Draws) -> Option<usize> {
        if is_nearest {
            self.waiting.sort_by(|a, b| order(b.0, a.0).then(b.1.cmp(&a.1)));
        } else if !self.is_shuffled {
            shuffle(&mut self.waiting, draws);
            self.is_shuffled = true;
        }
        self.waiting.pop().map(|(_, index)| index)
    }
}
