//! Non-dominated sorting.

use super::distinct;

/// Returns the rank of each point: 0 on the Pareto front, 1 on the front of the rest, and so on. Once `n_below`
/// distinct points have a rank, all others share the next one.
///
/// Equal points have equal ranks. Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm:
/// NSGA-II"; O(n·log n) for two objectives and few fronts, O(n·front) a front otherwise.
pub fn non_domination_ranks(points: &[Vec<f64>], n_below: usize) -> Vec<usize> {
    let (distinct, places) = distinct(points);
    let n_below = n_below.min(distinct.len());
    let mut ranks = vec![0; distinct.len()];
    let mut left: Vec<usize> = (0..distinct.len()).collect();
    let mut rank = 0;
    while distinct.len() - left.len() < n_below {
        let is_front = front(&left, |place| &points[distinct[place]]);
        let mut is_front = is_front.into_iter();
        left.retain(|place| {
            let is_front = is_front.next().unwrap_or(false);
            if is_front {
                ranks[*place] = rank;
            }
            !is_front
        });
        rank += 1;
    }
    left.iter().for_each(|place| ranks[*place] = rank);
    places.into_iter().map(|place| ranks[place]).collect()
}

/// Returns for each of `places`, whose points are distinct and in lexicographic order, whether it is on their front.
fn front<'a>(places: &[usize], point: impl Fn(usize) -> &'a Vec<f64>) -> Vec<bool> {
    // A later point never dominates an earlier one, and the first column need not be compared.
    let mut front: Vec<&[f64]> = Vec::new();
    let mut is_on_front = Vec::with_capacity(places.len());
    for place in places {
        let rest = point(*place).get(1..).unwrap_or_default();
        let is_dominated = match rest {
            // Of two objectives, the latest on the front has the smallest second value.
            [_] => front.last().is_some_and(|other| is_nowhere_larger(other, rest)),
            _ => front.iter().any(|other| is_nowhere_larger(other, rest)),
        };
        if !is_dominated {
            front.push(rest);
        }
        is_on_front.push(!is_dominated);
    }
    is_on_front
}

fn is_nowhere_larger(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}
