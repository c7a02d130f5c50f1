//! A choice of a few of many points: those that cover most together.

use super::{distinct, hypervolume};

/// Returns the point from which a set's volume is measured: a tenth beyond the worst value in each column, as in
/// Optuna, and 1e-12 instead of 0.
pub fn reference_point(points: &[Vec<f64>]) -> Vec<f64> {
    let n_columns = points.first().map_or(0, Vec::len);
    let mut reference = Vec::with_capacity(n_columns);
    for column in 0..n_columns {
        let worst = points.iter().map(|point| point[column]).fold(f64::NEG_INFINITY, f64::max);
        let beyond = (1.1 * worst).max(0.9 * worst);
        reference.push(if beyond == 0.0 { 1e-12 } else { beyond });
    }
    reference
}

/// Returns the indices of `k` points, chosen one by one so that each adds the most volume: the greedy algorithm for
/// the hypervolume subset selection problem, within 1 − 1/e of the best choice (Guerreiro, Fonseca and
/// Paquete 2016). Duplicates are chosen only when all distinct points are; with an infinite reference the
/// first distinct points in lexicographic order are.
///
/// O(k·n) for two objectives. For more, a volume is only computed while an upper bound of what the point
/// adds, which submodularity gives, is not below the best.
pub fn select_subset(points: &[Vec<f64>], k: usize, reference: &[f64]) -> Vec<usize> {
    if k >= points.len() {
        return (0..points.len()).collect();
    }
    let (distinct, _) = distinct(points);
    if distinct.len() < k {
        return with_duplicates(&distinct, points.len(), k);
    }
    if distinct.len() == k || !reference.iter().all(|value| value.is_finite()) {
        return distinct[..k].to_vec();
    }
    let candidates: Vec<&[f64]> = distinct.iter().map(|index| points[*index].as_slice()).collect();
    let chosen = if reference.len() == 2 {
        select_from_plane(candidates, k, reference)
    } else {
        Greedy::new(candidates, reference).select(k)
    };
    chosen.into_iter().map(|place| distinct[place]).collect()
}

fn with_duplicates(distinct: &[usize], n: usize, k: usize) -> Vec<usize> {
    let mut is_chosen = vec![false; n];
    distinct.iter().for_each(|index| is_chosen[*index] = true);
    let missing = (0..n).filter(|index| !is_chosen[*index]).take(k - distinct.len());
    missing.collect::<Vec<_>>().into_iter().for_each(|index| is_chosen[index] = true);
    (0..n).filter(|index| is_chosen[*index]).collect()
}

/// Chooses among points of two objectives in lexicographic order. Each point covers a rectangle, whose corner
/// moves when a neighbour is chosen.
fn select_from_plane(points: Vec<&[f64]>, k: usize, reference: &[f64]) -> Vec<usize> {
    let mut left: Vec<(usize, &[f64], [f64; 2])> = points
        .into_iter()
        .enumerate()
        .map(|(place, point)| (place, point, [reference[0], reference[1]]))
        .collect();
    let mut chosen = Vec::with_capacity(k);
    for _ in 0..k {
        let areas =
            left.iter().map(|(_, point, corner)| (corner[0] - point[0]) * (corner[1] - point[1]));
        let best = first_largest(areas);
        let (place, point, _) = left.remove(best);
        chosen.push(place);
        left[..best].iter_mut().for_each(|(_, _, corner)| corner[0] = corner[0].min(point[0]));
        left[best..].iter_mut().for_each(|(_, _, corner)| corner[1] = corner[1].min(point[1]));
    }
    chosen
}

/// Returns the index of the first largest value; NaN counts as the largest, as for NumPy.
fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let (mut best, mut largest) = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value.is_nan() {
            return index;
        }
        if value > largest {
            (best, largest) = (index, value);
        }
    }
    best
}

/// The lazy greedy algorithm for three objectives and more.
struct Greedy<'a> {
    reference: &'a [f64],
    /// The candidates that are not chosen yet.
    left: Vec<Candidate<'a>>,
    chosen: Vec<Vec<f64>>,
    volume: f64,
}

struct Candidate<'a> {
    place: usize,
    point: &'a [f64],
    /// The volume that it covers alone.
    alone: f64,
    /// An upper bound of the volume that it adds to what is chosen.
    adds: f64,
}

impl<'a> Greedy<'a> {
    fn new(points: Vec<&'a [f64]>, reference: &'a [f64]) -> Self {
        let mut left = Vec::with_capacity(points.len());
        for (place, point) in points.into_iter().enumerate() {
            let alone = covered(point, reference);
            left.push(Candidate { place, point, alone, adds: alone });
        }
        Greedy { reference, left, chosen: Vec::new(), volume: 0.0 }
    }

    fn select(mut self, k: usize) -> Vec<usize> {
        let mut places = Vec::with_capacity(k);
        while places.len() < k {
            let best = self.left.remove(first_largest(self.left.iter().map(|it| it.adds)));
            places.push(best.place);
            self.volume += best.adds;
            self.chosen.push(best.point.to_vec());
            if places.len() < k {
                self.update();
            }
        }
        places
    }

    /// Makes `adds` exact for every candidate that might be the next.
    fn update(&mut self) {
        if self.volume.is_infinite() {
            self.left.iter_mut().for_each(|it| it.adds = f64::INFINITY);
            return;
        }
        let Some(latest) = self.chosen.last() else { return };
        for it in &mut self.left {
            let shared: Vec<f64> = it.point.iter().zip(latest).map(|(a, b)| a.max(*b)).collect();
            it.adds = it.adds.min(it.alone - covered(&shared, self.reference));
        }
        let mut order: Vec<usize> = (0..self.left.len()).collect();
        order.sort_by(|a, b| self.left[*b].adds.total_cmp(&self.left[*a].adds));
        let mut largest = 0.0f64;
        for index in order {
            let Candidate { point, alone, adds, .. } = self.left[index];
            if alone.is_infinite() {
                self.left[index].adds = f64::INFINITY;
                largest = f64::INFINITY;
            } else if adds >= largest {
                self.left[index].adds = self.exactly_added(point, alone);
                largest = largest.max(self.left[index].adds);
            }
        }
    }

    fn exactly_added(&mut self, point: &[f64], alone: f64) -> f64 {
        if self.reference.len() <= 3 {
            self.chosen.push(point.to_vec());
            let with = hypervolume(&self.chosen, self.reference);
            self.chosen.pop();
            return with - self.volume;
        }
        let mut shared: Vec<Vec<f64>> = Vec::with_capacity(self.chosen.len());
        for other in &self.chosen {
            shared.push(other.iter().zip(point).map(|(a, b)| a.max(*b)).collect());
        }
        alone - hypervolume(&shared, self.reference)
    }
}

/// Returns the volume of one point alone.
fn covered(point: &[f64], reference: &[f64]) -> f64 {
    reference.iter().zip(point).map(|(reference, value)| reference - value).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_fill_up_what_the_distinct_points_leave() {
        let points: Vec<Vec<f64>> =
            [[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]].map(Vec::from).to_vec();
        for (k, want) in
            [(2, vec![0, 2]), (3, vec![0, 1, 2]), (4, vec![0, 1, 2, 3]), (5, vec![0, 1, 2, 3, 4])]
        {
            assert_eq!(select_subset(&points, k, &reference_point(&points)), want);
        }
    }
}
